"""Whole answers: there are none but errors, for the service always streams."""

from __future__ import annotations

from aiproxy import ir
from aiproxy.errors import UpstreamProtocolError
from aiproxy.wire.kiro.errors import error_of, is_error


def decode_reply(status: int, body: bytes) -> ir.Reply:
    """
    The error in `body`.

    Shape: {"message", "reason"?, "__type"?}
    Raises: UpstreamProtocolError when status is 2xx and it is no error: that is no stream.
    """
    if not 200 <= status < 300:
        return error_of(status, body)
    if is_error(body):
        return error_of(None, body)
    raise UpstreamProtocolError("the upstream gave a whole answer where only a stream can be")
