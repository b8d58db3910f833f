"""The first of several processes."""

from __future__ import annotations

import os
import socket
import sys
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from aiproxy import __version__
from aiproxy.logs import Sink
from aiproxy.services.reloader import Reloader, written
from aiproxy.settings import Settings
from aiproxy.tap.configuration import understood
from aiproxy.tap.signals import Signals
from aiproxy.web import shown
from aiproxy.workers import Supervisor

_TWISTD = (sys.executable, "-c", "from twisted.scripts.twistd import run; run()")
"""twistd of this very interpreter, wherever its script is."""

_FAREWELL_SECONDS = 10.0
"""For a worker to end after the calls that it had to cut."""


class Team(Service):
    """
    Starts the workers, follows the configuration for them all, writes their log.

    text: what `settings` were made of. A worker begins with the last text that could be used, so
    that one that has to be replaced does not depend on what the file says just then.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        path: str,
        text: str,
        settings: Settings,
        count: int,
        listening: socket.socket,
        sink: Sink,
    ) -> None:
        self._reactor = reactor
        self._path = path
        self._text = self._latest = text
        self._settings = settings
        self._count = count
        self._address = listening.getsockname()[:2]
        self._sink = sink
        command = (*_TWISTD, "-n", "--pidfile=", "aiproxy", "--config", path, "--worker")
        self._workers = Supervisor(
            reactor,
            count,
            command,
            dict(os.environ),
            listening,
            lambda: self._text,
            sink.write,
            self._grace,
        )
        self._reloader = Reloader(path, self._read, self._publish, settings, reactor)

    def startService(self) -> None:
        super().startService()
        self.log.info(
            "aiproxy {version} starts {count} workers for {address}",
            version=__version__,
            count=self._count,
            address=shown(*self._address),
        )
        self._workers.startService()
        self._reloader.startService()
        Signals(self._reactor, self._reload, self._workers.kill).take()

    def stopService(self) -> Deferred[None]:
        super().stopService()
        self._reloader.stopService()
        stopped = self._workers.stopService()
        return stopped.addCallback(lambda _: self.log.info("stopped"))

    def _grace(self) -> float:
        return self._settings.drain_timeout_seconds + _FAREWELL_SECONDS

    def _read(self) -> Settings:
        self._latest = written(self._path)
        return understood(self._latest, self._path)

    def _publish(self, settings: Settings) -> None:
        self._settings, self._text = settings, self._latest
        self._workers.reload()

    def _reload(self) -> None:
        self._sink.reopen()
        self._reloader.reload_now()
