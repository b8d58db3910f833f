"""
What a vendor would refuse, as far as it is cheap to tell.

A translation that writes such a request must fail against the simulator, not only at the vendor.
Sources: the vendors' API references and the wording of their own errors.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from aiproxy import ir
from aiproxy.errors import BadRequest, ErrorReply
from aiproxy.messages import Headers, header
from aiproxy.simulator.answers import is_genuine, proofs_in
from aiproxy.wire import jsontext
from aiproxy.wire.contract import Inbound, Operation

_KEY_HEADERS: Mapping[str, tuple[str, ...]] = {
    "anthropic": ("x-api-key", "authorization"),
    "chat": ("authorization",),
    "responses": ("authorization",),
    "gemini": ("x-goog-api-key",),
}
_ANY_KEY_HEADER = ("authorization", "x-api-key", "x-goog-api-key")

# How a key begins that is refused, and with what.
_REFUSED_KEYS: Mapping[str, ErrorReply] = {
    "bad": ErrorReply(401, "authentication", "invalid API key"),
    "broke": ErrorReply(429, "quota", "you have used up your credit, check your plan and billing"),
    "busy": ErrorReply(429, "rate_limit", "too many requests with this key", retry_after=1.0),
}

# Google documents it for calls that none of its models made.
_STAND_IN_PROOFS = frozenset({"skip_thought_signature_validator"})

_TOOL_NAMES: Mapping[str, re.Pattern[str]] = {
    "anthropic": re.compile(r"[a-zA-Z0-9_-]{1,128}"),
    "chat": re.compile(r"[a-zA-Z0-9_-]{1,64}"),
    "responses": re.compile(r"[a-zA-Z0-9_-]{1,128}"),
    "gemini": re.compile(r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,127}"),
    "kiro": re.compile(r"[a-zA-Z0-9_-]{1,64}"),
}

# Separated by blanks.
_FIELDS: Mapping[str, str] = {
    "anthropic": (
        "model messages max_tokens system tools tool_choice thinking stop_sequences temperature"
        " top_p top_k stream metadata service_tier output_config context_management"
    ),
    "chat": (
        "model messages max_tokens max_completion_tokens n stop seed temperature top_p"
        " presence_penalty frequency_penalty logprobs top_logprobs response_format tools"
        " tool_choice parallel_tool_calls stream stream_options user metadata store service_tier"
        " reasoning_effort verbosity prompt_cache_key safety_identifier"
    ),
    "responses": (
        "model input instructions max_output_tokens reasoning text tools tool_choice"
        " parallel_tool_calls temperature top_p top_logprobs stream stream_options store include"
        " metadata user previous_response_id conversation prompt background truncation service_tier"
        " prompt_cache_key safety_identifier"
    ),
    "gemini": (
        "contents systemInstruction tools toolConfig generationConfig safetySettings cachedContent"
        " labels serviceTier"
    ),
}

_LEAST_THINKING_BUDGET = 1024
_LEAST_RESPONSES_OUTPUT = 16
_WITHOUT_SAMPLING = "2026-10-21"
"""From this version of the Messages API on, sampling parameters are refused."""


def refused_key(wire: str, headers: Headers, path: str) -> ErrorReply | None:
    """Why the call's key is no good: it is missing, elsewhere than this vendor looks, or known."""
    key = ""
    for name in _KEY_HEADERS.get(wire, _ANY_KEY_HEADER):
        key = key or (header(headers, name) or "").removeprefix("Bearer").strip()
    if not key and wire == "gemini":
        found = re.search(r"[?&]key=([^&]+)", path)
        key = found[1] if found else ""
    if not key:
        return ErrorReply(401, "authentication", "no API key was given")
    return next((error for start, error in _REFUSED_KEYS.items() if key.startswith(start)), None)


def check(
    wire: Inbound, operation: Operation, headers: Headers, body: bytes, request: ir.Request
) -> None:
    """Raises BadRequest when the vendor of that wire would refuse the request."""
    document = jsontext.read_request(body, dict[str, Any])
    _check_fields(wire.NAME, document)
    _check_tools(wire.NAME, request)
    _check_results(request)
    _check_proofs(wire.FAMILY, request)
    _check_media(request)
    if operation == "generate" and wire.NAME in _OWN:
        _OWN[wire.NAME](document, headers)


# ── what all vendors refuse ──


def _check_fields(wire: str, document: Mapping[str, Any]) -> None:
    """No vendor takes another's fields; those that nobody knows may be newer than we are."""
    if wire not in _FIELDS:
        return
    foreign = set(" ".join(_FIELDS.values()).split()) - set(_FIELDS[wire].split())
    for name in document:
        if name in foreign:
            raise BadRequest(f"{name}: extra inputs are not permitted", param=name)


def _check_tools(wire: str, request: ir.Request) -> None:
    tools = [tool for tool in request.tools if isinstance(tool, ir.Tool)]
    names = [(tool.namespace, tool.name) for tool in tools]
    if len(set(names)) < len(names):
        raise BadRequest("tool names must be unique", param="tools")
    legal = _TOOL_NAMES.get(wire)
    for tool in tools:
        if legal is not None and not legal.fullmatch(tool.name):
            raise BadRequest(f"illegal tool name {tool.name!r}", param="tools")
    choice = request.tool_choice
    if choice is None:
        return
    if choice.mode == "any" and not request.tools:
        raise BadRequest("tool_choice may only be given with tools", param="tool_choice")
    for name in choice.names:
        if tools and name not in {tool.name for tool in tools}:
            raise BadRequest(f"tool_choice names no tool: {name}", param="tool_choice")


def _check_results(request: ir.Request) -> None:
    """Every call has one result behind it, every result a call before it."""
    waiting: set[str] = set()
    for turn in request.turns:
        for part in turn.parts:
            if isinstance(part, ir.ToolCall):
                if part.id in waiting:
                    raise BadRequest(f"two tool calls have the id {part.id}")
                waiting.add(part.id)
            elif isinstance(part, ir.ToolResult):
                if part.call_id not in waiting:
                    raise BadRequest(f"tool result without a tool call: {part.call_id}")
                waiting.remove(part.call_id)
    if waiting:
        raise BadRequest(f"tool call without a tool result: {min(waiting)}")


def _check_proofs(family: str, request: ir.Request) -> None:
    """A vendor takes no reasoning but its own."""
    for proof in proofs_in(request):
        if proof.data not in _STAND_IN_PROOFS and not is_genuine(proof, family):
            raise BadRequest(f"invalid signature of reasoning, made by {proof.family}")


def _check_media(request: ir.Request) -> None:
    for turn in request.turns:
        for part in _media(turn.parts):
            if isinstance(part.source, ir.Inline):
                try:
                    base64.b64decode(part.source.data, validate=True)
                except (binascii.Error, ValueError):
                    raise BadRequest("a picture or file is not valid base64") from None


def _media(parts: Iterable[ir.Part]) -> Iterator[ir.Media]:
    for part in parts:
        if isinstance(part, ir.ToolResult):
            yield from _media(part.content)
        elif isinstance(part, ir.Media):
            yield part


# ── what one vendor refuses ──


def _anthropic(document: Mapping[str, Any], headers: Headers) -> None:
    version = header(headers, "anthropic-version")
    if not version:
        raise BadRequest("anthropic-version: header is required")
    max_tokens = document.get("max_tokens")
    if not isinstance(max_tokens, int) or max_tokens < 1:
        raise BadRequest("max_tokens: field required", param="max_tokens")
    sampled = [name for name in ("temperature", "top_p", "top_k") if name in document]
    if sampled and version >= _WITHOUT_SAMPLING:
        raise BadRequest(f"{sampled[0]}: not supported in this version", param=sampled[0])
    messages = _objects(document, "messages")
    for at, message in enumerate(messages):
        _check_blocks(at, message, messages[at - 1] if at else {})
    _check_budget(document, max_tokens)


def _check_blocks(at: int, message: Mapping[str, Any], before: Mapping[str, Any]) -> None:
    blocks = _blocks(message)
    if not message.get("content") or any(
        block.get("type") == "text" and not block.get("text") for block in blocks
    ):
        raise BadRequest(f"messages.{at}: text content blocks must be non-empty")
    called = {block.get("id") for block in _blocks(before) if block.get("type") == "tool_use"}
    for block in blocks:
        if block.get("type") == "tool_result" and block.get("tool_use_id") not in called:
            raise BadRequest(
                f"messages.{at}: each tool_result must answer a tool_use of the previous message"
            )


def _check_budget(document: Mapping[str, Any], max_tokens: int) -> None:
    thinking = document.get("thinking")
    if not isinstance(thinking, dict) or thinking.get("type") != "enabled":
        return
    budget = thinking.get("budget_tokens")
    if not isinstance(budget, int) or not _LEAST_THINKING_BUDGET <= budget < max_tokens:
        raise BadRequest(
            "thinking.budget_tokens: must be at least 1024 and less than max_tokens",
            param="thinking.budget_tokens",
        )
    if document.get("temperature", 1) != 1:
        raise BadRequest("temperature may only be 1 when thinking is enabled", param="temperature")


def _chat(document: Mapping[str, Any], headers: Headers) -> None:
    for message in _objects(document, "messages"):
        if message.get("role") in ("user", "system", "tool") and not message.get("content"):
            raise BadRequest("messages: content must not be null or empty", param="messages")
    if document.get("tools") == []:
        raise BadRequest("tools: [] is too short", param="tools")
    for tool in document.get("tools") or ():
        _check_strict(tool.get("function"), "parameters")
    response_format = document.get("response_format")
    if isinstance(response_format, dict):
        _check_strict(response_format.get("json_schema"), "schema")


def _responses(document: Mapping[str, Any], headers: Headers) -> None:
    if not document.get("input") and not document.get("previous_response_id"):
        raise BadRequest("input: must not be empty", param="input")
    limit = document.get("max_output_tokens")
    if isinstance(limit, int) and limit < _LEAST_RESPONSES_OUTPUT:
        raise BadRequest("max_output_tokens: must be at least 16", param="max_output_tokens")
    for tool in document.get("tools") or ():
        _check_strict(tool, "parameters")
    text = document.get("text")
    if isinstance(text, dict):
        _check_strict(text.get("format"), "schema")


def _check_strict(holder: Any, key: str) -> None:
    """Strict schemas list every property as required, and allow no others."""
    if not isinstance(holder, dict) or holder.get("strict") is not True:
        return
    schema = holder.get(key) or {}
    properties = schema.get("properties") or {}
    required = schema.get("required") or []
    if schema.get("additionalProperties") is not False or set(required) != set(properties):
        raise BadRequest(
            "invalid schema: additionalProperties must be false and every property required",
            param=key,
        )


def _gemini(document: Mapping[str, Any], headers: Headers) -> None:
    before: Mapping[str, Any] = {}
    for content in _objects(document, "contents"):
        parts = [part for part in content.get("parts") or () if isinstance(part, dict)]
        if not parts:
            raise BadRequest("contents: parts must not be empty", param="contents")
        if content.get("role", "user") not in ("user", "model", "function"):
            raise BadRequest("contents: valid roles are user and model", param="contents")
        answered = sum("functionResponse" in part for part in parts)
        called = sum("functionCall" in part for part in before.get("parts") or ())
        if answered and answered != called:
            raise BadRequest(
                "the number of function response parts must equal the number of function call "
                "parts of the function call turn",
                param="contents",
            )
        before = content


def _objects(document: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """The list `name`, which must have something in it."""
    items: list[Mapping[str, Any]] = [
        item for item in document.get(name) or () if isinstance(item, dict)
    ]
    if not items:
        raise BadRequest(f"{name}: at least one is required", param=name)
    return items


def _blocks(message: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    content = message.get("content")
    return [item for item in content if isinstance(item, dict)] if isinstance(content, list) else []


_OWN: Mapping[str, Callable[[Mapping[str, Any], Headers], None]] = {
    "anthropic": _anthropic,
    "chat": _chat,
    "responses": _responses,
    "gemini": _gemini,
}
