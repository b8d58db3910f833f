"""
Schemas: Google's OpenAPI dialect read as JSON Schema, and JSON Schema as Gemini takes it.

A schema is walked only when it has something to change, else its bytes stay.
"""

from __future__ import annotations

import re

import msgspec

from aiproxy.ir import JSON
from aiproxy.wire.jsontext import copied, given, raw, try_read
from aiproxy.wire.schemas import Members, edited

_SNAKE = {
    "any_of": "anyOf",
    "min_items": "minItems",
    "max_items": "maxItems",
    "min_length": "minLength",
    "max_length": "maxLength",
    "min_properties": "minProperties",
    "max_properties": "maxProperties",
    "property_ordering": "propertyOrdering",
}
_NUMBERED = (
    "TYPE_UNSPECIFIED",
    "STRING",
    "NUMBER",
    "INTEGER",
    "BOOLEAN",
    "ARRAY",
    "OBJECT",
    "NULL",
)
_COUNTS = frozenset(
    ("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties")
)
_OPENAPI = re.compile(
    rb'"(?:(?:STRING|NUMBER|INTEGER|BOOLEAN|ARRAY|OBJECT|NULL|TYPE_UNSPECIFIED|nullable'
    rb'|propertyOrdering|%s)"|type"\s*:\s*\d|m[a-z]+(?:Items|Length|Properties)"\s*:\s*")'
    % "|".join(_SNAKE).encode()
)
_UNWANTED = re.compile(rb'"\$schema"|"\$id"|"default"\s*:\s*null')


def from_openapi(schema: JSON) -> JSON:
    """
    A client's schema as JSON Schema: types in lower case, `nullable` as a type, order as order.

    Raises: BadRequest when it is nested too deeply.
    """
    return edited(schema, _lowered) if _OPENAPI.search(bytes(schema)) else copied(schema)


def for_gemini(schema: JSON) -> JSON:
    """
    JSON Schema for `parametersJsonSchema` and `responseJsonSchema`.

    Raises: BadRequest when it is nested too deeply.
    """
    return edited(schema, _cleaned) if _UNWANTED.search(bytes(schema)) else schema


def _cleaned(members: Members) -> Members:
    return {
        key: value
        for key, value in members.items()
        if key not in ("$schema", "$id") and (key != "default" or given(value))
    }


def _lowered(members: Members) -> Members:
    out: Members = {}
    for key, value in members.items():
        out[_SNAKE.get(key, key)] = value
    for key in _COUNTS & out.keys():
        text = try_read(out[key], str)
        if text is not None and text.isdecimal():
            out[key] = raw(int(text))
    kind = _type_of(out["type"]) if "type" in out else None
    if kind is not None:
        out["type"] = raw(kind.lower())
    if kind == "TYPE_UNSPECIFIED":
        del out["type"]
    elif kind is not None and try_read(out.get("nullable", msgspec.Raw(b"false")), bool):
        out["type"] = raw([kind.lower(), "null"])
    out.pop("nullable", None)
    return _in_order(out)


def _type_of(value: JSON) -> str | None:
    """The type's name; Google's clients that speak in protocol buffers send its number."""
    number = try_read(value, int)
    if number is not None:
        return _NUMBERED[number] if 0 <= number < len(_NUMBERED) else None
    return try_read(value, str)


def _in_order(members: Members) -> Members:
    """Properties in the order that `propertyOrdering` asks for."""
    order = try_read(members.pop("propertyOrdering", msgspec.Raw(b"[]")), list[str])
    named = try_read(members.get("properties", msgspec.Raw(b"null")), dict[str, msgspec.Raw])
    if order and named:
        first = {name: named[name] for name in order if name in named}
        members["properties"] = raw({**first, **named})
    return members
