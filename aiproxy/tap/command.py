"""
The command line, and what twistd calls.

Whatever keeps the program from starting is one readable message and exit status 1. The port is
bound before twistd forks, writes its pid file or opens its log, so that a taken one is told too.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from typing import Any, NoReturn

from twisted.application.service import Service
from twisted.internet.threads import deferToThread
from twisted.logger import ILogObserver, LogEvent
from twisted.python import usage
from zope.interface import implementer

from aiproxy import __version__
from aiproxy.errors import SettingsError
from aiproxy.logs import LineObserver, Sink, StreamSink, open_sink
from aiproxy.services.logincheck import described
from aiproxy.services.reloader import written
from aiproxy.settings import Settings, is_loopback, summary
from aiproxy.tap.collector import settle
from aiproxy.tap.configuration import understood
from aiproxy.tap.daemon import Daemon
from aiproxy.tap.demo import demo
from aiproxy.tap.team import Team
from aiproxy.web import bound, shown
from aiproxy.workers import LISTENING, configuration, lines

_CHATTER = frozenset(
    {"twisted.web.client._HTTP11ClientFactory", "twisted.web._newclient.HTTPClientParser"}
)
"""They tell of every connection to an upstream, and of each 1xx that it sends before an answer."""


@implementer(ILogObserver)
class _Events:
    """
    Where twistd's log events go.

    twistd takes an observer by its name, before there is a configuration to say where to write;
    it asks for it after `makeService`, which sets `observer`. The log is the process's in Twisted
    too, so that one object for the module is no more global than what it stands for.
    """

    observer: ILogObserver | None = None

    def __call__(self, event: LogEvent) -> None:
        if self.observer is not None and event.get("log_namespace") not in _CHATTER:
            self.observer(event)


_events = _Events()


_HANDED_OVER = 3
"""systemd's SD_LISTEN_FDS_START."""


def log_observer() -> ILogObserver:
    """What twistd's option `--logger` would name."""
    return _events


class Options(usage.Options):
    """The command line after `twistd -n aiproxy`."""

    synopsis = "[--config PATH] [--check | --demo]"
    optParameters = [
        ["config", "c", "config.yaml", "The configuration file."],
        ["worker", None, None, "Only for aiproxy itself: be this one of several processes."],
    ]
    optFlags = [
        ["check", None, "Check the configuration, say what it amounts to, and stop."],
        ["demo", None, "Run with a simulated upstream, without a configuration or a key."],
    ]

    def opt_version(self) -> NoReturn:
        """Print aiproxy's version and stop."""
        print(f"aiproxy {__version__}")
        raise SystemExit(0)

    def postOptions(self) -> None:
        if self["check"]:
            _, settings = _load(self["config"])
            print(summary(settings, tuple(described(settings.upstreams, time.time()))))
            raise SystemExit(0)
        twistd = self.parent
        if twistd is None:
            return
        if not twistd["nodaemon"] and (self["demo"] or not _load(self["config"])[1].log.file):
            raise SystemExit("aiproxy: a daemon needs log.file in its configuration; or use -n")
        if not any(twistd.get(choice) for choice in ("logger", "logfile", "syslog")):
            twistd["logger"] = f"{__name__}.{log_observer.__name__}"


def makeService(options: Options) -> Service:
    """Called by twistd. Raises: SystemExit with a message when it cannot start."""
    from twisted.internet import reactor

    if options["demo"]:
        stderr = StreamSink()
        _events.observer = LineObserver(stderr)
        return demo(reactor, stderr)
    path = os.path.abspath(options["config"])
    if options["worker"]:
        return _worker(reactor, path)
    text, settings = _load(path)
    listening = _listening(settings)
    sink = _sink(settings)
    _events.observer = LineObserver(sink)
    count = settings.workers or len(os.sched_getaffinity(0))
    if count > 1:
        return Team(reactor, path, text, settings, count, listening, sink)
    reactor.callLater(0, settle)
    daemon = Daemon(reactor, settings, listening, sink)
    daemon.follow(path)
    return daemon


def _worker(reactor: Any, path: str) -> Daemon:
    """One of several processes; what they share comes from the first one."""
    sink = StreamSink(lines())
    _events.observer = LineObserver(sink)
    settings = understood(configuration(), path)
    listening = socket.socket(fileno=LISTENING)
    reactor.callLater(0, settle)
    daemon = Daemon(reactor, settings, listening, sink)
    daemon.follow(path)
    daemon.join()
    return daemon


def _load(path: str) -> tuple[str, Settings]:
    """The text of the configuration, and what it says. Raises: SystemExit with a message."""
    try:
        text = written(path)
        return text, understood(text, path)
    except SettingsError as error:
        raise SystemExit("\n".join(error.problems)) from None


def _listening(settings: Settings) -> socket.socket:
    """The socket that clients connect to. Raises: SystemExit with a message."""
    if not settings.socket_activation:
        return _bound(settings.bind, settings.port)
    try:
        listening = socket.socket(fileno=_HANDED_OVER)
        is_listening = listening.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError:
        is_listening = 0
    if not is_listening:
        raise SystemExit("aiproxy: listen is systemd, but systemd has handed over no socket")
    listening.setblocking(False)
    host = listening.getsockname()[0]
    if not (settings.api_keys or settings.allow_unauthenticated or is_loopback(host)):
        raise SystemExit(
            f"aiproxy: the socket of systemd is on {host}, reachable without api-key; set api-key, "
            'or "allow_unauthenticated: true" if everybody may call'
        )
    return listening


def _bound(host: str, port: int) -> socket.socket:
    """A listening socket. Raises: SystemExit with a message."""
    try:
        return bound(host, port)
    except OSError as error:
        reason = error.strerror or "not possible"
        raise SystemExit(f"aiproxy: cannot listen on {shown(host, port)}: {reason}") from None


def _sink(settings: Settings) -> Sink:
    """Raises: SystemExit with a message."""

    def in_thread(work: Callable[[], None]) -> object:
        return deferToThread(work)

    try:
        return open_sink(settings.log, in_thread)
    except OSError as error:
        reason = error.strerror or "not possible"
        raise SystemExit(f"aiproxy: cannot write {settings.log.file}: {reason}") from None
