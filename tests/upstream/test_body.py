"""Tests of aiproxy.upstream.body, with a clock and a transport that only exist in memory."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError
from twisted.internet.error import ConnectionLost
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import ResponseDone, ResponseFailed
from twisted.web.http import PotentialDataLoss

from aiproxy.codings import encode
from aiproxy.errors import UpstreamProtocolError, UpstreamTimeout, UpstreamUnreachable
from aiproxy.framing.sse import Message
from aiproxy.upstream.body import Body, Silence, SSEBody, WholeBody
from tests.upstream.servers import timeouts

_EVENT = b"data: 1\n\n"
_MESSAGE = Message("", b"1", _EVENT)


class BodyCase(SynchronousTestCase):
    """A body under way: `aborted` counts how often it closed its connection."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.transport: Any = StringTransport()
        self.aborted = 0
        self.delivered: list[list[Message]] = []

    def abort(self) -> None:
        self.aborted += 1

    def begin(self, body: Body, content_encoding: str = "") -> None:
        """Ten seconds for the first content, five between events, twenty for a whole body."""
        body.attach(
            content_encoding,
            self.clock,
            timeouts(first_event=10, idle=5, whole_answer=20),
            self.abort,
        )
        body.makeConnection(self.transport)
        body.delivering()

    def streaming(self) -> SSEBody:
        """A stream that has begun."""
        body = SSEBody(self.delivered.append)
        self.begin(body)
        return body


class StreamTests(BodyCase):
    """Event streams."""

    def test_delivery(self) -> None:
        """Each read that completes messages delivers them as one list."""
        body = self.streaming()
        for data in (_EVENT + _EVENT + b"da", b"ta: 1", b"\n\n"):
            body.dataReceived(data)
        self.assertEqual(self.delivered, [[_MESSAGE, _MESSAGE], [_MESSAGE]])
        body.connectionLost(Failure(ResponseDone()))
        self.assertIsNone(self.successResultOf(body.done))
        self.assertEqual(self.aborted, 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_end_without_length(self) -> None:
        """A body that only the end of the connection ends has ended well."""
        body = self.streaming()
        body.connectionLost(Failure(PotentialDataLoss()))
        self.assertIsNone(self.successResultOf(body.done))

    def test_connection_lost(self) -> None:
        """A broken connection is told in our words."""
        body = self.streaming()
        body.connectionLost(Failure(ResponseFailed([Failure(ConnectionLost())])))
        error = self.failureResultOf(body.done, UpstreamUnreachable).value
        self.assertEqual(str(error), "connection lost in mid-answer")

    def test_nothing_after_cancel(self) -> None:
        """After cancelling, reads and the end of the connection are ignored."""
        body = self.streaming()
        body.done.cancel()
        body.dataReceived(_EVENT)
        body.connectionLost(Failure(ConnectionLost()))
        self.failureResultOf(body.done, CancelledError)
        self.assertEqual((self.delivered, self.aborted), ([], 1))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def cancel(self, messages: list[Message]) -> None:
        """A receiver that has had enough."""
        self.receiving.done.cancel()

    def test_cancel_within_delivery(self) -> None:
        """The receiver may cancel while it is being called, also by the last message."""
        for end in (False, True):
            body = SSEBody(self.cancel)
            self.receiving = body
            self.begin(body)
            body.dataReceived(b"data: [DONE]" if end else _EVENT)
            body.connectionLost(Failure(ResponseDone()))
            self.failureResultOf(body.done, CancelledError)

    def test_cancel_before_the_start(self) -> None:
        """A body cancelled before it gets its response closes the connection when it does."""
        body = SSEBody(self.delivered.append)
        body.done.cancel()
        self.failureResultOf(body.done, CancelledError)
        self.begin(body)
        body.dataReceived(_EVENT)
        self.assertEqual((self.delivered, self.aborted), ([], 1))

    def test_unknown_coding(self) -> None:
        """A content coding that we do not know fails the body at once."""
        body = SSEBody(self.delivered.append)
        self.begin(body, "snappy")
        self.failureResultOf(body.done, UpstreamProtocolError)
        self.assertEqual(self.aborted, 2)

    def test_broken_coding(self) -> None:
        """Bytes that are not in their coding fail the body, as does a missing end."""
        for data in (_EVENT, encode(_EVENT, "gzip")[:-1]):
            body = SSEBody(self.delivered.append)
            self.begin(body, "gzip")
            body.dataReceived(data)
            body.connectionLost(Failure(ResponseDone()))
            self.failureResultOf(body.done, UpstreamProtocolError)
        self.assertEqual(self.delivered, [[_MESSAGE]])

    def test_pause_before_the_start(self) -> None:
        """A body paused before it gets its response does not read."""
        body = SSEBody(self.delivered.append)
        body.pauseProducing()
        self.begin(body)
        self.assertEqual(self.transport.producerState, "paused")
        self.clock.advance(100)
        self.assertNoResult(body.done)
        body.resumeProducing()
        self.assertEqual(self.transport.producerState, "producing")

    def test_stop_producing(self) -> None:
        """A consumer that stops cancels, even twice."""
        body = self.streaming()
        body.stopProducing()
        body.stopProducing()
        self.failureResultOf(body.done, CancelledError)
        self.assertEqual(self.aborted, 1)

    def test_first_event_clock(self) -> None:
        """Neither comments nor events without content move the first limit."""
        for sent in (b": ping\n\n", _EVENT):
            body = self.streaming()
            for _ in range(3):
                self.clock.advance(3)
                body.dataReceived(sent)
            self.assertNoResult(body.done)
            self.clock.advance(1)
            self.failureResultOf(body.done, UpstreamTimeout)
        self.assertEqual(self.aborted, 2)

    def test_idle_clock(self) -> None:
        """After content each event starts the second limit anew; comments do not."""
        body = self.streaming()
        body.dataReceived(_EVENT)
        body.progressed()
        for _ in range(4):
            self.clock.advance(4)
            body.dataReceived(_EVENT)
        for _ in range(4):
            self.clock.advance(1)
            body.dataReceived(b": ping\n\n")
        self.assertNoResult(body.done)
        self.clock.advance(1)
        self.failureResultOf(body.done, UpstreamTimeout)

    def test_signs_of_life(self) -> None:
        """Pings keep a stream alive for as long as a whole answer may take, content for longer."""
        body = self.streaming()
        for advance, is_content in ((0, True), *[(4, False)] * 4, (4, True), *[(4, False)] * 5):
            self.clock.advance(advance)
            body.dataReceived(_EVENT)
            if is_content:
                body.progressed()
        self.assertNoResult(body.done)
        # From now on, 20 seconds after the last content, pings do not help any more.
        self.clock.advance(4)
        body.dataReceived(_EVENT)
        self.clock.advance(1)
        self.failureResultOf(body.done, UpstreamTimeout)


class WholeTests(BodyCase):
    """Whole bodies."""

    def test_limit(self) -> None:
        """The limit itself is allowed, one byte more is not."""
        for size, is_allowed in ((10, True), (11, False)):
            body = WholeBody(10)
            self.begin(body)
            body.dataReceived(b"x" * size)
            body.connectionLost(Failure(ResponseDone()))
            if is_allowed:
                self.assertEqual(self.successResultOf(body.done), b"x" * size)
            else:
                self.failureResultOf(body.done, UpstreamProtocolError)

    def test_too_slow(self) -> None:
        """A whole body has its time in all, however it comes."""
        body = WholeBody(100)
        self.begin(body)
        for _ in range(3):
            self.clock.advance(6)
            body.dataReceived(b"x")
        self.assertNoResult(body.done)
        self.clock.advance(2)
        self.failureResultOf(body.done, UpstreamTimeout)
        self.assertEqual(self.aborted, 1)


class SilenceTests(SynchronousTestCase):
    """The clock that can be paused."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.expired: list[float] = []
        self.silence = Silence(self.clock, lambda _: self.expired.append(self.clock.seconds()))
        self.silence.watch(10)

    def test_pause_does_not_count(self) -> None:
        """Time before and after a pause adds up; the pause does not."""
        self.clock.advance(6)
        self.silence.pause()
        self.clock.advance(100)
        self.silence.resume()
        self.clock.pump([1] * 20)
        self.assertEqual(self.expired, [110])

    def test_pause_over_the_end(self) -> None:
        """A limit that would have run out within a pause runs on after it."""
        self.clock.advance(9)
        self.silence.pause()
        self.clock.pump([1] * 50)
        self.assertEqual(self.expired, [])
        self.silence.resume()
        self.clock.pump([0.5] * 10)
        self.assertEqual(self.expired, [60])

    def test_heard_while_paused(self) -> None:
        """What is heard within a pause, from a buffer, counts as heard at its end."""
        self.silence.pause()
        self.clock.advance(50)
        self.silence.heard()
        self.clock.advance(50)
        self.silence.resume()
        self.clock.pump([1] * 20)
        self.assertEqual(self.expired, [110])

    def test_stop(self) -> None:
        """Nothing happens after stop, resumed or not."""
        self.silence.pause()
        self.silence.stop()
        self.silence.resume()
        self.assertEqual(self.clock.getDelayedCalls(), [])
