"""One complete aiproxy: every part, made and joined."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.threads import deferToThread
from twisted.logger import Logger

from aiproxy import __version__
from aiproxy.aside import Aside
from aiproxy.logs import AccessEntry, AccessLog, Sink
from aiproxy.services.balancer import Balancer
from aiproxy.services.credentials import Credentials
from aiproxy.services.drain import Drain
from aiproxy.services.logins import Logins
from aiproxy.services.reloader import Reloader
from aiproxy.settings import Settings
from aiproxy.tap.configuration import read
from aiproxy.tap.memory import Memory
from aiproxy.tap.signals import Signals, stop
from aiproxy.translate import Translator
from aiproxy.upstream.client import UpstreamClient
from aiproxy.web import (
    Listener,
    Record,
    Records,
    Room,
    Web,
    connections_within,
    raised_limit,
    shown,
)
from aiproxy.workers import Member


@dataclass(slots=True)
class Current:
    """The settings in force."""

    settings: Settings

    def __call__(self) -> Settings:
        return self.settings


class Daemon(Service):
    """
    The whole program, started and stopped in order.

    listening: bound already. sink: takes the log. before: told first at a start, last at a stop.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        settings: Settings,
        listening: socket.socket,
        sink: Sink,
        before: Sequence[Service] = (),
    ) -> None:
        self._reactor = reactor
        self._current = Current(settings)
        self._address = listening.getsockname()[:2]
        self._before = tuple(before)
        self._reloader: Reloader | None = None
        self._member: Member | None = None
        self._sink = sink
        self._access = AccessLog(sink, reactor)
        self._drain = Drain(settings.max_concurrent_requests, reactor)
        self._memory = Memory(lambda: self._drain.running, reactor)
        aside = Aside(deferToThread)
        self._upstreams = UpstreamClient(reactor, aside=aside)
        self._logins = Logins(self._upstreams, reactor)
        self._credentials = credentials = Credentials(self._logins, reactor)
        self._balancer = Balancer(settings, credentials, reactor)
        records = Records(lambda record: self._access.add(entry(record)), reactor)
        translator = Translator(
            self._current,
            self._balancer,
            credentials,
            self._upstreams,
            reactor,
            records.ended,
            aside=aside,
        )
        web = Web(self._current, translator, self._balancer, self._drain, records, reactor, aside)
        self._site = web.site()
        most = connections_within(raised_limit())
        self._room = self._site.room = Room(most, self._site.let_go)
        self._listener = Listener(reactor, listening, self._site, self._room)

    def follow(self, path: str) -> None:
        """Reload the configuration whenever the file changes."""
        self._reloader = Reloader(
            path, lambda: read(path), self._publish, self._current.settings, self._reactor
        )

    def join(self) -> None:
        """Be one worker of several, whose first process says when to reload and when to stop."""
        self._member = Member(self._reload, partial(stop, self._reactor), self._balancer.hear)
        self._balancer.tell = self._credentials.tell = self._member.tell
        self._room.share()

    def startService(self) -> None:
        super().startService()
        settings = self._current.settings
        for warning in settings.warnings:
            self.log.warn("{warning}", warning=warning)  # noqa: G010 (Twisted's name for it)
        self._logins.apply(settings.upstreams)
        for service in (*self._before, self._memory, self._balancer, self._logins, self._access):
            service.startService()
        if self._member is not None:
            self._member.join(self._reactor)
        elif self._reloader is not None:
            self._reloader.startService()
        self._listener.startService()
        Signals(self._reactor, self._reload, self._access.flush).take()
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
        # Renewals under way come to their end first: their tokens can be used only once.
        await self._logins.stopService()
        await self._upstreams.close()
        for service in (self._balancer, self._memory, *self._before):
            service.stopService()
        self.log.info("stopped, {cut} calls cut", cut=cut)
        self._access.stopService()

    def _publish(self, settings: Settings) -> None:
        self._current.settings = settings
        self._logins.apply(settings.upstreams)
        self._balancer.apply(settings)
        self._drain.set_limit(settings.max_concurrent_requests)
        self._upstreams.keep_for(each.home for each in settings.upstreams if each.enabled)

    def _reload(self) -> None:
        self._access.flush()
        self._sink.reopen()
        if self._reloader is not None:
            self._reloader.reload_now()


def entry(record: Record) -> AccessEntry:
    """One request as its access line tells it; all input tokens count as in, cached or not."""
    trail = record.trail
    if trail is None:
        return AccessEntry(
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
    first_event, usage, head = trail.first_event, trail.usage, trail.call.head
    return AccessEntry(
        id=record.id,
        client=record.wire,
        model=head.model,
        mapped=trail.mapped_model,
        upstream=trail.upstream,
        attempts=trail.attempts,
        status=record.status,
        request_bytes=record.request_bytes,
        response_bytes=record.response_bytes,
        first_event=None if first_event is None else first_event - trail.started,
        duration=record.duration,
        in_tokens=usage.input + usage.cache_read + usage.cache_write if usage else None,
        cached_tokens=usage.cache_read if usage else None,
        out_tokens=usage.output + usage.reasoning if usage else None,
        reasoning_tokens=usage.reasoning if usage else None,
        stream=head.stream,
        losses=tuple([loss.feature for loss in trail.losses]),
        outcome=trail.outcome,
    )
