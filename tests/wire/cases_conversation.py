"""Cases of `test_request_cases` about conversations: roles, texts, media, calls and results."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

Body: TypeAlias = dict[str, Any]

DOT = "iVBORw0KGgo="
DATA_URL = f"data:image/png;base64,{DOT}"
CAT = "https://example.org/cat.png"
PAPER = "JVBERi0xLjQ="


@dataclass(frozen=True)
class Case:
    """
    bodies: by wire the members beside (or in place of) those of the plain request.
    sent: by upstream's wire, or "wire:model", what is at some places of its body, and "losses";
    or the beginning of the refusal.
    """

    name: str
    bodies: Mapping[str, Body]
    sent: Mapping[str, Body | str]


def digest(source: str, length: int) -> str:
    """What stands for a name or an id that others refuse."""
    return hashlib.sha256(source.encode()).hexdigest()[:length]


def text(said: str) -> Body:
    return {"type": "text", "text": said}


def user(*content: Any) -> Body:
    return {"role": "user", "content": list(content)}


def said(*content: Any) -> Body:
    return {"role": "assistant", "content": list(content)}


def use(call_id: str, name: str = "f", arguments: Any = None) -> Body:
    return {"type": "tool_use", "id": call_id, "name": name, "input": arguments or {}}


def result(call_id: str, content: Any, **more: Any) -> Body:
    return {"type": "tool_result", "tool_use_id": call_id, "content": content, **more}


def call(call_id: str, arguments: str = "{}", name: str = "f") -> Body:
    """One of Chat's `tool_calls`."""
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def item(call_id: str, arguments: str = "{}", name: str = "f") -> Body:
    """A `function_call`."""
    return {"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments}


def output(call_id: str, given: Any) -> Body:
    return {"type": "function_call_output", "call_id": call_id, "output": given}


def image(source: Body) -> Body:
    return {"type": "image", "source": source}


def inline(mime: str, data: str) -> Body:
    return {"type": "base64", "media_type": mime, "data": data}


HELLO = {"role": "user", "content": "Look."}
ASKED = {"role": "user", "parts": [{"text": "Look."}]}

SAME: Sequence[tuple[str, str, Body, Body]] = (
    (
        "a system string is one block",
        "anthropic",
        {"system": "Be brief."},
        {"system": [text("Be brief.")]},
    ),
    (
        "keys with underscores",
        "gemini",
        {"systemInstruction": {"parts": [{"text": "a"}]},
         "generationConfig": {"maxOutputTokens": 77, "stopSequences": ["x"]}},
        {"system_instruction": {"parts": [{"text": "a"}]},
         "generation_config": {"max_output_tokens": 77, "stop_sequences": ["x"]}},
    ),
    (
        "a stop that is a text",
        "chat",
        {"stop": "x"},
        {"stop": ["x"]},
    ),
    (
        "functions of old",
        "chat",
        {"functions": [{"name": "f", "parameters": {"type": "object"}}],
         "function_call": {"name": "f"}},
        {"tools": [{"type": "function",
                    "function": {"name": "f", "parameters": {"type": "object"}}}],
         "tool_choice": {"type": "function", "function": {"name": "f"}}},
    ),
    (
        "an input that is a text",
        "responses",
        {"input": "hi"},
        {"input": [{"role": "user", "content": [{"type": "input_text", "text": "hi"}]}]},
    ),
    (
        "a tool's message of old",
        "chat",
        {"messages": [HELLO,
                      {"role": "assistant", "content": None,
                       "function_call": {"name": "f", "arguments": "{}"}},
                      {"role": "function", "name": "f", "content": "x"}]},
        {"messages": [HELLO,
                      {"role": "assistant", "content": None, "tool_calls": [call("f")]},
                      {"role": "tool", "tool_call_id": "f", "content": "x"}]},
    ),
)  # fmt: skip
"""Two bodies of one wire that say the same."""

CASES: Sequence[Case] = (
    Case(
        "system blocks",
        {"anthropic": {"system": [text("a"), text("b"), text("c")]}},
        {
            "chat": {"messages.0.role": "system", "messages.0.content": "a\n\nb\n\nc"},
            "responses": {"instructions": "a\n\nb\n\nc"},
            "gemini": {"systemInstruction.parts.0.text": "a\n\nb\n\nc"},
            "kiro": {"conversationState.currentMessage.userInputMessage.content":
                     "a\n\nb\n\nc\n\nLook."},
        },
    ),
    Case(
        "leading system and developer messages",
        {"chat": {"messages": [{"role": "system", "content": "a"},
                               {"role": "system", "content": "b"},
                               {"role": "developer", "content": "c"}, HELLO]}},
        {"anthropic": {"system": [text("a"), text("b"), text("c")], "messages.#": 1}},
    ),
    Case(
        "a late system message",
        {"chat": {"messages": [HELLO, {"role": "system", "content": "b"}]}},
        {
            "anthropic": {"messages.0.content.1.text":
                          "<system-reminder>\nb\n</system-reminder>"},
            "responses": {"input.1.role": "developer"},
        },
    ),
    Case(
        "instructions before a developer item",
        {"responses": {"instructions": "a",
                       "input": [{"role": "developer", "content": "b"}, HELLO]}},
        {"anthropic": {"system": [text("a"), text("b")], "messages.#": 1}},
    ),
    Case(
        "easy items and typed parts",
        {"responses": {"input": [
            {"role": "user", "content": "a"},
            {"type": "message", "role": "assistant",
             "content": [{"type": "output_text", "text": "b", "annotations": []}]},
            {"role": "user", "content": [{"type": "input_text", "text": "c"}]},
        ]}},
        {
            "anthropic": {"messages.0.content": [text("a")], "messages.1.content": [text("b")],
                          "messages.2.content": [text("c")]},
            "chat": {"messages.1": {"role": "assistant", "content": "b"}},
            "gemini": {"contents.1": {"role": "model", "parts": [{"text": "b"}]}},
        },
    ),
    Case(
        "roles of Gemini",
        {"gemini": {"contents": [
            ASKED,
            {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {}}}]},
            {"role": "function",
             "parts": [{"functionResponse": {"name": "f", "response": {"output": "x"}}}]},
        ]}},
        {
            "anthropic": {"messages.1.role": "assistant", "messages.2.role": "user",
                          "messages.2.content.0.type": "tool_result",
                          "messages.2.content.0.content": "x"},
            "chat": {"messages.1.role": "assistant", "messages.2.role": "tool",
                     "messages.2.content": "x"},
            "responses": {"input.1.type": "function_call",
                          "input.2.type": "function_call_output", "input.2.output": "x"},
        },
    ),
    Case(
        "an image among texts, inline",
        {"chat": {"messages": [user(text("a"), {"type": "image_url",
                                                "image_url": {"url": DATA_URL}})]}},
        {
            "anthropic": {"messages.0.content.1": image(inline("image/png", DOT))},
            "responses": {"input.0.content.1.image_url": DATA_URL},
            "gemini": {"contents.0.parts.1.inlineData": {"mimeType": "image/png", "data": DOT}},
            "kiro": {"conversationState.currentMessage.userInputMessage.images.0":
                     {"format": "png", "source": {"bytes": DOT}}},
        },
    ),
    Case(
        "an image by URL",
        {"anthropic": {"messages": [user(image({"type": "url", "url": CAT}))]}},
        {
            "chat": {"messages.0.content.0.image_url": {"url": CAT}},
            "responses": {"input.0.content.0.image_url": CAT},
            "gemini": {"contents.0.parts.0.fileData.fileUri": CAT},
            "kiro": "this upstream cannot fetch the image",
        },
    ),
    Case(
        "a PDF",
        {"anthropic": {"messages": [user({"type": "document", "title": "p.pdf",
                                          "source": inline("application/pdf", PAPER)})]}},
        {
            "chat": {"messages.0.content.0.file": {
                "filename": "p.pdf", "file_data": f"data:application/pdf;base64,{PAPER}"}},
            "responses": {"input.0.content.0.filename": "p.pdf",
                          "input.0.content.0.file_data": f"data:application/pdf;base64,{PAPER}"},
            "gemini": {"contents.0.parts.0.inlineData.data": PAPER},
        },
    ),
    Case(
        "audio in a message",
        {"chat": {"messages": [user({"type": "input_audio",
                                     "input_audio": {"data": "UklGRg==", "format": "wav"}})]}},
        {
            "anthropic": "this upstream takes no audio",
            "kiro": "this upstream takes no audio",
            "gemini": {"contents.0.parts.0.inlineData.mimeType": "audio/wav"},
        },
    ),
    Case(
        "another name of JPEG",
        {"chat": {"messages": [user({"type": "image_url", "image_url": {
            "url": "data:image/jpg;base64,/9j/"}})]}},
        {
            "anthropic": {"messages.0.content.0.source.media_type": "image/jpeg"},
            "gemini": {"contents.0.parts.0.inlineData.mimeType": "image/jpeg"},
        },
    ),
    Case(
        "a bitmap",
        {"chat": {"messages": [user({"type": "image_url", "image_url": {
            "url": "data:image/bmp;base64,Qk0="}})]}},
        {"anthropic": "this upstream takes no images of type image/bmp"},
    ),
    Case(
        "a data URL that is not base64",
        {"chat": {"messages": [user({"type": "image_url", "image_url": {
            "url": "data:image/png,%89PNG"}})]}},
        {"anthropic": {"messages.0.content.0.source.data": "iVBORw=="}},
    ),
    Case(
        "several calls beside a text",
        {"anthropic": {"messages": [HELLO, said(text("t"), use("a"), use("b")),
                                    user(result("a", "x"), result("b", "y"), text("z"))]}},
        {
            "chat": {"messages.1.content": "t", "messages.1.tool_calls.#": 2,
                     "messages.2.tool_call_id": "a", "messages.3.tool_call_id": "b",
                     "messages.4": {"role": "user", "content": "z"}, "messages.#": 5},
            "responses": {"input.2.call_id": "a", "input.3.call_id": "b", "input.5.output": "y"},
            "gemini": {"contents.#": 3, "contents.1.parts.#": 3,
                       "contents.2.parts.2": {"text": "z"}},
            "kiro": {"conversationState.history.1.assistantResponseMessage.toolUses.#": 2},
        },
    ),
    Case(
        "several calls, their results and more",
        {
            "chat": {"messages": [
                HELLO, {"role": "assistant", "content": None, "tool_calls": [call("a"), call("b")]},
                {"role": "tool", "tool_call_id": "b", "content": "y"},
                {"role": "tool", "tool_call_id": "a", "content": "x"},
                {"role": "user", "content": "z"}]},
            "responses": {"input": [HELLO, item("a"), item("b"), output("a", "x"),
                                    output("b", "y"), {"role": "user", "content": "z"}]},
        },
        {"anthropic": {"messages.#": 3, "messages.1.content.#": 2,
                       "messages.2.content.0": result("a", "x"),
                       "messages.2.content.1": result("b", "y"),
                       "messages.2.content.2": text("z")}},
    ),
    Case(
        "an image in a result",
        {"responses": {"input": [HELLO, item("a"), item("b"),
                                 output("a", [{"type": "input_image", "image_url": DATA_URL}]),
                                 output("b", "y")]}},
        {
            "anthropic": {"messages.2.content.0.content": [image(inline("image/png", DOT))]},
            "chat": {"messages.2.role": "tool", "messages.3.role": "tool",
                     "messages.4.content.1.image_url.url": DATA_URL},
            "gemini": {"contents.2.parts.0.functionResponse.parts.0.inlineData.data": DOT},
            "gemini:gemini-2.5-pro": {"contents.2.parts.2.text":
                                      "[attached by the result of tool call f]",
                                      "contents.2.parts.3.inlineData.data": DOT},
            "kiro": {"conversationState.currentMessage.userInputMessage.images.#": 1},
        },
    ),
    Case(
        "the mark of an error",
        {"anthropic": {"messages": [HELLO, said(use("a")),
                                    user(result("a", "no", is_error=True))]}},
        {
            "chat": {"messages.2.content": "[tool error] no"},
            "responses": {"input.2.output": "[tool error] no"},
            "gemini": {"contents.2.parts.0.functionResponse.response": {"error": "no"}},
            "kiro": {"conversationState.currentMessage.userInputMessage"
                     ".userInputMessageContext.toolResults.0.status": "error"},
        },
    ),
    Case(
        "a result that is a JSON object, or nothing",
        {"anthropic": {"messages": [HELLO, said(use("a"), use("b")),
                                    user(result("a", '{"z":1,"a":2}'), result("b", ""))]}},
        {
            "gemini": {"contents.2.parts.0.functionResponse.response": {"z": 1, "a": 2},
                       "contents.2.parts.1.functionResponse.response": {"output": ""}},
            "chat": {"messages.3.content": ""},
            "responses": {"input.4.output": ""},
        },
    ),
    Case(
        "two results of one name without ids",
        {"gemini": {"contents": [
            ASKED,
            {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {"n": 1}}},
                                        {"functionCall": {"name": "f", "args": {"n": 2}}}]},
            {"role": "user", "parts": [
                {"functionResponse": {"name": "f", "response": {"output": "one"}}},
                {"functionResponse": {"name": "f", "response": {"output": "two"}}}]},
        ]}},
        {"chat": {"messages.2.content": "one", "messages.3.content": "two"}},
    ),
    Case(
        "an id that others refuse",
        {"chat": {"messages": [
            HELLO, {"role": "assistant", "content": None, "tool_calls": [call("a:b/c")]},
            {"role": "tool", "tool_call_id": "a:b/c", "content": "x"}]}},
        {"anthropic": {"messages.1.content.0.id": f"call_{digest('a:b/c', 24)}"}},
    ),
    Case(
        "arguments that are nothing, a list, or broken",
        {
            "chat": {"messages": [
                HELLO, {"role": "assistant", "content": None, "tool_calls": [
                    call("a", ""), call("b", "[1]"), call("c", '{"x'), call("d", '{"z":1,"a":2}')
                ]}]},
        },
        {
            "anthropic": {"messages.1.content.0.input": {}, "messages.1.content.1.input":
                          {"_raw": "[1]"}, "messages.1.content.2.input": {"_raw": '{"x'}},
            "gemini": {"contents.1.parts.0.functionCall.args": {},
                       "contents.1.parts.1.functionCall.args": {"_raw": "[1]"}},
            "responses": {"input.1.arguments": "{}", "input.2.arguments": "[1]",
                          "input.3.arguments": '{"x', "input.4.arguments": '{"z":1,"a":2}'},
        },
    ),
    Case(
        "a result without a call",
        {"chat": {"messages": [HELLO, {"role": "tool", "tool_call_id": "a", "content": "x"}]}},
        {
            "anthropic": {"messages.0.content.1.text": "[result of tool call a]",
                          "messages.0.content.2.text": "x"},
            "responses": {"input.#": 1},
            "gemini": {"contents.#": 1, "contents.0.parts.2.text": "x"},
        },
    ),
    Case(
        "a call without a result",
        {"chat": {"messages": [
            HELLO, {"role": "assistant", "content": None, "tool_calls": [call("a")]}, HELLO]}},
        {
            "anthropic": {"messages.2.content.0": result("a", "no result recorded", is_error=True),
                          "messages.2.content.1": text("Look.")},
            "responses": {"input.2.output": "[tool error] no result recorded"},
            "gemini": {"contents.2.parts.0.functionResponse.response":
                       {"error": "no result recorded"}},
            "kiro": {"conversationState.currentMessage.userInputMessage"
                     ".userInputMessageContext.toolResults.0.status": "error"},
        },
    ),
    Case(
        "two results of one call",
        {"chat": {"messages": [
            HELLO, {"role": "assistant", "content": None, "tool_calls": [call("a")]},
            {"role": "tool", "tool_call_id": "a", "content": "x"},
            {"role": "tool", "tool_call_id": "a", "content": "y"}]}},
        {"anthropic": {"messages.2.content": [result("a", "y")]}},
    ),
    Case(
        "Claude Code's note for the books",
        {"anthropic": {"system": [text("x-anthropic-billing-header: a=b"), text("S")]}},
        {
            "chat": {"messages.0.content": "S"},
            "responses": {"instructions": "S"},
            "gemini": {"systemInstruction.parts.0.text": "S"},
        },
    ),
    Case(
        "consecutive turns of one role, and one that is empty",
        {"chat": {"messages": [HELLO, {"role": "user", "content": ""}, HELLO,
                               {"role": "assistant", "content": "a"},
                               {"role": "assistant", "content": "b"}]}},
        {
            "anthropic": {"messages.#": 2, "messages.0.content.#": 2, "messages.1.content.#": 2},
            "gemini": {"contents.#": 2},
        },
    ),
    Case(
        "the model first, and the model last",
        {"chat": {"messages": [{"role": "assistant", "content": "a"}, HELLO,
                               {"role": "assistant", "content": "b"}]}},
        {
            "anthropic": {"messages.0.role": "user", "messages.3.content": [text("b")]},
            "gemini": {"contents.0.role": "user", "contents.3.parts": [{"text": "b"}]},
        },
    ),
    Case(
        "letters beyond ASCII, and half of one",
        {"chat": {"messages": [{"role": "user", "content": "é漢😀\ud800!"}]}},
        {"anthropic": {"messages.0.content.0.text": "é漢😀\ufffd!"}},
    ),
    Case(
        "code that Gemini ran",
        {"gemini": {"contents": [ASKED, {"role": "model", "parts": [
            {"executableCode": {"language": "PYTHON", "code": "print(42)"}},
            {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "42"}}]}, ASKED]}},
        {"anthropic": {"messages.1.content": [text("```\nprint(42)\n```"), text("```\n42\n```")],
                       "losses": ["executable-code", "code-execution-result"]}},
    ),
)  # fmt: skip
