"""The command line and the parts that `twistd` is not needed for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from twisted.python.reflect import namedAny
from twisted.python.usage import UsageError
from twisted.trial.unittest import SynchronousTestCase

from aiproxy import ir
from aiproxy.logs import render
from aiproxy.tap import Options, entry, log_observer, usable
from aiproxy.translate import Trail
from aiproxy.web import Record
from tests.providers.samples import call
from tests.routing.samples import settings, upstream


class OptionsTests(SynchronousTestCase):
    """What stands behind `twistd -n aiproxy`."""

    def options(self, *arguments: str, **twistd: Any) -> dict[str, Any]:
        """The options of twistd itself after these of ours."""
        parent = {"nodaemon": True, **twistd}
        options = Options()
        options.parent = parent  # type: ignore[assignment]
        options.parseOptions(list(arguments))
        return parent

    def test_observer(self) -> None:
        """Events go to our observer, which twistd finds by its name."""
        self.assertIs(namedAny(self.options()["logger"]), log_observer)

    def test_own_choice(self) -> None:
        """Whoever tells twistd where to log gets that."""
        for choice in ({"logfile": "x"}, {"syslog": True}):
            self.assertNotIn("logger", self.options(**choice))
        self.assertEqual(self.options(logger="mine")["logger"], "mine")

    def test_wrong(self) -> None:
        """Unknown options are refused."""
        self.assertRaises(UsageError, Options().parseOptions, ["--demmo"])

    def test_config(self) -> None:
        """The file is config.yaml here unless told otherwise."""
        options = Options()
        options.parseOptions([])
        self.assertEqual(options["config"], "config.yaml")
        options.parseOptions(["-c", "x.yaml"])
        self.assertEqual(options["config"], "x.yaml")


class UsableTests(SynchronousTestCase):
    """Upstreams that this version cannot speak to."""

    def test_left_out(self) -> None:
        """They are left out, each with a warning; disabled ones are not worth one."""
        good = upstream("good")
        strange = replace(good, name="strange", api_type="strange")
        off = replace(strange, name="off", enabled=False)
        kept = usable(settings(good, strange, off))
        self.assertEqual(kept.upstreams, (good, off))
        self.assertEqual(len(kept.warnings), 1)
        self.assertIn("strange", kept.warnings[0])

    def test_unchanged(self) -> None:
        """Where there are none, nothing changes."""
        self.assertEqual(usable(settings(upstream("a"))), settings(upstream("a")))


class EntryTests(SynchronousTestCase):
    """Access lines."""

    def test_refused(self) -> None:
        """A request that was refused has no more than its status and sizes."""
        line = render(entry(Record("i", "chat", 401, 5, 99, 0.25)))
        self.assertIn("client=chat model=- mapped=- upstream=- attempts=0 status=401", line)
        self.assertIn("request_bytes=5 response_bytes=99 first_event=- duration=0.250", line)
        self.assertTrue(line.endswith("outcome=refused"))

    def test_call(self) -> None:
        """A call tells of its attempts, its times and its usage, input and output in full."""
        trail = Trail(call("chat"), started=100.0)
        trail.attempt("up", "mapped")
        trail.first_event = 100.5
        trail.usage = ir.Usage(input=1, cache_read=2, cache_write=4, output=8, reasoning=16)
        trail.outcome = "ok"
        trail.lost([ir.Loss("seed", "dropped")])
        line = render(entry(Record("id-1", "chat", 200, 5, 99, 2.0, trail)))
        self.assertIn("model=m mapped=mapped upstream=up attempts=1 status=200", line)
        self.assertIn("first_event=0.500 duration=2.000", line)
        self.assertIn("in_tokens=7 cached_tokens=2 out_tokens=24 reasoning_tokens=16", line)
        self.assertTrue(line.endswith("stream=no losses=seed outcome=ok"))

    def test_unknown_usage(self) -> None:
        """Usage that no upstream told stays unknown."""
        trail = Trail(call("chat"), started=0.0)
        line = render(entry(Record("id-1", "chat", 502, 5, 99, 2.0, trail)))
        self.assertIn("in_tokens=- cached_tokens=- out_tokens=- reasoning_tokens=-", line)
