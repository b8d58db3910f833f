"""
How many connections of clients the process can hold.

Every call may need a second descriptor for its upstream. Beyond the limit nothing is accepted: the
kernel lets clients wait, until a connection is closed. Otherwise the process would run out of
descriptors, and the calls that run would fail for want of them.
"""

from __future__ import annotations

import resource
from typing import Any

from twisted.logger import Logger

_WANTED_DESCRIPTORS = 65_536
_RESERVED_DESCRIPTORS = 64
"""For listening, logs, auth files, name lookups, and connections accepted in one go."""

_LEAST_CONNECTIONS = 8


def raised_limit() -> int:
    """Descriptors that the process may open, after asking the system for as many as it gives."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _WANTED_DESCRIPTORS if hard == resource.RLIM_INFINITY else hard
    wanted = max(soft, min(wanted, _WANTED_DESCRIPTORS))
    if wanted != soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted


def connections_within(descriptors: int) -> int:
    """Clients that can be served with so many descriptors."""
    return max((descriptors - _RESERVED_DESCRIPTORS) // 2, _LEAST_CONNECTIONS)


class Room:
    """Stops a port from accepting while there are `most` connections."""

    log = Logger()

    def __init__(self, most: int) -> None:
        self._most = most
        self._left = most
        self._at_once = most
        self._port: Any = None

    def share(self) -> None:
        """Other processes accept from the same socket: leave them their part of a rush."""
        self._at_once = 1

    def limit(self, port: Any) -> None:
        """From now on this is what accepts. port: of twisted.internet; None when it has stopped."""
        self._port = port
        if port is None:
            return
        accept = port.doRead

        def accept_some() -> None:
            # In one go it would take as many as there are.
            port.numberAccepts = max(1, min(port.numberAccepts, self._left, self._at_once))
            accept()

        port.doRead = accept_some

    def changed(self, connections: int) -> None:
        """So many are open now."""
        was_full, self._left = self._left <= 0, self._most - connections
        is_full = self._left <= 0
        if self._port is None or is_full == was_full:
            return
        if is_full:
            self.log.warn(  # noqa: G010 (Twisted's name)
                "{count} clients are connected, others have to wait", count=connections
            )
            self._port.stopReading()
        else:
            self._port.startReading()
