"""A request that was written for Kiro, read back: the service itself is the only other reader."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

from aiproxy import ir
from aiproxy.wire.jsontext import raw
from aiproxy.wire.kiro.turns import ONLY_RESULTS, PLACEHOLDER


def read(body: bytes) -> ir.Request:
    """What a body of generateAssistantResponse asks for; the instructions are in the first turn."""
    whole = json.loads(body)
    state = whole["conversationState"]
    current = state["currentMessage"]["userInputMessage"]
    context = current.get("userInputMessageContext", {})
    tools = tuple(_tool(tool["toolSpecification"]) for tool in context.get("tools", ()))
    return ir.Request(
        wire="kiro",
        model=current["modelId"],
        stream=True,
        turns=tuple(_turn(message) for message in (*state["history"], state["currentMessage"])),
        tools=tools,
        # What is not offered cannot be called, nobody thinks who is not told to, and there is but
        # one tier.
        tool_choice=None if tools else ir.ToolChoice("none"),
        service_tier="default",
        thinking=_thinking(whole.get("additionalModelRequestFields", {})),
    )


def _tool(tool: Any) -> ir.Tool:
    return ir.Tool(tool["name"], tool["description"], raw(tool["inputSchema"]["json"]))


def _thinking(fields: Any) -> ir.Thinking | None:
    effort = fields.get("output_config", fields.get("reasoning", {})).get("effort")
    adaptive = fields.get("thinking", {}).get("type") == "adaptive"
    return ir.Thinking(effort, adaptive=adaptive) if fields else ir.Thinking("none")


def _turn(message: Any) -> ir.Turn:
    said = message.get("assistantResponseMessage")
    if said is not None:
        return ir.Turn("assistant", tuple(_said(said)))
    return ir.Turn("user", tuple(_asked(message["userInputMessage"])))


def _said(message: Any) -> Iterator[ir.Part]:
    thought = message.get("reasoningContent", {})
    if "reasoningText" in thought:
        text = thought["reasoningText"]
        yield ir.Reasoning(text["text"], ir.Proof("kiro", text["signature"]))
    yield from _text(message["content"])
    for use in message.get("toolUses", ()):
        arguments = json.dumps(use["input"], separators=(",", ":"))
        yield ir.ToolCall(use["toolUseId"], use["name"], arguments)


def _asked(message: Any) -> Iterator[ir.Part]:
    for result in message.get("userInputMessageContext", {}).get("toolResults", ()):
        content = tuple(ir.Text(each["text"]) for each in result["content"])
        yield ir.ToolResult(result["toolUseId"], content, result["status"] == "error")
    for image in message.get("images", ()):
        yield ir.Media("image", ir.Inline(f"image/{image['format']}", image["source"]["bytes"]))
    for paper in message.get("documents", ()):
        data = paper["source"]["bytes"]
        source: ir.Source = ir.Inline(f"application/{paper['format']}", data)
        if paper["format"] == "txt":
            source = ir.PlainText(base64.b64decode(data).decode())
        yield ir.Media("document", source, paper["name"])
    yield from _text(message["content"])


def _text(content: str) -> Iterator[ir.Part]:
    """The service insists on a text, so there is one even where nothing is said."""
    if content not in (PLACEHOLDER, ONLY_RESULTS):
        yield ir.Text(content)
