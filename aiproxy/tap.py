"""
`twistd -n aiproxy`: its options, and the one place where all parts are put together.

Whatever keeps the program from starting is one readable message and exit status 1. The port is
bound before twistd forks, writes its pid file or opens its log, so that a taken one is told too.
"""

from __future__ import annotations

import errno
import os
import signal
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from types import FrameType
from typing import Any, NoReturn

from twisted.application.service import Service
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.threads import deferToThread
from twisted.logger import ILogObserver, LogEvent, Logger
from twisted.python import usage
from zope.interface import implementer

from aiproxy import __version__
from aiproxy.errors import SettingsError
from aiproxy.logs import AccessEntry, AccessLog, LineObserver, Sink, open_sink
from aiproxy.providers import API_TYPES, PROVIDERS
from aiproxy.services import reloader
from aiproxy.services.balancer import Balancer
from aiproxy.services.credentials import Credentials
from aiproxy.services.drain import Drain
from aiproxy.settings import Settings, Source, parse, summary
from aiproxy.translate import Translator
from aiproxy.upstream.client import UpstreamClient
from aiproxy.web import Listener, Record, Records, Web, bound, shown

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


def log_observer() -> ILogObserver:
    """What twistd's option `--logger` would name."""
    return _events


class Options(usage.Options):
    """The command line after `twistd -n aiproxy`."""

    synopsis = "[--config PATH] [--check | --demo]"
    optParameters = [["config", "c", "config.yaml", "The configuration file."]]
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
            print(summary(_load(self["config"])))
            raise SystemExit(0)
        twistd = self.parent
        if twistd is None:
            return
        if not twistd["nodaemon"] and (self["demo"] or not _load(self["config"]).log.file):
            raise SystemExit("aiproxy: a daemon needs log.file in its configuration; or use -n")
        if not any(twistd.get(choice) for choice in ("logger", "logfile", "syslog")):
            twistd["logger"] = f"{__name__}.{log_observer.__name__}"


def makeService(options: Options) -> Service:
    """Called by twistd. Raises: SystemExit with a message when it cannot start."""
    from twisted.internet import reactor

    if options["demo"]:
        return _demo(reactor)
    path = os.path.abspath(options["config"])
    settings = _load(path)
    listening = _bound(settings.bind, settings.port)
    daemon = Daemon(reactor, settings, listening)
    daemon.follow(path)
    return daemon


def _load(path: str) -> Settings:
    try:
        return _read(path)
    except SettingsError as error:
        raise SystemExit("\n".join(error.problems)) from None


def _read(path: str) -> Settings:
    """Raises: SettingsError."""
    return usable(reloader.load(path, os.environ, API_TYPES))


def usable(settings: Settings) -> Settings:
    """The settings without the upstreams that this version cannot speak to; a warning for each."""
    left_out = [
        upstream
        for upstream in settings.upstreams
        if upstream.enabled and upstream.api_type not in PROVIDERS
    ]
    warnings = (
        f"upstream {upstream.name}: api_type {upstream.api_type} is not supported by this "
        "version, it is left out"
        for upstream in left_out
    )
    return replace(
        settings,
        upstreams=tuple(upstream for upstream in settings.upstreams if upstream not in left_out),
        warnings=(*settings.warnings, *warnings),
    )


def _bound(host: str, port: int) -> socket.socket:
    """A listening socket. Raises: SystemExit with a message."""
    try:
        return bound(host, port)
    except OSError as error:
        reason = error.strerror or "not possible"
        raise SystemExit(f"aiproxy: cannot listen on {shown(host, port)}: {reason}") from None


@dataclass(slots=True)
class Current:
    """The settings in force."""

    settings: Settings

    def __call__(self) -> Settings:
        return self.settings


class Daemon(Service):
    """
    The whole program, started and stopped in order.

    listening: bound already. before: told first at a start, last at a stop.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        settings: Settings,
        listening: socket.socket,
        before: Sequence[Service] = (),
    ) -> None:
        self._reactor = reactor
        self._current = Current(settings)
        self._address = listening.getsockname()[:2]
        self._before = tuple(before)
        self._reloader: reloader.Reloader | None = None
        self._sink = _sink(settings)
        _events.observer = LineObserver(self._sink)
        self._access = AccessLog(self._sink, reactor)
        self._drain = Drain(settings.max_concurrent_requests, reactor)
        self._upstreams = UpstreamClient(reactor)
        credentials = Credentials(reactor)
        self._balancer = Balancer(settings, credentials, reactor)
        records = Records(lambda record: self._access.add(entry(record)), reactor)
        translator = Translator(
            self._current, self._balancer, credentials, self._upstreams, reactor, records.ended
        )
        web = Web(self._current, translator, self._balancer, self._drain, records, reactor)
        self._site = web.site()
        self._listener = Listener(reactor, listening, self._site)

    def follow(self, path: str) -> None:
        """Reload the configuration whenever the file changes."""
        self._reloader = reloader.Reloader(
            path, lambda: _read(path), self._publish, self._current.settings, self._reactor
        )

    def startService(self) -> None:
        super().startService()
        settings = self._current.settings
        for warning in settings.warnings:
            self.log.warn("{warning}", warning=warning)  # noqa: G010 (Twisted's name for it)
        for service in (*self._before, self._balancer, self._access):
            service.startService()
        if self._reloader is not None:
            self._reloader.startService()
        self._listener.startService()
        # The reactor sets its own handlers when it begins to run.
        self._reactor.callWhenRunning(self._take_signals)
        self.log.info(
            "aiproxy {version} listens on {address}, {upstreams} upstreams, {keys} client keys",
            version=__version__,
            address=shown(*self._address),
            upstreams=sum(upstream.enabled for upstream in settings.upstreams),
            keys=len(settings.api_keys),
        )

    def stopService(self) -> Deferred[None]:
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        """Nobody new; then the running calls; then what they need."""
        if self._reloader is not None:
            self._reloader.stopService()
        await maybeDeferred(self._listener.stopService)
        cut = await self._drain.stop(self._current.settings.drain_timeout_seconds)
        await self._site.close()
        await self._upstreams.close()
        for service in (self._balancer, *self._before):
            service.stopService()
        self.log.info("stopped, {cut} calls cut", cut=cut)
        self._access.stopService()

    def _publish(self, settings: Settings) -> None:
        self._current.settings = settings
        self._balancer.apply(settings)
        self._drain.set_limit(settings.max_concurrent_requests)

    def _take_signals(self) -> None:
        """
        SIGTERM and SIGINT stop gracefully, the second one at once; SIGHUP reloads.

        The reactor's own handlers would fail at the second, and make a good end an end by signal.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_stop_signal)
        signal.signal(signal.SIGHUP, self._on_hangup)

    def _on_stop_signal(self, number: int, frame: FrameType | None) -> None:
        for either in (signal.SIGTERM, signal.SIGINT):
            signal.signal(either, self._on_second_signal)
        self._reactor.callFromThread(self._reactor.stop)

    def _on_second_signal(self, number: int, frame: FrameType | None) -> None:
        self._access.flush()
        os._exit(1)

    def _on_hangup(self, number: int, frame: FrameType | None) -> None:
        self._reactor.callFromThread(self._reload)

    def _reload(self) -> None:
        self._access.flush()
        self._sink.reopen()
        if self._reloader is not None:
            self._reloader.reload_now()


def _sink(settings: Settings) -> Sink:
    """Raises: SystemExit with a message."""

    def in_thread(work: Callable[[], None]) -> object:
        return deferToThread(work)

    try:
        return open_sink(settings.log, in_thread)
    except OSError as error:
        reason = error.strerror or "not possible"
        raise SystemExit(f"aiproxy: cannot write {settings.log.file}: {reason}") from None


def entry(record: Record) -> AccessEntry:
    """One request as its access line tells it; all input tokens count as in, cached or not."""
    refused = AccessEntry(
        id=record.id,
        client=record.wire,
        model="",
        mapped="",
        upstream="",
        attempts=0,
        status=record.status,
        request_bytes=record.request_bytes,
        response_bytes=record.response_bytes,
        first_event=None,
        duration=record.duration,
        outcome="refused",
    )
    trail = record.trail
    if trail is None:
        return refused
    first_event, usage = trail.first_event, trail.usage
    call = replace(
        refused,
        model=trail.call.head.model,
        mapped=trail.mapped_model,
        upstream=trail.upstream,
        attempts=trail.attempts,
        first_event=None if first_event is None else first_event - trail.started,
        stream=trail.call.head.stream,
        losses=tuple(loss.feature for loss in trail.losses),
        outcome=trail.outcome,
    )
    if usage is None:
        return call
    return replace(
        call,
        in_tokens=usage.input + usage.cache_read + usage.cache_write,
        cached_tokens=usage.cache_read,
        out_tokens=usage.output + usage.reasoning,
        reasoning_tokens=usage.reasoning,
    )


def _demo(reactor: Any) -> Daemon:
    """A proxy and a simulated upstream in one process, and a line to try them with."""
    # Only here: nothing of it belongs into a process that serves real clients.
    from aiproxy import simulator

    upstream = _bound("127.0.0.1", 0)
    text = simulator.DEMO_CONFIG.replace("{port}", str(upstream.getsockname()[1]))
    settings = parse(text, Source("demo.yaml", {}, reloader.read_text, API_TYPES))
    try:
        listening = bound(settings.bind, settings.port)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        print(f"{shown(settings.bind, settings.port)} is taken, the demo goes to another port.")
        listening = _bound(settings.bind, 0)
    address = shown(*listening.getsockname()[:2])
    print(_WELCOME.format(address=address), flush=True)
    return Daemon(reactor, settings, listening, [Listener(reactor, upstream, simulator.site())])


_WELCOME = """\
aiproxy answers on http://{address} from a simulated upstream; no account or key is needed.
Try it:

curl -N http://{address}/v1/messages -H 'content-type: application/json' \\
  -d '{{"model": "echo", "max_tokens": 100, "stream": true,
       "messages": [{{"role": "user", "content": "Hello"}}]}}'
"""
