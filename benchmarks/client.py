"""
A client that knows when its answer began: for paced and held streams, and for latencies.

It reads no more HTTP than the canned answers need.
"""

from __future__ import annotations

import re
from time import perf_counter
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *([0-9]+)")
_LAST_CHUNK = b"0\r\n\r\n"


def request(path: str, body: bytes) -> bytes:
    """A whole POST request."""
    return (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        "anthropic-version: 2023-06-01\r\nx-api-key: a-key-of-the-usual-length-0123456789\r\n"
        f"User-Agent: benchmark/1.0\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body


class Caller(Protocol):
    """
    One kept connection.

    marked_seconds: from the latest request to the first byte of its mark, or to its end.
    marked: fires when the mark has come.
    """

    transport: Any

    def __init__(self) -> None:
        self.marked_seconds = 0.0
        self.marked: Deferred[None] = Deferred()
        self._ended: Deferred[None] = Deferred()
        self._mark = b""
        self._answer = b""
        self._began = 0.0

    def connectionMade(self) -> None:
        self.transport.setTcpNoDelay(True)

    def call(self, request: bytes, mark: bytes = b"") -> Deferred[None]:
        """
        Fires when the answer is complete.

        mark: bytes to look for in the answer, b"" for its end.
        Fails with RuntimeError when the answer is not 200, and when the connection is lost.
        """
        self._mark = mark
        self._answer = b""
        self.marked_seconds = 0.0
        self.marked = Deferred()
        self._ended = Deferred()
        self._began = perf_counter()
        self.transport.write(request)
        return self._ended

    def dataReceived(self, data: bytes) -> None:
        self._answer += data
        if self._mark and not self.marked_seconds and self._mark in self._answer:
            self._reach_mark()
        if self._is_complete():
            if not self._mark:
                self._reach_mark()
            if not self._answer.startswith(b"HTTP/1.1 200 "):
                self._fail(self._answer[:500].decode("latin-1"))
            elif not self._ended.called:
                self._ended.callback(None)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._fail("connection lost")

    def _reach_mark(self) -> None:
        self.marked_seconds = perf_counter() - self._began
        if not self.marked.called:
            self.marked.callback(None)

    def _fail(self, text: str) -> None:
        for waiting in (self._ended, self.marked):
            if not waiting.called:
                waiting.errback(RuntimeError(text))
                # Held streams are left by their caller, who does not wait for their end.
                waiting.addErrback(lambda _: None)

    def _is_complete(self) -> bool:
        head, end, body = self._answer.partition(b"\r\n\r\n")
        if not end:
            return False
        length = _LENGTH.search(head)
        return len(body) >= int(length[1]) if length else body.endswith(_LAST_CHUNK)


def connected(reactor: Any, port: int) -> Deferred[Caller]:
    """A new connection to 127.0.0.1."""
    return connectProtocol(TCP4ClientEndpoint(reactor, "127.0.0.1", port), Caller())
