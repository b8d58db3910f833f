"""A client's request in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar, get_args

import msgspec

from aiproxy import ir
from aiproxy.errors import BadRequest
from aiproxy.wire.anthropic import shapes
from aiproxy.wire.anthropic.blocks_in import content_of
from aiproxy.wire.anthropic.shapes import NAME
from aiproxy.wire.anthropic.vendortools import vendor_tool
from aiproxy.wire.contract import Head
from aiproxy.wire.hosted import scope_of
from aiproxy.wire.jsontext import (
    copied,
    extras_of,
    given,
    peek,
    raw,
    read_closely,
    read_name,
    read_request,
    try_read,
)

T = TypeVar("T")

_COUNT_PATH = "/count_tokens"

_HOSTED_KINDS = ("web_search", "web_fetch", "code_execution")
"""Our words for hosted tools; the API adds a date to each."""

_CHOICES: Mapping[str, ir.ToolChoice] = {
    "auto": ir.ToolChoice("auto"),
    "any": ir.ToolChoice("any"),
    "none": ir.ToolChoice("none"),
}

_EFFORTS: Mapping[str, ir.Effort] = {effort: effort for effort in get_args(ir.Effort)}

_PARTLY = (("output_config", shapes.OutputConfig), ("metadata", shapes.MetadataShape))
"""Objects of which a part is understood; the rest of each goes into the extras."""


def head(body: bytes, path: str) -> Head:
    """The routing view. Raises: BadRequest when there is no model in it."""
    shape = peek(body, shapes.HeadShape)
    model = read_name(shape.model, "model")
    if not model:
        raise BadRequest("model is missing", param="model")
    is_count = path.partition("?")[0].endswith(_COUNT_PATH)
    stream = shape.stream is True and not is_count
    members = {"model": shape.model}
    if given(shape.betas):
        members["betas"] = shape.betas
    return Head(model, stream, "count" if is_count else "generate", members)


def decode_request(body: bytes, path: str) -> ir.Request:
    """
    A request for a message, or for the count of its tokens.

    Shape: {"model", "max_tokens", "system", "messages": [{"role", "content"}], "tools", ...}
    Raises: BadRequest, naming the field at fault.
    """
    shape, unknown = read_closely(NAME, body, shapes.RequestShape, read_request)
    if not shape.messages:
        raise BadRequest("messages is empty", param="messages")
    config = _object(shape.output_config, shapes.OutputConfig, "output_config")
    metadata = _object(shape.metadata, shapes.MetadataShape, "metadata")
    rest: dict[str, ir.JSON] = {}
    thinking = _thinking(shape.thinking, config.effort, rest)
    output_format = _format(shape.output_format, config.format, rest)
    choice = shape.tool_choice
    return ir.Request(
        wire=NAME,
        model=shape.model,
        stream=shape.stream is True,
        turns=tuple([_turn(at, message) for at, message in enumerate(shape.messages)]),
        instructions=_system(shape.system),
        tools=tuple([_tool(at, tool) for at, tool in enumerate(shape.tools or ())]),
        tool_choice=_choice(choice),
        parallel_tool_calls=_parallel(choice),
        max_output_tokens=shape.max_tokens,
        sampling=ir.Sampling(shape.temperature, shape.top_p, shape.top_k),
        stop=tuple(shape.stop_sequences or ()),
        thinking=thinking,
        output_format=output_format,
        user=metadata.user_id or "",
        service_tier=shape.service_tier or "",
        extras=_extras(unknown, shape, rest),
    )


def _turn(at: int, message: ir.JSON) -> ir.Turn:
    where = f"messages[{at}]"
    shape: shapes.PlainMessage | shapes.MessageShape | None
    shape, extras = try_read(message, shapes.PlainMessage), None
    if shape is None:
        shape, extras = _at(
            where, lambda: read_closely(NAME, message, shapes.MessageShape, read_request)
        )
    role: ir.Role
    match shape.role:
        case "user" | "assistant" | "system" | "developer":
            role = shape.role
        case _:
            raise BadRequest(f"unknown role at {where}.role", param=f"{where}.role")
    content = shape.content
    if isinstance(content, msgspec.Raw) and not given(content):
        raise BadRequest(f"no content at {where}", param=f"{where}.content")
    parts = _at(f"{where}.content", lambda: content_of(content, read_request))
    return ir.Turn(role, parts, extras)


def _system(value: ir.JSON) -> tuple[ir.Part, ...]:
    plain = try_read(value, shapes.PlainSystem) if value else None
    content = value if plain is None else plain
    return _at("system", lambda: content_of(content, read_request))


def _tool(at: int, tool: ir.JSON) -> ir.Tool | ir.HostedTool:
    where = f"tools[{at}]"
    plain = try_read(tool, shapes.PlainTool)
    if plain is not None and (plain.type or "custom") == "custom":
        return _own_tool(plain, None)
    kind = _at(where, lambda: read_request(tool, shapes.Typed)).type or "custom"
    if kind != "custom":
        own = vendor_tool(kind, tool)
        if own is not None:
            return own
        ours = next((word for word in _HOSTED_KINDS if kind.startswith(word)), kind)
        scope = scope_of(tool) if ours == "web_search" else ir.SearchScope()
        return ir.HostedTool(NAME, ours, copied(tool), scope)
    return _own_tool(*_at(where, lambda: read_closely(NAME, tool, shapes.ToolShape, read_request)))


def _own_tool(shape: shapes.ToolShape, extras: ir.Extras | None) -> ir.Tool:
    return ir.Tool(
        shape.name,
        shape.description or "",
        copied(shape.input_schema) if given(shape.input_schema) else None,
        strict=shape.strict,
        extras=extras,
    )


def _choice(shape: shapes.ToolChoiceShape | None) -> ir.ToolChoice | None:
    if shape is None:
        return None
    if shape.type == "tool" and shape.name:
        return ir.ToolChoice("any", (shape.name,))
    known = _CHOICES.get(shape.type)
    if known is None:
        raise BadRequest("unknown tool_choice.type", param="tool_choice.type")
    return known


def _parallel(shape: shapes.ToolChoiceShape | None) -> bool | None:
    if shape is None or shape.disable_parallel_tool_use is None:
        return None
    return not shape.disable_parallel_tool_use


def _thinking(
    shape: shapes.ThinkingShape | None, level: str | None, rest: dict[str, ir.JSON]
) -> ir.Thinking | None:
    """`rest` gets an effort that `ir.Thinking` cannot hold, and an unknown kind of thinking."""
    effort: ir.Effort | None = _EFFORTS.get(level or "")
    if level is not None and (effort in (None, "none") or (shape and shape.type == "disabled")):
        rest["output_config.effort"] = raw(level)
        effort = None
    if shape is None:
        return None if effort is None else ir.Thinking(effort)
    summary = {"summarized": "auto", "omitted": "none"}.get(shape.display or "", "")
    match shape.type:
        case "disabled":
            return ir.Thinking("none")
        case "adaptive":
            return ir.Thinking(effort, adaptive=True, summary=summary)
        case "enabled" if shape.budget_tokens is not None:
            return ir.Thinking(effort, shape.budget_tokens, summary=summary)
        case _:
            raise BadRequest("unknown thinking.type, or no budget", param="thinking")


def _format(
    older: shapes.FormatShape | None, newer: ir.JSON, rest: dict[str, ir.JSON]
) -> ir.OutputFormat | None:
    """older: `output_format` of the first beta, which says the same."""
    shape = older
    if given(newer):
        shape = _at("output_config.format", lambda: read_request(newer, shapes.FormatShape))
    if shape is None:
        return None
    if shape.type != "json_schema" or not given(shape.schema):
        if given(newer):
            rest["output_config.format"] = copied(newer)
        return None
    return ir.OutputFormat("json_schema", copied(shape.schema))


def _extras(
    unknown: ir.Extras | None, shape: shapes.RequestShape, rest: Mapping[str, ir.JSON]
) -> ir.Extras | None:
    """
    Top-level members that nothing above reads.

    Unread members of an object that is otherwise understood are named with a dot:
    "output_config.task_budget".
    """
    fields = dict(unknown.fields) if unknown is not None else {}
    for name, understood in _PARTLY:
        unread = extras_of(NAME, getattr(shape, name), shapes.known(understood))
        for key, value in unread.fields if unread is not None else ():
            fields[f"{name}.{key}"] = value
    fields.update(rest)
    return ir.Extras(NAME, tuple(fields.items())) if fields else None


def _object(value: ir.JSON, shape: type[T], where: str) -> T:
    return _at(where, lambda: read_request(value, shape)) if given(value) else shape()


def _at(where: str, read: Callable[[], T]) -> T:
    """What `read` gives; its complaints name the field from the top."""
    try:
        return read()
    except BadRequest as error:
        param = f"{where}.{error.reply.param}" if error.reply.param else where
        raise BadRequest(f"{error.reply.message} (in {where})", param=param) from None
