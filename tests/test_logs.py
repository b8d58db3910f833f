"""Log lines: one per event, unforgeable, without secrets; files that rotate."""

from __future__ import annotations

import gzip
import io
import os
import re
import stat
import sys
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.logger import Logger, LogLevel
from twisted.trial.unittest import SynchronousTestCase

from aiproxy import logs
from aiproxy.logs import AccessEntry, AccessLog, LineObserver, RotatingFile, StreamSink
from aiproxy.settings import LogSettings

ENTRY = AccessEntry(
    id="r1",
    client="anthropic",
    model="claude",
    mapped="gpt",
    upstream="main",
    attempts=2,
    status=200,
    request_bytes=10,
    response_bytes=2048,
    first_event=0.25,
    duration=1.5,
    in_tokens=7,
    cached_tokens=0,
    out_tokens=9,
    stream=True,
    losses=("top_k", "cache_control"),
)

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d"


class LineObserverTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.stream = io.StringIO()
        self.observer = LineObserver(StreamSink(self.stream))
        self.log = Logger(namespace="here", observer=self.observer)

    def line(self) -> str:
        lines = self.stream.getvalue().splitlines()
        self.assertEqual(len(lines), 1, lines)
        return lines[0]

    def test_shape(self) -> None:
        """Time with offset, level, namespace, text."""
        self.log.info("{count} upstreams", count=3)
        self.assertRegex(self.line(), f"^{TIME} info here 3 upstreams$")

    def test_level(self) -> None:
        """Events below the level leave no line."""
        self.log.debug("detail")
        self.assertEqual(self.stream.getvalue(), "")
        self.observer = LineObserver(StreamSink(self.stream), LogLevel.debug)
        Logger(namespace="here", observer=self.observer).debug("detail")
        self.assertIn("detail", self.line())

    def test_no_forged_lines(self) -> None:
        """Newlines, escapes, separators and direction marks are written out."""
        self.log.info("{model}", model="a\nb\r\x1b[2J\x85\u2028\u202e\ud800")
        self.assertTrue(self.line().endswith(r"a\nb\r\x1b[2J\x85\u2028\u202e\ud800"), self.line())

    def test_secrets(self) -> None:
        """What looks like a credential or a URL does not get through."""
        self.log.info(
            "{text}", text="GET https://x.invalid/?key=abc Bearer abcdefghijkl sk-123456789"
        )
        for secret in ("abc", "x.invalid", "abcdefghijkl", "123456789"):
            self.assertNotIn(secret, self.line())

    def test_failure(self) -> None:
        """A traceback is one line that ends the event's own, and is cleaned as well."""
        try:
            raise ValueError("one\ntwo sk-123456789")
        except ValueError:
            self.log.failure("the call broke")
        line = self.line()
        self.assertIn(r"critical here the call broke [ValueError: one\ntwo", line)
        self.assertIn("test_logs.py", line)
        self.assertNotIn("123456789", line)

    def test_broken_event(self) -> None:
        """An event that cannot be formatted is still one line."""
        self.observer({"log_format": "{missing}", "log_level": LogLevel.info})
        self.observer({})
        self.assertEqual(len(self.stream.getvalue().splitlines()), 2)

    @given(st.text())
    def test_one_line(self, text: str) -> None:
        """Whatever the text, an event is one line that UTF-8 can encode."""
        stream = io.StringIO()
        Logger(namespace="x", observer=LineObserver(StreamSink(stream))).info("{text}", text=text)
        self.assertEqual(len(stream.getvalue().splitlines()), 1)
        stream.getvalue().encode()


class StreamSinkTests(SynchronousTestCase):
    def test_gone(self) -> None:
        """A stream that was closed under us is no reason to fail."""
        stream = io.StringIO()
        sink = StreamSink(stream)
        stream.close()
        sink.write("line\n")
        sink.reopen()
        sink.close()


class AccessLogTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.stream = io.StringIO()
        self.access = AccessLog(StreamSink(self.stream), self.clock)

    def test_line(self) -> None:
        """Every field in its place, a dash for what is unknown."""
        self.assertEqual(
            logs.render(ENTRY),
            "id=r1 client=anthropic model=claude mapped=gpt upstream=main attempts=2 status=200"
            " request_bytes=10 response_bytes=2048 first_event=0.250 duration=1.500 in_tokens=7"
            " cached_tokens=0 out_tokens=9 reasoning_tokens=- stream=yes"
            " losses=top_k,cache_control outcome=ok",
        )

    def test_values_are_quoted(self) -> None:
        """A model name that a client made up cannot add a field or a line, nor be endless."""
        text = logs.render(ENTRY._replace(model='x" status=1\n\\'))
        self.assertIn(r'model="x\" status=1\n\\"', text)
        text = logs.render(ENTRY._replace(model="m" * 5000))
        self.assertLess(len(text), 1000)

    def test_written_in_batches(self) -> None:
        """Lines wait for the timer, and no timer runs without lines."""
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.access.add(ENTRY)
        self.access.add(ENTRY)
        self.assertEqual(self.stream.getvalue(), "")
        self.clock.advance(logs.FLUSH_SECONDS)
        lines = self.stream.getvalue().splitlines()
        self.assertEqual(len(lines), 2)
        self.assertRegex(lines[0], f"^{TIME} access id=r1 ")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_full_batch(self) -> None:
        """Many lines do not wait for the timer."""
        while not self.stream.getvalue():
            self.access.add(ENTRY)
        self.assertGreaterEqual(len(self.stream.getvalue()), logs.FLUSH_BYTES)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stop(self) -> None:
        """The end of the service writes what is left."""
        self.access.startService()
        self.access.add(ENTRY)
        self.access.stopService()
        self.assertEqual(len(self.stream.getvalue().splitlines()), 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class RotatingFileTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = os.path.join(self.mktemp(), "missing", "folder")
        self.path = os.path.join(self.folder, "aiproxy.log")
        self.now = 1_777_894_620.25

    def open(
        self,
        size: int = 20,
        backups: int = 3,
        age: float = 0,
        compress: bool = False,
        in_thread: Callable[[Callable[[], None]], object] | None = None,
    ) -> RotatingFile:
        limits = LogSettings(
            file=self.path,
            max_size_bytes=size,
            max_backups=backups,
            max_age_seconds=age,
            compress=compress,
        )
        file = RotatingFile(limits, in_thread or (lambda work: work()), lambda: self.now)
        self.addCleanup(file.close)
        return file

    def text(self, name: str = "aiproxy.log") -> str:
        with open(os.path.join(self.folder, name), encoding="utf-8") as file:
            return file.read()

    def old(self) -> list[str]:
        return sorted(name for name in os.listdir(self.folder) if name != "aiproxy.log")

    def test_made(self) -> None:
        """Missing folders are made; the file is the owner's alone; lines are appended."""
        self.open().write("one\n")
        self.open().write("zwei ü\n")
        self.assertEqual(self.text(), "one\nzwei ü\n")
        self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o600)

    def test_rotation(self) -> None:
        """The line that would exceed the size begins a new file; the old one is dated."""
        file = self.open(size=12)
        file.write("first 1\n")
        file.write("sec\n")
        self.assertEqual(self.old(), [])
        file.write("third\n")
        self.assertEqual(self.old(), ["aiproxy-2026-05-04T11-37-00.250.log"])
        self.assertEqual(self.text(self.old()[0]), "first 1\nsec\n")
        self.assertEqual(self.text(), "third\n")

    def test_line_longer_than_a_file(self) -> None:
        """It is written whole, and an empty file is never moved aside."""
        file = self.open(size=4)
        file.write("much too long\n")
        self.assertEqual(self.old(), [])
        self.assertEqual(self.text(), "much too long\n")

    def test_same_millisecond(self) -> None:
        """Two rotations at once do not overwrite each other."""
        file = self.open(size=1)
        for line in "abcd":
            file.write(line)
        self.assertEqual([self.text(name) for name in self.old()], ["a", "b", "c"])

    def test_most_backups(self) -> None:
        """Only the newest old files are kept; others' files are not touched."""
        file = self.open(size=1, backups=2)
        strangers = ["aiproxy-notes.log", "aiproxy-2026-99-99T99-99-99.000.log"]
        for name in strangers:
            with open(os.path.join(self.folder, name), "w", encoding="utf-8"):
                pass
        for line in "abcde":
            file.write(line)
            self.now += 60
        kept = [name for name in self.old() if name not in strangers]
        self.assertEqual([self.text(name) for name in kept], ["c", "d"])
        self.assertLess(set(strangers), set(self.old()))

    def test_age(self) -> None:
        """Old files go when they are too old, also at a start."""
        file = self.open(size=1, backups=0, age=100)
        file.write("a")
        file.write("b")
        self.now += 101
        self.open(size=1, backups=0, age=100)
        self.assertEqual(self.old(), [])

    def test_compression(self) -> None:
        """Old files are compressed in a thread, with the owner's mode, and counted as before."""
        work: list[Callable[[], None]] = []
        file = self.open(size=1, backups=2, compress=True, in_thread=work.append)
        for line in "abcd":
            file.write(line)
            self.now += 60
        self.assertTrue(all(name.endswith(".log") for name in self.old()))
        for job in work:
            job()
        self.assertTrue(all(name.endswith(".log.gz") for name in self.old()), self.old())
        texts = []
        for name in self.old():
            path = os.path.join(self.folder, name)
            self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
            with gzip.open(path) as packed:
                texts.append(packed.read())
        self.assertEqual(texts, [b"b", b"c"])

    def test_reopen(self) -> None:
        """After somebody else moved the file, reopening begins a new one."""
        file = self.open()
        file.write("old\n")
        os.rename(self.path, self.path + ".1")
        file.write("still\n")
        file.reopen()
        file.write("new\n")
        self.assertEqual(self.text("aiproxy.log.1"), "old\nstill\n")
        self.assertEqual(self.text(), "new\n")

    def test_folder_lost(self) -> None:
        """A file that cannot be opened any more sends its lines to stderr (not the one that twistd
        logs) and never raises."""
        errors = io.StringIO()
        self.patch(sys, "__stderr__", errors)
        file = self.open()
        os.rename(self.folder, self.folder + "-gone")
        file.reopen()
        file.write("kept somewhere\n")
        self.assertIn("kept somewhere\n", errors.getvalue())
        os.rename(self.folder + "-gone", self.folder)
        file.write("back\n")
        self.assertEqual(self.text(), "back\n")

    def test_odd_text(self) -> None:
        """Text that UTF-8 cannot encode is written all the same."""
        self.open().write("\ud800\n")
        self.assertEqual(self.text(), "\\ud800\n")


class OpenSinkTests(SynchronousTestCase):
    def test_choice(self) -> None:
        """Without a file name lines go to stderr, else to the file."""
        path = self.mktemp()
        for name, kind in (("", StreamSink), (path, RotatingFile)):
            limits = LogSettings(
                file=name, max_size_bytes=0, max_backups=0, max_age_seconds=0, compress=False
            )
            sink = logs.open_sink(limits, lambda work: None)
            self.addCleanup(sink.close)
            self.assertIsInstance(sink, kind)

    def test_timestamp(self) -> None:
        """A time tells its zone."""
        self.assertTrue(re.fullmatch(TIME, logs.timestamp(0)))
