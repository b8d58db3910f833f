"""JSON Schemas as Gemini's older `parameters` takes them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from aiproxy import ir
from aiproxy.errors import BadRequest
from aiproxy.wire.gemini.openapi import for_parameters
from aiproxy.wire.jsontext import raw
from aiproxy.wire.losses import Losses
from tests import strategies

TEXT = {"type": "string"}
KNOWN = {
    *("type", "format", "description", "nullable", "enum", "properties", "required", "items"),
    *("anyOf", "minimum", "maximum", "minLength", "maxLength", "pattern", "minItems", "maxItems"),
    *("minProperties", "maxProperties"),
}


def cleaned(schema: Any, losses: Losses | None = None, **more: Any) -> Any:
    return json.loads(bytes(for_parameters(raw(schema), losses or Losses(), **more)))


def member(schema: Any, **more: Any) -> Any:
    """The schema of one member of an object."""
    return cleaned({"type": "object", "properties": {"a": schema}}, **more)["properties"]["a"]


def schemas_in(schema: Any) -> Iterator[Any]:
    """A schema and all that are inside it."""
    yield schema
    for inner in (*schema.get("properties", {}).values(), *schema.get("anyOf", ())):
        yield from schemas_in(inner)
    if "items" in schema:
        yield from schemas_in(schema["items"])


def any_schemas() -> st.SearchStrategy[Any]:
    """Schemas of all keywords in any combination, with references that may lead in circles."""
    words = st.sampled_from(("string", "integer", "object", "array", "null", "STRING", 7, None))
    leaf = st.one_of(
        st.fixed_dictionaries({"$ref": st.sampled_from(("#", "#/$defs/a", "#/nowhere", "x", 3))}),
        st.fixed_dictionaries({"type": words | st.lists(words, max_size=3)}),
        st.fixed_dictionaries({"enum": st.lists(strategies.json_values(2), max_size=3)}),
        st.fixed_dictionaries({"const": strategies.json_values(2), "default": st.none()}),
        st.booleans(),
    )

    def wider(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        named = st.dictionaries(st.sampled_from(("a", "$ref", "type")), inner, max_size=2)
        listed = st.lists(inner, max_size=3)
        optional: dict[str, st.SearchStrategy[Any]] = {
            **dict.fromkeys(("properties", "$defs", "patternProperties"), named),
            **dict.fromkeys(("anyOf", "oneOf", "allOf", "prefixItems"), listed),
            **dict.fromkeys(("items", "not", "additionalProperties"), inner),
            "required": st.lists(st.sampled_from(("a", "b")) | st.integers(), max_size=3),
            "description": strategies.texts() | st.none(),
            "format": st.sampled_from(("date-time", "uuid", "int32")),
            "exclusiveMinimum": st.integers(),
            "nullable": st.booleans() | st.just("yes"),
        }
        return st.fixed_dictionaries({}, optional=optional)

    return st.recursive(leaf, wider, max_leaves=8)


class CleaningTests(SynchronousTestCase):
    """What the dialect lacks, keyword by keyword."""

    def test_references(self) -> None:
        """They are resolved, also with escaped names and words of their own beside them."""
        schema = {
            "type": "object",
            "properties": {"p": {"$ref": "#/$defs/a~1b", "description": "where"}},
            "$defs": {"a/b": {"$ref": "#/$defs/c"}, "c": {"type": "object", "properties": {}}},
        }
        self.assertEqual(
            cleaned(schema)["properties"]["p"],
            {"type": "object", "description": "where", "properties": {}},
        )

    def test_circles(self) -> None:
        """A schema that holds itself is an object one level down."""
        losses = Losses()
        node = {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}, "v": TEXT}}
        root = {"$ref": "#/$defs/node", "$defs": {"node": node}}
        inner = {"type": "object", "description": "like node"}
        self.assertEqual(
            cleaned(root, losses), {"type": "object", "properties": {"next": inner, "v": TEXT}}
        )
        self.assertEqual(losses.seen(), (ir.Loss("tool-schema", "approximated"),))

    def test_references_that_double(self) -> None:
        """Sixty levels that each name the next twice end soon, and in a body of modest size."""
        two = [{"a": {"$ref": f"#/$defs/d{at + 1}"}, "b": {"$ref": f"#/$defs/d{at + 1}"}}
               for at in range(60)]  # fmt: skip
        levels = {f"d{at}": {"type": "object", "properties": each} for at, each in enumerate(two)}
        root = {**levels["d0"], "$defs": {**levels, "d60": TEXT}}
        self.assertLess(len(for_parameters(raw(root), Losses())), 2_000_000)

    def test_values(self) -> None:
        """Enumerations are of texts; numbers keep their type, and are named to the model."""
        for schema, expected in (
            ({"const": "x"}, {"type": "string", "enum": ["x"]}),
            ({"enum": ["a", None, "a"]}, {"type": "string", "nullable": True, "enum": ["a"]}),
            ({"type": "integer", "enum": [1, 2]},
             {"type": "integer", "description": "one of 1, 2"}),
            ({"const": 5}, {"type": "integer", "description": "one of 5"}),
            ({"type": ["string", "null"]}, {"type": "string", "nullable": True}),
            ({"type": ["string", "integer"]}, {"anyOf": [TEXT, {"type": "integer"}]}),
            ({"type": "string", "format": "date-time"}, {"type": "string", "format": "date-time"}),
            ({"type": "string", "format": "uuid"},
             {"type": "string", "description": "format: uuid"}),
            ({"type": "array"},
             {"type": "array", "items": {"type": "string", "description": "any JSON value"}}),
            ({"type": "array", "prefixItems": [{"type": "number"}]},
             {"type": "array", "description": 'prefixItems: [{"type": "number"}]',
              "items": {"type": "number"}}),
            ({"type": "integer", "exclusiveMinimum": 0, "description": "how many", "title": "T"},
             {"type": "integer", "description": "how many (exclusiveMinimum: 0)"}),
            ({"properties": {"x": TEXT}, "required": ["x", "y"], "additionalProperties": False},
             {"type": "object", "properties": {"x": TEXT}, "required": ["x"]}),
            (True, {"type": "string", "description": "any JSON value"}),
        ):  # fmt: skip
            self.assertEqual(member(schema), expected, schema)

    def test_alternatives(self) -> None:
        """Each has what all share; null is no alternative; models without them get the first."""
        base = {"description": "d", "oneOf": [TEXT, {"type": "integer"}, {"type": "null"}]}
        number = {"type": "integer", "description": "d", "nullable": True}
        text = {"type": "string", "description": "d", "nullable": True}
        self.assertEqual(member(base), {"anyOf": [text, number]})
        first = member(base, alternatives="first")
        self.assertEqual(first, {**text, "description": "d (or d)"})
        self.assertEqual(
            member({"anyOf": [TEXT, {"type": "null"}]}), {"type": "string", "nullable": True}
        )
        either = {"properties": {"x": TEXT}, "anyOf": [{"required": ["x"]}, {"required": ["y"]}]}
        self.assertEqual(
            member(either),
            {"type": "object", "description": "needed: x or y", "properties": {"x": TEXT}},
        )
        root = {"anyOf": [{"properties": {"a": TEXT}}, {"properties": {"b": TEXT}}]}
        self.assertEqual(cleaned(root), {"type": "object", "properties": {"b": TEXT, "a": TEXT}})

    def test_all_of(self) -> None:
        """What all branches demand is one schema."""
        both = {
            "allOf": [
                {"properties": {"a": TEXT}, "required": ["a"], "description": "one"},
                {"properties": {"b": TEXT}, "required": ["b"], "description": "two"},
            ]
        }
        self.assertEqual(
            cleaned(both),
            {
                "type": "object",
                "description": "one two",
                "properties": {"a": TEXT, "b": TEXT},
                "required": ["a", "b"],
            },
        )

    def test_properties_called_like_keywords(self) -> None:
        """They stay, whatever they are called."""
        schema = {"type": "object", "properties": {"$ref": TEXT, "not": TEXT, "enum": TEXT}}
        self.assertEqual(cleaned(schema), schema)

    def test_depth(self) -> None:
        """A schema nested beyond reason is refused, without any other error."""
        deep: Any = TEXT
        for _ in range(70):
            deep = {"type": "array", "items": deep}
        chain = {f"d{at}": {"allOf": [{"$ref": f"#/$defs/d{at + 1}"}]} for at in range(2000)}
        for text in (
            json.dumps({"properties": {"a": deep}}),
            '{"items":' * 5000 + "{}" + "}" * 5000,
            json.dumps({"$ref": "#/$defs/d0", "$defs": chain}),
        ):
            with self.assertRaises(BadRequest):
                for_parameters(msgspec.Raw(text.encode()), Losses())

    def test_any_schema(self) -> None:
        """Whatever comes in, only what the dialect has comes out, the input unchanged."""

        @settings(max_examples=150, deadline=None)
        @given(any_schemas(), st.sampled_from(("kept", "first")))
        def check(schema: Any, alternatives: Any) -> None:
            before = raw(schema)
            text = bytes(before)
            found = for_parameters(before, Losses(), alternatives)
            self.assertEqual(bytes(before), text)
            self.assertEqual(for_parameters(before, Losses(), alternatives), found)
            root = json.loads(bytes(found))
            self.assertEqual(root["type"], "object")
            for each in schemas_in(root):
                self.assertLessEqual(each.keys(), KNOWN)
                self.assertTrue(isinstance(each.get("type"), str) or list(each) == ["anyOf"], each)
                self.assertLessEqual(
                    set(each.get("required", ())), each.get("properties", {}).keys()
                )
                self.assertEqual("items" in each, each.get("type") == "array")
                self.assertTrue(all(isinstance(value, str) for value in each.get("enum", ())))

        check()
