"""
What Claude models take and refuse, as data; more than one vendor serves them.

Only translated requests are fitted to a model; a client of their own wire knows what it asks for.
Source: Anthropic, model overview, "Extended thinking", "Adaptive thinking" and "Effort".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from aiproxy.ir import Effort

_MODEL = re.compile(
    r"claude-(?:(?P<old>\d)(?:[-.](?P<old_minor>\d))?-)?(?P<line>[a-z]+)"
    r"(?:-(?P<major>\d{1,2})(?!\d)(?:[-.](?P<minor>\d{1,2})(?!\d))?)?"
)


@dataclass(frozen=True, slots=True)
class Limits:
    """
    sampling: "free"; "one" of temperature and top_p; "fixed", which refuses all three knobs.
    thinking: "adaptive" takes a level, "manual" a budget, "none" nothing; "unknown" takes either
    as far as anyone can tell.
    efforts: levels above "high" that it knows.
    """

    sampling: Literal["free", "one", "fixed"]
    thinking: Literal["adaptive", "manual", "none", "unknown"]
    efforts: frozenset[Effort] = frozenset()


_UNKNOWN = Limits("free", "unknown")
_NEWEST = Limits("fixed", "adaptive", frozenset({"xhigh", "max"}))

_BY_VERSION: tuple[tuple[str, tuple[int, int], Limits], ...] = (
    ("opus", (4, 7), _NEWEST),
    ("sonnet", (5, 0), _NEWEST),
    ("haiku", (4, 6), _NEWEST),
    ("opus", (4, 6), Limits("one", "adaptive", frozenset({"max"}))),
    ("sonnet", (4, 6), Limits("one", "adaptive", frozenset({"max"}))),
    ("", (4, 0), Limits("one", "manual")),
    ("", (3, 7), Limits("free", "manual")),
    ("", (0, 0), Limits("free", "none")),
)
"""Line, first version, limits; the first row that fits counts. "" is any of the three lines."""

_LINES = frozenset({"opus", "sonnet", "haiku"})


@lru_cache(maxsize=256)
def limits_of(model: str) -> Limits:
    """What `model` takes, by its name; a line of models that is new here is like the newest."""
    found = _MODEL.search(model)
    if found is None:
        return _UNKNOWN
    if found["line"] not in _LINES:
        return _NEWEST if found["major"] and int(found["major"]) >= 5 else _UNKNOWN
    major, minor = found["old"] or found["major"], found["old_minor"] or found["minor"]
    if major is None:
        return _UNKNOWN
    version = (int(major), int(minor or 0))
    for line, first, limits in _BY_VERSION:
        if line in ("", found["line"]) and version >= first:
            return limits
    return _UNKNOWN
