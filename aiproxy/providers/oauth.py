"""
Renewing a login: what the token endpoints of all vendors have in common.

Source: RFC 6749, sections 5 and 6; what each vendor does otherwise is its provider's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from aiproxy.errors import CredentialDisabled, CredentialError
from aiproxy.messages import HttpReply, HttpRequest, header
from aiproxy.providers.logins import number_at, text_at
from aiproxy.wire.jsontext import try_read, write

_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_.]{0,63}")
"""Anything else in the place of a code may be what the service was shown."""

_LONGEST_LIFE_SECONDS = 10 * 365 * 86_400.0
"""No vendor gives a token for longer; files have no way to write times that are far off."""

_PAUSE_LIMITS = (5.0, 300.0)
"""Seconds: what a service may ask for; more would outlive its own trouble."""


def json_request(url: str, members: Mapping[str, str], user_agent: str = "") -> HttpRequest:
    """A request for a token endpoint that takes JSON. user_agent: "" for none."""
    agent = (("User-Agent", user_agent),) if user_agent else ()
    headers = (("Content-Type", "application/json"), ("Accept", "application/json"), *agent)
    return HttpRequest("POST", url, headers, write(members))


def granted(reply: HttpReply, is_final: Callable[[int, str], bool]) -> Mapping[str, Any]:
    """
    What a token endpoint gave, with an `access_token` in it.

    is_final: whether the login has ended for good, by the answer's status and error code.
    Raises: CredentialDisabled when it has; CredentialError for anything else. A page of some
    gateway in between proves nothing.
    """
    document = try_read(reply.body, dict[str, Any])
    if 200 <= reply.status < 300:
        if document is None or not text_at(document, "access_token"):
            raise CredentialError("the login service gave no token")
        return document
    code = error_code(document or {})
    said = f"{reply.status} {code}".rstrip()
    if is_final(reply.status, code) and (document is not None or not reply.body):
        raise CredentialDisabled(f"the login has ended ({said}): log in again")
    raise CredentialError(f"the login service refused ({said})", retry_after=named_pause(reply))


def lifetime(document: Mapping[str, Any], now: float) -> float | None:
    """When the token that `granted` found ends, Unix seconds; None when no sense is said."""
    seconds = number_at(document, "expires_in")
    return now + seconds if seconds is not None and 0 < seconds < _LONGEST_LIFE_SECONDS else None


def error_code(document: Mapping[str, Any]) -> str:
    """
    The code word of an error, "" when there is none.

    Shapes: {"error": word}, {"error": {"code": word}}, {"error": {"type": word}}, {"code": word},
    {"__type": "com.amazon#word"}.
    """
    for path in (("error", "code"), ("error",), ("error", "type"), ("code",), ("__type",)):
        word = text_at(document, *path).rpartition("#")[2]
        if _WORD.fullmatch(word):
            return word
    return ""


def named_pause(reply: HttpReply) -> float | None:
    """Seconds that the service named; the endpoints write no dates."""
    seconds = number_at({"": header(reply.headers, "retry-after")}, "")
    if seconds is None or seconds != seconds:
        return None
    least, most = _PAUSE_LIMITS
    return min(max(seconds, least), most)
