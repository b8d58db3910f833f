"""The configuration file, followed: whole versions only, and never by accident."""

from __future__ import annotations

import os
from dataclasses import replace

from twisted.internet.task import Clock
from twisted.logger import LogEvent, LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from aiproxy.errors import SettingsError
from aiproxy.services.reloader import Reloader, load
from aiproxy.settings import ApiType, Settings
from tests.routing.samples import settings, upstream


class ReloaderTests(SynchronousTestCase):
    """The file holds the names of upstreams, or "!" for what is refused, "?" for what is odd."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.path = self.mktemp()
        self.published: list[str] = []
        self.loads = 0
        self.write("a")
        self.reloader = Reloader(
            self.path, self.load, self.publish, settings(upstream("a")), self.clock
        )
        self.events: list[LogEvent] = []
        self.reloader.startService()
        self.addCleanup(self.reloader.stopService)
        self.look(2)
        self.loads = 0

    def load(self) -> Settings:
        self.loads += 1
        try:
            with open(self.path, encoding="utf-8") as file:
                names = file.read()
        except OSError as error:
            raise SettingsError(["unreadable"]) from error
        if "!" in names:
            raise SettingsError(["line 1: that is not YAML", "line 2: nor is that"])
        return replace(
            settings(*(upstream(name) for name in names if name != "?")),
            warnings=("line 1: odd",) if "?" in names else (),
        )

    def publish(self, new: Settings) -> None:
        self.published.append("".join(upstream.name for upstream in new.upstreams))

    def write(self, text: str, path: str = "") -> None:
        """A new version, moved into place so that the file is another one."""
        path = path or self.path
        with open(path + ".new", "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(path + ".new", path)

    def look(self, times: int = 2) -> None:
        """That many looks at the file; keeps what is logged of level info and above."""
        with capturedLogs() as events:
            for _ in range(times):
                self.clock.advance(1)
        self.events = [event for event in events if event["log_level"] > LogLevel.debug]

    def test_unchanged(self) -> None:
        """A file that stays as it is is neither loaded nor mentioned."""
        self.look(10)
        self.assertEqual((self.loads, self.published, self.events), (0, [], []))

    def test_change(self) -> None:
        """A change is published after two looks that agree, with a line that tells of it."""
        self.write("ab")
        self.look(1)
        self.assertEqual(self.published, [])
        self.look(1)
        self.assertEqual(self.published, ["ab"])
        (event,) = self.events
        self.assertIn("upstream b", event["changes"])
        self.look(5)
        self.assertEqual((self.loads, self.published), (1, ["ab"]))

    def test_changed_before_the_start(self) -> None:
        """A change between the first loading and the start is not missed."""
        late = Reloader(self.path, self.load, self.publish, settings(), self.clock)
        late.startService()
        self.look(1)
        late.stopService()
        self.assertEqual(self.published, ["a"])

    def test_still_being_written(self) -> None:
        """While the file changes from look to look nothing is loaded; then the last version is."""
        for text in ("ab", "abc", "abcd"):
            self.write(text)
            self.look(1)
        self.assertEqual(self.loads, 0)
        self.look(1)
        self.assertEqual((self.loads, self.published), (1, ["abcd"]))

    def test_warnings(self) -> None:
        """A new warning is told once, as long as it stays."""
        self.write("ab?")
        self.look()
        self.assertEqual([e["problem"] for e in self.events if "problem" in e], ["line 1: odd"])
        self.write("abc?")
        self.look()
        self.assertEqual([e["problem"] for e in self.events if "problem" in e], [])
        self.assertEqual(self.published, ["ab", "abc"])

    def test_refused(self) -> None:
        """What cannot be used is told once, with all its problems, and changes nothing."""
        self.write("!")
        self.look(5)
        self.assertEqual((self.loads, self.published), (1, []))
        self.assertEqual(
            [event["problems"] for event in self.events],
            ["line 1: that is not YAML; line 2: nor is that"],
        )
        self.write("ab")
        self.look()
        self.assertEqual(self.published, ["ab"])

    def test_emptied(self) -> None:
        """A truncated file does not take the last upstream away."""
        self.write("")
        self.look(5)
        self.assertEqual(self.published, [])
        self.assertEqual([event["log_level"] for event in self.events], [LogLevel.error])

    def test_removed(self) -> None:
        """A missing file is told once and changes nothing; when it is back it is loaded."""
        os.remove(self.path)
        self.look(5)
        self.assertEqual((self.loads, self.published), (0, []))
        self.assertEqual([event["log_level"] for event in self.events], [LogLevel.warn])
        self.write("ab")
        self.look()
        self.assertEqual(self.published, ["ab"])
        os.remove(self.path)
        self.look()
        self.assertEqual(len(self.events), 1)

    def test_link(self) -> None:
        """When the path is a link, a change of its target or of the link itself is seen."""
        targets = [self.path + ".1", self.path + ".2"]
        self.write("ab", targets[0])
        self.write("abcd", targets[1])
        for target in targets:
            os.symlink(os.path.basename(target), self.path + ".link")
            os.replace(self.path + ".link", self.path)
            self.look()
        self.write("abcde", targets[1])
        self.look()
        self.assertEqual(self.published, ["ab", "abcd", "abcde"])

    def test_touched(self) -> None:
        """A new date on the same content publishes nothing and is not worth a line."""
        os.utime(self.path, ns=(1, 1))
        self.look()
        self.assertEqual((self.loads, self.published, self.events), (1, [], []))

    def test_publish_fails(self) -> None:
        """A fault of ours while publishing is logged, and the next change is followed again."""
        good = self.published
        self.published = None  # type: ignore[assignment]
        self.write("ab")
        self.look()
        self.assertEqual(len(self.flushLoggedErrors(AttributeError)), 1)
        self.published = good
        self.write("abc")
        self.look()
        self.assertEqual(self.published, ["abc"])

    def test_reload_now(self) -> None:
        """On demand the file is loaded at once, and not a second time by the next looks."""
        self.write("ab")
        self.reloader.reload_now()
        self.assertEqual(self.published, ["ab"])
        self.look(3)
        self.assertEqual((self.loads, self.published), (1, ["ab"]))
        self.reloader.reload_now()
        self.assertEqual((self.loads, self.published), (2, ["ab"]))

    def test_reload_now_without_a_file(self) -> None:
        """On demand a missing file is no reason to fail."""
        os.remove(self.path)
        self.reloader.reload_now()
        self.assertEqual(self.published, [])

    def test_stop(self) -> None:
        """A stopped service looks no more."""
        self.reloader.stopService()
        self.assertEqual(self.clock.getDelayedCalls(), [])


class LoadTests(SynchronousTestCase):
    YAML = "upstreams: [{name: a, base_url: 'http://upstream.invalid', token: t}]\n"

    def file(self, data: bytes) -> str:
        path = self.mktemp()
        with open(path, "wb") as file:
            file.write(data)
        return path

    def load(self, path: str) -> Settings:
        return load(path, {}, {"anthropic": ApiType("tokens")})

    def problem(self, path: str) -> str:
        return str(self.assertRaises(SettingsError, self.load, path))

    def test_load(self) -> None:
        """A file gives settings, with or without a byte order mark."""
        for mark in (b"", b"\xef\xbb\xbf"):
            loaded = self.load(self.file(mark + self.YAML.encode()))
            self.assertEqual([upstream.name for upstream in loaded.upstreams], ["a"])

    def test_secret_file(self) -> None:
        """A secret may be in a file beside the configuration."""
        path = self.file(self.YAML.replace("token: t", "token_file: token.txt").encode())
        with open(os.path.join(os.path.dirname(path), "token.txt"), "w", encoding="utf-8") as file:
            file.write("s3cret\n")
        (one,) = self.load(path).upstreams
        self.assertEqual([token.reveal() for token in one.tokens], ["s3cret"])

    def test_unreadable(self) -> None:
        """What cannot be read is a problem of the settings, told in one line."""
        self.assertIn("No such file", self.problem(self.mktemp()))
        self.assertIn("UTF-8", self.problem(self.file(b"a: \xff\n")))
        self.assertIn("directory", self.problem(os.path.dirname(self.file(b""))).lower())
