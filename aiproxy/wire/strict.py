"""What OpenAI demands of a schema before it enforces it."""

from __future__ import annotations

from typing import Any

from aiproxy.ir import JSON
from aiproxy.wire.jsontext import MAX_DEPTH, try_read

_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
_MAPS = ("properties", "$defs", "definitions")
_SINGLES = ("items", "not")


def is_enforceable(schema: JSON | None) -> bool:
    """
    Whether `strict: true` is legal: each object requires all its properties and allows no others.

    Source: OpenAI, Structured outputs, supported schemas.
    """
    root = None if schema is None else try_read(schema, dict[str, Any])
    return root is not None and root.get("type") == "object" and _is_closed(root, 0)


def _is_closed(schema: Any, depth: int) -> bool:
    if not isinstance(schema, dict):
        return True
    if depth > MAX_DEPTH:
        return False
    if schema.get("type") == "object" or "properties" in schema:
        properties = schema.get("properties")
        names = set(properties) if isinstance(properties, dict) else set()
        required = schema.get("required", [])
        if schema.get("additionalProperties") is not False or not isinstance(required, list):
            return False
        if names != {name for name in required if isinstance(name, str)}:
            return False
    inner: list[Any] = [schema.get(name) for name in _SINGLES]
    for name in _LISTS:
        inner += schema[name] if isinstance(schema.get(name), list) else []
    for name in _MAPS:
        inner += schema[name].values() if isinstance(schema.get(name), dict) else []
    return all(_is_closed(each, depth + 1) for each in inner)
