"""The loss table in docs/translation.md says what the code does, and nothing vanishes."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import get_args

from twisted.trial.unittest import SynchronousTestCase

from aiproxy import ir
from aiproxy.wire import INBOUND, OUTBOUND
from aiproxy.wire.restoring import ToolRestorer
from tests.wire import loss_answers, loss_requests, loss_table
from tests.wire.loss_probes import PLAIN
from tests.wire.loss_words import INSTEAD, MEANINGS

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "translation.md"
ENCODERS = ROOT / "aiproxy" / "wire"

_REPORTING = frozenset({"dropped", "approximated", "_lost"})


def named_in(path: Path) -> Iterator[str]:
    """
    Words that a module reports: those of its calls, and keys of a table called `absent`.

    A word that is put together from a kind of media stands for one with each kind; others that are
    put together are names of fields and parts.
    """
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        match node:
            case ast.Call(func=ast.Attribute(attr=name), args=[word, *_]) if name in _REPORTING:
                yield from _words(word)
            case ast.AnnAssign(target=ast.Name(id="absent"), value=ast.Dict() as table):
                yield from _keys(table)
            case ast.Assign(targets=[ast.Name(id="absent")], value=ast.Dict() as table):
                yield from _keys(table)
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id="absent"), attr="update"),
                args=[ast.Dict() as table],
            ):
                yield from _keys(table)


def _words(word: ast.expr) -> Iterator[str]:
    match word:
        case ast.Constant(value=str(text)):
            yield text
        case ast.JoinedStr(values=[ast.FormattedValue(), ast.Constant(value=str(text))]):
            yield from (kind + text for kind in get_args(ir.MediaKind))


def _keys(table: ast.Dict) -> Iterator[str]:
    for key in table.keys:
        if key is not None:
            yield from _words(key)


class PageTests(SynchronousTestCase):
    """docs/translation.md."""

    def test_is_current(self) -> None:
        """The page is what its generator writes now: `make docs` brings it up to date."""
        is_current = PAGE.read_text("utf-8") == loss_table.page()
        self.assertTrue(is_current, "docs/translation.md is out of date: run `make docs`")

    def test_every_word_is_explained(self) -> None:
        """Each word that an encoder names has its meaning on the page, and no other word has."""
        named = {word for path in ENCODERS.rglob("*.py") for word in named_in(path)}
        sampling = {"temperature", "top-p", "top-k", "presence-penalty", "frequency-penalty"}
        self.assertEqual(named | sampling, set(MEANINGS), "see tests/wire/loss_words.py")

    def test_words_are_found(self) -> None:
        """The search for words sees all ways in which encoders write them."""
        self.assertIn("seed", set(named_in(ENCODERS / "responses" / "request_out.py")))
        self.assertIn("verbosity", set(named_in(ENCODERS / "anthropic" / "request_out.py")))
        self.assertIn("video-output", set(named_in(ENCODERS / "chat" / "reply.py")))
        self.assertIn("citations", set(named_in(ENCODERS / "responses" / "stream.py")))

    def test_approximations_are_described(self) -> None:
        """What is sent instead stands in `loss_words`, and nothing that is not sent any more."""
        self.assertFalse(loss_table.UNKNOWN in loss_table.page(), "see tests/wire/loss_words.py")
        found = [*loss_table.answer_outcomes()]
        for group in loss_table.request_outcomes().values():
            found += group
        near = {
            loss.feature
            for outcome in found
            for loss in outcome.losses
            if loss.how == "approximated"
        }
        self.assertEqual(near, set(INSTEAD))


class ProbeTests(SynchronousTestCase):
    """What the table is made of."""

    def test_requests_contain_their_feature(self) -> None:
        """A request's probe is the plain request and its feature, as its own wire reads it."""
        for group in loss_requests.GROUPS.values():
            for feature in group:
                for wire, body in feature.bodies.items():
                    plain = feature.aspect(loss_table.decoded(wire, PLAIN[wire]))
                    probe = feature.aspect(loss_table.decoded(wire, body))
                    self.assertNotEqual(plain, probe, (feature.name, wire))

    def test_answers_contain_their_feature(self) -> None:
        """So is the probe of an answer."""
        for feature in loss_answers.ANSWERS:
            for wire, body in feature.bodies.items():
                plain = feature.aspect(loss_table.answered(wire, loss_table.plain_answer(wire)))
                probe = feature.aspect(loss_table.answered(wire, body))
                self.assertNotEqual(plain, probe, (feature.name, wire))

    def test_plain_probes_lose_nothing(self) -> None:
        """What the table reports is the features' own."""
        for source in PLAIN:
            for target in PLAIN.keys() - {source}:
                request = loss_table.decoded(source, PLAIN[source])
                self.assertEqual(OUTBOUND[target].encode_request(request).losses, ())

    def test_names_are_unique(self) -> None:
        """One feature, one row."""
        names = [f.name for group in loss_requests.GROUPS.values() for f in group]
        self.assertEqual(len(names), len(set(names)))

    def test_nothing_vanishes(self) -> None:
        """What is not carried is refused or reported, whichever way it goes."""
        groups: Mapping[str, object] = loss_table.request_outcomes()
        for name, found in (*groups.items(), ("Answers", loss_table.answer_outcomes())):
            assert isinstance(found, tuple)
            for outcome in found:
                way = (name, outcome.feature.name, outcome.source, outcome.target)
                self.assertFalse(outcome.vanished, way)

    def test_streams_lose_the_same(self) -> None:
        """An answer that is streamed is reported to lose what it loses as a whole."""
        for outcome in loss_table.answer_outcomes():
            request = loss_table.asking(outcome.target)
            reply = loss_table.answered(outcome.source, outcome.feature.bodies[outcome.source])
            rule = OUTBOUND[outcome.source].TOOL_NAMES
            encoder = INBOUND[outcome.target].StreamEncoder(request)
            for event in ir.unfold(ToolRestorer(request.tools, rule).response(reply)):
                encoder.encode(event)
            way = (outcome.feature.name, outcome.source, outcome.target)
            self.assertEqual(set(encoder.losses), set(outcome.losses), way)
