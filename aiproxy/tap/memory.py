"""What the process keeps of the memory that it has used."""

from __future__ import annotations

import ctypes

# Numbers of malloc.h.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8

_KEPT_BYTES = 64 << 20
_FROM_HEAP_BYTES = 32 << 20


def keep_memory() -> None:
    """
    Keep what is freed after a large body for the next one.

    The kernel must find and clear every page that it gives, which costs more than the rest of what
    is done with a body that only passes. glibc gives most of one back each time, and raises its
    limits only slowly as it sees larger ones; these are the highest that it would set itself. One
    arena is enough for threads of which Python lets one run, and each of more would keep its own.
    Other C libraries are left as they are.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
        mallopt(_M_MMAP_THRESHOLD, _FROM_HEAP_BYTES)
        mallopt(_M_ARENA_MAX, 1)
