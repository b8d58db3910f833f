"""A client's Chat request as a request of the hub."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, get_args

from aiproxy import ir
from aiproxy.errors import BadRequest
from aiproxy.wire import jsontext
from aiproxy.wire.chat import message_in, shapes
from aiproxy.wire.chat.errors import NAME
from aiproxy.wire.contract import Head
from aiproxy.wire.hosted import scope_of

SEARCH = "web_search"
"""The one tool of the vendor's that Chat has, as a member of the request."""

_EFFORTS: dict[str, ir.Effort] = {effort: effort for effort in get_args(ir.Effort)}
_FORMATS: dict[str, Literal["text", "json_object", "json_schema"]] = {
    "text": "text",
    "json_object": "json_object",
    "json_schema": "json_schema",
}
_MODES: dict[str, Literal["auto", "any", "none"]] = {
    "auto": "auto",
    "none": "none",
    "required": "any",
    "any": "any",
}


def head(body: bytes, path: str) -> Head:
    """The routing view. Shape: {"model", "stream"}. Raises: BadRequest."""
    seen = jsontext.peek(body, shapes.Head)
    model = _model(jsontext.read_name(seen.model, "model"))
    return Head(model, bool(seen.stream), members={"model": seen.model})


def decode_request(body: bytes, path: str) -> ir.Request:
    """
    A whole request.

    Shape: {"model", "messages": [...], "tools": [...], "stream", ...}
    Raises: BadRequest, naming the field at fault.
    Source: OpenAI API reference, Create chat completion; fields of compatible vendors are extras.
    """
    asked, extras = jsontext.read_closely(NAME, body, shapes.Request, jsontext.read_request)
    if not asked.messages:
        raise BadRequest("messages: at least one is required", param="messages")
    output_format, format_extras = _output_format(asked.response_format)
    thinking, effort_extras = _thinking(asked.reasoning_effort)
    return ir.Request(
        wire=NAME,
        model=_model(asked.model),
        stream=bool(asked.stream),
        turns=tuple([message_in.turn(at, message) for at, message in enumerate(asked.messages)]),
        tools=tuple(_tools(asked)),
        tool_choice=_tool_choice(asked.tool_choice) or _tool_choice(asked.function_call),
        parallel_tool_calls=asked.parallel_tool_calls,
        max_output_tokens=_first(asked.max_completion_tokens, asked.max_tokens),
        sampling=_sampling(asked),
        stop=(asked.stop,) if isinstance(asked.stop, str) else tuple(asked.stop or ()),
        thinking=thinking,
        output_format=output_format,
        verbosity=asked.verbosity or "",
        user=asked.user or asked.safety_identifier or "",
        metadata=jsontext.copied(asked.metadata) if jsontext.given(asked.metadata) else None,
        service_tier=asked.service_tier or "",
        cache_key=asked.prompt_cache_key or "",
        include_usage=asked.stream_options is not None
        and asked.stream_options.include_usage is True,
        extras=_with(extras, format_extras + effort_extras + _second_user(asked)),
    )


def _model(model: str | None) -> str:
    if not model:
        raise BadRequest("model: a name is required", param="model")
    return model


def _second_user(asked: shapes.Request) -> tuple[tuple[str, ir.JSON], ...]:
    """`safety_identifier`, where `user` says something else."""
    if not asked.user or not asked.safety_identifier or asked.user == asked.safety_identifier:
        return ()
    return (("safety_identifier", jsontext.raw(asked.safety_identifier)),)


def _first(one: int | None, other: int | None) -> int | None:
    return other if one is None else one


def _with(extras: ir.Extras | None, more: tuple[tuple[str, ir.JSON], ...]) -> ir.Extras | None:
    if not more:
        return extras
    fields = (extras.fields if extras is not None else ()) + more
    return ir.Extras(NAME, fields)


def _sampling(asked: shapes.Request) -> ir.Sampling:
    return ir.Sampling(
        temperature=asked.temperature,
        top_p=asked.top_p,
        top_k=asked.top_k,
        seed=asked.seed,
        presence_penalty=asked.presence_penalty,
        frequency_penalty=asked.frequency_penalty,
        logprobs=asked.logprobs,
        top_logprobs=asked.top_logprobs,
        candidates=asked.n,
    )


def _thinking(effort: str | None) -> tuple[ir.Thinking | None, tuple[tuple[str, ir.JSON], ...]]:
    """A level that only some vendor knows travels on as it is."""
    if effort is None:
        return None, ()
    if effort in _EFFORTS:
        return ir.Thinking(_EFFORTS[effort]), ()
    return None, (("reasoning_effort", jsontext.raw(effort)),)


def _output_format(
    value: ir.JSON,
) -> tuple[ir.OutputFormat | None, tuple[tuple[str, ir.JSON], ...]]:
    if not jsontext.given(value):
        return None, ()
    asked = jsontext.read_request(value, shapes.ResponseFormat)
    kind = _FORMATS.get(asked.type or "")
    if kind is None:
        return None, (("response_format", jsontext.copied(value)),)
    wanted = asked.json_schema
    if kind != "json_schema" or wanted is None:
        return ir.OutputFormat(kind), ()
    schema = jsontext.copied(wanted.schema) if jsontext.given(wanted.schema) else None
    return (
        ir.OutputFormat(kind, schema, wanted.name or "", wanted.description or "", wanted.strict),
        (),
    )


# ── tools ──


def _tools(asked: shapes.Request) -> Iterator[ir.Tool | ir.HostedTool]:
    for body in asked.tools or ():
        yield _tool(body)
    for function in asked.functions or ():
        yield _function(function, None)
    if jsontext.given(asked.web_search_options):
        search = asked.web_search_options
        yield ir.HostedTool(NAME, SEARCH, jsontext.copied(search), scope_of(search))


def _tool(body: ir.JSON) -> ir.Tool | ir.HostedTool:
    tool, extras = jsontext.read_closely(NAME, body, shapes.Tool, jsontext.read_request)
    if tool.function is not None:
        return _function(tool.function, extras)
    if tool.custom is not None:
        custom = tool.custom
        if not custom.name:
            raise BadRequest("a custom tool without a name", param="tools.custom.name")
        wanted = _flat_format(custom.format) if jsontext.given(custom.format) else None
        description = custom.description or ""
        return ir.Tool(custom.name, description, None, "custom", format=wanted, extras=extras)
    if tool.type in (None, "", "function", "custom"):
        raise BadRequest("a tool without a function", param="tools.function")
    return ir.HostedTool(NAME, str(tool.type), jsontext.copied(body))


def _function(function: shapes.FunctionTool, extras: ir.Extras | None) -> ir.Tool:
    if not function.name:
        raise BadRequest("a function without a name", param="tools.function.name")
    given = jsontext.given(function.parameters)
    schema = jsontext.copied(function.parameters) if given else None
    description = function.description or ""
    return ir.Tool(function.name, description, schema, strict=function.strict, extras=extras)


def _flat_format(value: ir.JSON) -> ir.JSON:
    """A custom tool's format as the hub has it: {"type": "grammar", "syntax", "definition"}."""
    wanted = jsontext.try_read(value, shapes.Format)
    if wanted is None or wanted.grammar is None:
        return jsontext.copied(value)
    grammar = wanted.grammar
    flat = {"type": "grammar", "syntax": grammar.syntax, "definition": grammar.definition}
    return jsontext.raw(flat)


def _tool_choice(value: ir.JSON) -> ir.ToolChoice | None:
    """
    Shape: "auto", "none", "required", {"type": "function", "function": {"name"}}, the same for
    custom, {"type": "allowed_tools", "allowed_tools": {"mode", "tools": [...]}}, or, for
    `function_call`, {"name"}.
    """
    if not jsontext.given(value):
        return None
    word = jsontext.try_read(value, str)
    if word is not None:
        mode = _MODES.get(word)
        if mode is None:
            raise BadRequest(f"tool_choice: {word!r} is not known", param="tool_choice")
        return ir.ToolChoice(mode)
    choice = jsontext.read_request(value, shapes.ToolChoice)
    if choice.allowed_tools is not None:
        allowed = choice.allowed_tools
        entries = [tool.function or tool.custom for tool in allowed.tools or ()]
        names = tuple(entry.name for entry in entries if entry is not None and entry.name)
        return ir.ToolChoice("any" if allowed.mode == "required" else "auto", names)
    named = choice.function or choice.custom or choice
    if not named.name:
        raise BadRequest("tool_choice without a name", param="tool_choice")
    return ir.ToolChoice("any", (named.name,))
