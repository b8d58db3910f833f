"""
An upstream's stream in: frames of an AWS event stream, each with one small JSON object.

    { reasoningContentEvent | assistantResponseEvent | toolUseEvent }*, metadataEvent*
    and others anywhere; an exception, an error or an invalidStateEvent ends it all

There is no last event: the end of the stream is the good end. Each text is a true delta, also when
it repeats the one before. Pieces of several tool calls may interleave.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import msgspec

from aiproxy import ir
from aiproxy.errors import UpstreamProtocolError
from aiproxy.framing import eventstream
from aiproxy.wire.jsontext import given, text_of, try_read
from aiproxy.wire.kiro import shapes
from aiproxy.wire.kiro.errors import error_in_frame
from aiproxy.wire.kiro.shapes import FAMILY, NAME
from aiproxy.wire.kiro.usage import stop_of, usage_of
from aiproxy.wire.leftovers import Leftovers

T = TypeVar("T")

_KNOWN = frozenset(
    {
        "assistantResponseEvent",
        "codeEvent",
        "reasoningContentEvent",
        "toolUseEvent",
        "metadataEvent",
        "messageMetadataEvent",
        "invalidStateEvent",
        "error",
    }
)
"""All others carry nothing that a client could be shown."""

_BOOKS = frozenset(
    {
        "",
        "initial-response",
        "meteringEvent",
        "contextUsageEvent",
        "intentsEvent",
        "interactionComponentsEvent",
        "dryRunSucceedEvent",
    }
)
"""Events that tell a client nothing: how the service worked, and what its own editor shows."""


class _Call:
    """
    One tool call. pieces: the text that went out. whole: an object that came in one piece, held
    until the call ends because the next event may replace it.
    """

    __slots__ = ("index", "pieces", "stopped", "whole")

    def __init__(self, index: int) -> None:
        self.index = index
        self.pieces: list[str] = []
        self.whole = ""
        self.stopped = False

    @property
    def is_complete(self) -> bool:
        return _is_object("".join(self.pieces) or self.whole)

    def has(self, text: str) -> bool:
        """Whether this input, no text or an object, only repeats the one that is known."""
        known = try_read("".join(self.pieces) or self.whole, dict[str, Any])
        said = try_read(text, dict[str, Any])
        return said is not None and said in ({}, known)


class StreamDecoder:
    """See `contract.StreamDecoder`."""

    def __init__(self) -> None:
        self._id = ""
        self._model = ""
        self._started = False
        self._ended = False
        self._next = 0
        self._prose: ir.Text | ir.Reasoning | None = None
        self._prose_index = 0
        self._calls: dict[str, _Call] = {}
        self._is_cut = False
        self._has_metadata = False
        self._usage: ir.Usage | None = None
        self._stop: ir.StopReason | None = None
        self._leftovers = Leftovers(NAME)

    def feed(self, message: eventstream.Message) -> Sequence[ir.Event]:
        if self._ended:
            return ()
        match message.text(":message-type"):
            case "event" | "":
                return self._event(message)
            case "exception" | "error":
                return self._break(message)
        return ()

    def close(self) -> Sequence[ir.Event]:
        if self._ended:
            return ()
        if not self._started and not self._has_metadata:
            raise UpstreamProtocolError("the upstream's stream is empty")
        self._ended = True
        events = self._begin()
        events += self._end_prose()
        for call in self._calls.values():
            events += self._end_call(call)
        stop, extras = self._settled_stop(), self._leftovers.extras()
        events.append(ir.Finished(stop, usage=self._usage, extras=extras))
        return events

    def _event(self, message: eventstream.Message) -> Sequence[ir.Event]:
        kind, payload = message.text(":event-type"), message.payload
        if not kind:
            kind, payload = _unnamed(payload)
        match kind:
            case "assistantResponseEvent" | "codeEvent":
                return self._text(_read(payload, shapes.Content))
            case "toolUseEvent":
                return self._tool_use(_read(payload, shapes.ToolUse))
            case "reasoningContentEvent":
                return self._reasoning(_read(payload, shapes.Reasoning))
            case "invalidStateEvent" | "error":
                return self._break(message._replace(payload=payload))
            case "metadataEvent":
                self._note_end(payload)
            case "messageMetadataEvent":
                said = try_read(payload, shapes.MessageMetadata)
                self._id = (said.utterance_id if said is not None else None) or self._id
            case other if other not in _BOOKS:
                self._leftovers.add(other.removesuffix("Event"), msgspec.Raw(payload))
        return ()

    def _break(self, message: eventstream.Message) -> Sequence[ir.Event]:
        self._ended = True
        return (ir.Broken(error_in_frame(message)),)

    def _note_end(self, payload: bytes) -> None:
        """Counts and the stop reason; neither is worth losing an answer for."""
        metadata = try_read(payload, shapes.Metadata)
        if metadata is not None:
            self._has_metadata = True
            self._usage = usage_of(payload, metadata, self._usage)
            self._stop = stop_of(metadata.stop_reason) or self._stop

    def _settled_stop(self) -> ir.StopReason:
        """Older deployments name no reason."""
        if self._is_cut:
            return "max_tokens"
        return ir.settled_stop(self._stop or "end", bool(self._calls))

    # ── blocks ──

    def _begin(self) -> list[ir.Event]:
        if self._started:
            return []
        self._started = True
        return [ir.Started(self._id, self._model)]

    def _open(self, block: ir.Part) -> list[ir.Event]:
        self._next += 1
        return [ir.BlockStarted(self._next - 1, block)]

    def _to_prose(self, block: ir.Text | ir.Reasoning) -> tuple[list[ir.Event], int]:
        """What makes a block of this kind the open one, and its index."""
        events = self._begin()
        if type(self._prose) is not type(block):
            events += self._end_prose()
            events += self._open(block)
            self._prose, self._prose_index = block, self._next - 1
        return events, self._prose_index

    def _end_prose(self) -> list[ir.Event]:
        if self._prose is None:
            return []
        self._prose = None
        return [ir.BlockStopped(self._prose_index)]

    def _text(self, said: shapes.Content | None) -> Sequence[ir.Event]:
        if said is None:
            return ()
        self._model = said.model_id or self._model
        if not said.content:
            return ()
        events, index = self._to_prose(ir.Text(""))
        return [*events, ir.TextDelta(index, said.content)]

    def _reasoning(self, thought: shapes.Reasoning | None) -> Sequence[ir.Event]:
        """A proof ends its thought; one that comes too late gets a block of its own."""
        events: list[ir.Event] = []
        if thought is None:
            return events
        if thought.text:
            events, index = self._to_prose(ir.Reasoning(""))
            events.append(ir.ReasoningDelta(index, thought.text))
        if thought.signature:
            events += self._prove(ir.Proof(FAMILY, thought.signature))
        if thought.redacted_content:
            events += self._end_prose()
            events += self._prove(ir.Proof(FAMILY, thought.redacted_content, redacted=True))
        return events

    def _prove(self, proof: ir.Proof) -> list[ir.Event]:
        events, index = self._to_prose(ir.Reasoning(""))
        return [*events, ir.ProofAdded(index, proof), *self._end_prose()]

    # ── tool calls ──

    def _tool_use(self, use: shapes.ToolUse | None) -> Sequence[ir.Event]:
        if use is None:
            return ()
        call_id = use.tool_use_id or next(reversed(self._calls), "")
        call = self._calls.get(call_id)
        events: list[ir.Event] = []
        if call is None:
            if not call_id or not use.name:
                raise UpstreamProtocolError("a tool call of the upstream has no id or no name")
            events += self._begin()
            events += self._end_prose()
            events += self._end_calls(
                c for c in self._calls.values() if not c.stopped and c.is_complete
            )
            call = self._calls[call_id] = _Call(self._next)
            events += self._open(ir.ToolCall(call_id, use.name, ""))
        events += self._more(call, use.input)
        if use.stop:
            events += self._end_call(call)
        return events

    def _more(self, call: _Call, value: ir.JSON) -> Sequence[ir.Event]:
        """
        What comes of an event's `input`: an object waits, a piece of text goes out at once.

        What does not fit to what came before is left over.
        Raises: UpstreamProtocolError when it is neither.
        """
        piece = try_read(value, str) if given(value) else ""
        if (call.stopped or call.whole) and piece is not None and not piece.strip():
            return ()
        if piece is None and try_read(value, dict[str, msgspec.Raw]) is None:
            raise UpstreamProtocolError("the input of an upstream's tool call is no JSON object")
        text = text_of(value) if piece is None else piece
        if call.stopped or (call.pieces if piece is None else call.whole):
            if not call.has(text):
                self._leftovers.add("toolUse", value)
        elif piece is None:
            call.whole = text if try_read(value, dict[str, msgspec.Raw]) else call.whole
        elif piece:
            call.pieces.append(piece)
            return (ir.ArgumentsDelta(call.index, piece),)
        return ()

    def _end_calls(self, calls: Iterable[_Call]) -> list[ir.Event]:
        return [event for call in calls for event in self._end_call(call)]

    def _end_call(self, call: _Call) -> list[ir.Event]:
        """What is not an object at the end was cut off: nobody shall run it."""
        if call.stopped:
            return []
        call.stopped = True
        events: list[ir.Event] = []
        if not call.pieces:
            call.pieces.append(call.whole or "{}")
            events.append(ir.ArgumentsDelta(call.index, call.pieces[0]))
        self._is_cut = self._is_cut or not call.is_complete
        return [*events, ir.BlockStopped(call.index)]


def _unnamed(payload: bytes) -> tuple[str, bytes]:
    """Kind and payload of an event whose header is missing: its only member may be its name."""
    members = try_read(payload, dict[str, msgspec.Raw]) or {}
    name = next(iter(members), "")
    if len(members) == 1 and name in _KNOWN:
        return name, bytes(members[name])
    return "", payload


def _read(payload: bytes, shape: type[T]) -> T | None:
    """
    An event's payload, None when it is no JSON object: those are skipped.

    Raises: UpstreamProtocolError when a part of the answer would be lost with it.
    """
    read = try_read(payload, shape)
    if read is None and try_read(payload, dict[str, msgspec.Raw]) is not None:
        raise UpstreamProtocolError("an event of the upstream is malformed")
    return read


def _is_object(text: str) -> bool:
    return try_read(text, dict[str, msgspec.Raw]) is not None
