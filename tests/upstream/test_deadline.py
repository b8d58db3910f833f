"""Tests of aiproxy.upstream.deadline."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from aiproxy.errors import UpstreamTimeout
from aiproxy.upstream.deadline import Deadline
from aiproxy.upstream.timers import Timers
from tests.upstream.servers import timeouts


class DeadlineTests(SynchronousTestCase):
    """Phases of one request."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.deadline = Deadline(Timers(self.clock), timeouts(connect=3, headers=10))
        self.deadline.connecting()
        self.request: Deferred[str] = Deferred()
        self.guarded = self.deadline.guard(self.request)

    def test_first_phase(self) -> None:
        """The first phase that runs out cancels, and the error names it."""
        self.clock.advance(3)
        error = self.failureResultOf(self.guarded, UpstreamTimeout).value
        self.assertEqual(str(error), "no connection within 3 seconds")

    def test_second_phase(self) -> None:
        """A phase begun ends the one before."""
        self.clock.advance(2)
        self.deadline.ready()
        self.clock.advance(9)
        self.assertNoResult(self.guarded)
        self.clock.advance(1)
        error = self.failureResultOf(self.guarded, UpstreamTimeout).value
        self.assertEqual(str(error), "no answer within 10 seconds")

    def test_result(self) -> None:
        """A result passes, and nothing runs out, even when a phase begins after it."""
        self.request.callback("answer")
        self.deadline.ready()
        self.assertEqual(self.successResultOf(self.guarded), "answer")
        later: Deferred[str] = Deferred()
        self.deadline.guard(later)
        self.clock.advance(20)
        self.assertNoResult(later)

    def test_cancelled_by_the_caller(self) -> None:
        """A caller's own cancel is no timeout."""
        self.guarded.cancel()
        self.failureResultOf(self.guarded, CancelledError)
