"""The contract of every wire, kept by aiproxy.wire.responses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from aiproxy import ir
from aiproxy.errors import ErrorKind
from aiproxy.wire import responses
from tests.corpus import Case
from tests.wire_contract import WireContract

# What a client repeats of an item that it got; it is not sent again.
_REPEATED = ("status", "internal_chat_message_metadata_passthrough")


class ResponsesContractTests(WireContract, SynchronousTestCase):
    """Answers, streams, requests and errors, made up and recorded."""

    wire = responses
    corpus_format = "openai-responses"
    exempt_answers: Mapping[str, str] = {
        "ai-openai-shell-container-1-s-2b9e": "its source took out deltas: they do not add up",
    }
    error_kinds: Mapping[ErrorKind, ErrorKind] = {
        "unreachable": "upstream",
        "unavailable": "overloaded",
        "internal": "upstream",
    }
    error_statuses: Mapping[ErrorKind, int] = {"quota": 429, "overloaded": 503}

    def normalised(self, response: ir.Response) -> ir.Response:
        """Stop sequences and pauses are plain ends here; thoughts are shown as summaries."""
        parts = tuple(
            ir.replace(part, summary=True) if isinstance(part, ir.Reasoning) else part
            for part in response.parts
        )
        stops: Mapping[ir.StopReason, ir.StopReason] = {"stop_sequence": "end", "pause": "end"}
        return ir.replace(
            response,
            id="resp_" + response.id.removeprefix("resp_"),
            parts=parts,
            stop=stops.get(response.stop, response.stop),
            stop_sequence="",
            usage=response.usage or ir.Usage(),
        )

    def stop_of(self, digest: Mapping[str, Any]) -> ir.StopReason:
        match digest["finish"]:
            case "incomplete":
                return "max_tokens"
            case "queued":
                return "end" if "again" in self.id() else "pause"
        if digest.get("refusal"):
            return "filtered"
        return "tool_use" if digest["tool_calls"] else "end"

    def usage_of(self, usage: Mapping[str, Any]) -> ir.Usage:
        inputs = usage.get("input_tokens_details") or {}
        outputs = usage.get("output_tokens_details") or {}
        cached, written = inputs.get("cached_tokens", 0), inputs.get("cache_write_tokens", 0)
        reasoning = outputs.get("reasoning_tokens", 0)
        return ir.Usage(
            input=usage["input_tokens"] - cached - written,
            cache_read=cached,
            cache_write=written,
            output=usage["output_tokens"] - reasoning,
            reasoning=reasoning,
        )

    def thinking_of(self, response: ir.Response) -> str:
        """The digests join the parts of a summary, each under a bold title, without a border."""
        return super().thinking_of(response).replace("\n\n**", "**")

    def error_of(self, case: Case) -> ErrorKind | None:
        """What the recorded statuses and codes mean."""
        if "quota-reset" in case.features or case.id.startswith("ai-openai-error"):
            return "quota"
        if "http-401" in case.features:
            return "authentication"
        if "context-len" in case.id:
            return "context_length"
        if "inferred-model-name" in case.id or "create-api-error" in case.id:
            return "model_not_found"
        return "invalid_request"

    def comparable_request(self, body: Any) -> Any:
        """
        The listed normalisations.

        Nulls and empty options are absent, `stream` is always said; a text input is a
        message; the content of messages is a list of typed parts; a text output is a string;
        `user` is `safety_identifier`; allowed_tools of one tool that must be called is that tool.
        """
        body = _without_nulls(body)
        body["stream"] = body.get("stream", False)
        if isinstance(body.get("input"), str):
            body["input"] = [{"role": "user", "content": body["input"]}]
        body["input"] = [_item(item) for item in body.get("input", [])]
        if not body.get("tools", True):
            del body["tools"]
        body["tools"] = [_tool(tool) for tool in body.get("tools", [])]
        if "user" in body:
            body.setdefault("safety_identifier", body.pop("user"))
        match body.get("tool_choice"):
            case {"type": "allowed_tools", "mode": "required", "tools": [tool]}:
                body["tool_choice"] = tool
        for name in ("reasoning", "instructions"):
            if not body.get(name, True):
                del body[name]
        return body


def _item(item: dict[str, Any]) -> dict[str, Any]:
    kind = item.get("type", "message")
    if kind == "message":
        item = {**item, "type": "message", "content": _content(item)}
    if kind in ("message", "function_call", "function_call_output", "custom_tool_call"):
        item = {key: value for key, value in item.items() if key not in (*_REPEATED, "id")}
    if kind == "reasoning":
        item = {key: value for key, value in item.items() if key not in _REPEATED}
    return item


def _content(item: dict[str, Any]) -> list[Any]:
    content = item.get("content", [])
    output = item["role"] == "assistant"
    if isinstance(content, str):
        content = [{"type": "output_text" if output else "input_text", "text": content}]
    return [_part(part, output) for part in content]


def _part(part: dict[str, Any], output: bool) -> dict[str, Any]:
    if part["type"] == "refusal":
        return {"type": "refusal", "refusal": part.get("refusal", part.get("text"))}
    part = {key: value for key, value in part.items() if (key, value) != ("logprobs", [])}
    return {**part, "annotations": part.get("annotations", [])} if output else part


def _tool(tool: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in tool.items() if (key, value) != ("description", "")}


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(inner) for key, inner in value.items() if inner is not None}
    return [_without_nulls(inner) for inner in value] if isinstance(value, list) else value
