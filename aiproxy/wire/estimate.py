"""An estimate of a request's input tokens, for upstreams that cannot count."""

from __future__ import annotations

from collections.abc import Iterable

from aiproxy import ir

_BYTES_PER_TOKEN = 3.5
_PER_IMAGE = 1600
_PER_TURN = 4
_PER_DOCUMENT_PAGE_BYTES = 4000
"""Base64 characters of a document that make about one page of 1 600 tokens."""


def estimated_tokens(request: ir.Request) -> int:
    """Input tokens of `request`, at least 1: bytes of text and tools, images at a flat rate."""
    text, images = _measured(request.instructions)
    for turn in request.turns:
        more_text, more_images = _measured(turn.parts)
        text, images = text + more_text, images + more_images
    for tool in request.tools:
        text += _tool_bytes(tool)
    tokens = text / _BYTES_PER_TOKEN + images * _PER_IMAGE + len(request.turns) * _PER_TURN
    return max(1, round(tokens))


def _measured(parts: Iterable[ir.Part]) -> tuple[int, int]:
    """Bytes of text, and images (a document counts as one image a page)."""
    text = images = 0
    for part in parts:
        match part:
            case ir.Text() | ir.Reasoning() | ir.Refusal():
                text += _size(part.text)
            case ir.ToolCall():
                text += _size(part.name) + _size(part.arguments)
            case ir.ToolResult():
                inner_text, inner_images = _measured(part.content)
                text, images = text + inner_text, images + inner_images
            case ir.Media(source=ir.PlainText() as source):
                text += _size(source.text)
            case ir.Media(kind="document", source=ir.Inline() as inline):
                images += 1 + len(inline.data) // _PER_DOCUMENT_PAGE_BYTES
            case ir.Media():
                images += 1
            case ir.Opaque():
                text += len(bytes(part.raw))
    return text, images


def _tool_bytes(tool: ir.Tool | ir.HostedTool) -> int:
    if isinstance(tool, ir.HostedTool):
        return len(bytes(tool.raw))
    schema = len(bytes(tool.schema)) if tool.schema is not None else 0
    return _size(tool.name) + _size(tool.description) + schema


def _size(text: str) -> int:
    return len(text.encode("utf-8", "replace"))
