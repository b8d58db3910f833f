"""
What a block that only this wire understands says in plain text.

Shown in its place by other wires: without it a model would not know what its own searches found.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from aiproxy import ir
from aiproxy.wire.jsontext import try_read

_LONGEST = 20_000
_MAX_DEPTH = 8

_SPEAKING = ("tool_result", "search_result", "document", "compaction", "tool_reference")
"""Ends of the kinds whose inside is worth reading; calls of hosted tools are not."""


def fallback_text(kind: str, block: ir.JSON) -> str:
    """The readable texts of `block`, one a line, "" when it has none to show."""
    if not kind.endswith(_SPEAKING):
        return ""
    lines = list(_lines(try_read(block, dict[str, Any]) or {}, 0))
    return "\n".join(lines)[:_LONGEST]


def _lines(value: Any, depth: int) -> Iterator[str]:
    if depth > _MAX_DEPTH:
        return
    if isinstance(value, list):
        for item in value:
            yield from _lines(item, depth + 1)
    if not isinstance(value, dict):
        return
    address = value.get("url") or value.get("source")
    heading = " ".join(text for text in (value.get("title"), address) if isinstance(text, str))
    if heading:
        yield heading
    for name in ("text", "data", "stdout", "stderr", "tool_name", "error_code"):
        text = value.get(name)
        if isinstance(text, str) and text and value.get("media_type", "text/plain") == "text/plain":
            yield text
    for name in ("source", "content", "tool_references"):
        inner = value.get(name)
        if name == "content" and isinstance(inner, str) and inner:
            yield inner
        yield from _lines(inner, depth + 1)
