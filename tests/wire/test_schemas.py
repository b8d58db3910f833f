"""Schemas fitted to a target."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from aiproxy import ir
from aiproxy.errors import BadRequest
from aiproxy.wire.jsontext import MAX_DEPTH
from aiproxy.wire.losses import Losses
from aiproxy.wire.schemas import remembered
from tests import strategies


def wrapped(schema: ir.JSON, losses: Losses) -> ir.JSON:
    """`schema` inside an array; one with a title in it loses something."""
    if bytes(schema).count(b"[") > MAX_DEPTH:
        raise BadRequest("too deep")
    if b'"title"' in bytes(schema):
        losses.approximated("tool-schema")
    return ir.JSON(b"[%b]" % bytes(schema))


class RememberedTests(SynchronousTestCase):
    @given(st.lists(strategies.schemas(), max_size=5))
    def test_same(self, schemas: list[ir.JSON]) -> None:
        """The second time gives what the first gave: the schema, and what it has lost."""
        adapt = remembered(wrapped)
        for schema in [*schemas, *schemas]:
            wanted, found = Losses(), Losses()
            self.assertEqual(adapt(schema, found), wrapped(schema, wanted))
            self.assertEqual(found.seen(), wanted.seen())

    def test_losses_are_added(self) -> None:
        """What was lost before stays."""
        losses = Losses()
        losses.dropped("tool-schema")
        remembered(wrapped)(ir.JSON(b'{"title":"x"}'), losses)
        self.assertEqual(losses.seen(), (ir.Loss("tool-schema"),))

    def test_long(self) -> None:
        """A schema that is too long to be kept is adapted all the same."""
        long = ir.JSON(b'{"title":"%b"}' % (b"x" * 10_000))
        losses = Losses()
        self.assertEqual(remembered(wrapped)(long, losses), ir.JSON(b"[%b]" % bytes(long)))
        self.assertEqual(losses.seen(), (ir.Loss("tool-schema", "approximated"),))

    def test_refused(self) -> None:
        """A schema that is refused is refused again."""
        adapt = remembered(wrapped)
        for _ in range(2):
            self.assertRaises(BadRequest, adapt, ir.JSON(b"[" * 65 + b"]" * 65), Losses())
