"""What the process keeps of the memory that it has used."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall

KEPT_SECONDS = 60.0

# Numbers of malloc.h.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8

_KEPT_BYTES = 64 << 20
_FROM_HEAP_BYTES = 32 << 20


class Memory(Service):
    """
    What is freed after a large body is kept for the next one, and given back in a quiet minute.

    The kernel must find and clear every page that it gives, which costs more than the rest of what
    is done with a body that only passes. glibc gives most of one back each time, and raises its
    limits only slowly as it sees larger ones; these are the highest that it would set itself. One
    arena is enough for threads of which Python lets one run, and each of more would keep its own.
    Other C libraries are left as they are.

    running: says how many calls there are; to give back much would make them wait.
    """

    def __init__(self, running: Callable[[], int], clock: Any) -> None:
        self._running = running
        self._libc = ctypes.CDLL(None)
        self._poller = LoopingCall(self._look)
        self._poller.clock = clock

    def startService(self) -> None:
        super().startService()
        set_limit = getattr(self._libc, "mallopt", None)
        if set_limit is None:
            return
        set_limit(_M_TRIM_THRESHOLD, _KEPT_BYTES)
        set_limit(_M_MMAP_THRESHOLD, _FROM_HEAP_BYTES)
        set_limit(_M_ARENA_MAX, 1)
        self._poller.start(KEPT_SECONDS, now=False)

    def stopService(self) -> Deferred[None] | None:
        if self._poller.running:
            self._poller.stop()
        return super().stopService()

    def _look(self) -> None:
        if not self._running():
            self._libc.malloc_trim(0)
