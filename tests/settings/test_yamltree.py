"""Tests of `aiproxy.settings.yamltree`."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from aiproxy.settings.yamltree import (
    MAX_CHARACTERS,
    Items,
    Malformed,
    Node,
    Scalar,
    Table,
    compose,
    kind_of,
    number_of,
)


def plain(node: Node | None) -> Any:
    """A tree as texts, lists and pairs."""
    match node:
        case None:
            return None
        case Scalar():
            return node.text
        case Items():
            return [plain(item) for item in node.nodes]
        case Table():
            return {entry.key: plain(entry.value) for entry in node.entries}


class ComposeTests(SynchronousTestCase):
    """Text to tree."""

    def fault(self, text: str) -> Malformed:
        """Why `text` is refused."""
        return self.assertRaises(Malformed, compose, text)

    def test_empty(self) -> None:
        """Nothing, comments and null are no document."""
        for text in ("", "\n\n", "# only this\n", "---\n...\n", "~", "\ufeff"):
            self.assertIsNone(compose(text), text)

    def test_lines(self) -> None:
        """Values and keys know their line, counted from 1."""
        tree = compose("a: 1\nb:\n  - x\n  - y\n")
        assert isinstance(tree, Table)
        self.assertEqual([entry.line for entry in tree.entries], [1, 2])
        items = tree.entries[1].value
        assert isinstance(items, Items)
        self.assertEqual([item.line for item in items.nodes], [3, 4])

    def test_first_document_only(self) -> None:
        """T050: later documents are not read, not even their mistakes."""
        self.assertEqual(plain(compose("a: 1\n---\n[[[ : }")), {"a": "1"})

    def test_merge(self) -> None:
        """T052: merge keys add what is absent; the first of several merged mappings wins."""
        text = "x: &x {a: 1, b: 1}\ny: &y {b: 2, c: 2}\nz: {a: 0, <<: [*y, *x]}\n"
        tree = plain(compose(text))
        self.assertEqual(tree["z"], {"a": "0", "b": "2", "c": "2"})
        self.assertEqual(plain(compose("'<<': x")), {"<<": "x"})
        self.assertIn("merge", self.fault("<<: text").message)

    def test_byte_order_mark(self) -> None:
        """T052: a BOM is no part of the first key."""
        self.assertEqual(plain(compose("\ufeffa: 1\n")), {"a": "1"})

    def test_duplicates(self) -> None:
        """T048: the first of two equal keys stays, the second is kept aside."""
        tree = compose("a: 1\na: 2\n")
        assert isinstance(tree, Table)
        self.assertEqual(plain(tree), {"a": "1"})
        self.assertEqual([entry.line for entry in tree.duplicates], [2])

    def test_malformed(self) -> None:
        """What is no YAML is refused with its line."""
        for text, line in (
            ("a:\n\tb: 1", 2),
            ("ok: 1\na: [1, 2\nb: 3", 3),
            ("a: \x00", 1),
            ("a: 1\nb: \x01", 2),
            ("\n? [a]\n: b", 2),
            ("a: *nowhere", 1),
            ("a: &a [*a]", 1),
            ("a: !!binary eHl6", 1),
            ("a: !local [x]", 1),
            ("a: 'open", 1),
            ('a: "\\UFFFFFFFF"', 1),
            (f"%YAML 1.{'9' * 5000}\n---\na", 1),
        ):
            self.assertEqual((text, self.fault(text).line), (text, line))

    def test_bounds(self) -> None:
        """Length, depth and the number of values behind aliases are bounded."""
        self.assertIn("deep", self.fault("[" * 100_000).message)
        self.assertIn("deep", self.fault("- " * 10_000).message)
        self.assertIn("longer", self.fault("#" * (MAX_CHARACTERS + 1)).message)
        bomb = "".join(
            f"x{n}: &x{n} [{','.join([f'*x{n - 1}'] * 9 if n else '1')}]\n" for n in range(30)
        )
        self.assertIn("values", self.fault(bomb).message)

    def test_no_leak(self) -> None:
        """A token that YAML takes for an alias or a tag is not quoted by the message."""
        for text in ("a: *canary", "a: !canary!x y", "a: !canary y", "a: [canary\nb: }", "%canary"):
            self.assertNotIn("canary", self.fault(text).message)

    @given(st.text() | st.text(alphabet="ab:-[]{},\n &*!|>'\"#?%@~<.0\t"))
    def test_total(self, text: str) -> None:
        """Any text is a tree or malformed."""
        try:
            compose(text)
        except Malformed as error:
            self.assertTrue(1 <= error.line <= len(text) + 1)


class KindTests(SynchronousTestCase):
    """Types of scalars without quotes, as yaml.v3 sees them."""

    def test_kinds(self) -> None:
        """Only what YAML 1.2 types is typed; yes and on are texts until a bool is wanted."""
        for kind, words in {
            "null": "~ null Null NULL",
            "bool": "true True TRUE false False FALSE",
            "int": "0 12 -3 +4 017 0o17 0x1F 0b101 1_000",
            "float": "1.5 .5 5. 1e3 -2.5E-3 .inf -.Inf .NaN",
            "date": "2024-01-01 2024-1-1 2024-01-01T10:00:00Z",
            "text": "yes no on off y n 12:30 _1 1.2.3 0x sk-1 tRue e5 2024-01",
        }.items():
            self.assertEqual(
                {word: kind_of(word) for word in words.split()}, dict.fromkeys(words.split(), kind)
            )
        self.assertEqual(kind_of(""), "null")

    def test_numbers(self) -> None:
        """Prefixes, octals and underscores count; what 64 bits cannot hold is no number."""
        cases = {
            "017": 15,
            "0o17": 15,
            "08": 8,
            "0x1F": 31,
            "-0b11": -3,
            "1_000": 1000,
            "1e3": 1000,
        }
        self.assertEqual({text: number_of(text) for text in cases}, cases)
        for text in (".inf", ".nan", "9223372036854775808", "1e400", "9" * 5000):
            self.assertIsNone(number_of(text))
