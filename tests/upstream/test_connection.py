"""One connection to an upstream, read by read."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import ResponseDone, ResponseFailed, ResponseNeverReceived
from twisted.web.http import PotentialDataLoss

from aiproxy.http1 import MAX_BYTES, Outbox
from aiproxy.upstream.connection import Answer, Connection
from tests.strategies import cuts, split

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: b \r\n\r\nok"


class _Transport(StringTransport):
    """connected: until it is aborted."""

    connected = True

    def abortConnection(self) -> None:
        self.connected = False
        super().abortConnection()


class _Body(Protocol):
    """
    What a body's receiver sees.

    reads: one entry for each delivery. end: why there will be no more.
    """

    def __init__(self) -> None:
        self.reads: list[bytes] = []
        self.end: type[BaseException] | None = None

    def dataReceived(self, data: bytes) -> None:
        self.reads.append(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.end = reason.type


class ConnectionTests(SynchronousTestCase):
    """idle: how often the connection was given back. gone: likewise, when it ended."""

    def setUp(self) -> None:
        self.idle = self.gone = 0
        self.connection = Connection(self._idle, self._gone, Outbox())
        self.transport = _Transport()
        self.connection.makeConnection(self.transport)

    def _idle(self, connection: Connection) -> None:
        self.idle += 1

    def _gone(self, connection: Connection) -> None:
        self.gone += 1

    def ask(self, body: bytes = b"") -> Deferred[Answer]:
        return self.connection.ask(b"POST / HTTP/1.1\r\n\r\n", body)

    def answered(self, *reads: bytes) -> tuple[Answer, _Body]:
        """A call whose answer comes in these reads, the head with the first."""
        asked = self.ask()
        self.connection.dataReceived(reads[0])
        answer, body = self.successResultOf(asked), _Body()
        answer.deliverBody(body)
        for read in reads[1:]:
            self.connection.dataReceived(read)
        return answer, body

    def test_one_piece_per_read(self) -> None:
        """All chunks of one read are one delivery."""
        _, body = self.answered(CHUNKED, b"1\r\na\r\n2\r\nbc\r\n1\r\nd", b"\r\n1\r\ne\r\n0\r\n\r\n")
        self.assertEqual(body.reads, [b"abcd", b"e"])
        self.assertIs(body.end, ResponseDone)
        self.assertEqual((self.idle, self.transport.connected), (1, True))

    @given(st.sampled_from([WHOLE, CHUNKED + b"2\r\nok\r\n0\r\nX-T: t\r\n\r\n"]), cuts())
    def test_any_cut(self, sent: bytes, distances: list[int]) -> None:
        """However the answer is cut, it is the same, and the connection is free after it."""
        self.setUp()
        asked = self.ask()
        body = _Body()
        asked.addCallback(lambda answer: answer.deliverBody(body))
        for piece in split(b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\n" + sent, distances):
            self.connection.dataReceived(piece)
        self.assertEqual(b"".join(body.reads), b"ok")
        self.assertEqual((self.idle, body.end), (1, ResponseDone))

    def test_head(self) -> None:
        """The head is as it was sent; what comes before the answer is not part of it."""
        answer, _ = self.answered(b"HTTP/1.1 100 Continue\r\nX-B: c\r\n\r\n" + WHOLE)
        self.assertEqual((answer.code, answer.phrase), (200, b"OK"))
        self.assertEqual(answer.raw_headers, ((b"Content-Length", b"2"), (b"X-A", b"b")))

    def test_nobody_takes_the_body(self) -> None:
        """Until somebody does, no more is read than came with the head."""
        asked = self.ask()
        self.connection.dataReceived(CHUNKED + b"1\r\na\r\n")
        self.assertEqual(self.transport.producerState, "paused")
        body = _Body()
        self.successResultOf(asked).deliverBody(body)
        self.assertEqual(body.reads, [b"a"])
        self.assertEqual(self.transport.producerState, "producing")

    def test_taken_after_the_end(self) -> None:
        """A whole answer waits for whoever takes it, though its connection is free already."""
        asked = self.ask()
        self.connection.dataReceived(WHOLE)
        body = _Body()
        self.successResultOf(asked).deliverBody(body)
        self.assertEqual((body.reads, body.end, self.idle), ([b"ok"], ResponseDone, 1))

    def test_not_kept(self) -> None:
        """It is closed when the server says so, and when more came than the answer."""
        for sent in (WHOLE.replace(b"X-A: b", b"Connection: close"), WHOLE + b"H", WHOLE + WHOLE):
            self.setUp()
            _, body = self.answered(sent)
            self.assertEqual((body.reads, body.end), ([b"ok"], ResponseDone))
            self.assertEqual((self.idle, self.transport.connected), (0, False))

    def test_unasked(self) -> None:
        """A server that speaks when nobody has asked is hung up on."""
        self.answered(WHOLE)
        self.connection.dataReceived(WHOLE)
        self.assertFalse(self.transport.connected)

    def test_answer_before_the_end_of_the_request(self) -> None:
        """An answer that comes while the request is still being sent costs the connection."""
        asked = self.ask(b"x" * 4 * MAX_BYTES)
        self.connection.dataReceived(WHOLE)
        body = _Body()
        self.successResultOf(asked).deliverBody(body)
        self.assertEqual((body.reads, self.idle, self.transport.connected), ([b"ok"], 0, False))

    def test_large_request(self) -> None:
        """A large request goes out in slices, as the transport asks for them."""
        asked = self.ask(b"x" * 4 * MAX_BYTES)
        producer: Any = self.transport.producer
        while self.transport.producer is not None:
            producer.resumeProducing()
        self.assertEqual(self.transport.value().count(b"x"), 4 * MAX_BYTES)
        self.connection.dataReceived(WHOLE)
        self.successResultOf(asked)
        self.assertEqual(self.idle, 1)

    def lost(self, *reads: bytes) -> Deferred[Answer]:
        """A call whose connection breaks after these reads."""
        asked = self.ask()
        for read in reads:
            self.connection.dataReceived(read)
        self.connection.connectionLost(Failure(ConnectionDone()))
        return asked

    def test_lost_before_the_answer(self) -> None:
        """Whether a byte of an answer had come makes the difference."""
        self.failureResultOf(self.lost(), ResponseNeverReceived)
        self.setUp()
        self.failureResultOf(self.lost(b"HTTP"), ResponseFailed)
        self.assertEqual(self.gone, 1)

    def test_lost_in_mid_answer(self) -> None:
        """A framed body is broken; the end of one without a frame is its end."""
        for head, end in (
            (CHUNKED, ResponseFailed),
            (b"HTTP/1.1 200 OK\r\n\r\n", PotentialDataLoss),
        ):
            self.setUp()
            _, body = self.answered(head + b"1\r\na\r\n")
            self.connection.connectionLost(Failure(ConnectionDone()))
            self.assertIs(body.end, end)

    def test_trailers(self) -> None:
        """They are no headers, even in one read with the head, and spoil no connection."""
        for reads in (
            (CHUNKED + b"1\r\na\r\n0\r\nContent-Encoding: gzip\r\n\r\n",),
            (CHUNKED, b"1\r\na\r\n0\r\nContent-Encoding: gzip\r\n\r\n"),
        ):
            self.setUp()
            answer, body = self.answered(*reads)
            self.assertEqual(answer.raw_headers, ((b"Transfer-Encoding", b"chunked"),))
            self.assertEqual((body.reads, body.end, self.idle), ([b"a"], ResponseDone, 1))

    def test_endless_framing(self) -> None:
        """Trailers and chunk extensions without end cost the connection, not the memory."""
        for beginning, more in (
            (b"1\r\na\r\n0\r\n", b"X-More: x\r\n" * 1000),
            (b"1\r\na\r\n0\r\nX-More: ", b"x" * 10_000),
            (b"1;", b"x" * 10_000),
        ):
            self.setUp()
            self.answered(CHUNKED + beginning, *[more] * 20)
            self.assertTrue(self.transport.connected)
            for _ in range(20):
                self.connection.dataReceived(more)
            self.assertFalse(self.transport.connected)

    def test_not_http(self) -> None:
        """What is not HTTP fails the call; what becomes so fails the body, after what was good."""
        for sent in (
            b"SSH-2.0\r\n",
            b"HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        ):
            self.setUp()
            asked = self.ask()
            self.connection.dataReceived(sent)
            self.failureResultOf(asked, ResponseFailed)
            self.assertFalse(self.transport.connected)
        self.setUp()
        _, body = self.answered(CHUNKED, b"1\r\na\r\nzz\r\n")
        self.assertEqual((body.reads, body.end), ([b"a"], ResponseFailed))
        self.assertFalse(self.transport.connected)
