"""
Errors of the service: {"message", "reason"?, "__type"?} in a body, or a frame inside the stream.

The reason tells most, then the exception's name, then the words.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from aiproxy.errors import ErrorKind, ErrorReply, Native
from aiproxy.framing import eventstream
from aiproxy.wire.errortext import kind_of, message_of, standard_status
from aiproxy.wire.jsontext import try_read, write
from aiproxy.wire.kiro.shapes import NAME, Fault

_REASONS: Mapping[str, ErrorKind] = {
    "CONTENT_LENGTH_EXCEEDS_THRESHOLD": "context_length",
    "PROMPT_TOO_LONG": "context_length",
    "CONVERSATION_LIMIT": "context_length",
    "INVALID_MODEL_ID": "model_not_found",
    "THINKING_SIGNATURE_INVALID": "invalid_request",
    "REQUEST_BODY_INVALID": "invalid_request",
    "INVALID_CONVERSATION_ID": "invalid_request",
    "MONTHLY_REQUEST_COUNT": "quota",
    "DAILY_REQUEST_COUNT": "quota",
    "TEMPORARILY_SUSPENDED": "permission",
    "FEATURE_NOT_SUPPORTED": "permission",
    "INSUFFICIENT_MODEL_CAPACITY": "overloaded",
    "MODEL_TEMPORARILY_UNAVAILABLE": "overloaded",
}
_FAMILIES_OF_REASONS: Mapping[str, ErrorKind] = {
    "OVERAGE_": "quota",
    "TOOL_": "invalid_request",
    "IMAGE_": "invalid_request",
    "DOCUMENT_": "invalid_request",
}
"""By how a reason begins."""

_EXCEPTIONS: Mapping[str, ErrorKind] = {
    "InternalServerException": "upstream",
    "InternalServerError": "upstream",
    "InternalFailure": "upstream",
    "ThrottlingException": "rate_limit",
    "ValidationException": "invalid_request",
    "DryRunOperationException": "invalid_request",
    "AccessDeniedException": "permission",
    "ExpiredTokenException": "authentication",
    "UnauthorizedException": "authentication",
    "ServiceQuotaExceededException": "quota",
    "ServiceUnavailableException": "overloaded",
    "ConflictException": "conflict",
    "ResourceNotFoundException": "not_found",
}
_STATUSES: Mapping[str, int] = {
    "ThrottlingException": 429,
    "ServiceUnavailableException": 503,
}
"""Of exceptions inside a stream, where the kind's usual status is not the service's."""

_USED_UP = re.compile(r"reached for (?:this|the) (?:month|day)", re.IGNORECASE)
_TOKEN = re.compile(r"\btoken\b.*\b(?:invalid|expired)|\bexpired\b.*\btoken\b", re.IGNORECASE)
_TOO_LONG = re.compile(r"\binput is too long|content length exceeds", re.IGNORECASE)
_VAGUE: frozenset[ErrorKind] = frozenset(
    ("invalid_request", "permission", "rate_limit", "upstream")
)
"""Kinds behind which the service hides others."""


def error_of(status: int | None, body: bytes, name: str = "") -> ErrorReply:
    """
    The error in a body of any make.

    status: None when it came with a good one. name: of the exception, as a header says.
    """
    fault = try_read(body, Fault) or Fault()
    message = message_of(body, status or 500)
    return _reply(status, _word(fault.reason), _word(fault.kind) or name, message, body)


def is_error(body: bytes) -> bool:
    """Whether `body` is an error, whatever its status said."""
    fault = try_read(body, Fault)
    return fault is not None and any(map(_word, (fault.message, fault.reason, fault.kind)))


def error_in_frame(frame: eventstream.Message) -> ErrorReply:
    """
    The error that a frame of type exception or error is, or an event of an invalid state.

    The exception's name is in a header, the rest in the payload or, of type error, in a header.
    """
    fault = try_read(frame.payload, Fault) or Fault()
    said = frame.text(":error-message")
    name = frame.text(":exception-type") or frame.text(":error-code") or _word(fault.kind)
    body = frame.payload or write({"message": said, "__type": name})
    return _reply(None, _word(fault.reason), name, message_of(body, 500), body)


def _reply(status: int | None, reason: str, name: str, message: str, body: bytes) -> ErrorReply:
    exception = _bare(name)
    kind = _kind(status or 500, reason, exception, message)
    if kind == "context_length":
        # The service also says it as 402.
        status = standard_status(kind)
    elif status is None:
        status = _STATUSES.get(exception) or standard_status(kind)
    code = reason or exception or None
    return ErrorReply(status, kind, message, code=code, native=Native(NAME, body))


def _kind(status: int, reason: str, exception: str, message: str) -> ErrorKind:
    known = _REASONS.get(reason)
    if known is not None:
        return known
    for beginning, kind in _FAMILIES_OF_REASONS.items():
        if reason.startswith(beginning):
            return kind
    kind = _EXCEPTIONS.get(exception) or kind_of(status, exception, message)
    if kind not in _VAGUE:
        return kind
    if _USED_UP.search(message):
        return "quota"
    if kind == "permission" and _TOKEN.search(message):
        return "authentication"
    if kind == "invalid_request":
        return "context_length" if _TOO_LONG.search(message) else kind_of(400, "", message)
    return kind


def _bare(name: str) -> str:
    """An exception's bare name: AWS writes "com.amazon.x#Name" and "Name:http://..." too."""
    return name.rpartition("#")[2].partition(":")[0]


def _word(value: object) -> str:
    return value if isinstance(value, str) else ""
