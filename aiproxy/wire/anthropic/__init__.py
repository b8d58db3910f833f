"""
The Messages API of Anthropic, spoken by clients and upstreams.

Request     POST /v1/messages {model, max_tokens, system, messages, tools, thinking, ...}
            roles user, assistant and (newer models) system; content is text or blocks
Reply       {id, model, content: [blocks], stop_reason, stop_sequence, usage}
Stream      named events: message_start, per block content_block_start, _delta*, _stop,
            message_delta, message_stop; `ping` anywhere, `error` ends it
Errors      {"type": "error", "error": {"type", "message"}}
Usage       input_tokens are the uncached ones, output_tokens count thinking too

Proofs of other vendors travel in `signature`, tagged; a Gemini proof of a tool call is an empty
thought directly before the call. Thoughts without any proof are marked as such, because the vendor
refuses them when they come back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from aiproxy import ir
from aiproxy.framing import sse
from aiproxy.wire import contract
from aiproxy.wire.anthropic import stream_in, stream_out
from aiproxy.wire.anthropic.reply import decode_reply, encode_reply
from aiproxy.wire.anthropic.request_in import decode_request, head
from aiproxy.wire.anthropic.request_out import TOOL_NAMES, encode_request
from aiproxy.wire.anthropic.shapes import FAMILY, NAME
from aiproxy.wire.anthropic.stream_out import HEARTBEAT
from aiproxy.wire.anthropic.tokens import decode_count, encode_count, encode_count_request

ROUTES: Sequence[str] = ("/v1/messages", "/v1/messages/count_tokens")
FIRST_HEARTBEAT = HEARTBEAT
ERROR_IS_END = False
TAKES_STOP = True

StreamDecoder: Callable[[], contract.StreamDecoder[sse.Message]] = stream_in.StreamDecoder
StreamEncoder: Callable[[ir.Request], contract.StreamEncoder] = stream_out.StreamEncoder
RawStream: Callable[[str], contract.RawStream] = partial(
    contract.EventStreamAsIs, mark=stream_out.END
)

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
    "decode_count",
    "decode_reply",
    "decode_request",
    "encode_count",
    "encode_count_request",
    "encode_reply",
    "encode_request",
    "head",
]
