"""What one encoding could not carry, collected on the way."""

from __future__ import annotations

import re
from collections.abc import Iterable

from aiproxy.ir import JSON, Extras, Loss

_MEANINGLESS = frozenset({"store", "include", "client_metadata", "betas", "object"})
"""Fields that say nothing to any other vendor: to leave them out takes nothing away."""

_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


class Losses:
    """Grows while one body is encoded; a feature counts once."""

    def __init__(self) -> None:
        self._seen: dict[str, Loss] = {}

    def dropped(self, feature: str) -> None:
        self._seen.setdefault(feature, Loss(feature))

    def approximated(self, feature: str) -> None:
        self._seen.setdefault(feature, Loss(feature, "approximated"))

    def extras(self, wire: str, extras: Extras | None) -> dict[str, JSON]:
        """The fields of `extras` when they belong to `wire`; those of any other are dropped."""
        if extras is None:
            return {}
        if extras.wire == wire:
            return dict(extras.fields)
        for name, _ in extras.fields:
            if name not in _MEANINGLESS:
                self.dropped(feature_name(name))
        return {}

    def add(self, losses: Iterable[Loss]) -> None:
        for loss in losses:
            self._seen.setdefault(loss.feature, loss)

    def seen(self) -> tuple[Loss, ...]:
        return tuple(self._seen.values())


def feature_name(field: str) -> str:
    """A field's name as a feature word: "cache_control" and "cacheControl" are "cache-control"."""
    return _HUMP.sub("-", field).replace("_", "-").lower()
