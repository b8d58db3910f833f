"""
A reply as this dialect's stream.

Sequence: response.created, response.in_progress, then for each item output_item.added, its parts
and deltas, output_item.done, then response.completed, .incomplete or .failed; `sequence_number`
counts from 0. Several items may be open at once. Texts that follow one another are parts of one
message, and a block that stays empty leaves no trace.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from aiproxy import ir
from aiproxy.framing import sse
from aiproxy.wire import proofs
from aiproxy.wire.closed import assert_never
from aiproxy.wire.jsontext import write
from aiproxy.wire.losses import Losses, feature_name
from aiproxy.wire.responses import errors, native, slots
from aiproxy.wire.responses.envelope import Envelope
from aiproxy.wire.responses.shapes import FAMILY, NAME
from aiproxy.wire.responses.slots import Event


class _Text:
    """An open text or refusal. part: None until it must be shown."""

    def __init__(self, kind: type[slots.TextPart] | type[slots.RefusalPart]) -> None:
        self.kind = kind
        self.slot: slots.MessageSlot | None = None
        self.part: slots.TextPart | slots.RefusalPart | None = None


class _Thought:
    """Open reasoning. slot: None until it must be shown."""

    def __init__(self) -> None:
        self.slot: slots.ThoughtSlot | None = None


class StreamEncoder:
    """
    Events in, bytes out (see `contract.StreamEncoder`).

    response: the final response object, once the reply has ended.
    """

    content_type = "text/event-stream"

    def __init__(self, request: ir.Request | None) -> None:
        self.losses: list[ir.Loss] = []
        self.response: dict[str, Any] | None = None
        self._request = request
        self._envelope: Envelope | None = None
        self._sequence = 0
        self._open: dict[int, _Text | _Thought | slots.CallSlot] = {}
        self._unseen: list[int] = []
        self._order: list[slots.Slot] = []
        self._message: slots.MessageSlot | None = None
        self._has_refusal = False

    def encode(self, event: ir.Event) -> bytes:
        if self.response is not None:
            return b""
        match event:
            case ir.Started():
                return self._start(event)
            case ir.TextDelta() | ir.RefusalDelta() | ir.ReasoningDelta() | ir.ArgumentsDelta():
                return self._delta(event.index, event.text)
            case ir.BlockStarted():
                return self._block_started(event.index, event.block)
            case ir.ProofAdded():
                return self._written(self._proof(event.index, event.proof))
            case ir.CitationAdded():
                return self._written(self._cite(event.index, event.citation))
            case ir.LogprobsAdded():
                return self._written(self._likely(event.index, event.logprobs))
            case ir.BlockStopped():
                return self._stop(event.index)
            case ir.Finished():
                return self._finish(event)
            case ir.Broken():
                return self._break(event)
            case ir.Other():
                self._lost("candidates")
                return b""
            case _:
                raise assert_never(event)

    # ── writing ──

    def _written(self, events: Iterable[Event]) -> bytes:
        out: list[bytes] = []
        for type_, fields in events:
            data = write({"type": type_, **fields, "sequence_number": self._sequence})
            self._sequence += 1
            if b"\n" in data or b"\r" in data:
                # Between tokens only, of schemas that the client printed on several lines.
                data = data.replace(b"\n", b" ").replace(b"\r", b" ")
            out.append(sse.encode(data, type_))
        return b"".join(out)

    def _grown(self, text: slots.Growing, more: str) -> bytes:
        data = text.delta(more, self._sequence)
        self._sequence += 1
        return data

    def _lost(self, feature: str, *, approximated: bool = False) -> None:
        loss = ir.Loss(feature, "approximated" if approximated else "dropped")
        if loss not in self.losses:
            self.losses.append(loss)

    def _note_extras(self, extras: ir.Extras | None) -> None:
        """What only another vendor's clients would understand."""
        noted = Losses()
        noted.extras(NAME, extras)
        self.losses += (loss for loss in noted.seen() if loss not in self.losses)

    # ── the reply as a whole ──

    def _start(self, start: ir.Started) -> bytes:
        self._envelope = Envelope(self._request, start)
        response = {"response": self._envelope.object("in_progress")}
        return self._written([("response.created", response), ("response.in_progress", response)])

    def _started(self) -> tuple[Envelope, bytes]:
        """The envelope, and the bytes of its announcement when that is still due."""
        out = b""
        if self._envelope is None:
            out = self._start(ir.Started("", self._request.model if self._request else ""))
        assert self._envelope is not None
        return self._envelope, out

    def _finish(self, end: ir.Finished) -> bytes:
        envelope, out = self._started()
        self._note_extras(end.extras)
        for index in list(self._open):
            out += self._stop(index)
        out += self._written(self._close_message())
        output = [slot.item("completed") for slot in self._order]
        self.response = envelope.finished(output, end, has_refusal=self._has_refusal)
        return out + self._written([(f"response.{self.response['status']}", self._final())])

    def _break(self, broken: ir.Broken) -> bytes:
        envelope, out = self._started()
        done = [slot.item("completed") for slot in self._order if slot.is_done]
        self.response = envelope.object("failed", done, error=errors.failure(broken.error))
        return out + self._written([("response.failed", self._final())])

    def _final(self) -> dict[str, Any]:
        return {"response": self.response}

    # ── items ──

    def _place(self) -> tuple[str, int]:
        assert self._envelope is not None
        return self._envelope.id, len(self._order)

    def _add(self, slot: slots.Slot, before: slots.Slot | None = None) -> Iterator[Event]:
        """
        Announce an item.

        before: the item that it precedes in the finished output, though announced later.
        """
        message = self._message
        if message is not None and message.is_idle:
            yield from self._close_message()
        self._message = None
        at = len(self._order) if before is None else self._order.index(before)
        self._order.insert(at, slot)
        yield from slot.added()

    def _add_whole(self, slot: slots.Slot) -> Iterator[Event]:
        yield from self._add(slot)
        yield from slot.done()

    def _close_message(self) -> Iterator[Event]:
        if self._message is not None:
            yield from self._message.done()
            self._message = None

    def _show_unseen(self, upto: int | None = None) -> Iterator[Event]:
        """Announce the blocks that began so far and are still empty, lest they change places."""
        while self._unseen and (upto is None or upto in self._unseen):
            block = self._open[self._unseen.pop(0)]
            if isinstance(block, _Text):
                yield from self._show_text(block)
            elif isinstance(block, _Thought):
                yield from self._show_thought(block)
                assert block.slot is not None
                yield from block.slot.open_summary()

    def _show_text(self, block: _Text) -> Iterator[Event]:
        message = self._message
        if message is None:
            message = slots.MessageSlot(*self._place())
            yield from self._add(message)
            self._message = message
        block.slot, block.part = message, message.part(block.kind)
        yield from block.part.opened()

    def _show_thought(self, block: _Thought, proof: ir.Proof | None = None) -> Iterator[Event]:
        encrypted = None if proof is None else proofs.tagged(proof, FAMILY)
        if block.slot is None:
            block.slot = slots.ThoughtSlot(*self._place(), encrypted)
            yield from self._add(block.slot)
        elif encrypted is not None:
            block.slot.encrypted = encrypted

    # ── blocks ──

    def _block_started(self, index: int, block: ir.Part) -> bytes:
        _, out = self._started()
        if isinstance(block, ir.Text | ir.Reasoning | ir.ToolCall | ir.Media):
            self._note_extras(block.extras)
        match block:
            case ir.Text():
                return out + self._text_started(index, block)
            case ir.Refusal():
                self._open[index] = _Text(slots.RefusalPart)
                self._unseen.append(index)
                return out + self._delta(index, block.text)
            case ir.Reasoning():
                self._open[index] = _Thought()
                self._unseen.append(index)
                out += self._delta(index, block.text)
                proof = [] if block.proof is None else self._proof(index, block.proof)
                return out + self._written(proof)
            case ir.ToolCall():
                return out + self._call_started(index, block)
            case ir.Media() | ir.Opaque() | ir.ToolResult():
                return out + self._whole(block)
            case _:
                raise assert_never(block)

    def _text_started(self, index: int, text: ir.Text) -> bytes:
        self._open[index] = _Text(slots.TextPart)
        self._unseen.append(index)
        out = self._delta(index, text.text)
        for citation in text.citations:
            out += self._written(self._cite(index, citation))
        if text.proof is not None:
            out += self._written(self._proof(index, text.proof))
        return out

    def _call_started(self, index: int, call: ir.ToolCall) -> bytes:
        out = self._written(self._show_unseen())
        if call.proof is not None:
            encrypted = proofs.tagged(call.proof, FAMILY)
            out += self._written(self._add_whole(slots.ThoughtSlot(*self._place(), encrypted)))
        kind = slots.NativeSlot if native.is_native(call.kind) else slots.CallSlot
        slot = kind(*self._place(), call)
        self._open[index] = slot
        return out + self._written(self._add(slot)) + self._delta(index, call.arguments)

    def _whole(self, part: ir.Media | ir.Opaque | ir.ToolResult) -> bytes:
        out = self._written(self._show_unseen())
        match part:
            case ir.Media(kind="image", source=ir.Inline() as image) if image.data:
                return out + self._written(self._add_whole(slots.ImageSlot(*self._place(), image)))
            case ir.Opaque(wire=wire) if wire == NAME:
                return out + self._written(self._add_whole(slots.OpaqueSlot(*self._place(), part)))
            case ir.Opaque(kind=kind, fallback=fallback) if fallback:
                self._lost(feature_name(kind), approximated=True)
                return out + self._shown(fallback)
            case ir.Opaque(kind=kind):
                self._lost(feature_name(kind))
            case ir.Media():
                self._lost(f"{part.kind}-output")
            case ir.ToolResult():
                self._lost("tool-result")
            case _:
                raise assert_never(part)
        return out

    def _shown(self, text: str) -> bytes:
        """A text of its own."""
        block = _Text(slots.TextPart)
        out = self._written(self._show_text(block))
        assert block.part is not None
        return out + self._grown(block.part, text) + self._written(self._text_stopped(block))

    def _delta(self, index: int, text: str) -> bytes:
        if not text:
            return b""
        block = self._open.get(index)
        out = b""
        match block:
            case _Text():
                if block.part is None:
                    out = self._written(self._show_unseen(index))
                assert block.part is not None
                self._has_refusal = self._has_refusal or block.kind is slots.RefusalPart
                return out + self._grown(block.part, text)
            case _Thought():
                if block.slot is None or block.slot.summary is None:
                    out = self._written(chain(self._show_unseen(index), self._summary(block)))
                assert block.slot is not None
                assert block.slot.summary is not None
                return out + self._grown(block.slot.summary, text)
            case slots.NativeSlot():
                block.pieces.append(text)
                return b""
            case slots.CallSlot():
                return self._grown(block.arguments, text)
            case None:
                return b""
            case _:
                raise assert_never(block)

    def _summary(self, block: _Thought) -> Iterator[Event]:
        """Make sure that a reasoning item has its text, once the item itself is there."""
        assert block.slot is not None
        yield from block.slot.open_summary()

    def _proof(self, index: int, proof: ir.Proof) -> Iterator[Event]:
        block = self._open.get(index)
        if isinstance(block, _Text):
            # There is no field for it, and no vendor insists on a text's proof.
            self._lost("thought-signature")
        elif isinstance(block, _Thought):
            if block.slot is None:
                before = self._unseen.index(index)
                if before:
                    yield from self._show_unseen(self._unseen[before - 1])
                self._unseen.remove(index)
            yield from self._show_thought(block, proof)
        elif isinstance(block, slots.CallSlot):
            # Done before the call is, and placed before it in the finished output.
            slot = slots.ThoughtSlot(*self._place(), proofs.tagged(proof, FAMILY))
            yield from self._add(slot, before=block)
            yield from slot.done()

    def _cite(self, index: int, citation: ir.Citation) -> Iterator[Event]:
        block = self._open.get(index)
        if not isinstance(block, _Text) or not citation.url:
            self._lost("citations")
            return
        if block.part is None:
            yield from self._show_unseen(index)
        if isinstance(block.part, slots.TextPart):
            if citation.quote:
                self._lost("citations")
            yield from block.part.cited(citation)

    def _likely(self, index: int, logprobs: tuple[ir.Logprob, ...]) -> Iterator[Event]:
        block = self._open.get(index)
        if isinstance(block, _Text) and block.kind is slots.TextPart:
            if block.part is None:
                yield from self._show_unseen(index)
            assert isinstance(block.part, slots.TextPart)
            block.part.logprobs += logprobs
        else:
            # A refusal has no place for them.
            self._lost("logprobs")

    # ── ends of blocks ──

    def _stop(self, index: int) -> bytes:
        block = self._open.pop(index, None)
        if index in self._unseen:
            self._unseen.remove(index)
        match block:
            case _Text():
                return self._written(self._text_stopped(block))
            case _Thought():
                return self._written(self._thought_stopped(block))
            case slots.CallSlot():
                return self._call_stopped(block)
            case None:
                return b""
            case _:
                raise assert_never(block)

    def _text_stopped(self, block: _Text) -> Iterator[Event]:
        if block.part is None or block.slot is None:
            return
        yield from block.part.closed()
        if block.slot is not self._message and block.slot.is_idle:
            yield from block.slot.done()

    def _thought_stopped(self, block: _Thought) -> Iterator[Event]:
        if block.slot is not None:
            yield from block.slot.close_summary()
            yield from block.slot.done()

    def _call_stopped(self, slot: slots.CallSlot) -> bytes:
        if isinstance(slot, slots.NativeSlot):
            return self._written(slot.done())
        out = b""
        if not slot.is_custom and not slot.arguments.text:
            out = self._grown(slot.arguments, "{}")
        return out + self._written(chain(slot.arguments.closed(), slot.done()))
