"""
What Code Assist says of limits, in the details of an error.

Shape: {"error": {"code": 429, "message": "...", "status": "RESOURCE_EXHAUSTED", "details": [
{"@type": ".../google.rpc.ErrorInfo", "reason": "QUOTA_EXHAUSTED", "metadata": {
"quotaResetTimeStamp": "2026-12-18T20:18:34Z", "quotaResetDelay": "161h39m41.3s"}},
{"@type": ".../google.rpc.RetryInfo", "retryDelay": "581981.3s"},
{"@type": ".../google.rpc.QuotaFailure", "violations": [{"quotaId": "...PerDay..."}]},
{"@type": ".../google.rpc.Help", "links": [{"url": "..."}]}]}}
Source: google.rpc.error_details; reasons as gemini-cli's googleQuotaErrors reads them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from aiproxy.errors import ErrorKind, ErrorReply
from aiproxy.messages import HttpReply
from aiproxy.providers.logins import moment
from aiproxy.wire.jsontext import try_read

HOUR = 3600.0
_DAY = 24 * HOUR
_MINUTE = 60.0
_CAPACITY_SECONDS = (30.0, 300.0)

_LIMITS: frozenset[ErrorKind] = frozenset({"rate_limit", "quota", "overloaded"})

_DURATION = re.compile(r"(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,9}(?:\.\d+)?)s)?(?:(\d{1,9})ms)?")
_IN_TEXT = re.compile(r"(?:retry in|reset after) ((?:\d+(?:\.\d+)?(?:h|ms|m|s))+)", re.IGNORECASE)
_DAILY = re.compile(r"PerDay|Daily")


@dataclass(frozen=True, slots=True)
class Details:
    """
    What matters of an error's details.

    reason: of ErrorInfo. metadata: of the same. delay_seconds: of RetryInfo. quotas: ids of those
    that are exceeded. url: where the account's owner can do something about it.
    """

    reason: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    delay_seconds: float | None = None
    quotas: tuple[str, ...] = ()
    url: str = field(default="", repr=False)


def details_of(body: bytes) -> Details:
    """The details in an error's body, whatever of them can be read."""
    found = Details()
    for detail in objects(_error(body).get("details")):
        kind = str(detail.get("@type")).rpartition(".")[2]
        if kind == "ErrorInfo" and not found.reason:
            said = detail.get("metadata")
            metadata = said if isinstance(said, dict) else {}
            url = found.url or _text(metadata.get("validation_url"))
            reason = _text(detail.get("reason"))
            found = replace(found, reason=reason, metadata=metadata, url=url)
        elif kind == "RetryInfo":
            found = replace(found, delay_seconds=duration(detail.get("retryDelay")))
        elif kind == "QuotaFailure":
            ids = (_text(one.get("quotaId")) for one in objects(detail.get("violations")))
            found = replace(found, quotas=tuple(id for id in ids if id))
        elif kind == "Help":
            urls = (_text(link.get("url")) for link in objects(detail.get("links")))
            found = replace(found, url=found.url or next(urls, ""))
    return found


def judged(reply: HttpReply, said: ErrorReply, now: float) -> ErrorReply:
    """
    `said` with its kind and its pause as Code Assist means them.

    said: what the wire made of `reply`. now: Unix seconds.
    """
    details = details_of(reply.body)
    if details.reason == "VALIDATION_REQUIRED":
        message = f"{unverified(details.url)}: {said.message}"
        return replace(said, kind="permission", message=message, retry_after=HOUR)
    if said.kind not in _LIMITS:
        return said
    told = details.delay_seconds or _reset(details, now) or _in_text(said.message)
    if details.reason == "INSUFFICIENT_G1_CREDITS_BALANCE":
        return replace(said, kind="quota", retry_after=_DAY)
    if details.reason == "MODEL_CAPACITY_EXHAUSTED":
        shortest, longest = _CAPACITY_SECONDS
        capacity = min(max(told or shortest, shortest), longest)
        return replace(said, kind="overloaded", retry_after=capacity, model_only=True)
    if details.reason == "QUOTA_EXHAUSTED" or any(map(_DAILY.search, details.quotas)):
        reset = _reset(details, now) or told or HOUR
        of_model = "model" in details.metadata
        # It fills up again by itself: the client may be told to wait.
        return replace(said, kind="rate_limit", retry_after=reset, model_only=of_model)
    if details.reason == "RATE_LIMIT_EXCEEDED":
        said = replace(said, kind="rate_limit")
    if told is None and any("PerMinute" in quota for quota in details.quotas):
        told = _MINUTE
    pause = said.retry_after if told is None else told
    # A model that is overloaded says nothing of the account.
    return replace(said, retry_after=pause, model_only=said.kind == "overloaded")


def duration(text: object) -> float | None:
    """Seconds of "2.5s", "161h39m41.3s" or "500ms", None for anything else."""
    found = _DURATION.fullmatch(text) if isinstance(text, str) and text else None
    if found is None:
        return None
    hours, minutes, seconds, milliseconds = (float(number or 0) for number in found.groups())
    return hours * HOUR + minutes * _MINUTE + seconds + milliseconds / 1000


def unverified(url: str) -> str:
    """What the log says of an account that only its owner can help; it takes no whole URLs."""
    where = f" at {url.removeprefix('https://')}" if url else ""
    return f"Google wants this account to be verified{where}"


def _reset(details: Details, now: float) -> float | None:
    """Seconds until a quota is full again."""
    when = moment(_text(details.metadata.get("quotaResetTimeStamp")))
    if when is not None and when > now:
        return when - now
    return duration(details.metadata.get("quotaResetDelay"))


def _in_text(message: str) -> float | None:
    found = _IN_TEXT.search(message)
    return duration(found[1]) if found is not None else None


def _error(body: bytes) -> Mapping[str, Any]:
    """The value of "error", bare or in a list."""
    whole = try_read(body, object)
    if isinstance(whole, list) and whole:
        whole = whole[0]
    error = whole.get("error") if isinstance(whole, dict) else None
    return error if isinstance(error, dict) else {}


def objects(value: Any) -> Iterator[Mapping[str, Any]]:
    """The JSON objects in a list; none when it is no list."""
    for item in value if isinstance(value, list) else ():
        if isinstance(item, dict):
            yield item


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
