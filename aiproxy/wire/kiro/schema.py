"""
JSON Schemas as the service takes them.

It refuses null members, `$schema`, `additionalProperties` and empty `required` or `properties`.
Only schemas are edited: a property that happens to be called like a keyword is left alone. What
needs no change keeps its bytes. The models behind are mostly Anthropic's, and so is the rule that
the root is an object.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from aiproxy.errors import BadRequest
from aiproxy.ir import JSON
from aiproxy.wire.anthropic.schema import object_schema
from aiproxy.wire.jsontext import MAX_DEPTH, given, raw, try_read
from aiproxy.wire.losses import Losses

_SUSPECT = re.compile(
    rb'null|"\$schema"|"additionalProperties"|"required"\s*:\s*\[\s*\]|"properties"\s*:\s*\{\s*\}'
)
_MAPS = frozenset({"properties", "$defs", "definitions", "patternProperties"})
_LISTS = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})
_SINGLE = frozenset({"items", "not", "if", "then", "else", "contains", "propertyNames"})

EMPTY = msgspec.Raw(b'{"type":"object"}')

TEXT_INPUT = msgspec.Raw(
    b'{"type":"object","properties":{"input":{"type":"string"}},"required":["input"]}'
)
"""Arguments of a function that stands for a free-form tool."""


def tool_schema(schema: JSON | None, losses: Losses) -> JSON:
    """
    `schema` for a tool's `inputSchema`.

    Raises: BadRequest when it is nested too deeply.
    """
    rooted = object_schema(schema)
    return _cleaned(rooted, losses, 0) if _SUSPECT.search(bytes(rooted)) else rooted


def _cleaned(schema: JSON, losses: Losses, depth: int) -> JSON:
    if depth > MAX_DEPTH:
        raise BadRequest("a schema is nested too deeply")
    members = try_read(schema, dict[str, msgspec.Raw])
    if members is None:
        return schema
    out: dict[str, Any] = {}
    for name, value in members.items():
        if _is_wanted(name, value, losses):
            out[name] = _inner(name, value, losses, depth + 1)
    return raw(out)


def _is_wanted(name: str, value: JSON, losses: Losses) -> bool:
    if name == "$schema" or not given(value):
        return False
    if name == "additionalProperties":
        if bytes(value) != b"true":
            losses.approximated("tool-schema")
        return False
    if name == "required":
        return try_read(value, list[msgspec.Raw]) != []
    return name != "properties" or try_read(value, dict[str, msgspec.Raw]) != {}


def _inner(name: str, value: JSON, losses: Losses, depth: int) -> Any:
    """The value of a keyword with the schemas in it cleaned."""
    if name in _MAPS:
        held = try_read(value, dict[str, msgspec.Raw])
        if held is not None:
            return {key: _cleaned(item, losses, depth) for key, item in held.items()}
    elif name in _LISTS or name in _SINGLE:
        items = try_read(value, list[msgspec.Raw])
        if items is not None:
            return [_cleaned(item, losses, depth) for item in items]
        return _cleaned(value, losses, depth)
    return value
