"""Listening: the socket is bound before the reactor has anything to do with it."""

from __future__ import annotations

import socket
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.web.server import Site

from aiproxy.web.room import Room

_BACKLOG = 511


def bound(host: str, port: int) -> socket.socket:
    """
    A listening socket; "::" takes IPv4 too.

    Raises: OSError.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, _, _, _, address = found[0]
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setblocking(False)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6 and host == "::":
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listening.bind(address)
        listening.listen(_BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening


def shown(host: str, port: int) -> str:
    """Host and port as URLs have them."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class Listener(Service):
    """
    Takes connections on a socket that listens already.

    room: lets it pause; it must be told of every connection.
    """

    def __init__(
        self, reactor: Any, listening: socket.socket, site: Site, room: Room | None = None
    ) -> None:
        self._reactor = reactor
        self._listening = listening
        self._site = site
        self._room = room
        self._port: Any = None

    def startService(self) -> None:
        super().startService()
        # The reactor makes a copy; while the original is open, the kernel takes connections.
        with self._listening as original:
            self._port = self._reactor.adoptStreamPort(
                original.fileno(), original.family, self._site
            )
        if self._room is not None:
            self._room.limit(self._port)

    def stopService(self) -> Deferred[None] | None:
        super().stopService()
        port, self._port = self._port, None
        if self._room is not None:
            self._room.limit(None)
        stopped: Deferred[None] | None = port.stopListening() if port is not None else None
        return stopped
