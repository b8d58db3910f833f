"""Running calls: never too many, and given time to end."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from aiproxy.errors import NoUpstream
from aiproxy.services.drain import Drain, RunningCall


class DrainTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.drain = Drain(2, self.clock)
        self.cut: list[str] = []

    def enter(self, name: str = "call") -> RunningCall:
        return self.drain.enter(lambda: self.cut.append(name))

    def refusal(self) -> tuple[int, str, float | None]:
        reply = self.assertRaises(NoUpstream, self.enter).reply
        return reply.status, reply.kind, reply.retry_after

    def test_limit(self) -> None:
        """A call beyond the limit is refused until one has ended; leaving twice counts once."""
        first = self.enter()
        self.enter()
        self.assertEqual(self.refusal(), (503, "unavailable", 1.0))
        first.leave()
        first.leave()
        self.enter()
        self.refusal()
        self.assertEqual(self.drain.running, 2)

    def test_new_limit(self) -> None:
        """A reload changes the limit for calls to come; 0 is no limit."""
        self.enter()
        self.drain.set_limit(1)
        self.refusal()
        self.drain.set_limit(0)
        for _ in range(100):
            self.enter()

    def test_context(self) -> None:
        """A call that fails gives its place back too."""

        def call() -> None:
            with self.enter():
                self.assertEqual(self.drain.running, 1)
                raise KeyError

        self.assertRaises(KeyError, call)
        self.assertEqual(self.drain.running, 0)

    def test_stop_when_idle(self) -> None:
        """Nothing runs: stopped at once, and nothing new begins."""
        self.assertEqual(self.successResultOf(self.drain.stop(30)), 0)
        self.assertTrue(self.drain.draining)
        self.refusal()

    def test_stop_waits(self) -> None:
        """It fires when the last call has ended by itself, and leaves no timer."""
        first, second = self.enter(), self.enter()
        stopped = self.drain.stop(30)
        again = self.drain.stop(30)
        first.leave()
        self.assertNoResult(stopped)
        second.leave()
        self.assertEqual(self.successResultOf(stopped), 0)
        self.assertEqual(self.successResultOf(again), 0)
        self.assertEqual(self.cut, [])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stop_cuts(self) -> None:
        """After the timeout what still runs is cut and counted in the log."""
        self.enter("one")
        left_by_cut = self.drain.enter(lambda: left_by_cut.leave())
        stopped = self.drain.stop(30)
        self.clock.advance(29.9)
        self.assertNoResult(stopped)
        with capturedLogs() as events:
            self.clock.advance(0.1)
        self.assertEqual(self.successResultOf(stopped), 2)
        self.assertEqual(self.cut, ["one"])
        self.assertEqual([event["count"] for event in events], [2])

    def test_cut_that_fails(self) -> None:
        """One call that cannot be cut does not save the others."""
        self.drain.enter(lambda: 1 / 0)
        self.enter("two")
        stopped = self.drain.stop(1)
        self.clock.advance(1)
        self.assertEqual(self.successResultOf(stopped), 2)
        self.assertEqual(self.cut, ["two"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_stop_without_waiting(self) -> None:
        """A stop whose caller no longer waits does not disturb the others."""
        call = self.enter()
        impatient: Deferred[int] = self.drain.stop(30)
        impatient.addErrback(lambda reason: None)
        patient = self.drain.stop(30)
        impatient.cancel()
        call.leave()
        self.assertEqual(self.successResultOf(patient), 0)
