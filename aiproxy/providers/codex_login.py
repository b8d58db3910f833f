"""
Logins of Codex: auth files, and how they are renewed.

Formats
  Codex CLI    {"auth_mode"?, "OPENAI_API_KEY": null, "tokens": {"id_token", "access_token",
               "refresh_token", "account_id"?}, "last_refresh"}
  CLIProxyAPI  {"type": "codex", "access_token", "refresh_token", "id_token", "account_id",
               "email", "expired", "last_refresh", "disabled"?}
Source: Codex CLI 0.169, `login/src/auth/{storage,manager}.rs`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiproxy.errors import CredentialDisabled
from aiproxy.messages import Login
from aiproxy.providers import oauth
from aiproxy.providers.contract import Change, Flow
from aiproxy.providers.logins import claims, expiry, is_api_key, mistaken, moment, rfc3339, text_at
from aiproxy.redaction import Secret

ACCOUNT = "account_id"
FEDRAMP = "fedramp"
_NESTED = "nested"

_WANTED = "the auth.json of Codex CLI, from `codex login`"

_MARGIN = 300.0
_DAY = 86_400.0
_LONGEST_LIFE = 8 * _DAY
"""Codex renews after that many days whatever the token says."""

_CLAIMS = "https://api.openai.com/auth"

_FINAL = frozenset(
    {
        "refresh_token_expired",
        "refresh_token_reused",
        "refresh_token_invalidated",
        "token_revoked",
        "invalid_grant",
    }
)


def read(document: Mapping[str, Any]) -> Login:
    """Raises: CredentialError that says what the file is instead."""
    nested = isinstance(document.get("tokens"), Mapping)
    tokens: Mapping[str, Any] = document["tokens"] if nested else document
    access, renewal = text_at(tokens, "access_token"), text_at(tokens, "refresh_token")
    known = nested or document.get("type") == "codex" or _is_bare(document)
    if not known or is_api_key(access) or not (access or renewal):
        raise mistaken(document, "codex", _WANTED)
    renewed_at = moment(text_at(document, "last_refresh"))
    return Login(
        Secret(access),
        Secret(renewal),
        expires_at=_expiry(document, access, renewed_at),
        renewed_at=renewed_at,
        is_disabled=document.get("disabled") is True,
        is_ours=not nested,
        details=_details(tokens, nested=nested),
    )


def is_stale(login: Login, now: float) -> bool:
    """A login that cannot be renewed is used until it is refused."""
    if not login.refresh_token:
        return False
    if not login.access_token:
        return True
    if login.expires_at is not None and login.expires_at - now < _MARGIN:
        return True
    return login.renewed_at is not None and now - login.renewed_at > _LONGEST_LIFE


def renewal(login: Login, url: str, client_id: str, now: float) -> Flow:
    """Shape of the answer: {"access_token", "refresh_token"?, "id_token"?, "expires_in"?}."""
    if not login.refresh_token:
        raise CredentialDisabled("this login cannot be renewed: log in again")
    reply = yield oauth.json_request(
        url,
        {
            "client_id": client_id,
            "grant_type": "refresh_token",
            "refresh_token": login.refresh_token.reveal(),
        },
    )
    answer = oauth.granted(reply, _is_final)
    root = ("tokens",) if login.details.get(_NESTED) else ()
    changes = [
        Change((*root, name), text_at(answer, name))
        for name in ("access_token", "refresh_token", "id_token")
        if text_at(answer, name)
    ]
    changes.append(Change(("last_refresh",), rfc3339(now)))
    if not root:
        access = text_at(answer, "access_token")
        ends = expiry(access) or oauth.lifetime(answer, now) or now + _LONGEST_LIFE
        changes.append(Change(("expired",), rfc3339(ends)))
    return tuple(changes)


def _is_final(status: int, code: str) -> bool:
    return status == 401 or (status == 400 and code in _FINAL)


def _is_bare(document: Mapping[str, Any]) -> bool:
    """A file that says nothing of its kind, but holds OpenAI's own kind of token."""
    return "type" not in document and _CLAIMS in claims(text_at(document, "access_token"))


def _expiry(document: Mapping[str, Any], access: str, renewed_at: float | None) -> float | None:
    ends = moment(text_at(document, "expired")) or expiry(access)
    if ends is None and renewed_at is not None:
        return renewed_at + _LONGEST_LIFE
    return ends


def _details(tokens: Mapping[str, Any], *, nested: bool) -> Mapping[str, str]:
    account, fedramp = text_at(tokens, "account_id"), ""
    for name in ("id_token", "access_token"):
        found = claims(text_at(tokens, name))
        account = account or text_at(found, _CLAIMS, "chatgpt_account_id")
        inner = found.get(_CLAIMS)
        if isinstance(inner, Mapping) and inner.get("chatgpt_account_is_fedramp") is True:
            fedramp = "true"
    details = {ACCOUNT: account, FEDRAMP: fedramp, _NESTED: "true" if nested else ""}
    return {name: value for name, value in details.items() if value}
