"""
Tests of aiproxy.upstream.client and body together: streamed answers over real sockets.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import brotli  # type: ignore[import-untyped]
import zstandard
from twisted.internet.defer import CancelledError

from aiproxy.errors import UpstreamTimeout, UpstreamUnreachable
from aiproxy.framing.sse import Message
from aiproxy.upstream.body import SSEBody
from tests.upstream.cases import ONE, TWO, ClientCase, Inbox, asynchronous
from tests.upstream.servers import Connection


class StreamTests(ClientCase):
    """Bodies that come event by event."""

    @asynchronous
    async def test_events_come_at_once(self) -> None:
        """Each event is delivered before the server sends the next; the end is the end."""
        inbox = Inbox()
        connection, done = await self.streaming(SSEBody(inbox.deliver))
        for event in (ONE, TWO):
            connection.chunk(event)
            await inbox.next()
        connection.chunk(b"")
        await done
        self.assertEqual(inbox.lists, [[Message("", b"1", ONE)], [Message("", b"2", TWO)]])

    @asynchronous
    async def test_one_delivery_per_read(self) -> None:
        """Events that come together are delivered together, also those that come with the head."""
        inbox = Inbox()
        sent = self.post()
        connection = await self.server.request()
        connection.write(b"HTTP/1.1 200 OK\r\n\r\n" + ONE + TWO)
        connection.close()
        await (await sent).stream(SSEBody(inbox.deliver))
        self.assertEqual(inbox.data, [b"1", b"2"])
        self.assertEqual(len(inbox.lists), 1)

    @asynchronous
    async def test_last_event_without_blank_line(self) -> None:
        """The end of the body completes a last event."""
        inbox = Inbox()
        connection, done = await self.streaming(SSEBody(inbox.deliver))
        connection.chunk(b"data: [DONE]")
        connection.chunk(b"")
        await done
        self.assertEqual(inbox.data, [b"[DONE]"])

    @asynchronous
    async def test_coded_events_come_at_once(self) -> None:
        """Compressed events are delivered as soon as the server has flushed them."""
        for coding, flushed in _flushing().items():
            inbox = Inbox()
            body = SSEBody(inbox.deliver)
            connection, done = await self.streaming(body, b"Content-Encoding: " + coding)
            connection.chunk(flushed(ONE, False))
            await inbox.next()
            self.assertEqual(inbox.data, [b"1"])
            connection.chunk(flushed(TWO, True))
            connection.chunk(b"")
            await done
            self.assertEqual(inbox.data, [b"1", b"2"])

    @asynchronous
    async def test_cut(self) -> None:
        """What came before the connection broke is delivered, then comes the error."""
        inbox = Inbox()
        connection, done = await self.streaming(SSEBody(inbox.deliver))
        connection.chunk(ONE)
        connection.close()
        await self.assertFailure(done, UpstreamUnreachable)
        self.assertEqual(inbox.data, [b"1"])

    @asynchronous
    async def test_cancel(self) -> None:
        """Cancelling closes the connection at once, and nothing is delivered any more."""
        inbox = Inbox()
        connection, done = await self.streaming(SSEBody(inbox.deliver))
        connection.chunk(ONE)
        await inbox.next()
        connection.chunk(TWO)
        done.cancel()
        await self.assertFailure(done, CancelledError)
        await connection.lost
        self.assertEqual(inbox.data, [b"1"])

    @asynchronous
    async def test_cancel_while_paused(self) -> None:
        """A paused connection, with data on the way, is closed as well."""
        inbox = Inbox()
        body = SSEBody(inbox.deliver)
        connection, done = await self.streaming(body)
        body.pauseProducing()
        connection.chunk(ONE * 100_000)
        await self.wait(0.05)
        body.stopProducing()
        await self.assertFailure(done, CancelledError)
        await connection.lost
        self.assertEqual(inbox.data, [])

    @asynchronous
    async def test_receiver_raises(self) -> None:
        """What the receiver raises comes out, and closes the connection."""

        def refuse(messages: list[Message]) -> None:
            raise LookupError(messages[0].data)

        connection, done = await self.streaming(SSEBody(refuse))
        connection.chunk(ONE + TWO)
        await self.assertFailure(done, LookupError)
        await connection.lost

    @asynchronous
    async def test_no_first_event(self) -> None:
        """Signs of life are no content: without any in time the answer has failed."""
        connection, done = await self.streaming(SSEBody(Inbox().deliver), first_event=0.2)
        for _ in range(3):
            connection.chunk(b": ping\n\n")
            await self.wait(0.05)
        error = await self.assertFailure(done, UpstreamTimeout)
        self.assertEqual(str(error), "no content within 0.2 seconds")
        await connection.lost

    @asynchronous
    async def test_idle(self) -> None:
        """After content other events count too; silence closes the connection."""
        inbox = Inbox()
        body = SSEBody(inbox.deliver)
        inbox.delivered = body.progressed
        connection, done = await self.streaming(body, idle=0.2)
        connection.chunk(ONE)
        await inbox.next()
        connection.chunk(TWO)
        error = await self.assertFailure(done, UpstreamTimeout)
        self.assertEqual(str(error), "silent for 0.2 seconds")
        self.assertEqual(inbox.data, [b"1", b"2"])
        await connection.lost

    @asynchronous
    async def test_pause_is_not_silence(self) -> None:
        """While we do not read, the upstream is not silent."""
        inbox = Inbox()
        body = SSEBody(inbox.deliver)
        inbox.delivered = body.progressed
        connection, done = await self.streaming(body, idle=0.1)
        connection.chunk(ONE)
        await inbox.next()
        body.pauseProducing()
        await self.wait(0.3)
        connection.chunk(TWO)
        connection.chunk(b"")
        self.assertEqual(inbox.data, [b"1"])
        body.resumeProducing()
        await done
        self.assertEqual(inbox.data, [b"1", b"2"])

    @asynchronous
    async def test_back_pressure(self) -> None:
        """A paused body stops the server after what the sockets hold; then all of it comes."""
        inbox = Inbox()
        body = SSEBody(inbox.deliver)
        connection, done = await self.streaming(body)
        body.pauseProducing()
        source = _Endless(connection, 400)
        await self.wait(0.3)
        self.assertTrue(source.is_paused)
        self.assertLess(source.chunks, 400)
        self.assertEqual(inbox.data, [])
        body.resumeProducing()
        await done
        self.assertEqual(len(inbox.data), 400)


class _Endless:
    """Sends events for as long as the transport takes them, `total` of 32 KiB at most."""

    def __init__(self, connection: Connection, total: int) -> None:
        self._connection = connection
        self._total = total
        self.chunks = 0
        self.is_paused = True
        transport: Any = connection.transport
        transport.registerProducer(self, True)
        self.resumeProducing()

    def resumeProducing(self) -> None:
        self.is_paused = False
        while not self.is_paused and self.chunks < self._total:
            self.chunks += 1
            self._connection.chunk(b"data: " + b"x" * 32_000 + b"\n\n")
        if self.chunks == self._total and not self.is_paused:
            self.is_paused = True
            self._connection.chunk(b"")
            self._connection.transport.unregisterProducer()  # type: ignore[union-attr]

    def pauseProducing(self) -> None:
        self.is_paused = True

    def stopProducing(self) -> None:
        self.is_paused = True


def _flushing() -> dict[bytes, Callable[[bytes, bool], bytes]]:
    """For each coding a function that codes and flushes one part, which may be the last."""

    def with_zlib(wbits: int) -> Callable[[bytes, bool], bytes]:
        deflater = zlib.compressobj(6, zlib.DEFLATED, wbits)
        return lambda data, is_last: (
            deflater.compress(data)
            + deflater.flush(zlib.Z_FINISH if is_last else zlib.Z_SYNC_FLUSH)
        )

    framer = zstandard.ZstdCompressor().compressobj()
    brotter = brotli.Compressor()

    def with_zstd(data: bytes, is_last: bool) -> bytes:
        mode = zstandard.COMPRESSOBJ_FLUSH_FINISH if is_last else zstandard.COMPRESSOBJ_FLUSH_BLOCK
        return framer.compress(data) + framer.flush(mode)

    def with_brotli(data: bytes, is_last: bool) -> bytes:
        packed: bytes = brotter.process(data)
        return packed + (brotter.finish() if is_last else brotter.flush())

    return {
        b"gzip": with_zlib(31),
        b"deflate": with_zlib(-15),
        b"zstd": with_zstd,
        b"br": with_brotli,
    }
