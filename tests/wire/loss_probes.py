"""
How a feature is asked for in each dialect, and how it is found again: the tools of the loss table.

A probe is a request (or an upstream's answer) that is plain but for one feature, in the very JSON
that a client (or a vendor) of each wire would send. An aspect looks at the hub's value of either
side and tells what there is of the feature.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, TypeAlias

import msgspec

from aiproxy import ir

Object: TypeAlias = dict[str, Any]
Aspect: TypeAlias = Callable[[Any], object]

MODELS: Mapping[str, str] = {
    "anthropic": "claude-sonnet-4-5",
    "chat": "a-model",
    "responses": "a-model",
    "gemini": "gemini-3-flash",
    "kiro": "claude-sonnet-4-5",
}
"""What an upstream of each wire is asked for where the model makes no difference."""

PLAIN: Mapping[str, Object] = {
    "anthropic": {"max_tokens": 4000, "messages": [{"role": "user", "content": "Look."}]},
    "chat": {"messages": [{"role": "user", "content": "Look."}]},
    "responses": {"input": "Look."},
    "gemini": {"contents": [{"role": "user", "parts": [{"text": "Look."}]}]},
}
"""The request that every probe adds its feature to."""

SCHEMA: Object = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
}
CLOSED: Object = {**SCHEMA, "additionalProperties": False}


@dataclass(frozen=True)
class Feature:
    """
    One row's worth of probes.

    bodies: by the wire on which the probe is written; wires that have no such thing are missing.
    aspect: what there is of the feature in a request or an answer of the hub.
    models: by upstream wire, where the model decides.
    forms: by the wire written to, how it looks there when it is carried in another form.
    needle: shows in the very bytes that it is carried, where only a client's next request would
    tell: no vendor of Chat's sends the proofs that our answers hold.
    """

    name: str
    bodies: Mapping[str, Object]
    aspect: Aspect
    models: Mapping[str, str] = field(default_factory=dict)
    forms: Mapping[str, str] = field(default_factory=dict)
    needle: str = ""


# ── requests ──


def with_members(**members: Object) -> Mapping[str, Object]:
    """By wire: top-level members beside the plain request's."""
    return {wire: {**PLAIN[wire], **more} for wire, more in members.items()}


def with_config(config: Object, **members: Object) -> Mapping[str, Object]:
    """The same, with Gemini's inside its `generationConfig`."""
    return with_members(**members, gemini={"generationConfig": config})


def asking(**parts: Object) -> Mapping[str, Object]:
    """By wire: one more part of the user's message."""
    return {wire: _with_part(wire, part) for wire, part in parts.items()}


def _with_part(wire: str, part: Object) -> Object:
    match wire:
        case "gemini":
            return {"contents": [{"role": "user", "parts": [{"text": "Look."}, part]}]}
        case "responses":
            content = [{"type": "input_text", "text": "Look."}, part]
            return {"input": [{"role": "user", "content": content}]}
    content = [{"type": "text", "text": "Look."}, part]
    return {**PLAIN[wire], "messages": [{"role": "user", "content": content}]}


def said(**spoken: Any) -> Mapping[str, Object]:
    """
    By wire: what the assistant has said before, in the middle of the conversation.

    Anthropic and Gemini: its blocks or parts. Chat: members of its message. Responses: items.
    """
    return {wire: _between(wire, turn) for wire, turn in spoken.items()}


def _between(wire: str, turn: Any) -> Object:
    match wire:
        case "gemini":
            question = {"role": "user", "parts": [{"text": "Look."}]}
            return {"contents": [question, {"role": "model", "parts": turn}, question]}
        case "responses":
            item = {"role": "user", "content": "Look."}
            return {"input": [item, *turn, item]}
        case "chat":
            turn = {"role": "assistant", **turn}
        case _:
            turn = {"role": "assistant", "content": turn}
    message = {"role": "user", "content": "Look."}
    return {**PLAIN[wire], "messages": [message, turn, message]}


def answered(**results: Any) -> Mapping[str, Object]:
    """
    By wire: a call of the tool `look` and its result.

    Anthropic: members of the tool_result. Chat: of the tool message. Responses: of the item.
    Gemini: of the functionResponse.
    """
    return {wire: _answered(wire, result) for wire, result in results.items()}


def _answered(wire: str, result: Object) -> Object:
    turns: list[Object]
    match wire:
        case "anthropic":
            call: Object = {"type": "tool_use", "id": "call_1", "name": "look", "input": {}}
            given = {"type": "tool_result", "tool_use_id": "call_1", **result}
            turns = [
                {"role": "assistant", "content": [call]},
                {"role": "user", "content": [given]},
            ]
        case "chat":
            function = {"name": "look", "arguments": "{}"}
            calls = [{"id": "call_1", "type": "function", "function": function}]
            given = {"role": "tool", "tool_call_id": "call_1", **result}
            turns = [{"role": "assistant", "content": None, "tool_calls": calls}, given]
        case "responses":
            call = {"type": "function_call", "call_id": "call_1", "name": "look", "arguments": "{}"}
            given = {"type": "function_call_output", "call_id": "call_1", **result}
            return {"input": [{"role": "user", "content": "Look."}, call, given]}
        case _:
            call = {"functionCall": {"id": "call_1", "name": "look", "args": {}}}
            given = {"functionResponse": {"id": "call_1", "name": "look", **result}}
            question = {"role": "user", "parts": [{"text": "Look."}]}
            turns = [{"role": "model", "parts": [call]}, {"role": "user", "parts": [given]}]
            return {"contents": [question, *turns]}
    return {**PLAIN[wire], "messages": [{"role": "user", "content": "Look."}, *turns]}


def function(wire: str, name: str = "look", schema: Object = SCHEMA, **members: Any) -> Object:
    """A tool of the client's own. members: beside name and schema."""
    match wire:
        case "anthropic":
            return {"name": name, "input_schema": schema, **members}
        case "chat":
            return {"type": "function", "function": {"name": name, "parameters": schema, **members}}
        case "responses":
            return {"type": "function", "name": name, "parameters": schema, **members}
    return {"functionDeclarations": [{"name": name, "parametersJsonSchema": schema, **members}]}


def with_tools(*names: str, **members: Object) -> Mapping[str, Object]:
    """By wire: members beside those tools."""
    return {
        wire: {**PLAIN[wire], "tools": [function(wire, name) for name in names], **more}
        for wire, more in members.items()
    }


# ── answers ──


def replied(**parts: Any) -> dict[str, Object]:
    """
    By wire: a whole answer.

    Anthropic and Gemini: its blocks or parts. Chat: members of its message. Responses: items.
    """
    return {wire: answer(wire, said) for wire, said in parts.items()}


def answer(wire: str, said: Any, **members: Any) -> Object:
    """members: at the top; for Chat and Gemini also those of the choice or candidate."""
    match wire:
        case "anthropic":
            usage = {"input_tokens": 7, "output_tokens": 5}
            whole = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m"}
            return {**whole, "content": said, "stop_reason": "end_turn", "usage": usage, **members}
        case "chat":
            usage = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}
            choice = {"index": 0, "message": {"role": "assistant", "content": "Seen.", **said}}
            names = ("finish_reason", "logprobs", "content_filter_results")
            inner = {name: members.pop(name) for name in names if name in members}
            choices = [{**choice, "finish_reason": "stop", **inner}]
            return {"id": "c1", "model": "m", "choices": choices, "usage": usage, **members}
        case "responses":
            usage = {"input_tokens": 7, "output_tokens": 5, "total_tokens": 12}
            whole = {"id": "resp_1", "object": "response", "model": "m", "status": "completed"}
            return {**whole, "output": said, "usage": usage, **members}
    usage = {"promptTokenCount": 7, "candidatesTokenCount": 5}
    places = (
        "finishReason",
        "groundingMetadata",
        "citationMetadata",
        "logprobsResult",
        "safetyRatings",
        "urlContextMetadata",
    )
    inner = {name: members.pop(name) for name in places if name in members}
    candidate = {"content": {"role": "model", "parts": said}, "finishReason": "STOP", **inner}
    return {"responseId": "g1", "candidates": [candidate], "usageMetadata": usage, **members}


def told(*events: tuple[str, Object]) -> Object:
    """Kiro's answer, which is always a stream: these events behind a text."""
    return {"events": [("assistantResponseEvent", {"content": "So they say."}), *events]}


def message(*content: Object) -> list[Object]:
    """The output items of a Responses answer that is one message."""
    return [{"type": "message", "id": "msg_1", "role": "assistant", "content": list(content)}]


# ── aspects ──


def contains(needle: str) -> Aspect:
    """Whether a text, a URL, an id or any JSON that is carried along has `needle` in it."""
    return lambda value: any(needle in leaf for leaf in leaves(value))


def leaves(value: object) -> Iterator[str]:
    """Every text and every piece of JSON in a value of the hub."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, msgspec.Raw):
        yield bytes(value).decode()
    elif isinstance(value, tuple):
        for item in value:
            yield from leaves(item)
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            yield from leaves(getattr(value, name))
    elif is_dataclass(value):
        for member in fields(value):
            yield from leaves(getattr(value, member.name))


def parts_of(value: ir.Request | ir.Response) -> Iterator[ir.Part]:
    """All parts, those inside tool results too."""
    if isinstance(value, ir.Request):
        top: Sequence[ir.Part] = [
            *value.instructions,
            *(part for turn in value.turns for part in turn.parts),
        ]
    else:
        top = value.parts
    for part in top:
        yield part
        if isinstance(part, ir.ToolResult):
            yield from part.content


def media(value: ir.Request | ir.Response) -> object:
    """Kinds and sources of all media. Of what has an address, Gemini needs not be told the kind."""
    return [
        part.source.url if isinstance(part.source, ir.Remote) else (part.kind, part.source)
        for part in parts_of(value)
        if isinstance(part, ir.Media)
    ]


def sampled(name: str) -> Aspect:
    return lambda request: getattr(request.sampling, name)


def functions(request: ir.Request) -> object:
    """Names, descriptions and schemas of the client's own tools."""
    return [
        (tool.name, tool.description, msgspec.json.decode(tool.schema or b"null"))
        for tool in request.tools
        if isinstance(tool, ir.Tool)
    ]


def callable_tools(request: ir.Request) -> object:
    """What the choice leaves to the model: whether it must call, and which tools."""
    choice = request.tool_choice or ir.ToolChoice("auto")
    if choice.mode == "none":
        return choice.mode, set()
    names = {tool.name for tool in request.tools if isinstance(tool, ir.Tool)}
    return choice.mode, names & set(choice.names) if choice.names else names


def hosted(request: ir.Request) -> object:
    """Our words for the vendor's tools that are asked for."""
    return {tool.kind for tool in request.tools if isinstance(tool, ir.HostedTool)}


def schema_of(request: ir.Request) -> object:
    wanted = request.output_format
    return wanted and wanted.schema and msgspec.json.decode(wanted.schema)


def level(request: ir.Request) -> object:
    """How much thinking is asked for; a budget counts as the level that it amounts to."""
    thinking = request.thinking
    if thinking is None or thinking.effort is not None or thinking.budget_tokens is None:
        return thinking and thinking.effort
    steps = ((0, "none"), (512, "minimal"), (1024, "low"), (8192, "medium"), (24576, "high"))
    return next((name for most, name in steps if thinking.budget_tokens <= most), "xhigh")


def proof(family: str) -> Aspect:
    """The data of all proofs of a vendor."""
    return lambda value: [
        part.proof.data
        for part in parts_of(value)
        if isinstance(part, ir.Text | ir.Reasoning | ir.ToolCall)
        and part.proof is not None
        and part.proof.family == family
    ]


def tier(request: ir.Request) -> object:
    """The service tier, whatever the vendor calls the ordinary one."""
    same = {"standard_only": "default", "standard": "default"}
    return same.get(request.service_tier, request.service_tier)


def beside(*names: str) -> Aspect:
    """What an answer says besides, which only clients of its own wire understand."""
    return lambda response: {
        name
        for name, _ in (response.extras.fields if response.extras is not None else ())
        if name in names
    }
