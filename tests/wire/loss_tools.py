"""Rows of the loss table about tools and their results."""

from __future__ import annotations

from aiproxy import ir
from tests.wire.loss_content import DOT, PAPER, PAPER_URL, base64_source, image
from tests.wire.loss_probes import (
    CLOSED,
    PLAIN,
    SCHEMA,
    Feature,
    answered,
    callable_tools,
    contains,
    function,
    functions,
    hosted,
    media,
    with_members,
    with_tools,
)

_EITHER = {"type": "object", "anyOf": [SCHEMA, {"type": "object", "properties": {}}]}
_GRAMMAR = {"type": "grammar", "syntax": "lark", "definition": "start: WORD"}

TOOLS = (
    Feature(
        "function: name, description, JSON Schema",
        {
            wire: {**PLAIN[wire], "tools": [function(wire, description="Looks around.")]}
            for wire in PLAIN
        },
        functions,
    ),
    Feature(
        "closed objects in a schema",
        {wire: {**PLAIN[wire], "tools": [function(wire, schema=CLOSED)]} for wire in PLAIN},
        functions,
    ),
    Feature(
        "alternatives at the root of a schema",
        {
            wire: {**PLAIN[wire], "tools": [function(wire, schema=_EITHER)]}
            for wire in ("chat", "responses", "gemini")
        },
        functions,
    ),
    Feature(
        "function without a schema",
        with_members(
            chat={"tools": [{"type": "function", "function": {"name": "look"}}]},
            responses={"tools": [{"type": "function", "name": "look"}]},
            gemini={"tools": [{"functionDeclarations": [{"name": "look"}]}]},
        ),
        lambda request: [tool.name for tool in request.tools],
    ),
    Feature(
        "`strict` on a schema that OpenAI can enforce",
        {
            wire: {**PLAIN[wire], "tools": [function(wire, schema=CLOSED, strict=True)]}
            for wire in ("anthropic", "chat", "responses")
        },
        lambda request: [tool.strict for tool in request.tools],
    ),
    Feature(
        "`strict` on any other schema",
        with_members(
            anthropic={
                "tools": [{"name": "look", "input_schema": {"type": "object"}, "strict": True}]
            }
        ),
        lambda request: [tool.strict for tool in request.tools],
    ),
    Feature(
        "free-form (custom) tool",
        with_members(
            chat={"tools": [{"type": "custom", "custom": {"name": "patch"}}]},
            responses={"tools": [{"type": "custom", "name": "patch"}]},
        ),
        lambda request: [tool.name for tool in request.tools],
    ),
    Feature(
        "grammar of a free-form tool",
        with_members(
            chat={
                "tools": [
                    {
                        "type": "custom",
                        "custom": {
                            "name": "patch",
                            "format": {
                                "type": "grammar",
                                "grammar": {"syntax": "lark", "definition": "start: WORD"},
                            },
                        },
                    }
                ]
            },
            responses={"tools": [{"type": "custom", "name": "patch", "format": _GRAMMAR}]},
        ),
        contains("start: WORD"),
    ),
    Feature(
        "tools in a name space",
        with_members(
            responses={
                "tools": [
                    {
                        "type": "namespace",
                        "name": "crm",
                        "tools": [{"type": "function", "name": "look", "parameters": SCHEMA}],
                    }
                ]
            }
        ),
        lambda request: [tool.name.removeprefix("crm__") for tool in request.tools],
        forms=dict.fromkeys(
            ("anthropic", "chat", "gemini"), "as `crm__look`; in its name space in the answer"
        ),
    ),
    Feature(
        "description of a name space",
        with_members(
            responses={
                "tools": [
                    {
                        "type": "namespace",
                        "name": "crm",
                        "description": "All about customers.",
                        "tools": [{"type": "function", "name": "look", "parameters": SCHEMA}],
                    }
                ]
            }
        ),
        contains("All about customers."),
    ),
    Feature(
        "name of a tool that others do not take (`crm.look`)",
        {"gemini": {**PLAIN["gemini"], "tools": [function("gemini", "crm.look")]}},
        lambda request: [tool.name.replace(".", "_")[:8] for tool in request.tools],
        forms=dict.fromkeys(
            ("anthropic", "chat", "responses"), "spelt otherwise; as it was in the answer"
        ),
    ),
    Feature(
        "examples of a tool's input",
        {
            "anthropic": {
                **PLAIN["anthropic"],
                "tools": [function("anthropic", input_examples=[{"city": "Ulm"}])],
            }
        },
        contains("Ulm"),
    ),
    Feature(
        "deferred loading of a tool",
        {
            "anthropic": {
                **PLAIN["anthropic"],
                "tools": [function("anthropic", defer_loading=True)],
            },
            "responses": {
                **PLAIN["responses"],
                "tools": [function("responses", defer_loading=True)],
            },
        },
        lambda request: [tool.extras is not None for tool in request.tools],
    ),
    Feature(
        "schema of a tool's result",
        {
            "responses": {
                **PLAIN["responses"],
                "tools": [function("responses", output_schema={"title": "sight"})],
            },
            "gemini": {
                **PLAIN["gemini"],
                "tools": [function("gemini", response={"title": "sight"})],
            },
        },
        contains("sight"),
    ),
    Feature(
        "hosted web search",
        with_members(
            anthropic={"tools": [{"type": "web_search_20250305", "name": "web_search"}]},
            responses={"tools": [{"type": "web_search"}]},
            gemini={"tools": [{"googleSearch": {}}]},
        ),
        hosted,
    ),
    Feature(
        "`web_search_options`",
        with_members(chat={"web_search_options": {"search_context_size": "low"}}),
        contains("search_context_size"),
    ),
    Feature(
        "hosted web fetch",
        with_members(
            anthropic={"tools": [{"type": "web_fetch_20250910", "name": "web_fetch"}]},
            gemini={"tools": [{"urlContext": {}}]},
        ),
        hosted,
    ),
    Feature(
        "hosted code execution",
        with_members(
            anthropic={"tools": [{"type": "code_execution_20250825", "name": "code_execution"}]},
            responses={"tools": [{"type": "code_interpreter", "container": {"type": "auto"}}]},
            gemini={"tools": [{"codeExecution": {}}]},
        ),
        hosted,
    ),
    Feature(
        "any other tool of the vendor's",
        with_members(
            anthropic={"tools": [{"type": "tool_search_tool_bm25_20251119", "name": "search"}]},
            responses={"tools": [{"type": "file_search", "vector_store_ids": ["vs"]}]},
            gemini={"tools": [{"googleMaps": {}}]},
        ),
        hosted,
    ),
    Feature(
        "shell, editor, memory, computer: known to the vendor's models, run by the client",
        with_members(
            anthropic={"tools": [{"type": "bash_20250124", "name": "bash"}]},
            responses={"tools": [{"type": "local_shell"}]},
        ),
        functions,
        forms=dict.fromkeys(
            ("anthropic", "chat", "responses", "gemini", "kiro"),
            "as a function; what it was in the answer",
        ),
    ),
    Feature(
        "remote MCP servers",
        with_members(
            anthropic={"mcp_servers": [{"type": "url", "url": PAPER_URL, "name": "tales"}]},
            responses={"tools": [{"type": "mcp", "server_label": "t", "server_url": PAPER_URL}]},
        ),
        contains(PAPER_URL),
    ),
    Feature(
        "choice: some tool must be called",
        with_tools(
            "look",
            "hear",
            anthropic={"tool_choice": {"type": "any"}},
            chat={"tool_choice": "required"},
            responses={"tool_choice": "required"},
            gemini={"toolConfig": {"functionCallingConfig": {"mode": "ANY"}}},
        ),
        callable_tools,
    ),
    Feature(
        "choice: this tool must be called",
        with_tools(
            "look",
            "hear",
            anthropic={"tool_choice": {"type": "tool", "name": "hear"}},
            chat={"tool_choice": {"type": "function", "function": {"name": "hear"}}},
            responses={"tool_choice": {"type": "function", "name": "hear"}},
            gemini={
                "toolConfig": {
                    "functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["hear"]}
                }
            },
        ),
        callable_tools,
    ),
    Feature(
        "choice: none",
        with_tools(
            "look",
            anthropic={"tool_choice": {"type": "none"}},
            chat={"tool_choice": "none"},
            responses={"tool_choice": "none"},
            gemini={"toolConfig": {"functionCallingConfig": {"mode": "NONE"}}},
        ),
        callable_tools,
    ),
    Feature(
        "choice: only these tools",
        with_tools(
            "look",
            "hear",
            "smell",
            chat={
                "tool_choice": {
                    "type": "allowed_tools",
                    "allowed_tools": {
                        "mode": "auto",
                        "tools": [
                            {"type": "function", "function": {"name": "hear"}},
                            {"type": "function", "function": {"name": "look"}},
                        ],
                    },
                }
            },
            responses={
                "tool_choice": {
                    "type": "allowed_tools",
                    "mode": "auto",
                    "tools": [
                        {"type": "function", "name": "hear"},
                        {"type": "function", "name": "look"},
                    ],
                }
            },
        ),
        callable_tools,
        forms=dict.fromkeys(("anthropic", "gemini"), "the others are not sent"),
    ),
    Feature(
        "choice: a call or text, both checked (`VALIDATED`)",
        with_tools("look", gemini={"toolConfig": {"functionCallingConfig": {"mode": "VALIDATED"}}}),
        callable_tools,
    ),
    Feature(
        "choice of a hosted tool",
        with_tools("look", responses={"tool_choice": {"type": "web_search"}}),
        contains("web_search"),
    ),
    Feature(
        "one call at a time",
        with_tools(
            "look",
            anthropic={"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
            chat={"parallel_tool_calls": False},
            responses={"parallel_tool_calls": False},
        ),
        lambda request: request.parallel_tool_calls,
    ),
    Feature(
        "limit on calls of hosted tools",
        with_members(responses={"max_tool_calls": 37}),
        contains("37"),
    ),
)


def _is_error(request: ir.Request) -> bool:
    results = (part for turn in request.turns for part in turn.parts)
    marked = any(part.is_error for part in results if isinstance(part, ir.ToolResult))
    return marked or bool(contains("[tool error]")(request))


RESULTS = (
    Feature(
        "call and result, by id",
        answered(
            anthropic={"content": "A cat."},
            chat={"content": "A cat."},
            responses={"output": "A cat."},
            gemini={"response": {"output": "A cat."}},
        ),
        lambda request: [
            (turn.role, type(part).__name__, getattr(part, "call_id", getattr(part, "id", "")))
            for turn in request.turns
            for part in turn.parts
        ],
    ),
    Feature(
        "result that is a JSON object",
        answered(
            anthropic={"content": '{"cats":2}'},
            chat={"content": '{"cats":2}'},
            responses={"output": '{"cats":2}'},
            gemini={"response": {"cats": 2}},
        ),
        contains('{"cats":2}'),
    ),
    Feature(
        "the mark of an error",
        answered(
            anthropic={"content": "No light.", "is_error": True},
            gemini={"response": {"error": "No light."}},
        ),
        _is_error,
        forms=dict.fromkeys(("chat", "responses"), "`[tool error]` before the text"),
    ),
    Feature(
        "image in a result",
        answered(
            anthropic={"content": [image(base64_source("image/png", DOT))]},
            responses={
                "output": [{"type": "input_image", "image_url": f"data:image/png;base64,{DOT}"}]
            },
            gemini={
                "response": {},
                "parts": [{"inlineData": {"mimeType": "image/png", "data": DOT}}],
            },
        ),
        media,
    ),
    Feature(
        "PDF in a result",
        answered(
            anthropic={
                "content": [{"type": "document", "source": base64_source("application/pdf", PAPER)}]
            },
            responses={
                "output": [
                    {"type": "input_file", "file_data": f"data:application/pdf;base64,{PAPER}"}
                ]
            },
            gemini={
                "response": {},
                "parts": [{"inlineData": {"mimeType": "application/pdf", "data": PAPER}}],
            },
        ),
        media,
    ),
    Feature(
        "search result in a result",
        answered(
            anthropic={
                "content": [
                    {
                        "type": "search_result",
                        "source": "https://example.org",
                        "title": "Tales",
                        "content": [{"type": "text", "text": "Once upon a time"}],
                    }
                ]
            }
        ),
        contains("Once upon a time"),
    ),
    Feature(
        "result that answers no call",
        {
            "anthropic": {
                **PLAIN["anthropic"],
                "messages": [
                    {
                        "role": "user",
                        "content": [
                            {"type": "tool_result", "tool_use_id": "gone", "content": "A cat."}
                        ],
                    }
                ],
            },
            "chat": {
                "messages": [
                    *PLAIN["chat"]["messages"],
                    {"role": "tool", "tool_call_id": "gone", "content": "A cat."},
                ]
            },
            "responses": {
                "input": [{"type": "function_call_output", "call_id": "gone", "output": "A cat."}]
            },
            "gemini": {
                "contents": [
                    {
                        "role": "user",
                        "parts": [
                            {"functionResponse": {"name": "look", "response": {"output": "A cat."}}}
                        ],
                    }
                ]
            },
        },
        contains("A cat."),
        forms=dict.fromkeys(PLAIN, "as the user's text"),
    ),
)
