"""
Work that would keep everybody else waiting: off the reactor's thread when there is much of it.

A thread that computes still holds the interpreter's lock, but gives it up between two steps: what
would be one long stall becomes several short ones.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

T = TypeVar("T")

LARGE_BYTES = 1 << 20
"""What is done at once with less takes some milliseconds."""


class Aside:
    """in_thread: runs work elsewhere, as `deferToThread` does; None to do all work at once."""

    def __init__(self, in_thread: Callable[[Callable[[], Any]], Awaitable[Any]] | None = None):
        self._in_thread = in_thread

    async def run(self, size_bytes: int, work: Callable[[], T]) -> T:
        """
        The result of `work`, or what it raises. It must not touch what others may change.

        size_bytes: of what it works on.
        """
        if size_bytes < LARGE_BYTES or self._in_thread is None:
            return work()
        failed: list[Exception] = []

        def attempted() -> T | None:
            try:
                return work()
            except Exception as error:
                failed.append(error)
                return None

        result = await self._in_thread(attempted)
        if failed:
            # Neither the thread's frames nor this one hold it: they would be a cycle, body and all.
            raise failed.pop()
        done: T = result
        return done


AT_ONCE = Aside()
"""Does not use threads."""
