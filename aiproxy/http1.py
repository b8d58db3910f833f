"""
HTTP/1.1 as bytes, for both sides: header lines, and writing at once.

`transport.write` always queues, which costs two changes of the poll set and one more round of the
reactor for each write. Where nothing is queued on a plain TCP socket, a small write can go to the
kernel directly.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from twisted.internet.tcp import Connection
from twisted.web.http_headers import Headers

MAX_BYTES = 64 * 1024
"""More than this seldom fits into a socket's buffer, and what is left over must be copied."""

# What cannot be misread, if it is as many lines as fields: a value may hold a line of its own.
# Anything else goes through twisted's own cleaning.
_SAFE_LINES = re.compile(r"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+: [^\r\n\0]*\r\n)*")


def send(transport: Any, data: bytes) -> None:
    """
    Like `transport.write(data)`, in the same order with it, but sooner.

    What the kernel does not take, and everything on other transports, is queued as ever. Errors
    too are left to the queue, which meets them again and reports them in its own way.
    """
    if (
        isinstance(transport, Connection)
        and transport.connected
        and not transport.TLS
        and not transport.disconnecting
        and not transport.dataBuffer
        and not transport._tempDataBuffer
        and len(data) <= MAX_BYTES
    ):
        try:
            sent = transport.socket.send(data)
        except OSError:
            sent = 0
        if sent == len(data):
            return
        data = data[sent:]
    transport.write(data)


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
