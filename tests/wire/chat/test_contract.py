"""Chat Completions under the contract of all wires, and against the corpus."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from aiproxy import ir
from aiproxy.errors import ErrorKind
from aiproxy.wire import chat
from tests import wire_contract
from tests.wire.views import each_answer
from tests.wire_corpus import complaint

_STOPS: Mapping[ir.StopReason, ir.StopReason] = {
    "stop_sequence": "end",
    "pause": "end",
    "context_full": "max_tokens",
    "other": "end",
}


def one_message(reply: ir.Response) -> ir.Response:
    """
    `reply` as a single Chat message says it.

    A message has one field for all its reasoning, one for all its text, and one for its calls; what
    order they came in is seen only in a stream.
    """
    thoughts = [part for part in reply.parts if isinstance(part, ir.Reasoning)]
    texts = [part for part in reply.parts if isinstance(part, ir.Text)]
    calls = [part for part in reply.parts if isinstance(part, ir.ToolCall)]
    others = [p for p in reply.parts if not isinstance(p, ir.Reasoning | ir.Text | ir.ToolCall)]
    parts: list[ir.Part] = []
    if thoughts:
        parts.append(ir.Reasoning("".join(part.text for part in thoughts)))
    if texts:
        citations = tuple(citation for part in texts for citation in part.citations)
        likely = tuple(one for part in texts for one in part.logprobs)
        parts.append(ir.Text("".join(part.text for part in texts), citations, logprobs=likely))
    parts += others
    parts += [ir.replace(call, arguments=call.arguments or "{}") for call in calls]
    return ir.replace(reply, parts=tuple(parts))


def comparable(body: dict[str, Any]) -> dict[str, Any]:
    """
    A request as far as encoding must keep it.

    Null, [] and "" equal absent, as do "stream": false and what speaks of tools where none are.
    `max_tokens` is `max_completion_tokens`, `tool_choice` "any" (Mistral's) is "required", and a
    stream always asks for its usage. A nameless schema is called "response".
    """
    out = {key: value for key, value in body.items() if value not in (None, [])}
    if not out.pop("stream", False):
        out.pop("stream_options", None)
    else:
        out["stream_options"] = {"include_usage": True}
    if "max_tokens" in out:
        out.setdefault("max_completion_tokens", out.pop("max_tokens"))
    if "tools" not in out:
        out.pop("tool_choice", None)
    out["tools"] = [_tool(tool) for tool in out.get("tools", ())]
    choice = out.get("tool_choice")
    if choice == "any":
        out["tool_choice"] = "required"
    elif isinstance(choice, dict):
        out["tool_choice"] = {"type": "function", **choice}
    wanted = out.get("response_format", {})
    if "json_schema" in wanted:
        schema = {"name": "response", **wanted["json_schema"]}
        out["response_format"] = {**wanted, "json_schema": schema}
    messages: list[Any] = []
    for message in body["messages"]:
        _add(messages, _message(message))
    return {**out, "messages": messages}


def _tool(tool: dict[str, Any]) -> dict[str, Any]:
    """With a type; without a description that says nothing."""
    if "function" not in tool:
        return tool
    function = {key: value for key, value in tool["function"].items() if value != ""}
    return {"type": "function", **tool, "function": function}


def _message(message: dict[str, Any]) -> dict[str, Any]:
    """Content as parts; without a tool message's name, which repeats that of its call."""
    out = {key: value for key, value in message.items() if value not in (None, [], "")}
    content = message.get("content") or []
    if isinstance(content, str):
        content = [{"type": "text", "text": content}]
    out["content"] = [_part(part) for part in content]
    if message["role"] == "tool":
        out.pop("name", None)
    if message.get("tool_calls"):
        out["tool_calls"] = [_call(call) for call in message["tool_calls"]]
    return out


def _call(call: dict[str, Any]) -> dict[str, Any]:
    """Without the index that belongs into streams; no arguments are an empty object."""
    function = {**call["function"], "arguments": call["function"]["arguments"] or "{}"}
    return {**{key: value for key, value in call.items() if key != "index"}, "function": function}


def _part(part: dict[str, Any]) -> dict[str, Any]:
    out = {key: value for key, value in part.items() if value is not None}
    if isinstance(out.get("image_url"), str):
        out["image_url"] = {"url": out["image_url"]}
    if "image_url" in out:
        url = out["image_url"]["url"].replace("data:image/jpg;", "data:image/jpeg;")
        out["image_url"] = {**out["image_url"], "url": url}
    return out


def _add(messages: list[Any], message: dict[str, Any]) -> None:
    """Neighbours of one role are one message; an assistant's message that is empty is none."""
    last = messages[-1] if messages else {}
    role = message["role"]
    if message == {"role": "assistant", "content": []}:
        return
    if role in ("user", "assistant") and set(message) == set(last) and last["role"] == role:
        last["content"] = last["content"] + message["content"]
    else:
        messages.append(message)


_LEGACY = "legacy functions are sent as tools"


class ChatContractTests(wire_contract.WireContract, SynchronousTestCase):
    wire = chat
    corpus_format = "openai-chat"
    gives_several = True
    exempt_requests: Mapping[str, str] = {
        "agentgateway-full-q-20dc": _LEGACY,
        "openllmetry-simple-lcel-u-ff0c": _LEGACY,
        "pydantic-ai-openrouter-document-url-no-force-download-u-6e1b": (
            "OpenRouter takes a URL in file_data; Chat's own upstream does not, so it is refused"
        ),
        "ruby-llm-chat-string-tool-results-ollama-qwen3-preserves-strings-returne-4f58": (
            "an image in a tool's message goes to the user's, where alone OpenAI takes it"
        ),
    }
    exempt_answers: Mapping[str, str] = {
        "ruby-llm-chat-web-search-with-openrouter-openai-gpt-5-2-searches-transpa-d613": (
            "the digest overlooks the thoughts, which stand in reasoning_details alone"
        ),
    }
    exempt_again: Mapping[str, str] = {
        "pydantic-ai-snowflake-native-output-u-addb": "it has no finish reason; we give one",
        "pydantic-ai-snowflake-model-streaming-s-41e8": "it has no finish reason; we give one",
    }
    error_kinds: Mapping[ErrorKind, ErrorKind] = {"unreachable": "upstream"}
    error_statuses: Mapping[ErrorKind, int] = {"quota": 429, "overloaded": 503}

    def normalised(self, response: ir.Response) -> ir.Response:
        single = one_message(response)
        return ir.replace(
            single,
            stop=_STOPS.get(response.stop, response.stop),
            stop_sequence="",
            usage=response.usage or ir.Usage(),
        )

    def decoded(self, pieces: Iterable[bytes]) -> list[ir.Event]:
        """The events of a stream, put in the order that a whole message has."""
        events = super().decoded(pieces)
        self.assertIsNone(complaint(events))
        reply = ir.fold(events)
        if not isinstance(reply, ir.Response):
            return events
        return list(ir.unfold(each_answer(reply, one_message)))

    # ── the corpus ──

    def comparable_request(self, body: Any) -> Any:
        return comparable(body)

    def stop_of(self, digest: Mapping[str, Any]) -> ir.StopReason:
        native: Mapping[Any, ir.StopReason] = {
            "stop": "end",
            "eos": "end",
            "": "other",
            None: "other",
            "length": "max_tokens",
            "tool_calls": "tool_use",
            "function_call": "tool_use",
        }
        stop = native[digest["finish"]]
        return "tool_use" if digest["tool_calls"] and stop in ("end", "other") else stop

    def usage_of(self, usage: Mapping[str, Any]) -> ir.Usage:
        inside = usage.get("prompt_tokens_details") or {}
        cached = inside.get("cached_tokens") or usage.get("cached_tokens") or 0
        cached = cached or usage.get("num_cached_tokens") or 0
        written = inside.get("cache_write_tokens") or 0
        details = usage.get("completion_tokens_details") or {}
        reasoning = details.get("reasoning_tokens") or 0
        output = usage["completion_tokens"]
        if usage["total_tokens"] != usage["prompt_tokens"] + output + reasoning:
            output -= reasoning
        uncached = max(0, usage["prompt_tokens"] - cached - written)
        return ir.Usage(uncached, cached, written, output, reasoning)
