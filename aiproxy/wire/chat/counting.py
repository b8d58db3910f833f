"""Stop reasons and token counts, both ways."""

from __future__ import annotations

from collections.abc import Mapping

from aiproxy import ir
from aiproxy.wire import jsontext
from aiproxy.wire.chat import shapes

_STOPS: Mapping[str, ir.StopReason] = {
    "stop": "end",
    "eos": "end",
    "end_turn": "end",
    "length": "max_tokens",
    "max_tokens": "max_tokens",
    "model_length": "context_full",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "filtered",
}
"""OpenAI's words, and those of Together (eos) and Mistral (model_length)."""

_FINISHES: Mapping[ir.StopReason, str] = {
    "end": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "context_full": "length",
    "filtered": "content_filter",
    "pause": "stop",
    "other": "stop",
}


def stop_of(finish_reason: str | None, has_calls: bool) -> ir.StopReason:
    return ir.settled_stop(_STOPS.get(finish_reason or "", "other"), has_calls)


def finish_of(stop: ir.StopReason, has_calls: bool) -> str:
    """Calls beat a stop sequence too: the dialect has the same word for it as for a plain end."""
    finish = _FINISHES[ir.settled_stop(stop, has_calls)]
    return "tool_calls" if has_calls and finish == "stop" else finish


def decode_usage(usage: ir.JSON, x_groq: ir.JSON) -> ir.Usage | None:
    """
    Token counts, None when there are none.

    Units: tokens, as the upstream counts them. `prompt_tokens` includes what the cache gave,
    `completion_tokens` the reasoning; xAI's does not, which shows in its total.
    x_groq: where Groq's streams keep the usage.
    """
    if not jsontext.given(usage) and jsontext.given(x_groq):
        groq = jsontext.try_read(x_groq, shapes.Groq)
        usage = groq.usage if groq is not None else usage
    seen = jsontext.try_read(usage, shapes.Usage) if jsontext.given(usage) else None
    if seen is None:
        return None
    inside = seen.prompt_tokens_details or shapes.PromptDetails()
    prompt, completion = _count(seen.prompt_tokens), _count(seen.completion_tokens)
    read = _count(
        inside.cached_tokens,
        seen.cached_tokens,
        seen.prompt_cache_hit_tokens,
        seen.num_cached_tokens,
        seen.cache_read_input_tokens,
    )
    write = _count(inside.cache_write_tokens, seen.cache_creation_input_tokens)
    details = seen.completion_tokens_details or shapes.CompletionDetails()
    reasoning = _count(details.reasoning_tokens)
    apart = reasoning > 0 and _count(seen.total_tokens) == prompt + completion + reasoning
    if not apart:
        reasoning = min(reasoning, completion)
        completion -= reasoning
    return ir.Usage(max(0, prompt - read - write), read, write, completion, reasoning)


def _count(*values: int | float | None) -> int:
    """The first that is more than nothing."""
    for value in values:
        if value and value > 0:
            return int(value)
    return 0


def encode_usage(usage: ir.Usage | None) -> dict[str, object]:
    """All detail objects are there, with zeros: clients read them unasked."""
    known = usage or ir.Usage()
    prompt = known.input + known.cache_read + known.cache_write
    completion = known.output + known.reasoning
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {
            "cached_tokens": known.cache_read,
            "cache_write_tokens": known.cache_write,
            "audio_tokens": 0,
        },
        "completion_tokens_details": {
            "reasoning_tokens": known.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
