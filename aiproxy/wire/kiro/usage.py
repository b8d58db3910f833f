"""Token counts and stop reasons, as the service reports them near the end of a stream."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from aiproxy import ir
from aiproxy.wire.jsontext import given, try_read
from aiproxy.wire.kiro.shapes import Counts, Metadata

_STOPS: Mapping[str, ir.StopReason] = {
    "end_turn": "end",
    "stop_sequence": "stop_sequence",
    "tool_use": "tool_use",
    "max_tokens": "max_tokens",
    "model_context_window_exceeded": "context_full",
    "content_filtered": "filtered",
    "guardrail_intervened": "filtered",
    "refusal": "filtered",
}


def stop_of(word: object) -> ir.StopReason | None:
    """The stop reason that `word` (in any case) stands for, None when there is none."""
    if not isinstance(word, str) or not word:
        return None
    return _STOPS.get(word.lower(), "other")


def usage_of(payload: bytes, metadata: Metadata, earlier: ir.Usage | None) -> ir.Usage | None:
    """
    The counts in a metadataEvent, in place of `earlier` ones where it has some.

    They stand in `tokenUsage`; formerly in `usage` or beside it, under other names.
    """
    for place in (metadata.token_usage, metadata.usage, payload):
        counts = try_read(place, Counts) if given(msgspec.Raw(place)) else None
        usage = _usage(counts) if counts is not None else None
        if usage is not None:
            return usage
    return earlier


def _usage(counts: Counts) -> ir.Usage | None:
    inputs = (counts.uncached_input_tokens, counts.input_tokens, counts.total_input_tokens)
    outputs = (counts.output_tokens, counts.total_output_tokens)
    if all(count is None for count in inputs + outputs):
        return None
    return ir.Usage(
        input=_first(*inputs),
        cache_read=_first(counts.cache_read_input_tokens),
        cache_write=_first(counts.cache_write_input_tokens),
        output=_first(*outputs),
    )


_MOST_TOKENS = 1e15


def _first(*counts: int | float | None) -> int:
    """The first count that there is, as a count; 0 when it is none that tokens could have."""
    count = next((count for count in counts if count is not None), 0)
    return int(count) if 0 <= count < _MOST_TOKENS else 0
