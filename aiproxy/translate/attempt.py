"""One try of one upstream with one credential."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from twisted.internet.defer import TimeoutError
from twisted.internet.interfaces import IReactorTime

from aiproxy import ir
from aiproxy.errors import ErrorReply, UpstreamError, UpstreamProtocolError, UpstreamRefused
from aiproxy.messages import Credential, Headers, header
from aiproxy.providers.contract import Call, Prepared, Provider
from aiproxy.redaction import Secret, without
from aiproxy.routing.retryafter import retry_after
from aiproxy.settings import Timeouts, Upstream
from aiproxy.translate.client import Client
from aiproxy.translate.pairing import Pairing
from aiproxy.translate.trail import Trail
from aiproxy.upstream.client import UpstreamClient, UpstreamReply
from aiproxy.wire import COUNTING, INBOUND, OUTBOUND
from aiproxy.wire.errortext import is_stale_proof
from aiproxy.wire.jsontext import try_read
from aiproxy.wire.relay import EMPTY, Origin, connect, convert, unfolded

MAX_ANSWER_BYTES = 64 * 1024 * 1024
MAX_ERROR_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Attempt:
    """What the tries of one upstream have in common."""

    provider: Provider
    upstream: Upstream
    call: Call
    client: Client
    trail: Trail
    upstreams: UpstreamClient
    clock: IReactorTime

    async def run(self, model: str, credential: Credential) -> None:
        """
        Ask for `model` (the client's name, or its fallback's) and give the answer to the client.

        Raises: UpstreamError; the trail's outcome is "broken" when the client has seen part of it.
        Raises: BadRequest when this upstream's protocol cannot carry the call.
        """
        try:
            await self._ask_twice(model, credential)
        except UpstreamRefused as error:
            # Vendors quote the key that they were shown.
            raise UpstreamRefused(_without(error.reply, credential.secret)) from None

    async def _ask_twice(self, model: str, credential: Credential) -> None:
        try:
            await self._ask(model, credential)
        except UpstreamRefused as error:
            # A conversation that began elsewhere brings proofs that only its first vendor knows.
            if self.trail.outcome == "broken" or not is_stale_proof(error.reply):
                raise
            await replace(self, call=self.call.without_proofs())._ask(model, credential)

    async def _ask(self, model: str, credential: Credential) -> None:
        mapped = self.upstream.mapped(model)
        self.trail.attempt(self.upstream.name, mapped)
        prepared = self.provider.prepare(self.call, mapped, self.upstream, credential)
        self.trail.lost(prepared.losses)
        if not self.call.may_pass:
            self.trail.lost((ir.Loss("reasoning"),))
        reply = await self.upstreams.request(
            prepared.http, self._timeouts(prepared), self.upstream.request_compression
        )
        if reply.status >= 300:
            raise UpstreamRefused(await self._refusal(reply))
        content_type = header(reply.headers, "content-type") or ""
        if not prepared.stream:
            await self._whole(reply)
        elif content_type.partition(";")[0].strip().lower() == "application/json":
            await self._whole_as_stream(reply)
        elif content_type.lower().startswith("text/html"):
            reply.abort()
            raise UpstreamProtocolError("the upstream answered with a web page")
        else:
            await self._stream(reply)

    def _timeouts(self, prepared: Prepared) -> Timeouts:
        """A whole answer's headers come only when the model has finished."""
        timeouts = self.upstream.timeouts
        return timeouts if prepared.stream else replace(timeouts, headers=timeouts.whole_answer)

    async def _refusal(self, reply: UpstreamReply) -> ErrorReply:
        reading = reply.whole(MAX_ERROR_BYTES)
        reading.addTimeout(self.upstream.timeouts.idle, self.clock)
        try:
            body = await reading
        except (UpstreamError, TimeoutError):
            # The status tells enough.
            body = b""
        if reply.status < 400:
            return ErrorReply(502, "upstream", f"the upstream answered {reply.status}, a redirect")
        said = OUTBOUND[self.provider.wire].decode_reply(reply.status, body)
        if isinstance(said, ir.Response):
            return ErrorReply(reply.status, "upstream", f"the upstream answered {reply.status}")
        pause = retry_after(reply.headers, said.retry_after, time.time())
        # What a server in between says, HTML for instance, is in nobody's dialect.
        native = said.native if "error" in (try_read(body, dict) or ()) else None
        return replace(said, retry_after=pause, native=native)

    async def _whole(self, reply: UpstreamReply) -> None:
        body = await reply.whole(MAX_ANSWER_BYTES)
        if self.call.head.operation != "generate":
            self.client.reply(reply.status, self._headers(reply), self._side_answer(body))
            return
        encoded, said = convert(
            OUTBOUND[self.provider.wire],
            INBOUND[self.call.wire],
            self.call.decode,
            self._origin(),
            reply.status,
            body,
        )
        self._accept(said)
        self.trail.lost(encoded.losses)
        self.client.reply(encoded.status, self._headers(reply), encoded.body)

    def _side_answer(self, body: bytes) -> bytes:
        """The answer to an operation beside generating."""
        if self.provider.wire == self.call.wire:
            return body
        tokens = COUNTING[self.provider.wire].decode_count(body)
        return INBOUND[self.call.wire].encode_count(tokens)

    async def _whole_as_stream(self, reply: UpstreamReply) -> None:
        """Some upstreams ignore that a stream was asked for."""
        body = await reply.whole(MAX_ANSWER_BYTES)
        upstream = OUTBOUND[self.provider.wire]
        response = self._accept(upstream.decode_reply(reply.status, body))
        request = self.call.decode()
        client = INBOUND[self.call.wire]
        if not self.client.started:
            self.client.begin(client.StreamEncoder(request).content_type, self._headers(reply))
        self.client.write(unfolded(upstream, client, request, self._origin(), response))
        self.client.finish()

    async def _stream(self, reply: UpstreamReply) -> None:
        relay = connect(
            OUTBOUND[self.provider.wire],
            INBOUND[self.call.wire],
            self.call.decode,
            self.call.path,
            self._origin(),
        )

        def commit() -> None:
            self.trail.first_event = self.clock.seconds()
            if not self.client.started:
                self.client.begin(relay.content_type, self._headers(reply))

        pairing = Pairing(relay, self.client, commit, self.clock)
        try:
            await pairing.run(reply)
        except UpstreamError as error:
            if pairing.committed:
                self.trail.outcome = "broken"
                if relay.error is None:
                    self.client.write(relay.broken(error.reply))
                self.client.abort()
            raise
        finally:
            self.trail.usage = relay.usage
        self.trail.lost(relay.losses())
        self.client.finish()

    def _accept(self, said: ir.Reply) -> ir.Response:
        """The answer; raises UpstreamRefused when it is an error in disguise, or empty."""
        if isinstance(said, ErrorReply):
            raise UpstreamRefused(said)
        if not said.parts and ir.is_empty(said.stop, said.usage):
            raise UpstreamRefused(EMPTY)
        self.trail.first_event = self.clock.seconds()
        self.trail.usage = said.usage
        return said

    def _headers(self, reply: UpstreamReply) -> Headers:
        native = self.provider.wire == self.call.wire
        return self.trail.headers(reply.headers, native=native)

    def _origin(self) -> Origin:
        return Origin(self.call.head.model, self.call.id, int(time.time()))


def _without(reply: ErrorReply, secret: Secret) -> ErrorReply:
    """The error with the credential masked that paid for the attempt."""
    native = reply.native
    if native is not None:
        text = native.body.decode("utf-8", "surrogateescape")
        body = without(text, secret).encode("utf-8", "surrogateescape")
        native = replace(native, body=body)
    return replace(reply, message=without(reply.message, secret), native=native)
