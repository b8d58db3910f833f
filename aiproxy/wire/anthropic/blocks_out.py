"""
Content blocks out: the parts of a request's turns as the API takes them.

Parts that a client of this wire sent come out as they came; those of any other are made legal.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from typing import Any

import msgspec

from aiproxy import ir
from aiproxy.errors import BadRequest
from aiproxy.wire import proofs
from aiproxy.wire.anthropic.shapes import FAMILY, NAME
from aiproxy.wire.closed import assert_never
from aiproxy.wire.conversation import reasoning_for
from aiproxy.wire.jsontext import arguments_object, raw, text_of, try_read
from aiproxy.wire.losses import Losses, feature_name
from aiproxy.wire.names import ToolNames, legal_id

Block = dict[str, Any]

_IMAGES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
_PDF = "application/pdf"


class BlockWriter:
    """
    Turns parts into blocks, for one request.

    own: the client speaks this wire, so names and ids are its own affair.
    """

    def __init__(self, own: bool, names: ToolNames, losses: Losses) -> None:
        self._own = own
        self._names = names
        self._losses = losses

    def blocks(self, parts: Iterable[ir.Part]) -> list[Any]:
        """Blocks of `parts`, without those that the API cannot take. Raises: BadRequest."""
        return [block for part in parts if (block := self._block(part)) is not None]

    def turn_extras(self, turn: ir.Turn) -> dict[str, ir.JSON]:
        """Members of a message beside role and content."""
        return self._losses.extras(NAME, turn.extras)

    def _block(self, part: ir.Part) -> Block | ir.JSON | None:
        match part:
            case ir.Text():
                return self._text(part)
            case ir.Refusal():
                return {"type": "text", "text": part.text} if part.text else None
            case ir.Media():
                return self._media(part)
            case ir.Reasoning():
                return self._reasoning(part)
            case ir.ToolCall():
                return self._call(part)
            case ir.ToolResult():
                return self._result(part)
            case ir.Opaque():
                return self._opaque(part)
            case _:
                raise assert_never(part)

    def _text(self, part: ir.Text) -> Block | None:
        """The API refuses empty texts."""
        if part.proof is not None:
            self._losses.dropped("thought-signature")
        if not part.text:
            return None
        extra = self._losses.extras(NAME, part.extras)
        if "citations" in extra:
            extra["citations"] = _genuine(extra["citations"])
        elif part.citations:
            self._losses.dropped("citations")
        return {"type": "text", "text": part.text, **extra}

    def _reasoning(self, part: ir.Reasoning) -> Block | None:
        kept = reasoning_for(FAMILY, part)
        if kept is None or kept.proof is None:
            self._losses.dropped("reasoning")
            return None
        extra = self._losses.extras(NAME, part.extras)
        if kept.proof.redacted:
            return {"type": "redacted_thinking", "data": kept.proof.data}
        return {
            "type": "thinking",
            "thinking": kept.text,
            "signature": kept.proof.data,
            **extra,
        }

    def _call(self, part: ir.ToolCall) -> Block:
        if part.proof is not None:
            self._losses.dropped("thought-signature")
        arguments = (
            raw({"input": part.arguments})
            if part.kind == "custom"
            else arguments_object(part.arguments)
        )
        return {
            "type": "tool_use",
            "id": self._id(part.id),
            "name": part.name if self._own else self._names.sent(part.name, part.namespace),
            "input": arguments,
            **self._losses.extras(NAME, part.extras),
        }

    def _result(self, part: ir.ToolResult) -> Block:
        block: Block = {"type": "tool_result", "tool_use_id": self._id(part.call_id)}
        extra = self._losses.extras(NAME, part.extras)
        blocks = self.blocks(part.content)
        match part.content:
            case () | (ir.Text(extras=None, citations=()),):
                block["content"] = "".join(inner["text"] for inner in blocks)
            case _:
                block["content"] = blocks or ""
        if part.is_error:
            block["is_error"] = True
        return {**block, **extra}

    def _opaque(self, part: ir.Opaque) -> Block | ir.JSON | None:
        if part.wire == NAME:
            return part.raw
        if part.fallback:
            self._losses.approximated(feature_name(part.kind))
            return {"type": "text", "text": part.fallback}
        self._losses.dropped(feature_name(part.kind))
        return None

    def _media(self, part: ir.Media) -> Block:
        extra = self._losses.extras(NAME, part.extras)
        if part.detail:
            self._losses.dropped("image-detail")
        match part.kind:
            case "image":
                if part.name:
                    self._losses.dropped("file-name")
                source = _image_source(part.source)
            case "document":
                source = _document_source(part.source)
                if part.name:
                    extra = {"title": raw(part.name), **extra}
            case _:
                raise BadRequest(f"this upstream takes no {part.kind}")
        return {"type": part.kind, "source": source, **extra}

    def _id(self, call_id: str) -> str:
        return call_id if self._own else legal_id(call_id)


def _image_source(source: ir.Source) -> Block:
    match source:
        case ir.Inline():
            mime = source.mime.replace("image/jpg", "image/jpeg")
            if mime not in _IMAGES:
                raise BadRequest(f"this upstream takes no images of type {mime or 'unknown'}")
            return {"type": "base64", "media_type": mime, "data": source.data}
        case ir.PlainText():
            raise BadRequest("an image cannot be made of text")
        case _:
            return _elsewhere(source)


def _document_source(source: ir.Source) -> Block:
    match source:
        case ir.Inline(mime="application/pdf"):
            return {"type": "base64", "media_type": _PDF, "data": source.data}
        case ir.Inline():
            text = _decoded(source)
            if text is None:
                raise BadRequest(f"this upstream takes no files of type {source.mime or 'unknown'}")
            return {"type": "text", "media_type": "text/plain", "data": text}
        case ir.PlainText():
            return {"type": "text", "media_type": "text/plain", "data": source.text}
        case _:
            return _elsewhere(source)


def _elsewhere(source: ir.Remote | ir.Uploaded) -> Block:
    match source:
        case ir.Remote():
            return {"type": "url", "url": source.url}
        case ir.Uploaded(family="anthropic"):
            return {"type": "file", "file_id": source.id}
        case ir.Uploaded():
            raise BadRequest("a file uploaded to another vendor cannot be sent to this upstream")
        case _:
            raise assert_never(source)


def _decoded(source: ir.Inline) -> str | None:
    """The text of an inline text file, None when it is something else."""
    if not source.mime.startswith("text/") and source.mime != "application/json":
        return None
    try:
        return base64.b64decode(source.data, validate=True).decode()
    except (binascii.Error, ValueError):
        return None


def _genuine(citations: ir.JSON) -> ir.JSON:
    """`citations` without those that another vendor made and a reply of ours passed on."""
    if proofs.MARK not in text_of(citations):
        return citations
    entries = try_read(citations, list[msgspec.Raw]) or []
    return raw([entry for entry in entries if proofs.MARK not in text_of(entry)])
