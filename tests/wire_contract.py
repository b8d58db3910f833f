"""
The contract of every wire that clients and upstreams speak.

A codec's test inherits `WireContract` (and with it the corpus's tests) next to trial's TestCase:

    class ChatContractTests(WireContract, SynchronousTestCase):
        wire = chat
        corpus_format = "openai-chat"
        def normalised(self, response): ...

and says in the hooks what its wire cannot carry. Everything else must survive.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import get_args

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from aiproxy import ir
from aiproxy.errors import (
    BadRequest,
    ErrorKind,
    ErrorReply,
    Native,
    UpstreamProtocolError,
)
from aiproxy.framing import sse
from aiproxy.wire import errortext
from tests import corpus, strategies
from tests.damage import damaged, mutations
from tests.wire import grammars
from tests.wire.views import each_answer
from tests.wire_corpus import CorpusContract, complaint

_modest = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


_MOST_MESSAGES = 60
"""Of a recording that is to be spoilt: where a fault is in a longer one makes no difference."""


class WireContract(CorpusContract):
    """
    error_kinds: kinds that this wire cannot tell from another, and what they are read as.
    stream_error_kinds: the same for those that only a stream, which has no status, cannot tell.
    error_statuses: kinds whose status in this dialect is not `errortext.standard_status`.
    has_logprobs: whether an answer can tell how likely its tokens were.
    gives_several: whether there can be several answers to one request.
    """

    has_logprobs = True
    gives_several = False

    error_kinds: Mapping[ErrorKind, ErrorKind] = {}
    stream_error_kinds: Mapping[ErrorKind, ErrorKind] = {}
    error_statuses: Mapping[ErrorKind, int] = {}

    # ── what a wire says of itself ──

    def normalised(self, response: ir.Response) -> ir.Response:
        """What is left of a plain answer (see `strategies.responses`) on this wire."""
        raise NotImplementedError

    def path(self, request: ir.Request) -> str:
        """Where a client posts `request`."""
        return str(self.wire.ROUTES[0])

    def asked(self, response: ir.Response) -> ir.Request:
        """The request that `response` answers."""
        answers = [response.parts, *(answer.parts for answer in response.others)]
        names = {part.name for parts in answers for part in parts if isinstance(part, ir.ToolCall)}
        numbers = [answer.number for answer in response.others]
        return ir.Request(
            wire=self.wire.NAME,
            model=response.model,
            stream=True,
            turns=(ir.Turn("user", (ir.Text("hello"),)),),
            tools=tuple(ir.Tool(name) for name in sorted(names)),
            sampling=ir.Sampling(candidates=1 + max(numbers, default=0)),
            include_usage=True,
        )

    # ── shared steps ──

    def answers(self) -> st.SearchStrategy[ir.Response]:
        """What this wire can carry whole."""
        family = self.wire.FAMILY
        return strategies.several(family) if self.gives_several else strategies.responses(family)

    def left(self, response: ir.Response) -> ir.Response:
        """What is left of such answers, each by itself."""
        return each_answer(response, self.normalised)

    def encoded(self, events: Sequence[ir.Event], request: ir.Request) -> bytes:
        encoder = self.wire.StreamEncoder(request)
        return b"".join(encoder.encode(event) for event in events)

    def decoded_until_error(self, messages: Sequence[sse.Message]) -> tuple[list[ir.Event], bool]:
        """The events of these messages, and whether UpstreamProtocolError ended them."""
        decoder = self.wire.StreamDecoder()
        events: list[ir.Event] = []
        try:
            for message in messages:
                events += decoder.feed(message)
            events += decoder.close()
        except UpstreamProtocolError:
            return events, True
        return events, False

    # ── answers ──

    def test_streams_round_trip(self) -> None:
        """What an encoder writes, cut anywhere, its decoder reads as the same answer."""

        @_modest
        @given(st.data(), self.answers(), strategies.cuts())
        def check(data: st.DataObject, response: ir.Response, cuts: list[int]) -> None:
            events = data.draw(strategies.event_streams(response))
            self.assertEqual(ir.fold(events), response)
            stream = self.encoded(events, self.asked(response))
            again = self.decoded(strategies.split(stream, cuts))
            self.assertIsNone(complaint(again))
            self.assertEqual(ir.fold(again), self.left(response))

        check()

    def test_deltas_without_text(self) -> None:
        """They change no byte of a stream: no delta depends on what kind came before it."""

        @_modest
        @given(st.data(), strategies.any_responses())
        def check(data: st.DataObject, response: ir.Response) -> None:
            events = data.draw(strategies.event_streams(response))
            request = self.asked(response)
            apart = [event for each in events for event in _set_apart(each)]
            self.assertEqual(self.encoded(apart, request), self.encoded(events, request))

        check()

    def test_replies_round_trip(self) -> None:
        """A whole answer is read as it was written, and equals its stream."""

        @_modest
        @given(self.answers())
        def check(response: ir.Response) -> None:
            request = self.asked(response)
            encoded = self.wire.encode_reply(response, request)
            self.assertEqual(encoded.status, 200)
            whole = self.wire.decode_reply(encoded.status, encoded.body)
            self.assertEqual(whole, self.left(response))
            stream = self.encoded(tuple(ir.unfold(response)), request)
            self.assertEqual(ir.fold(self.decoded([stream])), whole)

        check()

    def test_any_answer_is_encoded(self) -> None:
        """Whatever the hub can hold is written as a stream and as a whole that can be read."""

        @_modest
        @given(st.data(), strategies.any_responses())
        def check(data: st.DataObject, response: ir.Response) -> None:
            events = data.draw(strategies.event_streams(response))
            request = ir.replace(self.asked(response), include_usage=data.draw(st.booleans()))
            again = self.decoded([self.encoded(events, request)])
            self.assertIsNone(complaint(again))
            streamed = ir.fold(again)
            encoded = self.wire.encode_reply(response, request)
            whole = self.wire.decode_reply(encoded.status, encoded.body)
            assert isinstance(streamed, ir.Response)
            assert isinstance(whole, ir.Response)
            self.assertEqual(streamed.stop, whole.stop)
            wanted = _calls(response if self.gives_several else ir.replace(response, others=()))
            for reply in (streamed, whole):
                self.assertEqual(_calls(reply), wanted)
            is_lost = ir.Loss("candidates") in encoded.losses
            self.assertEqual(is_lost, bool(response.others) and not self.gives_several)

        check()

    def test_grammar(self) -> None:
        """Whatever is said, and wherever it breaks off, the stream keeps the dialect's grammar."""

        @_modest
        @given(st.data(), strategies.any_responses(), st.booleans())
        def check(data: st.DataObject, response: ir.Response, array: bool) -> None:
            events = data.draw(strategies.event_streams(each_answer(response, self._public)))
            where = data.draw(st.integers(1, len(events)))
            if where < len(events):
                error = ErrorReply(502, "upstream", "it broke")
                events = (*events[:where], ir.Broken(error))
            request = ir.replace(self.asked(response), array=array, include_usage=not array)
            grammars.check(self.wire.NAME, self.encoded(events, request))

        check()

    def _public(self, response: ir.Response) -> ir.Response:
        """Without what only the vendor has, and may have any form."""
        said = (
            part
            for part in response.parts
            if not (isinstance(part, ir.Opaque) and part.wire == self.wire.NAME)
        )
        return ir.replace(response, parts=tuple(said))

    def test_log_probabilities(self) -> None:
        """Those of a text come back, streamed and whole, or are reported as lost."""

        @_modest
        @given(st.data(), strategies.texts(min_size=1), strategies.logprobs())
        def check(data: st.DataObject, text: str, likely: tuple[ir.Logprob, ...]) -> None:
            said = ir.Text(text, logprobs=likely)
            response = ir.Response("id", "m", (said,), "end", usage=ir.Usage(1), created=1)
            request = self.asked(response)
            events = data.draw(strategies.event_streams(response))
            streamed = ir.fold(self.decoded([self.encoded(events, request)]))
            encoded = self.wire.encode_reply(response, request)
            whole = self.wire.decode_reply(encoded.status, encoded.body)
            is_lost = ir.Loss("logprobs") in encoded.losses
            self.assertEqual(is_lost, bool(likely) and not self.has_logprobs)
            wanted = likely if self.has_logprobs else ()
            for reply in (streamed, whole):
                assert isinstance(reply, ir.Response)
                self.assertEqual(reply.parts, (ir.replace(said, logprobs=wanted),))

        check()

    def test_same_bytes(self) -> None:
        """The same answer gives the same bytes each time."""

        @_modest
        @given(strategies.any_responses())
        def check(response: ir.Response) -> None:
            request, events = self.asked(response), tuple(ir.unfold(response))
            self.assertEqual(self.encoded(events, request), self.encoded(events, request))
            self.assertEqual(
                self.wire.encode_reply(response, request), self.wire.encode_reply(response, request)
            )

        check()

    # ── broken streams ──

    def test_truncated_streams(self) -> None:
        """A stream cut off at any byte is an error, unless all of the answer had come."""

        @_modest
        @given(self.answers(), st.floats(0, 1))
        def check(response: ir.Response, where: float) -> None:
            stream = self.encoded(tuple(ir.unfold(response)), self.asked(response))
            try:
                events = self.decoded([stream[: int(len(stream) * where)]])
            except UpstreamProtocolError:
                return
            self.assertIsNone(complaint(events))
            left, wanted = ir.fold(events), self.left(response)
            assert isinstance(left, ir.Response)
            self.assertEqual(ir.replace(left, usage=None), ir.replace(wanted, usage=None))

        check()

    def test_nothing_after_the_end(self) -> None:
        """Once an answer has ended, no message brings anything more."""

        @_modest
        @given(self.answers())
        def check(response: ir.Response) -> None:
            stream = self.encoded(tuple(ir.unfold(response)), self.asked(response))
            messages = sse.SSEDecoder().feed(stream)
            decoder = self.wire.StreamDecoder()
            events = [event for message in messages for event in decoder.feed(message)]
            events += decoder.close()
            for message in messages:
                self.assertEqual(list(decoder.feed(message)), [])
            self.assertIsNone(complaint(events))

        check()

    def test_damaged_streams(self) -> None:
        """Messages lost, doubled, reordered or replaced never raise anything unforeseen."""

        anything = self.answers() | strategies.any_responses()

        @settings(_modest, max_examples=150)
        @given(st.data(), anything)
        def check(data: st.DataObject, response: ir.Response) -> None:
            stream = self.encoded(tuple(ir.unfold(response)), self.asked(response))
            self._survives(damaged(data, sse.SSEDecoder().feed(stream)))

        check()

    def test_damaged_recordings(self) -> None:
        """Nor do those of real streams, which hold what our encoders never write."""
        recorded = [
            messages
            for case in corpus.cases(self.corpus_format)
            if case.stream is not None
            and 1 < len(messages := sse.SSEDecoder().feed(case.stream)) < _MOST_MESSAGES
        ]

        @settings(_modest, max_examples=150)
        @given(st.data(), st.sampled_from(recorded))
        def check(data: st.DataObject, messages: list[sse.Message]) -> None:
            self._survives(damaged(data, messages))

        check()

    def _survives(self, messages: Sequence[sse.Message]) -> None:
        """These give legal events until they end, are refused, or fold to an answer."""
        events, is_refused = self.decoded_until_error(messages)
        self.assertIsNone(complaint(events))
        if not is_refused:
            ir.fold(events)

    # ── requests ──

    def test_requests_are_stable(self) -> None:
        """A request that was encoded, decoded and encoded again is the same, byte for byte."""

        @settings(_modest, max_examples=100)
        @given(
            st.sampled_from(("anthropic", "chat", "responses", "gemini")).flatmap(
                strategies.requests
            )
        )
        def check(request: ir.Request) -> None:
            try:
                first = self.wire.encode_request(request)
            except BadRequest:
                return
            self.assertEqual(self.wire.encode_request(request), first)
            json.loads(first.body.decode())
            self.assertEqual(len(set(first.losses)), len(first.losses))
            again = self.wire.decode_request(first.body, self.path(request))
            self.assertEqual(self.wire.encode_request(again).body, first.body)
            head = self.wire.head(first.body, self.path(request))
            self.assertEqual((head.model, head.stream), (again.model, again.stream))

        check()

    def test_any_request_is_read_or_refused(self) -> None:
        """Whatever JSON a client sends, decoding gives a request or BadRequest."""

        @settings(_modest, max_examples=80)
        @given(st.data())
        def check(data: st.DataObject) -> None:
            body, path = self._strange_body(data)
            try:
                request = self.wire.decode_request(body, path)
                self.wire.encode_request(request)
            except BadRequest as error:
                self.assertTrue(error.reply.message)

        check()

    def test_any_head_is_read_or_refused(self) -> None:
        """The same for the routing view."""

        @_modest
        @given(st.data())
        def check(data: st.DataObject) -> None:
            body, path = self._strange_body(data)
            try:
                self.assertIsInstance(self.wire.head(body, path).model, str)
            except BadRequest as error:
                self.assertTrue(error.reply.message)

        check()

    def test_any_reply_is_read_or_refused(self) -> None:
        """Whatever JSON an upstream answers, decoding gives a reply or UpstreamProtocolError."""

        @settings(_modest, max_examples=80)
        @given(
            st.data(), strategies.any_responses(), st.sampled_from((200, 201, 400, 429, 500, 599))
        )
        def check(data: st.DataObject, response: ir.Response, status: int) -> None:
            whole = self.wire.encode_reply(response, self.asked(response)).body
            body = data.draw(st.binary(max_size=30) | mutations(json.loads(whole)))
            try:
                reply = self.wire.decode_reply(status, body)
            except UpstreamProtocolError:
                self.assertLess(status, 300)
            else:
                self.assertTrue(status < 300 or isinstance(reply, ErrorReply))
                self.wire.encode_reply(reply, None)

        check()

    def _strange_body(self, data: st.DataObject) -> tuple[bytes, str]:
        """Bytes that are almost a request of this wire, and the path they are posted to."""
        request = data.draw(strategies.requests("anthropic"))
        try:
            body = self.wire.encode_request(request).body
        except BadRequest:
            assume(False)
        return data.draw(st.binary(max_size=30) | mutations(json.loads(body))), self.path(request)

    # ── errors ──

    def test_errors_round_trip(self) -> None:
        """An error keeps kind, status and message, whole and inside a stream."""
        for kind in get_args(ErrorKind):
            status = self.error_statuses.get(kind, errortext.standard_status(kind))
            error = ErrorReply(errortext.standard_status(kind), kind, "it went wrong")
            encoded = self.wire.encode_reply(error, None)
            again = self.wire.decode_reply(encoded.status, encoded.body)
            assert isinstance(again, ErrorReply)
            self.assertEqual((kind, again.status), (kind, status))
            self._same_error(again, kind, self.error_kinds)
            start = ir.Started("id", "m", 1)
            asked = ir.Request(self.wire.NAME, "m", True, ())
            events = self.decoded([self.encoded((start, ir.Broken(error)), asked)])
            self.assertIsNone(complaint(events))
            last = events[-1]
            assert isinstance(last, ir.Broken)
            self._same_error(last.error, kind, {**self.error_kinds, **self.stream_error_kinds})

    def _same_error(
        self, error: ErrorReply, kind: ErrorKind, read_as: Mapping[ErrorKind, ErrorKind]
    ) -> None:
        self.assertIn("it went wrong", error.message)
        self.assertEqual((kind, error.kind), (kind, read_as.get(kind, kind)))

    def test_native_errors(self) -> None:
        """An upstream's error of the same wire reaches the client unchanged."""
        native = ErrorReply(418, "upstream", "tea", native=Native(self.wire.NAME, b'{"x": 1}'))
        encoded = self.wire.encode_reply(native, None)
        self.assertEqual((encoded.status, encoded.body), (418, b'{"x": 1}'))

    def test_strange_errors(self) -> None:
        """Error bodies of any make give a message, and no secret gets through."""
        bodies = (
            b'{"error": {"message": "no sk-secret1234567"}}',
            b'{"detail": "no sk-secret1234567"}',
            b'{"error": "no sk-secret1234567", "code": 7}',
            b'[{"error": {"message": "no sk-secret1234567", "code": 1, "status": "X"}}]',
            b"<html><title>no sk-secret1234567</title></html>",
            b"no sk-secret1234567",
            b'{"error": {"message": {"a": 1}, "type": 3, "code": []}}',
            b"\xff\xfe",
            b"",
        )
        for body in bodies:
            reply = self.wire.decode_reply(500, body)
            assert isinstance(reply, ErrorReply)
            self.assertTrue(reply.message)
            self.assertNotIn("secret", reply.message)
            self.assertEqual(reply.native, Native(self.wire.NAME, body))

    # ── the rest ──

    def test_count(self) -> None:
        """A token count is JSON with that number in it."""
        self.assertIn(b"123", self.wire.encode_count(123))
        json.loads(self.wire.encode_count(123))

    def test_heartbeat(self) -> None:
        """A heartbeat in the middle of a stream changes nothing."""
        response = ir.Response("id", "m", (ir.Text("hello"),), "end", usage=ir.Usage(1))
        asked = self.asked(response)
        encoder = self.wire.StreamEncoder(asked)
        beating = [encoder.encode(event) + self.wire.HEARTBEAT for event in ir.unfold(response)]
        self.assertEqual(ir.fold(self.decoded(beating)), self.left(response))


def _calls(response: ir.Response) -> list[int]:
    """How many there are in each answer."""
    answers = [response.parts, *(answer.parts for answer in response.others)]
    return [sum(isinstance(part, ir.ToolCall) for part in parts) for parts in answers]


def _set_apart(event: ir.Event) -> tuple[ir.Event, ...]:
    """`event` behind one of its kind and block without text, if it is a delta."""
    match event:
        case ir.TextDelta() | ir.RefusalDelta() | ir.ReasoningDelta() | ir.ArgumentsDelta():
            return ir.replace(event, text=""), event
        case _:
            return (event,)
