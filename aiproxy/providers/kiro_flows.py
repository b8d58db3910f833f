"""
Talks with the login services of Kiro: how a login is renewed, and what is asked about it.

Each of the three ways to log in has its own service and dialect; see `kiro_login`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from aiproxy.errors import CredentialDisabled, CredentialError
from aiproxy.messages import HttpReply, HttpRequest, Login, header
from aiproxy.providers.contract import Change, Flow
from aiproxy.providers.kiro_login import Members, lacking, member
from aiproxy.providers.logins import number_at, rfc3339
from aiproxy.providers.oauth import error_code, json_request, named_pause
from aiproxy.settings import Upstream
from aiproxy.wire.jsontext import try_read
from aiproxy.wire.kiro import error_of

RENEW_BEFORE_SECONDS = 300.0
"""Tokens live for about an hour."""

_DEFAULT_LIFE_SECONDS = 3600.0
_LONGEST_LIFE_SECONDS = 400 * 86_400.0

_NAME = re.compile(r"[A-Za-z]{1,64}")

_FINAL = frozenset(
    {
        "invalid_grant",
        "invalidgrantexception",
        "invalid_client",
        "invalidclientexception",
        "unauthorized_client",
        "unauthorizedclientexception",
        "expired_token",
        "expiredtokenexception",
        "access_denied",
        "accessdeniedexception",
    }
)
"""Codes, in small letters, after which only a new login helps."""


def is_stale(login: Login, now: float) -> bool:
    """See `LoginProvider.is_stale`."""
    if not login.access_token:
        return True
    return login.expires_at is not None and now >= login.expires_at - RENEW_BEFORE_SECONDS


def renew(login: Login, upstream: Upstream, now: float) -> Flow:
    """See `LoginProvider.renew`."""
    if not login.refresh_token:
        raise CredentialDisabled("this login has no refresh token; log in with Kiro again")
    reply = yield _renewal(login, upstream)
    answer = _accepted(reply)
    # Kiro's own service writes camel case, OAuth servers snake case.
    members = Members("ours" if "access_token" in answer else "vendor", answer)
    if not members.text("access_token"):
        raise CredentialError("the renewal of the login was answered without a token")
    values = {
        "access_token": members.text("access_token"),
        "refresh_token": members.text("refresh_token"),
        "expires_at": rfc3339(now + _life(members)),
        "profile_arn": members.text("profile_arn"),
        "machine_id": login.details["machine_id"] if "machine_id" in lacking(login) else "",
    }
    return _changes(login, values)


def _life(members: Members) -> float:
    seconds = number_at(members.document, member(members.layout, "expires_in"))
    if seconds is None or not 0 < seconds < _LONGEST_LIFE_SECONDS:
        return _DEFAULT_LIFE_SECONDS
    return seconds


def _renewal(login: Login, upstream: Upstream) -> HttpRequest:
    details = login.details
    secret = login.refresh_token.reveal()
    if details["method"] == "external":
        fields = {
            "grant_type": "refresh_token",
            "client_id": details["client_id"],
            "client_secret": details["client_secret"],
            "refresh_token": secret,
            "scope": details["scopes"],
        }
        return _form(upstream.token_url or details["token_endpoint"], fields)
    if details["method"] == "social":
        key, body = "social_token_url", {"refreshToken": secret}
    else:
        key = "idc_token_url"
        body = {
            "clientId": details["client_id"],
            "clientSecret": details["client_secret"],
            "refreshToken": secret,
            "grantType": "refresh_token",
        }
    url = upstream.token_url or place(upstream, login, key, details["region"])
    agent = filled(upstream.metadata["renewal_user_agent"], upstream, login)
    return json_request(url, body, agent)


def _form(url: str, fields: Mapping[str, str]) -> HttpRequest:
    given = {name: value for name, value in fields.items() if value}
    headers = (
        ("Content-Type", "application/x-www-form-urlencoded"),
        ("Accept", "application/json"),
    )
    return HttpRequest("POST", url, headers, urlencode(given).encode())


def _accepted(reply: HttpReply) -> Mapping[str, Any]:
    """
    The object in a good reply.

    Raises: CredentialDisabled or CredentialError, as `LoginProvider.renew` says. A page of some
    gateway in between proves nothing.
    """
    answer = try_read(reply.body, dict[str, Any])
    if 200 <= reply.status < 300:
        if answer is None:
            raise CredentialError("the renewal of the login was not answered with JSON")
        return answer
    code = error_code(answer or {}) or _error_type(reply)
    said = f"the renewal of the login was refused ({reply.status} {code}".rstrip() + ")"
    is_final = reply.status in (401, 403) or (reply.status < 500 and code.lower() in _FINAL)
    if is_final and (answer is not None or not reply.body):
        raise CredentialDisabled(f"{said}; log in with Kiro again")
    raise CredentialError(said, retry_after=named_pause(reply))


def _error_type(reply: HttpReply) -> str:
    """The exception that AWS names in a header: "Name" or "Name:http://..."."""
    name = (header(reply.headers, "x-amzn-errortype") or "").partition(":")[0]
    return name if _NAME.fullmatch(name) else ""


def _changes(login: Login, values: Mapping[str, str]) -> tuple[Change, ...]:
    layout = login.details["layout"]
    return tuple(Change((member(layout, name),), value) for name, value in values.items() if value)


# ── finding out ──


def discover(login: Login, upstream: Upstream, now: float) -> Flow:
    """
    The id of the machine, made up once for files of ours, and the profile, which may not exist.

    Source: ListAvailableProfiles of the CodeWhisperer runtime API.
    """
    missing = lacking(login)
    changes: tuple[Change, ...] = ()
    if "machine_id" in missing:
        changes = _changes(login, {"machine_id": login.details["machine_id"]})
    if "profile_arn" not in missing:
        return changes
    reply = yield _profiles(login, upstream)
    arn = _first_profile(reply)
    if arn:
        return changes + _changes(login, {"profile_arn": arn})
    # Trouble proves nothing: the call that waits may succeed all the same, the next one asks again.
    return (*changes, _checked(login)) if _has_none(reply) else changes


def _has_none(reply: HttpReply) -> bool:
    """Whether the account has no profile, or may not list any."""
    if 200 <= reply.status < 300:
        return try_read(reply.body, dict[str, Any]) is not None
    return reply.status in (400, 403, 404) and error_of(reply.status, reply.body).kind in (
        "invalid_request",
        "permission",
        "not_found",
    )


def _checked(login: Login) -> Change:
    """Many logins have no profile: one answer to that is enough."""
    return Change((member(login.details["layout"], "profile_arn_checked"),), True)


def _profiles(login: Login, upstream: Upstream) -> HttpRequest:
    base = f"{upstream.base_url}/ListAvailableProfiles" if upstream.base_url else ""
    url = base or place(upstream, login, "profiles_url", login.details["api_region"])
    headers = (
        ("Content-Type", "application/json"),
        ("Accept", "application/json"),
        ("Authorization", f"Bearer {login.access_token.reveal()}"),
        ("User-Agent", filled(upstream.metadata["user_agent"], upstream, login)),
        *((("TokenType", "EXTERNAL_IDP"),) if login.details["method"] == "external" else ()),
    )
    return HttpRequest("POST", url, headers, b'{"maxResults":10}')


def _first_profile(reply: HttpReply) -> str:
    """Shape: {"profiles": [{"arn", "profileName"}]}; an error has none."""
    profiles = (try_read(reply.body, dict[str, Any]) or {}).get("profiles")
    for profile in profiles if isinstance(profiles, list) else ():
        arn = profile.get("arn") if isinstance(profile, dict) else None
        if isinstance(arn, str) and arn:
            return arn
    return ""


# ── texts of the table ──


def place(upstream: Upstream, login: Login, key: str, region: str) -> str:
    """The address in that entry of the metadata."""
    url = filled(upstream.metadata[key], upstream, login)
    return url.replace("{region}", region or upstream.metadata["region"])


def filled(template: str, upstream: Upstream, login: Login) -> str:
    """`template` with the `{names}` of metadata, and `{machine_id}`, put in; others stay."""
    text = template.replace("{machine_id}", login.details["machine_id"])
    for name, value in upstream.metadata.items():
        if name != "region":
            text = text.replace("{" + name + "}", value)
    return text
