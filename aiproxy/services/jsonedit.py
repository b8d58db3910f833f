"""
Changes of single values in a JSON text, everything else as it was: order, spacing, unknown members.

Auth files belong to other programs, and to people who wrote them by hand; rewriting the whole of
one would lose what those care about. Pure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

_SPACE = re.compile(r"[ \t\r\n]*")
_decode = json.JSONDecoder().raw_decode


@dataclass(frozen=True, slots=True)
class _Member:
    """Where one member of an object stands in the text: `before` is the end of what precedes it."""

    name: str
    before: int
    key: int
    value: int
    end: int


def edited(text: str, changes: Iterable[tuple[Sequence[str], Any]]) -> str:
    """
    `text`, a JSON object, with each (path, value) set; objects on the way are made where missing.

    Raises: ValueError when `text` is no JSON object, or something on the way is none.
    """
    for path, value in changes:
        text = _with(text, path, value)
    return text


def _with(text: str, path: Sequence[str], value: Any) -> str:
    start = _after_space(text, 0)
    for depth, name in enumerate(path):
        members = _members(text, start)
        # Of duplicate members the last one counts.
        found = next((member for member in reversed(members) if member.name == name), None)
        if found is None:
            for missing in reversed(path[depth + 1 :]):
                value = {missing: value}
            return _inserted(text, start, members, name, value)
        if depth == len(path) - 1:
            return text[: found.value] + _printed(text, value) + text[found.end :]
        start = found.value
    return text


def _inserted(text: str, start: int, members: list[_Member], name: str, value: Any) -> str:
    """With a new last member, spaced like the one before it."""
    key, printed = _printed(text, name), _printed(text, value)
    if not members:
        return f"{text[: start + 1]}{key}: {printed}{text[start + 1 :]}"
    last = members[-1]
    lead = text[last.before : last.key]
    colon = text[_decode(text, last.key)[1] : last.value]
    return f"{text[: last.end]},{lead}{key}{colon}{printed}{text[last.end :]}"


def _members(text: str, start: int) -> list[_Member]:
    """Raises: ValueError when no object starts there."""
    if text[start : start + 1] != "{":
        raise ValueError("no JSON object")
    members: list[_Member] = []
    before = start + 1
    key = _after_space(text, before)
    while text[key : key + 1] == '"':
        name, at = _decode(text, key)
        at = _after_space(text, at)
        if text[at : at + 1] != ":":
            raise ValueError("no JSON object")
        value = _after_space(text, at + 1)
        end = _decode(text, value)[1]
        members.append(_Member(name, before, key, value, end))
        at = _after_space(text, end)
        if text[at : at + 1] == "}":
            return members
        if text[at : at + 1] != ",":
            raise ValueError("no JSON object")
        before = at + 1
        key = _after_space(text, before)
    if text[key : key + 1] != "}" or members:
        raise ValueError("no JSON object")
    return members


def _after_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return at if found is None else found.end()


def _printed(text: str, value: Any) -> str:
    """As the rest of the text does it: with escapes, or with letters of every script."""
    return json.dumps(value, ensure_ascii=text.isascii())
