"""
The one attempt loop: models, upstreams, credentials, until one answers.

Models come from the fallback chain, upstreams from the balancer, credentials from the credentials
service; `routing.faults` says after each failure which of the three may be tried next.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from aiproxy import ir
from aiproxy.aside import AT_ONCE, Aside
from aiproxy.errors import (
    AIProxyError,
    BadRequest,
    CredentialError,
    ErrorReply,
    NoUpstream,
    UpstreamError,
)
from aiproxy.messages import Credential
from aiproxy.outcome import forget
from aiproxy.providers import PROVIDERS
from aiproxy.providers.contract import Call, Provider
from aiproxy.routing.faults import THROTTLED, Fault, classify, final_reply
from aiproxy.routing.models import fallback_chain
from aiproxy.services.balancer import Balancer, Pick
from aiproxy.services.credentials import Credentials
from aiproxy.settings import Settings
from aiproxy.translate.attempt import Attempt, Resources
from aiproxy.translate.client import Client, end_broken
from aiproxy.translate.pairing import Heartbeat
from aiproxy.translate.trail import Trail
from aiproxy.upstream.client import UpstreamClient
from aiproxy.wire import INBOUND
from aiproxy.wire.estimate import estimated_tokens


class Translator:
    """
    Answers calls.

    settings: gives those in force; a call keeps what it read.
    ended: told once of every call, however it went.
    """

    log = Logger()

    def __init__(
        self,
        settings: Callable[[], Settings],
        balancer: Balancer,
        credentials: Credentials,
        upstreams: UpstreamClient,
        clock: IReactorTime,
        ended: Callable[[Trail], None] = lambda trail: None,
        providers: Mapping[str, Provider] = PROVIDERS,
        aside: Aside = AT_ONCE,
    ) -> None:
        self._settings = settings
        self._balancer = balancer
        self._credentials = credentials
        self._resources = Resources(upstreams, clock, aside)
        self._clock = clock
        self._ended = ended
        self._providers = providers

    def translate(self, call: Call, client: Client) -> Deferred[None]:
        """
        Answer `call` on `client`, with an answer or with an error in the client's dialect.

        Cancelling it means that the client has left: the attempt that runs is torn down.
        """
        return Deferred.fromCoroutine(self.answer(call, client))

    async def answer(self, call: Call, client: Client) -> None:
        """`translate` for coroutines: a Deferred between two of them would cost every call."""
        trail = Trail(call, self._clock.seconds())
        heartbeat = self._heartbeat(call, client, trail) if call.head.stream else None
        try:
            await self._answer(call, client, trail)
        except CancelledError:
            trail.outcome = "left"
            raise
        except AIProxyError as error:
            trail.outcome = "failed"
            _say(call, client, trail, error.reply)
            forget(error)
        except Exception as error:
            trail.outcome = "failed"
            self.log.failure("{call} failed inside aiproxy", call=call.id)
            _say(call, client, trail, ErrorReply(500, "internal", f"internal error ({call.id})"))
            forget(error)
        finally:
            if heartbeat is not None:
                heartbeat.stop()
            self._ended(trail)

    def _heartbeat(self, call: Call, client: Client, trail: Trail) -> Heartbeat:
        """Of a stream, begun."""
        heartbeat = Heartbeat(
            client,
            lambda: _beat(call, trail),
            lambda: _open(call, client, trail),
            self._clock,
        )
        heartbeat.start(self._settings().keepalive_seconds)
        return heartbeat

    async def _answer(self, call: Call, client: Client, trail: Trail) -> None:
        """Raises: AIProxyError, when nothing could answer."""
        for model in fallback_chain(call.head.model, self._settings().model_fallback):
            if await self._try_model(model, call, client, trail):
                return
        if not trail.errors:
            raise self._balancer.why_none(call.head.model)
        raise UpstreamError(final_reply(trail.errors))

    async def _try_model(self, model: str, call: Call, client: Client, trail: Trail) -> bool:
        """
        Ask upstreams for `model` until one answers. False when none did.

        Raises: UpstreamError, when the client shall hear of it at once.
        """
        tried: set[str] = set()
        wait: float | None = None
        repeated = False
        pick = self._balancer.pick(model, tried)
        while pick is not None:
            tried.add(pick.upstream.name)
            try:
                if wait:
                    await deferLater(self._clock, wait)
                    wait = None
                await self._try_upstream(pick, call, client, trail)
            except CancelledError:
                self._balancer.released(pick)
                raise
            except (BadRequest, NoUpstream, CredentialError) as error:
                # Nothing was asked, so that nothing was learnt of the upstream.
                self._balancer.released(pick)
                trail.failed(error)
                forget(error)
                pick = self._balancer.pick(model, tried)
            except AIProxyError as error:
                fault = classify(error)
                trail.failed(error)
                forget(error)
                if trail.outcome == "broken":
                    self._report(pick, fault, error, call)
                    return True
                following = self._balancer.pick(model, tried) if fault.next_upstream else None
                if following is None and not repeated:
                    wait = self._balancer.second_chance(pick, fault, error.reply)
                    repeated = wait is not None
                    following = pick if repeated else None
                if following is not pick:
                    self._report(pick, fault, error, call)
                if not fault.next_upstream:
                    raise UpstreamError(final_reply(trail.errors)) from error
                pick = following
            except BaseException:
                self._balancer.released(pick)
                raise
            else:
                if call.head.operation == "generate":
                    self._balancer.succeeded(pick)
                else:
                    self._balancer.released(pick)
                trail.outcome = "ok"
                return True
        return False

    def _report(self, pick: Pick, fault: Fault, error: AIProxyError, call: Call) -> None:
        """Only answers tell of an upstream's health; counting tokens does not."""
        self.log.info(
            "{call} {upstream}/{model} failed: {fault}, {message}",
            call=call.id,
            upstream=pick.upstream.name,
            model=pick.model,
            fault=fault.name,
            message=error.reply.message,
        )
        if call.head.operation == "generate":
            self._balancer.failed(pick, fault, error.reply.retry_after)
        else:
            self._balancer.released(pick)

    async def _try_upstream(self, pick: Pick, call: Call, client: Client, trail: Trail) -> None:
        """Ask one upstream, with one credential after the other. Raises the last failure."""
        upstream = pick.upstream
        provider = self._providers[upstream.api_type]
        if not provider.serves(call):
            self._stand_in(call, client, trail)
            return
        model = upstream.mapped(pick.model)
        tried: list[Credential] = []
        failure: ErrorReply | None = None
        while True:
            credential = await self._next_credential(pick, call, tried, failure)
            tried.append(credential)
            attempt = Attempt(
                self._resources, provider, upstream, call, client, trail, model, credential
            )
            try:
                await self._try_credential(attempt)
                return
            except UpstreamError as error:
                fault = classify(error)
                if trail.outcome == "broken" or not fault.other_credential:
                    raise
                self._rest(pick, credential, fault, error)
                failure = error.reply
                forget(error)

    async def _next_credential(
        self,
        pick: Pick,
        call: Call,
        tried: Sequence[Credential],
        failure: ErrorReply | None,
    ) -> Credential:
        """
        failure: the last one.

        Raises: UpstreamError with it, when there is no other credential; CredentialError.
        """
        upstream = pick.upstream
        try:
            credential = await self._credentials.choose(upstream, call, pick.model, tried)
        except CredentialError:
            if failure is None:
                raise
            credential = None
        if credential is not None:
            return credential
        if failure is None:
            raise self._balancer.why_none(pick.model)
        # Of several that were told to wait, the first to be free again counts.
        pause = self._credentials.soonest(upstream, pick.model) or failure.retry_after
        raise UpstreamError(replace(failure, retry_after=pause))

    async def _try_credential(self, attempt: Attempt) -> None:
        """Ask with it, and once more when it only had to be renewed. Raises: UpstreamError."""
        try:
            await attempt.run()
            return
        except UpstreamError as error:
            if attempt.trail.outcome == "broken" or not classify(error).refresh:
                raise
            renewed = await self._credentials.renew(attempt.upstream, attempt.credential)
            if renewed is None:
                raise
            forget(error)
        try:
            await ir.replace(attempt, credential=renewed).run()
        except UpstreamError as error:
            if attempt.trail.outcome != "broken" and classify(error).refresh:
                self._credentials.refused(attempt.upstream, renewed)
            raise

    def _rest(self, pick: Pick, credential: Credential, fault: Fault, error: UpstreamError) -> None:
        """A pause is the credential's where it is a login or one of many, else the upstream's."""
        pause = error.reply.retry_after
        is_one_of_many = fault is THROTTLED and len(pick.upstream.tokens) > 1
        if pause and (credential.login is not None or is_one_of_many):
            model = pick.model if error.reply.model_only else ""
            self._credentials.cooled(pick.upstream, credential, pause, model)

    def _stand_in(self, call: Call, client: Client, trail: Trail) -> None:
        """What aiproxy can do itself for an operation that the upstream does not have."""
        if call.head.operation != "count":
            raise BadRequest(
                f"{call.head.operation} is not supported by this model's upstream",
                status=404,
                kind="not_found",
            )
        trail.estimated = True
        body = INBOUND[call.wire].encode_count(estimated_tokens(call.decode()))
        client.reply(200, trail.headers(), body)


def _beat(call: Call, trail: Trail) -> bytes:
    wire = INBOUND[call.wire]
    return wire.FIRST_HEARTBEAT if trail.first_event is None else wire.HEARTBEAT


def _open(call: Call, client: Client, trail: Trail) -> None:
    """Begin a stream before any upstream has spoken, if the request can be understood at all."""
    try:
        encoder = INBOUND[call.wire].StreamEncoder(call.decode())
    except BadRequest:
        return
    client.begin(encoder.content_type, trail.headers())


def _say(call: Call, client: Client, trail: Trail, reply: ErrorReply) -> None:
    """Tell the client that there will be no answer: as the answer, or inside a begun stream."""
    if trail.outcome == "broken":
        return
    wire = INBOUND[call.wire]
    if not client.started:
        encoded = wire.encode_reply(reply, None)
        headers = trail.headers()
        if reply.retry_after is not None:
            headers = (*headers, ("retry-after", str(max(1, math.ceil(reply.retry_after)))))
        client.reply(encoded.status, headers, encoded.body)
        return
    encoder = wire.StreamEncoder(call.decode())
    started = ir.Started(call.id, call.head.model, int(time.time()))
    broken = ir.Broken(replace(reply, native=None))
    client.write(encoder.encode(started) + encoder.encode(broken))
    end_broken(client, wire, said=True)
