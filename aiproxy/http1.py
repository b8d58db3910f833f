"""
HTTP/1.1 as bytes, for both sides: header lines, and writing soon.

`transport.write` always queues, which costs two changes of the poll set and one more round of the
reactor for each write. Where nothing is queued on a plain TCP socket, a small write can go to the
kernel directly.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from twisted.internet.tcp import Connection
from twisted.logger import Logger
from twisted.web.http_headers import Headers

MAX_BYTES = 64 * 1024
"""More than this seldom fits into a socket's buffer, and what is left over must be copied."""

# What cannot be misread, if it is as many lines as fields: a value may hold a line of its own.
# Anything else goes through twisted's own cleaning.
_SAFE_LINES = re.compile(r"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+: [^\r\n\0]*\r\n)*")


class Outbox:
    """
    Writes, in the order of the calls, at the end of the reactor's turn: all for one transport in
    one piece.

    To let the kernel take something wakes whoever waits for it. Of several writes one after the
    other only the first does; and a turn reads from all that have sent something.

    Whoever gives a transport to an outbox must write to it by nothing else, and `flush` it before
    it is closed.
    """

    log = Logger()

    def __init__(self) -> None:
        self._waiting: dict[Any, list[bytes]] = {}

    def write(self, transport: Any, data: bytes) -> None:
        """
        Like `transport.write(data)`, but sooner.

        What the kernel does not take, and everything on other transports, is queued as ever. Errors
        too are left to the queue, which meets them again and reports them in its own way.
        """
        waiting = self._waiting
        pieces = waiting.get(transport)
        if pieces is not None:
            pieces.append(data)
        elif _is_plain(transport):
            if not waiting:
                # Due even if somebody sets the system's clock back meanwhile: all data wait for it.
                transport.reactor.callLater(0, self._flush).time = 0.0
            waiting[transport] = [data]
        else:
            transport.write(data)

    def flush(self, transport: Any) -> None:
        """What waits for it goes now."""
        pieces = self._waiting.pop(transport, None)
        if pieces is not None:
            _send(transport, pieces)

    def _flush(self) -> None:
        while self._waiting:
            transport, pieces = self._waiting.popitem()
            try:
                _send(transport, pieces)
            except Exception:
                # What the reactor does, too: whoever pauses for one must not stop the others.
                self.log.failure("a connection failed in writing")
                transport.abortConnection()


def _send(transport: Any, pieces: list[bytes]) -> None:
    data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
    sent = send_some(transport, data) if len(data) <= MAX_BYTES else 0
    if sent < len(data):
        transport.write(data[sent:])


def send_some(transport: Any, *pieces: bytes | memoryview) -> int:
    """
    How many bytes of `pieces`, from their beginning, the kernel has taken.

    Nothing is copied or queued. 0 where the kernel is full, where something is queued already, on
    other transports, and after an error, which the queue will meet.
    """
    if not _is_free(transport):
        return 0
    try:
        sent: int = transport.socket.sendmsg(pieces)
    except OSError:
        return 0
    return sent


def _is_plain(transport: Any) -> bool:
    """A socket whose bytes are what was written."""
    return isinstance(transport, Connection) and not transport.TLS


def _is_free(transport: Any) -> bool:
    """Whether what goes to the kernel directly overtakes nothing, and is not to be encrypted."""
    return (
        _is_plain(transport)
        and transport.connected != 0
        and not transport.disconnecting
        and not transport.dataBuffer
        and not transport._tempDataBuffer
    )


def header_lines(fields: Iterable[tuple[str, str]]) -> bytes:
    """
    Header lines, each with its line end.

    What cannot stand in a value becomes a blank. Raises: ValueError when a name cannot be sent.
    """
    lines = [f"{name}: {value}\r\n" for name, value in fields]
    text = "".join(lines)
    is_safe = text.count("\n") == len(lines) and _SAFE_LINES.fullmatch(text)
    return (text if is_safe else _cleaned(fields)).encode("utf-8")


def _cleaned(fields: Iterable[tuple[str, str]]) -> str:
    lines = []
    for name, value in fields:
        cleaned = Headers()
        cleaned.addRawHeader(name, value.replace("\0", " "))
        [(sent, values)] = cleaned.getAllRawHeaders()
        lines.append(f"{sent.decode('ascii')}: {values[0].decode('utf-8')}\r\n")
    return "".join(lines)
