"""Kiro's streams as clients get them, those of the corpus, and spoilt ones."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from aiproxy import ir
from aiproxy.errors import UpstreamProtocolError
from aiproxy.framing import eventstream
from aiproxy.framing.eventstream import EventStreamDecoder, Message
from aiproxy.wire import INBOUND, kiro, relay
from tests import corpus, strategies
from tests.damage import mutations
from tests.fakes import slices
from tests.wire import comparing, exchanges, grammars, views
from tests.wire.kiro.samples import event, events, text, thought, use, vectors
from tests.wire_corpus import complaint

ORIGIN = relay.Origin("x", "call_1", 1_700_000_000)


def way(client: str, messages: Sequence[Message], **asked: Any) -> tuple[relay.Relay, bytes]:
    """An answer's relay, and the client's stream, which keeps its dialect's grammar."""
    request = ir.Request(client, "x", True, (), include_usage=True, **asked)
    relayed = relay.connect(kiro, INBOUND[client], lambda: request, "", ORIGIN)
    data = relayed.feed(messages) + relayed.close()
    grammars.check(client, data)
    return relayed, data


def relayed(client: str, messages: Sequence[Message], **asked: Any) -> bytes:
    """The client's stream."""
    return way(client, messages, **asked)[1]


class RelayTests(SynchronousTestCase):
    """What clients of other wires get."""

    def test_anthropic(self) -> None:
        """A thought with its signature, text, and two interleaved calls one after the other."""
        data = relayed(
            "anthropic",
            [
                *vectors("E11", "E12"),
                text("a"),
                use("a", '{"n":'),
                use("b", '{"m":2}'),
                use("a", "1}", stop=True),
                *vectors("E13"),
            ],
        )
        seen = [json.loads(line[6:]) for line in data.decode().splitlines() if line[:5] == "data:"]
        kinds = [
            (one["index"], one.get("delta", one.get("content_block"))["type"])
            for one in seen
            if "index" in one and one["type"] != "content_block_stop"
        ]
        self.assertEqual(
            kinds,
            [
                (0, "thinking"),
                (0, "thinking_delta"),
                (0, "signature_delta"),
                (1, "text"),
                (1, "text_delta"),
                (2, "tool_use"),
                (2, "input_json_delta"),
                (2, "input_json_delta"),
                (3, "tool_use"),
                (3, "input_json_delta"),
            ],
        )
        self.assertIn(b"aip1.kiro.c2ln", data)
        start, end = seen[0]["message"], seen[-2]
        self.assertEqual((start["model"], start["id"]), ("x", "msg_call_1"))
        self.assertEqual(end["delta"]["stop_reason"], "tool_use")
        self.assertEqual(end["usage"]["cache_read_input_tokens"], 100)

    def test_chat(self) -> None:
        """Usage is summed; an exception after text is an error, and no [DONE] follows."""
        data = relayed("chat", [text("a"), *vectors("E13")])
        self.assertIn(b'"prompt_tokens":110', data)
        self.assertIn(b'"cached_tokens":100', data)
        broken = relayed("chat", [text("a"), *vectors("E16")])
        self.assertIn(b'"error"', broken)
        self.assertNotIn(b"[DONE]", broken)

    def test_stop_sequences(self) -> None:
        """The service knows none, so the answer is cut at the first."""
        data = relayed("anthropic", [text("abE"), text("NDcd")], stop=("END",))
        self.assertIn(b'"text":"ab"', data)
        self.assertNotIn(b"cd", data)
        self.assertIn(b'"stop_sequence":"END"', data)


class CorpusTests(SynchronousTestCase):
    def test_streams(self) -> None:
        """Streams of the corpus say what their digests say, however they are cut."""
        for case in corpus.cases("aws-eventstream", "kiro"):
            if case.stream is None:
                continue
            digest = case.digest
            whole = _folded([case.stream])
            self.assertEqual(_folded(slices(case.stream, 7)), whole, case.id)
            if digest is None:
                self.assertNotIsInstance(whole, ir.Response)
                continue
            assert isinstance(whole, ir.Response), case.id
            said = [part.text for part in whole.parts if isinstance(part, ir.Text)]
            thoughts = [part.text for part in whole.parts if isinstance(part, ir.Reasoning)]
            calls = [
                {"name": part.name, "arguments": json.loads(part.arguments)}
                for part in whole.parts
                if isinstance(part, ir.ToolCall)
            ]
            self.assertEqual("".join(said), digest["text"], case.id)
            self.assertEqual("".join(thoughts), digest["thinking"], case.id)
            self.assertEqual(calls, digest["tool_calls"], case.id)
            is_cut = "stop-max_tokens" in case.features
            stop = "max_tokens" if is_cut else "tool_use" if calls else "end"
            self.assertEqual(whole.stop, stop, case.id)
            self.assertEqual(whole.usage is not None, "kiro-tokens" in case.features, case.id)
            if "signature" in case.features:
                proofs = [p.proof for p in whole.parts if isinstance(p, ir.Reasoning)]
                self.assertEqual([p.family for p in proofs if p is not None], ["kiro"])

    def test_clients(self) -> None:
        """Every client has what the decoder found, minus what was declared as lost; arrays, too."""
        checked = 0
        for case in corpus.cases("aws-eventstream", "kiro"):
            if case.stream is None or case.digest is None:
                continue
            messages = EventStreamDecoder().feed(case.stream)
            said = _folded([case.stream])
            assert isinstance(said, ir.Response)
            said = ir.replace(
                said, id=said.id or ORIGIN.id, model=ORIGIN.model, created=ORIGIN.now, extras=None
            )
            for client in INBOUND:
                through, data = way(client, messages)
                seen = exchanges.read_stream(client, data)
                assert isinstance(seen, ir.Response)
                wanted = views.seen_by(client, said, through.losses())
                self.assertEqual(
                    comparing.comparable(client, seen),
                    comparing.comparable(client, wanted),
                    f"{client}: {case.id}",
                )
                checked += 1
            relayed("gemini", messages, array=True)
        self.assertGreater(checked, 50)


def _folded(pieces: Iterable[bytes]) -> ir.Reply | str:
    """A stream's answer, or the fault that ended it."""
    frames, decoder = EventStreamDecoder(), kiro.StreamDecoder()
    found: list[ir.Event] = []
    try:
        for piece in pieces:
            for message in frames.feed(piece):
                found += decoder.feed(message)
        frames.close()
        return ir.fold([*found, *decoder.close()])
    except UpstreamProtocolError as error:
        return str(error)


class TotalityTests(SynchronousTestCase):
    @given(st.data())
    def test_damage(self, data: st.DataObject) -> None:
        """Lost, doubled, swapped and spoilt messages give good events or the documented error."""
        sound = [
            *vectors("E11", "E12", "E5", "E7", "E8", "E9", "E10", "E13", "E16", "E17", "E18"),
            use("b", {"x": 1}),
            text("z"),
        ]
        messages = data.draw(st.lists(st.sampled_from(sound), max_size=8))
        for at, message in enumerate(messages):
            match data.draw(st.integers(0, 4)):
                case 0 if message.payload:
                    spoilt = data.draw(mutations(json.loads(message.payload)))
                    messages[at] = message._replace(payload=spoilt)
                case 1:
                    messages[at] = message._replace(payload=data.draw(st.binary(max_size=12)))
                case 2:
                    messages[at] = message._replace(headers={":event-type": "toolUseEvent"})
        decoder = kiro.StreamDecoder()
        found: list[ir.Event] = []
        try:
            for message in messages:
                found += decoder.feed(message)
            found += decoder.close()
        except UpstreamProtocolError:
            pass
        else:
            ir.fold(found)
        self.assertIsNone(complaint(found))

    @settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.data(), strategies.responses("kiro"))
    def test_any_answer(self, data: st.DataObject, response: ir.Response) -> None:
        """Whatever the service says in whatever pieces is read as that."""
        end = event("metadataEvent", {"stopReason": "END_TURN"})
        messages = [one for part in response.parts for one in _pieces(data, part)]
        reply = ir.fold(events([*messages, end]))
        assert isinstance(reply, ir.Response)
        self.assertEqual(reply.parts, _run_together(response.parts))
        calls = any(isinstance(part, ir.ToolCall) for part in response.parts)
        self.assertEqual(reply.stop, "tool_use" if calls else "end")

    @given(st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=6), st.integers(1, 40))
    def test_chunking(self, pieces: list[str], size: int) -> None:
        """However a stream is cut, its text is the sum of its deltas."""
        stream = b"".join(eventstream.encode(*text(piece)) for piece in pieces)
        reply = _folded(slices(stream, size))
        assert isinstance(reply, ir.Response)
        self.assertEqual(reply.parts, (ir.Text("".join(pieces)),))


def _pieces(data: st.DataObject, part: ir.Part) -> Iterator[Message]:
    """The events that tell one part."""
    cuts = data.draw(strategies.cuts())
    match part:
        case ir.Text():
            yield from map(text, strategies.split(part.text, cuts))
        case ir.Reasoning():
            yield from (thought(text=piece) for piece in strategies.split(part.text, cuts))
            if part.proof is not None:
                yield thought(signature=part.proof.data)
        case ir.ToolCall():
            yield use(part.id, name=part.name)
            for piece in strategies.split(part.arguments, cuts):
                yield use(part.id, piece, name=part.name)
            yield use(part.id, name=part.name, stop=True)


def _run_together(parts: Sequence[ir.Part]) -> tuple[ir.Part, ...]:
    """Texts that follow one another are one."""
    out: list[ir.Part] = []
    for part in parts:
        last = out[-1] if out else None
        if isinstance(part, ir.Text) and isinstance(last, ir.Text):
            out[-1] = ir.Text(last.text + part.text)
        else:
            out.append(part)
    return tuple(out)
