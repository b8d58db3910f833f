"""Token counts and stop reasons, both ways."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiproxy import ir
from aiproxy.wire.anthropic.shapes import OutputDetails, UsageShape
from aiproxy.wire.jsontext import given, try_read

_STOPS: Mapping[str, ir.StopReason] = {
    "end_turn": "end",
    "stop_sequence": "stop_sequence",
    "tool_use": "tool_use",
    "max_tokens": "max_tokens",
    "model_context_window_exceeded": "context_full",
    "refusal": "filtered",
    "pause_turn": "pause",
    "compaction": "pause",
}

_STOP_WORDS: Mapping[ir.StopReason, str] = {
    "end": "end_turn",
    "stop_sequence": "stop_sequence",
    "tool_use": "tool_use",
    "max_tokens": "max_tokens",
    "context_full": "model_context_window_exceeded",
    "filtered": "refusal",
    "pause": "pause_turn",
    "other": "end_turn",
}


def stop_of(word: str | None) -> ir.StopReason:
    return _STOPS.get(word or "", "other")


def stop_word(stop: ir.StopReason) -> str:
    return _STOP_WORDS[stop]


def read_usage(value: ir.JSON, earlier: UsageShape | None = None) -> UsageShape | None:
    """
    Counts as the API gives them, on top of `earlier` ones of the same stream.

    Counts are cumulative, so the last one given wins. Usage that is no usage counts as absent: no
    answer is worth losing for it.
    """
    read = try_read(value, UsageShape) if given(value) else None
    if read is None or earlier is None:
        return read or earlier
    return UsageShape(
        *(
            getattr(earlier, name) if getattr(read, name) is None else getattr(read, name)
            for name in UsageShape.__struct_fields__
        )
    )


def usage_of(shape: UsageShape | None) -> ir.Usage | None:
    """The same, disjoint: thinking is not counted as output. Nothing is counted below zero."""
    if shape is None:
        return None
    details = shape.output_tokens_details or OutputDetails()
    reasoning = max(0, details.thinking_tokens or 0)
    return ir.Usage(
        input=max(0, shape.input_tokens or 0),
        cache_read=max(0, shape.cache_read_input_tokens or 0),
        cache_write=max(0, shape.cache_creation_input_tokens or 0),
        output=max(0, (shape.output_tokens or 0) - reasoning),
        reasoning=reasoning,
    )


def usage_shape(usage: ir.Usage | None) -> dict[str, Any]:
    """What clients get: always an object, for the SDKs fail on null."""
    usage = usage or ir.Usage()
    shape: dict[str, Any] = {
        "input_tokens": usage.input,
        "cache_creation_input_tokens": usage.cache_write,
        "cache_read_input_tokens": usage.cache_read,
        "output_tokens": usage.output + usage.reasoning,
    }
    if usage.reasoning:
        shape["output_tokens_details"] = {"thinking_tokens": usage.reasoning}
    return shape
