"""Tool names and ids that targets take, and back."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from aiproxy.ir import Tool
from aiproxy.wire.names import NameRule, ToolNames, legal_id
from tests import strategies

_pairs = st.tuples(strategies.texts(max_size=80), st.just("") | strategies.texts(max_size=8))


class ToolNamesTests(SynchronousTestCase):
    @given(st.lists(_pairs, unique=True, max_size=6), st.booleans())
    def test_legal_unique_and_reversible(
        self, tools: list[tuple[str, str]], letter_first: bool
    ) -> None:
        """Every name a client may choose is sent legally and told apart on the way back."""
        rule = NameRule(letter_first=letter_first)
        names = ToolNames((Tool(name, namespace=space) for name, space in tools), rule)
        sent = [names.sent(name, space) for name, space in tools]
        self.assertEqual(len(set(sent)), len(sent))
        for (name, space), word in zip(tools, sent, strict=True):
            self.assertTrue(re.fullmatch(r"[A-Za-z0-9_-]{1,64}", word))
            self.assertEqual(names.original(word), (space, name))
            if letter_first:
                self.assertTrue(word[0].isalpha() or word[0] == "_")

    def test_legal_names_stay(self) -> None:
        """Nothing is renamed without need; a name never heard of comes back as it is."""
        names = ToolNames((Tool("read_file"), Tool("x" * 64)), NameRule())
        self.assertEqual(names.sent("read_file"), "read_file")
        self.assertEqual(names.sent("x" * 64), "x" * 64)
        self.assertEqual(names.original("invented"), ("", "invented"))

    def test_a_space_joins_the_name_where_there_are_none(self) -> None:
        """Flattened for most targets, kept for those that know name spaces."""
        tool = Tool("open", namespace="files")
        self.assertEqual(ToolNames((tool,), NameRule()).sent("open", "files"), "files__open")
        spaces = NameRule(namespaces=True)
        self.assertEqual(ToolNames((tool,), spaces).sent("open", "files"), "open")


class IdTests(SynchronousTestCase):
    @given(strategies.texts(max_size=100))
    def test_legal_for_all_and_the_same_each_time(self, call_id: str) -> None:
        """Call and result need no shared state to agree on an id."""
        legal = legal_id(call_id)
        self.assertTrue(re.fullmatch(r"[A-Za-z0-9_-]{1,64}", legal))
        self.assertEqual(legal, legal_id(call_id))

    def test_legal_ids_stay(self) -> None:
        """Vendors recognise their own ids."""
        self.assertEqual(legal_id("toolu_01A-b"), "toolu_01A-b")
