"""
A client's stream out.

The dialect has one open block at a time and numbers blocks without gaps, so of several open blocks
only the oldest streams; the others wait until it stops. A block is written when its first content
comes: an empty text would be sent back by the client and then refused.

The frequent events are spliced from bytes instead of printed from objects.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from aiproxy import ir
from aiproxy.framing import sse
from aiproxy.wire.anthropic.errors import error_body
from aiproxy.wire.anthropic.reply import (
    call_proof_block,
    call_shape,
    citation_shape,
    media_note,
    message_shape,
    opaque_blocks,
    redacted_block,
    signature,
    stop_text,
)
from aiproxy.wire.anthropic.shapes import NAME
from aiproxy.wire.anthropic.usage import stop_word, usage_shape
from aiproxy.wire.closed import assert_never
from aiproxy.wire.jsontext import write
from aiproxy.wire.losses import Losses

HEARTBEAT = b'event: ping\ndata: {"type":"ping"}\n\n'
END = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'

_DELTA = (
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,'
    b'"delta":{"type":"%b","%b":%b}}\n\n'
)
_Delta: TypeAlias = ir.TextDelta | ir.ReasoningDelta | ir.ArgumentsDelta

_FIELDS: Mapping[type[_Delta], tuple[bytes, bytes]] = {
    ir.TextDelta: (b"text_delta", b"text"),
    ir.ReasoningDelta: (b"thinking_delta", b"thinking"),
    ir.ArgumentsDelta: (b"input_json_delta", b"partial_json"),
}
"""By event: the type of its delta, and that delta's one member."""

_STOP = b'event: content_block_stop\ndata: {"type":"content_block_stop","index":%d}\n\n'


class _Block:
    """
    The block that is being written.

    index: in the events. number: in the stream, None until its start is written.
    held: text of a free-form call, which must be whole before it can be wrapped in JSON.
    """

    __slots__ = ("citations", "held", "index", "late_proof", "number", "part", "proof")

    def __init__(self, index: int, part: ir.Part) -> None:
        self.index = index
        self.part = part
        self.number: int | None = None
        self.held: list[str] = []
        self.citations: list[ir.Citation] = []
        self.late_proof: ir.Proof | None = None
        self.proof: ir.Proof | None = None
        if isinstance(part, ir.Reasoning | ir.ToolCall):
            self.proof = part.proof


class StreamEncoder:
    """See `contract.StreamEncoder`."""

    content_type = "text/event-stream"

    def __init__(self, request: ir.Request) -> None:
        self.losses: list[ir.Loss] = []
        self._losses = Losses()
        self._id = ""
        self._usage: ir.Usage | None = None
        self._next = 0
        self._current: _Block | None = None
        self._waiting: dict[int, list[ir.BlockEvent]] = {}
        self._said = -1
        self._kind: type[_Delta] = ir.TextDelta
        self._frame = b""

    def encode(self, event: ir.Event) -> bytes:
        if isinstance(event, self._kind) and event.index == self._said and event.text:
            return self._frame % write(event.text)
        self._said = -1
        match event:
            case ir.Started():
                return self._start(event)
            case ir.Finished():
                return self._finish(event)
            case ir.Broken():
                return sse.encode(error_body(event.error), "error")
            case ir.Other():
                self._losses.dropped("candidates")
                return b""
            case _:
                return self._of_block(event)

    def _start(self, event: ir.Started) -> bytes:
        self._id, self._usage = event.id, event.usage
        message = message_shape(event.id, event.model, [], event.usage)
        return _event("message_start", message=message)

    def _finish(self, event: ir.Finished) -> bytes:
        self._losses.extras(NAME, event.extras)
        self.losses[:] = self._losses.seen()
        delta = {
            "stop_reason": stop_word(event.stop),
            "stop_sequence": stop_text(event.stop, event.stop_sequence),
        }
        usage = usage_shape(event.usage or self._usage)
        return _event("message_delta", delta=delta, usage=usage) + END

    # ── one block after the other ──

    def _of_block(self, event: ir.BlockEvent) -> bytes:
        """An event of the current block is written, one of a later block waits."""
        current = self._current
        if current is not None and current.index != event.index:
            self._waiting.setdefault(event.index, []).append(event)
            return b""
        out = self._write(event)
        if isinstance(event, ir.BlockStopped):
            out += self._catch_up()
            self.losses[:] = self._losses.seen()
        return out

    def _catch_up(self) -> bytes:
        """Write what has waited, up to a block that is still open."""
        out = b""
        while self._current is None and self._waiting:
            for event in self._waiting.pop(min(self._waiting)):
                out += self._write(event)
        return out

    def _write(self, event: ir.BlockEvent) -> bytes:
        if isinstance(event, ir.BlockStarted):
            self._current = _Block(event.index, event.block)
            return self._begin(self._current)
        block = self._current
        if block is None:
            return b""
        match event:
            case ir.TextDelta() | ir.RefusalDelta():
                return self._text(block, event.text)
            case ir.ReasoningDelta():
                return self._thought(block, event.text)
            case ir.ArgumentsDelta():
                return self._arguments(block, event.text)
            case ir.ProofAdded():
                return self._proof(block, event.proof)
            case ir.CitationAdded():
                return self._cite(block, event.citation)
            case ir.LogprobsAdded():
                self._losses.dropped("logprobs")
                return b""
            case ir.BlockStopped():
                self._current = None
                return self._end(block)
            case _:
                raise assert_never(event)

    def _begin(self, block: _Block) -> bytes:
        """Parts that arrive whole are written at once."""
        part = block.part
        if isinstance(part, ir.Text | ir.Reasoning | ir.ToolCall):
            self._losses.extras(NAME, part.extras)
        match part:
            case ir.Text() | ir.Refusal():
                return self._text(block, part.text)
            case ir.Reasoning():
                return self._thought(block, part.text)
            case ir.ToolCall():
                return self._arguments(block, part.arguments)
            case ir.Opaque():
                return b"".join(self._whole(shape) for shape in opaque_blocks(part, self._losses))
            case ir.Media():
                self._losses.dropped(f"{part.kind}-output")
                return self._whole({"type": "text", "text": media_note(part)})
            case ir.ToolResult():
                self._losses.dropped("tool-result")
                return b""
            case _:
                raise assert_never(part)

    def _end(self, block: _Block) -> bytes:
        match block.part:
            case ir.Reasoning():
                return self._end_of_thought(block)
            case ir.ToolCall() as call:
                out = self._call(block)
                if call.kind == "custom":
                    wrapped = write({"input": "".join(block.held)}).decode()
                    out += self._delta(block, b"input_json_delta", b"partial_json", wrapped)
                out += self._stop(block)
                if block.late_proof is not None:
                    out += self._whole(call_proof_block(block.late_proof, late=True))
                return out
            case _:
                if block.citations:
                    # Of a text that never came.
                    self._losses.dropped("citations")
                return self._stop(block)

    # ── the parts of a block ──

    def _text(self, block: _Block, text: str) -> bytes:
        if not text:
            return b""
        out = self._open(block, {"type": "text", "text": ""})
        out += self._more(block, ir.TextDelta, text)
        waiting, block.citations = block.citations, []
        return out + b"".join(self._cite(block, citation) for citation in waiting)

    def _cite(self, block: _Block, citation: ir.Citation) -> bytes:
        if block.number is None:
            block.citations.append(citation)
            return b""
        shape = citation_shape(citation, self._losses)
        if shape is None:
            return b""
        delta = {"type": "citations_delta", "citation": shape}
        return _event("content_block_delta", index=block.number, delta=delta)

    def _thought(self, block: _Block, text: str) -> bytes:
        if not text:
            return b""
        out = self._open(block, {"type": "thinking", "thinking": "", "signature": ""})
        return out + self._more(block, ir.ReasoningDelta, text)

    def _end_of_thought(self, block: _Block) -> bytes:
        """A thought that has neither text nor proof was none."""
        proof = block.proof
        if block.number is None:
            if proof is None:
                return b""
            if proof.redacted:
                return self._whole(redacted_block(proof))
        out = self._open(block, {"type": "thinking", "thinking": "", "signature": ""})
        out += self._delta(block, b"signature_delta", b"signature", signature(proof))
        return out + self._stop(block)

    def _arguments(self, block: _Block, text: str) -> bytes:
        if isinstance(block.part, ir.ToolCall) and block.part.kind == "custom":
            block.held.append(text)
            return b""
        if not text:
            return b""
        return self._call(block) + self._more(block, ir.ArgumentsDelta, text)

    def _call(self, block: _Block) -> bytes:
        """The start of a call, unless it is written; its proof comes in a thought before it."""
        if block.number is not None or not isinstance(block.part, ir.ToolCall):
            return b""
        out = b"" if block.proof is None else self._whole(call_proof_block(block.proof))
        shape = call_shape(block.part, f"{self._id}.{block.index}")
        return out + self._open(block, {**shape, "input": {}})

    def _proof(self, block: _Block, proof: ir.Proof) -> bytes:
        if isinstance(block.part, ir.Reasoning):
            block.proof = proof
        elif not isinstance(block.part, ir.ToolCall):
            self._losses.dropped("thought-signature")
        elif block.number is not None:
            block.late_proof = proof
        else:
            block.proof = proof
            return self._call(block)
        return b""

    # ── events ──

    def _open(self, block: _Block, shape: Any) -> bytes:
        if block.number is not None:
            return b""
        block.number = self._next
        self._next += 1
        return _event("content_block_start", index=block.number, content_block=shape)

    def _more(self, block: _Block, kind: type[_Delta], text: str) -> bytes:
        """A delta of a block that is open; what comes after it is most often more of the same."""
        self._said, self._kind = block.index, kind
        self._frame = _DELTA % (block.number, *_FIELDS[kind], b"%b")
        return self._frame % write(text)

    def _delta(self, block: _Block, kind: bytes, field: bytes, text: str) -> bytes:
        return _DELTA % (block.number, kind, field, write(text))

    def _stop(self, block: _Block) -> bytes:
        return b"" if block.number is None else _STOP % block.number

    def _whole(self, shape: Any) -> bytes:
        """
        A block that is there at once, as a start and a stop.

        Clients build texts and signatures from deltas only, so those are sent as deltas.
        """
        number = self._next
        self._next += 1
        deltas = b""
        if isinstance(shape, dict) and shape["type"] == "text":
            deltas = _DELTA % (number, b"text_delta", b"text", write(shape["text"]))
            shape = {"type": "text", "text": ""}
        elif isinstance(shape, dict) and shape["type"] == "thinking":
            proof = write(shape["signature"])
            deltas = _DELTA % (number, b"signature_delta", b"signature", proof)
            shape = {"type": "thinking", "thinking": "", "signature": ""}
        start = _event("content_block_start", index=number, content_block=shape)
        return start + deltas + _STOP % number


def _event(kind: str, **members: Any) -> bytes:
    return sse.encode(write({"type": kind, **members}), kind)
