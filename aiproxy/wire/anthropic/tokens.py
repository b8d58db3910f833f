"""Counting a request's tokens: `POST /v1/messages/count_tokens`."""

from __future__ import annotations

import msgspec

from aiproxy import ir
from aiproxy.wire.anthropic.request_out import encode_request
from aiproxy.wire.contract import Encoded
from aiproxy.wire.jsontext import only_members, read_reply, write

# The API refuses what only generating needs.
_COUNTED = frozenset(
    {
        "model",
        "messages",
        "system",
        "tools",
        "tool_choice",
        "thinking",
        "output_config",
        "cache_control",
        "context_management",
        "mcp_servers",
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
    Shape: {"input_tokens": n}.

    Raises: UpstreamProtocolError.
    """
    return read_reply(body, _Count).input_tokens


def encode_count(input_tokens: int) -> bytes:
    """The answer to a client's count."""
    return write({"input_tokens": input_tokens})
