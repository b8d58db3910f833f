"""Header lines, and writing soon."""

from __future__ import annotations

import socket
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase

from aiproxy.http1 import MAX_BYTES, Outbox, header_lines, send_some
from tests.upstream.cases import asynchronous


class HeaderTests(SynchronousTestCase):
    """Fields as bytes."""

    def test_lines(self) -> None:
        """Names and values as they are, one line each."""
        fields = (("X-A", "b c"), ("x-d", "é"))
        self.assertEqual(header_lines(fields), "X-A: b c\r\nx-d: é\r\n".encode())
        self.assertEqual(header_lines(()), b"")

    @given(st.lists(st.tuples(st.sampled_from(["a", "X-B"]), st.text("a \r\n\0\x0b:é"))))
    def test_no_value_makes_a_line(self, fields: list[tuple[str, str]]) -> None:
        """Whatever the values hold, there are as many lines as fields."""
        lines = header_lines(fields)
        self.assertEqual(lines.count(b"\r\n"), len(fields))
        bare = lines.replace(b"\r\n", b"")
        self.assertFalse(set(b"\r\n\0") & set(bare))

    def test_a_line_in_a_value(self) -> None:
        """A value with a header line of its own in it stays one value, however good that line."""
        fields = (("X-A", "b\r\nTransfer-Encoding: chunked"), ("X-C", "d"))
        self.assertEqual(header_lines(fields), b"X-A: b Transfer-Encoding: chunked\r\nX-C: d\r\n")

    def test_names(self) -> None:
        """A name that is none is an error."""
        for name in ("a b", "a:", "a\r\nb", "", "é"):
            self.assertRaises(ValueError, header_lines, [(name, "x")])


class _Peer(Protocol):
    """lost: fires when the connection is gone."""

    transport: Any

    def __init__(self) -> None:
        self.lost: Deferred[None] = Deferred()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost.callback(None)


class _Faulty:
    """A producer with a fault of its own."""

    def pauseProducing(self) -> None:
        raise ZeroDivisionError

    def resumeProducing(self) -> None:
        """Nothing to say."""

    def stopProducing(self) -> None:
        """Nothing to stop."""


class OutboxTests(TestCase):
    """A server's transport, and a plain socket at its other end."""

    timeout = 20

    @asynchronous
    async def connect(self) -> None:
        from twisted.internet import reactor

        clock: Any = reactor
        made: Deferred[_Peer] = Deferred()

        class Accepting(Factory):
            noisy = False

            def buildProtocol(self, addr: object) -> _Peer:
                peer = _Peer()
                clock.callLater(0, made.callback, peer)
                return peer

        port = clock.listenTCP(0, Accepting(), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        self.socket = socket.create_connection(("127.0.0.1", port.getHost().port))
        self.addCleanup(self.socket.close)
        self.socket.settimeout(5)
        self.outbox = Outbox()
        self.peer = await made
        self.addCleanup(lambda: self.peer.lost)
        self.addCleanup(self.peer.transport.abortConnection)

    def setUp(self) -> Any:
        return self.connect()

    @asynchronous
    async def test_soon(self) -> None:
        """Small writes are with the kernel after one turn of the reactor, before it polls."""
        for piece in (b"he", b"l", b"lo"):
            self.outbox.write(self.peer.transport, piece)
        await _turn()
        self.assertFalse(self.peer.transport.dataBuffer or self.peer.transport._tempDataBuffer)
        self.assertEqual(self.socket.recv(99), b"hello")

    @asynchronous
    async def test_last_words(self) -> None:
        """What was flushed before a connection was closed still goes out."""
        self.outbox.write(self.peer.transport, b"hello")
        self.outbox.flush(self.peer.transport)
        self.peer.transport.loseConnection()
        await self.peer.lost
        self.assertEqual(self.socket.recv(99), b"hello")
        self.assertEqual(self.socket.recv(99), b"")

    @asynchronous
    async def test_half_closed(self) -> None:
        """The same where only our side is closed."""
        from twisted.internet.threads import deferToThread

        self.outbox.write(self.peer.transport, b"hello")
        self.outbox.flush(self.peer.transport)
        self.peer.transport.loseWriteConnection()
        await _turn()
        self.assertEqual(self.socket.recv(99), b"hello")
        self.assertEqual(await deferToThread(self.socket.recv, 99), b"")

    @asynchronous
    async def test_order(self) -> None:
        """What is queued goes first, what the kernel cannot take is queued: nothing overtakes."""
        from twisted.internet.threads import deferToThread

        transport = self.peer.transport
        pieces = [b"%08d" % n * (MAX_BYTES // 8 - (n % 3)) for n in range(200)]
        pieces.insert(1, b"large" * MAX_BYTES)
        for n, piece in enumerate(pieces):
            self.outbox.write(transport, piece)
            if n % 7 == 6:
                await _turn()
        self.outbox.flush(transport)
        transport.loseConnection()

        def read() -> bytes:
            return b"".join(iter(lambda: self.socket.recv(1 << 20), b""))

        self.assertEqual(await deferToThread(read), b"".join(pieces))

    @asynchronous
    async def test_some(self) -> None:
        """As much as the kernel takes, from the beginning, and nothing before what is queued."""
        from twisted.internet.threads import deferToThread

        transport, body = self.peer.transport, bytes(range(256)) * (128 << 10)
        sent = send_some(transport, b"head", body)
        self.assertGreater(sent, 4)
        self.assertLess(sent, len(body))
        self.assertEqual(send_some(transport, body), 0)
        transport.write(b"queued")
        self.assertEqual(await deferToThread(self.socket.recv, 4), b"head")
        self.assertEqual(send_some(transport, b"overtaking"), 0)
        transport.loseConnection()
        read = await deferToThread(lambda: b"".join(iter(lambda: self.socket.recv(1 << 20), b"")))
        self.assertEqual(read, body[: sent - 4] + b"queued")

    @asynchronous
    async def test_gone(self) -> None:
        """Writing to a peer that has left ends as every connection does."""
        self.socket.close()
        while not self.peer.lost.called:
            self.outbox.write(self.peer.transport, b"x" * 1000)
            await _turn()

    @asynchronous
    async def test_a_clock_that_is_set_back(self) -> None:
        """However the system's clock jumps, what waits goes at the end of the turn."""
        from twisted.internet import reactor

        clock: Any = reactor
        now = clock.seconds()
        self.outbox.write(self.peer.transport, b"hello")
        patch = self.patch(clock, "seconds", lambda: now - 3600.0)
        await _turn()
        patch.restore()
        self.socket.setblocking(False)
        self.assertEqual(self.socket.recv(99), b"hello")

    @asynchronous
    async def test_one_fails(self) -> None:
        """A transport that cannot take its data is closed; the others get theirs."""
        first, first_socket = self.peer, self.socket
        await self.connect()
        first.transport.unregisterProducer()
        first.transport.registerProducer(_Faulty(), True)
        self.outbox.write(first.transport, b"x" * (MAX_BYTES + 1))
        self.outbox.write(self.peer.transport, b"hello")
        await _turn()
        self.assertEqual(self.socket.recv(99), b"hello")
        await first.lost
        first_socket.close()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_other_transports(self) -> None:
        """They get their write."""
        transport = StringTransport()
        self.outbox.write(transport, b"hello")
        self.assertEqual(transport.value(), b"hello")
        self.assertEqual(send_some(transport, b"hello"), 0)


def _turn() -> Deferred[None]:
    """The reactor's next one."""
    from twisted.internet import reactor
    from twisted.internet.task import deferLater

    clock: Any = reactor
    return deferLater(clock, 0)
