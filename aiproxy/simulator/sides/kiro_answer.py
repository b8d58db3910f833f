"""Answers of Kiro's conversation API: frames of an AWS event stream, and errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from aiproxy import ir
from aiproxy.errors import ErrorKind, ErrorReply
from aiproxy.framing.eventstream import encode
from aiproxy.wire.closed import assert_never
from aiproxy.wire.contract import EncodedReply
from aiproxy.wire.jsontext import write
from aiproxy.wire.names import derived_id

CONTENT_TYPE: Final = "application/vnd.amazon.eventstream"

_FAULTS: Final[Mapping[ErrorKind, tuple[str, str]]] = {
    "invalid_request": ("ValidationException", ""),
    "context_length": ("ValidationException", "CONTENT_LENGTH_EXCEEDS_THRESHOLD"),
    "model_not_found": ("ValidationException", "INVALID_MODEL_ID"),
    "authentication": ("AccessDeniedException", ""),
    "permission": ("AccessDeniedException", ""),
    "quota": ("ServiceQuotaExceededException", "MONTHLY_REQUEST_COUNT"),
    "not_found": ("ResourceNotFoundException", ""),
    "conflict": ("ConflictException", ""),
    "rate_limit": ("ThrottlingException", ""),
    "overloaded": ("ThrottlingException", "INSUFFICIENT_MODEL_CAPACITY"),
}

_STATED_STOPS: Final[Mapping[ir.StopReason, str]] = {
    "max_tokens": "MAX_TOKENS",
    "stop_sequence": "STOP_SEQUENCE",
    "filtered": "CONTENT_FILTERED",
}
"""The others are told by whether a tool was called."""


def fault_of(kind: ErrorKind) -> tuple[str, str]:
    """The service's exception and reason ("" for none) of an error."""
    return _FAULTS.get(kind, ("InternalServerException", ""))


def encode_reply(reply: ir.Reply, request: ir.Request | None) -> EncodedReply:
    """An error. The service has no whole answers: for one it gives what nobody can read."""
    if not isinstance(reply, ErrorReply):
        return EncodedReply(200, write({"completion": len(reply.parts)}))
    exception, reason = fault_of(reply.kind)
    named = {"__type": exception, "message": reply.message}
    return EncodedReply(reply.status, write({**named, "reason": reason} if reason else named))


class StreamEncoder:
    """See `contract.StreamEncoder`."""

    content_type = CONTENT_TYPE

    def __init__(self, request: ir.Request) -> None:
        self.losses: list[ir.Loss] = []
        self._model = request.model
        self._calls: dict[int, ir.ToolCall] = {}

    def encode(self, event: ir.Event) -> bytes:
        match event:
            case ir.Started():
                ids = {"conversationId": derived_id("c-", event.id), "utteranceId": event.id}
                return _event("messageMetadataEvent", ids)
            case ir.BlockStarted():
                return self._block(event)
            case ir.TextDelta() | ir.RefusalDelta():
                said = {"content": event.text, "modelId": self._model}
                return _event("assistantResponseEvent", said)
            case ir.ReasoningDelta():
                return _event("reasoningContentEvent", {"text": event.text})
            case ir.ProofAdded():
                name = "redactedContent" if event.proof.redacted else "signature"
                return _event("reasoningContentEvent", {name: event.proof.data})
            case ir.ArgumentsDelta():
                return self._tool_use(event.index, input=event.text)
            case ir.BlockStopped():
                return self._tool_use(event.index, stop=True)
            case ir.CitationAdded() | ir.LogprobsAdded() | ir.Other():
                return b""
            case ir.Finished():
                return _finish(event)
            case ir.Broken():
                return _exception(event.error)
            case _:
                raise assert_never(event)

    def _block(self, event: ir.BlockStarted) -> bytes:
        if not isinstance(event.block, ir.ToolCall):
            return b""
        self._calls[event.index] = event.block
        return self._tool_use(event.index)

    def _tool_use(self, index: int, **more: Any) -> bytes:
        """Nothing for a block that is no call."""
        call = self._calls.get(index)
        if call is None:
            return b""
        return _event("toolUseEvent", {"name": call.name, "toolUseId": call.id, **more})


def _finish(event: ir.Finished) -> bytes:
    usage = event.usage or ir.Usage()
    written = usage.output + usage.reasoning
    read = usage.input + usage.cache_read + usage.cache_write
    counts = {
        "uncachedInputTokens": usage.input,
        "cacheReadInputTokens": usage.cache_read,
        "cacheWriteInputTokens": usage.cache_write,
        "outputTokens": written,
        "totalTokens": read + written,
    }
    stop = _STATED_STOPS.get(event.stop)
    stated = {"stopReason": stop} if stop is not None else {}
    return (
        _event("contextUsageEvent", {"contextUsagePercentage": 1.5})
        + _event("meteringEvent", {"usage": 0.25, "unit": "credit", "unitPlural": "credits"})
        + _event("metadataEvent", {"tokenUsage": counts, **stated})
    )


def _event(kind: str, payload: Mapping[str, Any]) -> bytes:
    return _frame({":event-type": kind}, "event", payload)


def _exception(error: ErrorReply) -> bytes:
    exception, reason = fault_of(error.kind)
    payload = {"message": error.message, **({"reason": reason} if reason else {})}
    return _frame({":exception-type": exception}, "exception", payload)


def _frame(first: Mapping[str, str], kind: str, payload: Mapping[str, Any]) -> bytes:
    headers = {**first, ":content-type": "application/json", ":message-type": kind}
    return encode(headers, write(payload))
