"""Drives a provider's flow: the conversation with a login service that renews a token."""

from __future__ import annotations

from dataclasses import replace
from typing import NoReturn

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from aiproxy.errors import CredentialError, UpstreamError
from aiproxy.messages import HttpReply, HttpRequest
from aiproxy.outcome import outcome
from aiproxy.providers.contract import Change, Flow, Pause
from aiproxy.settings import Upstream
from aiproxy.upstream.client import UpstreamClient

MAX_REPLY_BYTES = 1024 * 1024
ANSWER_SECONDS = 30.0
"""For each answer of a login service; calls wait for it."""

FLOW_SECONDS = 90.0
"""For a whole conversation with it, pauses included."""

_NOTHING = HttpReply(0)


def drive(
    flow: Flow, upstream: Upstream, client: UpstreamClient, clock: IReactorTime
) -> Deferred[tuple[Change, ...]]:
    """
    What the flow comes to.

    Fails with what the flow raises; with CredentialError when the service cannot be reached, or
    takes for ever.
    """
    driven = Deferred.fromCoroutine(_driven(flow, upstream, client, clock))
    return driven.addTimeout(FLOW_SECONDS, clock, onTimeoutCancel=_took_too_long)


def _took_too_long(result: object, seconds: float) -> NoReturn:
    raise CredentialError(f"the login service is not done after {seconds:g} seconds")


async def _driven(
    flow: Flow, upstream: Upstream, client: UpstreamClient, clock: IReactorTime
) -> tuple[Change, ...]:
    reply: HttpReply | None = None
    try:
        while True:
            try:
                step = next(flow) if reply is None else flow.send(reply)
            except StopIteration as finished:
                changes: tuple[Change, ...] = finished.value
                return changes
            if isinstance(step, Pause):
                await deferLater(clock, step.seconds)
                reply = _NOTHING
            else:
                reply = await _asked(step, upstream, client)
    except UpstreamError as error:
        raise CredentialError(f"the login service does not answer: {error.reply.message}") from None
    finally:
        flow.close()


async def _asked(request: HttpRequest, upstream: Upstream, client: UpstreamClient) -> HttpReply:
    timeouts = replace(upstream.timeouts, headers=ANSWER_SECONDS, whole_answer=ANSWER_SECONDS)
    reply = await outcome(client.request(request, timeouts, home=upstream.home))
    return HttpReply(reply.status, reply.headers, await outcome(reply.whole(MAX_REPLY_BYTES)))
