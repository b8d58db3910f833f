"""
Proofs of reasoning through a whole turn: upstream, client of another wire, its SDK, and back.

Every recorded answer that bears proofs is relayed to clients of every other wire; the client's SDK
reads it, and what it read is sent back in the next request (see `histories`). Encoded for the
vendor that made them, the proofs are there again, to the byte and where they belong; encoded for
any other, they are gone, and that is declared.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias

from twisted.trial.unittest import SynchronousTestCase

from aiproxy import ir
from aiproxy.errors import UpstreamProtocolError
from aiproxy.wire import relay
from aiproxy.wire.names import ToolNames
from aiproxy.wire.proofs import may_hold_tags
from tests import corpus
from tests.wire import exchanges
from tests.wire.exchanges import PAIRS, WIRES
from tests.wire.histories import next_request

MODELS: Mapping[str, str] = {
    "anthropic": "claude-opus-4-7",
    "chat": "gemini-3-pro",
    "responses": "gpt-5.2",
    "gemini": "gemini-3-pro",
}
"""Models that made the proofs. Chat's own vendor has none; Google's models give theirs there."""

SPLICED = ("ai-spliced-message-start-s-fd9f", "chat")
"""Two answers in one: Chat has all thoughts before all calls, so the second thought moves."""

Anchor: TypeAlias = tuple[str, int, str, str]
"""What a proof belongs to, how many calls stand before that, its text if a thought, the proof."""

DROPPED = frozenset({"reasoning", "reasoning-proof", "thought-signature"})


def anchors(parts: Iterable[ir.Part]) -> list[Anchor]:
    """The proofs in `parts`, and where they are."""
    found: list[Anchor] = []
    calls = 0
    for part in parts:
        if isinstance(part, ir.ToolCall):
            if part.proof is not None:
                found.append(("call", calls, "", _standard(part.proof)))
            calls += 1
        elif isinstance(part, ir.Reasoning) and part.proof is not None:
            found.append(("thought", calls, part.text, _standard(part.proof)))
        elif isinstance(part, ir.Text) and part.proof is not None:
            found.append(("text", calls, "", _standard(part.proof)))
    return found


def _standard(proof: ir.Proof) -> str:
    """Google's SDK sends Google's own proofs back in the alphabet for URLs."""
    data = proof.data
    return data.replace("-", "+").replace("_", "/") if proof.family == "gemini" else data


def answered() -> Iterator[tuple[corpus.Case, str, str, list[Anchor], ir.Request]]:
    """(case, upstream's wire, client's wire, proofs, the client's next request)."""
    for upstream, client in PAIRS:
        for kind in ("stream", "unary"):
            for case in exchanges.answers(upstream, kind):
                try:
                    got = exchanges.relayed(case, upstream, client)
                except UpstreamProtocolError:
                    continue
                if not isinstance(got.original, ir.Response):
                    continue
                proofs = anchors(got.original.parts)
                if DROPPED & {loss.feature for loss in got.losses}:
                    # Those of texts, which not every dialect has a place for.
                    proofs = [proof for proof in proofs if proof[0] != "text"]
                if proofs:
                    yield case, upstream, client, proofs, next_request(client, kind, got.data)


class ProofTests(SynchronousTestCase):
    """Recorded proofs."""

    def test_restored_for_their_vendor(self) -> None:
        """Back at the vendor, each proof is the same and with the same thought, call or text."""
        complaints: list[str] = []
        count = 0
        for case, upstream, client, proofs, request in answered():
            if (case.id, client) == SPLICED:
                continue
            count += 1
            asked = ir.replace(request, model=MODELS[upstream])
            body = relay.encode_for(WIRES[upstream], asked).body
            path = exchanges.path_of(upstream, asked)
            turns = WIRES[upstream].decode_request(body, path).turns
            said = [part for turn in turns if turn.role == "assistant" for part in turn.parts]
            if anchors(said) != proofs:
                complaints.append(f"{upstream} to {client}: {case.id}: {proofs} {anchors(said)}")
        self.assertEqual(complaints, [])
        self.assertGreater(count, 370)

    def test_kept_from_others(self) -> None:
        """At any other vendor nothing is left of them, not even a tag, and that is declared."""
        for case, upstream, client, proofs, request in answered():
            for other, wire in WIRES.items():
                if other == upstream or (upstream, other) == ("chat", "gemini"):
                    continue  # Chat's proofs are Google's own, and welcome there.
                encoded = relay.encode_for(wire, ir.replace(request, model="m"))
                place = f"{upstream} to {client} to {other}: {case.id}"
                self.assertFalse(may_hold_tags(encoded.body, other), place)
                for *_, data in proofs:
                    self.assertNotIn(data.encode(), encoded.body, place)
                self.assertTrue(DROPPED & {loss.feature for loss in encoded.losses}, place)


class ToolNameTests(SynchronousTestCase):
    """The other thing that must come back: what the client calls its tools."""

    def test_tools_in_the_clients_terms(self) -> None:
        """Names that were shortened, joined or wrapped for an upstream are the client's again."""
        tools = (
            ir.Tool("x" * 100),
            ir.Tool("a.b c"),
            ir.Tool("look", namespace="space"),
            ir.Tool("patch", kind="custom"),
        )
        request = ir.Request("responses", "m", True, (), tools=tools)
        for upstream in ("anthropic", "chat", "gemini"):
            rule = WIRES[upstream].TOOL_NAMES
            names = ToolNames(tools, rule)
            custom = ir.ToolCall("c3", names.sent("patch"), "*** Begin", "custom")
            if not rule.custom:
                wrapped = '{"input":"*** Begin"}'
                custom = ir.replace(custom, arguments=wrapped, kind="function")
            sent = [
                ir.ToolCall(f"c{at}", names.sent(tool.name, tool.namespace), '{"a":1}')
                for at, tool in enumerate(tools[:3])
            ]
            sent.append(custom)
            reply = ir.Response("id", "m", tuple(sent), "tool_use", usage=ir.Usage(1), created=7)
            asked = ir.Request(upstream, "m", True, (), include_usage=True)
            for whole in (False, True):
                if whole:
                    body = WIRES[upstream].encode_reply(reply, asked).body
                    encoded, _ = relay.convert(
                        WIRES[upstream], WIRES["responses"], lambda: request,
                        exchanges.ORIGIN, 200, body,
                    )  # fmt: skip
                    again = WIRES["responses"].decode_reply(200, encoded.body)
                else:
                    data = exchanges.encoded_stream(reply, upstream, asked)
                    way = relay.connect(
                        WIRES[upstream], WIRES["responses"], lambda: request, "", exchanges.ORIGIN
                    )
                    told = way.feed(exchanges.framed(data)) + way.close()
                    again = exchanges.read_stream("responses", told)
                assert isinstance(again, ir.Response)
                found = [
                    (part.name, part.namespace, part.kind, part.arguments)
                    for part in again.parts
                    if isinstance(part, ir.ToolCall)
                ]
                self.assertEqual(
                    found,
                    [
                        ("x" * 100, "", "function", '{"a":1}'),
                        ("a.b c", "", "function", '{"a":1}'),
                        ("look", "space", "function", '{"a":1}'),
                        ("patch", "", "custom", "*** Begin"),
                    ],
                )
