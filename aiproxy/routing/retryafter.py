"""How long an upstream asks to be left alone, in every form it is said."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

MAX_SECONDS = 1800.0
"""No upstream may put itself out of use for longer than a breaker would."""

_YEAR = 366 * 86_400.0

_EARLIEST = 1_000_000_000
"""Larger numbers are Unix times, smaller ones are seconds from now."""

_UNITS = {"d": 86_400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_PART = r"(\d{1,9}(?:\.\d{1,9})?)(ms|[dhms])"
_DURATION = re.compile(rf"(?:{_PART}){{1,5}}", re.ASCII)
_IN_WORDS = re.compile(
    rf"(?:try again|retry) (?:in|after) ((?:{_PART}){{1,5}}|\d{{1,9}}(?:\.\d{{1,9}})?) ?"
    r"(days?|hours?|min(?:ute)?s?|sec(?:ond)?s?|ms|[dhms])?\b",
    re.ASCII | re.IGNORECASE,
)


def retry_after(
    headers: Sequence[tuple[str, str]], body_hint: float | None, now: float
) -> float | None:
    """
    Seconds to wait, from 0 to MAX_SECONDS, or None when nothing usable is said.

    Shape: `retry-after-ms: 1500`, `retry-after: 7` or `retry-after: Wed, 21 Oct 2026 07:28:00 GMT`;
    the first of these that can be read wins, then body_hint.
    body_hint: seconds that the error body names (Google's RetryInfo, for instance).
    now: seconds since 1970.
    Source: RFC 9110 10.2.3; the vendors' SDKs read `retry-after-ms` first.
    """
    values = _values(headers)
    milliseconds = _number(values.get("retry-after-ms", ""))
    if milliseconds is not None:
        return _bounded(milliseconds / 1000)
    text = values.get("retry-after", "")
    seconds = _number(text)
    if seconds is None:
        seconds = _until(text, now)
    if seconds is None:
        seconds = body_hint
    return None if seconds is None or math.isnan(seconds) else _bounded(seconds)


def credible(seconds: float | None) -> float | None:
    """A pause as a vendor's own words name it, a year at the most; None for what is no pause."""
    return min(seconds, _YEAR) if seconds is not None and seconds >= 0 else None


def pause_of_limit(headers: Sequence[tuple[str, str]], message: str, now: float) -> float | None:
    """
    The same of a throttled upstream that tells it only by its limits, or to people.

    The last of the limits that are used up counts.
    Shape: `anthropic-ratelimit-requests-remaining: 0`, `anthropic-ratelimit-requests-reset:
    2026-10-21T07:28:00Z`; `x-ratelimit-remaining-tokens: 0`, `x-ratelimit-reset-tokens: 6m0.5s`;
    `anthropic-ratelimit-unified-status: rejected`, `anthropic-ratelimit-unified-reset: 1792567680`;
    "Please try again in 6m0.5s.", "retry after 20 seconds".
    Source: Anthropic API reference, "Rate limits"; OpenAI API guide, "Rate limits in headers".
    """
    values = _values(headers)
    resets = [
        _reset(values.get(_reset_name(name), ""), now)
        for name, value in values.items()
        if "ratelimit-" in name and _is_used_up(name, value)
    ]
    seconds = max((seconds for seconds in resets if seconds is not None), default=None)
    if seconds is None:
        seconds = _said(message)
    return None if seconds is None else _bounded(seconds)


def _values(headers: Sequence[tuple[str, str]]) -> Mapping[str, str]:
    """The first value of each name."""
    return {name.lower(): value.strip() for name, value in reversed(headers)}


def _is_used_up(name: str, value: str) -> bool:
    if name.endswith("unified-status"):
        return value.lower() == "rejected"
    return "remaining" in name and _number(value) == 0


def _reset_name(name: str) -> str:
    return name.replace("unified-status", "unified-reset").replace("remaining", "reset")


def _reset(text: str, now: float) -> float | None:
    """Seconds from a Unix time, a number of seconds, a duration ("1m30.5s") or an ISO 8601 time."""
    number = _number(text)
    if number is not None:
        return number - now if number > _EARLIEST else number
    duration = _duration(text)
    if duration is not None:
        return duration
    try:
        # Python 3.10 does not read "Z".
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
        return moment.timestamp() - now if moment.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def _said(message: str) -> float | None:
    found = _IN_WORDS.search(message)
    if found is None:
        return None
    amount, unit = found[1].lower(), (found[4] or "").lower()
    return _duration(amount) or _duration(amount + (unit if unit == "ms" else unit[:1]))


def _duration(text: str) -> float | None:
    if not _DURATION.fullmatch(text):
        return None
    return sum(float(amount) * _UNITS[unit] for amount, unit in re.findall(_PART, text))


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _until(text: str, now: float) -> float | None:
    if not text:
        return None
    try:
        moment = parsedate_to_datetime(text)
        if moment.tzinfo is None:
            # RFC 9110 dates are GMT; "-0000" leaves the zone open.
            moment = moment.replace(tzinfo=timezone.utc)
        return moment.timestamp() - now
    except (TypeError, ValueError, OverflowError, IndexError):
        return None


def _bounded(seconds: float) -> float:
    return min(max(seconds, 0.0), MAX_SECONDS)
