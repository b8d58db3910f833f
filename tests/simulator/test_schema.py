"""Values made for schemas."""

from __future__ import annotations

import json

from hypothesis import given, settings
from twisted.trial.unittest import SynchronousTestCase

from aiproxy.simulator.schema import sample
from tests.strategies import json_values, schemas


class SampleTests(SynchronousTestCase):
    """sample()"""

    def test_types(self) -> None:
        """Each type gives a value of it, in Gemini's spelling too."""
        for schema, value in (
            ({"type": "integer", "minimum": 3}, 3),
            ({"type": "INTEGER", "exclusiveMinimum": 3}, 4),
            ({"type": "number"}, 7.5),
            ({"type": "boolean"}, True),
            ({"type": ["null", "string"]}, None),
            ({"type": "string", "format": "date"}, "2026-01-31"),
            ({"enum": ["a", "b"]}, "a"),
            ({"const": 5}, 5),
            ({"type": "array", "items": {"type": "integer"}, "minItems": 2}, [7, 7]),
            ({"type": "OBJECT", "properties": {"a": {"const": 1}}}, {"a": 1}),
            ({"anyOf": [{"type": "boolean"}, {"type": "string"}]}, True),
            (
                {"allOf": [{"properties": {"a": {"const": 1}}}, {"properties": {"b": {}}}]},
                {"a": 1, "b": "b é漢😀"},
            ),
            ({"$ref": "#/$defs/x", "$defs": {"x": {"const": 2}}}, 2),
        ):
            self.assertEqual(sample(schema), value, schema)

    def test_length(self) -> None:
        """A text is as long as it must be, within reason."""
        self.assertGreaterEqual(len(sample({"type": "string", "minLength": 50})), 50)
        self.assertLess(len(sample({"type": "string", "minLength": 10**9})), 2000)

    def test_recursion(self) -> None:
        """A schema that contains itself ends."""
        tree = {"type": "object", "properties": {"left": {"$ref": "#"}}}
        self.assertLess(len(json.dumps(sample(tree))), 1000)

    @settings(max_examples=100, deadline=None)
    @given(schemas() | json_values().map(lambda value: json.dumps(value).encode()))
    def test_anything(self, schema: bytes) -> None:
        """Whatever stands for a schema, there is a JSON value for it."""
        json.dumps(sample(json.loads(bytes(schema))))
