"""
What becomes of requests, case by case: a body of one wire, and what is in the bodies of others.

A place in a body is its path with dots, `#` for how many there are; None is nothing at all.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from aiproxy import ir
from aiproxy.errors import BadRequest
from aiproxy.wire import INBOUND, OUTBOUND, relay
from tests.wire import cases_conversation, cases_options, cases_tools
from tests.wire.cases_conversation import Case
from tests.wire.kiro import reading
from tests.wire.loss_probes import MODELS, PLAIN, function
from tests.wire.loss_table import decoded

GROUPS: Mapping[str, Iterable[Case]] = {
    "conversation": cases_conversation.CASES,
    "tools": cases_tools.CASES,
    "options": cases_options.CASES,
}


@dataclass(frozen=True)
class Sent:
    """body: as the upstream gets it. losses: the features reported."""

    body: Any
    losses: tuple[str, ...]


def sent(request: ir.Request, target: str, model: str = "") -> Sent:
    """Raises: BadRequest."""
    asked = ir.replace(request, model=model or MODELS[target])
    encoded = relay.encode_for(OUTBOUND[target], asked)
    return Sent(json.loads(encoded.body), tuple(loss.feature for loss in encoded.losses))


def at(body: Any, path: str) -> Any:
    """What stands at `path`, None when nothing does."""
    for step in path.split("."):
        if step == "#":
            return len(body)
        if isinstance(body, list) and step.isdecimal():
            body = body[int(step)] if int(step) < len(body) else None
        else:
            body = body.get(step) if isinstance(body, dict) else None
    return body


class CaseTests(SynchronousTestCase):
    """The tables."""

    def test_all(self) -> None:
        """Each case's body has, for each target, what the table says, and loses what it says."""
        complaints: list[str] = []
        for cases in GROUPS.values():
            for case in cases:
                complaints += self._complaints(case)
        self.assertEqual(complaints, [], "\n".join(complaints))

    def test_names(self) -> None:
        """No case stands there twice."""
        names = [case.name for cases in GROUPS.values() for case in cases]
        self.assertEqual(len(names), len(set(names)))

    def _complaints(self, case: Case) -> Iterable[str]:
        for source, members in case.bodies.items():
            request = decoded(source, {**PLAIN[source], **members})
            for target, expected in case.sent.items():
                wire, _, model = target.partition(":")
                if wire == source:
                    continue
                place = f"{case.name}: {source} to {target}"
                try:
                    got = sent(request, wire, model)
                except BadRequest as error:
                    if not isinstance(expected, str) or expected not in error.reply.message:
                        yield f"{place}: refused, {error.reply.message}"
                    continue
                if isinstance(expected, str):
                    yield f"{place}: not refused"
                    continue
                for path, value in expected.items():
                    found = got.losses if path == "losses" else at(got.body, path)
                    if path == "losses":
                        found, value = set(found), set(value)
                    if found != value:
                        yield f"{place}: {path} is {found!r}, not {value!r}"


class EquivalenceTests(SynchronousTestCase):
    """Different ways to say the same."""

    def test_same_request(self) -> None:
        """Both bodies of a pair become the same body, whatever the target."""
        for name, source, one, other in cases_conversation.SAME:
            requests = [decoded(source, {**PLAIN[source], **body}) for body in (one, other)]
            for target in OUTBOUND.keys() - {source}:
                bodies = [sent(request, target) for request in requests]
                self.assertEqual(bodies[0].body, bodies[1].body, (name, target))

    def test_nulls(self) -> None:
        """A null is as good as nothing, at the top and inside, in every dialect."""
        for source, names in cases_options.NULLS.items():
            body = {**PLAIN[source], **dict.fromkeys(names)}
            for target in OUTBOUND.keys() - {source}:
                plain, nulled = (
                    sent(decoded(source, each), target) for each in (PLAIN[source], body)
                )
                self.assertEqual(plain, nulled, (source, target))

    def test_same_bytes(self) -> None:
        """The same request gives the same bytes each time, as prompt caches need."""
        for cases in GROUPS.values():
            for case in cases:
                for source, members in case.bodies.items():
                    for target in OUTBOUND:
                        wrote = [
                            _bytes({**PLAIN[source], **members}, source, target) for _ in range(2)
                        ]
                        self.assertEqual(wrote[0], wrote[1], (case.name, source, target))

    def test_kiro_reads_it(self) -> None:
        """What is written for Kiro alternates, and begins and ends with the user's turn."""
        for cases in GROUPS.values():
            for case in cases:
                for source, members in case.bodies.items():
                    body = _bytes({**PLAIN[source], **members}, source, "kiro")
                    roles = [turn.role for turn in reading.read(body).turns] if body else ["user"]
                    wanted = ["user", "assistant"] * len(roles)
                    self.assertEqual(roles, wanted[: len(roles)], case.name)
                    self.assertEqual(roles[-1], "user", case.name)


class RefusalTests(SynchronousTestCase):
    """What no target gets."""

    def test_deep_schemas(self) -> None:
        """A schema a thousand levels deep is the client's fault for every target."""
        for levels in (70, 1000, 100_000):
            text = '{"type":"object","properties":' + '{"a":' * levels + "{}" + "}" * (levels + 1)
            request = decoded("chat", {**PLAIN["chat"], "tools": [function("chat", "f")]})
            tool = ir.Tool("f", schema=ir.JSON(text.encode()))
            answer = ir.OutputFormat("json_schema", ir.JSON(text.encode()))
            for asked in (
                ir.replace(request, tools=(tool,)),
                ir.replace(request, output_format=answer),
            ):
                for target in OUTBOUND.keys() - {"chat"}:
                    error = self.assertRaises(BadRequest, sent, asked, target)
                    self.assertIn("nested too deeply", error.reply.message, (levels, target))

    def test_bodies_of_the_wrong_shape(self) -> None:
        """Each dialect's reader says what is wrong, and nothing else happens."""
        wrong: Mapping[str, Sequence[Any]] = {
            "anthropic": ({"messages": 3}, {"messages": [{"role": "user", "content": 3}]},
                          {"messages": []}, {"temperature": "hot"}),
            "chat": ({"messages": {}}, {"messages": [{"role": "user", "content": 3}]},
                     {"messages": []}, {"tools": 3}),
            "responses": ({"input": 3}, {"input": [{"role": "user", "content": 3}]},
                          {"input": [3]}, {"tools": {}}),
            "gemini": ({"contents": 3}, {"contents": [{"parts": 3}]},
                       {"contents": [{"parts": [{"text": 3}]}]}, {"generationConfig": 3}),
        }  # fmt: skip
        for source, bodies in wrong.items():
            for members in bodies:
                with self.assertRaises(BadRequest, msg=(source, members)):
                    decoded(source, {**PLAIN[source], **members})
        with self.assertRaises(BadRequest):
            INBOUND["chat"].decode_request(
                b'{"model":"m","messages":[{"role":"user","content":"x"}],"temperature":1e400}', ""
            )


class NameTests(SynchronousTestCase):
    """Names and sessions, the same from turn to turn."""

    def test_long_names(self) -> None:
        """Names alike but at their beginning differ when shortened; a call has its tool's name."""
        long = "mcp__" + "a_very_long_server_name_" * 4 + "search"
        request = decoded(
            "anthropic",
            {
                **PLAIN["anthropic"],
                "tools": [function("anthropic", "x" + long), function("anthropic", long)],
                "messages": [
                    {"role": "user", "content": "hi"},
                    {"role": "assistant", "content": [
                        {"type": "tool_use", "id": "a", "name": long, "input": {}}]},
                ],
            },
        )  # fmt: skip
        body = sent(request, "chat").body
        names = [tool["function"]["name"] for tool in body["tools"]]
        self.assertEqual(len(set(names)), 2)
        self.assertEqual(max(map(len, names)), 64)
        self.assertEqual(at(body, "messages.1.tool_calls.0.function.name"), names[1])

    def test_sessions(self) -> None:
        """Claude Code's session is the key for OpenAI's cache, the same in each turn."""
        session = "0123abcd-0123-4567-89ab-0123456789ab"
        turns: list[Any] = [{"role": "user", "content": "a"}]
        keys = set()
        for _ in range(3):
            members = {"messages": turns, "metadata": {"user_id": f"user_x_session_{session}"}}
            request = decoded("anthropic", {**PLAIN["anthropic"], **members})
            keys.add(sent(request, "responses").body["prompt_cache_key"])
            turns = [*turns, {"role": "assistant", "content": "b"}, turns[0]]
        self.assertEqual(keys, {session})


def _bytes(body: Any, source: str, target: str) -> bytes:
    """The body for an upstream, empty when it is refused."""
    try:
        request = ir.replace(decoded(source, body), model=MODELS[target])
        return relay.encode_for(OUTBOUND[target], request).body
    except BadRequest:
        return b""
