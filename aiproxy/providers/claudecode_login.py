"""
Logins of Claude Code: auth files, and how they are renewed.

Formats
  Claude Code   {"claudeAiOauth": {"accessToken", "refreshToken", "expiresAt" (ms), "scopes",
                "subscriptionType", "rateLimitTier"}}
  setup-token   the same or {"access_token"}, for a year and without a refresh token
  CLIProxyAPI   {"type": "claude", "access_token", "refresh_token", "email", "expired",
                "last_refresh", "account_uuid"?, "organization_uuid"?, "disabled"?}
Source: Claude Code 2.1, `~/.claude/.credentials.json`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiproxy.errors import CredentialDisabled
from aiproxy.messages import Login
from aiproxy.providers import oauth
from aiproxy.providers.contract import Change, Flow
from aiproxy.providers.logins import is_api_key, mistaken, moment, number_at, rfc3339, text_at
from aiproxy.redaction import Secret

_NEST = "claudeAiOauth"
_SCOPE = "scope"
_NESTED = "nested"

_WANTED = "the .credentials.json of Claude Code, or a token of `claude setup-token`"

_MARGIN = 300.0
_USUAL_LIFE = 8 * 3600.0
_FINAL = "invalid_grant"


def read(document: Mapping[str, Any]) -> Login:
    """Raises: CredentialError that says what the file is instead."""
    inner = document.get(_NEST)
    if isinstance(inner, Mapping):
        return _nested(document, inner)
    access, renewal = text_at(document, "access_token"), text_at(document, "refresh_token")
    is_claude = document.get("type") == "claude" or _is_bare(document)
    if not is_claude or is_api_key(access) or not (access or renewal):
        raise mistaken(document, "claudecode", _WANTED)
    return Login(
        Secret(access),
        Secret(renewal),
        expires_at=moment(text_at(document, "expired")),
        renewed_at=moment(text_at(document, "last_refresh")),
        is_disabled=document.get("disabled") is True,
        is_ours=True,
    )


def is_stale(login: Login, now: float) -> bool:
    """A login that cannot be renewed is used until it is refused."""
    if not login.refresh_token:
        return False
    if not login.access_token:
        return True
    return login.expires_at is not None and login.expires_at - now < _MARGIN


def renewal(login: Login, url: str, metadata: Mapping[str, str], now: float) -> Flow:
    """Shape of the answer: {"access_token", "refresh_token", "expires_in", "scope", ...}."""
    if not login.refresh_token:
        raise CredentialDisabled("this login cannot be renewed: log in again")
    reply = yield oauth.json_request(
        url,
        {
            "client_id": metadata["client_id"],
            "grant_type": "refresh_token",
            "refresh_token": login.refresh_token.reveal(),
            # No login may be widened by renewing it.
            "scope": login.details.get(_SCOPE) or metadata["scope"],
        },
        metadata["user_agent"],
    )
    answer = oauth.granted(reply, _is_final)
    ends = oauth.lifetime(answer, now) or now + _USUAL_LIFE
    access, renewal = text_at(answer, "access_token"), text_at(answer, "refresh_token")
    if login.details.get(_NESTED):
        changes = [
            Change((_NEST, "accessToken"), access),
            Change((_NEST, "expiresAt"), int(ends * 1000)),
        ]
        return (*changes, *([Change((_NEST, "refreshToken"), renewal)] if renewal else []))
    changes = [
        Change(("access_token",), access),
        Change(("expired",), rfc3339(ends)),
        Change(("last_refresh",), rfc3339(now)),
    ]
    return (*changes, *([Change(("refresh_token",), renewal)] if renewal else []))


def _nested(document: Mapping[str, Any], inner: Mapping[str, Any]) -> Login:
    access, renewal = text_at(inner, "accessToken"), text_at(inner, "refreshToken")
    if is_api_key(access) or not (access or renewal):
        raise mistaken({"key": access}, "claudecode", _WANTED)
    ends = number_at(inner, "expiresAt")
    scopes = inner.get("scopes")
    listed = scopes if isinstance(scopes, list) else []
    return Login(
        Secret(access),
        Secret(renewal),
        expires_at=None if ends is None else ends / 1000,
        is_disabled=document.get("disabled") is True,
        details={_NESTED: "true", _SCOPE: " ".join(filter(_is_text, listed))},
    )


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_bare(document: Mapping[str, Any]) -> bool:
    """A file that holds a token of Anthropic's logins and says nothing of its kind."""
    return "type" not in document and text_at(document, "access_token").startswith("sk-ant-oat")


def _is_final(status: int, code: str) -> bool:
    return status in (400, 401) and code == _FINAL
