"""
The logins that auth files hold: read, watched, renewed before they run out, written back.

One `_Entry` for each file and api_type. A renewal holds the file's lock, reads the file anew, takes
what somebody else has renewed meanwhile, and otherwise asks the vendor; its result is on disk
before anybody uses it. All who need it wait for the same renewal, and may leave while it goes on.

What a person must mend (missing, unreadable, not a login, revoked) is told once and passed over
until the file changes; what may mend itself is tried again later and later.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Mapping

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.internet.threads import deferToThread
from twisted.logger import Logger
from twisted.python.failure import Failure

from aiproxy.errors import CredentialDisabled, CredentialError
from aiproxy.messages import Login
from aiproxy.outcome import outcome
from aiproxy.providers import PROVIDERS
from aiproxy.providers.contract import LoginProvider, Provider
from aiproxy.redaction import Secret
from aiproxy.services.loginentry import Entry
from aiproxy.services.renewal import Renewal, Threads
from aiproxy.settings import Upstream
from aiproxy.upstream.client import UpstreamClient

POLL_SECONDS = 1.0
RENEWAL_SECONDS = 30.0
"""How often files are looked at, and logins for whether they will run out soon."""

REFUSED_SECONDS = 300.0
"""A login whose new token was refused, too: for so long nothing is tried with it."""

STOP_SECONDS = 10.0


class Logins(Service):
    """
    clock: for waits. wall: Unix seconds. in_thread: runs a function where it may block.
    """

    log = Logger()

    def __init__(
        self,
        client: UpstreamClient,
        clock: IReactorTime,
        *,
        providers: Mapping[str, Provider] = PROVIDERS,
        wall: Callable[[], float] = time.time,
        in_thread: Threads = deferToThread,
    ) -> None:
        self._clock = clock
        self._providers = providers
        self._wall = wall
        self._renewal = Renewal(client, clock, wall, in_thread)
        self._entries: dict[tuple[str, str], Entry] = {}
        # Also those of files that are no longer followed.
        self._running: set[Deferred[None]] = set()
        self._watchers: list[Callable[[str], None]] = []
        self._poller = LoopingCall(self._poll)
        self._renewer = LoopingCall(self._renew_soon)
        self._poller.clock = self._renewer.clock = clock

    def startService(self) -> None:
        super().startService()
        self._poller.start(POLL_SECONDS, now=False)
        self._renewer.start(RENEWAL_SECONDS, now=False)

    def stopService(self) -> Deferred[None]:
        """Fires when the renewals under way have been written, or were given up."""
        super().stopService()
        for loop in (self._poller, self._renewer):
            if loop.running:
                loop.stop()
        return Deferred.fromCoroutine(self._stop())

    def apply(self, upstreams: Iterable[Upstream]) -> None:
        """Follow the files of these upstreams, and no others."""
        wanted = {
            (path, upstream.api_type): upstream
            for upstream in upstreams
            if upstream.enabled and self.provider(upstream) is not None
            for path in upstream.auth_files
        }
        for key in [key for key in self._entries if key not in wanted]:
            # One that is being renewed comes to its end by itself, before the process does.
            del self._entries[key]
        for (path, _), upstream in wanted.items():
            entry = self._entry(path, upstream)
            if entry.upstream != upstream:
                entry.reconsider(upstream)
            self._look(entry)

    def when_changed(self, watcher: Callable[[str], None]) -> None:
        """`watcher` is told the path of each file that somebody else has changed."""
        self._watchers.append(watcher)

    def provider(self, upstream: Upstream) -> LoginProvider | None:
        """Who reads the upstream's auth files; None when it is paid with tokens."""
        provider = self._providers.get(upstream.api_type)
        return provider if isinstance(provider, LoginProvider) else None

    # ── for calls ──

    def usable(self, path: str, upstream: Upstream) -> Deferred[Login]:
        """
        The login of a file, renewed first where it must be; cancelling only ends the waiting.

        Fails with CredentialError when it cannot be used now.
        """
        return Deferred.fromCoroutine(self.use(path, upstream))

    async def use(self, path: str, upstream: Upstream) -> Login:
        """`usable` for coroutines: a Deferred between two of them holds the errors of both."""
        return await self._usable(self._entry(path, upstream))

    def renewed(self, path: str, upstream: Upstream, used: Secret) -> Deferred[Login | None]:
        """
        The login after its token `used` was refused; None when nothing new is to be had.

        Fails with CredentialError when it cannot be renewed.
        """
        return Deferred.fromCoroutine(self.renew(path, upstream, used))

    async def renew(self, path: str, upstream: Upstream, used: Secret) -> Login | None:
        """`renewed` for coroutines."""
        return await self._renewed(self._entry(path, upstream), used)

    def refused(self, path: str, upstream: Upstream) -> None:
        """Even a renewed token was refused: leave the login alone for a while."""
        entry = self._entry(path, upstream)
        error = CredentialError(f"{path}: the upstream refuses its token, new as it is")
        entry.block(error, self._clock.seconds() + REFUSED_SECONDS)

    def is_blocked(self, path: str, upstream: Upstream) -> bool:
        """Whether the login cannot be used, whatever one waits for."""
        return self._entry(path, upstream).blocked(self._clock.seconds()) is not None

    async def _usable(self, entry: Entry) -> Login:
        login = entry.ready(self._clock.seconds())
        is_stale = entry.is_stale(login, self._wall())
        if not is_stale and not entry.lacks(login):
            return login
        failure = entry.failure
        if failure is None or self._clock.seconds() >= entry.retry_at:
            try:
                await outcome(self._join(entry, login.access_token if is_stale else None))
                return entry.ready(self._clock.seconds())
            except CredentialDisabled:
                raise
            except CredentialError as error:
                failure = error.anew()
        if entry.is_still_valid(login, self._wall()):
            return login
        raise entry.waiting(failure, self._clock.seconds())

    async def _renewed(self, entry: Entry, used: Secret) -> Login | None:
        login = entry.ready(self._clock.seconds())
        if login.access_token == used:
            entry.rejected = used
            if entry.failure is not None and self._clock.seconds() < entry.retry_at:
                raise entry.waiting(entry.failure, self._clock.seconds())
            await outcome(self._join(entry, used))
            login = entry.ready(self._clock.seconds())
        return None if login.access_token == used else login

    # ── one renewal for all ──

    def _join(self, entry: Entry, used: Secret | None = None) -> Deferred[None]:
        """Wait for the renewal that runs, or for a new one."""
        waiter: Deferred[None] = Deferred(lambda left: entry.waiters.discard(left))
        entry.waiters.add(waiter)
        if entry.running is None:
            self._begin(entry, used)
        return waiter

    def _begin(self, entry: Entry, used: Secret | None = None) -> None:
        entry.running = running = Deferred.fromCoroutine(self._renewal.run(entry, used))
        self._running.add(running)

        def ended(result: Failure | None) -> None:
            entry.running = None
            self._running.discard(running)
            waiters = list(entry.waiters)
            entry.waiters.clear()
            for waiter in waiters:
                # What one of them does may make another one leave.
                if not waiter.called:
                    waiter.callback(result)

        running.addBoth(ended)

    async def _stop(self) -> None:
        running = tuple(self._running)
        for renewal in running:
            renewal.addTimeout(STOP_SECONDS, self._clock, onTimeoutCancel=lambda *_: None)
        for renewal in running:
            await renewal

    # ── by the clock ──

    def _entry(self, path: str, upstream: Upstream) -> Entry:
        key = (path, upstream.api_type)
        entry = self._entries.get(key)
        if entry is None:
            provider = self.provider(upstream)
            assert provider is not None, upstream.api_type
            entry = self._entries[key] = Entry(path, provider, upstream, random.random())
            self._look(entry)
        return entry

    def _poll(self) -> None:
        """Look at all files; must not raise, or it would be the last time."""
        for entry in list(self._entries.values()):
            try:
                self._look(entry)
            except Exception:
                self.log.failure("cannot follow {path}", path=entry.path)

    def _look(self, entry: Entry) -> None:
        if entry.running is not None:
            return
        if entry.look(self._wall()):
            for watcher in self._watchers:
                watcher(entry.path)
        if entry.must_save(self._clock.seconds()):
            self._begin(entry)

    def _renew_soon(self) -> None:
        """Renew what would have to be renewed soon anyway, so that no call waits; as `_poll`."""
        for entry in list(self._entries.values()):
            try:
                if entry.running is None and entry.is_due(self._clock.seconds(), self._wall()):
                    assert entry.login is not None
                    self._begin(entry, entry.login.access_token)
            except Exception:
                self.log.failure("cannot renew {path}", path=entry.path)
