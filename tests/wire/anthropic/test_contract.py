"""The Anthropic wire keeps the contract of all wires."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from aiproxy import ir
from aiproxy.errors import ErrorKind
from aiproxy.wire import anthropic
from tests import corpus
from tests.wire_contract import WireContract

_STOPS: Mapping[str | None, ir.StopReason] = {
    "end_turn": "end",
    "tool_use": "tool_use",
    "max_tokens": "max_tokens",
    "stop_sequence": "stop_sequence",
    "refusal": "filtered",
    None: "other",
}

_ERRORS: Mapping[int, ErrorKind] = {
    400: "invalid_request",
    401: "authentication",
    404: "not_found",
    429: "rate_limit",
    529: "overloaded",
}


class AnthropicContractTests(WireContract, SynchronousTestCase):
    wire = anthropic
    has_logprobs = False
    corpus_format = "anthropic"

    exempt_requests = {
        "lingua-thinkingsignaturerequest-followup-u-7983": "Vertex: its model is in the path",
    }
    error_kinds = {
        "content_policy": "invalid_request",
        "model_not_found": "not_found",
        "unreachable": "upstream",
        "unavailable": "upstream",
        "internal": "upstream",
    }
    stream_error_kinds = {
        "method_not_allowed": "invalid_request",
        "conflict": "invalid_request",
    }

    def normalised(self, response: ir.Response) -> ir.Response:
        """No creation time; usage is always given."""
        return ir.replace(
            response,
            id=response.id if response.id.startswith("msg_") else f"msg_{response.id}",
            created=0,
            usage=response.usage or ir.Usage(),
        )

    def comparable_request(self, body: Any) -> Any:
        return comparable(body)

    def stop_of(self, digest: Mapping[str, Any]) -> ir.StopReason:
        return ir.settled_stop(_STOPS[digest["finish"]], bool(digest["tool_calls"]))

    def usage_of(self, usage: Mapping[str, Any]) -> ir.Usage:
        thinking = (usage.get("output_tokens_details") or {}).get("thinking_tokens") or 0
        return ir.Usage(
            usage.get("input_tokens") or 0,
            usage.get("cache_read_input_tokens") or 0,
            usage.get("cache_creation_input_tokens") or 0,
            (usage.get("output_tokens") or 0) - thinking,
            thinking,
        )

    def error_of(self, case: corpus.Case) -> ErrorKind | None:
        if b"prompt is too long" in (case.response or b""):
            return "context_length"
        return _ERRORS[case.meta["http"]["status"]]

    # ── normalisations of requests ──

    def test_members_of_its_own(self) -> None:
        """What only this dialect says of an answer comes out again for its clients."""
        details = {"type": "refusal", "category": "cyber"}
        body = {
            "type": "message",
            "content": [],
            "stop_reason": "refusal",
            "stop_details": details,
            "container": {"id": "c"},
        }
        reply = anthropic.decode_reply(200, json.dumps(body).encode())
        again = json.loads(anthropic.encode_reply(reply, None).body)
        self.assertEqual((again["stop_details"], again["container"]), (details, {"id": "c"}))


def comparable(body: Any) -> Any:
    """
    A request body as far as aiproxy keeps it.

    Not kept: nulls, falsehoods and empty lists that are the default, a call's direct `caller`, and
    which of two spellings of the same thing was used (a text or a list of one text block,
    `output_format` or `output_config.format`, a tool's type "custom" or none).
    """
    body = _without_nulls(body)
    if "output_format" in body:
        config = {"format": body.pop("output_format"), **body.get("output_config", {})}
        body["output_config"] = config
    for name in ("system", "tools", "stop_sequences", "metadata", "stream"):
        if not body.get(name):
            body.pop(name, None)
    if "system" in body:
        body["system"] = _content(body["system"])
    for message in body["messages"]:
        message["content"] = _content(message["content"])
    for tool in body.get("tools", ()):
        if tool.get("type") == "custom":
            del tool["type"]
        if tool.get("description") == "":
            del tool["description"]
    choice = body.get("tool_choice", {})
    if choice.get("disable_parallel_tool_use") is False:
        del choice["disable_parallel_tool_use"]
    return body


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(item) for name, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


def _content(content: Any) -> list[Any]:
    """A list of blocks, without the empty texts that the API refuses."""
    if isinstance(content, str):
        content = [{"type": "text", "text": content}]
    blocks = [block for block in content if block.get("text") != ""]
    for block in blocks:
        if block.get("caller") == {"type": "direct"}:
            del block["caller"]
        if block["type"] == "tool_result":
            block["content"] = _content(block.get("content", ""))
            if not block.get("is_error"):
                block.pop("is_error", None)
        if block["type"] == "text" and not block.get("citations"):
            block.pop("citations", None)
    return blocks
