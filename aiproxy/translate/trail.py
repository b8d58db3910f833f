"""What happened to one call, as it happens: for its headers, its access line and its last word."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from aiproxy import ir
from aiproxy.errors import AIProxyError, ErrorReply
from aiproxy.messages import Headers
from aiproxy.providers.contract import Call

_RETURNED = (
    "anthropic-ratelimit-",
    "x-ratelimit-",
    "x-codex-",
    "x-models-etag",
    "openai-",
    "request-id",
    "retry-after",
)
"""Upstream headers (prefixes end in "-") that a client of the same wire gets to see."""

_MOST_LOSSES = 50
_LONGEST_WORD = 80
_LONGEST_VALUE = 1000
_UNPRINTABLE = re.compile("[^ -~]")


class Trail:
    """
    One call's history. `upstream` and `mapped_model` are of the latest attempt.

    started: seconds on the clock that the translator uses. first_event: likewise, None before.
    outcome: "running", then "ok", "failed", "broken" (after bytes went out) or "left" (client).
    """

    def __init__(self, call: Call, started: float) -> None:
        self.call = call
        self.started = started
        self.first_event: float | None = None
        self.attempts = 0
        self.upstream = ""
        self.mapped_model = ""
        self.usage: ir.Usage | None = None
        self.errors: list[ErrorReply] = []
        self.outcome = "running"
        self.estimated = False
        self._losses: dict[str, ir.Loss] = {}

    @property
    def losses(self) -> tuple[ir.Loss, ...]:
        return tuple(self._losses.values())

    def attempt(self, upstream: str, mapped_model: str) -> None:
        self.attempts += 1
        self.upstream, self.mapped_model = upstream, mapped_model
        self._losses.clear()

    def lost(self, losses: Iterable[ir.Loss]) -> None:
        """At most `_MOST_LOSSES` are kept: a client may make up any number of fields."""
        for loss in losses:
            if len(self._losses) < _MOST_LOSSES:
                self._losses.setdefault(loss.feature, loss)

    def failed(self, error: AIProxyError) -> None:
        self.errors.append(error.reply)

    def headers(self, upstream_headers: Headers = (), *, native: bool = False) -> Headers:
        """The headers that every answer carries, and those of the upstream that go on."""
        own = [("x-request-id", self.call.id)]
        if self.upstream:
            own += [
                ("x-aiproxy-upstream", _printable(self.upstream)),
                ("x-aiproxy-model", _printable(self.mapped_model)),
                ("x-aiproxy-attempts", str(self.attempts)),
            ]
        if self._losses:
            own.append(("x-aiproxy-losses", ", ".join(map(_word, self._losses))))
        if self.estimated:
            own.append(("x-aiproxy-estimated", "true"))
        passed = [
            (name, _printable(value))
            for name, value in upstream_headers
            if native and _is_returned(name.lower())
        ]
        return (*own, *passed)


@lru_cache(maxsize=256)
def _is_returned(name: str) -> bool:
    return any(
        name == allowed or (allowed.endswith("-") and name.startswith(allowed))
        for allowed in _RETURNED
    )


def _printable(text: str) -> str:
    """The beginning of `text` as a header value: what is no printable ASCII becomes "?"."""
    return _printed(text[:_LONGEST_VALUE])


@lru_cache(maxsize=1024)
def _printed(text: str) -> str:
    """Upstreams, models and most headers are those of the last calls."""
    return _UNPRINTABLE.sub("?", text)


def _word(feature: str) -> str:
    """A feature as an item of a list; some are named by the client."""
    return _printable(feature[:_LONGEST_WORD]).replace(",", "?")
