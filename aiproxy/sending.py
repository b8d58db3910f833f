"""
Writing at once: what a plain TCP socket can take now does not wait for the reactor's next round.

`transport.write` always queues, which costs two changes of the poll set and one more round for
each write. Where nothing is queued before it, a small write can go to the kernel directly; what
the kernel does not take, and everything on other transports, is queued as ever. Errors too are
left to the queue, which meets them again and reports them in its own way.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.tcp import Connection

MAX_BYTES = 64 * 1024
"""More than this seldom fits into a socket's buffer, and what is left over must be copied."""


def send(transport: Any, data: bytes) -> None:
    """Like `transport.write(data)`, in the same order with it, but sooner."""
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
