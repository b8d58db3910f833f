"""Waiting for Deferreds, and what errors hold."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from aiproxy.errors import AIProxyError, CredentialError, UpstreamRefused, UpstreamTimeout
from aiproxy.outcome import forget, outcome


class _Held:
    """What a call works on."""


def _left_by(call: Callable[[_Held], Coroutine[Any, Any, None]]) -> int:
    """How many of what it worked on only the collector could free."""
    gc.collect()
    gc.disable()
    try:
        Deferred.fromCoroutine(call(_Held()))
        return sum(isinstance(one, _Held) for one in gc.get_objects())
    finally:
        gc.enable()


def _raised(error: AIProxyError) -> AIProxyError:
    try:
        raise error
    except AIProxyError as caught:
        return caught


class OutcomeTests(SynchronousTestCase):
    def test_results(self) -> None:
        """A result is given, whether it is there or comes later."""
        later: Deferred[int] = Deferred()
        waiting = Deferred.fromCoroutine(outcome(later))
        later.callback(1)
        self.assertEqual(self.successResultOf(waiting), 1)
        self.assertEqual(self.successResultOf(Deferred.fromCoroutine(outcome(succeed(2)))), 2)

    def test_failures(self) -> None:
        """A failure is raised, whether it is there or comes later."""
        later: Deferred[int] = Deferred()
        waiting = Deferred.fromCoroutine(outcome(later))
        later.errback(ZeroDivisionError())
        self.failureResultOf(waiting, ZeroDivisionError)
        there: Deferred[int] = fail(ZeroDivisionError())
        self.failureResultOf(Deferred.fromCoroutine(outcome(there)), ZeroDivisionError)

    def test_nothing_is_left(self) -> None:
        """A call that waits for what has failed already frees what it holds."""

        async def call(held: _Held) -> None:
            with contextlib.suppress(ZeroDivisionError):
                await outcome(fail(ZeroDivisionError()))

        self.assertEqual(_left_by(call), 0)


class ErrorTests(SynchronousTestCase):
    def test_anew(self) -> None:
        """An error that is kept and raised again and again holds nobody who has heard of it."""
        kept = CredentialError("no", retry_after=3.0)
        for _ in range(3):
            raised = _raised(kept.anew())
            self.assertEqual((raised.reply, str(raised)), (kept.reply, "no"))
            self.assertIsNotNone(raised.__traceback__)
        self.assertIsNone(kept.__traceback__)

    def test_anew_of_all_kinds(self) -> None:
        """It is of the same class, however that is made."""
        for error in (UpstreamTimeout("late"), UpstreamRefused(CredentialError("x").reply)):
            again = error.anew()
            self.assertIs(type(again), type(error))
            self.assertEqual((again.reply, again.args), (error.reply, error.args))

    def test_forget(self) -> None:
        """Neither the failure nor what led to it holds frames any more."""
        try:
            try:
                raise KeyError
            except KeyError as first:
                cause = first
                raise ValueError from first
        except ValueError as error:
            failure, last = Failure(), error
        forget(last)
        self.assertEqual((last.__traceback__, cause.__traceback__), (None, None))
        self.assertIsNotNone(failure.tb)
        forget(failure)
        self.assertIsNone(failure.tb)
