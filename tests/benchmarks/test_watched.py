"""What counts as a stall."""

from __future__ import annotations

from io import StringIO

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from benchmarks.watched import Watch, longest_seconds


class WatchTests(SynchronousTestCase):
    """The watch and its file."""

    def test_longest(self) -> None:
        """Waiting without working is no stall, nor is what happened outside the window."""
        text = "10.0 90.0 80.0\n20.0 30.0 25.0\n21.0 500.0 5.0\n30.0 90.0 80.0\n"
        self.assertEqual(longest_seconds(text, 15.0, 25.0), 0.025)
        self.assertEqual(longest_seconds("", 0.0, 99.0), 0.0)

    def test_quiet(self) -> None:
        """A reactor that comes round in time leaves no line, and is asked again and again."""
        clock, file = Clock(), StringIO()
        Watch(clock, file).tick()
        clock.pump([0.002] * 5)
        self.assertEqual(file.getvalue(), "")
        self.assertEqual(len(clock.getDelayedCalls()), 1)
