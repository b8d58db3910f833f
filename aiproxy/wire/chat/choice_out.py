"""One answer of a client's Chat stream: its events as chunks."""

from __future__ import annotations

from typing import Any, TypeAlias

from aiproxy import ir
from aiproxy.wire import jsontext
from aiproxy.wire.chat import counting, message_parts
from aiproxy.wire.chat.errors import NAME
from aiproxy.wire.chat.message_out import google_content
from aiproxy.wire.chat.reply import logprobs_member
from aiproxy.wire.closed import assert_never
from aiproxy.wire.losses import Losses, feature_name

_Delta: TypeAlias = ir.TextDelta | ir.ReasoningDelta | ir.ArgumentsDelta


class _Channel:
    """
    One text field of the message, written by one block at a time.

    Chat runs all texts of an answer together, so when several blocks are open only the oldest
    streams; the others are held until it stops.
    """

    def __init__(self, field: str) -> None:
        self.field = field
        self._open: list[int] = []
        self._held: dict[int, list[str]] = {}
        self._stopped: set[int] = set()

    def start(self, index: int) -> None:
        self._open.append(index)
        self._held[index] = []

    def add(self, index: int, text: str) -> str:
        """What of `text` can be written now."""
        if self._open and self._open[0] == index:
            return text
        if index in self._held:
            self._held[index].append(text)
        return ""

    def stop(self, index: int) -> str:
        """What can be written now that this block has ended."""
        self._stopped.add(index)
        free: list[str] = []
        while self._open and self._open[0] in self._stopped:
            del self._held[self._open.pop(0)]
            if self._open:
                held = self._held[self._open[0]]
                free += held
                held.clear()
        return "".join(free)

    def __contains__(self, index: int) -> bool:
        return index in self._held


class ChoiceWriter:
    """
    One answer's chunks.

    head, tail: what stands around each delta. losses: where what cannot be said is noted.
    saying: the block whose next delta of this `kind` goes out through `more`; -1 for none.
    """

    def __init__(self, head: bytes, tail: bytes, losses: Losses) -> None:
        self._head, self._tail = head, tail
        self._losses = losses
        self._text = _Channel("content")
        self._thought = _Channel("reasoning_content")
        self._refusal = _Channel("refusal")
        self._calls: dict[int, int] = {}
        self._custom: set[int] = set()
        self._empty_calls: set[int] = set()
        self._thoughts: dict[int, list[str]] = {}
        self._text_proof = False
        self._details = 0
        self._images = 0
        self._lengths: dict[int, int] = {}
        self._citations: list[tuple[int, ir.Citation]] = []
        self._logprobs: list[tuple[int, tuple[ir.Logprob, ...]]] = []
        self._refusals: set[int] = set()
        self.saying = -1
        self.kind: type[_Delta] = ir.TextDelta
        self._before = self._after = b""

    def begin(self) -> bytes:
        return self._chunk({"role": "assistant", "content": ""})

    def write(self, event: ir.BlockEvent) -> bytes:
        self.saying = -1
        match event:
            case ir.TextDelta():
                return self._said(self._text, event.index, event.text)
            case ir.ReasoningDelta():
                self._thoughts[event.index].append(event.text)
                return self._said(self._thought, event.index, event.text)
            case ir.RefusalDelta():
                return self._said(self._refusal, event.index, event.text)
            case ir.ArgumentsDelta():
                return self._arguments(event.index, event.text)
            case ir.BlockStarted():
                return self._block(event.index, event.block)
            case ir.BlockStopped():
                return self._stop(event.index)
            case ir.ProofAdded():
                return self._proof(event.index, event.proof)
            case ir.CitationAdded():
                self._citations.append((event.index, event.citation))
            case ir.LogprobsAdded():
                self._logprobs.append((event.index, event.logprobs))
            case _:
                assert_never(event)
        return b""

    def more(self, text: str) -> bytes:
        """The same kind of delta as the last one, with another text that is not empty."""
        if self.kind is ir.TextDelta:
            self._lengths[self.saying] += len(text)
        elif self.kind is ir.ReasoningDelta:
            self._thoughts[self.saying].append(text)
        return self._before + jsontext.write(text) + self._after

    def end(self, stop: ir.StopReason) -> bytes:
        """What is left, and the finish reason."""
        finish = counting.finish_of(stop, bool(self._calls))
        tail = self._tail.replace(b"null", jsontext.write(finish), 1)
        return self._annotations() + self._likelihoods() + self._head + b"{}" + tail

    def _chunk(self, delta: dict[str, Any]) -> bytes:
        return self._head + jsontext.write(delta) + self._tail

    # ── what waits for the end ──

    def _annotations(self) -> bytes:
        """All citations at once, where OpenAI has them: clients merge such lists by position."""
        entries: list[dict[str, Any]] = []
        for index, citation in self._citations:
            offset = sum(length for at, length in self._lengths.items() if at < index)
            length = self._lengths.get(index, 0)
            entry = message_parts.citation_entry(citation, offset, length, self._losses)
            if entry is not None:
                entries.append({"index": len(entries), **entry})
        return self._chunk({"annotations": entries}) if entries else b""

    def _likelihoods(self) -> bytes:
        """All log probabilities at once, in the order of the texts, which may come interleaved."""
        of_text: list[ir.Logprob] = []
        of_refusal: list[ir.Logprob] = []
        for index, found in sorted(self._logprobs, key=lambda added: added[0]):
            (of_refusal if index in self._refusals else of_text).extend(found)
        member = logprobs_member(of_text, of_refusal)
        if member is None:
            return b""
        tail = b',"logprobs":' + jsontext.write(member) + self._tail
        return self._head + b"{}" + tail

    # ── blocks ──

    def _block(self, index: int, block: ir.Part) -> bytes:
        if isinstance(block, ir.Text | ir.Reasoning | ir.ToolCall):
            self._losses.extras(NAME, block.extras)
        match block:
            case ir.Text():
                return self._open(self._text, index, block.text)
            case ir.Reasoning():
                self._thoughts[index] = [block.text]
                return self._open(self._thought, index, block.text)
            case ir.Refusal():
                self._refusals.add(index)
                return self._open(self._refusal, index, block.text)
            case ir.ToolCall():
                return self._call(index, block)
            case ir.Media():
                return self._media(block)
            case ir.Opaque(wire="chat", kind="audio"):
                return self._chunk({"audio": block.raw})
            case ir.Opaque() if block.fallback:
                self._losses.approximated(feature_name(block.kind))
                return self._open(self._text, index, block.fallback)
            case ir.Opaque():
                self._losses.dropped(feature_name(block.kind))
            case ir.ToolResult():
                self._losses.dropped("tool-result")
            case _:
                assert_never(block)
        return b""

    def _open(self, channel: _Channel, index: int, text: str) -> bytes:
        channel.start(index)
        return self._said(channel, index, text)

    def _said(self, channel: _Channel, index: int, text: str) -> bytes:
        now = channel.add(index, text)
        if channel is self._text:
            self._lengths[index] = self._lengths.get(index, 0) + len(text)
            if now:
                self._repeats(ir.TextDelta, index, b'{"content":', b"}")
        elif now and channel is self._thought:
            self._repeats(ir.ReasoningDelta, index, b'{"reasoning_content":', b"}")
        return self._chunk({channel.field: now}) if now else b""

    def _repeats(self, kind: type[_Delta], index: int, before: bytes, after: bytes) -> None:
        """What comes next is most often more of the same: such a text stands between these."""
        self.kind, self.saying = kind, index
        self._before, self._after = self._head + before, after + self._tail

    def _stop(self, index: int) -> bytes:
        if index in self._empty_calls:
            return self._arguments(index, "{}")
        for channel in (self._text, self._thought, self._refusal):
            if index in channel:
                now = channel.stop(index)
                return self._chunk({channel.field: now}) if now else b""
        return b""

    def _media(self, media: ir.Media) -> bytes:
        image = message_parts.image_entry(media)
        if image is None:
            self._losses.dropped(f"{media.kind}-output")
            return b""
        self._images += 1
        return self._chunk({"images": [{"index": self._images - 1, **image}]})

    def _proof(self, index: int, proof: ir.Proof) -> bytes:
        if index in self._calls:
            # OpenAI's own client insists on a `function` in each fragment of a function's call.
            return self._call_chunk(index, "", google_content(proof))
        if index in self._thoughts:
            entry = message_parts.detail_entry("".join(self._thoughts[index]), proof, self._details)
            self._details += 1
            return self._chunk({"reasoning_details": [entry]})
        if self._text_proof:
            self._losses.dropped("reasoning-proof")
            return b""
        self._text_proof = True
        return self._chunk(google_content(proof))

    # ── tool calls ──

    def _call(self, index: int, call: ir.ToolCall) -> bytes:
        number = self._calls[index] = len(self._calls)
        entry = message_parts.call_entry(call, call.arguments)
        extra = google_content(call.proof) if call.proof is not None else {}
        if call.kind == "custom":
            self._custom.add(index)
        elif not call.arguments:
            self._empty_calls.add(index)
        return self._chunk({"tool_calls": [{"index": number, **entry, **extra}]})

    def _arguments(self, index: int, text: str) -> bytes:
        if not text:
            return b""
        self._empty_calls.discard(index)
        field = (b"custom", b"input") if index in self._custom else (b"function", b"arguments")
        before = b'{"tool_calls":[{"index":%d,"%b":{"%b":' % (self._calls[index], *field)
        self._repeats(ir.ArgumentsDelta, index, before, b"}}]}")
        return self._call_chunk(index, text, {})

    def _call_chunk(self, index: int, text: str, extra: dict[str, Any]) -> bytes:
        """A fragment of a call that has begun."""
        more: dict[str, Any] = {"function": {"arguments": text}}
        if index in self._custom:
            more = {"custom": {"input": text}}
        return self._chunk({"tool_calls": [{"index": self._calls[index], **more, **extra}]})
