"""
How much to think: Gemini 2.5 counts tokens, Gemini 3 and newer have levels.

Source: Gemini API documentation, "Thinking": budgets and levels that each model takes.
"""

from __future__ import annotations

import re
from typing import Any

from aiproxy.ir import Effort, Thinking
from aiproxy.wire.gemini.shapes import ThinkingConfig
from aiproxy.wire.losses import Losses

_VERSION = re.compile(r"gemini-(\d+)(?:\.(\d+))?")

_LEVELS: tuple[tuple[Effort, str], ...] = (
    ("minimal", "MINIMAL"),
    ("low", "LOW"),
    ("medium", "MEDIUM"),
    ("high", "HIGH"),
)
_EFFORT_OF: dict[str, Effort] = {level: effort for effort, level in _LEVELS} | {"XHIGH": "xhigh"}
_ORDER: tuple[Effort, ...] = ("none", "minimal", "low", "medium", "high", "xhigh", "max")

_BUDGETS: dict[Effort, int] = {
    "minimal": 512,
    "low": 1024,
    "medium": 8192,
    "high": 24576,
    "xhigh": 32768,
    "max": 32768,
}


def is_third(model: str) -> bool:
    """Whether `model` is Gemini 3 or newer: it checks signatures and takes media in results."""
    return _version(model) >= (3, 0)


def read(config: ThinkingConfig | None) -> Thinking | None:
    """What a client said; thoughts are hidden unless it asks for them."""
    if config is None:
        return None
    budget = None if config.thinking_budget is None else int(config.thinking_budget)
    effort = _EFFORT_OF.get((config.thinking_level or "").upper())
    if budget == 0 and effort is None:
        effort = "none"
    return Thinking(
        effort=effort,
        budget_tokens=budget if budget is not None and budget > 0 else None,
        adaptive=budget is not None and budget < 0,
        summary="auto" if config.include_thoughts else "none",
    )


def written(thinking: Thinking, model: str, losses: Losses) -> dict[str, Any]:
    """`thinking` as a `thinkingConfig` that `model` takes; empty when there is nothing to say."""
    version = _version(model)
    if version >= (3, 0):
        config = _level(thinking, model, version)
    elif version > (0, 0):
        config = _budget(thinking, model)
    else:
        config = _as_said(thinking)
    _report(thinking, config, losses)
    if _shows(thinking):
        config["includeThoughts"] = True
    return config


def _report(thinking: Thinking, config: dict[str, Any], losses: Losses) -> None:
    """What the model takes instead of what was asked."""
    asked = _effort(thinking)
    level, budget = config.get("thinkingLevel"), config.get("thinkingBudget")
    if level is not None and thinking.effort is None:
        losses.approximated("thinking-budget")
    elif level is not None and _EFFORT_OF[level] != asked:
        losses.approximated("reasoning-effort")
    elif budget is not None and asked is not None:
        wanted = _BUDGETS.get(asked, 0) if thinking.effort else thinking.budget_tokens
        if budget != max(0, wanted or 0):
            losses.approximated("thinking-budget")


def _version(model: str) -> tuple[int, int]:
    """(3, 1) of "gemini-3.1-pro"; (0, 0) when the name does not tell."""
    found = _VERSION.search(model)
    if found is not None:
        return int(found[1]), int(found[2] or 0)
    return (3, 0) if re.search(r"gemini-.*-latest", model) else (0, 0)


def _shows(thinking: Thinking) -> bool:
    """Who switches thinking on by budget, as Anthropic's clients do, expects to see it."""
    if thinking.summary:
        return thinking.summary != "none"
    return bool(thinking.budget_tokens) or thinking.adaptive


def _effort(thinking: Thinking) -> Effort | None:
    """The effort that was named, or that a budget amounts to."""
    if thinking.effort is not None or thinking.budget_tokens is None:
        return thinking.effort
    budget = thinking.budget_tokens
    if budget <= 0:
        return "none"
    return next((name for name, tokens in _BUDGETS.items() if budget <= tokens), "xhigh")


def _level(thinking: Thinking, model: str, version: tuple[int, int]) -> dict[str, Any]:
    """The nearest level that is not above what was asked, else the lowest."""
    effort = _effort(thinking)
    if effort is None:
        return {}
    if "pro" not in model:
        known = _LEVELS
    elif version >= (3, 1):
        known = _LEVELS[1:]
    else:
        known = (_LEVELS[1], _LEVELS[3])
    rank = _ORDER.index(effort)
    fitting = [level for name, level in known if _ORDER.index(name) <= rank]
    return {"thinkingLevel": fitting[-1] if fitting else known[0][1]}


def _budget(thinking: Thinking, model: str) -> dict[str, Any]:
    lowest, highest = (128, 32768) if "pro" in model else (0, 24576)
    if "lite" in model:
        lowest = 512
    if thinking.effort == "none" or thinking.budget_tokens == 0:
        return {"thinkingBudget": 128 if "pro" in model else 0}
    if thinking.budget_tokens is not None:
        wanted = thinking.budget_tokens
    elif thinking.effort is not None:
        wanted = _BUDGETS[thinking.effort]
    else:
        return {"thinkingBudget": -1} if thinking.adaptive else {}
    return {"thinkingBudget": max(lowest, min(wanted, highest))}


def _as_said(thinking: Thinking) -> dict[str, Any]:
    """For a model of unknown make: a level when the client named one, else the budget."""
    if thinking.effort == "none" or thinking.budget_tokens == 0:
        return {"thinkingBudget": 0}
    if thinking.effort is not None:
        return {"thinkingLevel": dict(_LEVELS).get(thinking.effort, "HIGH")}
    if thinking.budget_tokens is not None:
        return {"thinkingBudget": thinking.budget_tokens}
    return {"thinkingBudget": -1} if thinking.adaptive else {}
