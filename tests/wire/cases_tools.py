"""Cases of `test_request_cases` about tools and reasoning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.wire.cases_conversation import (
    HELLO,
    Case,
    call,
    digest,
    item,
    output,
    result,
    said,
    text,
    use,
)
from tests.wire.loss_probes import function

LONG = "mcp__" + "a_very_long_server_name_" * 4 + "search"
GRAMMAR = {"type": "grammar", "syntax": "lark", "definition": "start: WORD"}


def three(wire: str) -> list[Any]:
    return [function(wire, name) for name in ("f", "g", "h")]


def thinking(signature: str, words: str = "Hm.") -> dict[str, Any]:
    return {"type": "thinking", "thinking": words, "signature": signature}


CALLED = [HELLO, {"role": "assistant", "content": None, "tool_calls": [call("a")]},
          {"role": "tool", "tool_call_id": "a", "content": "x"}]  # fmt: skip

CASES: Sequence[Case] = (
    Case(
        "some tool must be called",
        {"anthropic": {"tools": three("anthropic"), "tool_choice": {"type": "any"}}},
        {
            "chat": {"tools.#": 3, "tool_choice": "required"},
            "responses": {"tools.#": 3, "tool_choice": "required"},
            "gemini": {"tools.0.functionDeclarations.#": 3,
                       "toolConfig.functionCallingConfig": {"mode": "ANY"}},
        },
    ),
    Case(
        "this tool must be called",
        {
            "anthropic": {"tools": three("anthropic"),
                          "tool_choice": {"type": "tool", "name": "g"}},
            "chat": {"tools": three("chat"),
                     "tool_choice": {"type": "function", "function": {"name": "g"}}},
            "responses": {"tools": three("responses"),
                          "tool_choice": {"type": "function", "name": "g"}},
            "gemini": {"tools": three("gemini"), "toolConfig": {"functionCallingConfig": {
                "mode": "ANY", "allowedFunctionNames": ["g"]}}},
        },
        {
            "anthropic": {"tool_choice": {"type": "tool", "name": "g"}},
            "chat": {"tool_choice": {"type": "function", "function": {"name": "g"}}},
            "responses": {"tool_choice": {"type": "function", "name": "g"}},
            "gemini": {"toolConfig.functionCallingConfig":
                       {"mode": "ANY", "allowedFunctionNames": ["g"]}},
        },
    ),
    Case(
        "no tool may be called",
        {
            "anthropic": {"tools": three("anthropic"), "tool_choice": {"type": "none"}},
            "chat": {"tools": three("chat"), "tool_choice": "none"},
            "responses": {"tools": three("responses"), "tool_choice": "none"},
            "gemini": {"tools": three("gemini"),
                       "toolConfig": {"functionCallingConfig": {"mode": "NONE"}}},
        },
        {
            "anthropic": {"tool_choice": {"type": "none"}, "tools.#": 3},
            "chat": {"tool_choice": "none", "tools.#": 3},
            "responses": {"tool_choice": "none", "tools.#": 3},
            "gemini": {"toolConfig.functionCallingConfig.mode": "NONE",
                       "tools.0.functionDeclarations.#": 3},
        },
    ),
    Case(
        "one call at a time",
        {"anthropic": {"tools": three("anthropic"), "tool_choice": {
            "type": "auto", "disable_parallel_tool_use": True}}},
        {
            "chat": {"parallel_tool_calls": False},
            "responses": {"parallel_tool_calls": False},
            "gemini": {"losses": ["parallel-tool-calls"]},
        },
    ),
    Case(
        "one call at a time, of any tool",
        {"chat": {"tools": three("chat"), "parallel_tool_calls": False}},
        {"anthropic": {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}}},
    ),
    Case(
        "strict or not",
        {"chat": {"tools": [function("chat", schema={
            "type": "object", "properties": {}, "additionalProperties": False}, strict=True)]}},
        {"responses": {"tools.0.strict": True}, "anthropic": {"tools.0.strict": True},
         "gemini": {"losses": ["strict"]}},
    ),
    Case(
        "strict unsaid",
        {"anthropic": {"tools": [function("anthropic")]}},
        {"responses": {"tools.0.strict": False}, "chat": {"tools.0.function.strict": None}},
    ),
    Case(
        "no tools, though a choice",
        {
            "anthropic": {"tools": [], "tool_choice": {"type": "any"}},
            "chat": {"tools": [], "tool_choice": "required", "parallel_tool_calls": False},
            "responses": {"tools": [], "tool_choice": "required"},
        },
        {
            "anthropic": {"tools": None, "tool_choice": None},
            "chat": {"tools": None, "tool_choice": None, "parallel_tool_calls": None},
            "responses": {"tools": None, "tool_choice": None, "parallel_tool_calls": None},
            "gemini": {"tools": None, "toolConfig": None},
        },
    ),
    Case(
        "a free-form tool with a grammar",
        {"responses": {"tools": [{"type": "custom", "name": "p", "description": "d",
                                  "format": GRAMMAR}],
                       "input": [HELLO, {"type": "custom_tool_call", "call_id": "a", "name": "p",
                                         "input": "*** Begin"},
                                 {"type": "custom_tool_call_output", "call_id": "a",
                                  "output": "x"}]}},
        {
            "anthropic": {"tools.0.input_schema.required": ["input"],
                          "messages.1.content.0.input": {"input": "*** Begin"},
                          "losses": ["custom-tool"]},
            "chat": {"tools.0.custom.format.grammar.definition": "start: WORD",
                     "messages.1.tool_calls.0.custom.input": "*** Begin"},
            "gemini": {"contents.1.parts.0.functionCall.args": {"input": "*** Begin"},
                       "losses": ["custom-tool"]},
        },
    ),
    Case(
        "tools in a name space",
        {"responses": {"tools": [{"type": "namespace", "name": "ns",
                                  "tools": [{"type": "function", "name": "f"}]}],
                       "input": [HELLO, {**item("a"), "namespace": "ns"}, output("a", "x")]}},
        {
            "anthropic": {"tools.0.name": "ns__f", "messages.1.content.0.name": "ns__f"},
            "chat": {"tools.0.function.name": "ns__f"},
            "gemini": {"tools.0.functionDeclarations.0.name": "ns__f"},
        },
    ),
    Case(
        "names that others refuse",
        {"gemini": {"tools": [function("gemini", "mcp.srv:one")]}},
        {"chat": {"tools.0.function.name": f"mcp_srv_one_{digest('mcp.srv:one', 8)}"}},
    ),
    Case(
        "names too long, alike at their ends",
        {"anthropic": {"tools": [function("anthropic", "x" + LONG), function("anthropic", LONG)],
                       "messages": [HELLO, said(use("a", LONG)), {"role": "user", "content": [
                           result("a", "x")]}]}},
        {"chat": {"tools.#": 2}},
    ),
    Case(
        "a deferred tool",
        {"anthropic": {"tools": [function("anthropic", defer_loading=True)]}},
        {"chat": {"tools.#": 1, "losses": ["defer-loading"]}},
    ),
    Case(
        "a root that is no object",
        {"chat": {"tools": [function("chat", schema={"anyOf": [
            {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
            {"type": "object", "properties": {"b": {"type": "string"}}}]})]}},
        {"anthropic": {"tools.0.input_schema.type": "object",
                       "tools.0.input_schema.anyOf": None,
                       "tools.0.input_schema.properties.b": {"type": "string"}}},
    ),
    Case(
        "schemas in Google's spelling",
        {"gemini": {"tools": [{"functionDeclarations": [{"name": "f", "parameters": {
            "type": "OBJECT", "properties": {"a": {"type": "STRING", "nullable": True}}}}]}]}},
        {"chat": {"tools.0.function.parameters":
                  {"type": "object", "properties": {"a": {"type": ["string", "null"]}}}}},
    ),
    # ── reasoning ──
    Case(
        "thoughts of Claude's",
        {"anthropic": {"messages": [HELLO, said(thinking("sig"), text("a")), HELLO]}},
        {"responses": {"input.1.type": "message", "losses": ["reasoning"]},
         "chat": {"messages.1": {"role": "assistant", "content": "a"}, "losses": ["reasoning"]},
         "gemini": {"contents.1.parts": [{"text": "a"}], "losses": ["reasoning"]}},
    ),
    Case(
        "thoughts of Claude's that a client of another kept",
        {"responses": {"input": [
            HELLO,
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}],
             "encrypted_content": "aip1.anthropic.sig"},
            {"type": "reasoning", "summary": [],
             "encrypted_content": "aip1.anthropic-redacted.blob"},
            item("a"), output("a", "x")]}},
        {
            "anthropic": {"messages.1.content": [
                thinking("sig"), {"type": "redacted_thinking", "data": "blob"}, use("a")]},
            "gemini": {"losses": ["reasoning"]},
        },
    ),
    Case(
        "thoughts of an OpenAI model's",
        {"responses": {"input": [HELLO, {"type": "reasoning", "summary": [],
                                         "encrypted_content": "blob"},
                                 item("a"), output("a", "x")]}},
        {"anthropic": {"messages.1.content": [use("a")], "losses": ["reasoning"]},
         "gemini": {"losses": ["reasoning"]}},
    ),
    Case(
        "Gemini's signature, kept by a client of Claude's",
        {"anthropic": {"messages": [HELLO, said(thinking("aip1.gemini.sig", ""), use("a")),
                                    {"role": "user", "content": [result("a", "x")]}]}},
        {"gemini": {"contents.1.parts.0.thoughtSignature": "sig", "losses": []},
         "responses": {"losses": ["thought-signature"]}},
    ),
    Case(
        "Gemini's signature, kept by a client of Chat",
        {"chat": {"messages": [
            HELLO,
            {"role": "assistant", "content": None, "tool_calls": [
                {**call("a"), "extra_content": {"google": {"thought_signature": "sig"}}}]},
            {"role": "tool", "tool_call_id": "a", "content": "x"}]}},
        {"gemini": {"contents.1.parts.0.thoughtSignature": "sig"}},
    ),
    Case(
        "calls that no Gemini model signed",
        {"chat": {"messages": [*CALLED, HELLO, *CALLED[1:]]}},
        {
            "gemini": {"contents.1.parts.0.thoughtSignature": None,
                       "contents.3.parts.0.thoughtSignature": "skip_thought_signature_validator"},
            "gemini:gemini-2.5-flash": {"contents.3.parts.0.thoughtSignature": None},
        },
    ),
)  # fmt: skip
