"""
Counts the calls that run: no more than the limit, none new while the process is ending.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from aiproxy.errors import NoUpstream


class RunningCall:
    """One place among the running calls; leaving twice is the same as once."""

    __slots__ = ("_cut", "_left")

    def __init__(self, left: Callable[[RunningCall], None], cut: Callable[[], object]) -> None:
        self._left = left
        self._cut = cut

    def cut(self) -> None:
        self._cut()

    def leave(self) -> None:
        """The call has ended, however it did."""
        self._left(self)

    def __enter__(self) -> RunningCall:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.leave()


class Drain:
    """
    The running calls of the process.

    limit: calls that may run at once, 0 for any number.
    """

    log = Logger()

    def __init__(self, limit: int, clock: IReactorTime) -> None:
        self._limit = limit
        self._clock = clock
        self._running: set[RunningCall] = set()
        self._draining = False
        self._waiters: list[Deferred[int]] = []
        self._timer: IDelayedCall | None = None

    @property
    def running(self) -> int:
        return len(self._running)

    @property
    def draining(self) -> bool:
        return self._draining

    def set_limit(self, limit: int) -> None:
        """From now on; calls that run already go on."""
        self._limit = limit

    def enter(self, cut: Callable[[], object]) -> RunningCall:
        """
        Take a place for one call; give it back with `leave` or by using it in a `with`.

        cut: ends the call at once, for a stop that cannot wait.
        Raises: NoUpstream (503) when there is no place.
        """
        if self._draining:
            raise _refusal("aiproxy is shutting down.")
        if 0 < self._limit <= len(self._running):
            raise _refusal("Too many calls are running.")
        call = RunningCall(self._leave, cut)
        self._running.add(call)
        return call

    def stop(self, timeout: float) -> Deferred[int]:
        """
        Refuse new calls and wait for the running ones, at most `timeout` seconds.

        Fires with the number of calls that had to be cut. A second stop waits for the same end.
        """
        self._draining = True
        if not self._running:
            return succeed(0)
        done: Deferred[int] = Deferred()
        self._waiters.append(done)
        if self._timer is None:
            self.log.info("waiting for {count} calls to end", count=len(self._running))
            self._timer = self._clock.callLater(timeout, self._cut)
        return done

    def _leave(self, call: RunningCall) -> None:
        self._running.discard(call)
        if self._running or not self._waiters:
            return
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
            self._finish(0)

    def _cut(self) -> None:
        calls = tuple(self._running)
        self._running.clear()
        self.log.warn(  # noqa: G010 (Twisted's name)
            "cutting {count} calls that did not end in time", count=len(calls)
        )
        for call in calls:
            try:
                call.cut()
            except Exception:
                self.log.failure("a call could not be cut")
        self._finish(len(calls))

    def _finish(self, count: int) -> None:
        self._timer = None
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter.callback(count)


def _refusal(message: str) -> NoUpstream:
    return NoUpstream(message, status=503, kind="unavailable", retry_after=1.0)
