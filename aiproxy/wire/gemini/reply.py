"""One whole answer, decoded as the stream of one chunk that it is."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

from aiproxy.errors import ErrorReply, Native
from aiproxy.framing import sse
from aiproxy.ir import (
    Answer,
    Reply,
    Request,
    StopReason,
    Usage,
    fold,
    unfold_parts,
)
from aiproxy.wire.answers import wanted
from aiproxy.wire.contract import EncodedReply
from aiproxy.wire.gemini import logprobs
from aiproxy.wire.gemini.citations import grounding
from aiproxy.wire.gemini.contents_in import NAME
from aiproxy.wire.gemini.errors import decode_error, error_body
from aiproxy.wire.gemini.parts_out import JSONPart, PartsWriter, joined
from aiproxy.wire.gemini.stream_in import StreamDecoder
from aiproxy.wire.jsontext import write
from aiproxy.wire.losses import Losses

_REASONS: dict[StopReason, str] = {
    "end": "STOP",
    "stop_sequence": "STOP",
    "tool_use": "STOP",
    "pause": "STOP",
    "max_tokens": "MAX_TOKENS",
    "context_full": "MAX_TOKENS",
    "filtered": "SAFETY",
    "other": "OTHER",
}


# Python's line splitting, which Google's SDK uses, takes these for line ends.
_LINE_ENDS = (
    (b"\xe2\x80\xa8", b"\\u2028"),
    (b"\xe2\x80\xa9", b"\\u2029"),
    (b"\xc2\x85", b"\\u0085"),
)


def decode_reply(status: int, body: bytes) -> Reply:
    """
    Shape: {"candidates": [{"content": {"parts": [...]}, "finishReason": "STOP"}],
    "usageMetadata": {...}}, or the JSON array of a stream that was asked for without `alt=sse`.

    Raises: UpstreamProtocolError when a body of a good status is not that.
    """
    if not 200 <= status < 300:
        return decode_error(status, body)
    decoder = StreamDecoder()
    events = [*decoder.feed(sse.Message("", body, body))]
    events += decoder.close()
    reply = fold(events)
    if isinstance(reply, ErrorReply):
        return replace(reply, native=Native(NAME, body))
    return reply


def encode_reply(reply: Reply, request: Request | None) -> EncodedReply:
    """An error of this wire goes on as it came."""
    if isinstance(reply, ErrorReply):
        if reply.native is not None and reply.native.wire == NAME:
            return EncodedReply(reply.status, reply.native.body)
        return EncodedReply(*error_body(reply))
    losses = Losses()
    losses.extras(NAME, reply.extras)
    first = Answer(0, reply.parts, reply.stop)
    answers = (first, *wanted(reply, request, losses))
    whole = {
        "candidates": [_candidate(answer, losses) for answer in answers],
        **counts(reply.usage),
        **identity(reply.id, reply.model, reply.created),
    }
    return EncodedReply(200, one_line(whole), losses.seen())


def _candidate(answer: Answer, losses: Losses) -> dict[str, Any]:
    writer = PartsWriter(losses)
    parts: list[JSONPart] = []
    for event in unfold_parts(answer.parts):
        parts += writer.write(event)
    said = content(joined([*parts, *writer.close()]) or [{"text": ""}])
    return {"content": said, **ending(answer.stop, writer), "index": answer.number}


def content(parts: list[JSONPart]) -> dict[str, Any]:
    """What the model says in one candidate."""
    return {"parts": parts, "role": "model"}


def one_line(value: Any) -> bytes:
    """JSON that no client takes for more than one line."""
    data = write(value)
    if b"\n" in data or b"\r" in data:
        # Only between tokens, where a client's or a model's own JSON was embedded as it came.
        data = data.replace(b"\n", b" ").replace(b"\r", b" ")
    for end, escaped in _LINE_ENDS:
        if end in data:
            data = data.replace(end, escaped)
    return data


def ending(stop: StopReason, writer: PartsWriter) -> dict[str, Any]:
    """What the last candidate says beside its content."""
    reason = "SAFETY" if writer.refused and stop in ("end", "other") else _REASONS[stop]
    sources = {"groundingMetadata": grounding(writer.cited)} if writer.cited else {}
    return {"finishReason": reason, **sources, **logprobs.written(writer.logprobs)}


def counts(usage: Usage | None) -> dict[str, Any]:
    """`usageMetadata`, left out when nothing is known. The prompt includes what was cached."""
    if usage is None:
        return {}
    prompt = usage.input + usage.cache_read + usage.cache_write
    out = {"promptTokenCount": prompt, "candidatesTokenCount": usage.output}
    if usage.cache_read:
        out["cachedContentTokenCount"] = usage.cache_read
    if usage.reasoning:
        out["thoughtsTokenCount"] = usage.reasoning
    out["totalTokenCount"] = prompt + usage.output + usage.reasoning
    return {"usageMetadata": out}


_LAST_MOMENT = datetime(9999, 1, 1, tzinfo=timezone.utc).timestamp()


def identity(response_id: str, model: str, created: int) -> dict[str, Any]:
    """What every chunk says of the answer as a whole. created: Unix seconds, 0 = unknown."""
    out: dict[str, Any] = {"modelVersion": model, "responseId": response_id}
    # Some vendors write milliseconds, for instance.
    if 0 < created < _LAST_MOMENT:
        instant = datetime.fromtimestamp(created, tz=timezone.utc)
        out["createTime"] = instant.strftime("%Y-%m-%dT%H:%M:%SZ")
    return out
