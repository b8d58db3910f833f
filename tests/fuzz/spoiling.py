"""
Spoils what a reader understands, and keeps it so that much of it is still understood.

A mutator of bytes breaks the JSON in nearly all that it changes, and then only the refusal is
tried. Here the messages of a stream change places, and the values inside of them change theirs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from random import Random
from typing import Any

_ODD: Sequence[Any] = (None, True, "", "0", [], {}, 0, -1, 2**40, 0.5, "\ud800", "\n", [None], "x")

_VALUE = re.compile(rb'"(?:[^"\\\n]|\\.){0,60}"|-?\d+(?:\.\d+)?|null|true|false')

_MOST_CHANGES = 3


def spoilt(data: bytes, others: Sequence[bytes], random: Random) -> bytes:
    """`data` with a few faults. others: from which messages may slip in."""
    for _ in range(random.randint(1, _MOST_CHANGES)):
        data = random.choice((_reordered, _revalued, _restructured))(data, others, random)
    return data


def _reordered(data: bytes, others: Sequence[bytes], random: Random) -> bytes:
    """A message lost, doubled, in another's place, or of another stream."""
    border = _border(data)
    messages = data.split(border)
    at, to = random.randrange(len(messages)), random.randrange(len(messages))
    match random.randrange(4):
        case 0:
            del messages[at]
        case 1:
            messages.insert(to, messages[at])
        case 2:
            messages[at], messages[to] = messages[to], messages[at]
        case _:
            messages.insert(at, random.choice(random.choice(others).split(border)))
    return border.join(messages)


def _revalued(data: bytes, others: Sequence[bytes], random: Random) -> bytes:
    """A name or value replaced by another one, most often of the same data."""
    values = list(_VALUE.finditer(data))
    if not values:
        return data
    at, new = random.choice(values), random.choice(values).group()
    if not random.randrange(4):
        new = json.dumps(random.choice(_ODD)).encode()
    return data[: at.start()] + new + data[at.end() :]


def _restructured(data: bytes, others: Sequence[bytes], random: Random) -> bytes:
    """A member lost, a value put in another's place, or an element doubled."""
    border = _border(data)
    messages = data.split(border)
    at = random.randrange(len(messages))
    start = messages[at].find(b"{")
    if start < 0:
        return data
    try:
        value = json.loads(messages[at][start:])
    except (ValueError, RecursionError):
        return data
    places = [place for place in _places(value) if place[0]]
    if not places:
        return data
    within, key = random.choice(places)
    match random.randrange(3):
        case 0:
            del within[key]
        case 1:
            # As text, lest a value become a part of itself.
            whence, name = random.choice(places)
            within[key] = json.loads(json.dumps(whence[name]))
        case _ if isinstance(within, list):
            within.insert(key, within[key])
        case _:
            within[key] = [within[key]]
    messages[at] = messages[at][:start] + json.dumps(value).encode()
    return border.join(messages)


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Each object or array in `value` with each of its keys."""
    found: list[tuple[Any, Any]] = []
    waiting = [value]
    while waiting:
        within = waiting.pop()
        keys = list(within) if isinstance(within, dict) else range(len(within))
        for key in keys:
            found.append((within, key))
            if isinstance(within[key], dict | list):
                waiting.append(within[key])
    return found


def _border(data: bytes) -> bytes:
    """What stands between messages: a blank line, or a line's end; one document is one message."""
    return b"\n\n" if b"\n\n" in data or data.startswith((b"{", b"[")) else b"\n"
