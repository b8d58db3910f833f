"""An upstream's stream for a client that wants a whole answer."""

from __future__ import annotations

from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from aiproxy import ir
from aiproxy.errors import ErrorReply, UpstreamProtocolError
from aiproxy.wire import COLLECTING, INBOUND, OUTBOUND
from aiproxy.wire.collection import Collection, collect
from aiproxy.wire.names import ToolNames
from aiproxy.wire.relay import EMPTY, convert
from tests.wire.test_relay import LONG, ORIGIN, PATCH, request, said, stream

WIRES = tuple(INBOUND)


def collection(upstream: str, client: str, **changed: object) -> Collection:
    collecting = COLLECTING.get(upstream)
    return collect(
        OUTBOUND[upstream],
        INBOUND[client],
        lambda: request(client, **changed),
        ORIGIN,
        None if collecting is None else collecting.Collector,
    )


def answers(wire: str) -> tuple[ir.Response, ...]:
    """What an upstream may say to `request`, in its own terms."""
    names = ToolNames((LONG, PATCH), OUTBOUND[wire].TOOL_NAMES)
    usage = ir.Usage(input=5, cache_read=3, output=7, reasoning=2)
    thought = ir.Reasoning("hm", ir.Proof(OUTBOUND[wire].FAMILY, "cHJvb2Y="))
    calls = (
        ir.ToolCall("call_1", names.sent(LONG.name), '{"a": 1}'),
        ir.ToolCall("call_2", names.sent(PATCH.name), '{"input": "*** patch"}'),
    )
    plain = ir.Response("id-1", "up", (ir.Text("hello"),), "end", usage=usage)
    return (
        plain,
        ir.replace(plain, stop="max_tokens"),
        ir.replace(plain, parts=(thought, ir.Text("so"), *calls), stop="tool_use"),
    )


class CollectionTests(SynchronousTestCase):
    def test_as_the_whole_answer(self) -> None:
        """A collected stream gives the client what the upstream's whole answer would have given."""
        for upstream in WIRES:
            for client in WIRES:
                if upstream == client:
                    continue
                for answer in answers(upstream):
                    way = collection(upstream, client)
                    way.feed(stream(upstream, *ir.unfold(answer)))
                    way.close()
                    whole = INBOUND[upstream].encode_reply(answer, None)
                    expected, _ = convert(
                        OUTBOUND[upstream],
                        INBOUND[client],
                        lambda client=client: request(client),  # type: ignore[misc]
                        ORIGIN,
                        200,
                        whole.body,
                    )
                    self.assertEqual(
                        self.read(client, way.answer().body),
                        self.read(client, expected.body),
                        (upstream, client),
                    )

    def test_same_wire(self) -> None:
        """So it is where both sides speak the same wire, whether or not that can collect itself."""
        for wire in WIRES:
            for answer in answers(wire):
                way = collection(wire, wire)
                way.feed(stream(wire, *ir.unfold(answer)))
                way.close()
                reply = self.read(wire, way.answer().body)
                self.assertEqual((reply.stop, reply.usage), (answer.stop, answer.usage))
                texts = [part.text for part in reply.parts if isinstance(part, ir.Text)]
                self.assertEqual(texts, [p.text for p in answer.parts if isinstance(p, ir.Text)])

    def test_nothing_before_the_end(self) -> None:
        """Until it is complete the client has nothing of it."""
        way = collection("responses", "anthropic")
        messages = stream("responses", *said("hello"))
        for message in messages[:-1]:
            self.assertEqual(way.feed([message]), b"")
            self.assertFalse(way.has_content)
            self.assertFalse(way.finished)
        way.feed(messages[-1:])
        self.assertEqual((way.has_content, way.finished), (False, True))
        self.assertEqual(way.usage, ir.Usage(input=1, output=2))

    def test_cut_short(self) -> None:
        """A stream that lacks its end is no answer, on either way."""
        for client in ("responses", "chat"):
            way = collection("responses", client)
            way.feed(stream("responses", *said("hello")[:-1]))
            self.assertRaises(UpstreamProtocolError, way.close)

    def test_errors(self) -> None:
        """An error inside the stream, and an empty answer, are errors here too."""
        started = ir.Started("id", "m", 0)
        broken = ir.Broken(ErrorReply(529, "overloaded", "busy"))
        nothing = ir.Finished("end", usage=ir.Usage())
        kinds: list[tuple[ir.Event, Callable[[ErrorReply], bool]]] = [
            (broken, lambda error: error.kind == "overloaded"),
            (nothing, lambda error: error == EMPTY),
        ]
        for client in ("responses", "chat"):
            for event, expected in kinds:
                way = collection("responses", client)
                way.feed(stream("responses", started, event))
                assert way.error is not None
                self.assertTrue(expected(way.error), way.error)

    def test_stop_sequences(self) -> None:
        """Where the upstream knows none, the answer is cut here."""
        way = collection("responses", "anthropic", stop=("lo",))
        way.feed(stream("responses", *said("hello")))
        way.close()
        reply = self.read("anthropic", way.answer().body)
        self.assertEqual((reply.parts, reply.stop), ((ir.Text("hel"),), "stop_sequence"))

    def read(self, wire: str, body: bytes) -> ir.Response:
        """What a client of this wire makes of a whole answer; what counts of it."""
        reply = OUTBOUND[wire].decode_reply(200, body)
        assert isinstance(reply, ir.Response)
        return ir.replace(reply, id="", extras=None)
