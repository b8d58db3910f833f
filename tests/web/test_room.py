"""Connections beyond the limit wait in the kernel."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from aiproxy.web import Listener, Room, bound, connections_within
from tests.upstream.cases import asynchronous
from tests.web.cases import WebCase
from tests.web.clients import RawClient, connected


class RoomTests(WebCase):
    @asynchronous
    async def test_full(self) -> None:
        """While the room is full nobody is accepted; whoever waits is, once there is a place."""
        listening = bound("127.0.0.1", 0)
        port = listening.getsockname()[1]
        room = self.site.room = Room(3)
        listener = Listener(self.reactor, listening, self.site, room)
        listener.startService()
        # The kernel completes their connections, so that only an answer tells who was accepted.
        clients = [await self.asking(port) for _ in range(2)]
        for client in clients:
            await client.answer()
        third = await self.asking(port)
        await third.answer()
        late = await self.asking(port)
        for client in clients:
            client.get("/healthz")
            await client.answer()
        self.assertEqual(late.received, b"")
        clients[0].close()
        self.assertEqual((await late.answer()).status, 200)
        for client in (*clients[1:], third, late):
            client.close()
            await client.lost
        stopped = listener.stopService()
        assert stopped is not None
        await stopped

    async def asking(self, port: int) -> RawClient:
        client = await connected(self.reactor, port)
        client.get("/healthz")
        return client


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
            room, port = Room(50), _Port()
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
