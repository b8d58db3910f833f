"""
JSON Schemas as the API takes them: an object at the root, closed objects where it insists.

Subschemas that need no change keep their very bytes.
"""

from __future__ import annotations

from typing import Any

import msgspec

from aiproxy import ir
from aiproxy.errors import BadRequest
from aiproxy.wire.jsontext import MAX_DEPTH, given, raw, try_read

EMPTY = msgspec.Raw(b'{"type":"object","properties":{}}')

TEXT_INPUT = msgspec.Raw(
    b'{"type":"object","properties":{"input":{"type":"string"}},"required":["input"],'
    b'"additionalProperties":false}'
)
"""Arguments of a function that stands for a free-form tool."""

_COMBINING = ("anyOf", "oneOf", "allOf")
_MAPS = frozenset({"properties", "$defs", "definitions", "patternProperties"})
_LISTS = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})
_SINGLE = frozenset({"items", "additionalProperties", "not"})


def object_schema(schema: ir.JSON | None) -> ir.JSON:
    """
    `schema` with an object at its root, for a tool's arguments.

    Alternatives at the root become one object: it has the members of all, and requires what all
    (with allOf: any) of them require. Raises: BadRequest when it is nested too deeply.
    """
    if schema is None or not given(schema):
        return EMPTY
    _refuse_deep(schema)
    members = _members(schema)
    if members is None:
        return EMPTY
    if not any(name in members for name in _COMBINING) and _word(members.get("type")) == "object":
        return schema
    merged: dict[str, Any] = {"type": "object"}
    properties = _members(members.get("properties")) or {}
    required = _words(members.get("required"))
    for name in _COMBINING:
        required += _merge(members.pop(name, None), name == "allOf", properties)
    merged.update((name, value) for name, value in members.items() if name != "type")
    merged["properties"] = properties
    merged["required"] = [name for name in dict.fromkeys(required) if name in properties]
    if not merged["required"]:
        del merged["required"]
    return raw(merged)


def closed_schema(schema: ir.JSON) -> ir.JSON:
    """
    `schema` with `additionalProperties: false` on every object that says nothing of them.

    Raises: BadRequest when it is nested too deeply.
    """
    _refuse_deep(schema)
    return _closed(schema)


def _merge(branches: ir.JSON | None, every: bool, properties: dict[str, ir.JSON]) -> list[str]:
    """Add the members of all branches to `properties`; returns what they require."""
    required: list[list[str]] = []
    for branch in (try_read(branches, list[msgspec.Raw]) if branches is not None else None) or ():
        members = _members(branch) or {}
        for name, value in (_members(members.get("properties")) or {}).items():
            properties.setdefault(name, value)
        required.append(_words(members.get("required")))
    if every:
        return [name for names in required for name in names]
    return [name for name in (required[0] if required else []) if all(name in n for n in required)]


def _closed(schema: ir.JSON) -> ir.JSON:
    members = _members(schema)
    if members is None:
        return schema
    out: dict[str, Any] = {}
    for name, value in members.items():
        inner: Any = value
        if name in _MAPS:
            held = _members(value)
            inner = value if held is None else {key: _closed(item) for key, item in held.items()}
        elif name in _LISTS:
            items = try_read(value, list[msgspec.Raw])
            inner = value if items is None else [_closed(item) for item in items]
        elif name in _SINGLE:
            inner = _closed(value)
        out[name] = inner
    is_object = "properties" in members or _word(members.get("type")) == "object"
    if is_object and "additionalProperties" not in members:
        out["additionalProperties"] = False
    return raw(out)


def _refuse_deep(schema: ir.JSON) -> None:
    text = bytes(schema)
    if text.count(b"{") + text.count(b"[") <= MAX_DEPTH:
        return
    value = try_read(schema, object)
    if value is None or _depth(value, 0) > MAX_DEPTH:
        raise BadRequest("the schema is nested too deeply")


def _depth(value: Any, depth: int) -> int:
    """How deep `value` is nested, counted no further than just above the limit."""
    if depth > MAX_DEPTH:
        return depth
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return max((_depth(item, depth + 1) for item in value), default=depth + 1)
    return depth


def _members(value: ir.JSON | None) -> dict[str, msgspec.Raw] | None:
    return None if value is None else try_read(value, dict[str, msgspec.Raw])


def _word(value: ir.JSON | None) -> str | None:
    return None if value is None else try_read(value, str)


def _words(value: ir.JSON | None) -> list[str]:
    return [] if value is None else try_read(value, list[str]) or []
