"""
Errors of the Messages API.

Shape: {"type": "error", "error": {"type": "overloaded_error", "message": "..."}}, as a body and as
the data of an `error` event alike.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from aiproxy.errors import ErrorKind, ErrorReply, Native
from aiproxy.wire.anthropic.shapes import NAME, ErrorShape
from aiproxy.wire.errortext import kind_of, message_of, standard_status
from aiproxy.wire.jsontext import given, try_read, write

_TOO_LONG = "prompt is too long"
"""Claude Code compacts the conversation when a message begins so."""

_GENERAL = "invalid_request_error"
"""Says nothing that the status does not say better."""

_TYPES: Mapping[ErrorKind, str] = {
    "invalid_request": _GENERAL,
    "context_length": _GENERAL,
    "content_policy": _GENERAL,
    "authentication": "authentication_error",
    "permission": "permission_error",
    "quota": "billing_error",
    "not_found": "not_found_error",
    "model_not_found": "not_found_error",
    "method_not_allowed": _GENERAL,
    "conflict": _GENERAL,
    "too_large": "request_too_large",
    "rate_limit": "rate_limit_error",
    "overloaded": "overloaded_error",
    "timeout": "timeout_error",
    "unreachable": "api_error",
    "upstream": "api_error",
    "unavailable": "api_error",
    "internal": "api_error",
}


class _Body(msgspec.Struct, gc=False):
    type: str | None = None
    error: msgspec.Raw = msgspec.Raw()


def is_error(body: bytes) -> bool:
    """Whether `body` is an error, whatever its status said."""
    shape = try_read(body, _Body)
    return shape is not None and is_said(shape.type, shape.error)


def is_said(type: str | None, error: msgspec.Raw) -> bool:
    """Whether an answer with these members is an error."""
    return type == "error" or (not type and given(error))


def error_of(status: int | None, body: bytes) -> ErrorReply:
    """The error in `body`. status: None when it came inside an answer."""
    shape = try_read(body, _Body)
    error = try_read(shape.error, ErrorShape) if shape is not None and given(shape.error) else None
    code = (error.type if error is not None else None) or ""
    message = message_of(body, status or 500)
    if status is None:
        kind = kind_of(500, code, message)
        status = standard_status(kind)
    else:
        kind = kind_of(status, "" if code == _GENERAL else code, message)
    return ErrorReply(status, kind, message, code=code or None, native=Native(NAME, body))


def error_body(error: ErrorReply) -> bytes:
    """`error` as clients of this wire read it."""
    message = error.message
    if error.kind == "context_length" and not message.startswith(_TOO_LONG):
        message = f"{_TOO_LONG}: {message}"
    return write({"type": "error", "error": {"type": _TYPES[error.kind], "message": message}})
