"""Requests to encode and what becomes of them, and messages of streams."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from aiproxy import ir
from aiproxy.framing.eventstream import EventStreamDecoder, Message
from aiproxy.wire import kiro
from tests.framing.test_eventstream import VECTORS

Object = dict[str, Any]
FRAMES = {vector["id"]: bytes.fromhex(vector["hex"]) for vector in VECTORS["valid"]}


def user(*parts: ir.Part | str) -> ir.Turn:
    return ir.Turn("user", _parts(parts))


def assistant(*parts: ir.Part | str) -> ir.Turn:
    return ir.Turn("assistant", _parts(parts))


def call(call_id: str, name: str = "f", arguments: str = "{}") -> ir.ToolCall:
    return ir.ToolCall(call_id, name, arguments)


def result(call_id: str, text: str = "r", *, is_error: bool = False) -> ir.ToolResult:
    return ir.ToolResult(call_id, (ir.Text(text),), is_error)


def image(data: str = "aGk=", mime: str = "image/png") -> ir.Media:
    return ir.Media("image", ir.Inline(mime, data))


def request(*turns: ir.Turn, **members: Any) -> ir.Request:
    return ir.Request("anthropic", members.pop("model", "claude-opus-4.8"), True, turns, **members)


def body(asked: ir.Request) -> Object:
    parsed: Object = json.loads(kiro.encode_request(asked).body)
    return parsed


def state(asked: ir.Request) -> Object:
    """`conversationState` of an encoded request."""
    found: Object = body(asked)["conversationState"]
    return found


def messages(asked: ir.Request) -> list[Object]:
    """All messages in order, each as its only member's value, with its role put in."""
    found = state(asked)
    out: list[Object] = []
    for message in [*found["history"], found["currentMessage"]]:
        ((name, value),) = message.items()
        role = {"userInputMessage": "user", "assistantResponseMessage": "assistant"}[name]
        out.append({"role": role, **value})
    return out


def results(message: Object) -> list[Object]:
    """Tool results of a user's message."""
    found: list[Object] = message.get("userInputMessageContext", {}).get("toolResults", [])
    return found


def tools(asked: ir.Request) -> list[Object]:
    """Specifications of the tools in the current message."""
    context = state(asked)["currentMessage"]["userInputMessage"].get("userInputMessageContext", {})
    return [tool["toolSpecification"] for tool in context.get("tools", [])]


def losses(asked: ir.Request) -> dict[str, str]:
    return {loss.feature: loss.how for loss in kiro.encode_request(asked).losses}


def _parts(parts: tuple[ir.Part | str, ...]) -> tuple[ir.Part, ...]:
    return tuple(ir.Text(part) if isinstance(part, str) else part for part in parts)


# ── streams ──


def event(kind: str, payload: Any) -> Message:
    data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return Message({":event-type": kind, ":message-type": "event"}, data)


def text(content: str) -> Message:
    return event("assistantResponseEvent", {"content": content})


def thought(**members: str) -> Message:
    return event("reasoningContentEvent", members)


def use(call_id: str, value: Any = None, *, stop: bool = False, name: str | None = "f") -> Message:
    members: dict[str, Any] = {"toolUseId": call_id}
    members.update({} if name is None else {"name": name})
    members.update({} if value is None else {"input": value})
    members.update({"stop": True} if stop else {})
    return event("toolUseEvent", members)


def vectors(*names: str) -> list[Message]:
    return EventStreamDecoder().feed(b"".join(FRAMES[name] for name in names))


def events(messages: Iterable[Message]) -> list[ir.Event]:
    """What these messages and the end of the stream give."""
    decoder = kiro.StreamDecoder()
    found = [event for message in messages for event in decoder.feed(message)]
    return [*found, *decoder.close()]
