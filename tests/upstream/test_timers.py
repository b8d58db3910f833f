"""Tests of aiproxy.upstream.timers."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from aiproxy.upstream.timers import Timers


class TimersTests(SynchronousTestCase):
    """Many timers of few lengths."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.timers = Timers(self.clock)
        self.seen: list[tuple[str, float]] = []

    def _noting(self, name: str) -> Callable[[], None]:
        return lambda: self.seen.append((name, self.clock.seconds()))

    def test_each_in_its_time(self) -> None:
        """Those of one length and those of another run out when each has to."""
        self.timers.start(10, self._noting("a"))
        self.timers.start(4, self._noting("b"))
        self.clock.advance(3)
        self.timers.start(10, self._noting("c"))
        self.clock.pump([1] * 20)
        self.assertEqual(self.seen, [("b", 4), ("a", 10), ("c", 13)])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_one_for_all(self) -> None:
        """However many there are of a length, the reactor has one."""
        for _ in range(100):
            self.timers.start(10, self._noting("some")).stop()
            self.clock.advance(0.01)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)

    def test_stopped(self) -> None:
        """One that is stopped does not run out, the others do so no earlier or later."""
        first = self.timers.start(10, self._noting("first"))
        self.clock.advance(1)
        self.timers.start(10, self._noting("second"))
        first.stop()
        first.stop()
        self.clock.pump([1] * 20)
        self.assertEqual(self.seen, [("second", 11)])

    def test_stopped_by_another(self) -> None:
        """Of two that are due, the first may stop the second."""
        self.timers.start(10, lambda: second.stop())
        second = self.timers.start(10, self._noting("second"))
        self.clock.advance(20)
        self.assertEqual(self.seen, [])

    def test_started_by_another(self) -> None:
        """One that is started when another runs out counts from then, behind those before it."""

        def again() -> None:
            self._noting("first")()
            self.timers.start(10, self._noting("third"))

        self.timers.start(10, again)
        self.clock.advance(5)
        self.timers.start(10, self._noting("second"))
        self.clock.pump([1] * 20)
        self.assertEqual(self.seen, [("first", 10), ("second", 15), ("third", 20)])

    def test_clock_set_back(self) -> None:
        """Somebody may set the system's clock back: what is started then runs out in its time."""
        self.timers.start(10, self._noting("first"))
        self.timers.start(10, self._noting("second")).stop()
        self.clock.advance(7200)
        self.timers.start(10, self._noting("third"))
        self.clock.rightNow -= 3600
        self.timers.start(10, self._noting("fourth"))
        self.clock.pump([1] * 20)
        self.assertEqual(self.seen, [("first", 7200), ("third", 3610), ("fourth", 3610)])

    def test_clock_set_back_a_little(self) -> None:
        """Also when it is still later than when the first of them was started."""
        self.timers.start(600, self._noting("first"))
        self.clock.advance(590)
        self.timers.start(600, self._noting("second"))
        self.clock.rightNow -= 580
        self.timers.start(600, self._noting("third"))
        self.clock.pump([1] * 1300)
        self.assertEqual(self.seen, [("first", 600), ("second", 610), ("third", 610)])

    def test_busy(self) -> None:
        """What one of them takes long for does not make the next one later still."""
        self.timers.start(10, lambda: self.clock.advance(3))
        self.clock.advance(5)
        self.timers.start(10, self._noting("second"))
        self.clock.pump([1] * 20)
        self.assertEqual(self.seen, [("second", 15)])

    def test_failure(self) -> None:
        """What goes wrong in one does not stop the others."""

        def wrong() -> None:
            raise RuntimeError("wrong")

        self.timers.start(10, wrong)
        self.timers.start(10, self._noting("second"))
        self.assertRaises(RuntimeError, self.clock.advance, 10)
        self.clock.advance(0)
        self.assertEqual(self.seen, [("second", 10)])

    def test_stop(self) -> None:
        """Nothing runs out any more, and nothing of them is left, however often it is said."""
        self.timers.start(10, self.timers.stop)
        self.timers.start(10, self._noting("second"))
        self.timers.start(4, self._noting("third"))
        self.clock.advance(3)
        self.timers.start(12, self._noting("fourth"))
        self.clock.pump([2, 5])
        self.assertEqual(self.seen, [("third", 5)])
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.timers.stop()
