"""Tools and their schemas as Kiro takes them."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from aiproxy import ir
from aiproxy.errors import BadRequest
from aiproxy.wire import kiro
from aiproxy.wire.kiro.tools import LONGEST_DESCRIPTION
from tests.wire.kiro.samples import (
    Object,
    assistant,
    call,
    losses,
    messages,
    request,
    result,
    tools,
    user,
)

TEXT = {"type": "string"}


def tool(name: str = "f", schema: Any = None, **members: Any) -> ir.Tool:
    raw = None if schema is None else ir.JSON(json.dumps(schema).encode())
    return ir.Tool(name, members.pop("description", "d"), raw, **members)


class ToolTests(SynchronousTestCase):
    def test_shape(self) -> None:
        """Tools stand in the current message only."""
        schema = {"type": "object", "properties": {"a": TEXT}}
        asked = request(user("a"), assistant("b"), user("c"), tools=(tool("f", schema),))
        expected = [{"name": "f", "description": "d", "inputSchema": {"json": schema}}]
        self.assertEqual(tools(asked), expected)
        self.assertNotIn("userInputMessageContext", messages(asked)[0])
        self.assertEqual(losses(asked), {})

    def test_used_but_not_declared(self) -> None:
        """Tools that the history calls are declared, in few words."""
        turns = (user("a"), assistant(call("c1", "old one")), user(result("c1")))
        (found,) = tools(request(*turns))
        self.assertEqual(found["inputSchema"], {"json": {"type": "object"}})
        uses = messages(request(*turns))[1]["toolUses"]
        self.assertEqual(uses[0]["name"], found["name"])
        both = tools(request(*turns, tools=(tool("f"),)))
        self.assertEqual([one["name"] for one in both], ["f", found["name"]])

    def test_names(self) -> None:
        """Names are made legal, and those of name spaces joined; the call's is the same."""
        long = "mcp.server/" + "x" * 80
        asked = request(
            user("a"),
            assistant(ir.ToolCall("c", long, "{}")),
            tools=(tool(long), tool("g", namespace="ns")),
        )
        first, second = tools(asked)
        self.assertRegex(first["name"], "^[a-zA-Z0-9_-]{64}$")
        self.assertEqual(second["name"], "ns__g")
        self.assertEqual(messages(asked)[1]["toolUses"][0]["name"], first["name"])

    def test_choices(self) -> None:
        """A choice is made by leaving tools out; that one must be called cannot be said."""
        both = (tool("f"), tool("g"))
        about: dict[str, str] = {"tool-choice": "approximated"}
        for choice, names, lost in (
            (ir.ToolChoice("auto"), ["f", "g"], {}),
            (ir.ToolChoice("auto", ("g",)), ["g"], {}),
            (ir.ToolChoice("none"), [], {}),
            (ir.ToolChoice("any"), ["f", "g"], about),
            (ir.ToolChoice("any", ("f",)), ["f"], about),
            (ir.ToolChoice("validated"), ["f", "g"], about),
        ):
            asked = request(user("a"), tools=both, tool_choice=choice)
            self.assertEqual([one["name"] for one in tools(asked)], names, choice)
            self.assertEqual(losses(asked), lost, choice)
        turns = (user("a"), assistant(call("c1", "g")), user(result("c1")))
        for choice in (ir.ToolChoice("none"), ir.ToolChoice("auto", ("f",))):
            asked = request(*turns, tools=both, tool_choice=choice)
            self.assertIn("g", [one["name"] for one in tools(asked)])
            self.assertEqual(losses(asked), about)

    def test_long_descriptions(self) -> None:
        """What a description has no room for is in the instructions, under the tool's name."""
        text = "".join(f"word{n} " for n in range(1500)).strip()
        asked = request(user("a"), tools=(tool("f", description=text),))
        (found,) = tools(asked)
        self.assertEqual(len(found["description"]), LONGEST_DESCRIPTION)
        kept = found["description"].partition("\n\n(")[0]
        content = messages(asked)[0]["content"]
        heading, rest = "## Tool f, continued\n\n", text[len(kept) :]
        self.assertEqual(kept + rest, text)
        self.assertEqual(content, f"{heading}{rest}\n\na")
        self.assertEqual(losses(asked), {"tool-description": "approximated"})
        (nameless,) = tools(request(user("a"), tools=(tool("f", description=" "),)))
        self.assertEqual(nameless["description"], "f")

    def test_other_kinds(self) -> None:
        """A custom tool is a function of one text; a hosted one is left out."""
        custom = ir.Tool("patch", "d", kind="custom", format=ir.JSON(b'{"type":"grammar"}'))
        hosted = ir.HostedTool("anthropic", "web_search", ir.JSON(b"{}"))
        asked = request(user("a"), tools=(custom, hosted, tool("f", strict=True)))
        found = tools(asked)[0]
        self.assertEqual(found["inputSchema"]["json"]["required"], ["input"])
        self.assertIn('{"type":"grammar"}', found["description"])
        lost = {"custom-tool": "approximated", "hosted-tool": "dropped", "strict": "dropped"}
        self.assertEqual(losses(asked), lost)


class SchemaTests(SynchronousTestCase):
    def cleaned(self, schema: Any) -> Object:
        found: Object = tools(request(user("a"), tools=(tool("f", schema),)))[0]
        inner: Object = found["inputSchema"]["json"]
        return inner

    def test_cleaning(self) -> None:
        """What the service refuses goes, at every depth; names of properties stay."""
        schema = {
            "$schema": "x",
            "type": "object",
            "additionalProperties": False,
            "required": ["a"],
            "description": None,
            "properties": {
                "a": {"type": "object", "properties": {}, "required": []},
                "required": {"type": "array", "items": {"$schema": "x", "default": None}},
                "additionalProperties": {"anyOf": [{"additionalProperties": TEXT}, TEXT]},
                "b": {"enum": [None, "x"], "default": {"required": [], "c": None}},
            },
            "$defs": {"n": {"$ref": "#/$defs/n", "title": None}},
        }
        before = json.dumps(schema)
        self.assertEqual(
            self.cleaned(schema),
            {
                "type": "object",
                "required": ["a"],
                "properties": {
                    "a": {"type": "object"},
                    "required": {"type": "array", "items": {}},
                    "additionalProperties": {"anyOf": [{}, TEXT]},
                    "b": {"enum": [None, "x"], "default": {"required": [], "c": None}},
                },
                "$defs": {"n": {"$ref": "#/$defs/n"}},
            },
        )
        self.assertEqual(json.dumps(schema), before)
        asked = request(user("a"), tools=(tool("f", schema),))
        self.assertEqual(losses(asked), {"tool-schema": "approximated"})

    def test_roots(self) -> None:
        """The root is an object, whatever was given."""
        for schema in (None, {}, {"type": "object"}, {"type": "object", "properties": {}}):
            self.assertEqual(self.cleaned(schema), {"type": "object"}, schema)
        either = {"anyOf": [{"type": "object", "properties": {"a": TEXT}}, {"type": "null"}]}
        self.assertEqual(self.cleaned(either), {"type": "object", "properties": {"a": TEXT}})

    def test_untouched(self) -> None:
        """A schema that needs no change keeps its bytes."""
        text = b'{ "type":"object", "properties":{"n":{"maximum":9007199254740993}} }'
        asked = request(user("a"), tools=(ir.Tool("f", "d", ir.JSON(text)),))
        self.assertIn(text, kiro.encode_request(asked).body)

    def test_depth(self) -> None:
        """A schema nested beyond reason is the client's fault."""
        deep = b'{"items":' * 1000 + b'{"title":null}' + b"}" * 1000
        asked = request(user("a"), tools=(ir.Tool("f", "d", ir.JSON(deep)),))
        self.assertRaises(BadRequest, kiro.encode_request, asked)
