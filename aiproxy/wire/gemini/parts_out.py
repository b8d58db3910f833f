"""
Events as parts for a Gemini client, one block after the other.

A stream of the hub may have several blocks open; Gemini's parts have no number, so what belongs to
a later block waits until the earlier ones have ended. A call goes out when it is complete: its
arguments are an object here.

The proof of a foreign thought rides on the call that follows it, because some clients (Gemini CLI)
throw thoughts away and keep only signatures on calls. `contents_in` puts it back.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

import msgspec

from aiproxy.ir import (
    ArgumentsDelta,
    BlockEvent,
    BlockStarted,
    BlockStopped,
    Citation,
    CitationAdded,
    Logprob,
    LogprobsAdded,
    Media,
    Opaque,
    Part,
    Proof,
    ProofAdded,
    Reasoning,
    ReasoningDelta,
    Refusal,
    RefusalDelta,
    Text,
    TextDelta,
    ToolCall,
    ToolResult,
)
from aiproxy.wire.closed import assert_never
from aiproxy.wire.gemini import media
from aiproxy.wire.gemini.contents_in import NAME, opaque_kind
from aiproxy.wire.gemini.signatures import FAMILY, signature_for
from aiproxy.wire.jsontext import arguments_object, raw, try_read
from aiproxy.wire.losses import Losses, feature_name

JSONPart: TypeAlias = dict[str, Any]


@dataclass(slots=True)
class _Riding:
    """A foreign thought's proof on its way to a call; without one it stands alone."""

    signature: str


@dataclass(slots=True)
class _Block:
    """
    ready: parts that may go out when it is this block's turn. text: all that was said so far, for
    a call its arguments.
    """

    block: Part
    ready: list[JSONPart | _Riding] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    cited: list[Citation] = field(default_factory=list)
    logprobs: list[Logprob] = field(default_factory=list)
    proof: Proof | None = None
    stopped: bool = False


class PartsWriter:
    """
    One answer's parts. losses: where what cannot be said is noted.

    cited: each citation with its text and the bytes of the answer before that text.
    logprobs: of all texts in order.
    refused: the model refused, which other dialects say in a part and this one in the finish.
    """

    def __init__(self, losses: Losses) -> None:
        self.cited: list[tuple[Citation, str, int]] = []
        self.logprobs: list[Logprob] = []
        self.refused = False
        self._losses = losses
        self._blocks: dict[int, _Block] = {}
        self._riding: _Riding | None = None
        self._text_bytes = 0

    def write(self, event: BlockEvent) -> list[JSONPart]:
        """The parts that may go out now."""
        match event:
            case BlockStarted():
                self._blocks[event.index] = self._begun(event.block)
            case TextDelta() | RefusalDelta():
                self._say(self._blocks[event.index], event.text)
            case ReasoningDelta():
                self._think(self._blocks[event.index], event.text)
            case ArgumentsDelta():
                self._blocks[event.index].text.append(event.text)
            case ProofAdded():
                self._prove(self._blocks[event.index], event.proof)
            case CitationAdded():
                self._cite(self._blocks[event.index], event.citation)
            case LogprobsAdded():
                self._blocks[event.index].logprobs += event.logprobs
            case BlockStopped():
                self._stop(self._blocks[event.index])
            case _:
                raise assert_never(event)
        return self._released()

    def close(self) -> list[JSONPart]:
        """What is left when the answer is over."""
        return self._alone()

    # ── blocks ──

    def _begun(self, part: Part) -> _Block:
        block = _Block(part)
        match part:
            case Text():
                self._losses.extras(NAME, part.extras)
                self._say(block, part.text)
                for citation in part.citations:
                    self._cite(block, citation)
            case Refusal():
                self._losses.approximated("refusal")
                self.refused = True
                self._say(block, part.text)
            case Reasoning():
                self._losses.extras(NAME, part.extras)
                self._think(block, part.text)
            case ToolCall():
                block.text.append(part.arguments)
            case Media():
                self._show(block, part)
            case Opaque():
                self._pass(block, part)
            case ToolResult():
                self._losses.dropped("tool-result")
            case _:
                raise assert_never(part)
        if isinstance(part, Text | Reasoning | ToolCall) and part.proof is not None:
            self._prove(block, part.proof)
        return block

    def _say(self, block: _Block, text: str) -> None:
        if text:
            block.text.append(text)
            block.ready.append({"text": text})

    def _cite(self, block: _Block, citation: Citation) -> None:
        """Noted until the text is whole: some vendors name a text's sources before its words."""
        if citation.quote:
            self._losses.dropped("citations")
        if citation.url:
            block.cited.append(citation)
        else:
            self._losses.dropped("citations")

    def _think(self, block: _Block, text: str) -> None:
        if text:
            block.ready.append({"text": text, "thought": True})

    def _prove(self, block: _Block, proof: Proof) -> None:
        signature = signature_for(proof)
        if isinstance(block.block, ToolCall):
            block.proof = proof
        elif isinstance(block.block, Reasoning):
            if proof.family == FAMILY:
                block.ready.append(_thought(signature))
            else:
                block.ready.append(_Riding(signature))
        else:
            block.ready.append({"text": "", "thoughtSignature": signature})

    def _show(self, block: _Block, part: Media) -> None:
        shown = media.part_of(part)
        if shown is None:
            self._losses.dropped("file-id")
        elif shown.get("text") != "":
            block.ready.append(shown)

    def _pass(self, block: _Block, part: Opaque) -> None:
        if part.wire == NAME and opaque_kind(part.raw) == part.kind:
            block.ready.append(try_read(part.raw, dict[str, msgspec.Raw]) or {})
        elif part.fallback:
            self._losses.approximated(feature_name(part.kind))
            self._say(block, part.fallback)
        else:
            self._losses.dropped(feature_name(part.kind))

    def _stop(self, block: _Block) -> None:
        block.stopped = True
        call = block.block
        if not isinstance(call, ToolCall):
            return
        arguments = "".join(block.text)
        custom = call.kind == "custom"
        name = f"{call.namespace}__{call.name}" if call.namespace else call.name
        part: JSONPart = {
            "functionCall": {
                "id": call.id,
                "name": name,
                "args": raw({"input": arguments}) if custom else arguments_object(arguments),
            },
            **self._losses.extras(NAME, call.extras),
        }
        if block.proof is not None:
            part["thoughtSignature"] = signature_for(block.proof)
        block.ready.append(part)

    # ── order ──

    def _released(self) -> list[JSONPart]:
        out: list[JSONPart] = []
        while self._blocks:
            index, block = next(iter(self._blocks.items()))
            for part in block.ready:
                out += self._placed(part)
            block.ready = []
            if not block.stopped:
                break
            if isinstance(block.block, Text | Refusal | Opaque):
                text = "".join(block.text)
                self.cited += ((citation, text, self._text_bytes) for citation in block.cited)
                self._text_bytes += len(text.encode("utf-8", "replace"))
                self.logprobs += block.logprobs
            del self._blocks[index]
        return out

    def _placed(self, part: JSONPart | _Riding) -> list[JSONPart]:
        if isinstance(part, _Riding):
            before, self._riding = self._alone(), part
            return before
        if self._riding is None:
            return [part]
        if "functionCall" in part and "thoughtSignature" not in part:
            part["thoughtSignature"], self._riding = self._riding.signature, None
            return [part]
        return [*self._alone(), part]

    def _alone(self) -> list[JSONPart]:
        """The proof that found no call, as a thought without words."""
        if self._riding is None:
            return []
        riding, self._riding = self._riding, None
        return [_thought(riding.signature)]


def joined(parts: list[JSONPart]) -> list[JSONPart]:
    """The parts of a whole answer: deltas of one text are one part, with its signature."""
    out: list[JSONPart] = []
    for part in parts:
        last = out[-1] if out else {}
        same = (
            part.keys() <= {"text", "thought", "thoughtSignature"}
            and last.keys() <= {"text", "thought"}
            and "text" in last
            and part.get("thought") == last.get("thought")
        )
        if same and ("thoughtSignature" in part) <= (not part["text"]):
            out[-1] = {**last, **part, "text": last["text"] + part["text"]}
        else:
            out.append(part)
    return out


def _thought(signature: str) -> JSONPart:
    return {"text": "", "thought": True, "thoughtSignature": signature}
