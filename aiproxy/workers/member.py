"""A worker's end of the pipes."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.stdio import StandardIO
from twisted.python.failure import Failure

from aiproxy.routing.news import News
from aiproxy.workers.channel import Lines, Message, messages, written
from aiproxy.workers.supervisor import CONFIGURATION, LINES, LISTENING, ORDERS, REPORTS

__all__ = ["LISTENING", "Member", "configuration", "lines"]


def lines() -> Any:
    """Where a worker's log lines go, as a text stream."""
    return os.fdopen(LINES, "w", encoding="utf-8", errors="backslashreplace", closefd=False)


def configuration() -> str:
    """The text of the configuration to begin with; waits for its end."""
    with open(CONFIGURATION, encoding="utf-8") as pipe:
        return pipe.read()


class Member(Protocol):
    """
    Does what the first process says.

    reload, stop: its orders; `stop` comes too when that process is gone.
    hear: what another worker has found out.
    """

    def __init__(
        self,
        reload: Callable[[], None],
        stop: Callable[[], None],
        hear: Callable[[News], None],
    ) -> None:
        self._reload = reload
        self._stop = stop
        self._hear = hear
        self._lines = Lines(self._ordered)

    def join(self, reactor: Any) -> None:
        """Take up the pipes."""
        make: Any = StandardIO
        make(self, ORDERS, REPORTS, reactor=reactor)

    def tell(self, news: News) -> None:
        """Let the other workers know; nothing is lost when they cannot be told."""
        if self.transport is not None:
            self.transport.write(written(Message("hear", news)))

    def dataReceived(self, data: bytes) -> None:
        self._lines.feed(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.transport = None
        self._stop()

    def _ordered(self, whole: bytes) -> None:
        for message in messages(whole):
            match message.do:
                case "reload":
                    self._reload()
                case "stop":
                    self._stop()
                case "hear":
                    if message.news is not None:
                        self._hear(message.news)
