"""
Turns out, one message each.

    {"userInputMessage": {"content", "modelId", "origin", "images"?, "documents"?,
                          "userInputMessageContext"?: {"toolResults"?, "tools"?}}}
    {"assistantResponseMessage": {"content", "toolUses"?, "reasoningContent"?}}
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from aiproxy import ir
from aiproxy.errors import BadRequest
from aiproxy.wire.closed import assert_never
from aiproxy.wire.conversation import reasoning_for
from aiproxy.wire.jsontext import arguments_object, raw
from aiproxy.wire.kiro.media import MOST_IMAGES, document, image
from aiproxy.wire.kiro.shapes import FAMILY, NAME
from aiproxy.wire.losses import Losses, feature_name
from aiproxy.wire.names import ToolNames, legal_id

PLACEHOLDER = "(empty)"
"""The service refuses a message without text."""

ONLY_RESULTS = "Tool results:"
ORIGIN = "AI_EDITOR"

_SEPARATOR = "\n\n"


@dataclass
class _Content:
    """What one message is put together from."""

    texts: list[str] = field(default_factory=list)
    images: list[dict[str, Any]] = field(default_factory=list)
    documents: list[dict[str, Any]] = field(default_factory=list)
    results: list[dict[str, Any]] = field(default_factory=list)
    calls: list[dict[str, Any]] = field(default_factory=list)
    reasoning: dict[str, Any] | None = None


class TurnWriter:
    """Writes the turns of one request. Raises: BadRequest at what the service cannot take."""

    def __init__(self, model: str, names: ToolNames, losses: Losses) -> None:
        self._model = model
        self._names = names
        self._losses = losses

    def user(self, parts: Iterable[ir.Part], preface: str = "") -> dict[str, Any]:
        """preface: text in front of all others."""
        content = self._gathered(parts)
        if len(content.images) > MOST_IMAGES:
            self._losses.approximated("image-count")
            content.texts.append(f"[{len(content.images) - MOST_IMAGES} earlier images left out]")
            del content.images[:-MOST_IMAGES]
        texts = [preface, *content.texts] if preface else content.texts
        missing = ONLY_RESULTS if content.results else PLACEHOLDER
        message: dict[str, Any] = {
            "content": _SEPARATOR.join(texts) or missing,
            "modelId": self._model,
            "origin": ORIGIN,
        }
        if content.images:
            message["images"] = content.images
        if content.documents:
            message["documents"] = content.documents
        if content.results:
            message["userInputMessageContext"] = {"toolResults": content.results}
        return {"userInputMessage": message}

    def assistant(self, parts: Iterable[ir.Part]) -> dict[str, Any]:
        content = self._gathered(self._shown(part) for part in _run_together(parts))
        message: dict[str, Any] = {"content": _SEPARATOR.join(content.texts) or PLACEHOLDER}
        if content.calls:
            message["toolUses"] = content.calls
        if content.reasoning is not None:
            message["reasoningContent"] = content.reasoning
        return {"assistantResponseMessage": message}

    def _shown(self, part: ir.Part) -> ir.Part:
        """What the assistant drew is named: only users send media."""
        if not isinstance(part, ir.Media):
            return part
        self._losses.dropped(f"{part.kind}-output")
        return ir.Text(f"[{part.kind}]")

    def _gathered(self, parts: Iterable[ir.Part]) -> _Content:
        content = _Content()
        for part in parts:
            self._add(part, content)
        return content

    def _add(self, part: ir.Part, content: _Content) -> None:
        match part:
            case ir.Text():
                self._text(part, content)
            case ir.Refusal():
                content.texts += [part.text] if part.text else []
            case ir.Media():
                self._media(part, content)
            case ir.Reasoning():
                self._reasoning(part, content)
            case ir.ToolCall():
                content.calls.append(self._call(part))
            case ir.ToolResult():
                content.results.append(self._result(part, content))
            case ir.Opaque():
                self._opaque(part, content)
            case _:
                raise assert_never(part)

    def _text(self, part: ir.Text, content: _Content) -> None:
        if part.citations:
            self._losses.dropped("citations")
        if part.proof is not None:
            self._losses.dropped("thought-signature")
        self._losses.extras(NAME, part.extras)
        if part.text:
            content.texts.append(part.text)

    def _media(self, part: ir.Media, content: _Content) -> None:
        self._losses.extras(NAME, part.extras)
        match part.kind:
            case "image":
                content.images.append(image(part, self._losses))
            case "document":
                number = len(content.documents) + 1
                content.documents.append(document(part, number, self._losses))
            case _:
                raise BadRequest(f"this upstream takes no {part.kind}", param=part.kind)

    def _reasoning(self, part: ir.Reasoning, content: _Content) -> None:
        """A message has room for one thought: the first, which all that follows rests on."""
        kept = reasoning_for(FAMILY, part)
        if kept is None or kept.proof is None or content.reasoning is not None:
            self._losses.dropped("reasoning")
            return
        self._losses.extras(NAME, part.extras)
        if kept.proof.redacted:
            content.reasoning = {"redactedContent": kept.proof.data}
        else:
            text = {"text": kept.text, "signature": kept.proof.data}
            content.reasoning = {"reasoningText": text}

    def _call(self, part: ir.ToolCall) -> dict[str, Any]:
        if part.proof is not None:
            self._losses.dropped("thought-signature")
        self._losses.extras(NAME, part.extras)
        is_custom = part.kind == "custom"
        return {
            "toolUseId": legal_id(part.id),
            "name": self._names.sent(part.name, part.namespace),
            "input": raw({"input": part.arguments})
            if is_custom
            else arguments_object(part.arguments),
        }

    def _result(self, part: ir.ToolResult, content: _Content) -> dict[str, Any]:
        """Only text fits into a result: its media go with the message."""
        self._losses.extras(NAME, part.extras)
        inner = _Content()
        for each in part.content:
            if isinstance(each, ir.Media):
                self._losses.approximated("tool-result-media")
                self._media(each, content)
                inner.texts.append(f"[{each.kind}: attached to this message]")
            else:
                self._add(each, inner)
        return {
            "toolUseId": legal_id(part.call_id),
            "content": [{"text": text} for text in inner.texts or [PLACEHOLDER]],
            "status": "error" if part.is_error else "success",
        }

    def _opaque(self, part: ir.Opaque, content: _Content) -> None:
        if part.fallback:
            self._losses.approximated(feature_name(part.kind))
            content.texts.append(part.fallback)
        else:
            self._losses.dropped(feature_name(part.kind))


def _run_together(parts: Iterable[ir.Part]) -> Iterator[ir.Part]:
    """The model's own texts in a row are one that was cut, by a stream for instance."""
    for is_plain, group in groupby(parts, _is_plain):
        if is_plain:
            yield ir.Text("".join(part.text for part in group if isinstance(part, ir.Text)))
        else:
            yield from group


def _is_plain(part: ir.Part) -> bool:
    return isinstance(part, ir.Text) and part == ir.Text(part.text)
