"""Waiting for Deferreds without leaving anything to the garbage collector."""

from __future__ import annotations

from typing import TypeVar, cast

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

T = TypeVar("T")


async def outcome(waiting: Deferred[T]) -> T:
    """
    What `await waiting` gives or raises, of a Deferred that may have failed already.

    twisted raises such a failure from a frame that holds it, and so through all frames that it
    passes: with what they hold, a call's body for instance, they would be one cycle.
    """
    if not waiting.called or waiting.paused:
        return await waiting
    if isinstance(waiting.result, Failure):
        failed: list[Failure] = []
        waiting.addErrback(failed.append)
        raise cast(BaseException, failed.pop().value)
    return cast(T, waiting.result)


def forget(failed: Failure | BaseException) -> None:
    """
    Nobody asks any more where it came from.

    An error holds the frames that it came through, and those from which they were called. Behind a
    Deferred twisted's own are among them, which hold the error.
    """
    error: BaseException | None
    if isinstance(failed, Failure):
        failed.tb, error = None, failed.value
    else:
        error = failed
    while error is not None:
        error.__traceback__ = None
        error = error.__context__
