"""
Google's Code Assist, as geminicli and antigravity call it: the Gemini API in an envelope.

Who calls is told by the envelope: antigravity names itself there. What Google refuses in one and
takes in the other is checked here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from aiproxy import ir
from aiproxy.errors import BadRequest, ErrorKind, ErrorReply
from aiproxy.framing import sse
from aiproxy.wire import gemini
from aiproxy.wire.contract import EncodedReply, Head
from aiproxy.wire.jsontext import read_request, write
from aiproxy.wire.names import derived_id

NAME = "codeassist"
FAMILY = gemini.FAMILY
ROUTES: Sequence[str] = ("/v1internal:<action>",)

_ENVELOPE: Mapping[str, frozenset[str]] = {
    "geminicli": frozenset(("model", "project", "user_prompt_id", "request")),
    "antigravity": frozenset(
        ("model", "project", "userAgent", "requestType", "requestId", "request")
    ),
}
_BOTH = frozenset(("contents", "systemInstruction", "tools", "toolConfig", "generationConfig"))
_REQUEST: Mapping[str, frozenset[str]] = {
    "geminicli": _BOTH | {"cachedContent", "labels", "safetySettings", "session_id"},
    "antigravity": _BOTH | {"sessionId"},
}
_OWN = frozenset(("session_id", "sessionId"))
_KINDS = frozenset(("agent", "image_gen", "web_search"))
_SESSION = re.compile(r"-\d{1,19}")

_REASONS: Mapping[ErrorKind, str] = {
    "rate_limit": "RATE_LIMIT_EXCEEDED",
    "quota": "QUOTA_EXHAUSTED",
}


# ── requests ──


def head(body: bytes, path: str) -> Head:
    """Raises: BadRequest."""
    return gemini.head(*_unwrapped(body, path))


def decode_request(body: bytes, path: str) -> ir.Request:
    """Raises: BadRequest."""
    return gemini.decode_request(*_unwrapped(body, path))


def inner(body: bytes) -> bytes:
    """The request of the Gemini API in the envelope. Raises: BadRequest."""
    request = read_request(body, dict[str, Any]).get("request")
    if not isinstance(request, dict):
        raise BadRequest("request: is required", param="request")
    return write({name: value for name, value in request.items() if name not in _OWN})


def _unwrapped(body: bytes, path: str) -> tuple[bytes, str]:
    """What the same call would be at the Gemini API: body and path."""
    document = read_request(body, dict[str, Any])
    request = document.get("request")
    counted = request.get("model") if isinstance(request, dict) else ""
    model = document.get("model") or str(counted or "").removeprefix("models/") or "counted"
    action = path.partition(":")[2]
    return inner(body), f"/v1beta/models/{quote(str(model), safe='')}:{action}"


# ── what is refused ──


def check(body: bytes, action: str) -> None:
    """Raises BadRequest when Google would refuse the envelope, or what is in it."""
    document = read_request(body, dict[str, Any])
    request = document.get("request")
    if not isinstance(request, dict):
        raise BadRequest("request: is required", param="request")
    if action == "countTokens":
        _only(request, frozenset(("model", "contents")), "request")
        _only(document, frozenset(("request",)), "")
        return
    who = "antigravity" if "userAgent" in document else "geminicli"
    _only(document, _ENVELOPE[who], "")
    _only(request, _REQUEST[who], "request")
    for name in _ENVELOPE[who]:
        if not document.get(name):
            raise BadRequest(f"{name}: is required", param=name)
    for content in request.get("contents") or ():
        if content.get("role") not in ("user", "model"):
            raise BadRequest("Please use a valid role: user, model.", param="contents")
    if (request.get("contents") or [{}])[0].get("role") != "user":
        raise BadRequest("contents: must begin with the user", param="contents")
    if who == "antigravity":
        _check_antigravity(document, request)


def _only(document: Mapping[str, Any], names: frozenset[str], where: str) -> None:
    for name in document:
        if name not in names:
            at = f" at '{where}'" if where else ""
            raise BadRequest(
                f'Invalid JSON payload received. Unknown name "{name}"{at}: Cannot find field.',
                param=name,
            )


def _check_antigravity(document: Mapping[str, Any], request: Mapping[str, Any]) -> None:
    if document["requestType"] not in _KINDS:
        raise BadRequest("requestType: unknown", param="requestType")
    if not _SESSION.fullmatch(str(request.get("sessionId"))):
        raise BadRequest("sessionId: must be a negative number", param="sessionId")
    is_claude = "claude" in str(document["model"])
    limit = (request.get("generationConfig") or {}).get("maxOutputTokens")
    if limit is not None and not is_claude:
        raise BadRequest("maxOutputTokens: is not supported", param="maxOutputTokens")
    functions = [
        function
        for tool in request.get("tools") or ()
        for function in tool.get("functionDeclarations") or ()
    ]
    for function in functions:
        if "parametersJsonSchema" in function:
            raise BadRequest("parametersJsonSchema: is not supported", param="tools")
        if is_claude and not all(map(_requires, _objects(function.get("parameters")))):
            raise BadRequest("tools: every object must require something", param="tools")
    if is_claude and functions:
        calling = (request.get("toolConfig") or {}).get("functionCallingConfig") or {}
        if calling.get("mode") not in ("VALIDATED", "NONE"):
            raise BadRequest("toolConfig: mode must be VALIDATED", param="toolConfig")


def _objects(schema: Any) -> Iterator[Mapping[str, Any]]:
    """Every schema of an object in `schema`; none at all counts as one that requires nothing."""
    if schema is None:
        yield {}
    if isinstance(schema, list):
        for item in schema:
            yield from _objects(item) if item is not None else ()
    if isinstance(schema, dict):
        if str(schema.get("type")).lower() == "object":
            yield schema
        for value in schema.values():
            yield from _objects(value) if value is not None else ()


def _requires(schema: Mapping[str, Any]) -> bool:
    return bool(schema.get("required"))


# ── answers ──


class StreamEncoder:
    """The Gemini API's events, each in its envelope."""

    def __init__(self, request: ir.Request) -> None:
        self._events = gemini.StreamEncoder(request)
        self._frames = sse.SSEDecoder()
        self._trace = derived_id("", request.model, len(request.turns))
        self.content_type = self._events.content_type
        self.losses = self._events.losses

    def encode(self, event: ir.Event) -> bytes:
        messages = self._frames.feed(self._events.encode(event))
        return b"".join(sse.encode(_wrapped(message.data, self._trace)) for message in messages)


def encode_reply(reply: ir.Reply, request: ir.Request | None) -> EncodedReply:
    """A whole answer in its envelope; an error with the reason that Google gives for it."""
    encoded = gemini.encode_reply(reply, request)
    if isinstance(reply, ErrorReply):
        reason = _REASONS.get(reply.kind)
        return encoded if reason is None else EncodedReply(encoded.status, _told(encoded, reason))
    trace = "" if request is None else derived_id("", request.model, len(request.turns))
    return EncodedReply(encoded.status, _wrapped(encoded.body, trace), encoded.losses)


encode_count = gemini.encode_count


def _wrapped(response: bytes, trace: str) -> bytes:
    """As Google, without the response's own id: that is the trace's. Errors are not wrapped."""
    members = read_request(response, dict[str, Any])
    if "error" in members:
        return response
    members.pop("responseId", None)
    return write({"response": members, "traceId": trace})


def _told(encoded: EncodedReply, reason: str) -> bytes:
    document = read_request(encoded.body, dict[str, Any])
    info = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": reason,
        "domain": "cloudcode-pa.googleapis.com",
    }
    others = [one for one in document["error"].get("details") or () if one["@type"] != info["@type"]]
    document["error"]["details"] = [info, *others]
    return write(document)
