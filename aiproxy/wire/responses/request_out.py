"""
A request of the hub as one for an upstream of this wire.

What a client of this very wire said goes out as it said it, orphaned results and all: the vendor
may hold the rest of the conversation. Requests of other wires are put in order first.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from aiproxy import ir
from aiproxy.errors import BadRequest
from aiproxy.wire.contract import Encoded
from aiproxy.wire.conversation import (
    is_attribution,
    joined_text,
    leading_instructions,
    session_of,
    settled,
)
from aiproxy.wire.jsontext import try_read, write_members
from aiproxy.wire.losses import Losses
from aiproxy.wire.names import NameRule, ToolNames
from aiproxy.wire.responses import tools
from aiproxy.wire.responses.input import InputWriter
from aiproxy.wire.responses.shapes import LOGPROBS, NAME

TOOL_NAMES = NameRule(custom=True, namespaces=True)

_MIN_OUTPUT_TOKENS = 16
_MAX_ID = 64
_ENCRYPTED = "reasoning.encrypted_content"

_BUDGETS: tuple[tuple[int, ir.Effort], ...] = (
    (0, "none"),
    (512, "minimal"),
    (1024, "low"),
    (8192, "medium"),
    (24576, "high"),
)
"""Largest budget of tokens for each level; anything above is "xhigh"."""

_TIERS: Mapping[str, str] = {
    "auto": "auto",
    "default": "default",
    "standard": "default",
    "standard_only": "default",
    "flex": "flex",
    "scale": "scale",
    "priority": "priority",
    "fast": "fast",
}

# OpenAI's own models, behind any vendor's prefix. The first reason and refuse sampling parameters;
# the second do not and refuse `reasoning`. Any other name is taken for a model that takes all.
_REASONS = re.compile(r"(?:.*[/.])?(?:o\d|gpt-5(?!-chat)|codex)")
_DOES_NOT_REASON = re.compile(r"(?:.*[/.])?(?:gpt-3|gpt-4|chatgpt|gpt-5-chat)")


def encode_request(request: ir.Request) -> Encoded:
    """
    A request as the Responses API has it.

    Shape: {"model", "stream", "instructions", "input": [items], "tools", "reasoning", ...}
    Raises: BadRequest when this vendor cannot serve it at all.
    Source: OpenAI API reference, Create a model response.
    """
    losses = Losses()
    extras = losses.extras(NAME, request.extras)
    body = _own(request, losses) if request.wire == NAME else _translated(request, losses)
    for name, value in extras.items():
        if name in ("reasoning", "text"):
            members = try_read(value, dict[str, ir.JSON]) or {}
            body[name] = {**(body.get(name) or {}), **members}
        else:
            body[name] = value
    return Encoded(write_members(_without_none(body)), losses.seen())


def _own(request: ir.Request, losses: Losses) -> dict[str, Any]:
    writer = InputWriter(None, losses)
    sampling, thinking = request.sampling, request.thinking or ir.Thinking()
    return {
        **_head(request),
        "instructions": joined_text(request.instructions) or None,
        "input": [item for turn in request.turns for item in writer.items(turn)],
        "tools": tools.encode_tools(request, None, losses) or None,
        "tool_choice": tools.encode_choice(request, None),
        "parallel_tool_calls": request.parallel_tool_calls,
        "max_output_tokens": request.max_output_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_logprobs": sampling.top_logprobs,
        "reasoning": _without_none({"effort": thinking.effort, "summary": thinking.summary or None})
        or None,
        "text": _text(request, None),
        **_identity(request, request.cache_key),
        "service_tier": request.service_tier or None,
        "include": None,
        "store": None,
    }


def _translated(request: ir.Request, losses: Losses) -> dict[str, Any]:
    names = ToolNames(request.tools, TOOL_NAMES)
    instructions, turns = leading_instructions(request, losses)
    writer = InputWriter(names, losses)
    items = [item for turn in settled(turns, NAME) for item in writer.items(turn)]
    if not items:
        raise BadRequest("there are no messages to send")
    offered = tools.encode_tools(request, names, losses)
    reasoning, sampling = _reasoning(request, losses), _sampling(request, losses)
    return {
        **_head(request),
        "instructions": _instructions(instructions, losses),
        "input": items,
        "tools": offered or None,
        "tool_choice": tools.encode_choice(request, names, losses) if offered else None,
        "parallel_tool_calls": request.parallel_tool_calls if offered else None,
        "max_output_tokens": _limit(request, losses),
        **sampling,
        "reasoning": reasoning or None,
        "text": _text(request, losses),
        **_identity(request, session_of(request)),
        "service_tier": _tier(request, losses),
        "include": _include(request, reasoning, sampling),
        "store": False,
    }


def _head(request: ir.Request) -> dict[str, Any]:
    return {"model": request.model, "stream": request.stream}


def _instructions(parts: tuple[ir.Part, ...], losses: Losses) -> str | None:
    texts = [part for part in parts if isinstance(part, ir.Text)]
    if len(texts) < len(parts):
        losses.dropped("instruction-media")
    for part in texts:
        losses.extras(NAME, part.extras)
    kept = (part for part in texts if not is_attribution(part))
    return joined_text(kept) or None


def _limit(request: ir.Request, losses: Losses) -> int | None:
    limit = request.max_output_tokens
    if limit is None or limit >= _MIN_OUTPUT_TOKENS:
        return limit
    losses.approximated("max-output-tokens")
    return _MIN_OUTPUT_TOKENS


def _sampling(request: ir.Request, losses: Losses) -> dict[str, Any]:
    """Raises BadRequest when several answers are asked for."""
    sampling = request.sampling
    if request.answers > 1:
        raise BadRequest("several answers to one request are not supported by this upstream")
    absent = {
        "top-k": sampling.top_k,
        "seed": sampling.seed,
        "presence-penalty": sampling.presence_penalty,
        "frequency-penalty": sampling.frequency_penalty,
    }
    kept = {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_logprobs": sampling.top_logprobs or None,
    }
    effort = request.thinking.effort if request.thinking else None
    if _REASONS.match(request.model) and effort != "none":
        absent.update({"temperature": sampling.temperature, "top-p": sampling.top_p})
        absent.update({"logprobs": sampling.logprobs or sampling.top_logprobs or None})
        kept = {}
    for feature, value in absent.items():
        if value is not None and value is not False:
            losses.dropped(feature)
    if request.stop:
        # The relay cuts the answer instead.
        losses.approximated("stop")
    return kept


def _reasoning(request: ir.Request, losses: Losses) -> dict[str, Any] | None:
    thinking = request.thinking
    if thinking is None:
        return None
    if _DOES_NOT_REASON.match(request.model):
        losses.dropped("thinking")
        return None
    effort = thinking.effort
    if effort is None and thinking.budget_tokens is not None and thinking.budget_tokens >= 0:
        losses.approximated("thinking-budget")
        effort = next((e for most, e in _BUDGETS if thinking.budget_tokens <= most), "xhigh")
    if effort == "max":
        losses.approximated("reasoning-effort")
        effort = "xhigh"
    return _without_none({"effort": effort, "summary": _summary(thinking, effort)})


def _summary(thinking: ir.Thinking, effort: ir.Effort | None) -> str | None:
    """Clients that switch thinking on by a budget see it unless they decline."""
    if effort == "none" or thinking.summary == "none":
        return None
    asked = thinking.budget_tokens is not None or thinking.adaptive
    return thinking.summary or ("auto" if asked else None)


def _include(
    request: ir.Request, reasoning: dict[str, Any] | None, sampling: dict[str, Any]
) -> list[str] | None:
    """
    What an answer shall tell besides.

    Proofs, wherever there may be reasoning: without them the next turn begins anew.
    """
    may_reason = _REASONS.match(request.model) is not None
    if reasoning is not None:
        may_reason = reasoning.get("effort") != "none"
    wanted = [_ENCRYPTED] if may_reason else []
    if "top_logprobs" in sampling and (request.sampling.logprobs or request.sampling.top_logprobs):
        wanted.append(LOGPROBS)
    return wanted or None


def _text(request: ir.Request, losses: Losses | None) -> dict[str, Any] | None:
    format_ = tools.encode_format(request.output_format, losses)
    return _without_none({"format": format_, "verbosity": request.verbosity or None}) or None


def _identity(request: ir.Request, session: str) -> dict[str, Any]:
    """Who asks, and in which session; ids that are too long are replaced by a digest."""
    return {
        "safety_identifier": _short(request.user) or None,
        "metadata": request.metadata,
        "prompt_cache_key": _short(session) or None,
    }


def _short(text: str) -> str:
    if len(text) <= _MAX_ID:
        return text
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def _tier(request: ir.Request, losses: Losses) -> str | None:
    if not request.service_tier:
        return None
    tier = _TIERS.get(request.service_tier.lower())
    if tier is None:
        losses.dropped("service-tier")
    return tier


def _without_none(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}
