"""
Errors in Google's form.

Shape: {"error": {"code": 429, "message": "...", "status": "RESOURCE_EXHAUSTED", "details": [
{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "2.5s"}]}}
Source: google.rpc.Status, google.rpc.ErrorInfo, google.rpc.RetryInfo.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from aiproxy.errors import ErrorKind, ErrorReply, Native
from aiproxy.ir import JSON
from aiproxy.wire import errortext
from aiproxy.wire.jsontext import try_read, write

NAME = "gemini"

_RETRY_INFO = "type.googleapis.com/google.rpc.RetryInfo"
_ERROR_INFO = "type.googleapis.com/google.rpc.ErrorInfo"

_DIALECT: dict[ErrorKind, tuple[int, str]] = {
    "invalid_request": (400, "INVALID_ARGUMENT"),
    "context_length": (400, "INVALID_ARGUMENT"),
    "content_policy": (400, "INVALID_ARGUMENT"),
    "authentication": (401, "UNAUTHENTICATED"),
    "permission": (403, "PERMISSION_DENIED"),
    "quota": (429, "RESOURCE_EXHAUSTED"),
    "not_found": (404, "NOT_FOUND"),
    "model_not_found": (404, "NOT_FOUND"),
    "method_not_allowed": (405, "UNIMPLEMENTED"),
    "conflict": (409, "ABORTED"),
    "too_large": (413, "INVALID_ARGUMENT"),
    "rate_limit": (429, "RESOURCE_EXHAUSTED"),
    "overloaded": (503, "UNAVAILABLE"),
    "timeout": (504, "DEADLINE_EXCEEDED"),
    "unreachable": (502, "UNAVAILABLE"),
    "upstream": (502, "UNAVAILABLE"),
    "unavailable": (503, "UNAVAILABLE"),
    "internal": (500, "INTERNAL"),
}

_REASONS: dict[str, ErrorKind] = {
    "API_KEY_INVALID": "authentication",
    "API_KEY_EXPIRED": "authentication",
    "ACCESS_TOKEN_EXPIRED": "authentication",
    "QUOTA_EXHAUSTED": "quota",
    "INSUFFICIENT_G1_CREDITS_BALANCE": "quota",
    "RATE_LIMIT_EXCEEDED": "rate_limit",
    "MODEL_CAPACITY_EXHAUSTED": "overloaded",
    "CONTEXT_LENGTH": "context_length",
    "CONTENT_POLICY": "content_policy",
    "MODEL_NOT_FOUND": "model_not_found",
}
"""ErrorInfo reasons that say more than the status; we write the ones that have no status."""

_WRITTEN: dict[ErrorKind, str] = {
    "quota": "QUOTA_EXHAUSTED",
    "context_length": "CONTEXT_LENGTH",
    "content_policy": "CONTENT_POLICY",
    "model_not_found": "MODEL_NOT_FOUND",
}
_STATUS_OF_WORD = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ABORTED": 409,
    "RESOURCE_EXHAUSTED": 429,
    "CANCELLED": 499,
    "INTERNAL": 500,
    "UNKNOWN": 500,
    "DATA_LOSS": 500,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
_NO_MODEL = re.compile(r"models?[/ ]\S+ (?:is|was) not found")
_PER_DAY = re.compile(rb'"quotaId"\s*:\s*"[^"]*(?:PerDay|Daily)')
_SECONDS = re.compile(r"(\d{1,9}(?:\.\d+)?)s")
_RETRY_IN = re.compile(r"retry (?:in|after) (\d{1,9}(?:\.\d+)?) ?s", re.IGNORECASE)


class _Detail(msgspec.Struct):
    type: str = msgspec.field(name="@type", default="")
    reason: str = ""
    retry_delay: Any = msgspec.field(name="retryDelay", default=None)


class _Error(msgspec.Struct):
    code: Any = None
    message: Any = None
    status: Any = None
    details: Any = None


class _Body(msgspec.Struct):
    error: JSON = msgspec.Raw()


def decode_error(status: int, body: bytes) -> ErrorReply:
    """An error body of any make, as Google's where it is Google's."""
    found = _found(body)
    return _reply(found, body, status, Native(NAME, body))


def error_in_band(error: JSON) -> ErrorReply:
    """The value of "error" inside a stream."""
    body = write({"error": error})
    found = _found(body)
    code = found.code if isinstance(found.code, int) and 400 <= found.code < 600 else None
    status = code or _STATUS_OF_WORD.get(str(found.status).upper(), 500)
    return _reply(found, body, status, None)


def error_body(reply: ErrorReply) -> tuple[int, bytes]:
    """Status and body of an error for a client of this dialect."""
    status, word = _DIALECT[reply.kind]
    if reply.kind == "upstream" and reply.status == 500:
        status, word = 500, "INTERNAL"
    details: list[dict[str, Any]] = []
    if reply.kind in _WRITTEN:
        details.append({"@type": _ERROR_INFO, "reason": _WRITTEN[reply.kind], "domain": "aiproxy"})
    if reply.retry_after is not None:
        seconds = f"{reply.retry_after:.3f}".rstrip("0").rstrip(".")
        details.append({"@type": _RETRY_INFO, "retryDelay": f"{seconds}s"})
    error: dict[str, Any] = {"code": status, "message": reply.message, "status": word}
    if details:
        error["details"] = details
    return status, write({"error": error})


def _found(body: bytes) -> _Error:
    """Google's error in `body`, bare, in a list or in an event; an empty one when it has none."""
    text = body.strip().removeprefix(b"data:").strip()
    bodies = try_read(text, list[_Body])
    whole = bodies[0] if bodies else try_read(text, _Body)
    return (try_read(whole.error, _Error) if whole is not None else None) or _Error()


def _reply(found: _Error, body: bytes, status: int, native: Native | None) -> ErrorReply:
    message = errortext.message_of(body.strip().removeprefix(b"data:").strip(), status)
    word = found.status if isinstance(found.status, str) else ""
    details = _details(found.details)
    reason = next((detail.reason for detail in details if detail.reason), "")
    return ErrorReply(
        status,
        _kind(status, word, reason, message, body),
        message,
        code=reason or word or None,
        retry_after=_retry_after(details, message),
        native=native,
    )


def _details(details: Any) -> Sequence[_Detail]:
    items = try_read(write(details), list[msgspec.Raw]) or ()
    return [detail for item in items if (detail := try_read(item, _Detail)) is not None]


def _kind(status: int, word: str, reason: str, message: str, body: bytes) -> ErrorKind:
    if reason in _REASONS:
        return _REASONS[reason]
    if status == 429 and _PER_DAY.search(body):
        return "quota"
    if word == "CANCELLED":
        return "upstream"
    kind = errortext.kind_of(status, word, message)
    if kind == "not_found" and _NO_MODEL.search(message):
        return "model_not_found"
    return kind


def _retry_after(details: Sequence[_Detail], message: str) -> float | None:
    """Seconds: "2.5s" of a RetryInfo, else what the message says."""
    for detail in details:
        if detail.type == _RETRY_INFO and isinstance(detail.retry_delay, str):
            delay = _SECONDS.fullmatch(detail.retry_delay)
            if delay is not None:
                return float(delay[1])
    said = _RETRY_IN.search(message)
    return float(said[1]) if said is not None else None
