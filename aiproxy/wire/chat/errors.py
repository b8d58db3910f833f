"""Chat's errors: `{"error": {"message", "type", "param", "code"}}`, and what their words mean."""

from __future__ import annotations

from typing import Any

from aiproxy import ir
from aiproxy.errors import ErrorKind, ErrorReply, Native
from aiproxy.wire import errortext, jsontext
from aiproxy.wire.chat import shapes

NAME = "chat"

_DIALECT: dict[ErrorKind, tuple[int, str, str | None]] = {
    "invalid_request": (400, "invalid_request_error", None),
    "context_length": (400, "invalid_request_error", "context_length_exceeded"),
    "content_policy": (400, "invalid_request_error", "content_policy_violation"),
    "authentication": (401, "invalid_request_error", "invalid_api_key"),
    "permission": (403, "permission_error", None),
    "quota": (429, "insufficient_quota", "insufficient_quota"),
    "not_found": (404, "invalid_request_error", "not_found"),
    "model_not_found": (404, "invalid_request_error", "model_not_found"),
    "method_not_allowed": (405, "invalid_request_error", "method_not_allowed"),
    "conflict": (409, "invalid_request_error", "conflict"),
    "too_large": (413, "invalid_request_error", "request_too_large"),
    "rate_limit": (429, "rate_limit_error", "rate_limit_exceeded"),
    "overloaded": (503, "server_error", "server_is_overloaded"),
    "timeout": (504, "server_error", "timeout"),
    "unreachable": (502, "server_error", "upstream_error"),
    "upstream": (500, "server_error", None),
    "unavailable": (503, "server_error", "service_unavailable"),
    "internal": (500, "server_error", "internal_error"),
}
"""Kind to status, `type` and `code`. Source: OpenAI API reference, error codes."""

_BY_CODE: dict[str, ErrorKind] = {
    **{code: kind for kind, (_, _, code) in _DIALECT.items() if code is not None},
    "upstream_error": "upstream",
}


def decode_error(status: int, body: bytes) -> ErrorReply:
    """
    An upstream's error.

    status: HTTP status; anything below 400 when the error came inside a good answer or a stream.
    """
    fault = _fault(body)
    code, kind_word = _word(fault.code), _word(fault.type)
    told = status if status >= 400 else _status_in(fault)
    message = errortext.message_of(body, told or 500)
    kind = _kind(told, code, kind_word, message)
    return ErrorReply(
        told or errortext.standard_status(kind),
        kind,
        message,
        code=code or kind_word or None,
        param=_word(fault.param) or None,
        native=Native(NAME, body),
    )


def error_body(reply: ErrorReply) -> tuple[int, bytes]:
    """The status and the JSON of an error for a client; an error of this dialect is unchanged."""
    if reply.native is not None and reply.native.wire == NAME:
        return reply.status, reply.native.body
    status, kind, code = _DIALECT[reply.kind]
    if reply.kind == "invalid_request" and reply.code not in (None, kind):
        code = reply.code
    if reply.kind == "not_found" and reply.native is not None:
        code = "model_not_found"
    if reply.kind == "upstream" and reply.status in (502, 503, 504):
        status, code = reply.status, "upstream_error"
    inside = {"message": reply.message, "type": kind, "param": reply.param, "code": code}
    return status, jsontext.write({"error": inside})


def chunk_body(reply: ErrorReply) -> bytes:
    """The JSON of an error inside a stream."""
    native = reply.native
    if native is not None and native.wire == NAME and not _is_error_object(native.body):
        reply = ErrorReply(reply.status, reply.kind, reply.message, reply.code, reply.param)
    return error_body(reply)[1]


def _is_error_object(body: bytes) -> bool:
    failure = jsontext.try_read(body, shapes.Failure)
    return failure is not None and jsontext.given(failure.error)


def _fault(body: bytes) -> shapes.Fault:
    """The error's own fields, from inside `error` or (vLLM, Mistral) from the top."""
    failure = jsontext.try_read(body, shapes.Failure)
    inside: ir.JSON | bytes = body
    if failure is not None and jsontext.given(failure.error):
        inside = failure.error
    return jsontext.try_read(inside, shapes.Fault) or shapes.Fault()


def _kind(status: int, code: str, kind_word: str, message: str) -> ErrorKind:
    known = _BY_CODE.get(code.lower()) or _BY_CODE.get(kind_word.lower())
    if known is not None:
        return known
    if status:
        return errortext.kind_of(status, code, message)
    by_code = errortext.kind_of(0, code, message)
    if by_code != errortext.kind_of(0, "", message):
        return by_code
    return errortext.kind_of(0, kind_word, message)


def _status_in(fault: shapes.Fault) -> int:
    """The HTTP status that an error inside a good answer names, 0 when it names none."""
    for value in (fault.status_code, fault.code, fault.status):
        if isinstance(value, int) and 400 <= value < 600:
            return value
    return 0


def _word(value: Any) -> str:
    return value if isinstance(value, str) else ""
