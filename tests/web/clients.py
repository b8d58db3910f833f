"""A client that sends bytes as it is told and keeps what comes back."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, connectProtocol
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from aiproxy.messages import Headers, header


class Answer(NamedTuple):
    """
    One answer. headers: names in lower case. body: without its chunks.

    is_whole: as long as its Content-Length says, or with a last chunk.
    """

    status: int
    headers: Headers
    body: bytes
    is_whole: bool

    def header(self, name: str) -> str:
        return header(self.headers, name) or ""

    def json(self) -> Any:
        return json.loads(self.body)


class RawClient(Protocol):
    """
    received: all bytes so far.
    lost: fires when the connection is gone.
    """

    def __init__(self) -> None:
        self.received = b""
        self.is_lost = False
        self.lost: Deferred[None] = Deferred()
        self._waiting: list[tuple[Callable[[bytes], bool], Deferred[bytes]]] = []

    def send(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(data)

    def post(self, path: str, body: bytes, *headers: str) -> None:
        """Send a request whole."""
        lines = (f"POST {path} HTTP/1.1", "Host: x", f"Content-Length: {len(body)}", *headers)
        self.send("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    def get(self, path: str, *headers: str, method: str = "GET") -> None:
        lines = (f"{method} {path} HTTP/1.1", "Host: x", *headers)
        self.send("\r\n".join(lines).encode() + b"\r\n\r\n")

    def until(self, is_enough: Callable[[bytes], bool]) -> Deferred[bytes]:
        """Fires with all that was received, once it is enough or the connection is gone."""
        found: Deferred[bytes] = Deferred()
        self._waiting.append((is_enough, found))
        self._look()
        return found

    async def contains(self, part: bytes) -> bytes:
        return await self.until(lambda received: part in received)

    async def answer(self, *, bodiless: bool = False) -> Answer:
        """The next answer, taken from what was received. bodiless: of a HEAD."""
        await self.until(lambda received: _parsed(received, bodiless=bodiless)[0].is_whole)
        answer, self.received = _parsed(self.received, bodiless=bodiless)
        return answer

    def close(self) -> None:
        assert self.transport is not None
        self.transport.abortConnection()  # type: ignore[attr-defined]

    def dataReceived(self, data: bytes) -> None:
        self.received += data
        self._look()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.is_lost = True
        self._look()
        self.lost.callback(None)

    def _look(self) -> None:
        for waiting in tuple(self._waiting):
            if self.is_lost or waiting[0](self.received):
                self._waiting.remove(waiting)
                waiting[1].callback(self.received)


def connected(reactor: Any, port: int) -> Deferred[RawClient]:
    """A client connected to 127.0.0.1."""
    return connectProtocol(HostnameEndpoint(reactor, "127.0.0.1", port), RawClient())


def _parsed(received: bytes, *, bodiless: bool) -> tuple[Answer, bytes]:
    """The first answer in `received`, "100 Continue" left out, and what comes after it."""
    if received.startswith(b"HTTP/1.1 100 "):
        received = received.partition(b"\r\n\r\n")[2]
    head, blank, rest = received.partition(b"\r\n\r\n")
    if not blank:
        return Answer(0, (), b"", False), received
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = tuple(
        (line.partition(":")[0].lower(), line.partition(":")[2].strip()) for line in lines
    )
    code = int(status.split()[1])
    if bodiless:
        return Answer(code, headers, b"", True), rest
    if header(headers, "transfer-encoding") == "chunked":
        body, is_whole, rest = _unchunked(rest)
        return Answer(code, headers, body, is_whole), rest
    length = int(header(headers, "content-length") or 0)
    return Answer(code, headers, rest[:length], len(rest) >= length), rest[length:]


def _unchunked(data: bytes) -> tuple[bytes, bool, bytes]:
    body = b""
    while True:
        size_line, newline, rest = data.partition(b"\r\n")
        if not newline:
            return body, False, b""
        size = int(size_line, 16)
        if len(rest) < size + 2:
            return body, False, b""
        if size == 0:
            return body, True, rest[2:]
        body, data = body + rest[:size], rest[size + 2 :]
