"""One try of one upstream with one credential."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import lru_cache

from twisted.internet.defer import TimeoutError
from twisted.internet.interfaces import IReactorTime

from aiproxy import ir
from aiproxy.aside import Aside
from aiproxy.errors import ErrorReply, UpstreamError, UpstreamRefused
from aiproxy.messages import Credential, HttpReply, Value
from aiproxy.outcome import forget, outcome
from aiproxy.providers.contract import Call, Prepared, Provider
from aiproxy.redaction import Secret, without, without_bytes
from aiproxy.routing.faults import THROTTLED, classify, classify_reply
from aiproxy.routing.retryafter import credible, pause_of_limit, retry_after
from aiproxy.settings import Timeouts, Upstream
from aiproxy.translate.answering import Answering
from aiproxy.translate.client import Client
from aiproxy.translate.trail import Trail
from aiproxy.upstream.client import UpstreamClient, UpstreamReply
from aiproxy.wire import OUTBOUND
from aiproxy.wire.errortext import is_stale_proof
from aiproxy.wire.jsontext import try_read

MAX_ERROR_BYTES = 64 * 1024
MAX_ERROR_SECONDS = 5.0
"""For the body of an error, whose status tells enough: nobody is to wait longer for the rest."""


class Resources(Value, frozen=True):
    """What the attempts of all calls share."""

    upstreams: UpstreamClient
    clock: IReactorTime
    aside: Aside


class Attempt(Value, frozen=True):
    """model: mapped, as the upstream knows it."""

    resources: Resources
    provider: Provider
    upstream: Upstream
    call: Call
    client: Client
    trail: Trail
    model: str
    credential: Credential

    async def run(self) -> None:
        """
        Ask, and give the answer to the client.

        Raises: UpstreamError; the trail's outcome is "broken" when the client has seen part of it.
        Raises: BadRequest when this upstream's protocol cannot carry the call.
        """
        try:
            await self._ask_twice()
        except UpstreamRefused as error:
            # Vendors quote the key that they were shown.
            raise UpstreamRefused(_without(error.reply, self.credential.secret)) from None

    async def _ask_twice(self) -> None:
        """At most one repair: what is refused for two reasons is not worth a third try."""
        prepared = await self._prepare()
        try:
            await self._ask(prepared)
        except UpstreamRefused as error:
            if self.trail.outcome == "broken":
                raise
            if is_stale_proof(error.reply):
                # A conversation that began elsewhere brings proofs only its first vendor knows.
                again = ir.replace(self, call=self.call.without_proofs())
                mended = await again._prepare()
            else:
                again, repaired = self, self.provider.mended(prepared, error.reply)
                if repaired is None:
                    raise
                mended = repaired
            forget(error)
            await again._ask(mended)

    async def _prepare(self) -> Prepared:
        call, model, upstream, credential = self.call, self.model, self.upstream, self.credential
        return await self.resources.aside.run(
            len(call.body), lambda: self.provider.prepare(call, model, upstream, credential)
        )

    async def _ask(self, prepared: Prepared) -> None:
        """At one endpoint after the other, while the fault may be the endpoint's own."""
        further = iter(self.provider.elsewhere(prepared, self.upstream))
        place: Prepared | None = prepared
        while place is not None:
            try:
                await self._ask_here(place)
                return
            except UpstreamError as error:
                if self.trail.outcome == "broken" or not classify(error).elsewhere:
                    raise
                place = next(further, None)
                if place is None:
                    raise
                forget(error)

    async def _ask_here(self, prepared: Prepared) -> None:
        self.trail.attempt(self.upstream.name, self.model)
        self.trail.lost(prepared.losses)
        if not self.call.may_pass:
            self.trail.lost((ir.Loss("reasoning"),))
        reply = await self.resources.upstreams.ask(
            prepared.http,
            self._timeouts(prepared),
            self.upstream.request_compression,
            self.upstream.home,
        )
        if reply.status >= 300:
            raise UpstreamRefused(await self._refusal(reply))
        try:
            await self._answering(prepared, reply).run()
        except UpstreamRefused as error:
            native = error.reply.native
            body = b"" if native is None else native.body
            raise UpstreamRefused(self._judged(reply, body, error.reply)) from None
        finally:
            # What goes wrong may do so before the body is taken.
            reply.leave()

    def _answering(self, prepared: Prepared, reply: UpstreamReply) -> Answering:
        resources = self.resources
        return Answering(
            self.provider,
            self.call,
            self.client,
            self.trail,
            resources.clock,
            resources.aside,
            prepared,
            reply,
            self.credential.secret,
        )

    def _timeouts(self, prepared: Prepared) -> Timeouts:
        """A whole answer's headers come only when the model has finished."""
        timeouts = self.upstream.timeouts
        return timeouts if prepared.stream else _of_whole_answers(timeouts)

    async def _refusal(self, reply: UpstreamReply) -> ErrorReply:
        reading = reply.whole(MAX_ERROR_BYTES)
        seconds = min(self.upstream.timeouts.idle, MAX_ERROR_SECONDS)
        reading.addTimeout(seconds, self.resources.clock)
        try:
            body = await outcome(reading)
        except (UpstreamError, TimeoutError) as error:
            # The status tells enough.
            forget(error)
            body = b""
        if reply.status < 400:
            return ErrorReply(502, "upstream", f"the upstream answered {reply.status}, a redirect")
        said = OUTBOUND[self.provider.wire].decode_reply(reply.status, body)
        if isinstance(said, ir.Response):
            said = ErrorReply(reply.status, "upstream", f"the upstream answered {reply.status}")
        pause = retry_after(reply.headers, said.retry_after, time.time())
        # What a server in between says, HTML for instance, is in nobody's dialect.
        native = said.native if "error" in (try_read(body, dict) or ()) else None
        return self._judged(reply, body, replace(said, retry_after=pause, native=native))

    def _judged(self, reply: UpstreamReply, body: bytes, said: ErrorReply) -> ErrorReply:
        now = time.time()
        if said.retry_after is None and classify_reply(said) is THROTTLED:
            said = replace(said, retry_after=pause_of_limit(reply.headers, said.message, now))
        judged = self.provider.judge(HttpReply(reply.status, reply.headers, body), said, now)
        return replace(judged, retry_after=credible(judged.retry_after))


@lru_cache(maxsize=64)
def _of_whole_answers(timeouts: Timeouts) -> Timeouts:
    return replace(timeouts, headers=timeouts.whole_answer)


def _without(reply: ErrorReply, secret: Secret) -> ErrorReply:
    """The error with the credential masked that paid for the attempt."""
    native = reply.native
    if native is not None:
        native = replace(native, body=without_bytes(native.body, secret))
    return replace(
        reply,
        message=without(reply.message, secret),
        code=reply.code and without(reply.code, secret),
        param=reply.param and without(reply.param, secret),
        native=native,
    )
