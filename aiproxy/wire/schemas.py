"""
JSON Schemas, edited for a target without reading more of them than must change.

Only schemas are edited: properties that happen to be called like a keyword are left alone.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeAlias

import msgspec

from aiproxy import ir
from aiproxy.errors import BadRequest
from aiproxy.wire.jsontext import MAX_DEPTH, copied, given, raw, try_read
from aiproxy.wire.losses import Losses

EMPTY = msgspec.Raw(b'{"type":"object","properties":{}}')

TEXT_INPUT = msgspec.Raw(
    b'{"type":"object","properties":{"input":{"type":"string"}},"required":["input"]}'
)
"""Arguments of a function that stands for a free-form tool."""

Members: TypeAlias = dict[str, ir.JSON]
"""One schema's keywords in order."""

Edit: TypeAlias = Callable[[Members], Members]

_MOST_REMEMBERED = 512
_LONGEST_REMEMBERED_BYTES = 4096

_OBJECT = msgspec.Raw(b'"object"')


class _Root(msgspec.Struct, gc=False):
    """What tells whether a schema is one of an object, plain and simple."""

    type: ir.JSON = msgspec.Raw()
    anyOf: ir.JSON = msgspec.Raw()
    oneOf: ir.JSON = msgspec.Raw()
    allOf: ir.JSON = msgspec.Raw()


_COMBINING = ("anyOf", "oneOf", "allOf")
_OF_ONE = frozenset(
    ("items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames")
)
_OF_MANY = frozenset(("anyOf", "oneOf", "allOf", "prefixItems"))
_BY_NAME = frozenset(("properties", "patternProperties", "$defs", "definitions"))


Adapt: TypeAlias = Callable[[ir.JSON, Losses], ir.JSON]


def remembered(adapt: Adapt) -> Adapt:
    """
    `adapt`, a pure function of its schema, with what it made of the last schemas kept.

    Clients send the same tools with each turn. Of long schemas nothing is kept.
    """

    @lru_cache(maxsize=_MOST_REMEMBERED)
    def known(text: bytes) -> tuple[ir.JSON, tuple[ir.Loss, ...]]:
        losses = Losses()
        return copied(adapt(msgspec.Raw(text), losses)), losses.seen()

    def adapted(schema: ir.JSON, losses: Losses) -> ir.JSON:
        text = bytes(schema)
        if len(text) > _LONGEST_REMEMBERED_BYTES:
            return adapt(schema, losses)
        out, seen = known(text)
        losses.add(seen)
        return out

    return adapted


def edited(schema: ir.JSON, edit: Edit) -> ir.JSON:
    """
    `schema` with `edit` made of it and of every schema inside it, the outer ones first.

    Raises: BadRequest when it is nested too deeply.
    """
    return _edited(schema, edit, 0)


def _edited(schema: ir.JSON, edit: Edit, depth: int) -> ir.JSON:
    if depth > MAX_DEPTH:
        raise BadRequest("a schema is nested too deeply")
    members = _members(schema)
    if members is None:
        items = try_read(schema, list[msgspec.Raw])
        return schema if items is None else raw([_edited(i, edit, depth + 1) for i in items])
    out = edit(members)
    for name, value in out.items():
        if name in _OF_ONE or name in _OF_MANY:
            out[name] = _edited(value, edit, depth + 1)
        elif name in _BY_NAME:
            held = _members(value)
            if held is not None:
                out[name] = raw({key: _edited(item, edit, depth + 1) for key, item in held.items()})
    return raw(out)


def object_schema(schema: ir.JSON | None, losses: Losses) -> ir.JSON:
    """
    `schema` with an object at its root, for a tool's arguments.

    Alternatives at the root become one object, which is reported: it has the members of all, and
    requires what all (with allOf: any) of them require.
    Raises: BadRequest when it is nested too deeply.
    """
    if schema is None or not given(schema):
        return EMPTY
    refuse_deep(schema)
    root = try_read(schema, _Root)
    if root is not None and root.type == _OBJECT and not (root.anyOf or root.oneOf or root.allOf):
        return schema
    members = _members(schema)
    if members is None:
        return EMPTY
    if any(name in members for name in ("anyOf", "oneOf")):
        losses.approximated("tool-schema")
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
    `schema` with `additionalProperties: false` on every object that says nothing of them; the very
    same when there is none.

    Raises: BadRequest when it is nested too deeply.
    """
    closed = 0

    def close(members: Members) -> Members:
        nonlocal closed
        is_object = "properties" in members or _word(members.get("type")) == "object"
        if not is_object or "additionalProperties" in members:
            return members
        closed += 1
        return {**members, "additionalProperties": msgspec.Raw(b"false")}

    out = edited(schema, close)
    return out if closed else schema


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


def refuse_deep(schema: ir.JSON) -> None:
    """Raises: BadRequest when `schema` is nested too deeply."""
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


def _members(value: ir.JSON | None) -> Members | None:
    return None if value is None else try_read(value, dict[str, msgspec.Raw])


def _word(value: ir.JSON | None) -> str | None:
    return None if value is None else try_read(value, str)


def _words(value: ir.JSON | None) -> list[str]:
    return [] if value is None else try_read(value, list[str]) or []
