"""Google's schemas as JSON Schema, and back."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from hypothesis import given
from twisted.trial.unittest import SynchronousTestCase

from aiproxy.errors import BadRequest
from aiproxy.wire.gemini.schema import for_gemini, from_openapi
from aiproxy.wire.jsontext import raw
from tests import strategies


def lowered(schema: Any) -> Any:
    return json.loads(bytes(from_openapi(raw(schema))))


class SchemaTests(SynchronousTestCase):
    """Both directions."""

    def test_numbered_types(self) -> None:
        """Clients that speak in protocol buffers send a type's number."""
        found = lowered({"type": 6, "properties": {"a": {"type": 1}, "b": {"type": 99}}})
        self.assertEqual(found["type"], "object")
        self.assertEqual(found["properties"], {"a": {"type": "string"}, "b": {"type": 99}})

    def test_types(self) -> None:
        """Types in lower case, nullable ones as two types, everywhere a schema stands."""
        self.assertEqual(
            lowered(
                {
                    "type": "OBJECT",
                    "properties": {
                        "type": {"type": "STRING", "nullable": True, "minLength": "3"},
                        "list": {"type": "ARRAY", "items": {"type": "INTEGER"}, "nullable": False},
                    },
                    "any_of": [{"type": "TYPE_UNSPECIFIED", "enum": ["STRING"]}],
                }
            ),
            {
                "type": "object",
                "properties": {
                    "type": {"type": ["string", "null"], "minLength": 3},
                    "list": {"type": "array", "items": {"type": "integer"}},
                },
                "anyOf": [{"enum": ["STRING"]}],
            },
        )

    def test_order(self) -> None:
        """The order that was asked for is the order of the properties."""
        schema = {"properties": {"a": {}, "b": {}, "c": {}}, "propertyOrdering": ["c", "x", "a"]}
        self.assertEqual(list(lowered(schema)["properties"]), ["c", "a", "b"])

    def test_what_gemini_refuses(self) -> None:
        """Identity and empty defaults go; properties of the same name stay."""
        schema = {
            "$schema": "s",
            "properties": {"$id": {"$id": "x", "default": None}, "default": {"default": 0}},
        }
        self.assertEqual(
            json.loads(bytes(for_gemini(raw(schema)))),
            {"properties": {"$id": {}, "default": {"default": 0}}},
        )

    def test_numbers_keep_their_digits(self) -> None:
        """What is not edited is not parsed."""
        schema = b'{"$id":"x","maximum":1.00,"properties":{"a":{"minimum":10000000000000000000}}}'
        self.assertEqual(
            bytes(for_gemini(msgspec.Raw(schema))),
            b'{"maximum":1.00,"properties":{"a":{"minimum":10000000000000000000}}}',
        )

    def test_depth(self) -> None:
        """A schema without end is refused."""
        schema: Any = {"type": "STRING"}
        for _ in range(200):
            schema = {"type": "ARRAY", "items": schema}
        self.assertRaises(BadRequest, from_openapi, raw(schema))

    def test_json_schema_is_left_alone(self) -> None:
        """What is JSON Schema already comes out as it went in."""

        @given(strategies.schemas())
        def check(schema: Any) -> None:
            self.assertEqual(bytes(from_openapi(schema)), bytes(schema))

        check()
