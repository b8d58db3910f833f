"""One upstream's answer on its way to one client."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from aiproxy import ir
from aiproxy.errors import BadRequest, ErrorReply, UpstreamProtocolError
from aiproxy.framing import sse
from aiproxy.wire import INBOUND, OUTBOUND
from aiproxy.wire.names import ToolNames
from aiproxy.wire.relay import EMPTY, Origin, Relay, connect, convert, encode_for, unfolded

ORIGIN = Origin("asked-for", "call-1", 1_700_000_000)
LONG = ir.Tool("n" * 70)
PATCH = ir.Tool("patch", kind="custom")


def request(wire: str = "responses", **changed: object) -> ir.Request:
    turns = (ir.Turn("user", (ir.Text("hi"),)),)
    return ir.Request(wire, "asked-for", True, turns, tools=(LONG, PATCH), **changed)  # type: ignore[arg-type]


def stream(wire: str, *events: ir.Event) -> list[sse.Message]:
    """What an upstream of this wire sends for these events."""
    encoder = INBOUND[wire].StreamEncoder(ir.Request(wire, "m", True, (), include_usage=True))
    return sse.SSEDecoder().feed(b"".join(encoder.encode(event) for event in events))


def said(text: str, stop: ir.StopReason = "end") -> tuple[ir.Event, ...]:
    usage = ir.Usage(input=1, output=2)
    return tuple(ir.unfold(ir.Response("id", "m", (ir.Text(text),), stop, usage=usage)))


def relay(upstream: str, client: str, **changed: object) -> Relay:
    asked = request(client, **changed)
    return connect(OUTBOUND[upstream], INBOUND[client], lambda: asked, "/", ORIGIN)


def read(wire: str, data: bytes) -> ir.Reply:
    """What a client of this wire makes of these bytes."""
    decoder = OUTBOUND[wire].StreamDecoder()
    events = [seen for message in sse.SSEDecoder().feed(data) for seen in decoder.feed(message)]
    return ir.fold([*events, *decoder.close()])


class PassthroughTests(SynchronousTestCase):
    def test_bytes_as_they_are(self) -> None:
        """Odd spelling and unknown events go on; usage and the end are noticed."""
        messages = stream("anthropic", *said("hello"))
        odd = sse.SSEDecoder().feed(
            b'event: new_kind\r\ndata:  {"type":"new_kind", "x": 1.0}\r\n\r\n'
        )
        messages[1:1] = odd
        way = relay("anthropic", "anthropic")
        out = way.feed(messages) + way.close()
        self.assertEqual(out, b"".join(message.raw for message in messages))
        self.assertTrue(way.finished)
        self.assertEqual(way.usage, ir.Usage(input=1, output=2))

    def test_a_request_that_we_cannot_read_is_no_obstacle(self) -> None:
        """What passes as it is is decoded by nobody, until an error must be said."""

        def unreadable() -> ir.Request:
            raise BadRequest("not ours to judge")

        way = connect(OUTBOUND["chat"], INBOUND["chat"], unreadable, "/", ORIGIN)
        self.assertTrue(way.feed(stream("chat", *said("hello"))))
        self.assertEqual(way.broken(ErrorReply(502, "upstream", "x")), b"")


class TranslationTests(SynchronousTestCase):
    def test_content_is_told_from_prologue(self) -> None:
        """The beginning of an answer is not yet an answer."""
        way = relay("anthropic", "chat")
        messages = stream("anthropic", *said("hello"))
        way.feed(messages[:2])
        self.assertFalse(way.has_content)
        way.feed(messages[2:3])
        self.assertTrue(way.has_content)
        self.assertFalse(way.finished)

    def test_a_cut_stream_is_an_error(self) -> None:
        """Never a clean end, for either kind of relay."""
        for client in ("anthropic", "chat"):
            way = relay("anthropic", client)
            way.feed(stream("anthropic", *said("hello"))[:3])
            self.assertRaises(UpstreamProtocolError, way.close)
            self.assertIn(b"gone", way.broken(ErrorReply(502, "upstream", "gone")))

    def test_what_comes_before_a_fault(self) -> None:
        """However messages are cut into reads, the client gets all before the one that is bad."""
        [bad] = sse.SSEDecoder().feed(b'data: {"type":"content_block_delta","index":"x"}\n\n')
        for client in ("anthropic", "chat"):
            messages = [*stream("anthropic", *said("hello"))[:3], bad]
            apart = relay("anthropic", client)
            expected = b"".join(apart.feed([message]) for message in messages[:-1])
            self.assertIn(b"hello", expected)
            self.assertRaises(UpstreamProtocolError, apart.feed, [bad])
            together = relay("anthropic", client)
            self.assertEqual(together.feed(messages), expected)
            self.assertRaises(UpstreamProtocolError, together.feed, ())
            self.assertRaises(UpstreamProtocolError, together.close)

    def test_nothing_said_and_nothing_counted(self) -> None:
        """An empty answer is a fault; one that was refused or counted is an answer."""
        nothing = (ir.Started("id", "m"), ir.Finished("end"))
        for wire in ("anthropic", "chat"):
            way = relay(wire, "gemini")
            way.feed(stream(wire, *nothing))
            way.close()
            self.assertEqual(way.error, EMPTY)
        way = relay("chat", "gemini")
        way.feed(stream("chat", ir.Started("id", "m"), ir.Finished("filtered")))
        way.close()
        self.assertIsNone(way.error)
        self.assertTrue(way.has_content)

    def test_the_client_sees_its_own_names(self) -> None:
        """Model, tool names and custom tools as it wrote them, streamed, whole and unfolded."""
        name = ToolNames((LONG, PATCH), OUTBOUND["anthropic"].TOOL_NAMES).sent(LONG.name)
        calls = (
            ir.ToolCall("a", name, "{}"),
            ir.ToolCall("b", "patch", json.dumps({"input": "*** é"})),
        )
        answer = ir.Response("id", "mapped", calls, "tool_use", usage=ir.Usage(1, 0, 0, 2))
        way = relay("anthropic", "responses")
        streamed = way.feed(stream("anthropic", *ir.unfold(answer))) + way.close()
        upstream, client = OUTBOUND["anthropic"], INBOUND["responses"]
        body = INBOUND["anthropic"].encode_reply(answer, None).body
        encoded, _ = convert(upstream, client, request, ORIGIN, 200, body)
        flowing = unfolded(upstream, client, request(), ORIGIN, answer).body
        for reply in (
            read("responses", streamed),
            OUTBOUND["responses"].decode_reply(200, encoded.body),
            read("responses", flowing),
        ):
            assert isinstance(reply, ir.Response)
            self.assertEqual(reply.model, "asked-for")
            self.assertEqual(
                [(part.name, part.kind, part.arguments) for part in reply.parts
                 if isinstance(part, ir.ToolCall)],
                [(LONG.name, "function", "{}"), ("patch", "custom", "*** é")],
            )  # fmt: skip

    def test_stop_sequences_that_the_upstream_cannot_take(self) -> None:
        """The answer ends where the client asked; elsewhere the upstream's own end counts."""
        way = relay("responses", "anthropic", stop=("END",))
        reply = read("anthropic", way.feed(stream("responses", *said("ab END cd"))) + way.close())
        assert isinstance(reply, ir.Response)
        self.assertEqual(reply.parts, (ir.Text("ab "),))
        self.assertEqual((reply.stop, reply.stop_sequence), ("stop_sequence", "END"))
        way = relay("chat", "anthropic", stop=("END",))
        reply = read("anthropic", way.feed(stream("chat", *said("ab END cd"))) + way.close())
        assert isinstance(reply, ir.Response)
        self.assertEqual(reply.parts, (ir.Text("ab END cd"),))


class RefusalTests(SynchronousTestCase):
    def test_conversations_kept_elsewhere(self) -> None:
        """A wrong context is worse than an error; at home it is the vendor's business."""
        state = ir.Extras("responses", (("previous_response_id", ir.JSON(b'"resp_1"')),))
        asked = request(extras=state)
        error = self.assertRaises(BadRequest, encode_for, OUTBOUND["chat"], asked)
        self.assertEqual(error.reply.param, "previous_response_id")
        self.assertIn(b"resp_1", encode_for(OUTBOUND["responses"], asked).body)
        reference = ir.Opaque("responses", "item_reference", ir.JSON(b'{"id":"x"}'))
        asked = ir.Request("responses", "m", True, (ir.Turn("user", (reference,)),))
        self.assertRaises(BadRequest, encode_for, OUTBOUND["gemini"], asked)

    def test_a_flag_that_is_off_asks_for_nothing(self) -> None:
        """`background: false` is what every upstream does."""
        off = ir.Extras("responses", (("background", ir.JSON(b"false")),))
        self.assertTrue(encode_for(OUTBOUND["chat"], request(extras=off)).body)
