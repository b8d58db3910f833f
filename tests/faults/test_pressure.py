"""Slow readers and large bodies: what they cost in memory, and that others do not notice."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from tests.integration.cases import ProgramCase, body, outside, reactor, upstream
from tests.integration.http import post
from tests.integration.program import Program
from tests.translate.stage import BLOCK, DELTA, END, START
from tests.upstream.servers import Connection
from tests.web.clients import RawClient, connected

MIB = 1 << 20
PIECE = DELTA.replace(b"hello", b"x" * 64_000)
FAST_BYTES = 100 * MIB
UPLOAD_BYTES = 32 * MIB
READ_BYTES = 1024
SIPPED_BYTES = 32 * MIB
ANSWER = (
    b'{"id":"msg_1","type":"message","role":"assistant","model":"m","content":'
    b'[{"type":"text","text":"hello"}],"stop_reason":"end_turn","stop_sequence":null,'
    b'"usage":{"input_tokens":3,"output_tokens":2}}'
)


def memory(program: Program, what: str) -> int:
    """Bytes, as the kernel counts them. what: "VmRSS" for now, "VmHWM" for the most so far."""
    for line in Path(f"/proc/{program.pid}/status").read_text().splitlines():
        if line.startswith(what):
            return int(line.split()[1]) * 1024
    raise AssertionError(what)


@implementer(IPushProducer)
class Flood:
    """
    An upstream that sends as fast as it is read.

    sent: bytes given to the transport. pauses: how often that was full.
    """

    def __init__(self, connection: Connection) -> None:
        self.sent = 0
        self.pauses = 0
        self.is_paused = False
        self._connection = connection
        transport: Any = connection.transport
        transport.registerProducer(self, True)
        reactor.callLater(0, self._send)

    def pauseProducing(self) -> None:
        self.is_paused = True
        self.pauses += 1

    def resumeProducing(self) -> None:
        self.is_paused = False
        reactor.callLater(0, self._send)

    def stopProducing(self) -> None:
        self.is_paused = True

    def _send(self) -> None:
        while not self.is_paused and self.sent < FAST_BYTES:
            self._connection.chunk(PIECE)
            self.sent += len(PIECE)


class Sipping:
    """
    Reads a little from a connection in each turn of the reactor, and never more.

    taken: bytes so far. most: after which it stops.
    """

    def __init__(self, client: RawClient, most: int) -> None:
        self.taken = 0
        self.done: Deferred[None] = Deferred()
        self._most = most
        transport: Any = client.transport
        transport.pauseProducing()
        self._socket = transport.socket
        self._sip()

    def _sip(self) -> None:
        # Nothing may be there just now: the program has its turn too.
        with contextlib.suppress(BlockingIOError):
            self.taken += len(self._socket.recv(READ_BYTES))
        if self.taken < self._most:
            reactor.callLater(0, self._sip)
        else:
            self.done.callback(None)


class PressureTests(ProgramCase):
    def setUp(self) -> None:
        super().setUp()
        if not Path("/proc/self/status").exists():
            raise self.skipTest("the kernel does not tell how much memory a process has")

    @outside
    async def test_slow_readers(self) -> None:
        """
        Ten clients that hardly read from upstreams that could send 100 MiB each.

        Memory stays where it was; others are answered meanwhile.
        """
        server, url = self.server()
        program = await self.start("keepalive: 600\nupstreams:\n" + upstream("a", url))
        question = b'{"model":"m","max_tokens":9,"stream":true,"messages":[]}'
        before = memory(program, "VmRSS")
        floods = []
        clients = []
        for _ in range(10):
            client = await connected(reactor, program.port)
            client.post("/v1/messages", question)
            connection = await server.request()
            connection.begin()
            connection.chunk(START + BLOCK + DELTA)
            await client.contains(b"hello")
            client.transport.pauseProducing()  # type: ignore[union-attr]
            floods.append(Flood(connection))
            clients.append(client)

        async def all_are_stopped() -> bool:
            return all(flood.is_paused for flood in floods)

        await self.eventually(all_are_stopped)
        # A few sips, as over a bad line.
        for client in clients:
            sipped: Any = client.transport
            self.assertEqual(len(sipped.socket.recv(READ_BYTES)), READ_BYTES)
        asked = self.ask(program)
        connection = await server.request()
        connection.answer(ANSWER, b"Content-Type: application/json")
        self.assertEqual((await asked).status, 200)
        await self.eventually(all_are_stopped)
        self.assertLess(max(flood.sent for flood in floods), FAST_BYTES)
        grown = memory(program, "VmRSS") - before
        self.assertLess(grown, 30 * MIB)
        for client in clients:
            client.close()

    @outside
    async def test_steady_slow_reader(self) -> None:
        """
        A client that takes 1 KiB at a time, all the time, from an upstream of 100 MiB.

        The upstream is paused and goes on many times, and never gets far ahead; others are
        answered meanwhile, and memory stays where it was.
        """
        server, url = self.server()
        program = await self.start("keepalive: 600\nupstreams:\n" + upstream("a", url))
        client = await connected(reactor, program.port)
        client.post("/v1/messages", b'{"model":"m","max_tokens":9,"stream":true,"messages":[]}')
        connection = await server.request()
        connection.begin()
        connection.chunk(START + BLOCK + DELTA)
        await client.contains(b"hello")
        before = memory(program, "VmRSS")
        sipping = Sipping(client, SIPPED_BYTES)
        flood = Flood(connection)
        answered = 0
        while not sipping.done.called:
            asked = self.ask(program)
            (await server.request()).answer(ANSWER, b"Content-Type: application/json")
            self.assertEqual((await asked).status, 200)
            answered += 1

        async def is_stopped() -> bool:
            return flood.is_paused

        await self.eventually(is_stopped)
        self.assertGreater(flood.pauses, 10)
        self.assertLess(flood.sent, FAST_BYTES)
        self.assertGreater(answered, 2)
        self.assertLess(memory(program, "VmHWM") - before, 30 * MIB)
        client.close()

    @outside
    async def test_fast_reader(self) -> None:
        """A client that reads gets all of 100 MiB, and the process stays as small."""
        server, url = self.server()
        program = await self.start("keepalive: 600\nupstreams:\n" + upstream("a", url))
        client = await connected(reactor, program.port)
        taken = Counting()
        client.post("/v1/messages", b'{"model":"m","max_tokens":9,"stream":true,"messages":[]}')
        client.dataReceived = taken.feed  # type: ignore[method-assign]
        connection = await server.request()
        connection.begin()
        connection.chunk(START + BLOCK + DELTA)
        before = memory(program, "VmRSS")
        flood = Flood(connection)

        async def is_over() -> bool:
            return flood.sent >= FAST_BYTES and taken.size >= flood.sent

        await self.eventually(is_over)
        connection.chunk(END)
        connection.chunk(b"")
        self.assertLess(memory(program, "VmHWM") - before, 30 * MIB)
        client.close()

    @outside
    async def test_large_upload(self) -> None:
        """A request of 32 MiB is held in few copies, whatever its client's dialect."""
        server, url = self.server()
        program = await self.start("upstreams:\n" + upstream("a", url))
        before = memory(program, "VmHWM")
        text = "x" * UPLOAD_BYTES
        asked = self.ask(program, text)
        connection = await server.request()
        self.assertGreater(len(connection.requests[-1][1]), UPLOAD_BYTES)
        connection.answer(ANSWER, b"Content-Type: application/json")
        self.assertEqual((await asked).status, 200)
        self.assertLess(memory(program, "VmHWM") - before, 5 * UPLOAD_BYTES)

    def ask(self, program: Program, text: str = "hi") -> Any:
        return ensureDeferred(post(program.url + "/v1/messages", body("anthropic", "m", text)))


class Counting:
    """size: bytes received; nothing of them is kept."""

    def __init__(self) -> None:
        self.size = 0

    def feed(self, data: bytes) -> None:
        self.size += len(data)
