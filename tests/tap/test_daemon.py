"""What the program says of a request."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from aiproxy import ir
from aiproxy.logs import render
from aiproxy.tap.daemon import entry
from aiproxy.translate import Trail
from aiproxy.web import Record
from tests.providers.samples import call


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
