"""
The upstream of all subjects: it reads a request's head, skips its body, and writes canned bytes.

    python -m benchmarks.upstream PORT

The simulator would be the bottleneck: it is a whole Klein application (the report says what a
call costs there and here).
"""

from __future__ import annotations

import re
import sys
from collections import deque
from typing import Any

from twisted.internet import reactor
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure

from benchmarks.bodies import Answer, answers

_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *([0-9]+)")
_HEAD_END = b"\r\n\r\n"


def encoded(answer: Answer) -> tuple[bytes, ...]:
    """
    The answer as HTTP/1.1, in the parts that are written one by one.

    A stream is chunked, one event a chunk, as vendors send it.
    """
    head = b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\n" % answer.content_type.encode()
    if answer.content_type == "application/json":
        body = b"".join(answer.pieces)
        return (b"%bContent-Length: %d\r\n\r\n%b" % (head, len(body), body),)
    parts = [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in answer.pieces]
    parts[0] = head + b"Transfer-Encoding: chunked\r\n\r\n" + parts[0]
    if not answer.is_endless:
        parts[-1] += b"0\r\n\r\n"
    return tuple(parts) if answer.pace_seconds else (b"".join(parts),)


_ANSWERS = {
    path.encode(): (encoded(answer), answer.pace_seconds) for path, answer in answers().items()
}
_LOST = (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",), 0.0


class Canned(Protocol):
    """One connection, kept between requests. Requests are not pipelined."""

    transport: Any

    def __init__(self) -> None:
        self._head = b""
        self._left = 0
        self._target = b""
        self._pacing: LoopingCall | None = None

    def connectionMade(self) -> None:
        self.transport.setTcpNoDelay(True)

    def dataReceived(self, data: bytes) -> None:
        if self._left:
            self._left -= len(data)
        else:
            self._head += data
            head, end, body = self._head.partition(_HEAD_END)
            if not end:
                return
            self._head = b""
            self._target = head.split(b" ", 2)[1]
            length = _LENGTH.search(head)
            self._left = (int(length[1]) if length else 0) - len(body)
        if not self._left:
            self._answer(*_ANSWERS.get(self._target, _LOST))

    def _answer(self, parts: tuple[bytes, ...], pace_seconds: float) -> None:
        self.transport.write(parts[0])
        if len(parts) > 1:
            # The next request may come as soon as the last part has gone.
            rest = deque(parts[1:])
            self._pacing = LoopingCall(self._next, rest)
            self._pacing.start(pace_seconds, now=False)

    def _next(self, rest: deque[bytes]) -> None:
        self.transport.write(rest.popleft())
        if not rest and self._pacing is not None:
            self._pacing.stop()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._pacing is not None and self._pacing.running:
            self._pacing.stop()


def main() -> None:
    clock: Any = reactor
    clock.listenTCP(
        int(sys.argv[1]), Factory.forProtocol(Canned), backlog=1024, interface="127.0.0.1"
    )
    clock.run()


if __name__ == "__main__":
    main()
