"""How many second chances an upstream gets: when much fails at once, each would add to the load."""

from __future__ import annotations

from collections.abc import Container

BURST = 20.0
PER_SECOND = 10.0


class RetryBudget:
    """
    Chances in store for each name, filled up to BURST at a steady pace.

    now: seconds on a clock that does not run backwards.
    """

    def __init__(self) -> None:
        self._left: dict[str, tuple[float, float]] = {}

    def spend(self, name: str, now: float) -> bool:
        """Take one; False when there is none."""
        left, since = self._left.get(name, (BURST, now))
        left = min(BURST, left + (now - since) * PER_SECOND)
        has_one = left >= 1.0
        self._left[name] = (left - has_one, now)
        return has_one

    def keep(self, names: Container[str]) -> None:
        """Forget all other names."""
        self._left = {name: entry for name, entry in self._left.items() if name in names}
