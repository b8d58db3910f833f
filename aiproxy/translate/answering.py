"""What becomes of one upstream's answer: whole or streamed, for a client that wants either."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.interfaces import IReactorTime

from aiproxy import ir
from aiproxy.aside import Aside
from aiproxy.errors import ErrorReply, UpstreamError, UpstreamProtocolError, UpstreamRefused
from aiproxy.messages import Headers, Value, header
from aiproxy.outcome import outcome
from aiproxy.providers.contract import Call, Envelope, Prepared, Provider
from aiproxy.redaction import Secret, without_bytes
from aiproxy.translate.client import Client, end_broken
from aiproxy.translate.pairing import Pairing, Receive
from aiproxy.translate.trail import Trail
from aiproxy.upstream.body import BODIES, StreamBody
from aiproxy.upstream.client import UpstreamReply
from aiproxy.wire import COLLECTING, COUNTING, INBOUND, OUTBOUND
from aiproxy.wire.collection import collect
from aiproxy.wire.relay import EMPTY, Origin, Relay, connect, convert, unfolded

MAX_ANSWER_BYTES = 64 * 1024 * 1024


class Answering(Value, frozen=True):
    """
    Gives one call's client what `reply`, of a good status, amounts to.

    secret: what paid for it; vendors quote it in errors, and no client may see it.
    """

    provider: Provider
    call: Call
    client: Client
    trail: Trail
    clock: IReactorTime
    aside: Aside
    prepared: Prepared
    reply: UpstreamReply
    secret: Secret

    async def run(self) -> None:
        """Raises: UpstreamError; the trail's outcome is "broken" when the client has seen part."""
        content_type = header(self.reply.headers, "content-type") or ""
        is_whole = content_type.partition(";")[0].strip().lower() == "application/json"
        if is_whole or not self.prepared.stream:
            # Some upstreams ignore that a stream was asked for.
            await (self._whole_as_stream() if self.call.head.stream else self._whole())
        elif content_type.lower().startswith("text/html"):
            self.reply.abort()
            raise UpstreamProtocolError("the upstream answered with a web page")
        elif self.call.head.stream:
            await self._stream()
        else:
            await self._stream_as_whole()

    async def _read(self) -> bytes:
        body = await outcome(self.reply.whole(MAX_ANSWER_BYTES))
        envelope = self.prepared.envelope
        return body if envelope is None else envelope.whole(body)

    async def _whole(self) -> None:
        body = await self._read()
        status = self.reply.status
        if self.call.head.operation != "generate":
            self.client.reply(status, self._headers(), self._side_answer(body))
            return
        upstream, client = OUTBOUND[self.provider.wire], INBOUND[self.call.wire]
        decode, origin = self.call.decode, self._origin()
        encoded, said = await self.aside.run(
            len(body), lambda: convert(upstream, client, decode, origin, status, body)
        )
        self._accept(said)
        self.trail.lost(encoded.losses)
        self.client.reply(encoded.status, self._headers(), encoded.body)

    def _side_answer(self, body: bytes) -> bytes:
        """The answer to an operation beside generating."""
        if self.provider.wire == self.call.wire:
            return body
        tokens = COUNTING[self.provider.wire].decode_count(body)
        return INBOUND[self.call.wire].encode_count(tokens)

    async def _whole_as_stream(self) -> None:
        body = await self._read()
        upstream = OUTBOUND[self.provider.wire]
        response = self._accept(upstream.decode_reply(self.reply.status, body))
        request = self.call.decode()
        client = INBOUND[self.call.wire]
        told = unfolded(upstream, client, request, self._origin(), response)
        self.trail.lost(told.losses)
        if not self.client.started:
            self.client.begin(client.StreamEncoder(request).content_type, self._headers())
        self.client.write(told.body)
        self.client.finish()

    async def _stream(self) -> None:
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
                self.client.begin(relay.content_type, self._headers())

        pairing = self._pairing(relay, commit)
        try:
            await self._run(pairing, relay)
        except UpstreamError as error:
            if pairing.committed:
                self.trail.outcome = "broken"
                said = relay.broken(error.reply) if relay.error is None else b""
                self.client.write(said)
                is_told = bool(said) or relay.error is not None
                end_broken(self.client, INBOUND[self.call.wire], is_told)
            raise
        finally:
            # Too late for the header, which went out with the first content.
            self.trail.lost(relay.losses())
        self.client.finish()

    async def _stream_as_whole(self) -> None:
        wire = self.provider.wire
        collecting = COLLECTING.get(wire)
        collection = collect(
            OUTBOUND[wire],
            INBOUND[self.call.wire],
            self.call.decode,
            self._origin(),
            None if collecting is None else collecting.Collector,
        )

        def commit() -> None:
            self.trail.first_event = self.clock.seconds()

        await self._run(self._pairing(collection, commit), collection)
        encoded = collection.answer()
        self.trail.lost(encoded.losses)
        self.client.reply(encoded.status, self._headers(), encoded.body)

    def _pairing(self, relay: Relay, commit: Callable[[], None]) -> Pairing:
        return Pairing(self._body, relay, self.client, commit, self.clock, self._cleaned)

    def _cleaned(self, data: bytes) -> bytes:
        return without_bytes(data, self.secret)

    async def _run(self, pairing: Pairing, relay: Relay) -> None:
        try:
            await pairing.run(self.reply)
        finally:
            self.trail.usage = relay.usage

    def _body(self, receive: Receive) -> StreamBody[Any]:
        envelope = self.prepared.envelope
        unwrapped = receive if envelope is None else _unwrapping(envelope, receive)
        return BODIES[self.provider.framing](unwrapped)

    def _accept(self, said: ir.Reply) -> ir.Response:
        """The answer; raises UpstreamRefused when it is an error in disguise, or empty."""
        if isinstance(said, ErrorReply):
            raise UpstreamRefused(said)
        has_parts = said.parts or any(answer.parts for answer in said.others)
        if not has_parts and ir.is_empty(said.stop, said.usage):
            raise UpstreamRefused(EMPTY)
        self.trail.first_event = self.clock.seconds()
        self.trail.usage = said.usage
        return said

    def _headers(self) -> Headers:
        native = self.provider.wire == self.call.wire
        told = self.provider.returned(self.prepared, self.reply.headers)
        return self.trail.headers(told, native=native)

    def _origin(self) -> Origin:
        return Origin(self.call.head.model, self.call.id, int(time.time()))


def _unwrapping(envelope: Envelope, receive: Receive) -> Receive:
    def unwrapped(messages: Sequence[Any]) -> None:
        receive([envelope.message(message) for message in messages])

    return unwrapped
