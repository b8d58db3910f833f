"""A client's request, read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from aiproxy import ir
from aiproxy.errors import BadRequest
from aiproxy.wire.contract import Head, Operation
from aiproxy.wire.jsontext import copied, extras_of, given, peek, raw, read_name, read_request
from aiproxy.wire.responses import shapes, tools
from aiproxy.wire.responses.content import read_at
from aiproxy.wire.responses.history import decode_input
from aiproxy.wire.responses.shapes import LOGPROBS, NAME, RequestObject

Fields: TypeAlias = tuple[tuple[str, ir.JSON], ...]

ROUTES = ("/v1/responses", "/v1/responses/compact", "/v1/responses/input_tokens")

_OPERATIONS: dict[str, Operation] = {"compact": "compact", "input_tokens": "count"}
_KNOWN = frozenset(RequestObject.__struct_fields__) - {"include"}
_REASONING = frozenset({"effort", "summary", "generate_summary"})
_FORMATS: tuple[Literal["text", "json_object", "json_schema"], ...] = (
    "text",
    "json_object",
    "json_schema",
)


def head(body: bytes, path: str) -> Head:
    """
    The routing view of a request.

    Raises: BadRequest when the body is no JSON object or names no model.
    """
    shape = peek(body, shapes.HeadObject)
    model = read_name(shape.model, "model")
    if not model:
        raise BadRequest("model is missing", param="model")
    operation = _operation(path)
    is_stream = bool(shape.stream) and operation == "generate"
    return Head(model, is_stream, operation, {"model": shape.model})


def decode_request(body: bytes, path: str) -> ir.Request:
    """
    A request as clients send it.

    Shape: {"model", "input": text or [items], "instructions", "tools", "reasoning", ...}
    Raises: BadRequest, naming the field at fault.
    Source: OpenAI API reference, Create a model response.
    """
    asked = read_request(body, RequestObject)
    if not asked.model:
        raise BadRequest("model is missing", param="model")
    turns = decode_input(asked.input)
    declared = tools.decode_tools(asked.tools)
    late = tools.declared_in(turns, declared)
    choice, choice_fields = tools.decode_choice(asked.tool_choice, (*declared, *late))
    reasoning = _reasoning(asked.reasoning)
    text = _text(asked.text)
    return ir.Request(
        wire=NAME,
        model=asked.model,
        stream=bool(asked.stream) and _operation(path) == "generate",
        turns=turns,
        instructions=(ir.Text(asked.instructions),) if asked.instructions else (),
        tools=(*declared, *late),
        late_tools=len(late),
        tool_choice=choice,
        parallel_tool_calls=asked.parallel_tool_calls,
        max_output_tokens=asked.max_output_tokens,
        sampling=_sampling(asked),
        thinking=reasoning.thinking,
        output_format=text.format,
        verbosity=text.verbosity,
        user=asked.safety_identifier or asked.user or "",
        metadata=copied(asked.metadata) if given(asked.metadata) else None,
        service_tier=asked.service_tier or "",
        cache_key=asked.prompt_cache_key or "",
        extras=_extras(body, choice_fields + reasoning.fields + text.fields + _user(asked)),
    )


def _operation(path: str) -> Operation:
    return _OPERATIONS.get(path.partition("?")[0].rstrip("/").rpartition("/")[2], "generate")


def _sampling(asked: RequestObject) -> ir.Sampling:
    return ir.Sampling(
        temperature=asked.temperature,
        top_p=asked.top_p,
        logprobs=True if LOGPROBS in (asked.include or ()) else None,
        top_logprobs=asked.top_logprobs,
    )


@dataclass(frozen=True)
class _Reasoning:
    thinking: ir.Thinking | None
    fields: Fields


def _reasoning(value: ir.JSON) -> _Reasoning:
    """`reasoning`; levels and members that we do not know stay as they are."""
    if not given(value):
        return _Reasoning(None, ())
    config: shapes.ReasoningConfig = read_at(value, shapes.ReasoningConfig, "reasoning")
    effort = next((level for level in get_args(ir.Effort) if level == config.effort), None)
    known = _REASONING if effort is not None or config.effort is None else _REASONING - {"effort"}
    rest = extras_of(NAME, value, known)
    thinking = ir.Thinking(effort, summary=config.summary or config.generate_summary or "")
    fields = () if rest is None else (("reasoning", raw(dict(rest.fields))),)
    return _Reasoning(None if thinking == ir.Thinking() else thinking, fields)


@dataclass(frozen=True)
class _Text:
    format: ir.OutputFormat | None
    verbosity: str
    fields: Fields


def _text(value: ir.JSON) -> _Text:
    if not given(value):
        return _Text(None, "", ())
    config: shapes.TextConfig = read_at(value, shapes.TextConfig, "text")
    rest = extras_of(NAME, value, frozenset({"format", "verbosity"}))
    fields = () if rest is None else (("text", raw(dict(rest.fields))),)
    return _Text(_format(config.format), config.verbosity or "", fields)


def _format(config: shapes.FormatConfig | None) -> ir.OutputFormat | None:
    if config is None:
        return None
    for kind in _FORMATS:
        if kind == config.type:
            return ir.OutputFormat(
                kind,
                copied(config.schema) if given(config.schema) else None,
                config.name or "",
                config.description or "",
                config.strict,
            )
    raise BadRequest("text.format has an unknown type", param="text.format.type")


def _user(asked: RequestObject) -> Fields:
    """`user` beside `safety_identifier`, which names the same person."""
    both = asked.user and asked.safety_identifier and asked.user != asked.safety_identifier
    return (("user", raw(asked.user)),) if both else ()


def _extras(body: bytes, more: Fields) -> ir.Extras | None:
    rest = extras_of(NAME, body, _KNOWN)
    fields = more + (() if rest is None else rest.fields)
    return ir.Extras(NAME, fields) if fields else None
