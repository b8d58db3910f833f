"""Tests of aiproxy.simulator.sides.kiro_request: what Kiro takes, and what it refuses."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from aiproxy import ir
from aiproxy.errors import BadRequest
from aiproxy.simulator.sides.kiro_request import check, decode_request
from aiproxy.wire import kiro, relay
from tests import strategies
from tests.wire import exchanges
from tests.wire.kiro.samples import assistant, call, image, request, result, user

SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}


def asked() -> ir.Request:
    """A conversation with a picture, a call and its result, and a tool."""
    return request(
        user("look", image()),
        assistant(call("t1", "f", '{"a":"x"}')),
        user(result("t1", "done"), "and now?"),
        tools=(ir.Tool("f", "d", ir.JSON(json.dumps(SCHEMA).encode())),),
    )


def sent(of: ir.Request) -> bytes:
    return kiro.encode_request(of).body


class DecodingTests(SynchronousTestCase):
    def test_round_trip(self) -> None:
        """What our encoder writes is read as what it was made of."""
        read = decode_request(sent(asked()))
        self.assertEqual(read.model, "claude-opus-4.8")
        self.assertEqual(
            read.turns,
            (
                ir.Turn("user", (image(), ir.Text("look"))),
                ir.Turn("assistant", (ir.Text("(empty)"), call("t1", "f", '{"a":"x"}'))),
                ir.Turn("user", (result("t1", "done"), ir.Text("and now?"))),
            ),
        )
        (tool,) = read.tools
        assert isinstance(tool, ir.Tool)
        assert tool.schema is not None
        self.assertEqual((tool.name, json.loads(bytes(tool.schema))), ("f", SCHEMA))

    def test_thoughts(self) -> None:
        """Its own thoughts come back with their proof, in text or not."""
        for thought in (
            ir.Reasoning("hm", ir.Proof("kiro", "c2ln")),
            ir.Reasoning("", ir.Proof("kiro", "c2ln", redacted=True)),
        ):
            spoken = request(user("a"), assistant(thought, "b"), user("c"))
            read = decode_request(sent(spoken))
            self.assertEqual(read.turns[1].parts, (thought, ir.Text("b")))

    def test_schema_in_words(self) -> None:
        """A schema that the instructions ask for is understood."""
        wanted = ir.OutputFormat("json_schema", ir.JSON(json.dumps(SCHEMA).encode()))
        read = decode_request(sent(request(user("go"), output_format=wanted)))
        assert read.output_format is not None
        assert read.output_format.schema is not None
        self.assertEqual(json.loads(bytes(read.output_format.schema)), SCHEMA)


class CheckTests(SynchronousTestCase):
    @settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(
        st.sampled_from(("anthropic", "chat", "responses", "gemini")).flatmap(strategies.requests)
    )
    def test_our_requests(self, of: ir.Request) -> None:
        """Whatever a client asks for, what we make of it is accepted."""
        try:
            body = sent(of)
        except BadRequest:
            return
        check(body)
        decode_request(body)

    def test_corpus(self) -> None:
        """So are the requests of all wires' clients."""
        for wire in exchanges.WIRES:
            for of in exchanges.requests(wire).values():
                try:
                    body = relay.encode_for(kiro, of).body
                except BadRequest:
                    continue
                check(body)

    def test_refusals(self) -> None:
        """Each thing that the service refuses is refused."""
        good: dict[str, Any] = json.loads(sent(asked()))
        check(json.dumps(good).encode())
        for change in REFUSED:
            bad = copy.deepcopy(good)
            change(bad)
            self.assertNotEqual(bad, good)
            self.assertRaises(BadRequest, check, json.dumps(bad).encode())

    def test_no_json(self) -> None:
        """Anything else is no request."""
        for body in (b"", b"[]", b"{}", b"\xff"):
            self.assertRaises(BadRequest, decode_request, body)

    def test_more_images(self) -> None:
        """More pictures than the service takes are refused."""
        body = json.loads(sent(ir.replace(asked(), turns=(user(*[image()] * 4, "x"),))))
        said = body["conversationState"]["currentMessage"]["userInputMessage"]
        said["images"].append(said["images"][0])
        self.assertRaises(BadRequest, check, json.dumps(body).encode())


def _state(body: Mapping[str, Any]) -> Any:
    return body["conversationState"]


def _current(body: Mapping[str, Any]) -> Any:
    return _state(body)["currentMessage"]["userInputMessage"]


def _said(body: Mapping[str, Any]) -> Any:
    return _state(body)["history"][0]["userInputMessage"]


def _answered(body: Mapping[str, Any]) -> Any:
    return _state(body)["history"][1]["assistantResponseMessage"]


def _context(body: Mapping[str, Any]) -> Any:
    return _current(body)["userInputMessageContext"]


def _tool(body: Mapping[str, Any]) -> Any:
    return _context(body)["tools"][0]["toolSpecification"]


def _schema(body: Mapping[str, Any]) -> Any:
    return _tool(body)["inputSchema"]["json"]


REFUSED: tuple[Callable[[Any], object], ...] = (
    lambda body: body.update(inferenceConfig={"maxTokens": 5}),
    lambda body: _state(body).update(conversationId="not a uuid"),
    lambda body: _state(body)["history"].pop(),
    lambda body: _state(body)["history"].pop(0),
    lambda body: _state(body).update(currentMessage=_state(body)["history"][1]),
    lambda body: _current(body).update(content=""),
    lambda body: _current(body).update(origin="ELSEWHERE"),
    lambda body: _answered(body).update(content=""),
    lambda body: _context(body).pop("toolResults"),
    lambda body: _context(body).pop("tools"),
    lambda body: _context(body)["toolResults"][0].update(status="SUCCESS"),
    lambda body: _context(body)["toolResults"][0].update(content=[]),
    lambda body: _answered(body)["toolUses"][0].update(input="{}"),
    lambda body: _said(body)["images"][0].update(format="bmp"),
    lambda body: _said(body).update(userInputMessageContext={"tools": _context(body)["tools"]}),
    lambda body: _tool(body).update(description=""),
    lambda body: _tool(body).update(description="x" * 10_001),
    lambda body: _schema(body).update({"$schema": "x"}),
    lambda body: _schema(body).update(additionalProperties=False),
    lambda body: _schema(body).update(required=[]),
    lambda body: _schema(body).update(properties={}),
    lambda body: _schema(body).update(type="string"),
    lambda body: _schema(body)["properties"]["a"].update(default=None),
    lambda body: _schema(body).update(items={"$schema": "x"}),
)
