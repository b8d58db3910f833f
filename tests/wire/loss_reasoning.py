"""Rows of the loss table about thoughts: those of earlier turns, and how much to think."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from aiproxy import ir
from aiproxy.wire import proofs
from aiproxy.wire.gemini.signatures import signature_for
from tests.wire.loss_probes import (
    Feature,
    Object,
    contains,
    level,
    proof,
    said,
    with_config,
    with_members,
)

NEWEST = {
    "kiro": "claude-opus-4-7",
    "anthropic": "claude-opus-4-7",
    "chat": "gpt-5",
    "responses": "gpt-5",
    "gemini": "gemini-3-pro",
}
THOUGHTLESS = {"anthropic": "claude-3-5-haiku", "responses": "gpt-4.1"}


def _thought(data: str, family: str) -> Mapping[str, Object]:
    """A thought with a proof, as clients of the other dialects got it and send it back."""
    token = ir.Proof(family, data)
    tag = proofs.tagged(token, "")
    return said(
        anthropic=[
            {"type": "thinking", "thinking": "Hm.", "signature": proofs.tagged(token, "anthropic")},
            {"type": "text", "text": "Seen."},
        ],
        chat={
            "content": "Seen.",
            "reasoning_content": "Hm.",
            "reasoning_details": [{"type": "reasoning.text", "text": "Hm.", "signature": tag}],
        },
        responses=[
            {
                "type": "reasoning",
                "summary": [{"type": "summary_text", "text": "Hm."}],
                "encrypted_content": proofs.tagged(token, "openai"),
            }
        ],
        gemini=[
            {"text": "Hm.", "thought": True, "thoughtSignature": signature_for(token)},
            {"text": "Seen."},
        ],
    )


def _effort(effort: ir.Effort) -> Mapping[str, Object]:
    """A level in each dialect that has it."""
    members: dict[str, Object] = {
        "chat": {"reasoning_effort": effort},
        "responses": {"reasoning": {"effort": effort}},
    }
    if effort not in ("none", "minimal"):
        adaptive = {"type": "adaptive"}
        members["anthropic"] = {"thinking": adaptive, "output_config": {"effort": effort}}
    if effort not in ("none", "max"):
        config = {"thinkingConfig": {"thinkingLevel": effort.upper()}}
        members["gemini"] = {"generationConfig": config}
    return with_members(**members)


def _shows_thoughts(request: ir.Request) -> bool:
    """Anthropic shows thoughts that have a budget unless told otherwise."""
    asked = request.thinking or ir.Thinking()
    return asked.summary == "auto" or (not asked.summary and bool(asked.budget_tokens))


_SIGNED = ir.Proof("gemini", "U2lnbmVk")
_GOOGLE = {"google": {"thought_signature": "U2lnbmVk"}}

REASONING = (
    *(
        Feature(f"thoughts of {vendor}, with their proof", _thought("UHJvb2Y=", family), found)
        for vendor, family, found in (
            ("Claude", "anthropic", proof("anthropic")),
            ("an OpenAI model", "openai", proof("openai")),
            ("Gemini", "gemini", proof("gemini")),
        )
    ),
    Feature(
        "Gemini's signature of a tool call",
        said(
            anthropic=[
                {
                    "type": "thinking",
                    "thinking": "",
                    "signature": proofs.tagged(_SIGNED, "anthropic"),
                },
                {"type": "tool_use", "id": "call_1", "name": "look", "input": {}},
            ],
            chat={
                "content": None,
                "tool_calls": [
                    {
                        "id": "call_1",
                        "type": "function",
                        "function": {"name": "look", "arguments": "{}"},
                        "extra_content": _GOOGLE,
                    }
                ],
            },
            responses=[
                {
                    "type": "reasoning",
                    "summary": [],
                    "encrypted_content": proofs.tagged(_SIGNED, "openai"),
                },
                {"type": "function_call", "call_id": "call_1", "name": "look", "arguments": "{}"},
            ],
            gemini=[
                {
                    "functionCall": {"id": "call_1", "name": "look", "args": {}},
                    "thoughtSignature": "U2lnbmVk",
                }
            ],
        ),
        proof("gemini"),
    ),
    Feature(
        "Gemini's signature of a text",
        said(
            gemini=[{"text": "Seen.", "thoughtSignature": "U2lnbmVk"}],
            chat={"content": "Seen.", "extra_content": _GOOGLE},
        ),
        proof("gemini"),
    ),
    Feature(
        "thoughts without a proof",
        said(
            chat={"content": "Seen.", "reasoning_content": "Let me think."},
            responses=[
                {
                    "type": "reasoning",
                    "summary": [{"type": "summary_text", "text": "Let me think."}],
                }
            ],
            gemini=[{"text": "Let me think.", "thought": True}, {"text": "Seen."}],
        ),
        contains("Let me think."),
    ),
    *(Feature(f"effort `{effort}`", _effort(effort), level) for effort in get_args(ir.Effort)),
    Feature("effort `max`, newer model", _effort("max"), level, models=NEWEST),
    Feature("effort, model without thinking", _effort("low"), level, models=THOUGHTLESS),
    Feature(
        "thinking switched off",
        with_config(
            {"thinkingConfig": {"thinkingBudget": 0}}, anthropic={"thinking": {"type": "disabled"}}
        ),
        level,
    ),
    Feature(
        "budget of thinking tokens",
        with_config(
            {"thinkingConfig": {"thinkingBudget": 3000}},
            anthropic={"thinking": {"type": "enabled", "budget_tokens": 3000}},
        ),
        lambda request: request.thinking and request.thinking.budget_tokens,
    ),
    Feature(
        "budget of thinking tokens, older model",
        with_config(
            {"thinkingConfig": {"thinkingBudget": 3000}},
            anthropic={"thinking": {"type": "enabled", "budget_tokens": 3000}},
        ),
        lambda request: request.thinking and request.thinking.budget_tokens,
        models={"gemini": "gemini-2.5-flash"},
    ),
    Feature(
        "show the thoughts",
        with_config(
            {"thinkingConfig": {"thinkingLevel": "HIGH", "includeThoughts": True}},
            anthropic={
                "thinking": {"type": "enabled", "budget_tokens": 20000, "display": "summarized"},
                "max_tokens": 32000,
            },
            responses={"reasoning": {"effort": "high", "summary": "auto"}},
        ),
        _shows_thoughts,
    ),
)
