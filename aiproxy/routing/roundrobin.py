"""
Smooth weighted round-robin, one cursor per client model.

Each pick adds its weight to the credit of every eligible upstream; the largest credit wins and
pays the total of the eligible weights. One that this call has tried already earns on but cannot
win, so a call's failures do not cost anybody later turns; one that rests earns nothing.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence

MAX_CURSORS = 1024
"""Clients may name any model; the least recently asked ones lose their place."""

MAX_MODEL_CHARACTERS = 512
"""Longer names than any vendor's share one cursor, so that memory has a bound."""


class SmoothRoundRobin:
    """
    Turns of weighted names. Every pick takes O(number of eligible names).

    weights: by name, a weight below 1 counts as 1.
    """

    def __init__(self, weights: Mapping[str, int], *, max_cursors: int = MAX_CURSORS) -> None:
        self._max_cursors = max_cursors
        self._weights: dict[str, int] = {}
        self._bound = 0
        self._cursors: OrderedDict[str, dict[str, int]] = OrderedDict()
        self.replace(weights)

    def replace(self, weights: Mapping[str, int]) -> None:
        """Take other weights; equal ones, in the same order, keep every cursor where it is."""
        cleaned = {name: max(1, weight) for name, weight in weights.items()}
        if list(cleaned.items()) != list(self._weights.items()):
            self._weights = cleaned
            # Reached only when calls keep failing over: what they shift must not pile up.
            self._bound = 2 * sum(cleaned.values())
            self._cursors.clear()

    def pick(self, model: str, eligible: Sequence[str], tried: Collection[str] = ()) -> str | None:
        """
        The name whose turn it is for `model`, or None, which changes nothing.

        eligible: those that may win, in order of preference among equals.
        """
        if tried and all(name in tried for name in eligible):
            return None
        if not eligible:
            return None
        credits = self._cursor(model)
        total = 0
        winner, most = "", 0
        for name in eligible:
            weight = self._weights[name]
            total += weight
            credit = credits[name] = min(credits.get(name, 0) + weight, self._bound)
            if name not in tried and (not winner or credit > most):
                winner, most = name, credit
        credits[winner] = max(most - total, -self._bound)
        return winner

    def _cursor(self, model: str) -> dict[str, int]:
        key = model if len(model) <= MAX_MODEL_CHARACTERS else ""
        cursor = self._cursors.get(key)
        if cursor is None:
            cursor = self._cursors[key] = {}
            if len(self._cursors) > self._max_cursors:
                self._cursors.popitem(last=False)
        else:
            self._cursors.move_to_end(key)
        return cursor
