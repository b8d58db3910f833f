"""
JSON Schemas as the service takes them.

It refuses null members, `$schema`, `additionalProperties` and empty `required` or `properties`.
The models behind are mostly Anthropic's, and so is the rule that the root is an object. What needs
no change keeps its bytes.
"""

from __future__ import annotations

import re

import msgspec

from aiproxy.ir import JSON
from aiproxy.wire.jsontext import given, try_read
from aiproxy.wire.losses import Losses
from aiproxy.wire.schemas import Members, edited, object_schema, remembered

_SUSPECT = re.compile(
    rb'null|"\$schema"|"additionalProperties"|"required"\s*:\s*\[\s*\]|"properties"\s*:\s*\{\s*\}'
)

EMPTY = msgspec.Raw(b'{"type":"object"}')


def tool_schema(schema: JSON | None, losses: Losses) -> JSON:
    """
    `schema` for a tool's `inputSchema`.

    Raises: BadRequest when it is nested too deeply.
    """
    rooted = object_schema(schema, losses)
    return _cleaned(rooted, losses) if _SUSPECT.search(bytes(rooted)) else rooted


@remembered
def _cleaned(schema: JSON, losses: Losses) -> JSON:
    def cleaned(members: Members) -> Members:
        return {name: value for name, value in members.items() if _is_wanted(name, value, losses)}

    return edited(schema, cleaned)


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
