"""How much to think: the service hands the model's own fields through."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiproxy import ir
from aiproxy.wire.claude import Limits, limits_of
from aiproxy.wire.losses import Losses

_LEVELS: tuple[tuple[int, ir.Effort], ...] = (
    (1024, "low"),
    (8192, "medium"),
    (24576, "high"),
)
"""Largest budget of tokens for each level; anything above is "xhigh"."""

_FOR_CLAUDE: Mapping[ir.Effort, str] = {"minimal": "low"}
_FOR_GPT: Mapping[ir.Effort, str] = {"max": "xhigh"}


def model_fields(request: ir.Request, losses: Losses) -> dict[str, Any]:
    """
    `additionalModelRequestFields`, empty when the model takes none or the client asked for none.

    Without them no model thinks more than its default, so thinking that is off needs no field.
    """
    thinking = request.thinking
    if thinking is None or thinking.effort == "none":
        return {}
    budget = thinking.budget_tokens
    if thinking.effort is None and budget is not None and budget <= 0 and not thinking.adaptive:
        return {}
    if thinking.effort is None and not budget and not thinking.adaptive:
        return {}
    limits = limits_of(request.model)
    is_claude = "claude" in request.model and limits.thinking == "adaptive"
    is_gpt = "gpt" in request.model
    effort = thinking.effort or (_level(budget, losses) if is_claude or is_gpt else None)
    if is_claude:
        return _claude(effort, limits, losses)
    if is_gpt and effort is not None:
        if effort in _FOR_GPT:
            losses.approximated("reasoning-effort")
        return {"reasoning": {"effort": _FOR_GPT.get(effort, effort)}}
    losses.dropped("thinking")
    return {}


def _claude(effort: ir.Effort | None, limits: Limits, losses: Losses) -> dict[str, Any]:
    fields: dict[str, Any] = {"thinking": {"type": "adaptive"}}
    if effort is not None:
        word = _FOR_CLAUDE.get(effort, effort)
        if word in ("xhigh", "max") and word not in limits.efforts:
            word = "high"
        if word != effort:
            losses.approximated("reasoning-effort")
        fields = {"output_config": {"effort": word}, **fields}
    return fields


def _level(budget_tokens: int | None, losses: Losses) -> ir.Effort | None:
    """The level nearest to a budget."""
    if budget_tokens is None or budget_tokens <= 0:
        return None
    losses.approximated("thinking-budget")
    return next((effort for limit, effort in _LEVELS if budget_tokens <= limit), "xhigh")
