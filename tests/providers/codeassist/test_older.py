"""Schemas, choices and limits as the older API takes them, and its answers as clients mean them."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from aiproxy.ir import JSON
from aiproxy.providers.codeassist.older import (
    PLACEHOLDER,
    budgeted,
    capped,
    declared,
    unlimited,
    validated,
    without_placeholders,
)
from aiproxy.wire.jsontext import raw
from aiproxy.wire.losses import Losses
from tests.strategies import json_values


def read(value: JSON) -> Any:
    return json.loads(bytes(value))


def declaration(of: dict[str, Any], *, required: bool) -> dict[str, Any]:
    """One function as it is sent."""
    tools = declared(raw([{"functionDeclarations": [of]}]), Losses(), required=required)
    sent: dict[str, Any] = read(tools)[0]["functionDeclarations"][0]
    return sent


def answer(*parts: object) -> bytes:
    return bytes(raw({"candidates": [{"content": {"parts": parts}}]}))


class SchemaTests(SynchronousTestCase):
    def test_older_name(self) -> None:
        """JSON Schemas become the older parameters; everything else stays."""
        schema = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
        sent = declaration({"name": "f", "parametersJsonSchema": schema}, required=False)
        self.assertEqual(sent, {"name": "f", "parameters": schema})
        tools = raw([{"googleSearch": {}}, 5])
        self.assertEqual(read(declared(tools, Losses(), required=True)), [{"googleSearch": {}}, 5])

    def test_older_words(self) -> None:
        """What the older schemas have no word for is a hint; that is told."""
        schema = {"type": "object", "properties": {"a": {"const": "x"}}, "minLength": 1, "not": {}}
        losses = Losses()
        tools = raw([{"functionDeclarations": [{"name": "f", "parametersJsonSchema": schema}]}])
        sent = read(declared(tools, losses, required=False))[0]["functionDeclarations"][0]
        self.assertEqual(sent["parameters"]["properties"]["a"]["enum"], ["x"])
        self.assertNotIn("not", sent["parameters"])
        self.assertEqual([loss.feature for loss in losses.seen()], ["tool-schema"])

    def test_placeholder(self) -> None:
        """Every object that requires nothing requires the placeholder, at any depth."""
        inner = {"type": "OBJECT", "properties": {"x": {"type": "string"}}}
        schema = {
            "type": "object",
            "properties": {"a": {"type": "array", "items": inner}, "b": {"type": "string"}},
            "required": ["b"],
        }
        sent = declaration({"name": "f", "parameters": schema}, required=True)["parameters"]
        self.assertEqual(sent["required"], ["b"])
        self.assertEqual(sent["properties"].keys(), {"a", "b"})
        items = sent["properties"]["a"]["items"]
        self.assertEqual(items["required"], [PLACEHOLDER])
        self.assertEqual(list(items["properties"]), ["x", PLACEHOLDER])
        for empty in ({}, {"parameters": None}, {"parameters": {"type": "object"}}):
            sent = declaration({"name": "f", **empty}, required=True)["parameters"]
            self.assertEqual(sent["required"], [PLACEHOLDER])
            self.assertEqual(list(sent["properties"]), [PLACEHOLDER])

    def test_property_called_like_a_keyword(self) -> None:
        """A property that is called "type" or "properties" is no schema's keyword."""
        properties = {"type": {"type": "string"}, "properties": {"type": "string"}}
        schema = {"type": "object", "properties": properties, "required": ["type"]}
        sent = declaration({"name": "f", "parameters": schema}, required=True)
        self.assertEqual(sent["parameters"], schema)


class CallTests(SynchronousTestCase):
    def test_placeholder_goes(self) -> None:
        """What the model wrote for a placeholder is no argument of the client's tool."""
        args = {PLACEHOLDER: True, "list": [{PLACEHOLDER: True, "n": 1}], "s": "x"}
        got = without_placeholders(answer({"functionCall": {"name": "f", "args": args}}))
        self.assertEqual(
            got, answer({"functionCall": {"name": "f", "args": {"list": [{"n": 1}], "s": "x"}}})
        )

    def test_only_in_calls(self) -> None:
        """The same word elsewhere is the model's own; numbers keep their digits."""
        body = b'{"candidates":[{"content":{"parts":[{"x":{"%b":1.10}},' % PLACEHOLDER.encode()
        body += b'{"functionCall":{"args":{"n":1.10}}}]}}]}'
        self.assertEqual(without_placeholders(body), body)
        plain = b'{ "candidates" : [ ] }'
        self.assertEqual(without_placeholders(plain), plain)

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(json_values(3))
    def test_any_arguments(self, value: Any) -> None:
        """Arguments without placeholders are what they were, whatever they are."""
        body = answer({"functionCall": {"args": {"v": value, PLACEHOLDER: 1}}})
        got = json.loads(without_placeholders(body))
        self.assertEqual(got, json.loads(answer({"functionCall": {"args": {"v": value}}})))

    @settings(deadline=None)
    @given(st.binary(max_size=60))
    def test_junk(self, data: bytes) -> None:
        """What is no answer at all passes, or at least raises nothing."""
        without_placeholders(data + b'"%b"' % PLACEHOLDER.encode())


class ChoiceTests(SynchronousTestCase):
    def choice(self, mode: str | None) -> tuple[Any, set[str]]:
        losses = Losses()
        calling = {} if mode is None else {"functionCallingConfig": raw({"mode": mode})}
        sent = validated(calling, losses)["functionCallingConfig"]
        return read(sent)["mode"], {loss.feature for loss in losses.seen()}

    def test_modes(self) -> None:
        """Calls are validated; one cannot be forced then, which is told; forbidden stays so."""
        self.assertEqual(self.choice(None), ("VALIDATED", set()))
        self.assertEqual(self.choice("AUTO"), ("VALIDATED", set()))
        self.assertEqual(self.choice("any"), ("VALIDATED", {"tool-choice"}))
        self.assertEqual(self.choice("NONE"), ("NONE", set()))

    def test_rest_of_the_choice(self) -> None:
        """Allowed names and other configuration stay beside the mode."""
        config = {"functionCallingConfig": raw({"allowedFunctionNames": ["a"]}), "x": raw(1)}
        sent = {name: read(value) for name, value in validated(config, Losses()).items()}
        self.assertEqual(
            sent,
            {"functionCallingConfig": {"allowedFunctionNames": ["a"], "mode": "VALIDATED"}, "x": 1},
        )


class LimitTests(SynchronousTestCase):
    def test_capped(self) -> None:
        """A limit above the model's is lowered, and that is told."""
        for asked, sent, told in (
            (99, 99, set()),
            (100, 100, set()),
            (101, 100, {"max-output-tokens"}),
        ):
            losses = Losses()
            config = capped({"maxOutputTokens": raw(asked)}, "100", losses)
            self.assertEqual(read(config["maxOutputTokens"]), sent)
            self.assertEqual({loss.feature for loss in losses.seen()}, told)
        self.assertEqual(capped({}, "100", Losses()), {})
        high = {"maxOutputTokens": raw(10**6)}
        self.assertEqual(capped(high, "", Losses()), high)

    def test_budgets(self) -> None:
        """Thinking is counted in tokens, below the output limit, or left out where that is low."""
        for thinking, limit, sent, told in (
            ({"thinkingLevel": "HIGH"}, 90_000, {"thinkingBudget": 24576}, set()),
            (
                {"includeThoughts": True, "thinkingLevel": "LOW"},
                5000,
                {"includeThoughts": True, "thinkingBudget": 1024},
                set(),
            ),
            ({"thinkingBudget": 9000}, 5000, {"thinkingBudget": 4999}, {"thinking-budget"}),
            ({"thinkingBudget": 2000}, 900, None, {"thinking-budget", "thinking"}),
            ({"thinkingBudget": 0}, 900, {"thinkingBudget": 0}, set()),
            ({"thinkingBudget": -1}, 900, {"thinkingBudget": -1}, set()),
        ):
            losses = Losses()
            config = {"thinkingConfig": raw(thinking), "maxOutputTokens": raw(limit)}
            got = budgeted(config, losses)
            self.assertEqual(read(got.get("thinkingConfig", raw(None))), sent)
            self.assertEqual({loss.feature for loss in losses.seen()}, told)
        without_limit = {"thinkingConfig": raw({"thinkingLevel": "HIGH"})}
        got = budgeted(without_limit, Losses())
        self.assertEqual(read(got["thinkingConfig"]), {"thinkingBudget": 24576})
        self.assertEqual(budgeted({}, Losses()), {})

    def test_unlimited(self) -> None:
        """Where no limit may be sent none is, and that is told."""
        losses = Losses()
        config = unlimited({"maxOutputTokens": raw(5), "seed": raw(1)}, losses)
        self.assertEqual(config.keys(), {"seed"})
        self.assertEqual([loss.feature for loss in losses.seen()], ["max-output-tokens"])
