"""
How many connections of clients the process can hold.

Every call may need a second descriptor for its upstream. Beyond the limit a new client takes the
place of the one that has kept its connection for longest without using it. While all are in use,
nobody is accepted: the kernel lets clients wait. Otherwise the process would run out of
descriptors, and the calls that run would fail for want of them.
"""

from __future__ import annotations

import resource
from collections.abc import Callable
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
    """
    Keeps a port from accepting more than `most` connections.

    let_go: closes one that is not in use; False when there is none.
    """

    log = Logger()

    def __init__(self, most: int, let_go: Callable[[], bool]) -> None:
        self._most = most
        self._let_go = let_go
        self._left = most
        self._at_once = most
        self._is_waiting = False
        self._port: Any = None

    def share(self) -> None:
        """Other processes accept from the same socket: leave them their part of a rush."""
        self._at_once = 1

    def limit(self, port: Any) -> None:
        """From now on this is what accepts. port: of twisted.internet; None when it has stopped."""
        self._port = port
        self._is_waiting = False
        if port is None:
            return
        accept = port.doRead

        def accept_some() -> None:
            """Somebody wants to connect."""
            if self._left <= 0 and not self._let_go():
                self._wait()
                return
            # In one go it would take as many as there are.
            port.numberAccepts = max(1, min(port.numberAccepts, self._left, self._at_once))
            accept()

        port.doRead = accept_some

    def changed(self, connections: int) -> None:
        """So many are open now."""
        self._left = self._most - connections
        if self._left > 0:
            self.eased()

    def eased(self) -> None:
        """There is a place, or a connection that could make one."""
        if self._is_waiting and self._port is not None:
            self._is_waiting = False
            self._port.startReading()

    def _wait(self) -> None:
        self._is_waiting = True
        self._port.stopReading()
        self.log.warn(  # noqa: G010 (Twisted's name)
            "{count} clients are connected, others have to wait", count=self._most - self._left
        )
