"""
How many connections of clients the process can hold.

Every call may need a second descriptor for its upstream. Beyond the limit nothing is accepted: the
kernel lets clients wait, until a connection is closed. Otherwise the process would run out of
descriptors, and the calls that run would fail for want of them.
"""

from __future__ import annotations

import resource

from twisted.internet.interfaces import IReadDescriptor
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
    Stops accepting while there are `most` connections.

    port: what accepts; set once it listens.
    """

    log = Logger()

    def __init__(self, most: int) -> None:
        self.port: IReadDescriptor | None = None
        self._most = most
        self._is_full = False

    def changed(self, connections: int) -> None:
        """So many are open now."""
        is_full = connections >= self._most
        if self.port is None or is_full == self._is_full:
            return
        self._is_full = is_full
        if is_full:
            self.log.warn(  # noqa: G010 (Twisted's name)
                "{count} clients are connected, others have to wait", count=connections
            )
            self.port.stopReading()  # type: ignore[attr-defined]
        else:
            self.port.startReading()  # type: ignore[attr-defined]
