"""
One renewal of one auth file, from its lock to the disk.

Refresh tokens are used once: who uses one must keep the new one, whatever happens, and who finds
his used up looks first whether somebody else has written a new one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from aiproxy.errors import CredentialDisabled, CredentialError
from aiproxy.messages import Login
from aiproxy.providers.contract import Change, Flow
from aiproxy.redaction import Secret, without
from aiproxy.services import authfiles
from aiproxy.services.flows import drive
from aiproxy.services.locking import FileLock
from aiproxy.services.loginentry import Entry, Unsaved
from aiproxy.settings import Upstream
from aiproxy.upstream.client import UpstreamClient

Threads: TypeAlias = Callable[..., "Deferred[Any]"]

SAVE_SECONDS = 10.0
"""Between attempts to write a file that could not be written."""

_LOOKS_SECONDS = (0.0, 0.5, 1.0)
"""After a refresh token was used up by another: when to look for what that one writes."""

_SETTLING_SECONDS = 0.2
"""In which a program has written the few bytes of an auth file, if it is at it."""

_OWN_FAULT = CredentialError("the renewal failed inside aiproxy")

_DISABLED = (Change(("disabled",), True),)


class Renewal:
    """wall: Unix seconds. in_thread: runs a function where it may block."""

    log = Logger()

    def __init__(
        self,
        client: UpstreamClient,
        clock: IReactorTime,
        wall: Callable[[], float],
        in_thread: Threads,
    ) -> None:
        self._client = client
        self._clock = clock
        self._wall = wall
        self._in_thread = in_thread

    async def run(self, entry: Entry, used: Secret | None) -> None:
        """
        Make the entry's login usable.

        used: the token that must be replaced, None for none in particular.
        Raises: CredentialError, which the entry remembers.
        """
        lock = FileLock(entry.path, self._clock)
        try:
            await self._lock(lock, entry)
            await self._renew(entry, used)
        except CredentialDisabled:
            raise
        except CredentialError as error:
            if entry.blocked(self._clock.seconds()) is None:
                entry.failed(error, self._clock.seconds())
                self.log.warn(  # noqa: G010 (Twisted's name)
                    "{path} not renewed, again in {pause:.0f}s: {problem}",
                    path=entry.path,
                    pause=entry.retry_at - self._clock.seconds(),
                    problem=error.reply.message,
                )
            raise
        except CancelledError:
            raise
        except Exception:
            self.log.failure("{path} not renewed", path=entry.path)
            entry.failed(_OWN_FAULT, self._clock.seconds())
            raise _OWN_FAULT.anew() from None
        finally:
            lock.release()

    async def _lock(self, lock: FileLock, entry: Entry) -> None:
        try:
            await lock.acquire()
        except OSError as error:
            self.log.warn(  # noqa: G010 (Twisted's name)
                "no lock for {path}, nobody else should renew it: {reason}",
                path=entry.path,
                reason=error.strerror or "not possible",
            )

    async def _renew(self, entry: Entry, used: Secret | None) -> None:
        await self._look(entry)
        if entry.unsaved is not None:
            await self._write(entry, entry.unsaved)
        login = entry.ready(self._clock.seconds())
        if login.access_token == used or entry.is_stale(login, self._wall()):
            login = await self._newer(entry, login)
        if entry.lacks(login):
            await self._discovered(entry, login)
        entry.succeeded()

    async def _discovered(self, entry: Entry, login: Login) -> None:
        """The file has what the login lacked."""
        flow = entry.provider.discover(login, entry.upstream, self._wall())
        try:
            changes = await self._result(entry, login, flow)
        except CredentialDisabled as error:
            entry.revoke(login, error)
            raise
        await self._keep(entry, login, changes)

    async def _look(self, entry: Entry) -> None:
        entry.look(self._wall())
        if entry.is_suspect():
            await deferLater(self._clock, _SETTLING_SECONDS)
            entry.look(self._wall())

    async def _newer(self, entry: Entry, login: Login) -> Login:
        """A login with another token than this one."""
        if not login.refresh_token:
            problem = CredentialDisabled(
                "its token has run out and cannot be renewed; log in again"
            )
            entry.revoke(login, problem)
            raise problem.anew()
        try:
            changes = await self._asked(entry, login)
        except CredentialDisabled as error:
            newer = await self._rotated(entry, login)
            if newer is None:
                await self._disable(entry, login, error)
                raise
            if not entry.is_stale(newer, self._wall()):
                return newer
            login = newer
            try:
                changes = await self._asked(entry, login)
            except CredentialDisabled as again:
                await self._disable(entry, login, again)
                raise
        return await self._keep(entry, login, changes)

    async def _asked(self, entry: Entry, login: Login) -> tuple[Change, ...]:
        """What the vendor gives for the login's refresh token."""
        flow = entry.provider.renew(login, entry.upstream, self._wall())
        changes = await self._result(entry, login, flow)
        self.log.info("{path} renewed", path=entry.path)
        return changes

    async def _rotated(self, entry: Entry, login: Login) -> Login | None:
        """What somebody else has renewed without our lock, as vendors' own programs do."""
        for pause in _LOOKS_SECONDS:
            await deferLater(self._clock, pause)
            entry.look(self._wall())
            found = entry.ready(self._clock.seconds())
            if found.refresh_token != login.refresh_token:
                return found
        return None

    async def _disable(self, entry: Entry, login: Login, problem: CredentialDisabled) -> None:
        entry.revoke(login, problem)
        has_new_login = entry.look(self._wall())
        if login.is_ours and not has_new_login:
            try:
                entry.changed(_DISABLED, self._wall())
                await self._write(entry, None)
            except CredentialError:
                self.log.failure("{path} not marked as disabled", path=entry.path)

    async def _keep(self, entry: Entry, login: Login, changes: tuple[Change, ...]) -> Login:
        """Have `changes` in the file before anybody uses them, unless it holds a new login."""
        entry.look(self._wall())
        found = entry.login
        if changes and found is not None and found.refresh_token == login.refresh_token:
            entry.changed(changes, self._wall())
            await self._write(entry, Unsaved(changes, login.refresh_token))
        return entry.ready(self._clock.seconds())

    async def _write(self, entry: Entry, unsaved: Unsaved | None) -> None:
        """unsaved: what to try again when it fails."""
        assert entry.snapshot is not None
        try:
            state = await self._in_thread(authfiles.write, entry.path, entry.snapshot.text)
        except OSError as error:
            self.log.error(
                "{path} cannot be written, its login lives in memory only: {reason}",
                path=entry.path,
                reason=error.strerror or "not possible",
            )
            entry.unsaved = unsaved
            entry.save_at = self._clock.seconds() + SAVE_SECONDS
        else:
            entry.written(state)

    async def _result(self, entry: Entry, login: Login, flow: Flow) -> tuple[Change, ...]:
        """login: that the flow is about."""
        try:
            return await drive(flow, entry.upstream, self._client, self._clock)
        except CredentialError as error:
            raise _without_secrets(error, login, entry.upstream) from None


def _without_secrets(error: CredentialError, login: Login, upstream: Upstream) -> CredentialError:
    """Services quote what they were shown."""
    message = error.reply.message
    for secret in (
        login.access_token,
        login.refresh_token,
        Secret(login.details.get("client_secret", "")),
        upstream.oauth_client_secret,
    ):
        message = without(message, secret)
    return type(error)(message, retry_after=error.reply.retry_after)
