"""How an answer ended and what it cost, in both directions."""

from __future__ import annotations

from typing import Any

from aiproxy import ir
from aiproxy.errors import ErrorReply
from aiproxy.wire.jsontext import given, try_read
from aiproxy.wire.responses import errors, shapes


def failure_of(response: shapes.ResponseObject) -> ErrorReply | None:
    """The error of a response that failed, None for any other."""
    if response.status not in ("failed", "cancelled") and response.output is not None:
        return None
    if given(response.error):
        return errors.decode_failure(try_read(response.error, object))
    if response.status in ("failed", "cancelled"):
        return errors.decode_failure({"message": f"the response was {response.status}"})
    return None


def stop_of(
    response: shapes.ResponseObject, *, has_calls: bool, has_refusal: bool
) -> ir.StopReason:
    match response.status:
        case "incomplete":
            reason = response.incomplete_details and response.incomplete_details.reason
            if reason == "content_filter":
                return "filtered"
            return "max_tokens" if reason in (None, "max_output_tokens") else "pause"
        case "queued" | "in_progress":
            return "pause"
    if has_refusal:
        return "filtered"
    return ir.settled_stop("end", has_calls)


def usage_of(usage: shapes.UsageObject | None) -> ir.Usage | None:
    """Their counts include what was cached and what was reasoning; ours are disjoint."""
    if usage is None:
        return None
    inputs = usage.input_tokens_details or shapes.InputDetails()
    outputs = usage.output_tokens_details or shapes.OutputDetails()
    cached, written = _count(inputs.cached_tokens), _count(inputs.cache_write_tokens)
    reasoning = _count(outputs.reasoning_tokens)
    return ir.Usage(
        input=max(0, _count(usage.input_tokens) - cached - written),
        cache_read=cached,
        cache_write=written,
        output=max(0, _count(usage.output_tokens) - reasoning),
        reasoning=reasoning,
    )


def usage_object(usage: ir.Usage | None) -> dict[str, Any]:
    """All details are there, 0 when unknown: the SDKs and Codex read them."""
    usage = usage or ir.Usage()
    tokens_in = usage.input + usage.cache_read + usage.cache_write
    tokens_out = usage.output + usage.reasoning
    return {
        "input_tokens": tokens_in,
        "input_tokens_details": {
            "cached_tokens": usage.cache_read,
            "cache_write_tokens": usage.cache_write,
        },
        "output_tokens": tokens_out,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": tokens_in + tokens_out,
    }


def incomplete_reason(stop: ir.StopReason, *, has_refusal: bool) -> str | None:
    """Why an answer is incomplete, None when it is complete."""
    match stop:
        case "max_tokens" | "context_full":
            return "max_output_tokens"
        case "filtered":
            # A refusal says in words what the content filter does not.
            return None if has_refusal else "content_filter"
        case _:
            return None


def _count(tokens: int | None) -> int:
    return max(0, tokens or 0)
