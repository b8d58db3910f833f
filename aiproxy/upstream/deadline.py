"""
A clock for the phases of one request: first connecting, then waiting for the answer.
"""

from __future__ import annotations

from functools import partial
from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from aiproxy.errors import UpstreamTimeout
from aiproxy.settings import Timeouts
from aiproxy.upstream.timers import Timer, Timers

T = TypeVar("T")


class Deadline:
    """
    Cancels what it guards when a phase takes too long, and says that it was this clock.

    A cancelled request reports all sorts of failures; only here is known who cancelled it.
    """

    def __init__(self, timers: Timers, timeouts: Timeouts) -> None:
        self._timers = timers
        self._timeouts = timeouts
        self._timer: Timer | None = None
        self._guarded: Deferred[object] | None = None
        self._is_over = False
        self._expired: UpstreamTimeout | None = None

    def connecting(self) -> None:
        """There is no connection yet."""
        self._enter(self._timeouts.connect, "no connection")

    def ready(self) -> None:
        """The connection is there, and the request is sent."""
        self._enter(self._timeouts.headers, "no answer")

    def _enter(self, seconds: float, complaint: str) -> None:
        self._stop()
        if not self._is_over:
            expired = partial(self._expire, seconds, complaint)
            self._timer = self._timers.start(seconds, expired)

    def guard(self, waiting: Deferred[T]) -> Deferred[T]:
        """Makes `waiting` fail with UpstreamTimeout when a phase runs out; no clock outlives it."""
        self._guarded = waiting  # type: ignore[assignment]
        return waiting.addBoth(self._fired)

    def _fired(self, result: T) -> T | Failure:
        self._is_over = True
        self._guarded = None
        self._stop()
        # Nobody keeps the error, whose traceback is going to lead here.
        expired, self._expired = self._expired, None
        if expired is not None and isinstance(result, Failure):
            return Failure(expired)
        return result

    def _expire(self, seconds: float, complaint: str) -> None:
        self._timer = None
        self._expired = UpstreamTimeout(f"{complaint} within {seconds:g} seconds")
        if self._guarded is not None:
            self._guarded.cancel()

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
