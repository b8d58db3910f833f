"""
Clients that leave in every phase of a call, and how long their upstream's connection outlives them.

The upstream is in the test's own process, so that both ends are seen by one clock.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.task import deferLater

from tests.integration.cases import WIRES, body, path
from tests.integration.http import begun
from tests.integration.program import Program
from tests.translate.stage import BLOCK, DELTA, START
from tests.upstream.servers import Connection, Server
from tests.web.clients import connected

CONFIG = """\
circuit_breaker: {{failures: 1}}
keepalive: 600
timeouts: {{connect: 500, headers: 500, first_event: 500, idle: 500}}
upstreams:
  - {{name: a, base_url: "{url}", token: upstream-key-canary, available_models: [m]}}
  - name: b
    base_url: http://127.0.0.1:{blackhole}
    token: upstream-key-canary
    available_models: [nowhere]
"""
"""No clock of ours ends anything before a client does."""

_POLL_SECONDS = 0.005
_SYN_SENT = "02"
_LARGE = DELTA.replace(b"hello", b"x" * 500_000)


class Leaving:
    """
    server: the upstream of `program`, which serves every model but "nowhere".
    blackhole: the port where that model is.
    """

    def __init__(self, program: Program, server: Server, blackhole: int, reactor: Any) -> None:
        self._program = program
        self._server = server
        self._blackhole = blackhole
        self._reactor = reactor

    async def phases(self) -> AsyncIterator[tuple[str, float]]:
        """Each phase with the seconds from the client's end to that of the upstream's."""
        for wire in WIRES:
            yield f"{wire}: waiting for a stream", await self._waiting(wire, stream=True)
            yield f"{wire}: waiting for a whole answer", await self._waiting(wire, stream=False)
            yield f"{wire}: before content", await self._streaming(wire, START + BLOCK)
            yield f"{wire}: streaming", await self._streaming(wire, START + BLOCK + DELTA)
        yield "reading slowly", await self._slow()
        yield "in the middle of a whole answer", await self._whole()
        yield "connecting", await self._connecting()

    async def _waiting(self, wire: str, *, stream: bool) -> float:
        sent = self._ask(wire, "m", stream=stream)
        connection = await self._server.request()
        sent.addErrback(lambda _: None)
        return await self._left(sent.cancel, connection)

    async def _streaming(self, wire: str, events: bytes) -> float:
        sent = self._ask(wire, "m", stream=True)
        connection = await self._server.request()
        connection.begin()
        connection.chunk(events)
        if DELTA in events:
            arriving = await sent
            await arriving.contains(b"hello")
            return await self._left(arriving.leave, connection)
        sent.addErrback(lambda _: None)
        await self._round_trip()
        return await self._left(sent.cancel, connection)

    async def _slow(self) -> float:
        """The client does not read, so that the upstream is paused; then it leaves."""
        client = await connected(self._reactor, self._program.port)
        question = b'{"model":"m","max_tokens":9,"stream":true,"messages":[]}'
        client.post("/v1/messages", question)
        connection = await self._server.request()
        client.transport.pauseProducing()  # type: ignore[union-attr]
        connection.begin()
        connection.chunk(START + BLOCK)
        for _ in range(100):
            connection.chunk(_LARGE)
        await self._until(lambda: _queued(connection.transport) > 0)
        await self._round_trip()
        return await self._left(client.close, connection)

    async def _whole(self) -> float:
        sent = self._ask("anthropic", "m", stream=False)
        connection = await self._server.request()
        connection.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n{")
        sent.addErrback(lambda _: None)
        await self._round_trip()
        return await self._left(sent.cancel, connection)

    async def _connecting(self) -> float:
        others = self._knocking()
        sent = self._ask("anthropic", "nowhere", stream=True)
        await self._until(lambda: bool(self._knocking() - others))
        sent.addErrback(lambda _: None)
        began = self._reactor.seconds()
        sent.cancel()
        await self._until(lambda: not self._knocking() - others)
        return float(self._reactor.seconds() - began)

    def _ask(self, wire: str, model: str, *, stream: bool) -> Deferred[Any]:
        url = self._program.url + path(wire, model, stream=stream)
        return ensureDeferred(begun("POST", url, body(wire, model, stream=stream)))

    async def _left(self, leave: Callable[[], object], connection: Connection) -> float:
        began = self._reactor.seconds()
        leave()
        await connection.lost
        return float(self._reactor.seconds() - began)

    async def _round_trip(self) -> None:
        """What was sent to the program before this has been read by it after."""
        for _ in range(3):
            client = await connected(self._reactor, self._program.port)
            client.get("/healthz")
            await client.answer()
            client.close()

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            await deferLater(self._reactor, _POLL_SECONDS)

    def _knocking(self) -> set[str]:
        """Sockets of this machine that wait for the blackhole to answer, by their own address."""
        with open("/proc/net/tcp", encoding="ascii") as table:
            rows = [line.split() for line in table][1:]
        to_us = [row for row in rows if row[2].endswith(f":{self._blackhole:04X}")]
        return {row[1] for row in to_us if row[3] == _SYN_SENT}


def _queued(transport: Any) -> int:
    queued: int = len(transport.dataBuffer) - transport.offset + transport._tempDataLen
    return queued
