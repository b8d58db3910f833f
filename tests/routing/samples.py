"""Small settings to route with."""

from __future__ import annotations

from collections.abc import Mapping

from aiproxy.redaction import Secret
from aiproxy.settings import BreakerSettings, LogSettings, Settings, Timeouts, Upstream

TIMEOUTS = Timeouts(
    connect=10,
    headers=60,
    whole_answer=600,
    first_event=120,
    idle=120,
    client_header=10,
    client_body=60,
)
BREAKER = BreakerSettings(failures=3, cooldown_seconds=1800, probe_after_seconds=15)


def upstream(
    name: str,
    *models: str,
    weight: int = 1,
    enabled: bool = True,
    tokens: tuple[str, ...] = ("t",),
    base_url: str = "http://upstream.invalid",
    mappings: Mapping[str, str] | None = None,
) -> Upstream:
    """An upstream that serves `models`, or anything when there are none."""
    return Upstream(
        name=name,
        enabled=enabled,
        api_type="anthropic",
        base_url=base_url,
        token_url="",
        tokens=tuple(Secret(token) for token in tokens),
        auth_files=(),
        weight=weight,
        model_mappings=mappings or {},
        available_models=models,
        request_compression="",
        http_headers=(),
        oauth_client_secret=Secret(""),
        metadata={},
        affinity=False,
        timeouts=TIMEOUTS,
    )


def settings(
    *upstreams: Upstream,
    breaker: BreakerSettings = BREAKER,
    fallback: Mapping[str, str] | None = None,
) -> Settings:
    """Settings with these upstreams and nothing else of note."""
    return Settings(
        bind="127.0.0.1",
        port=8080,
        api_keys=(),
        default_max_tokens=4096,
        upstreams=upstreams,
        model_fallback=fallback or {},
        log=LogSettings(
            file="", max_size_bytes=0, max_backups=0, max_age_seconds=0, compress=False
        ),
        circuit_breaker=breaker,
        timeouts=TIMEOUTS,
        keepalive_seconds=10,
        max_request_bytes=1 << 25,
        max_concurrent_requests=0,
        drain_timeout_seconds=30,
        workers=1,
        socket_activation=False,
        allow_unauthenticated=False,
        warnings=(),
    )
