"""How much to think, for the model that is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiproxy import ir
from aiproxy.wire.claude import Limits
from aiproxy.wire.losses import Losses

_LEAST_BUDGET = 1024
_MOST_OUTPUT = 32_000
"""Output limit that every model with thinking takes."""

_BUDGETS: Mapping[ir.Effort, int] = {
    "minimal": 1024,
    "low": 1024,
    "medium": 8192,
    "high": 24576,
    "xhigh": 32768,
    "max": 128_000,
}


_LEVELS: tuple[tuple[ir.Effort, int], ...] = (("low", 1024), ("medium", 8192), ("high", 24576))


@dataclass(frozen=True, slots=True)
class Plan:
    """
    block: for `thinking`, None to leave it out. effort: for `output_config`, "" to leave it out.
    max_tokens: the output limit that leaves room for both.
    """

    block: dict[str, Any] | None
    effort: str
    max_tokens: int

    @property
    def active(self) -> bool:
        return self.block is not None and self.block["type"] != "disabled"


def as_asked(thinking: ir.Thinking | None, max_tokens: int) -> Plan:
    """The very words of a client of this wire."""
    if thinking is None:
        return Plan(None, "", max_tokens)
    if thinking.effort == "none":
        return Plan({"type": "disabled"}, "", max_tokens)
    block: dict[str, Any] | None = None
    if thinking.adaptive:
        block = {"type": "adaptive"}
    elif thinking.budget_tokens is not None:
        block = {"type": "enabled", "budget_tokens": thinking.budget_tokens}
    return Plan(_shown(block, thinking.summary), thinking.effort or "", max_tokens)


def fitted(request: ir.Request, limits: Limits, losses: Losses) -> Plan:
    """A foreign client's wish as far as the model can grant it."""
    asked = request.thinking
    limit = request.max_output_tokens or request.default_max_output_tokens
    nothing = Plan(None, "", limit)
    if asked is None:
        return nothing
    if asked.effort == "none" or (asked.effort is None and asked.budget_tokens == 0):
        return nothing if limits.thinking == "none" else Plan({"type": "disabled"}, "", limit)
    effort: ir.Effort | None = asked.effort
    budget = max(0, asked.budget_tokens or 0)
    if limits.thinking == "none":
        losses.dropped("thinking")
        return nothing
    if effort is None and not budget:
        return _unsaid(request, asked, limits, losses)
    if limits.thinking == "manual" or (limits.thinking == "unknown" and effort is None):
        if effort == "minimal":
            losses.approximated("reasoning-effort")
        return _manual(request, _BUDGETS[effort] if effort is not None else budget, losses)
    if effort is None:
        effort = _level(budget)
        losses.approximated("thinking-budget")
    block = _shown({"type": "adaptive"}, asked.summary)
    return Plan(block, _known(effort, limits, losses), limit)


def _unsaid(request: ir.Request, asked: ir.Thinking, limits: Limits, losses: Losses) -> Plan:
    """The model shall decide, or only the showing of thoughts was asked for."""
    if limits.thinking == "adaptive" or (limits.thinking == "unknown" and asked.adaptive):
        limit = request.max_output_tokens or request.default_max_output_tokens
        return Plan(_shown({"type": "adaptive"}, asked.summary), "", limit)
    if asked.adaptive:
        losses.approximated("thinking-budget")
        return _manual(request, _BUDGETS["medium"], losses)
    losses.dropped("thinking")
    limit = request.max_output_tokens or request.default_max_output_tokens
    return Plan(None, "", limit)


def _manual(request: ir.Request, tokens: int, losses: Losses) -> Plan:
    """A budget inside the output limit, which grows for it when the client set none."""
    limit = request.max_output_tokens
    if limit is None:
        default = request.default_max_output_tokens
        limit = max(default, min(_MOST_OUTPUT, default + tokens))
    if limit <= _LEAST_BUDGET:
        losses.dropped("thinking")
        return Plan(None, "", limit)
    budget = max(_LEAST_BUDGET, min(tokens, limit - 1))
    if budget != tokens:
        losses.approximated("thinking-budget")
    return Plan({"type": "enabled", "budget_tokens": budget}, "", limit)


def _level(budget: int) -> ir.Effort:
    """The level that a budget amounts to."""
    for effort, most in _LEVELS:
        if budget <= most:
            return effort
    return "xhigh"


def _known(effort: ir.Effort, limits: Limits, losses: Losses) -> str:
    if effort == "minimal":
        losses.approximated("reasoning-effort")
        return "low"
    if effort in ("xhigh", "max") and effort not in limits.efforts:
        losses.approximated("reasoning-effort")
        return "high"
    return effort


def _shown(block: dict[str, Any] | None, summary: str) -> dict[str, Any] | None:
    if block is not None and summary:
        block["display"] = "omitted" if summary == "none" else "summarized"
    return block
