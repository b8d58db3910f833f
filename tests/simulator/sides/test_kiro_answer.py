"""Tests of aiproxy.simulator.sides.kiro_answer: frames and errors of the simulated Kiro."""

from __future__ import annotations

from hypothesis import given
from twisted.trial.unittest import SynchronousTestCase

from aiproxy import ir
from aiproxy.errors import ErrorKind, ErrorReply, UpstreamProtocolError
from aiproxy.framing.eventstream import EventStreamDecoder, Message
from aiproxy.simulator.behaviour import error_of, events_of
from aiproxy.simulator.sides.kiro_answer import StreamEncoder, encode_reply
from aiproxy.wire import kiro
from tests import strategies
from tests.wire.kiro.samples import request, user

ASKED = request(user("hi"))


def frames(*events: ir.Event) -> list[Message]:
    encoder, framing = StreamEncoder(ASKED), EventStreamDecoder()
    messages = [each for event in events for each in framing.feed(encoder.encode(event))]
    framing.close()
    return messages


def decoded(messages: list[Message]) -> list[ir.Event]:
    decoder = kiro.StreamDecoder()
    found = [event for message in messages for event in decoder.feed(message)]
    return [*found, *decoder.close()]


def folded(said: ir.Response) -> ir.Response:
    """A whole answer that went through frames in small pieces."""
    found = ir.fold(decoded(frames(*events_of(said))))
    assert isinstance(found, ir.Response)
    return found


class StreamTests(SynchronousTestCase):
    def test_everything(self) -> None:
        """A thought with its proof, text, two calls, and counts come out of the frames again."""
        usage = ir.Usage(input=7, cache_read=100, cache_write=3, output=9)
        said = ir.Response(
            "u-1",
            ASKED.model,
            (
                ir.Reasoning("hm, hm", ir.Proof("kiro", "c2ln")),
                ir.Text("ha ha, 漢字"),
                ir.ToolCall("t1", "f", '{"a":1}'),
                ir.ToolCall("t2", "g", "{}"),
            ),
            "tool_use",
            usage=usage,
        )
        found = folded(said)
        self.assertEqual(ir.replace(found, id="u-1", model=ASKED.model), said)

    def test_stops(self) -> None:
        """A limit is stated; an end is not, for the service does not."""
        stops: tuple[ir.StopReason, ...] = ("max_tokens", "end")
        for stop in stops:
            said = ir.Response("i", "m", (ir.Text("x"),), stop)
            self.assertEqual(folded(said).stop, stop)

    def test_exception(self) -> None:
        """An error within a stream is an exception frame."""
        (frame,) = frames(ir.Broken(error_of(529)))
        self.assertEqual(frame.text(":message-type"), "exception")
        (event,) = kiro.StreamDecoder().feed(frame)
        assert isinstance(event, ir.Broken)
        self.assertEqual((event.error.kind, event.error.status), ("overloaded", 429))

    @given(strategies.any_responses())
    def test_any_answer(self, said: ir.Response) -> None:
        """Whatever is answered, the frames are good."""
        frames(*ir.unfold(said))


class ReplyTests(SynchronousTestCase):
    def test_errors(self) -> None:
        """Errors of every kind are read as what they are."""
        kinds: tuple[tuple[int, ErrorKind], ...] = (
            (400, "invalid_request"),
            (400, "context_length"),
            (404, "not_found"),
            (402, "quota"),
            (409, "conflict"),
            (429, "rate_limit"),
            (429, "overloaded"),
            (500, "upstream"),
        )
        for status, kind in kinds:
            error = error_of(status, kind)
            said = kiro.decode_reply(status, encode_reply(error, None).body)
            assert isinstance(said, ErrorReply)
            self.assertEqual((said.kind, said.message), (kind, error.message))

    def test_whole_answer(self) -> None:
        """There is none that anybody could read."""
        said = ir.Response("i", "m", (ir.Text("x"),), "end")
        body = encode_reply(said, ASKED).body
        self.assertRaises(UpstreamProtocolError, kiro.decode_reply, 200, body)
