"""Thinking as Kiro's models are told of it."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from aiproxy import ir
from tests.wire.kiro.samples import Object, body, losses, request, user

CLAUDE, GPT = "claude-opus-4.8", "gpt-5.2"


class EffortTests(SynchronousTestCase):
    def fields(self, model: str, thinking: ir.Thinking) -> tuple[Object | None, dict[str, str]]:
        asked = request(user("a"), model=model, thinking=thinking)
        return body(asked).get("additionalModelRequestFields"), losses(asked)

    def test_levels(self) -> None:
        """Claude and GPT are told in their own fields; a level unknown there is the nearest."""
        adaptive = {"type": "adaptive"}
        about = {"reasoning-effort": "approximated"}
        for model, effort, expected, lost in (
            (CLAUDE, "high", {"output_config": {"effort": "high"}, "thinking": adaptive}, {}),
            (CLAUDE, "max", {"output_config": {"effort": "max"}, "thinking": adaptive}, {}),
            (CLAUDE, "minimal", {"output_config": {"effort": "low"}, "thinking": adaptive}, about),
            (
                "claude-sonnet-4.6",
                "xhigh",
                {"output_config": {"effort": "high"}, "thinking": adaptive},
                about,
            ),
            (GPT, "high", {"reasoning": {"effort": "high"}}, {}),
            (GPT, "max", {"reasoning": {"effort": "xhigh"}}, about),
        ):
            self.assertEqual(self.fields(model, ir.Thinking(effort)), (expected, lost), model)  # type: ignore[arg-type]

    def test_budgets(self) -> None:
        """A budget is the level that comes near; without either the model decides."""
        about = {"thinking-budget": "approximated"}
        for budget, level in ((1, "low"), (8192, "medium"), (10_000, "high"), (99_999, "xhigh")):
            found, lost = self.fields(GPT, ir.Thinking(budget_tokens=budget))
            self.assertEqual((found, lost), ({"reasoning": {"effort": level}}, about))
        free = ir.Thinking(adaptive=True)
        self.assertEqual(self.fields(CLAUDE, free), ({"thinking": {"type": "adaptive"}}, {}))

    def test_nothing_to_say(self) -> None:
        """Thinking that is off, or only shall be shown, needs no field."""
        for thinking in (
            ir.Thinking("none"),
            ir.Thinking(budget_tokens=0),
            ir.Thinking(summary="auto"),
        ):
            for model in (CLAUDE, GPT, "auto"):
                self.assertEqual(self.fields(model, thinking), (None, {}), thinking)

    def test_other_models(self) -> None:
        """A model that takes no level is sent none."""
        for model in ("auto", "claude-sonnet-4.5"):
            found = self.fields(model, ir.Thinking("high"))
            self.assertEqual(found, (None, {"thinking": "dropped"}))
