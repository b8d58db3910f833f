"""Timers of which there are many, of few lengths, and nearly all stopped before their time."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime


class Timers:
    """
    Those of one length run out in the order in which they were started.

    So one of the reactor's own, for the first of them, serves all. It is left alone when that one
    is stopped, and sees for itself, when its time has come, who is first by now.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._queues: dict[float, _Queue] = {}

    def start(self, seconds: float, expired: Callable[[], None]) -> Timer:
        """Calls `expired` in so many seconds."""
        queue = self._queues.get(seconds)
        if queue is None:
            queue = self._queues[seconds] = _Queue(self._clock, seconds)
        return queue.start(expired)

    def stop(self) -> None:
        """None of them runs out any more."""
        for queue in self._queues.values():
            queue.stop()
        self._queues.clear()


class Timer:
    """One that runs."""

    __slots__ = ("_queue", "expired")

    def __init__(self, queue: _Queue, expired: Callable[[], None]) -> None:
        self._queue = queue
        self.expired = expired

    def stop(self) -> None:
        """Whether it has run out or not."""
        self._queue.waiting.pop(self, None)


class _Queue:
    """Timers of one length. waiting: when each is due, the first that is due first."""

    def __init__(self, clock: IReactorTime, seconds: float) -> None:
        # Of a dict, the first of what is left is slow to find.
        self.waiting: OrderedDict[Timer, float] = OrderedDict()
        self._clock = clock
        self._seconds = seconds
        self._next: IDelayedCall | None = None

    def start(self, expired: Callable[[], None]) -> Timer:
        due = self._clock.seconds() + self._seconds
        if next(reversed(self.waiting.values()), due) > due:
            # Somebody has set the system's clock back: nothing that runs is due later than this.
            self.waiting.update([(one, min(at, due)) for one, at in self.waiting.items()])
        if self._next is None:
            self._next = self._clock.callLater(self._seconds, self._look)
        elif self._next.getTime() > due and self._next.active():
            self._next.reset(self._seconds)
        timer = Timer(self, expired)
        self.waiting[timer] = due
        return timer

    def stop(self) -> None:
        self.waiting.clear()
        if self._next is not None and self._next.active():
            self._next.cancel()
        self._next = None

    def _look(self) -> None:
        now = self._clock.seconds()
        try:
            while self.waiting:
                timer, due = next(iter(self.waiting.items()))
                if due > now:
                    break
                del self.waiting[timer]
                timer.expired()
        finally:
            first = next(iter(self.waiting.values()), None)
            self._next = None
            if first is not None:
                rest = first - self._clock.seconds()
                self._next = self._clock.callLater(max(rest, 0), self._look)
