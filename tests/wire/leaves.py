"""
Which words and numbers of a request's JSON are nowhere in the JSON it was translated to.

Blunt on purpose: it knows nothing of either dialect, so it also finds what no decoder looked at. A
text counts as carried when it stands anywhere in the target, alone or inside a longer one.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from aiproxy import ir
from aiproxy.wire.losses import feature_name

_SHORT = 8
"""What is no longer than this may stand in any base64 by chance."""


@dataclass(frozen=True)
class Leaf:
    """
    path: the names of the members that lead to it, list positions left out. types: the `type` of
    each object around it, "thought" for Gemini's thoughts.
    """

    path: tuple[str, ...]
    types: tuple[str, ...]
    value: str | int | float

    @property
    def place(self) -> str:
        return ".".join(self.path)

    def words(self) -> set[str]:
        """Features that a loss of it may be declared as."""
        names = [feature_name(name) for name in self.path]
        dotted = {".".join(names[at:]) for at in range(len(names))}
        return {*names, *dotted, *map(feature_name, self.types)}


def leaves(value: Any) -> Iterator[Leaf]:
    """All texts and numbers of a parsed body, also of the JSON inside texts."""
    yield from _leaves(value, (), ())


def _leaves(value: Any, path: tuple[str, ...], types: tuple[str, ...]) -> Iterator[Leaf]:
    if isinstance(value, dict):
        kind = value.get("type")
        types = (*types, kind) if isinstance(kind, str) else types
        types = (*types, "thought") if value.get("thought") is True else types
        for name, inner in value.items():
            yield from _leaves(inner, (*path, name), types)
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner, path, types)
    elif isinstance(value, str):
        inside = _inside(value)
        if inside is not None:
            yield from _leaves(inside, path, types)
        elif value.strip():
            yield Leaf(path, types, value.strip())
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield Leaf(path, types, value)


def _texts(value: Any) -> Iterator[str]:
    """All texts as they are: of one cut in two, neither half is JSON, but the whole may be."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _texts(inner)


def _inside(text: str) -> Any:
    """The object or list that a text is the JSON of, None when it is not."""
    if text.strip()[:1] not in ("{", "["):
        return None
    try:
        return json.loads(text)
    except ValueError:
        return None


class Target:
    """What of a translated body can be found again."""

    def __init__(self, body: Any, losses: Iterable[ir.Loss]) -> None:
        self._features = {loss.feature for loss in losses}
        found = list(leaves(body))
        texts = [leaf.value for leaf in found if isinstance(leaf.value, str)]
        names = [name for leaf in found for name in leaf.path]
        self._text = "\0".join([*texts, *names, *_texts(body)])
        self._numbers = {leaf.value for leaf in found if not isinstance(leaf.value, str)}

    def carries(self, leaf: Leaf) -> bool:
        if not isinstance(leaf.value, str):
            return leaf.value in self._numbers
        return any(spelling in self._text for spelling in _spellings(leaf.value))

    def declares(self, leaf: Leaf, aliases: Iterable[str]) -> bool:
        return bool(self._features & (leaf.words() | set(aliases)))


def _spellings(text: str) -> Iterator[str]:
    """The same text in another alphabet of base64, as data alone, decoded or encoded."""
    yield text
    if len(text) > _SHORT:
        yield base64.b64encode(text.encode("utf-8", "replace")).decode().rstrip("=")
    data = text.partition(";base64,")[2] or text
    data = data.replace("-", "+").replace("_", "/").rstrip("=")
    yield data
    try:
        decoded = base64.b64decode(data + "=" * (-len(data) % 4), validate=True).decode()
    except (binascii.Error, ValueError):
        return
    if decoded.strip():
        yield decoded.strip()
