"""
What an upstream's error body says, whoever wrote it.

Vendors, gateways in front of them and web servers answer errors in many shapes; the message and
the kind are found in all of them. No secret or URL passes.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any

from aiproxy.errors import ErrorKind, ErrorReply
from aiproxy.redaction import redact
from aiproxy.wire.jsontext import try_read

_LONGEST = 500
_DEEPEST = 16
_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
_BLANKS = re.compile(r"\s+")

_BY_STATUS: dict[int, ErrorKind] = {
    400: "invalid_request",
    401: "authentication",
    402: "quota",
    403: "permission",
    404: "not_found",
    405: "method_not_allowed",
    408: "timeout",
    409: "conflict",
    413: "too_large",
    422: "invalid_request",
    429: "rate_limit",
    500: "upstream",
    502: "upstream",
    503: "overloaded",
    504: "timeout",
    529: "overloaded",
}

_BY_CODE: dict[str, ErrorKind] = {
    "invalid_request_error": "invalid_request",
    "invalid_argument": "invalid_request",
    "failed_precondition": "invalid_request",
    "out_of_range": "invalid_request",
    "context_length_exceeded": "context_length",
    "content_policy_violation": "content_policy",
    "content_filter": "content_policy",
    "invalid_prompt": "content_policy",
    "authentication_error": "authentication",
    "invalid_api_key": "authentication",
    "unauthenticated": "authentication",
    "permission_error": "permission",
    "permission_denied": "permission",
    "billing_error": "quota",
    "insufficient_quota": "quota",
    "usage_not_included": "quota",
    "usage_limit_reached": "quota",
    "not_found_error": "not_found",
    "not_found": "not_found",
    "model_not_found": "model_not_found",
    "request_too_large": "too_large",
    "rate_limit_error": "rate_limit",
    "rate_limit_exceeded": "rate_limit",
    "resource_exhausted": "rate_limit",
    "overloaded_error": "overloaded",
    "server_is_overloaded": "overloaded",
    "timeout_error": "timeout",
    "deadline_exceeded": "timeout",
    "api_error": "upstream",
    "server_error": "upstream",
    "internal": "upstream",
    "internal_server_error": "upstream",
    "upstream_error": "upstream",
    "aborted": "conflict",
    "conflict": "conflict",
}

_TOO_LONG = re.compile(
    r"prompt is too long|context[ _]length|context window|maximum context|too many tokens"
    r"|input token count .{0,40}exceeds|exceeds the maximum number of tokens",
    re.IGNORECASE,
)
_POLICY = re.compile(
    r"content (management )?policy|usage policies|safety system|content filter", re.IGNORECASE
)
_STALE_PROOF = re.compile(
    r"signature\W.{0,20}thinking|redacted_thinking|thought.?signature|encrypted.?content"
    r"|invalid signature|thinking.signature.invalid",
    re.IGNORECASE,
)
_GENERAL: frozenset[ErrorKind] = frozenset({"invalid_request", "too_large"})


def message_of(body: bytes, status: int) -> str:
    """What `body` tells a person, one line of at most 500 characters, never empty."""
    found = _in_json(try_read(body, object)) or _in_text(body)
    if not found:
        return _phrase(status)
    return redact(found[: 8 * _LONGEST])[:_LONGEST]


def kind_of(status: int, code: str = "", message: str = "") -> ErrorKind:
    """
    The kind of an error from its code word (any case), else its status.

    A prompt that is too long and a refusal by policy hide behind general codes: the message tells.
    """
    kind = _BY_CODE.get(code.lower()) or _BY_STATUS.get(status)
    if kind is None:
        kind = "invalid_request" if 400 <= status < 500 else "upstream"
    if kind in _GENERAL:
        if _TOO_LONG.search(message):
            return "context_length"
        if _POLICY.search(message):
            return "content_policy"
    return kind


def is_stale_proof(reply: ErrorReply) -> bool:
    """
    Whether an upstream refused a request for a proof of reasoning that it does not recognise.

    Shapes: Anthropic "Invalid `signature` in `thinking` block", OpenAI code
    "invalid_encrypted_content", Google "Thought signature is not valid", Kiro reason
    "THINKING_SIGNATURE_INVALID".
    """
    said = f"{reply.code or ''} {reply.message}"
    return reply.status in (400, 422) and _STALE_PROOF.search(said) is not None


_STATUS: dict[ErrorKind, int] = {
    "invalid_request": 400,
    "context_length": 400,
    "content_policy": 400,
    "authentication": 401,
    "permission": 403,
    "quota": 402,
    "not_found": 404,
    "model_not_found": 404,
    "method_not_allowed": 405,
    "conflict": 409,
    "too_large": 413,
    "rate_limit": 429,
    "overloaded": 529,
    "timeout": 504,
    "unreachable": 502,
    "upstream": 500,
    "unavailable": 503,
    "internal": 500,
}


def standard_status(kind: ErrorKind) -> int:
    """The HTTP status of an error that came without one, such as inside a stream."""
    return _STATUS[kind]


def _in_json(value: Any, depth: int = 0) -> str:
    """The first text under the names that errors go by."""
    if depth > _DEEPEST:
        return ""
    if isinstance(value, list):
        return _in_json(value[0], depth + 1) if value else ""
    if not isinstance(value, dict):
        return ""
    names: tuple[str, ...] = (
        "error",
        "message",
        "Message",
        "detail",
        "error_description",
        "msg",
        "title",
        "__type",
    )
    if isinstance(value.get("error"), str) and isinstance(value.get("error_description"), str):
        names = ("error_description",)
    for name in names:
        inner = value.get(name)
        if isinstance(inner, str) and inner.strip():
            return inner.strip()
        found = _in_json(inner, depth + 1)
        if found:
            return found
    return ""


def _in_text(body: bytes) -> str:
    text = body[: 8 * _LONGEST].decode("utf-8", "replace")
    title = _TITLE.search(text)
    if title is not None:
        text = title.group(1)
    elif text.lstrip()[:1] in ("<", "{", "["):
        return ""
    return _BLANKS.sub(" ", text).strip()


def _phrase(status: int) -> str:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Overloaded" if status == 529 else "error"
    return f"the upstream answered {status} ({phrase})"
