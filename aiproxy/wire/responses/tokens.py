"""Counting a request's tokens: `POST /v1/responses/input_tokens`."""

from __future__ import annotations

import msgspec

from aiproxy import ir
from aiproxy.wire.contract import Encoded
from aiproxy.wire.jsontext import only_members, read_reply, write
from aiproxy.wire.responses.request_out import encode_request

# Source: OpenAI API reference, get input token counts. The API refuses what only generating needs.
_COUNTED = frozenset(
    {
        "conversation",
        "input",
        "instructions",
        "model",
        "parallel_tool_calls",
        "previous_response_id",
        "reasoning",
        "text",
        "tool_choice",
        "tools",
        "truncation",
    }
)


class _Count(msgspec.Struct):
    input_tokens: int


def encode_count_request(request: ir.Request) -> Encoded:
    """Raises: BadRequest as `encode_request`."""
    whole = encode_request(request)
    return Encoded(only_members(whole.body, _COUNTED), whole.losses)


def decode_count(body: bytes) -> int:
    """
    Shape: {"object": "response.input_tokens", "input_tokens": n}.

    Raises: UpstreamProtocolError.
    """
    return read_reply(body, _Count).input_tokens


def encode_count(input_tokens: int) -> bytes:
    """The answer to a client's count."""
    return write({"object": "response.input_tokens", "input_tokens": input_tokens})
