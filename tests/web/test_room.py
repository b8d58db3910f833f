"""Connections beyond the limit take the place of idle ones, or wait in the kernel."""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet.task import deferLater
from twisted.trial.unittest import SynchronousTestCase

from aiproxy.web import Listener, Room, bound, connections_within
from tests.upstream.cases import asynchronous
from tests.upstream.servers import Connection
from tests.web.cases import MESSAGE, WebCase, delta
from tests.web.clients import RawClient, connected

JSON = b"Content-Type: application/json"
LARGE_BYTES = 8 << 20
"""More than the kernel holds to be sent to a client that does not read."""


class RoomTests(WebCase):
    async def listen(self, most: int) -> None:
        """From now on there is room for so many."""
        listening = bound("127.0.0.1", 0)
        self.crowded = listening.getsockname()[1]
        room = self.site.room = Room(most, self.site.let_go)
        listener = Listener(self.reactor, listening, self.site, room)
        listener.startService()
        self.addCleanup(listener.stopService)

    async def connect(self) -> RawClient:
        client = await connected(self.reactor, self.crowded)
        self.addCleanup(client.close)
        return client

    async def asking(self) -> RawClient:
        """
        A client that wants an answer.

        The kernel completes its connection: only an answer tells whether it was accepted.
        """
        client = await self.connect()
        client.get("/healthz")
        return client

    async def resting(self) -> RawClient:
        """A client that keeps its connection after an answer."""
        client = await self.asking()
        await client.answer()
        return client

    async def passes(self, client: RawClient, upstream: Connection) -> None:
        """Time enough for whatever may happen: parts of a stream come to its client."""
        for number in range(5):
            upstream.chunk(delta(f"part-{number}"))
            await client.contains(b"part-%d" % number)
            client.received = b""

    @asynchronous
    async def test_full(self) -> None:
        """While all are busy nobody is accepted; whoever waits is, once there is a place."""
        await self.listen(3)
        streams = [await self.stream() for _ in range(3)]
        late = await self.asking()
        await self.passes(*streams[0])
        self.assertEqual(late.received, b"")
        streams[1][0].close()
        self.assertEqual((await late.answer()).status, 200)

    @asynchronous
    async def test_a_place_is_made(self) -> None:
        """Who has kept a connection for longest without using it makes room for the next one."""
        await self.listen(3)
        first, second = await self.resting(), await self.resting()
        busy, upstream = await self.stream()
        first.get("/healthz")
        await first.answer()
        self.assertEqual((await (await self.asking()).answer()).status, 200)
        await second.lost
        self.assertFalse(first.is_lost)
        self.assertEqual((await (await self.asking()).answer()).status, 200)
        await first.lost
        await self.passes(busy, upstream)
        self.assertFalse(busy.is_lost)

    @asynchronous
    async def test_many_at_once(self) -> None:
        """A rush of clients is served in turn, each on the place of another one."""
        await self.listen(3)
        rush = [await self.asking() for _ in range(30)]
        for client in rush:
            self.assertEqual((await client.answer()).status, 200)
        self.assertLessEqual(len(self.site.channels), 4)

    @asynchronous
    async def test_who_has_begun(self) -> None:
        """Who is sending a request is not cut; when it is answered, the place is another's."""
        await self.listen(2)
        slow = await self.resting()
        busy, upstream = await self.stream()
        slow.send(b"GET /healthz HTTP/1.1\r\n")
        await self.passes(busy, upstream)
        late = await self.asking()
        await self.passes(busy, upstream)
        self.assertEqual((late.received, slow.is_lost), (b"", False))
        slow.send(b"Host: x\r\n\r\n")
        self.assertEqual((await slow.answer()).status, 200)
        self.assertEqual((await late.answer()).status, 200)
        await slow.lost

    @asynchronous
    async def test_who_has_not_asked_yet(self) -> None:
        """A new client keeps its place until it has had an answer."""
        await self.listen(2)
        fresh = await self.connect()
        busy, upstream = await self.stream()
        late = await self.asking()
        await self.passes(busy, upstream)
        self.assertEqual((late.received, fresh.is_lost), (b"", False))
        fresh.get("/healthz")
        self.assertEqual((await fresh.answer()).status, 200)
        self.assertEqual((await late.answer()).status, 200)

    @asynchronous
    async def test_unread_requests(self) -> None:
        """A connection on which something has come, read or not, is in use."""
        await self.listen(2)
        client = await self.resting()
        sending: Any = client.transport
        sending.socket.send(b"G")
        self.assertFalse(self.site.let_go())
        client.send(b"ET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertEqual((await client.answer()).status, 200)
        self.assertTrue(self.site.let_go())
        self.assertFalse(self.site.let_go())
        await client.lost

    @asynchronous
    async def test_unsent_answers(self) -> None:
        """A client that has not yet taken all of its answer keeps its connection for that."""
        await self.listen(2)
        client, upstream = await self.call("anthropic")
        reading: Any = client.transport
        reading.pauseProducing()
        reading.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        upstream.answer(MESSAGE.replace(b"hello", b"x" * LARGE_BYTES), JSON)
        while not self.records:
            await deferLater(self.reactor, 0.01)
        self.assertFalse(self.site.let_go())
        reading.resumeProducing()
        await client.until(lambda received: len(received) > LARGE_BYTES)
        await client.answer()
        self.assertTrue(self.site.let_go())
        await client.lost

    @asynchronous
    async def test_answers_on_their_way(self) -> None:
        """The same in the very turn in which the answer was written."""
        await self.listen(2)
        client = await self.resting()
        reading: Any = client.transport
        reading.pauseProducing()
        [channel] = self.site.channels
        self.site.outbox.write(channel.transport, b"x" * LARGE_BYTES)
        self.assertFalse(self.site.let_go())
        reading.resumeProducing()
        await client.until(lambda received: len(received) == LARGE_BYTES)
        self.assertFalse(client.is_lost)

    @asynchronous
    async def test_last_answers(self) -> None:
        """A connection that ends with its answer is nobody's to let go."""
        await self.listen(2)
        client = await self.connect()
        client.get("/healthz", "Connection: close")
        await client.lost
        self.assertFalse(self.site.let_go())


class _Port:
    """What Twisted's port does about how many connections it accepts in one go."""

    def __init__(self) -> None:
        self.numberAccepts = 100
        self.accepted: list[int] = []

    def doRead(self) -> None:
        self.accepted.append(self.numberAccepts)
        self.numberAccepts += 20


class LimitTests(SynchronousTestCase):
    def test_shared(self) -> None:
        """Of a socket that others accept from as well, one connection is taken at a time."""
        for shares, accepted in ((False, [50, 50]), (True, [1, 1])):
            room, port = Room(50, lambda: False), _Port()
            if shares:
                room.share()
            room.limit(port)
            port.doRead()
            port.doRead()
            self.assertEqual(port.accepted, accepted)

    def test_two_for_each_client(self) -> None:
        """Each client may need an upstream; some descriptors are for everything else."""
        self.assertEqual(connections_within(1024), 480)
        self.assertEqual(connections_within(16), 8)
