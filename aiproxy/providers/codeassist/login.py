"""
Google's logins: what their files say, and how their tokens are renewed.

Three layouts hold them, all of the same tokens; they differ in names and in how they write time:

vendor   Gemini CLI's own `oauth_creds.json`: {access_token, refresh_token, expiry_date (ms), ...}
nested   {type: "gemini", project_id, email, token: {access_token, refresh_token, expiry, ...}}
flat     {type: "antigravity", project_id, email, access_token, refresh_token, expired, expires_in,
         timestamp (ms)}

Details of a login, all texts, "" when unknown: layout, project, client_id, client_secret.
Source: google-auth-library's Credentials; the files that CLIProxyAPI writes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from aiproxy.errors import CredentialDisabled, CredentialError
from aiproxy.messages import HttpReply, HttpRequest, Login
from aiproxy.providers.contract import Change, Flow
from aiproxy.providers.logins import moment, number_at, rfc3339, text_at
from aiproxy.providers.oauth import error_code, granted, lifetime
from aiproxy.redaction import Secret
from aiproxy.settings import Upstream
from aiproxy.wire.jsontext import try_read

_STALE_SECONDS = 300.0
_LIFETIME_SECONDS = 3600.0
"""What Google gives; it always says so."""

_REFUSED_CLIENT = frozenset({"invalid_client", "unauthorized_client"})


@dataclass(frozen=True, slots=True)
class Layout:
    """
    One way to write a login.

    place: keys to the object with the tokens. expires_at: reads when the access token ends.
    expiring: writes it, given Unix seconds of the end and of now.
    is_ours: see `Login`.
    """

    place: tuple[str, ...]
    expires_at: Callable[[Mapping[str, Any]], float | None]
    expiring: Callable[[float, float], Mapping[str, Any]]
    is_ours: bool = True


def _flat_expiry(document: Mapping[str, Any]) -> float | None:
    said = moment(text_at(document, "expired"))
    since, seconds = number_at(document, "timestamp"), number_at(document, "expires_in")
    if said is not None or since is None or seconds is None:
        return said
    return since / 1000 + seconds


def _vendor_expiry(document: Mapping[str, Any]) -> float | None:
    milliseconds = number_at(document, "expiry_date")
    return None if milliseconds is None else milliseconds / 1000


LAYOUTS: Mapping[str, Layout] = {
    "vendor": Layout(
        (),
        _vendor_expiry,
        lambda end, now: {"expiry_date": int(end * 1000)},
        is_ours=False,
    ),
    "nested": Layout(
        ("token",),
        lambda document: moment(text_at(document, "token", "expiry")),
        lambda end, now: {"expiry": rfc3339(end)},
    ),
    "flat": Layout(
        (),
        _flat_expiry,
        lambda end, now: {
            "expired": rfc3339(end),
            "expires_in": int(end - now),
            "timestamp": int(now * 1000),
        },
    ),
}


def login_of(document: Mapping[str, Any], name: str) -> Login:
    """What a document of the layout called `name` says."""
    layout = LAYOUTS[name]

    def text(key: str) -> str:
        return text_at(document, *layout.place, key)

    return Login(
        access_token=Secret(text("access_token")),
        refresh_token=Secret(text("refresh_token")),
        expires_at=layout.expires_at(document),
        is_disabled=document.get("disabled") is True,
        is_ours=layout.is_ours,
        details={
            "layout": name,
            "project": text_at(document, "project_id"),
            "client_id": text("client_id"),
            "client_secret": text("client_secret"),
        },
    )


def is_stale(login: Login, now: float) -> bool:
    """Five minutes before its end a token is renewed, if it can be; its end unknown, it is used."""
    if not login.access_token:
        return True
    margin = _STALE_SECONDS if login.refresh_token else 0.0
    return login.expires_at is not None and login.expires_at - now < margin


def renewed(login: Login, upstream: Upstream, now: float) -> Flow:
    """
    A new access token, in exchange for the refresh token, which mostly stays the same.

    Source: Google Identity, "Using OAuth 2.0 for Web Server Applications", refreshing.
    """
    if not login.refresh_token:
        raise CredentialDisabled("the login has no refresh_token: log in again")
    reply = yield _asking(login, upstream)
    document = try_read(reply.body, dict[str, Any]) or {}
    if reply.status >= 400 and error_code(document) in _REFUSED_CLIENT:
        raise CredentialError(
            f"Google refused the OAuth client ({error_code(document)}), not the login: check"
            " oauth_client_secret and metadata client_id of the upstream"
        )
    return _changes(login, reply, now)


def _asking(login: Login, upstream: Upstream) -> HttpRequest:
    details = login.details
    secret = details["client_secret"] or upstream.oauth_client_secret.reveal()
    if not secret:
        raise CredentialError(
            "Google renews no login without the secret of the OAuth client that made it: set"
            " oauth_client_secret of the upstream (${NAME} takes it from the environment), or"
            " token.client_secret in the auth file"
        )
    form = {
        "client_id": details["client_id"] or upstream.metadata["client_id"],
        "client_secret": secret,
        "refresh_token": login.refresh_token.reveal(),
        "grant_type": "refresh_token",
    }
    headers = (
        ("Content-Type", "application/x-www-form-urlencoded"),
        ("Accept", "application/json"),
    )
    url = upstream.token_url or upstream.metadata["token_url"]
    return HttpRequest("POST", url, headers, urlencode(form).encode())


def _changes(login: Login, reply: HttpReply, now: float) -> tuple[Change, ...]:
    """Raises: as `granted`."""
    got = granted(reply, lambda status, code: code == "invalid_grant")
    layout = LAYOUTS[login.details["layout"]]
    tokens = {name: text_at(got, name) for name in ("access_token", "refresh_token", "id_token")}
    values: dict[str, Any] = {name: token for name, token in tokens.items() if token}
    end = lifetime(got, now)
    values.update(layout.expiring(now + _LIFETIME_SECONDS if end is None else end, now))
    return tuple(Change((*layout.place, name), value) for name, value in values.items())
