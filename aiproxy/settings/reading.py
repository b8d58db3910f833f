"""
Typed readers over the YAML tree, and the list of what they found wrong.

A reader never raises on a wrong value: it notes the problem and gives None or the default, so
that one pass finds everything. The typing rules are those of yaml.v3, which read the
configurations of the program that this one replaces.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from aiproxy.redaction import redact
from aiproxy.settings.yamltree import Entry, Items, Node, Scalar, Table, number_of

MAX_PROBLEMS = 100

_TRUE = frozenset(["y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "true", "True", "TRUE"])
_FALSE = frozenset(["n", "N", "no", "No", "NO", "off", "Off", "OFF", "false", "False", "FALSE"])

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,39}")


class Enough(Exception):
    """So many problems that more of them help nobody."""


class Findings:
    """
    Problems and warnings of one file.

    file: as it begins every line.
    """

    def __init__(self, file: str) -> None:
        self._file = file
        self._paths: list[str] = []
        self._problems: list[tuple[int, str]] = []
        self._warnings: list[tuple[int, str]] = []

    def problem(self, line: int, path: str, message: str) -> None:
        """Raises: Enough after MAX_PROBLEMS."""
        self._paths.append(path)
        self._problems.append((line, self._text(line, path, message)))
        if len(self._problems) >= MAX_PROBLEMS:
            raise Enough

    def warning(self, line: int, path: str, message: str) -> None:
        self._warnings.append((line, self._text(line, path, message)))

    def blames(self, path: str) -> bool:
        """Whether a problem was noted at `path` or below."""
        return any(p == path or p.startswith((f"{path}[", f"{path}.")) for p in self._paths)

    @property
    def problems(self) -> tuple[str, ...]:
        """In file order."""
        return _in_file_order(self._problems)

    @property
    def warnings(self) -> tuple[str, ...]:
        """In file order."""
        return _in_file_order(self._warnings)

    def _text(self, line: int, path: str, message: str) -> str:
        where = f"{path}: " if path else ""
        return f"{self._file}:{line}: {where}{message}"


def _in_file_order(found: Iterable[tuple[int, str]]) -> tuple[str, ...]:
    return tuple(text for _, text in sorted(found, key=lambda entry: entry[0]))


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint that ends a sentence about an unknown `word`: what it may have been meant to be."""
    by_shape = {name.lower().replace("-", "_"): name for name in known}
    close = difflib.get_close_matches(word[:60].lower().replace("-", "_"), by_shape, n=1)
    if close:
        return f', did you mean "{by_shape[close[0]]}"?'
    return f" (known: {', '.join(by_shape.values())})"


def shown(text: str) -> str:
    """A name from the file as it may appear in a message: short, printable, no secret."""
    return ascii(redact(text[:60]))[1:-1]


@dataclass(frozen=True, slots=True)
class Place:
    """
    One value, where it stands and how to complain about it.

    node: None when the key is absent. line: of the value, or of the mapping that lacks it.
    """

    path: str
    line: int
    node: Node | None
    findings: Findings

    @property
    def given(self) -> bool:
        """Present, and not null."""
        return not (self.node is None or (isinstance(self.node, Scalar) and self._kind == "null"))

    @property
    def _kind(self) -> str:
        return self.node.kind if isinstance(self.node, Scalar) else ""

    @property
    def complained(self) -> bool:
        """Whether something is wrong here or below, so that nothing more needs to be said."""
        return self.findings.blames(self.path)

    def complain(self, message: str) -> None:
        self.findings.problem(self.line, self.path, message)

    def warn(self, message: str) -> None:
        self.findings.warning(self.line, self.path, message)

    def _below(self, step: str, node: Node) -> Place:
        return Place(self.path + step, node.line, node, self.findings)

    def fields(self, known: Collection[str], ignored: Mapping[str, str]) -> Fields:
        """
        The keys of a mapping with a fixed set of them.

        ignored: key -> why it has no effect; these are warnings, other keys are problems.
        """
        found: dict[str, Place] = {}
        for entry in self._entries():
            path = f"{self.path}.{entry.key}" if self.path else entry.key
            if entry.key in known:
                found[entry.key] = Place(path, entry.value.line, entry.value, self.findings)
            elif entry.key in ignored:
                self.findings.warning(entry.line, path, f"ignored: {ignored[entry.key]}")
            elif self.path or not entry.key.startswith("x-"):
                self._unknown(entry, known)
        return Fields(self, found)

    def _unknown(self, entry: Entry, known: Collection[str]) -> None:
        # A key that is no word may be a secret with a blank forgotten: {token:sk-123}.
        key = shown(entry.key) if _WORD.fullmatch(entry.key) else "?"
        path = f"{self.path}.{key}" if self.path else key
        self.findings.problem(entry.line, path, "unknown key" + nearest(entry.key, known))

    def _entries(self) -> tuple[Entry, ...]:
        if not self.given:
            return ()
        if not isinstance(self.node, Table):
            self.complain("must be a mapping (key: value)")
            return ()
        for entry in self.node.duplicates:
            self.findings.problem(entry.line, self.path, f'"{shown(entry.key)}" is there twice')
        return self.node.entries

    def pairs(self) -> tuple[tuple[str, Place], ...]:
        """The entries of a mapping with free keys, in file order."""
        pairs = []
        for entry in self._entries():
            place = self._below(f'["{shown(entry.key)}"]', entry.value)
            if _unprintable(entry.key):
                place.complain("the key holds a control character")
            else:
                pairs.append((entry.key, place))
        return tuple(pairs)

    def items(self) -> tuple[Place, ...]:
        """The items of a list, null ones left out."""
        if not self.given:
            return ()
        if not isinstance(self.node, Items):
            self.complain("must be a list")
            return ()
        places = (self._below(f"[{n}]", node) for n, node in enumerate(self.node.nodes))
        return tuple(place for place in places if place.given)

    def texts(self) -> tuple[Place, ...]:
        """The texts of a scalar-or-list: each to be read with `text`."""
        if not self.given:
            return ()
        if isinstance(self.node, Items):
            return tuple(self._below(f"[{n}]", node) for n, node in enumerate(self.node.nodes))
        if self._kind == "text":
            return (self,)
        self.complain("must be text or a list of texts" + self._quotes())
        return ()

    def _quotes(self) -> str:
        return "; put quotes around it" if isinstance(self.node, Scalar) else ""

    def text(self) -> str | None:
        """A text as written, whatever it looks like; "" when absent or null; None when wrong."""
        if not self.given:
            return ""
        if not isinstance(self.node, Scalar):
            self.complain("must be text")
            return None
        return self.node.text

    def says(self, word: str) -> bool:
        """Whether it is this very word."""
        return isinstance(self.node, Scalar) and self.node.text == word

    def boolean(self, default: bool) -> bool:
        """true, yes, on, y and their opposites, without quotes."""
        if not self.given:
            return default
        if isinstance(self.node, Scalar) and (self.node.plain or self._kind == "bool"):
            if self.node.text in _TRUE:
                return True
            if self.node.text in _FALSE:
                return False
        self.complain("must be true or false, without quotes")
        return default

    def integer(self, default: int, least: int | None = None, most: int | None = None) -> int:
        """A whole number; fractions are cut off."""
        number = self._number("a whole number")
        if number is None or not self._within(number, least, most):
            return default
        return math.trunc(number)

    def number(self, default: float, least: float, most: float) -> float:
        """A number, with or without fraction, from `least` to `most`."""
        number = self._number("a number")
        if number is None or not self._within(number, least, most):
            return default
        return float(number)

    def _number(self, wanted: str) -> int | float | None:
        if not self.given:
            return None
        if isinstance(self.node, Scalar) and self._kind in ("int", "float"):
            number = number_of(self.node.text)
            if number is not None:
                return number
        self.complain(f"must be {wanted}, without quotes")
        return None

    def _within(self, number: float, least: float | None, most: float | None) -> bool:
        if least is not None and number < least:
            self.complain(f"must be at least {least:g}")
            return False
        if most is not None and number > most:
            self.complain(f"must be at most {most:.15g}")
            return False
        return True


@dataclass(frozen=True, slots=True)
class Fields:
    """A mapping whose keys were checked. Asking for an absent key gives a place without node."""

    place: Place
    found: Mapping[str, Place]

    def __getitem__(self, key: str) -> Place:
        there = self.found.get(key)
        if there is not None:
            return there
        path = f"{self.place.path}.{key}" if self.place.path else key
        return Place(path, self.place.line, None, self.place.findings)


def _unprintable(text: str) -> bool:
    """Control characters, and halves of characters that no encoding can carry."""
    return any(ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 or 0xD800 <= ord(c) < 0xE000 for c in text)


def check_printable(place: Place, text: str) -> str | None:
    """`text`, or None with a problem noted when it holds control characters other than tabs."""
    if _unprintable(text.replace("\t", "")):
        place.complain("holds a line break or another control character")
        return None
    return text
