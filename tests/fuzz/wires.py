"""
What must hold of requests, streams and whole answers, whatever their bytes.

A client's body is read or refused, and what was read can be asked of every upstream. An upstream's
answer reaches every client in its dialect's grammar, the same whole as in pieces, however its
messages were cut into reads.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from aiproxy import ir
from aiproxy.errors import BadRequest, UpstreamError, UpstreamProtocolError
from aiproxy.framing import eventstream
from aiproxy.wire import COLLECTING, COUNTING, INBOUND, OUTBOUND
from aiproxy.wire.collection import collect
from aiproxy.wire.relay import Origin, Relay, connect, convert, encode_for, unfolded
from tests.wire import comparing, exchanges, grammars
from tests.wire_corpus import complaint

PATHS = {
    "anthropic": "/v1/messages",
    "chat": "/v1/chat/completions",
    "responses": "/v1/responses",
    "gemini": "/v1beta/models/m:streamGenerateContent?alt=sse",
}
_ARRAY = "/v1beta/models/m:streamGenerateContent"
_ORIGIN = Origin("m", "call-1", 1)

BODIES: Mapping[str, Any] = {
    "anthropic": {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]},
    "chat": {"model": "m", "messages": [{"role": "user", "content": "hi"}]},
    "responses": {"model": "m", "input": "hi"},
    "gemini": {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
}

# The tool that most recordings call, and sequences that are in most texts.
_TOOL = "get_weather"
_STOP = ["the ", "12"]
_WISHES: Mapping[str, Any] = {
    "anthropic": {
        "stop_sequences": _STOP,
        "tools": [{"name": _TOOL, "input_schema": {"type": "object"}}],
    },
    "chat": {
        "stop": _STOP,
        "n": 2,
        "stream_options": {"include_usage": True},
        "tools": [{"type": "custom", "custom": {"name": _TOOL}}],
    },
    "responses": {"tools": [{"type": "custom", "name": _TOOL}]},
    "gemini": {
        "generationConfig": {"stopSequences": _STOP, "candidateCount": 2},
        "tools": [{"functionDeclarations": [{"name": _TOOL}]}],
    },
}
"""What makes more of an answer than a plain request does: names restored, texts cut, several."""


@cache
def _asked(wire: str, path: str, has_wishes: bool) -> ir.Request:
    body = {**BODIES[wire], **(_WISHES[wire] if has_wishes else {})}
    return INBOUND[wire].decode_request(json.dumps(body).encode(), path)


def _asked_for(wire: str, data: bytes) -> tuple[ir.Request, str]:
    """A request and its path, another for answers of other lengths."""
    path = _ARRAY if wire == "gemini" and len(data) // 8 % 3 == 0 else PATHS[wire]
    return _asked(wire, path, len(data) // 4 % 2 == 0), path


# ── requests ──


def request(wire: str, data: bytes) -> None:
    """Decoded or refused; what is decoded can be asked of every upstream, or is refused."""
    inbound = INBOUND[wire]
    try:
        head = inbound.head(data, PATHS[wire])
        decoded = inbound.decode_request(data, PATHS[wire])
    except BadRequest:
        return
    assert (head.model, head.stream) == (decoded.model, decoded.stream), "not what was routed"
    decoded = ir.replace(decoded, model="m")
    for name, target in OUTBOUND.items():
        try:
            encoded = encode_for(target, decoded)
        except BadRequest:
            continue
        json.loads(encoded.body)
        assert len(set(encoded.losses)) == len(encoded.losses), "a loss is told twice"
        if name in INBOUND:
            _check_again(name, decoded, encoded.body)
        if name in COUNTING:
            json.loads(COUNTING[name].encode_count_request(decoded).body)


def _check_again(wire: str, asked: ir.Request, body: bytes) -> None:
    """What we write, we read as we mean it: what is made of that is written again as it is."""
    path = exchanges.path_of(wire, asked)
    bodies = [body]
    for _ in range(2):
        try:
            again = INBOUND[wire].decode_request(bodies[-1], path)
        except BadRequest:
            # Some of what is only carried, such as an image, need be good in one dialect alone.
            return
        bodies.append(OUTBOUND[wire].encode_request(again).body)
    assert bodies[1] == bodies[2], f"{bodies[1]!r} is written again as {bodies[2]!r}"


# ── streams ──


def messages_of(wire: str, data: bytes) -> Sequence[Any]:
    """The messages of a stream; for Kiro the data is `type payload` lines."""
    if wire == "kiro":
        lines = (line.partition(b" ") for line in data.split(b"\n"))
        kinds = {":message-type": "event", ":content-type": "application/json"}
        return [
            eventstream.Message(
                {**kinds, ":event-type": kind.decode("utf-8", "replace")[:255]}, payload
            )
            for kind, _, payload in lines
        ]
    return exchanges.framed(data)


def stream(wire: str, data: bytes) -> None:
    """
    Relayed to every client's dialect, whose grammar holds whatever comes in.

    One client, another for streams of other lengths, also gets it in other reads, and whole.
    """
    messages = messages_of(wire, data)
    events = _events(wire, messages)
    in_turn = _is_in_turn(events)
    for at, name in enumerate(INBOUND):
        asked, path = _asked_for(name, data)
        relay = _way(wire, name, asked, path)
        out = _relayed(relay, [[message] for message in messages])
        if name != wire and relay.has_content:
            _check_grammar(name, out)
        if name == wire and path == _ARRAY and (relay.finished or relay.has_content):
            json.loads(out.decode(errors="replace"))
        if at != len(data) % len(INBOUND):
            continue
        size = 2 + len(data) % 5
        reads = [messages[at : at + size] for at in range(0, len(messages), size)]
        again = _relayed(_way(wire, name, asked, path), reads)
        assert again == out, "how messages are cut into reads shows"
        answer = _collected(wire, name, asked, messages)
        is_good = relay.finished and relay.error is None
        if name == wire:
            # The vendor's own whole answer may be missing from a stream that has all its parts.
            assert is_good or answer is None, "good as a whole, but not as a stream"
            if answer is not None:
                json.loads(answer.decode(errors="replace"))
            continue
        assert is_good == (answer is not None), "good as a stream or whole, but not both"
        if answer is not None:
            _check_same(name, asked, out, answer, in_turn=in_turn)


def _way(wire: str, client: str, asked: ir.Request, path: str) -> Relay:
    return connect(OUTBOUND[wire], INBOUND[client], lambda: asked, path, _ORIGIN)


def _events(wire: str, messages: Iterable[Any]) -> Sequence[ir.Event]:
    """What the upstream's decoder makes of these; they are legal, and an answer if they end."""
    decoder = OUTBOUND[wire].StreamDecoder()
    events: list[ir.Event] = []
    try:
        for message in messages:
            events += decoder.feed(message)
        events += decoder.close()
    except UpstreamProtocolError:
        assert not any(isinstance(event, ir.Finished | ir.Broken) for event in events), "too late"
    else:
        ir.fold(events)
    assert complaint(events) is None, complaint(events)
    return events


def _is_in_turn(events: Iterable[ir.Event]) -> bool:
    """Whether no block begins in an answer before the one before it has ended."""
    opened: set[int] = set()
    for event in events:
        number, said = (event.number, event.event) if isinstance(event, ir.Other) else (0, event)
        if isinstance(said, ir.BlockStarted):
            if number in opened:
                return False
            opened.add(number)
        elif isinstance(said, ir.BlockStopped):
            opened.discard(number)
    return True


def _relayed(relay: Relay, reads: Iterable[Sequence[Any]]) -> bytes:
    """All that the client gets, the error included that a bad end is told with."""
    out = []
    try:
        for messages in reads:
            out.append(relay.feed(messages))
        out.append(relay.close())
    except UpstreamError as error:
        if relay.error is None:
            out.append(relay.broken(error.reply))
    return b"".join(out)


def _check_grammar(wire: str, told: bytes) -> None:
    """What a model writes as a call's arguments goes on as it is, JSON or not."""
    try:
        grammars.check(wire, told)
    except grammars.Ungrammatical as error:
        if "input is no object" not in str(error):
            raise


def _collected(wire: str, client: str, asked: ir.Request, messages: Sequence[Any]) -> bytes | None:
    """What a client gets that wants the stream whole, None when it is no answer."""
    collecting = COLLECTING.get(wire)
    collector = None if collecting is None else collecting.Collector
    collection = collect(OUTBOUND[wire], INBOUND[client], lambda: asked, _ORIGIN, collector)
    try:
        collection.feed(messages)
        collection.close()
        return None if collection.error is not None else collection.answer().body
    except UpstreamProtocolError:
        return None


def _check_same(
    client: str, asked: ir.Request, told: bytes, whole: bytes, *, in_turn: bool = True
) -> None:
    """
    The client's own decoder finds the same answer in a stream and in a whole.

    in_turn: if not, a stream may tell what lies open in another order, and cut it elsewhere.
    """
    decode = OUTBOUND[client].decode_reply
    array = told.startswith(b"[")
    streamed = decode(200, told) if array else exchanges.read_stream(client, told)
    if client == "anthropic":
        # Arguments that were cut stream as they came; whole, they must be an object.
        streamed = comparing.with_objects(streamed)
    one, other = (_comparable(client, asked, each) for each in (streamed, decode(200, whole)))
    if isinstance(one, ir.ErrorReply) or isinstance(other, ir.ErrorReply):
        assert one == other, f"{one} as a stream, {other} whole"
        return
    if client == "chat" and _has_several_parts(streamed):
        # The sources come last, when a text behind which something else came is over.
        one, other = _without_sources(one), _without_sources(other)
    if in_turn:
        assert one == other, f"{one} as a stream, {other} whole"
    else:
        assert one.stop == other.stop, "another end"
        assert _calls(one) == _calls(other), "other calls"


def _has_several_parts(said: ir.Reply) -> bool:
    if not isinstance(said, ir.Response):
        return False
    answers = (said.parts, *(answer.parts for answer in said.others))
    return any(len(parts) > 1 for parts in answers)


def _calls(said: ir.Response) -> set[tuple[str, str]]:
    return {(part.id, part.name) for part in said.parts if isinstance(part, ir.ToolCall)}


def _comparable(client: str, asked: ir.Request, said: ir.Reply) -> ir.Reply:
    if not isinstance(said, ir.Response):
        return said
    said = comparing.comparable(client, said)
    # In a stream Chat counts only for those who ask for it.
    is_counted = client != "chat" or asked.include_usage
    return said if is_counted else ir.replace(said, usage=None)


def _without_sources(said: ir.Response) -> ir.Response:
    parts = (ir.replace(p, citations=()) if isinstance(p, ir.Text) else p for p in said.parts)
    return ir.replace(said, parts=tuple(parts))


# ── whole answers ──


def reply(wire: str, data: bytes) -> None:
    """A whole answer, good or bad, for every client, also for one that wants a stream."""
    for name, client in INBOUND.items():
        asked, _ = _asked_for(name, data)
        for status in (200, 400, 529):
            try:
                encoded, said = convert(
                    OUTBOUND[wire], client, _always(asked), _ORIGIN, status, data
                )
            except UpstreamProtocolError:
                assert status == 200, "an error answer is never refused"
                continue
            if name == wire:
                continue
            json.loads(encoded.body)
            if isinstance(said, ir.Response):
                told = unfolded(OUTBOUND[wire], client, asked, _ORIGIN, said).body
                _check_grammar(name, told)
                _check_same(name, asked, told, encoded.body)


def _always(asked: ir.Request) -> Callable[[], ir.Request]:
    return lambda: asked
