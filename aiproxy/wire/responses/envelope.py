"""
The `response` object around a reply's items.

It repeats what the client asked for, as the vendor's does: SDKs read these fields. Nothing is kept
on our side, so `store` is false and `previous_response_id` null, whatever was asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aiproxy import ir
from aiproxy.wire.conversation import plain_text
from aiproxy.wire.jsontext import raw
from aiproxy.wire.losses import Losses
from aiproxy.wire.responses import outcome, tools
from aiproxy.wire.responses.shapes import NAME

_PREFIX = "resp_"


class Envelope:
    """What stays the same in every object of one reply."""

    def __init__(self, request: ir.Request | None, start: ir.Started) -> None:
        self.id = start.id if start.id.startswith(_PREFIX) else _PREFIX + start.id
        self._head = {"id": self.id, "object": "response", "created_at": start.created}
        self._model = start.model
        self._echo = _echo(request or ir.Request(NAME, start.model, False, ()))

    def object(
        self,
        status: str,
        output: Sequence[Any] = (),
        *,
        usage: dict[str, Any] | None = None,
        error: dict[str, str] | None = None,
        incomplete: str | None = None,
    ) -> dict[str, Any]:
        return {
            **self._head,
            "status": status,
            "background": False,
            "error": error,
            "incomplete_details": None if incomplete is None else {"reason": incomplete},
            "model": self._model,
            "output": list(output),
            **self._echo,
            "usage": usage,
        }

    def finished(
        self, output: Sequence[Any], end: ir.Finished, *, has_refusal: bool
    ) -> dict[str, Any]:
        reason = outcome.incomplete_reason(end.stop, has_refusal=has_refusal)
        return self.object(
            "completed" if reason is None else "incomplete",
            output,
            usage=outcome.usage_object(end.usage),
            incomplete=reason,
        )


def _echo(request: ir.Request) -> dict[str, Any]:
    choice = tools.encode_choice(request, None)
    thinking = request.thinking or ir.Thinking()
    return {
        "instructions": plain_text(request.instructions) or None,
        "max_output_tokens": request.max_output_tokens,
        "parallel_tool_calls": request.parallel_tool_calls is not False,
        "previous_response_id": None,
        "prompt_cache_key": request.cache_key or None,
        "reasoning": {"effort": thinking.effort, "summary": thinking.summary or None},
        "safety_identifier": request.user or None,
        "service_tier": request.service_tier or "default",
        "store": False,
        "temperature": request.sampling.temperature,
        "text": {
            "format": tools.encode_format(request.output_format) or {"type": "text"},
            "verbosity": request.verbosity or "medium",
        },
        "tool_choice": "auto" if choice is None else choice,
        "tools": raw(tools.encode_tools(request, None, Losses())),
        "top_logprobs": request.sampling.top_logprobs or 0,
        "top_p": request.sampling.top_p,
        "truncation": "disabled",
        "user": None,
        "metadata": request.metadata if request.metadata is not None else {},
    }
