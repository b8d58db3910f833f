"""
The next request of a client that read an answer: its SDK's objects, sent back as they are.

That is how agents work: they append what the SDK gave them to the conversation, answer each tool
call, and ask again. Whatever a proof travelled in must survive the SDK's objects both ways.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aiproxy import ir
from tests.wire import exchanges
from tests.wire.exchanges import WIRES
from tests.wire.sdk_readers import read_by_sdk

DONE = "the tool's result"


def next_request(client: str, kind: str, data: bytes) -> ir.Request:
    """
    The request behind an answer that arrived as `data`, as our decoder reads it.

    kind: "stream" or "unary". Raises: what the SDK does when it cannot read the answer.
    """
    answer = json.loads(read_by_sdk(client, kind, data))
    body = json.dumps(_BODIES[client](answer)).encode()
    path = exchanges.path_of(client, ir.Request(client, "m", False, ()))
    return WIRES[client].decode_request(body, path)


def _anthropic(answer: Any) -> Any:
    content = [
        {name: value for name, value in block.items() if name != "parsed_output"}
        for block in answer["content"]
    ]
    results: list[Any] = [
        {"type": "tool_result", "tool_use_id": block["id"], "content": DONE}
        for block in content
        if block["type"] == "tool_use"
    ]
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": content or "(nothing)"},
        {"role": "user", "content": results or "go on"},
    ]
    return {"model": "m", "max_tokens": 9, "messages": messages}


def _chat(answer: Any) -> Any:
    message: dict[str, Any] = dict(answer["choices"][0]["message"])
    message.pop("parsed", None)
    results: list[Any] = [
        {"role": "tool", "tool_call_id": call["id"], "content": DONE}
        for call in message.get("tool_calls", ())
    ]
    behind: Sequence[Any] = results or [{"role": "user", "content": "go on"}]
    return {"model": "m", "messages": [{"role": "user", "content": "hello"}, message, *behind]}


def _responses(answer: Any) -> Any:
    outputs = {
        "function_call": "function_call_output",
        "custom_tool_call": "custom_tool_call_output",
    }
    results: list[Any] = [
        {"type": outputs[item["type"]], "call_id": item["call_id"], "output": DONE}
        for item in answer["output"]
        if item["type"] in outputs
    ]
    behind: Sequence[Any] = results or [{"role": "user", "content": "go on"}]
    return {
        "model": "m",
        "input": [{"role": "user", "content": "hello"}, *answer["output"], *behind],
    }


def _gemini(answer: Any) -> Any:
    """The SDK keeps one content for each chunk."""
    chunks = answer if isinstance(answer, list) else [answer]
    contents: list[Any] = [chunk["candidates"][0]["content"] for chunk in chunks]
    results: list[Any] = [
        {"functionResponse": {**_named(part["functionCall"]), "response": {"output": DONE}}}
        for content in contents
        for part in content["parts"]
        if "functionCall" in part
    ]
    asked: Sequence[Any] = results or [{"text": "go on"}]
    behind = {"role": "user", "parts": asked}
    hello: Any = {"role": "user", "parts": [{"text": "hello"}]}
    return {"contents": [hello, *contents, behind]}


def _named(call: Any) -> dict[str, Any]:
    return {name: call[name] for name in ("id", "name") if name in call}


_BODIES: Mapping[str, Callable[[Any], Any]] = {
    "anthropic": _anthropic,
    "chat": _chat,
    "responses": _responses,
    "gemini": _gemini,
}
