"""
What an upstream's answer says beside what the hub has a place for.

It is kept to be reported: an encoder for another wire names each field as lost. Fields that are
only the vendor's books (fingerprints, times, costs) are listed by each wire and left out.
"""

from __future__ import annotations

from typing import Any

import msgspec

from aiproxy.ir import JSON, Extras
from aiproxy.wire.jsontext import closed_over, copied, try_read

MAX_FIELDS = 64


class Leftovers:
    """Of one answer, whole or streamed; a field counts once."""

    def __init__(self, wire: str) -> None:
        self._wire = wire
        self._fields: dict[str, JSON] = {}

    def note(self, value: bytes | JSON, known: frozenset[str]) -> None:
        """The members of an object that are not `known` and say something."""
        if not value or try_read(value, closed_over(known)) is not None:
            return
        for name, member in (try_read(value, dict[str, msgspec.Raw]) or {}).items():
            if name not in known:
                self.add(name, member)

    def add(self, name: str, value: JSON) -> None:
        if len(self._fields) < MAX_FIELDS and _says_something(try_read(value, object)):
            self._fields.setdefault(name, copied(value))

    def extras(self) -> Extras | None:
        """All of them, None when there are none."""
        return Extras(self._wire, tuple(self._fields.items())) if self._fields else None


def _says_something(value: Any) -> bool:
    """Whether anything in it differs from what an absent field would mean."""
    match value:
        case dict():
            return any(map(_says_something, value.values()))
        case list():
            return any(map(_says_something, value))
        case _:
            return bool(value)
