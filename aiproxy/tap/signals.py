"""What signals do."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any

from twisted.internet.error import ReactorNotRunning


def stop(reactor: Any) -> None:
    """
    Stop it, unless it is about to stop already.

    To a worker a signal, an order, and the end of the pipe that it comes through may all say so.
    """
    with suppress(ReactorNotRunning):
        reactor.stop()


class Signals:
    """
    SIGTERM and SIGINT stop gracefully, the second one at once; SIGHUP reloads.

    The reactor's own handlers would fail at the second, and make a good end an end by signal.

    reload: for SIGHUP. last_words: called when the process ends at once; must be quick.
    """

    def __init__(
        self, reactor: Any, reload: Callable[[], None], last_words: Callable[[], None]
    ) -> None:
        self._reactor = reactor
        self._reload = reload
        self._last_words = last_words

    def take(self) -> None:
        """From when the reactor runs: it sets its own handlers when it begins to."""
        self._reactor.callWhenRunning(self._install)

    def _install(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_stop)
        signal.signal(signal.SIGHUP, self._on_hangup)

    def _on_stop(self, number: int, frame: FrameType | None) -> None:
        for either in (signal.SIGTERM, signal.SIGINT):
            signal.signal(either, self._on_second)
        self._reactor.callFromThread(stop, self._reactor)

    def _on_second(self, number: int, frame: FrameType | None) -> None:
        self._last_words()
        os._exit(1)

    def _on_hangup(self, number: int, frame: FrameType | None) -> None:
        self._reactor.callFromThread(self._reload)
