"""Pauses that upstreams asked for, each with its own end."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)

MAX_COOLDOWNS = 4096


class Cooldowns(Generic[Key]):
    """
    What rests until when; the oldest entries go when there are too many.

    now: seconds on any clock that does not run backwards.
    """

    def __init__(self, *, max_entries: int = MAX_COOLDOWNS) -> None:
        self._max_entries = max_entries
        self._ends: OrderedDict[Key, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._ends)

    def start(self, key: Key, seconds: float, now: float) -> None:
        """Let `key` rest; a pause never shortens one that is running."""
        if seconds <= 0:
            return
        self._ends[key] = max(now + seconds, self._ends.get(key, now))
        self._ends.move_to_end(key)
        if len(self._ends) > self._max_entries:
            self._ends.popitem(last=False)

    def left(self, key: Key, now: float) -> float:
        """Seconds until `key` may be used, 0 when it may now."""
        end = self._ends.get(key)
        if end is None:
            return 0.0
        if end <= now:
            del self._ends[key]
            return 0.0
        return end - now

    def clear(self, key: Key) -> bool:
        """End the pause of `key`; True when there was one."""
        return self._ends.pop(key, None) is not None

    def keep(self, wanted: Callable[[Key], bool]) -> None:
        """Forget what is not wanted any more."""
        for key in [key for key in self._ends if not wanted(key)]:
            del self._ends[key]
