"""
Reading auth files, whoever wrote them: texts, moments, JSON Web Tokens, and what a file is.

A vendor's format is known by its shape: none of them names itself.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from aiproxy.errors import CredentialError
from aiproxy.wire.jsontext import try_read

_RFC3339 = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(\.\d+)?(?:([Zz])|([+-])(\d\d):?(\d\d))?"
)

_LAST_MOMENT = datetime(9999, 1, 1, tzinfo=timezone.utc).timestamp()


def text_at(document: Mapping[str, Any], *path: str) -> str:
    """The text behind these keys, "" when there is none."""
    found: Any = document
    for key in path:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found.strip() if isinstance(found, str) else ""


def number_at(document: Mapping[str, Any], *path: str) -> float | None:
    """The number behind these keys, also when it is written as a text."""
    found: Any = document
    for key in path:
        found = found.get(key) if isinstance(found, Mapping) else None
    if isinstance(found, bool) or not isinstance(found, int | float | str):
        return None
    try:
        return float(found)
    except (ValueError, OverflowError):
        return None


# ── moments ──


def moment(text: str) -> float | None:
    """
    Unix seconds of "2026-11-22T10:00:00.123456789Z" and its kin; None when it is no such text.

    Without a zone it is UTC. Source: RFC 3339; Go and Rust write nanoseconds.
    """
    found = _RFC3339.fullmatch(text.strip())
    if found is None:
        return None
    day, time, fraction, _, sign, hours, minutes = found.groups()
    try:
        when = datetime.strptime(f"{day} {time}", "%Y-%m-%d %H:%M:%S")
    except ValueError:
        return None
    offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
    seconds = when.replace(tzinfo=timezone.utc).timestamp() + float(fraction or 0)
    return seconds - offset.total_seconds() * (-1 if sign == "-" else 1)


def rfc3339(seconds: float) -> str:
    """Unix seconds as "2026-11-22T10:00:00Z"."""
    return datetime.fromtimestamp(int(seconds), timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


# ── tokens ──


def claims(token: str) -> Mapping[str, Any]:
    """
    What a JSON Web Token says of itself; nothing when it is none. Its signature is not checked.

    Shape: header.payload.signature, each base64url without padding. Source: RFC 7519.
    """
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    try:
        payload = base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))
    except (binascii.Error, ValueError):
        return {}
    return try_read(payload, dict[str, Any]) or {}


def expiry(token: str) -> float | None:
    """When a JSON Web Token ends, Unix seconds; None when it names no moment with a date."""
    ends = number_at(claims(token), "exp")
    return ends if ends is not None and 0 < ends < _LAST_MOMENT else None


# ── whose file it is ──


def mistaken(document: Mapping[str, Any], api_type: str, wanted: str) -> CredentialError:
    """
    The error for a file that is no login for `api_type`: what it is, and what to use instead.

    wanted: the file that it should have been.
    """
    for is_it, what, instead in _KINDS:
        if is_it(document):
            return CredentialError(f"this is {what}: {instead}; {api_type} needs {wanted}")
    return CredentialError(f"this is no login that aiproxy knows; {api_type} needs {wanted}")


def is_api_key(token: str) -> bool:
    """Whether a token is a key of OpenAI's, Anthropic's or Google's; logins have other tokens."""
    return token.startswith(("sk-", "AIza")) and not token.startswith("sk-ant-oat")


_API_KEYS = (
    "OPENAI_API_KEY",
    "ANTHROPIC_API_KEY",
    "GEMINI_API_KEY",
    "GOOGLE_API_KEY",
    "primaryApiKey",
    "apiKey",
    "api_key",
    "key",
)


def _holds_key(document: Mapping[str, Any]) -> bool:
    if isinstance(document.get("tokens"), Mapping):
        return False
    return any(text_at(document, name) for name in _API_KEYS) or is_api_key(
        text_at(document, "access_token")
    )


def _typed(name: str) -> Callable[[Mapping[str, Any]], bool]:
    return lambda document: document.get("type") == name


def _has(*names: str) -> Callable[[Mapping[str, Any]], bool]:
    return lambda document: all(document.get(name) for name in names)


_KINDS: tuple[tuple[Callable[[Mapping[str, Any]], bool], str, str], ...] = (
    (
        _has("private_key", "client_email"),
        "a service account of Google's",
        "no api_type here takes one",
    ),
    (
        lambda document: any(isinstance(document.get(k), Mapping) for k in ("installed", "web")),
        "an OAuth client of Google's, not a login",
        "its secret belongs into oauth_client_secret",
    ),
    (_typed("authorized_user"), "a login of gcloud", "log in with the vendor's own program"),
    (
        _has("active"),
        "a list of Gemini CLI's accounts",
        "the login is oauth_creds.json beside it",
    ),
    (
        lambda document: "gemini-cli-oauth" in document,
        "a store of Gemini CLI that other programs cannot read",
        "let it keep its login in oauth_creds.json",
    ),
    (
        _holds_key,
        "an API key, not a login",
        "give it as `token` to an upstream of api_type responses, openai, anthropic or gemini",
    ),
    (_has("personal_access_token"), "a personal access token of Codex", "log in with an account"),
    (_has("claudeAiOauth"), "a login of Claude Code", "use api_type claudecode"),
    (_typed("claude"), "a login for Claude", "use api_type claudecode"),
    (_has("tokens"), "a login of Codex CLI", "use api_type codex"),
    (_typed("codex"), "a login for Codex", "use api_type codex"),
    (_typed("antigravity"), "a login of Antigravity", "use api_type antigravity"),
    (_typed("gemini"), "a login of Gemini CLI", "use api_type geminicli"),
    (_has("access_token", "expiry_date"), "a login of Gemini CLI", "use api_type geminicli"),
    (_has("accessToken", "refreshToken"), "a login of Kiro", "use api_type kiro"),
    (_has("refresh_token", "auth_method"), "a login for Kiro", "use api_type kiro"),
    (
        _has("clientId", "clientSecret"),
        "the registration of a device with AWS, not a login",
        "name the file of the login beside it",
    ),
)
"""What else people take for an auth file; the first row that fits counts."""
