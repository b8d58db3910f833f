"""
A function call's arguments that come in pieces, each with its place.

Shape: {"partialArgs": [{"jsonPath": "$.a.b[0]", "stringValue": "te", "willContinue": true}, ...]}
A string goes on in the next piece of the same path while `willContinue` is set.
Source: Vertex AI, streamFunctionCallArguments.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any, TypeAlias

from aiproxy.ir import JSON
from aiproxy.wire.gemini.shapes import PartialArg
from aiproxy.wire.jsontext import MAX_DEPTH, try_read, write

_Step: TypeAlias = str | int

_STEP = re.compile(
    r"""\.(?P<name>[^.\[\]]+) | \[(?P<index>\d{1,9})\]
    | \['(?P<single>(?:[^'\\]|\\.)*)'\] | \["(?P<double>(?:[^"\\]|\\.)*)"\]""",
    re.VERBOSE,
)
_ESCAPED = re.compile(r"\\(.)")

_MAX_GAP = 100
"""Places of a list that one piece may leave out: models fill lists from the front."""


class PartialArguments:
    """One call's arguments as they grow."""

    def __init__(self, start: bytes = b"") -> None:
        """start: JSON of the arguments that came whole, if any."""
        self._root: dict[str, Any] = try_read(start, dict[str, Any]) or {}
        self._continued = ""
        # The text that goes on, in pieces, and where it belongs.
        self._pieces: list[str] = []
        self._place: tuple[Any, _Step] = ({}, "")

    def add(self, piece: PartialArg) -> None:
        """Raises: ValueError when the piece has no place."""
        value = _value(piece)
        if self._pieces and piece.json_path == self._continued and isinstance(value, str):
            self._pieces.append(value)
            self._continued = piece.json_path if piece.will_continue else ""
            return
        self._complete()
        self._pieces = []
        steps = _steps(piece.json_path)
        node: Any = self._root
        for step, following in pairwise(steps):
            node = _entered(node, step, [] if isinstance(following, int) else {})
        _put(node, steps[-1], value)
        self._continued = piece.json_path if piece.will_continue else ""
        if self._continued and isinstance(value, str):
            self._place, self._pieces = (node, steps[-1]), [value]

    def update(self, arguments: JSON) -> None:
        """Further arguments that are whole. Raises: ValueError when they are no object."""
        whole = try_read(arguments, dict[str, Any])
        if whole is None:
            raise ValueError("arguments are an object")
        self._complete()
        self._root.update(whole)

    def text(self) -> str:
        """The arguments so far as JSON."""
        self._complete()
        return write(self._root).decode()

    def _complete(self) -> None:
        """Put the text that goes on where it belongs, as far as it has come."""
        if self._pieces:
            self._pieces = ["".join(self._pieces)]
            _put(*self._place, self._pieces[0])


def _steps(path: str) -> list[_Step]:
    if not path.startswith("$"):
        raise ValueError("a path begins with $")
    steps: list[_Step] = []
    at = 1
    while at < len(path):
        match = _STEP.match(path, at)
        if match is None:
            raise ValueError("a path has names and numbers")
        if match["index"] is not None:
            steps.append(int(match["index"]))
        elif match["name"] is not None:
            steps.append(match["name"])
        else:
            steps.append(_ESCAPED.sub(r"\1", match["single"] or match["double"] or ""))
        at = match.end()
    if not 0 < len(steps) <= MAX_DEPTH:
        raise ValueError("a path leads somewhere near")
    return steps


def _value(piece: PartialArg) -> Any:
    for value in (piece.string_value, piece.number_value, piece.bool_value):
        if value is not None:
            return value
    return None


def _entered(node: Any, step: _Step, fresh: Any) -> Any:
    """What stands at `step`, made `fresh` when nothing does."""
    if isinstance(node, dict) and isinstance(step, str):
        if node.get(step) is None:
            node[step] = fresh
        return node[step]
    if isinstance(node, list) and isinstance(step, int):
        _lengthen(node, step)
        if node[step] is None:
            node[step] = fresh
        return node[step]
    raise ValueError("a path contradicts an earlier one")


def _put(node: Any, step: _Step, value: Any) -> None:
    if isinstance(node, dict) and isinstance(step, str):
        node[step] = value
    elif isinstance(node, list) and isinstance(step, int):
        _lengthen(node, step)
        node[step] = value
    else:
        raise ValueError("a path contradicts an earlier one")


def _lengthen(node: list[Any], index: int) -> None:
    missing = index + 1 - len(node)
    if missing > _MAX_GAP:
        raise ValueError("a path leaves out too much of a list")
    node.extend([None] * missing)
