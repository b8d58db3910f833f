"""Bodies that are read at once, and the same ones read piece by piece."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from aiproxy import ir
from aiproxy.wire import INBOUND, OUTBOUND
from tests import strategies

PATHS = {"anthropic": "/v1/messages", "chat": "/v1/chat/completions"}
READ = frozenset({"messages", "system", "tools"})
CARRIED = frozenset({"input", "input_schema", "parameters", "arguments", "format", "citations"})


def with_more(value: Any) -> Any:
    """`value` with an unknown member that is null in every object that names its type or role."""
    if isinstance(value, list):
        return [with_more(item) for item in value]
    if not isinstance(value, dict):
        return value
    more = {name: inner if name in CARRIED else with_more(inner) for name, inner in value.items()}
    return {"unheard_of": None, **more} if {"type", "role", "input_schema"} & value.keys() else more


def plain(request: ir.Request) -> ir.Request:
    """`request` for one answer, with no part that is carried as it is."""
    turns = [
        ir.replace(turn, parts=tuple(p for p in turn.parts if not isinstance(p, ir.Opaque)))
        for turn in request.turns
    ]
    turns.append(ir.Turn("user", (ir.Text("x"),)))
    return ir.replace(request, turns=tuple(turns), sampling=ir.Sampling())


class ReadingTests(SynchronousTestCase):
    @settings(max_examples=60, deadline=None)
    @given(st.data(), st.sampled_from(sorted(PATHS)))
    def test_plain_or_not(self, data: st.DataObject, wire: str) -> None:
        """A request means the same when unknown members without a value stand everywhere in it."""
        request = data.draw(strategies.requests(wire).map(plain))
        members = json.loads(OUTBOUND[wire].encode_request(request).body)
        more = with_more({name: members[name] for name in READ & members.keys()})
        self.assertEqual(self.read(wire, members), self.read(wire, {**members, **more}))

    @given(st.sampled_from(sorted(PATHS)), st.sampled_from(("text", "tool_result", "message")))
    def test_what_is_unknown_is_kept(self, wire: str, where: str) -> None:
        """One member more, wherever it stands, is all that differs."""
        block = {"type": "text", "text": "x"}
        result = {"type": "tool_result", "tool_use_id": "1", "content": [block]}
        message: dict[str, Any] = {"role": "user", "content": [block]}
        if where == "tool_result" and wire == "anthropic":
            message["content"] = [result, block]
        places: dict[str, dict[str, Any]] = {
            "text": block,
            "tool_result": result,
            "message": message,
        }
        places[where]["more"] = 1
        body = {"model": "m", "max_tokens": 1, "messages": [message]}
        read = self.read(wire, body)
        is_there = where != "tool_result" or wire == "anthropic"
        self.assertEqual("('more'" in repr(read), is_there)

    def read(self, wire: str, body: dict[str, Any]) -> ir.Request:
        return INBOUND[wire].decode_request(json.dumps(body).encode(), PATHS[wire])
