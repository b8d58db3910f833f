"""Counting a request's tokens: `countTokens`."""

from __future__ import annotations

import msgspec

from aiproxy import ir
from aiproxy.wire.contract import Encoded
from aiproxy.wire.gemini.request_out import encode_request
from aiproxy.wire.jsontext import read_reply, read_request, write


class _Count(msgspec.Struct):
    total: int = msgspec.field(name="totalTokens")


def encode_count_request(request: ir.Request) -> Encoded:
    """
    The generation that is to be counted, complete with tools and instructions.

    Raises: BadRequest as `encode_request`.
    """
    whole = encode_request(request)
    members = read_request(whole.body, dict[str, msgspec.Raw])
    inner = {"model": f"models/{request.model}", **members}
    return Encoded(write({"generateContentRequest": inner}), whole.losses)


def decode_count(body: bytes) -> int:
    """
    Shape: {"totalTokens": n}.

    Raises: UpstreamProtocolError.
    """
    return read_reply(body, _Count).total


def encode_count(input_tokens: int) -> bytes:
    """The answer to a client's count."""
    return write({"totalTokens": input_tokens})
