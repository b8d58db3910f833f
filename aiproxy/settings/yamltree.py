"""
YAML text -> a tree of nodes that know their line and kind.

Built from PyYAML's events instead of `yaml.safe_load`, because the latter drops lines, keeps the
last of two equal keys, and types scalars by YAML 1.1 (`12:30` is 750). Kinds here follow yaml.v3
of Go, whose configurations this program accepts. Merge keys are resolved. Only the first document
is read. Size, depth and the number of values after expanding aliases are bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import yaml

MAX_CHARACTERS = 1 << 20
MAX_DEPTH = 16
"""The deepest value that a configuration has is at depth 5."""

MAX_VALUES = 200_000
"""Aliases counted as often as they are used: a small text may stand for billions of values."""

Kind: TypeAlias = Literal["text", "int", "float", "bool", "null", "date"]


class Malformed(Exception):
    """The text is not YAML, or not any that a configuration may use."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line
        self.message = message


@dataclass(frozen=True, slots=True)
class Scalar:
    """
    text: as written, unquoted. kind: what it is unless the reader wants something else.
    plain: written without quotes.
    """

    line: int
    text: str = field(repr=False)
    kind: Kind
    plain: bool
    size: int = 1


@dataclass(frozen=True, slots=True)
class Items:
    """A list. size: how many values it holds at any depth, itself included."""

    line: int
    nodes: tuple[Node, ...]
    size: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One key of a table. line: of the key."""

    line: int
    key: str
    value: Node


@dataclass(frozen=True, slots=True)
class Table:
    """
    A mapping in file order, its merge keys resolved.

    duplicates: keys that were there before.
    """

    line: int
    entries: tuple[Entry, ...]
    duplicates: tuple[Entry, ...]
    size: int


Node: TypeAlias = Scalar | Items | Table


def compose(text: str) -> Node | None:
    """
    The first document of `text`, None when there is none.

    Raises: Malformed and nothing else.
    """
    if len(text) > MAX_CHARACTERS:
        raise Malformed(1, f"longer than {MAX_CHARACTERS} characters")
    try:
        loader = yaml.SafeLoader(text)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise Malformed(line, "a character that YAML does not allow") from None
    composer = _Composer(loader)
    try:
        return composer.document()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        line = mark.line if mark is not None else loader.line
        raise Malformed(line + 1, f"not valid YAML: {_harmless(error)}") from None
    except (ValueError, OverflowError, IndexError):
        # PyYAML on "\UFFFFFFFF", on "%YAML 1.<five thousand digits>" and the like.
        raise Malformed(loader.line + 1, "not valid YAML") from None
    finally:
        loader.dispose()


def _harmless(error: yaml.YAMLError) -> str:
    """PyYAML's reason without what it quotes: an alias or a tag may be a token without quotes."""
    reason = getattr(error, "problem", None) or getattr(error, "context", None) or "unreadable"
    return re.sub(r"(['\"])[^'\"<\s,]{4,}\1", "...", str(reason))


class _Composer:
    """One document. An alias shares the node of its anchor."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader
        self._anchors: dict[str, Node | None] = {}

    def document(self) -> Node | None:
        loader = self._loader
        loader.get_event()  # the stream's start
        if not loader.check_event(yaml.DocumentStartEvent):
            return None
        loader.get_event()
        node = self._node(loader.get_event(), 1)
        return None if isinstance(node, Scalar) and node.kind == "null" else node

    def _node(self, event: Any, depth: int) -> Node:
        line: int = event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent):
            return self._alias(str(event.anchor), line)
        if depth > MAX_DEPTH:
            raise Malformed(line, "nested too deep")
        anchor: str | None = event.anchor
        if anchor is not None:
            self._anchors[anchor] = None
        node: Node
        if isinstance(event, yaml.ScalarEvent):
            node = Scalar(line, event.value, _kind(event, line), event.style is None)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self._items(event, line, depth)
        else:
            node = self._table(event, line, depth)
        if node.size > MAX_VALUES:
            raise Malformed(line, f"more than {MAX_VALUES} values")
        if anchor is not None:
            self._anchors[anchor] = node
        return node

    def _alias(self, anchor: str, line: int) -> Node:
        if anchor not in self._anchors:
            raise Malformed(line, "an alias (*) without its anchor (&): quote a text with a star")
        node = self._anchors[anchor]
        if node is None:
            raise Malformed(line, "an alias (*) inside of what it stands for")
        return node

    def _events(self, end: type) -> Iterator[Any]:
        while True:
            event = self._loader.get_event()
            if isinstance(event, end):
                return
            yield event

    def _items(self, start: Any, line: int, depth: int) -> Items:
        _check_tag(start, line, "tag:yaml.org,2002:seq")
        nodes = []
        size = 1
        for event in self._events(yaml.SequenceEndEvent):
            node = self._node(event, depth + 1)
            size += node.size
            _check_size(size, line)
            nodes.append(node)
        return Items(line, tuple(nodes), size)

    def _table(self, start: Any, line: int, depth: int) -> Table:
        _check_tag(start, line, "tag:yaml.org,2002:map")
        own: dict[str, Entry] = {}
        merged: dict[str, Entry] = {}
        duplicates = []
        size = 1
        for event in self._events(yaml.MappingEndEvent):
            key = self._node(event, depth + 1)
            value = self._node(self._loader.get_event(), depth + 1)
            size += key.size + value.size
            _check_size(size, line)
            if not isinstance(key, Scalar):
                raise Malformed(key.line, "a key must be text")
            key_line = event.start_mark.line + 1
            if key.text == "<<" and isinstance(event, yaml.ScalarEvent) and event.implicit[0]:
                for entry in _to_merge(value, key_line):
                    merged.setdefault(entry.key, entry)
                continue
            entry = Entry(key_line, "" if key.kind == "null" else key.text, value)
            if entry.key in own:
                duplicates.append(entry)
            else:
                own[entry.key] = entry
        entries = tuple(own.values())
        entries += tuple(entry for entry in merged.values() if entry.key not in own)
        return Table(line, entries, tuple(duplicates), size)


def _check_size(size: int, line: int) -> None:
    if size > MAX_VALUES:
        raise Malformed(line, f"more than {MAX_VALUES} values")


def _to_merge(value: Node, line: int) -> Iterator[Entry]:
    """The entries that a merge key brings, the strongest first."""
    tables = value.nodes if isinstance(value, Items) else (value,)
    for table in tables:
        if not isinstance(table, Table):
            raise Malformed(line, 'a merge key ("<<") needs a mapping or a list of mappings')
        yield from table.entries


_KINDS: dict[str, Kind] = {
    "tag:yaml.org,2002:str": "text",
    "tag:yaml.org,2002:int": "int",
    "tag:yaml.org,2002:float": "float",
    "tag:yaml.org,2002:bool": "bool",
    "tag:yaml.org,2002:null": "null",
}

_NULLS = frozenset(("", "~", "null", "Null", "NULL"))
_BOOLS = frozenset(("true", "True", "TRUE", "false", "False", "FALSE"))
_INT = re.compile(r"[-+]?(0[xX][0-9a-fA-F_]+|0[oO]?[0-7_]+|0[bB][01_]+|[0-9][0-9_]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9_]+|[0-9][0-9_]*(\.[0-9_]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL_FLOAT = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_DATE = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt ]\s*[0-9]{1,2}:[0-9]{1,2}:[0-9]{1,2}.*)?")


def _kind(event: Any, line: int) -> Kind:
    """What yaml.v3 makes of a scalar; yes, no, on and off are texts until a bool is wanted."""
    plain, _ = event.implicit
    if event.tag is not None and event.tag != "!":
        kind = _KINDS.get(event.tag)
        if kind is None:
            raise Malformed(line, "a tag (!) that a configuration has no use for")
        return kind
    return kind_of(event.value) if plain else "text"


def _check_tag(event: Any, line: int, allowed: str) -> None:
    if event.tag not in (None, "!", allowed):
        raise Malformed(line, "a tag (!) that a configuration has no use for")


def kind_of(text: str) -> Kind:
    """What a scalar without quotes and tag is."""
    if text in _NULLS:
        return "null"
    if text in _BOOLS:
        return "bool"
    if _INT.fullmatch(text):
        return "int"
    if _FLOAT.fullmatch(text) or _SPECIAL_FLOAT.fullmatch(text):
        return "float"
    if _DATE.fullmatch(text):
        return "date"
    return "text"


def number_of(text: str) -> int | float | None:
    """
    The number that an int or float scalar says, None when it is none or beyond 64 bits.

    0x, 0o and 0b prefixes, a leading 0 for octal, and underscores count, as in yaml.v3.
    """
    plain = text.replace("_", "")
    if len(plain) > 400:
        return None
    try:
        if _INT.fullmatch(text):
            number: int | float = _integer(plain)
        else:
            number = float(re.sub(r"\.(inf|nan)", r"\1", plain.lower()))
    except ValueError:
        return None
    return number if -(2**63) <= number < 2**63 else None


def _integer(plain: str) -> int:
    digits = plain.lstrip("+-")
    if re.fullmatch(r"0[0-7]+", digits):
        return int(plain, 8)
    return int(plain, 0) if re.fullmatch(r"0[xXoObB].*", digits) else int(plain)
