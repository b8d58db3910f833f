"""
Errors as this dialect says them.

Shape: {"error": {"message": text, "type": word, "param": field or null, "code": word or null}};
inside a stream an event `response.failed` whose response has `error: {code, message}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiproxy.errors import ErrorKind, ErrorReply, Native
from aiproxy.redaction import redact
from aiproxy.wire import errortext, jsontext
from aiproxy.wire.responses.shapes import NAME

# Kind of error: HTTP status, `type`, `code`. No code: the upstream's own, if it gave one.
_WHOLE: Mapping[ErrorKind, tuple[int, str, str | None]] = {
    "invalid_request": (400, "invalid_request_error", None),
    "context_length": (400, "invalid_request_error", "context_length_exceeded"),
    "content_policy": (400, "invalid_request_error", "content_policy_violation"),
    "authentication": (401, "invalid_request_error", "invalid_api_key"),
    "permission": (403, "permission_error", None),
    "quota": (429, "insufficient_quota", "insufficient_quota"),
    "not_found": (404, "invalid_request_error", None),
    "model_not_found": (404, "invalid_request_error", "model_not_found"),
    "method_not_allowed": (405, "invalid_request_error", None),
    "conflict": (409, "invalid_request_error", "conflict"),
    "too_large": (413, "invalid_request_error", None),
    "rate_limit": (429, "rate_limit_error", "rate_limit_exceeded"),
    "overloaded": (503, "server_error", "server_is_overloaded"),
    "timeout": (504, "server_error", "timeout"),
    "unreachable": (502, "server_error", "upstream_error"),
    "upstream": (500, "server_error", None),
    "unavailable": (503, "server_error", None),
    "internal": (500, "server_error", None),
}

_KIN = frozenset({"chat", NAME})
"""Wires whose code words are OpenAI's."""

# Inside a stream only the code tells. Codex acts on context_length_exceeded, insufficient_quota,
# rate_limit_exceeded, server_is_overloaded and invalid_prompt; anything else it tries again.
_IN_STREAM: Mapping[ErrorKind, str] = {
    "invalid_request": "invalid_request_error",
    "context_length": "context_length_exceeded",
    "content_policy": "invalid_prompt",
    "authentication": "authentication_error",
    "permission": "permission_error",
    "quota": "insufficient_quota",
    "not_found": "not_found_error",
    "model_not_found": "model_not_found",
    "method_not_allowed": "method_not_allowed",
    "conflict": "conflict",
    "too_large": "request_too_large",
    "rate_limit": "rate_limit_exceeded",
    "overloaded": "server_is_overloaded",
    "timeout": "timeout",
    "unreachable": "server_error",
    "upstream": "server_error",
    "unavailable": "server_is_overloaded",
    "internal": "server_error",
}

# Types that say no more than the status does.
_GENERAL_TYPES = frozenset({"invalid_request_error", "server_error", "api_error", "error"})

_KINDS_OF_CODES: Mapping[str, ErrorKind] = {
    "method_not_allowed": "method_not_allowed",
    "timeout": "timeout",
    "invalid_encrypted_content": "invalid_request",
    "unsupported_parameter": "invalid_request",
}


def decode_error(status: int, body: bytes) -> ErrorReply:
    """The error in a body of any make."""
    error = _error_object(jsontext.try_read(body, object))
    message = errortext.message_of(body, status)
    return ErrorReply(
        status,
        _kind(status, error, message),
        message,
        code=_word(error, "code") or _word(error, "type"),
        param=_word(error, "param"),
        retry_after=_seconds(error.get("resets_in_seconds")),
        native=Native(NAME, body),
    )


def decode_failure(error: Any) -> ErrorReply:
    """
    An error that came without an HTTP status: inside a stream, or in a failed response.

    Shape: {"code": word, "message": text}, perhaps with "type" and "param", perhaps a text.
    """
    found = error if isinstance(error, dict) else {"message": error}
    message = redact(_word(found, "message") or "the upstream reported a failure")
    kind = _kind(0, found, message)
    code = _word(found, "code") or _word(found, "type")
    status = errortext.standard_status(kind)
    return ErrorReply(status, kind, message, code=code, param=_word(found, "param"))


def encode_error(error: ErrorReply) -> tuple[int, bytes]:
    """Status and body for a client; an error of this very dialect passes as it is."""
    if error.native is not None and error.native.wire == NAME:
        return error.status, error.native.body
    status, type_, code = _WHOLE[error.kind]
    if error.kind == "upstream" and error.status in (501, 502):
        status, code = 502, "upstream_error"
    if code is None and (error.native is None or error.native.wire in _KIN):
        code = error.code
    if error.kind == "not_found" and error.native is not None:
        # What else a vendor can lack here.
        code = "model_not_found"
    inner = {"message": _with_wait(error), "type": type_, "param": error.param, "code": code}
    return status, jsontext.write({"error": inner})


def failure(error: ErrorReply) -> dict[str, str]:
    """The `error` of a failed response."""
    return {"code": _IN_STREAM[error.kind], "message": _with_wait(error)}


def _with_wait(error: ErrorReply) -> str:
    """The message; Codex reads the time to wait from its text."""
    if error.kind != "rate_limit" or error.retry_after is None or "try again in" in error.message:
        return error.message
    return f"{error.message.rstrip('.')}. Please try again in {error.retry_after:g}s."


def _kind(status: int, error: Mapping[str, Any], message: str) -> ErrorKind:
    code, type_ = _word(error, "code") or "", _word(error, "type") or ""
    if code in _KINDS_OF_CODES:
        return _KINDS_OF_CODES[code]
    if status == 0:
        return errortext.kind_of(0, code or type_, message)
    return errortext.kind_of(
        status, code or (type_ if type_ not in _GENERAL_TYPES else ""), message
    )


def _error_object(value: Any) -> Mapping[str, Any]:
    if isinstance(value, list) and value:
        value = value[0]
    if not isinstance(value, dict):
        return {}
    inner = value.get("error")
    return inner if isinstance(inner, dict) else value


def _word(error: Mapping[str, Any], name: str) -> str | None:
    value = error.get(name)
    return value if isinstance(value, str) and value else None


_LONGEST_SECONDS = 1e9
"""More means nothing, and may be more than a float can hold."""


def _seconds(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and 0 <= value <= _LONGEST_SECONDS else None
