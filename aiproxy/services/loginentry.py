"""What is known of one auth file: its login, what is wrong with it, and when to try again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from math import inf

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from aiproxy.errors import CredentialDisabled, CredentialError
from aiproxy.messages import Login
from aiproxy.providers.contract import Change, LoginProvider
from aiproxy.redaction import Secret
from aiproxy.services import authfiles
from aiproxy.services.authfiles import Signature, Snapshot
from aiproxy.services.jsonedit import edited
from aiproxy.settings import Upstream

FIRST_PAUSE_SECONDS = 5.0
LONGEST_PAUSE_SECONDS = 300.0
"""Between renewals that fail, doubling; a service that names a longer time is obeyed."""

LONGEST_WAIT_SECONDS = 3600.0

MOST_JITTER_SECONDS = 300.0
JITTER_PART = 0.1
"""How much earlier than necessary a login is renewed, of its life, so that not all are at once."""

_YOUNG_PART = 0.8
"""A token is not renewed before so much of its life is over, however early its vendor's rule is."""

_LAST_SECONDS = 10.0
"""A token that lives no longer than this is not worth a call."""

_NEVER_SEEN = object()


@dataclass(frozen=True, slots=True)
class Unsaved:
    """A renewal that could not be written. base: the refresh token that it used up."""

    changes: tuple[Change, ...] = field(repr=False)
    base: Secret


class Entry:
    """
    One auth file as one api_type reads it. `now`: of the clock; `wall`: Unix seconds.

    running: the renewal under way; waiters: who waits for it.
    failure: of the latest renewal, which may be tried again at `retry_at`.
    unsaved: what is not on disk yet, to be written at `save_at`.
    rejected: the latest token that the upstream did not accept.
    """

    log = Logger()

    def __init__(
        self, path: str, provider: LoginProvider, upstream: Upstream, jitter: float
    ) -> None:
        """jitter: from 0 to 1, how much of it this file has."""
        self.path = path
        self.provider = provider
        self.upstream = upstream
        self.snapshot: Snapshot | None = None
        self.login: Login | None = None
        self.running: Deferred[None] | None = None
        self.waiters: set[Deferred[None]] = set()
        self.failure: CredentialError | None = None
        self.retry_at = 0.0
        self.unsaved: Unsaved | None = None
        self.save_at = 0.0
        self.rejected: Secret | None = None
        self._failures = 0
        self._jitter = jitter
        self._seen: object = _NEVER_SEEN
        self._suspect: object = _NEVER_SEEN
        self._problem: CredentialError | None = None
        self._problem_until = inf
        self._revoked: tuple[int, bytes] | None = None
        self._obtained_at: float | None = None

    # ── may it be used ──

    def ready(self, now: float) -> Login:
        """The login as it is. Raises: CredentialError."""
        problem = self.blocked(now)
        if problem is not None:
            raise problem.anew()
        assert self.login is not None
        return self.login

    def blocked(self, now: float) -> CredentialError | None:
        """Why the login cannot be used at all, None when it can."""
        if self._problem is not None and now >= self._problem_until:
            self._problem = None
        return self._problem

    def block(self, problem: CredentialError, until: float = inf) -> None:
        """Not to be used until then, or until the file changes."""
        self._problem, self._problem_until = problem.anew(), until
        self.log.warn(  # noqa: G010 (Twisted's name)
            "{path} is not used: {problem}",
            path=self.path,
            problem=problem.reply.message.removeprefix(f"{self.path}: "),
        )

    def revoke(self, login: Login, problem: CredentialError) -> None:
        """Only a new login helps; the same one is known again, even in a file written anew."""
        if self.snapshot is not None:
            self._revoked = _identity(self.snapshot.signature, login)
        self.block(problem)

    def reconsider(self, upstream: Upstream) -> None:
        """Other settings: what failed may be what was wrong with the old ones."""
        self.upstream = upstream
        self._revoked = None
        self._seen = _NEVER_SEEN
        self.succeeded()

    # ── when to renew ──

    def is_stale(self, login: Login, wall: float) -> bool:
        """Whether the token must be replaced before its next use."""
        if not login.refresh_token or login.access_token == self.rejected:
            return not self._is_good(login, wall)
        if not login.access_token:
            return True
        return self.provider.is_stale(login, wall) and not self._is_young(login, wall)

    def lacks(self, login: Login) -> bool:
        return self.provider.lacks(login, self.upstream)

    def is_still_valid(self, login: Login, wall: float) -> bool:
        """Whether the login will do although it should have been renewed."""
        return self._is_good(login, wall) and not self.lacks(login)

    def is_due(self, now: float, wall: float) -> bool:
        """Whether to renew before anybody has to wait for it."""
        login = self.login
        if login is None or not login.refresh_token or now < self.retry_at:
            return False
        if self.blocked(now) is not None:
            return False
        return self.is_stale(login, wall + self._jitter * self._most_jitter(login, wall))

    def _most_jitter(self, login: Login, wall: float) -> float:
        if login.expires_at is None:
            return 0.0
        since = self._obtained_at or login.renewed_at or wall
        return min(MOST_JITTER_SECONDS, max(0.0, login.expires_at - since) * JITTER_PART)

    def _is_good(self, login: Login, wall: float) -> bool:
        if not login.access_token or login.access_token == self.rejected:
            return False
        return login.expires_at is None or login.expires_at > wall + _LAST_SECONDS

    def _is_young(self, login: Login, wall: float) -> bool:
        if login.expires_at is None or self._obtained_at is None:
            return False
        return wall < self._obtained_at + (login.expires_at - self._obtained_at) * _YOUNG_PART

    # ── what a renewal came to ──

    def failed(self, error: CredentialError, now: float) -> None:
        """Not again at once: each failure in a row doubles the pause."""
        pause = min(FIRST_PAUSE_SECONDS * 2**self._failures, LONGEST_PAUSE_SECONDS)
        asked = min(error.reply.retry_after or 0.0, LONGEST_WAIT_SECONDS)
        self._failures = min(self._failures + 1, 16)
        self.failure, self.retry_at = error.anew(), now + max(pause, asked)

    def succeeded(self) -> None:
        self._failures, self.failure, self.retry_at = 0, None, 0.0

    def waiting(self, failure: CredentialError, now: float) -> CredentialError:
        """The failure, for one more who hears of it."""
        pause = max(1.0, self.retry_at - now)
        return CredentialError(failure.reply.message, retry_after=pause)

    def changed(self, changes: Iterable[Change], wall: float) -> str:
        """
        Take over what a renewal found out; the text that the file must have from now on.

        Raises: CredentialError when the file's login is none any more with that.
        """
        assert self.snapshot is not None
        text = _edited(self.path, self.snapshot.text, changes)
        file = authfiles.parsed(self.path, text)
        self._know(authfiles.login_of(file, self.provider), wall)
        self.snapshot = Snapshot(self.snapshot.signature, text, file)
        return text

    def written(self, signature: Signature) -> None:
        """The text of `snapshot` is on disk."""
        assert self.snapshot is not None
        self._seen = signature
        self.snapshot = Snapshot(signature, self.snapshot.text, self.snapshot.file)
        self.unsaved = None

    def must_save(self, now: float) -> bool:
        """Whether to try again to write what is in memory only; a file that is gone stays so."""
        if self.unsaved is None or now < self.save_at:
            return False
        return authfiles.signature(self.path) is not None

    # ── what the file says ──

    def look(self, wall: float) -> bool:
        """Read the file if it has changed; whether it says something new."""
        if authfiles.signature(self.path) == self._seen:
            return False
        try:
            snapshot = authfiles.read(self.path)
            login = authfiles.login_of(snapshot.file, self.provider)
            if self.unsaved is not None:
                snapshot, login = self._with_unsaved(snapshot, login)
        except CredentialError as error:
            return self._unreadable(error)
        except Exception:
            self.log.failure("{path} cannot be understood", path=self.path)
            return self._unreadable(CredentialError(f"{self.path}: cannot be understood"))
        self._seen, self.snapshot = snapshot.signature, snapshot
        self._suspect = _NEVER_SEEN
        self._judge(snapshot, login)
        self._know(login, wall)
        return True

    def is_suspect(self) -> bool:
        """Somebody may be writing the file at this moment."""
        return self._suspect is not _NEVER_SEEN

    def _judge(self, snapshot: Snapshot, login: Login) -> None:
        had_problem = self._problem is not None
        if login.is_disabled:
            self.login = login
            self.block(CredentialDisabled(f"{self.path}: says that it is disabled"))
        elif self._revoked != _identity(snapshot.signature, login):
            self._revoked = self._problem = None
            self.succeeded()
            if had_problem:
                self.log.info("{path} is used again", path=self.path)

    def _know(self, login: Login, wall: float) -> None:
        if self.login is not None and self.login.access_token != login.access_token:
            self._obtained_at = wall
        self.login = login

    def _unreadable(self, error: CredentialError) -> bool:
        """
        Whether to believe that there is no login any more.

        Not at once, somebody may just be writing the file; and not while memory holds the only one.
        """
        state = authfiles.signature(self.path)
        if self.unsaved is not None:
            return False
        if self.login is not None and self._problem is None and state != self._suspect:
            self._suspect = state
            return False
        self._seen, self._suspect = state, _NEVER_SEEN
        self.login = self.snapshot = None
        self.block(error)
        return True

    def _with_unsaved(self, snapshot: Snapshot, login: Login) -> tuple[Snapshot, Login]:
        """The file still lacks our renewal, unless there is a new login in it."""
        assert self.unsaved is not None
        if login.refresh_token != self.unsaved.base:
            self.unsaved = None
            return snapshot, login
        text = _edited(self.path, snapshot.text, self.unsaved.changes)
        file = authfiles.parsed(self.path, text)
        return Snapshot(snapshot.signature, text, file), authfiles.login_of(file, self.provider)


def _edited(path: str, text: str, changes: Iterable[Change]) -> str:
    try:
        return edited(text, [(change.path, change.value) for change in changes])
    except ValueError:
        raise CredentialError(f"{path}: has no place for a renewed login") from None


def _identity(signature: Signature, login: Login) -> tuple[int, bytes]:
    """What tells a revoked login from a new one."""
    return signature.mtime_ns, sha256(login.refresh_token.reveal().encode()).digest()
