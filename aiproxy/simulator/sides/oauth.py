"""
A vendor's token endpoint: refresh tokens are used once, access tokens run out, accounts end.

What differs between vendors is a `Dialect`; what shall happen, a test tells the `TokenService`.
Source: RFC 6749, 5 and 6; the error words are OpenAI's and Anthropic's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias
from urllib.parse import parse_qsl

from twisted.internet.task import deferLater

from aiproxy.messages import header
from aiproxy.simulator.sides.contract import Stage, Visit

BODIES: Mapping[str, str] = {
    "json": "application/json",
    "form": "application/x-www-form-urlencoded",
}


@dataclass(frozen=True, slots=True)
class Grant:
    """
    What a refresh token was exchanged for.

    lifetime_seconds: of the access token.
    """

    account: str
    access_token: str
    refresh_token: str
    lifetime_seconds: float


Mint: TypeAlias = Callable[[str, int, float], str]
"""Makes an access token of account, number and the Unix time at which it ends."""


def plain_token(account: str, number: int, ends_at: float) -> str:
    """An access token that says nothing, for tests to recognise."""
    return f"access-canary-{account}-{number}"


def standard_reply(grant: Grant) -> dict[str, Any]:
    """Source: RFC 6749, 5.1."""
    return {
        "access_token": grant.access_token,
        "refresh_token": grant.refresh_token,
        "token_type": "Bearer",
        "expires_in": int(grant.lifetime_seconds),
    }


def standard_error(word: str) -> dict[str, Any]:
    """Source: RFC 6749, 5.2."""
    return {"error": word, "error_description": f"simulated: {word}"}


@dataclass(frozen=True, slots=True)
class Dialect:
    """
    How a vendor's token endpoint speaks.

    body: how requests are encoded. refresh_field: where they have the refresh token.
    fields: what else they must have, with which value (None for any).
    reply, error: the documents of an answer. mint: access tokens.
    used_up, revoked: status and word for a refresh token that was used, and for one that ended.
    rotates: whether a refresh token is good for one renewal only.
    """

    body: Literal["json", "form"] = "json"
    refresh_field: str = "refresh_token"
    fields: Mapping[str, str | None] = field(
        default_factory=lambda: {"grant_type": "refresh_token"}
    )
    reply: Callable[[Grant], dict[str, Any]] = standard_reply
    error: Callable[[str], dict[str, Any]] = standard_error
    mint: Mint = plain_token
    used_up: tuple[int, str] = (400, "invalid_grant")
    revoked: tuple[int, str] = (400, "invalid_grant")
    rotates: bool = True


@dataclass(slots=True)
class Account:
    """
    One login's state. rotations: how often its refresh token was exchanged.

    refusals: how often a refresh token was shown that had been used already.
    """

    name: str
    lifetime_seconds: float
    access_token: str = ""
    refresh_token: str = ""
    ends_at: float = 0.0
    number: int = 0
    rotations: int = 0
    refusals: int = 0
    is_revoked: bool = False


class TokenService:
    """
    The logins of one vendor.

    delay_seconds: before every answer. failures: (status, headers) of the next answers, in order.
    """

    def __init__(self, stage: Stage, dialect: Dialect | None = None) -> None:
        self._stage = stage
        self._dialect = dialect or Dialect()
        self.accounts: dict[str, Account] = {}
        self.delay_seconds = 0.0
        self.failures: deque[tuple[int, tuple[tuple[str, str], ...]]] = deque()
        self._owners: dict[str, str] = {}

    def log_in(self, name: str = "ann", lifetime_seconds: float = 3600.0) -> Grant:
        """A new login, as a person makes it; an earlier one of the same name ends."""
        number = self.accounts[name].number if name in self.accounts else 0
        account = Account(name, lifetime_seconds, number=number)
        self.accounts[name] = account
        return self._granted(account)

    def revoke(self, name: str = "ann") -> None:
        """Neither of the account's tokens is worth anything from now on."""
        self.accounts[name].is_revoked = True

    def run_out(self, name: str = "ann") -> None:
        """The access token ends now, the refresh token does not."""
        self.accounts[name].ends_at = self._stage.clock.seconds()

    def owner(self, access_token: str) -> Account | None:
        """Whose token it is, None when it is not valid now."""
        account = self.accounts.get(self._owners.get(access_token, ""))
        if account is None or account.is_revoked or account.access_token != access_token:
            return None
        return account if account.ends_at > self._stage.clock.seconds() else None

    def bearer(self, visit: Visit) -> Account | None:
        """Who pays for a request, None when its token is not valid now."""
        shown = header(visit.received.headers, "authorization") or ""
        return self.owner(shown.removeprefix("Bearer "))

    async def token(self, visit: Visit) -> None:
        """The token endpoint."""
        if self.delay_seconds:
            await deferLater(self._stage.clock, self.delay_seconds)
        if self.failures:
            status, headers = self.failures.popleft()
            visit.say(status, self._dialect.error("temporarily_unavailable"), headers)
            return
        asked = self._asked(visit)
        if asked is None:
            visit.say(400, self._dialect.error("invalid_request"))
            return
        shown = asked.get(self._dialect.refresh_field, "")
        account = self.accounts.get(self._owners.get(shown, ""))
        if account is None or account.is_revoked:
            status, word = self._dialect.revoked
            visit.say(status, self._dialect.error(word))
        elif account.refresh_token != shown:
            account.refusals += 1
            status, word = self._dialect.used_up
            visit.say(status, self._dialect.error(word))
        else:
            account.rotations += 1
            visit.say(200, self._dialect.reply(self._granted(account)))

    def _asked(self, visit: Visit) -> Mapping[str, str] | None:
        """The fields of a request, None when it is not what the vendor takes."""
        content_type = header(visit.received.headers, "content-type") or ""
        if content_type.partition(";")[0].strip().lower() != BODIES[self._dialect.body]:
            return None
        if self._dialect.body == "json":
            asked = {name: str(value) for name, value in visit.document().items()}
        else:
            asked = dict(parse_qsl(visit.received.body.decode("utf-8", "replace")))
        for name, wanted in self._dialect.fields.items():
            if not asked.get(name) or wanted not in (None, asked[name]):
                return None
        return asked

    def _granted(self, account: Account) -> Grant:
        account.number += 1
        account.ends_at = self._stage.clock.seconds() + account.lifetime_seconds
        account.access_token = self._dialect.mint(account.name, account.number, account.ends_at)
        if self._dialect.rotates or not account.refresh_token:
            account.refresh_token = f"refresh-canary-{account.name}-{account.number}"
        for token in (account.access_token, account.refresh_token):
            self._owners[token] = account.name
        return Grant(
            account.name, account.access_token, account.refresh_token, account.lifetime_seconds
        )
