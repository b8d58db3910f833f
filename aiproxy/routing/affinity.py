"""Which choice a conversation stays with, because what is cached there makes its turns cheaper."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Choice = TypeVar("Choice")

MAX_CONVERSATIONS = 4096


class Affinity(Generic[Key, Choice]):
    """The latest choice for each key; the keys unused for longest go when there are too many."""

    def __init__(self, *, max_entries: int = MAX_CONVERSATIONS) -> None:
        self._max_entries = max_entries
        self._choices: OrderedDict[Key, Choice] = OrderedDict()

    def __len__(self) -> int:
        return len(self._choices)

    def choice(self, key: Key) -> Choice | None:
        """What was chosen for `key`, None when that is not known."""
        choice = self._choices.get(key)
        if choice is not None:
            self._choices.move_to_end(key)
        return choice

    def chosen(self, key: Key, choice: Choice) -> None:
        """From now on `key` stays with `choice`."""
        self._choices[key] = choice
        self._choices.move_to_end(key)
        if len(self._choices) > self._max_entries:
            self._choices.popitem(last=False)
