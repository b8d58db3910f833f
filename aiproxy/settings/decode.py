"""The whole file: YAML text -> Settings, or every problem in it."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from aiproxy.errors import SettingsError
from aiproxy.settings.expand import Expander
from aiproxy.settings.model import (
    ApiKey,
    BreakerSettings,
    LogSettings,
    Settings,
    Source,
    Timeouts,
)
from aiproxy.settings.reading import MAX_PROBLEMS, Enough, Fields, Findings, Place, shown
from aiproxy.settings.upstreams import (
    CLIENT_TIMEOUTS,
    DAY,
    IGNORED,
    UPSTREAM_TIMEOUTS,
    Defaults,
    read_names,
    read_timeouts,
    read_upstreams,
)
from aiproxy.settings.yamltree import Malformed, compose

TOP_KEYS = (
    "bind",
    "listen",
    "api-key",
    "allow_unauthenticated",
    "upstreams",
    "model_fallback",
    "default_max_tokens",
    "upstream_request_timeout",
    "timeouts",
    "circuit_breaker",
    "affinity",
    "keepalive",
    "max_request_bytes",
    "max_concurrent_requests",
    "drain_timeout",
    "workers",
    "log",
)
BREAKER_KEYS = ("failures", "cooldown", "probe_after")
LOG_KEYS = ("file", "max_size", "max_backups", "max_age", "compress")

MEBIBYTE = 1 << 20

MAX_REQUEST_BYTES = 64 * MEBIBYTE
"""Vendors stop at 32 MB (Anthropic) to 100 MB (Gemini)."""

MAX_CONCURRENT_REQUESTS = 512
"""Well under the usual 1024 open files: each call has a client's and an upstream's socket."""

MAX_WORKERS = 256

_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?")
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


def parse(text: str, source: Source) -> Settings:
    """
    The settings that `text` says.

    Raises: SettingsError with all problems in file order, and nothing else.
    """
    findings = Findings(source.path)
    try:
        node = compose(text)
        root = Place("", node.line if node else 1, node, findings)
        settings = _Reader(root.fields(TOP_KEYS, IGNORED), source).settings()
    except Malformed as error:
        raise SettingsError((f"{source.path}:{error.line}: {error.message}",)) from None
    except Enough:
        more = f"{source.path}: more than {MAX_PROBLEMS} problems, no more are shown"
        raise SettingsError((*findings.problems, more)) from None
    if findings.problems:
        raise SettingsError(findings.problems)
    return replace(settings, warnings=findings.warnings)


class _Reader:
    """Reads the top level."""

    def __init__(self, fields: Fields, source: Source) -> None:
        self._fields = fields
        self._source = source
        self._expander = Expander(source)

    def settings(self) -> Settings:
        fields = self._fields
        bind = self._bind()
        api_keys = self._api_keys()
        allow = fields["allow_unauthenticated"].boolean(False)
        self._check_exposure(bind, api_keys, allow)
        max_tokens = fields["default_max_tokens"].integer(4096)
        timeouts = self._timeouts()
        affinity = fields["affinity"]
        defaults = Defaults(timeouts, affinity.boolean(True) if affinity.given else None)
        upstreams = read_upstreams(fields["upstreams"], self._source, defaults)
        if not any(upstream.enabled for upstream in upstreams):
            fields["upstreams"].warn("none is enabled: every call will be refused")
        return Settings(
            bind=bind,
            port=self._port(),
            socket_activation=fields["listen"].says("systemd"),
            api_keys=api_keys,
            default_max_tokens=max_tokens if max_tokens > 0 else 4096,
            upstreams=upstreams,
            model_fallback=self._fallback(),
            log=self._log(),
            circuit_breaker=self._breaker(),
            timeouts=timeouts,
            keepalive_seconds=fields["keepalive"].number(10, 0.001, DAY),
            max_request_bytes=fields["max_request_bytes"].integer(MAX_REQUEST_BYTES, 1024),
            max_concurrent_requests=fields["max_concurrent_requests"].integer(
                MAX_CONCURRENT_REQUESTS, 1
            ),
            drain_timeout_seconds=fields["drain_timeout"].number(30, 0, DAY),
            workers=self._workers(),
            allow_unauthenticated=allow,
            warnings=(),
        )

    def _bind(self) -> str:
        place = self._fields["bind"]
        bind = self._expander.trimmed(place) or "127.0.0.1"
        if bind.startswith("[") and bind.endswith("]"):
            bind = bind[1:-1]
        if _address(bind) is None and not _HOST.fullmatch(bind):
            place.complain("must be an IP address or a host name; the port belongs into listen")
        return bind

    def _port(self) -> int:
        place = self._fields["listen"]
        if place.says("systemd"):
            return 0
        text = (self._expander.trimmed(place) or ":8080").removeprefix(":")
        if re.fullmatch(r"[0-9]{1,5}", text) and int(text) < 65536:
            return int(text)
        place.complain(
            'must be ":" and a port, such as ":8080", or "systemd"; the address belongs into bind'
        )
        return 8080

    def _api_keys(self) -> tuple[ApiKey, ...]:
        place = self._fields["api-key"]
        keys: dict[ApiKey, None] = {}
        for text in self._expander.secrets(place):
            kind, colon, digest = text.partition(":")
            if not (kind == "sha256" and colon):
                keys[ApiKey.of(text)] = None
            elif _SHA256.fullmatch(digest):
                keys[ApiKey(bytes.fromhex(digest))] = None
            else:
                place.complain("sha256: must be followed by 64 hexadecimal digits")
        if place.given and not keys and not place.complained:
            place.warn("every entry is blank: calls need no key")
        return tuple(keys)

    def _check_exposure(self, bind: str, api_keys: tuple[ApiKey, ...], allow: bool) -> None:
        fields = self._fields
        silent = fields["api-key"].complained or fields["bind"].complained
        silent = silent or fields["listen"].says("systemd")
        if not (api_keys or allow or silent or is_loopback(bind)):
            fields["bind"].complain(
                "reachable from other machines without api-key; "
                'set api-key, or "allow_unauthenticated: true" if everybody may call'
            )

    def _timeouts(self) -> Timeouts:
        headers = self._fields["upstream_request_timeout"].integer(60, most=30 * DAY)
        defaults = Timeouts(
            connect=10.0,
            headers=float(headers if headers > 0 else 60),
            whole_answer=600.0,
            first_event=120.0,
            idle=120.0,
            client_header=10.0,
            client_body=60.0,
        )
        keys = UPSTREAM_TIMEOUTS + CLIENT_TIMEOUTS
        return read_timeouts(self._fields["timeouts"], defaults, keys)

    def _breaker(self) -> BreakerSettings:
        fields = self._fields["circuit_breaker"].fields(BREAKER_KEYS, {})
        return BreakerSettings(
            failures=fields["failures"].integer(3, 1),
            cooldown_seconds=fields["cooldown"].number(1800, 0.001, 30 * DAY),
            probe_after_seconds=fields["probe_after"].number(15, 0.001, 30 * DAY),
        )

    def _workers(self) -> int:
        place = self._fields["workers"]
        if place.says("auto"):
            return 0
        return place.integer(1, 1, MAX_WORKERS)

    def _log(self) -> LogSettings:
        fields = self._fields["log"].fields(LOG_KEYS, {})
        limits = {"max_size": 100, "max_backups": 3, "max_age": 28}
        for key, default in limits.items():
            number = fields[key].integer(default)
            limits[key] = number if number > 0 else default
        return LogSettings(
            file=self._expander.path(fields["file"]) or "",
            max_size_bytes=limits["max_size"] * MEBIBYTE,
            max_backups=limits["max_backups"],
            max_age_seconds=float(limits["max_age"] * DAY),
            compress=fields["compress"].boolean(False),
        )

    def _fallback(self) -> Mapping[str, str]:
        places = dict(self._fields["model_fallback"].pairs())
        links = read_names(places, self._expander)
        for source, target in links.items():
            if not source.strip() or not target.strip():
                places[source].complain("a model name is blank")
        for cycle in _cycles(links):
            chain = " -> ".join(shown(model) for model in (*cycle[:8], cycle[0]))
            places[cycle[0]].complain(f"goes in a circle: {chain}")
        return links


def _cycles(links: Mapping[str, str]) -> Iterator[list[str]]:
    """Every cycle once, beginning with its first key in file order."""
    order = {model: number for number, model in enumerate(links)}
    done: set[str] = set()
    for start in links:
        trail: dict[str, None] = {}
        model = start
        while model in links and model not in done and model not in trail:
            trail[model] = None
            model = links[model]
        if model in trail:
            path = list(trail)
            cycle = path[path.index(model) :]
            first = cycle.index(min(cycle, key=order.__getitem__))
            yield cycle[first:] + cycle[:first]
        done.update(trail)


def _address(bind: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(bind)
    except ValueError:
        return None


def is_loopback(bind: str) -> bool:
    """Whether an address or host name is for programs on the same machine only."""
    address = _address(bind)
    if address is None:
        return bind.lower() == "localhost"
    return address.is_loopback
