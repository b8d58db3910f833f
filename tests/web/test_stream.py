"""Streams to clients: their head, their pace, their end."""

from __future__ import annotations

from typing import Any

from tests.upstream.cases import asynchronous
from tests.upstream.servers import Connection
from tests.web.cases import BEGINNING, END, STREAM, WebCase, delta
from tests.web.clients import RawClient

PIECE = delta("x" * 60_000)
PIECES = 400
HUGE = 24 << 20
STEP = 4 << 20
"""More than all the buffers of the kernel between upstream and client can hold."""


def queued_bytes(transport: Any) -> int:
    """What a transport has not been able to give to the kernel."""
    queued: int = len(transport.dataBuffer) - transport.offset + transport._tempDataLen
    return queued


def resume(client: RawClient) -> None:
    client.transport.resumeProducing()  # type: ignore[union-attr]


class StreamTests(WebCase):
    """One stream from the upstream to the client."""

    @asynchronous
    async def test_stream(self) -> None:
        """Bytes reach the client as they come, in a stream that nobody may hold back."""
        client, upstream = await self.stream()
        self.assertNotIn(b"second", client.received)
        upstream.chunk(delta("second"))
        await client.contains(b"second")
        upstream.chunk(END)
        upstream.chunk(b"")
        answer = await client.answer()
        self.assertEqual(answer.body, BEGINNING + delta("first") + delta("second") + END)
        self.assertEqual(answer.header("content-type"), "text/event-stream")
        self.assertEqual(answer.header("cache-control"), "no-cache")
        self.assertEqual(answer.header("x-accel-buffering"), "no")
        self.assertEqual(self.records[0].response_bytes, len(answer.body))

    @asynchronous
    async def test_abort(self) -> None:
        """A broken upstream ends the stream with an error event and no last chunk."""
        client, upstream = await self.stream()
        upstream.close()
        await client.lost
        self.assertIn(b"event: error", client.received)
        self.assertFalse(client.received.endswith(b"0\r\n\r\n"))
        [record] = self.records
        assert record.trail is not None
        self.assertEqual(record.trail.outcome, "broken")
        self.assertEqual(self.drain.running, 0)

    @asynchronous
    async def test_client_leaves(self) -> None:
        """When the client leaves, the upstream's connection is closed, and nothing counts."""
        client, upstream = await self.stream()
        client.close()
        await upstream.lost
        [record] = self.records
        assert record.trail is not None
        self.assertEqual(record.trail.outcome, "left")
        self.assertEqual(self.drain.running, 0)
        self.assertEqual(self.balancer.unavailable(), ())

    @asynchronous
    async def test_client_leaves_early(self) -> None:
        """So it is before there is an answer."""
        client, upstream = await self.call("chat")
        client.close()
        await upstream.lost
        self.assertEqual(self.records[0].status, 0)
        self.assertEqual(self.drain.running, 0)

    @asynchronous
    async def test_heartbeat(self) -> None:
        """An upstream that is slow to begin does not leave the client without a sign."""
        client = await self.connect()
        client.post("/v1/messages", STREAM)
        upstream = await self.upstream.request()
        for _ in range(2):
            self.clock.advance(self.settings.keepalive_seconds + 0.1)
        await client.contains(b"ping")
        upstream.begin()
        upstream.chunk(BEGINNING + END)
        upstream.chunk(b"")
        self.assertTrue((await client.answer()).is_whole)

    @asynchronous
    async def test_slow_client(self) -> None:
        """A client that does not read stops the upstream; read on, it gets everything."""
        client, upstream = await self.stream()
        await self.fill(client, upstream)
        resume(client)
        upstream.chunk(END)
        upstream.chunk(b"")
        await client.until(lambda received: received.endswith(b"0\r\n\r\n"))
        answer = await client.answer()
        self.assertEqual(answer.body, BEGINNING + delta("first") + PIECE * PIECES + END)

    @asynchronous
    async def test_stalled_client(self) -> None:
        """A client that does not read for minutes is cut, and its upstream with it."""
        client, upstream = await self.stream()
        await self.fill(client, upstream)
        self.clock.advance(301)
        await upstream.lost
        self.assertEqual(self.drain.running, 0)

    @asynchronous
    async def test_slow_reader(self) -> None:
        """A client that reads slowly, but reads, is never cut, however much waits for it."""
        client, upstream = await self.stream()
        client.transport.pauseProducing()  # type: ignore[union-attr]
        upstream.chunk(delta("x" * HUGE))
        await self.settled()
        (channel,) = (c for c in self.site.channels if queued_bytes(c.transport))
        for _ in range(2):
            waiting, read = queued_bytes(channel.transport), len(client.received)
            resume(client)
            await client.until(lambda received, read=read: len(received) > read + STEP)  # type: ignore[misc]
            client.transport.pauseProducing()  # type: ignore[union-attr]
            await self.settled()
            self.assertTrue(0 < queued_bytes(channel.transport) < waiting)
            self.clock.advance(299)
        self.assertFalse(upstream.lost.called)
        self.clock.advance(301)
        await upstream.lost

    async def settled(self) -> None:
        """Return when something waits for clients, and their connections take no more of it."""
        other = await self.connect()
        turns, before = 0, 0
        while turns < 20 or not before:
            other.get("/healthz")
            await other.answer()
            waiting = sum(queued_bytes(channel.transport) for channel in self.site.channels)
            turns, before = (turns + 1, before) if waiting == before else (0, waiting)

    async def fill(self, client: RawClient, upstream: Connection) -> None:
        """The client stops reading and the upstream sends, until neither can send any more."""
        client.transport.pauseProducing()  # type: ignore[union-attr]
        for _ in range(PIECES):
            upstream.chunk(PIECE)
        turns, before = 0, -1
        other = await self.connect()
        while turns < 20:
            other.get("/healthz")
            await other.answer()
            waiting = queued_bytes(upstream.transport)
            turns, before = (turns + 1, before) if waiting == before else (0, waiting)
        self.assertGreater(before, 0)
        held = sum(queued_bytes(channel.transport) for channel in self.site.channels)
        self.assertLess(held, 1 << 20)

    @asynchronous
    async def test_cut(self) -> None:
        """A stop that cannot wait cuts the stream visibly."""
        client, upstream = await self.stream()
        stopped = self.drain.stop(5)
        self.clock.advance(6)
        self.assertEqual(await stopped, 1)
        await client.lost
        await upstream.lost
        self.assertIn(b"first", client.received)
        self.assertFalse(client.received.endswith(b"0\r\n\r\n"))
