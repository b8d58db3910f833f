"""What operators and their tools ask: state of the process, of models and of breakers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from aiproxy.services.balancer import Balancer
from aiproxy.services.drain import Drain
from aiproxy.settings import Settings


class Answer(NamedTuple):
    """body: JSON."""

    status: int
    body: bytes


class _Pair(msgspec.Struct):
    upstream_name: str | None = None
    model_name: str | None = None


class Admin:
    """settings: gives those in force."""

    def __init__(self, settings: Callable[[], Settings], balancer: Balancer, drain: Drain) -> None:
        self._settings = settings
        self._balancer = balancer
        self._drain = drain

    def greeting(self) -> Answer:
        """Claude Code asks for HEAD / first, to see whether anybody is there."""
        return _json(200, {"service": "aiproxy"})

    def health(self) -> Answer:
        """The process answers."""
        return _json(200, {"status": "ok"})

    def readiness(self) -> Answer:
        """Calls can be sent here."""
        if self._drain.draining:
            return _json(503, {"status": "stopping"})
        if not any(upstream.enabled for upstream in self._settings().upstreams):
            return _json(503, {"status": "no upstream"})
        return _json(200, {"status": "ready"})

    def models(self) -> Answer:
        """Listed models that some upstream can answer now, as a bare array of names."""
        return _json(200, self._balancer.models())

    def unavailable_models(self) -> Answer:
        """Shape: [{"upstream_name", "model_name", "time_to_reset": seconds}]."""
        return _json(
            200,
            [
                {
                    "upstream_name": pair.upstream,
                    "model_name": pair.model,
                    "time_to_reset": float(pair.seconds_left),
                }
                for pair in self._balancer.unavailable()
            ],
        )

    def reset_model(self, body: bytes) -> Answer:
        """Close a breaker. Shape: {"upstream_name": text, "model_name": text}."""
        try:
            pair = msgspec.json.decode(body, type=_Pair)
        except (msgspec.MsgspecError, RecursionError, ValueError):
            return _json(400, {"error": "invalid request body"})
        if not pair.upstream_name or not pair.model_name:
            return _json(400, {"error": "upstream_name and model_name are required"})
        if not self._balancer.reset(pair.upstream_name, pair.model_name):
            return _json(404, {"error": "model is not unavailable"})
        return _json(200, {"status": "ok"})


def _json(status: int, value: Any) -> Answer:
    return Answer(status, msgspec.json.encode(value))
