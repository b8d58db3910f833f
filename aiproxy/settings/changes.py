"""What a reload would change, and why it may be refused. No secret is ever shown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from typing import Any

from aiproxy.settings.model import Settings, Upstream

_RESTART = " (needs restart)"

_NOT_SHOWN = {
    "tokens": "token",
    "http_headers": "http_headers",
    "oauth_client_secret": "oauth_client_secret",
    "metadata": "metadata",
    "auth_files": "auth_files",
    "model_mappings": "model_mappings",
    "available_models": "available_models",
}
"""Field -> key, of what is secret or too long for a line."""

_KEYS = {
    "port": "listen",
    "keepalive_seconds": "keepalive",
    "drain_timeout_seconds": "drain_timeout",
    "cooldown_seconds": "cooldown",
    "probe_after_seconds": "probe_after",
    "max_size_bytes": "max_size (bytes)",
    "max_age_seconds": "max_age (seconds)",
}
"""Field -> key, where the two differ."""


def check_reload(old: Settings, new: Settings) -> tuple[str, ...]:
    """
    Reasons to keep `old` although `new` is valid; none when the reload may go on.

    An editor or a full disk may leave an empty or cut file, which is a valid one: without
    upstreams, and without keys for clients.
    """
    reasons = []
    if old.upstreams and not new.upstreams:
        reasons.append("it would drop every upstream: is the file empty or cut short?")
    if old.api_keys and not new.api_keys and not new.allow_unauthenticated:
        reasons.append(
            "it would switch client authentication off; "
            'if that is meant, set "allow_unauthenticated: true"'
        )
    return tuple(reasons)


def diff(old: Settings, new: Settings) -> tuple[str, ...]:
    """What changed, one line each; what needs a restart says so."""
    lines = [*_changed(old, new, ("bind", "port", "socket_activation", "workers"), _RESTART)]
    lines += _prefixed("log.", _changed(old.log, new.log, (), _RESTART))
    if old.api_keys != new.api_keys:
        lines.append(f"api-key changed, {_count(len(new.api_keys), 'key')} now")
    plain = (
        "allow_unauthenticated",
        "default_max_tokens",
        "keepalive_seconds",
        "max_request_bytes",
        "max_concurrent_requests",
        "drain_timeout_seconds",
    )
    lines += _changed(old, new, plain)
    lines += _prefixed("timeouts.", _changed(old.timeouts, new.timeouts))
    lines += _prefixed("circuit_breaker.", _changed(old.circuit_breaker, new.circuit_breaker))
    lines += _entries("model_fallback", old.model_fallback, new.model_fallback)
    lines += _upstreams(old, new)
    return tuple(lines)


def _upstreams(old: Settings, new: Settings) -> Iterator[str]:
    before = {upstream.name: upstream for upstream in old.upstreams}
    after = {upstream.name: upstream for upstream in new.upstreams}
    for name in before:
        if name not in after:
            yield f"upstream {name} removed"
    for name, upstream in after.items():
        if name not in before:
            yield f"upstream {name} added"
            continue
        yield from _prefixed(f"upstream {name}: ", _upstream(before[name], upstream))
        limits = before[name].timeouts, upstream.timeouts
        # One change at the top level shows in every upstream that has none of its own.
        if limits[0] != limits[1] and limits != (old.timeouts, new.timeouts):
            yield f"upstream {name}: timeouts changed"
    if [name for name in before if name in after] != [name for name in after if name in before]:
        yield "order of upstreams changed"


def _upstream(old: Upstream, new: Upstream) -> Iterator[str]:
    yield from _changed(
        old,
        new,
        [
            field.name
            for field in fields(Upstream)
            if field.name not in _NOT_SHOWN and field.name != "timeouts"
        ],
    )
    for name, key in _NOT_SHOWN.items():
        if getattr(old, name) != getattr(new, name):
            yield f"{key} changed"


def _changed(old: Any, new: Any, names: Iterable[str] = (), note: str = "") -> Iterator[str]:
    """The fields of two values of one dataclass that differ; all fields without `names`."""
    for name in tuple(names) or tuple(field.name for field in fields(old)):
        before, after = getattr(old, name), getattr(new, name)
        if before != after:
            yield f"{_KEYS.get(name, name)}: {_word(before)} -> {_word(after)}{note}"


def _entries(key: str, old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[str]:
    for name in dict.fromkeys((*old, *new)):
        if old.get(name) != new.get(name):
            yield f"{key} of {name}: {_word(old.get(name))} -> {_word(new.get(name))}"


def _prefixed(prefix: str, lines: Iterable[str]) -> Iterator[str]:
    return (prefix + line for line in lines)


def _word(value: object) -> str:
    match value:
        case None | "":
            return "none"
        case bool():
            return str(value).lower()
        case float():
            return f"{value:.15g}"
        case _:
            return str(value)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
