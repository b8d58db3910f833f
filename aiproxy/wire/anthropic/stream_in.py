"""
An upstream's stream in.

    message_start, { content_block_start, content_block_delta*, content_block_stop }*,
    message_delta+, message_stop; ping anywhere; `error` ends it all

Blocks that only this wire understands are held until they are whole. Unknown events and deltas are
skipped. Source: Anthropic API reference, "Streaming Messages".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from aiproxy import ir
from aiproxy.errors import UpstreamProtocolError
from aiproxy.framing import sse
from aiproxy.wire.anthropic import shapes
from aiproxy.wire.anthropic.blocks_in import opaque, part_of, proof_of, web_citation
from aiproxy.wire.anthropic.errors import error_of
from aiproxy.wire.anthropic.shapes import (
    NAME,
    SAID_IN_MESSAGE,
    DeltaShape,
    StreamShape,
    UsageShape,
    known,
)
from aiproxy.wire.anthropic.usage import read_usage, stop_of, usage_of
from aiproxy.wire.jsontext import copied, given, raw, read_reply, try_read
from aiproxy.wire.leftovers import Leftovers
from aiproxy.wire.refrain import Refrain

_MOST_STRAY_MESSAGES = 3
"""So many messages in a row that are no JSON make a broken stream."""

_read = msgspec.json.Decoder(StreamShape).decode

_SAID_IN_DELTA = known(DeltaShape)
_SAID_AT_END = known(StreamShape)
_HELD = frozenset({"type", "partial_json", "content"})

_KNOWN = frozenset(
    {
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
        "error",
    }
)


class _Block:
    """
    One block that is open upstream.

    part: its first state; for an Opaque the block as it came. index: its place in the reply, None
    until an Opaque is whole.
    """

    __slots__ = ("content", "fragments", "index", "initial", "part", "proof", "raw")

    def __init__(self, part: ir.Part, raw_block: ir.JSON, index: int | None) -> None:
        self.part = part
        self.raw = raw_block
        self.index = index
        self.initial = ""
        self.fragments: list[str] = []
        self.content: ir.JSON | None = None
        self.proof: ir.Proof | None = None


class StreamDecoder:
    """See `contract.StreamDecoder`."""

    def __init__(self) -> None:
        self._blocks: dict[int, _Block] = {}
        self._next = 0
        self._started = False
        self._ended = False
        self._has_calls = False
        self._usage: UsageShape | None = None
        self._stop: str | None = None
        self._stop_sequence = ""
        self._strays = 0
        self._refrain = Refrain()
        self._leftovers = Leftovers(NAME)

    def feed(self, message: sse.Message) -> Sequence[ir.Event]:
        return self._refrain.again(message) or self._refrain.learn(message, self._decode(message))

    def _decode(self, message: sse.Message) -> Sequence[ir.Event]:
        if self._ended:
            return ()
        try:
            shape = _read(message.data)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            return self._stray(message)
        self._strays = 0
        kind = shape.type or message.event
        if kind == "content_block_delta":
            return self._delta(shape, message.data)
        if kind == "error" or (not shape.type and given(shape.error)):
            self._ended = True
            return (ir.Broken(error_of(None, message.data)),)
        match kind:
            case "message_start":
                return self._start(shape)
            case "content_block_start":
                return self._open(shape)
            case "content_block_stop":
                return self._close_block(shape.index)
            case "message_delta":
                self._note_end(shape, message.data)
            case "message_stop":
                return self._finish()
        return ()

    def close(self) -> Sequence[ir.Event]:
        if self._ended:
            return ()
        if self._stop is None:
            raise UpstreamProtocolError("the upstream's stream was cut short")
        return self._finish()

    def _stray(self, message: sse.Message) -> Sequence[ir.Event]:
        """Something that is not one of our events: fatal when it calls itself one."""
        typed = try_read(message.data, shapes.Typed)
        if typed is not None and (typed.type or message.event) in _KNOWN:
            raise UpstreamProtocolError("an event of the upstream is malformed")
        self._strays += typed is None
        if self._strays >= _MOST_STRAY_MESSAGES:
            raise UpstreamProtocolError("the upstream's stream is not JSON")
        return ()

    def _start(self, shape: StreamShape) -> Sequence[ir.Event]:
        """A second start is tolerated: some gateways splice two answers into one stream."""
        start = (
            read_reply(shape.message, shapes.MessageStartShape)
            if given(shape.message)
            else shapes.MessageStartShape()
        )
        self._usage = read_usage(start.usage, self._usage)
        self._leftovers.note(shape.message, SAID_IN_MESSAGE)
        if self._started:
            return ()
        self._started = True
        usage = usage_of(self._usage)
        return (ir.Started(start.id or "", start.model or "", 0, usage and usage.of_input()),)

    def _open(self, shape: StreamShape) -> Sequence[ir.Event]:
        if not self._started or shape.index is None or not given(shape.content_block):
            raise UpstreamProtocolError("a block of the upstream's stream is out of place")
        events = list(self._close_block(shape.index))
        part = part_of(shape.content_block, read_reply)
        if isinstance(part, ir.Media | ir.ToolResult):
            kind = read_reply(shape.content_block, shapes.Typed).type or ""
            part = opaque(kind, shape.content_block)
        block = _Block(part, copied(shape.content_block), None)
        self._blocks[shape.index] = block
        if isinstance(part, ir.Text | ir.Reasoning):
            self._note_extras(part)
        match part:
            case ir.Text():
                self._begin(block, ir.Text(""), events)
                if part.text:
                    events.append(ir.TextDelta(self._at(block), part.text))
                events += [ir.CitationAdded(self._at(block), c) for c in part.citations]
            case ir.Reasoning():
                self._begin(block, ir.Reasoning(""), events)
                block.proof = part.proof
                if part.text:
                    events.append(ir.ReasoningDelta(self._at(block), part.text))
            case ir.ToolCall():
                self._has_calls = True
                self._begin(block, ir.replace(part, arguments=""), events)
                block.initial = part.arguments
        return events

    def _note_extras(self, part: ir.Text | ir.Reasoning) -> None:
        """What a block says besides; of its sources, those that are none of the web."""
        for name, value in () if part.extras is None else part.extras.fields:
            sources = try_read(value, list[msgspec.Raw])
            is_told = isinstance(part, ir.Text) and sources and len(sources) == len(part.citations)
            if name != "citations" or not is_told:
                self._leftovers.add(name, value)

    def _begin(self, block: _Block, part: ir.Part, events: list[ir.Event]) -> None:
        block.index = self._next
        self._next += 1
        events.append(ir.BlockStarted(block.index, part))

    def _at(self, block: _Block) -> int:
        assert block.index is not None
        return block.index

    def _delta(self, shape: StreamShape, data: bytes) -> Sequence[ir.Event]:
        block = self._blocks.get(-1 if shape.index is None else shape.index)
        delta = shape.delta
        if block is None or delta is None:
            raise UpstreamProtocolError("a delta of the upstream's stream is out of place")
        index = block.index
        if index is None:
            self._hold(block, delta)
            self._note_delta(data, _HELD)
            return ()
        match block.part:
            case ir.Text() if delta.text:
                return (ir.TextDelta(index, delta.text),)
            case ir.Text() if given(delta.citation):
                cited = try_read(delta.citation, shapes.Cited)
                # One into a document of the prompt has no URL, which every client's wire reports.
                return (ir.CitationAdded(index, web_citation(cited) or ir.Citation("")),)
            case ir.Reasoning():
                if delta.signature:
                    block.proof = proof_of(delta.signature)
                if delta.thinking:
                    return (ir.ReasoningDelta(index, delta.thinking),)
                if delta.signature:
                    return ()
            case ir.ToolCall() if delta.partial_json:
                block.initial = ""
                return (ir.ArgumentsDelta(index, delta.partial_json),)
        self._note_delta(data, frozenset({"type"}))
        return ()

    def _note_delta(self, data: bytes, known: frozenset[str]) -> None:
        """What a delta says that is none of its block's."""
        members = try_read(data, dict[str, msgspec.Raw]) or {}
        self._leftovers.note(members.get("delta", msgspec.Raw()), known)

    def _hold(self, block: _Block, delta: DeltaShape) -> None:
        if delta.partial_json:
            block.fragments.append(delta.partial_json)
        if given(delta.content):
            block.content = copied(delta.content)

    def _close_block(self, at: int | None) -> Sequence[ir.Event]:
        """What ends the block, nothing when there is none (a stop may come twice)."""
        block = self._blocks.pop(-1 if at is None else at, None)
        if block is None:
            return ()
        events: list[ir.Event] = []
        if block.index is None:
            whole = _whole(block)
            assert isinstance(block.part, ir.Opaque)
            self._begin(block, opaque(block.part.kind, whole), events)
        index = self._at(block)
        if block.initial:
            events.append(ir.ArgumentsDelta(index, block.initial))
        if block.proof is not None:
            events.append(ir.ProofAdded(index, block.proof))
        events.append(ir.BlockStopped(index))
        return events

    def _note_end(self, shape: StreamShape, data: bytes) -> None:
        members = try_read(data, dict[str, msgspec.Raw]) or {}
        self._leftovers.note(data, _SAID_AT_END)
        self._leftovers.note(members.get("delta", msgspec.Raw()), _SAID_IN_DELTA)
        self._usage = read_usage(shape.usage, self._usage)
        if shape.delta is not None:
            self._stop = shape.delta.stop_reason or self._stop
            self._stop_sequence = shape.delta.stop_sequence or self._stop_sequence

    def _finish(self) -> Sequence[ir.Event]:
        if not self._started:
            raise UpstreamProtocolError("the upstream's stream ended before it began")
        events = [event for at in tuple(self._blocks) for event in self._close_block(at)]
        self._ended = True
        stop = ir.settled_stop(stop_of(self._stop), self._has_calls)
        usage, extras = usage_of(self._usage), self._leftovers.extras()
        events.append(ir.Finished(stop, self._stop_sequence, usage, extras))
        return events


def _whole(block: _Block) -> ir.JSON:
    """An opaque block with what came after its start put into it."""
    if not block.fragments and block.content is None:
        return block.raw
    members: dict[str, Any] = dict(try_read(block.raw, dict[str, msgspec.Raw]) or {})
    text = "".join(block.fragments)
    if text:
        members["input"] = msgspec.Raw(text.encode()) if try_read(text, object) else raw(text)
    if block.content is not None:
        members["content"] = block.content
    return raw(members)
