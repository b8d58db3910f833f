"""Random and damaged requests from every wire to every other, and back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from aiproxy import ir
from aiproxy.errors import BadRequest
from aiproxy.wire import OUTBOUND, relay
from aiproxy.wire.contract import Encoded
from tests import strategies
from tests.damage import mutations
from tests.wire import asked, cases_conversation, cases_options, cases_tools, exchanges
from tests.wire.exchanges import WIRES
from tests.wire.loss_probes import PLAIN

_modest = settings(
    max_examples=150,
    deadline=None,
    # Large requests shrink for minutes.
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

HELLO = ir.Turn("user", (ir.Text("hello"),))

NATIVE: tuple[tuple[str, Any], ...] = (
    ("anthropic", {"tools": [{"type": "bash_20250124", "name": "bash"},
                             {"type": "web_search_20250305", "name": "web_search"}]}),
    ("responses", {"tools": [{"type": "local_shell"}, {"type": "web_search"}], "input": [
        {"type": "local_shell_call", "call_id": "c", "action": {"type": "exec", "command": ["a"]}},
        {"type": "local_shell_call_output", "id": "c", "output": "x"},
        {"type": "computer_call", "call_id": "d", "action": {"type": "screenshot"}},
        {"type": "computer_call_output", "call_id": "d", "output": {"image_url": "data:,x"}},
    ]}),
)  # fmt: skip


def bodies() -> list[tuple[str, Any]]:
    """(wire, body) of requests with something of everything in them."""
    found: list[tuple[str, Any]] = list(NATIVE)
    for cases in (cases_conversation.CASES, cases_tools.CASES, cases_options.CASES):
        found += (each for case in cases for each in case.bodies.items())
    return [(wire, {**PLAIN[wire], **members}) for wire, members in found]


def decoded(wire: str, body: bytes) -> ir.Request:
    """As a client of `wire` sends it. Raises: BadRequest."""
    asked_for = ir.Request(wire, "m", False, ())
    return WIRES[wire].decode_request(body, exchanges.path_of(wire, asked_for))


def elsewhere(request: ir.Request) -> Iterator[tuple[str, Encoded, ir.Request]]:
    """(wire, body, what its own decoder reads) for every other wire that serves the request."""
    for target in OUTBOUND.keys() - {request.wire}:
        try:
            encoded = relay.encode_for(OUTBOUND[target], request)
        except BadRequest:
            continue
        json.loads(encoded.body.decode())
        if target in WIRES:
            yield target, encoded, decoded(target, encoded.body)


class DamageTests(SynchronousTestCase):
    """Bodies that almost are requests."""

    def test_only_bad_requests(self) -> None:
        """Each is read and sent on to every upstream and back, or refused, and nothing else."""

        @settings(_modest, max_examples=250)
        @given(st.data(), st.sampled_from(bodies()))
        def check(data: st.DataObject, sample: tuple[str, Any]) -> None:
            wire, members = sample
            body = data.draw(mutations({"model": "m", **members}))
            try:
                request = ir.replace(decoded(wire, body), model="m")
            except BadRequest as error:
                self.assertTrue(error.reply.message)
                return
            for target, _, read in elsewhere(request):
                self.assertEqual(read.wire, target)
                for _ in elsewhere(read):
                    pass

        check()


class RandomTests(SynchronousTestCase):
    """Requests with anything in them that some client can say."""

    def test_there_and_back(self) -> None:
        """Any other wire asks for the same, and so does the way back, minus declared losses."""

        @settings(_modest, max_examples=120)
        @given(st.sampled_from(sorted(WIRES)).flatmap(strategies.requests))
        def check(made: ir.Request) -> None:
            model = "m" if made.model == "claude-3-haiku" else made.model  # Which never thinks.
            # A first turn that is lost would make instructions of the next.
            made = ir.replace(made, model=model, turns=(HELLO, *made.turns))
            try:
                body = WIRES[made.wire].encode_request(made).body
                request = ir.replace(decoded(made.wire, body), model=model)
            except BadRequest:
                return
            for target, encoded, read in elsewhere(request):
                self._same(request, read, encoded.losses, target)
                try:
                    back = relay.encode_for(WIRES[request.wire], ir.replace(read, model=model))
                except BadRequest:
                    continue
                again = decoded(request.wire, back.body)
                self._same(request, again, (*encoded.losses, *back.losses), target, read)

        check()

    def _same(
        self, one: ir.Request, other: ir.Request, losses: Any, target: str, *between: ir.Request
    ) -> None:
        rules = [(one.tools, WIRES[target].TOOL_NAMES)]
        rules += [(each.tools, WIRES[one.wire].TOOL_NAMES) for each in between]
        through_chat = "chat" in (one.wire, target)
        found = asked.differences(one, other, losses, rules, through_chat=through_chat)
        self.assertEqual(found, [], (one.wire, target))
