"""
OpenAI Chat Completions.

Request: `POST /v1/chat/completions` {"model", "messages", "stream", "tools", ...}. System texts are
messages in the list. A tool's result is a message of its own, directly behind the assistant message
that holds all calls of that turn, and holds text only.

Whole answer: {"id", "created", "model", "choices": [{"message", "finish_reason"}], "usage"}. One
message has `content`, `reasoning_content` (not OpenAI's own, but what most vendors use), `refusal`
and `tool_calls`; their order among one another is not told.

Stream: server-sent events without names, each a `chat.completion.chunk` with a delta of that
message; a chunk with a finish reason; a chunk with the usage if asked for; then `[DONE]`.

Proofs of reasoning have no field of OpenAI's. A client gets those of thoughts in
`reasoning_details`, as OpenRouter has them, always tagged, and Gemini's of calls and texts in
`extra_content`, as Google's compatibility layer has them.

Errors: {"error": {"message", "type", "param", "code"}}, also as a chunk.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from aiproxy import ir
from aiproxy.framing import sse
from aiproxy.wire import contract, jsontext
from aiproxy.wire.chat import stream_in, stream_out
from aiproxy.wire.chat.errors import NAME
from aiproxy.wire.chat.reply import decode_reply, encode_reply
from aiproxy.wire.chat.request_in import decode_request, head
from aiproxy.wire.chat.request_out import TOOL_NAMES, encode_request

FAMILY = "openai"
ROUTES: Sequence[str] = ("/v1/chat/completions",)
HEARTBEAT = b": keepalive\n\n"
FIRST_HEARTBEAT = HEARTBEAT
ERROR_IS_END = False
TAKES_STOP = True

StreamDecoder: Callable[[], contract.StreamDecoder[sse.Message]] = stream_in.StreamDecoder
StreamEncoder: Callable[[ir.Request], contract.StreamEncoder] = stream_out.StreamEncoder
RawStream: Callable[[str], contract.RawStream] = partial(
    contract.EventStreamAsIs, mark=stream_out.DONE
)


def encode_count(input_tokens: int) -> bytes:
    """Chat has no such operation; the shape is that of OpenAI's other protocol."""
    return jsontext.write({"object": "response.input_tokens", "input_tokens": input_tokens})


__all__ = [
    "ERROR_IS_END",
    "FAMILY",
    "FIRST_HEARTBEAT",
    "HEARTBEAT",
    "NAME",
    "ROUTES",
    "TAKES_STOP",
    "TOOL_NAMES",
    "RawStream",
    "StreamDecoder",
    "StreamEncoder",
    "decode_reply",
    "decode_request",
    "encode_count",
    "encode_reply",
    "encode_request",
    "head",
]
