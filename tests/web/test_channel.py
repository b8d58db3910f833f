"""Time limits of client connections, and how they end."""

from __future__ import annotations

import re
from typing import Any

from twisted.internet.abstract import FileDescriptor
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from tests.upstream.cases import asynchronous
from tests.web.cases import BODIES, MESSAGE, PATHS, WebCase, message_of
from tests.web.clients import RawClient

HEAD = b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 999999\r\n\r\n"


class TimeTests(WebCase):
    """The limits are 10 seconds for a head and 60 for progress of a body."""

    async def pings(self, client: RawClient) -> None:
        """Return when the server must have read all that `client` has sent."""
        other = await self.connect()
        for _ in range(3):
            other.get("/healthz")
            await other.answer()

    @asynchronous
    async def test_slow_head(self) -> None:
        """A head must be complete in time, however steadily it drips."""
        client = await self.connect()
        for piece in (b"GET ", b"/healthz ", b"HTTP/1.1\r\n"):
            client.send(piece)
            await self.pings(client)
            self.clock.advance(3.4)
        await client.lost
        self.assertEqual(client.received, b"")

    @asynchronous
    async def test_idle(self) -> None:
        """A kept connection may be idle for longer than a head may take, but not for ever."""
        client = await self.connect()
        client.get("/healthz")
        await client.answer()
        self.clock.advance(70)
        client.get("/healthz")
        await client.answer()
        self.clock.advance(74)
        client.get("/healthz")
        await client.answer()
        self.clock.advance(76)
        await client.lost

    @asynchronous
    async def test_slow_body(self) -> None:
        """A body that hardly grows for the whole limit is refused with 408, in the dialect."""
        client = await self.connect()
        client.send(HEAD + b"x" * 5000)
        await self.pings(client)
        self.clock.advance(61)
        client.send(b"y" * 100)
        await self.pings(client)
        self.assertFalse(client.is_lost)
        self.clock.advance(61)
        answer = await client.answer()
        self.assertEqual(answer.status, 408)
        message_of("anthropic", answer)
        await client.lost
        self.assertEqual(self.records[-1].request_bytes, 5100)

    @asynchronous
    async def test_patience(self) -> None:
        """No limit for requests counts while the upstream works."""
        client, upstream = await self.call("anthropic")
        self.clock.advance(29)
        upstream.answer(MESSAGE)
        self.assertEqual((await client.answer()).status, 200)

    @asynchronous
    async def test_large_head(self) -> None:
        """Headers of 100 KiB are read; a head without end is not."""
        answer = await self.get("/healthz", "x-codex-turn-metadata: " + "x" * 100_000)
        self.assertEqual(answer.status, 200)
        for head in (b"x: " + b"y" * 1_000_000, (b"x: " + b"y" * 1000 + b"\r\n") * 200):
            client = await self.connect()
            client.send(b"GET / HTTP/1.1\r\n" + head)
            answer = await client.answer()
            self.assertEqual(answer.status, 431)
            message_of("chat", answer)
            client.close()
            await client.lost

    @asynchronous
    async def test_parting_is_limited(self) -> None:
        """After an early answer the client has a few seconds to close, then it is cut."""
        client = await self.connect()
        client.send(HEAD.replace(b"/v1/messages", b"/nothing"))
        self.assertEqual((await client.answer()).status, 404)
        await self.site_has(0)
        del client

    async def site_has(self, number: int) -> None:
        """Wait until so many connections are left, letting time pass."""
        other = await self.connect()
        while len(self.site.channels) > number + 1:
            self.clock.advance(1)
            other.get("/healthz")
            await other.answer()


class PipelineTests(WebCase):
    """Requests that do not wait for the answers before them."""

    @asynchronous
    async def test_many(self) -> None:
        """However many come in one read, each has its answer, in order, before what is unusual."""
        client = await self.connect()
        healthy, unknown = (b"GET %b HTTP/1.1\r\n\r\n" % path for path in (b"/healthz", b"/none"))
        client.send(healthy * 1000 + unknown * 1000)
        client.send(b"HEAD /healthz HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\nConnection: close\r\n\r\n")
        await client.lost
        found = re.findall(rb"HTTP/1\.1 (\d+) ", client.received)
        self.assertEqual(found, [b"200"] * 1000 + [b"404"] * 1000 + [b"200"] * 2)


class ReadTests(WebCase):
    """How much the reactor may read at once."""

    def test_large_bodies(self) -> None:
        """More while a large body comes; else no more than for any connection of Twisted's."""
        usual = FileDescriptor.bufferSize
        transport: Any = StringTransport()
        channel = self.site.buildProtocol(None)
        channel.makeConnection(transport)
        head = b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n%b\r\n"
        # Heads that are read in one pass, and those that are left to twisted.web.
        for more in (b"", b"A: \x80\r\n"):
            for size in (9 * usual, usual // 9):
                channel.dataReceived(head % (size, more) + b"x")
                while_it_comes = getattr(transport, "bufferSize", usual)
                self.assertEqual(while_it_comes > usual, size > usual)
                channel.dataReceived(b"x" * (size - 1))
                self.assertEqual(transport.bufferSize, usual)
        self.assertEqual(transport.value().count(b"HTTP/1.1 400 "), 4)
        channel.connectionLost(Failure(ConnectionDone()))


class ClosingTests(WebCase):
    """All connections at the end of the process."""

    @asynchronous
    async def test_close(self) -> None:
        """Idle connections are closed, and that is told when they are gone."""
        clients = [await self.connect() for _ in range(3)]
        clients[0].get("/healthz")
        await clients[0].answer()
        clients[1].send(b"GET ")
        closed = self.site.close()
        for client in clients:
            await client.lost
        await closed

    @asynchronous
    async def test_close_without_any(self) -> None:
        """Without connections there is nothing to wait for."""
        self.successResultOf(self.site.close())

    @asynchronous
    async def test_bad_requests(self) -> None:
        """What is no HTTP is refused without harm."""
        for data in (
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
            b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
            b"POST /v1/messages HTTP/1.1\r\nContent-Length: x\r\n\r\n",
            b"POST /v1/messages HTTP/1.1\r\nContent-Length: %b\r\n\r\n" % (b"9" * 5000),
            b"POST /v1/messages HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            b"POST /v1/messages HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
            b"POST /v1/messages HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        ):
            client = await self.connect()
            client.send(data)
            answer = await client.answer()
            self.assertEqual(answer.status, 400)
            message_of("chat", answer)
            self.assertTrue(answer.header("x-request-id"))
            client.close()
            await client.lost
        answer = await self.post(PATHS["chat"], BODIES["chat"].replace(b'"m"', b'"x"'))
        self.assertEqual(answer.status, 404)
