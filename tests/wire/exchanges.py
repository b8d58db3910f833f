"""
The corpus's exchanges, and an answer's way from an upstream of one wire to a client of another.

What the program does between two sockets is done here with bytes: server-sent events are framed,
relayed by `wire.relay`, and read again by the decoder of the client's own wire.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import permutations

from aiproxy import ir
from aiproxy.errors import BadRequest
from aiproxy.framing import sse
from aiproxy.wire import INBOUND, anthropic, chat, gemini, relay, responses
from aiproxy.wire.restoring import ToolRestorer
from tests import corpus
from tests.wire_corpus import Wire

WIRES: Mapping[str, Wire] = {
    "anthropic": anthropic,
    "chat": chat,
    "responses": responses,
    "gemini": gemini,
}
FORMATS: Mapping[str, str] = {
    "anthropic": "anthropic",
    "chat": "openai-chat",
    "responses": "openai-responses",
    "gemini": "gemini",
}
PAIRS = tuple(permutations(WIRES, 2))
"""(upstream's wire, client's wire), or for requests (client's wire, upstream's)."""

ORIGIN = relay.Origin("asked-model", "call_0123456789abcdef", 1_700_000_000)
OTHER_OPERATIONS = frozenset({"count-tokens", "compact-endpoint"})


@dataclass(frozen=True)
class Relayed:
    """
    What a client gets. data: the bytes. losses: what was declared. original: what the upstream
    said, with names of tools as the client knows them.
    """

    data: bytes
    losses: tuple[ir.Loss, ...]
    original: ir.Reply


def path_of(wire: str, request: ir.Request) -> str:
    """Where a client posts `request`."""
    if wire == "gemini":
        return gemini.path_for(request.model or "m", "generate", request.stream)
    return str(WIRES[wire].ROUTES[0])


@cache
def generations(wire: str) -> tuple[corpus.Case, ...]:
    """The cases of a wire that are about generating."""
    found = corpus.cases(FORMATS[wire])
    return tuple(case for case in found if not OTHER_OPERATIONS & case.features)


@cache
def requests(wire: str) -> Mapping[str, ir.Request]:
    """Case id to the request of that case, for all that can be read."""
    found: dict[str, ir.Request] = {}
    for case in generations(wire):
        if case.request is not None:
            try:
                path = case.meta["http"]["path"]
                found[case.id] = WIRES[wire].decode_request(case.request, path)
            except BadRequest:
                continue
    return found


def asked(case: corpus.Case, upstream: str, client: str) -> ir.Request:
    """The recorded request as a client of another wire would have made it."""
    plain = ir.Request(client, "m", True, (ir.Turn("user", (ir.Text("hello"),)),))
    request = requests(upstream).get(case.id)
    if request is not None:
        try:
            body = relay.encode_for(WIRES[client], ir.replace(request, model="m")).body
            plain = WIRES[client].decode_request(body, path_of(client, plain))
        except BadRequest:
            pass
    elif case.digest is not None and "choices" in case.digest:
        plain = ir.replace(plain, sampling=ir.Sampling(candidates=case.digest["choices"]))
    return ir.replace(plain, stream=case.stream is not None, array=False, include_usage=True)


def messages_of(case: corpus.Case) -> list[sse.Message]:
    """A recorded stream's messages, without the envelope of Cloud Code, which a provider opens."""
    found = framed(case.stream or b"")
    return [_opened(message) for message in found] if "cloudcode" in case.features else found


def framed(data: bytes) -> list[sse.Message]:
    """The messages in the bytes of a stream."""
    frames = sse.SSEDecoder()
    return [*frames.feed(data), *frames.close()]


def _opened(message: sse.Message) -> sse.Message:
    body = json.loads(message.data)
    data = json.dumps(body.get("response", body)).encode()
    return sse.Message("", data, sse.encode(data))


def events_of(case: corpus.Case, wire: str) -> list[ir.Event]:
    """Raises: UpstreamProtocolError when the recording is cut short."""
    decoder = WIRES[wire].StreamDecoder()
    events = [event for message in messages_of(case) for event in decoder.feed(message)]
    return [*events, *decoder.close()]


def streamed(case: corpus.Case, upstream: str, client: str) -> Relayed:
    """A recorded stream for a client. Raises: UpstreamProtocolError when it is cut short."""
    request = asked(case, upstream, client)
    way = relay.connect(WIRES[upstream], INBOUND[client], lambda: request, "", ORIGIN)
    data = way.feed(messages_of(case)) + way.close()
    original = as_known(ir.fold(events_of(case, upstream)), upstream, request)
    return Relayed(data, way.losses(), original)


def broken_off(
    upstream: str, client: str, request: ir.Request, messages: Sequence[sse.Message]
) -> bytes | None:
    """What a client gets of a stream that breaks behind these, None when it has not begun."""
    way = relay.connect(WIRES[upstream], INBOUND[client], lambda: request, "", ORIGIN)
    data = way.feed(messages)
    if not way.has_content or way.finished or way.error is not None:
        return None
    return data + way.broken(ir.ErrorReply(502, "upstream", "it broke"))


def converted(case: corpus.Case, upstream: str, client: str) -> Relayed:
    """A recorded whole answer for a client."""
    request = asked(case, upstream, client)
    encoded, reply = relay.convert(
        WIRES[upstream],
        INBOUND[client],
        lambda: request,
        ORIGIN,
        case.meta["http"]["status"],
        case.response or b"",
    )
    return Relayed(encoded.body, encoded.losses, reply)


def as_known(reply: ir.Reply, upstream: str, request: ir.Request) -> ir.Reply:
    """`reply` with what the relay puts in: tools in the client's terms, id, model and time."""
    if not isinstance(reply, ir.Response):
        return reply
    restored = ToolRestorer(request.tools, WIRES[upstream].TOOL_NAMES).response(reply)
    return ir.replace(
        restored,
        model=ORIGIN.model,
        id=reply.id or ORIGIN.id,
        created=reply.created or ORIGIN.now,
    )


@cache
def relayed(case: corpus.Case, upstream: str, client: str) -> Relayed:
    """Either of these, remembered. Raises: UpstreamProtocolError when it is cut short."""
    if case.kind == "stream":
        return streamed(case, upstream, client)
    got = converted(case, upstream, client)
    return replace(got, original=as_known(got.original, upstream, asked(case, upstream, client)))


def encoded_stream(reply: ir.Response, client: str, request: ir.Request) -> bytes:
    """A whole answer as the stream that a client may have asked for."""
    encoder = WIRES[client].StreamEncoder(request)
    return b"".join(encoder.encode(event) for event in ir.unfold(reply))


def read_stream(wire: str, data: bytes) -> ir.Reply:
    """What the wire's own decoder finds in a stream."""
    decoder = WIRES[wire].StreamDecoder()
    events = [event for message in framed(data) for event in decoder.feed(message)]
    return ir.fold([*events, *decoder.close()])


def answers(wire: str, kind: str) -> Iterator[corpus.Case]:
    """Cases of one kind, "stream" or "unary"."""
    return (case for case in generations(wire) if case.kind == kind)
