"""How long an upstream asks to be left alone, in every form it is said."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import timezone
from email.utils import parsedate_to_datetime

MAX_SECONDS = 1800.0
"""No upstream may put itself out of use for longer than a breaker would."""


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
    values = {name.lower(): value.strip() for name, value in reversed(headers)}
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
