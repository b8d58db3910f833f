"""Estimates of input tokens."""

from __future__ import annotations

from hypothesis import given
from twisted.trial.unittest import SynchronousTestCase

from aiproxy import ir
from aiproxy.wire.estimate import estimated_tokens
from tests import strategies


def asking(*parts: ir.Part, tools: tuple[ir.Tool, ...] = ()) -> ir.Request:
    return ir.Request("chat", "m", False, (ir.Turn("user", parts),), tools=tools)


class EstimateTests(SynchronousTestCase):
    @given(strategies.requests("anthropic"))
    def test_any_request_has_one(self, request: ir.Request) -> None:
        """A positive whole number, whatever is in it."""
        self.assertGreaterEqual(estimated_tokens(request), 1)

    def test_everything_that_costs_is_counted(self) -> None:
        """Text, tools, images and results each make the request dearer."""
        plain = estimated_tokens(asking(ir.Text("x" * 350)))
        self.assertEqual(plain, 104)
        tool = ir.Tool("f", "d" * 350, ir.JSON(b'{"type": "object"}'))
        self.assertGreater(estimated_tokens(asking(ir.Text("x" * 350), tools=(tool,))), plain + 100)
        image = ir.Media("image", ir.Inline("image/png", "A" * 10_000))
        self.assertEqual(estimated_tokens(asking(ir.Text("x" * 350), image)), plain + 1600)
        result = ir.ToolResult("c", (image,))
        self.assertEqual(estimated_tokens(asking(ir.Text("x" * 350), result)), plain + 1600)
