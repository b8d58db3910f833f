"""A client's request as the hub's."""

from __future__ import annotations

from typing import Any

import msgspec

from aiproxy.errors import BadRequest
from aiproxy.ir import (
    JSON,
    Extras,
    HostedTool,
    OutputFormat,
    Part,
    Request,
    Sampling,
    Text,
    Tool,
    ToolChoice,
)
from aiproxy.wire.contract import Head
from aiproxy.wire.gemini import media, schema, shapes, thinking
from aiproxy.wire.gemini.contents_in import NAME, ContentsReader, read_part
from aiproxy.wire.gemini.paths import target_of
from aiproxy.wire.gemini.spelling import camel_case
from aiproxy.wire.jsontext import copied, extras_of, given, raw, read_request, text_of, try_read

_KNOWN = frozenset(shapes.Request.__struct_encode_fields__) | {"model"}
_KNOWN_IN_GENERATION = frozenset(shapes.GenerationConfig.__struct_encode_fields__)
_KNOWN_IN_TOOL = frozenset(shapes.FunctionDeclaration.__struct_encode_fields__)
_KNOWN_IN_CALLING = frozenset(shapes.FunctionCallingConfig.__struct_encode_fields__)
_KNOWN_IN_TOOL_CONFIG = frozenset(("functionCallingConfig",))

GENERATION_EXTRAS = frozenset(
    (
        "responseModalities",
        "speechConfig",
        "mediaResolution",
        "audioTimestamp",
        "imageConfig",
        "routingConfig",
        "modelSelectionConfig",
        "enableEnhancedCivicAnswers",
    )
)
"""Members of `generationConfig` that travel as top-level extras, so that each is told by name."""

HOSTED = {
    "googleSearch": "web_search",
    "googleSearchRetrieval": "web_search",
    "urlContext": "web_fetch",
    "codeExecution": "code_execution",
}
_TEXT_ONLY = b'["TEXT"]'
_LARGEST = 2**53


class _AnyObject(msgspec.Struct):
    """A JSON object with whatever inside."""


def head(body: bytes, path: str) -> Head:
    """
    The routing view: all of it is in the path.

    Raises: BadRequest when there is no such method or the body is no JSON object.
    """
    target = target_of(path)
    read_request(body, _AnyObject)
    return Head(target.model, target.stream, target.operation)


def decode_request(body: bytes, path: str) -> Request:
    """
    Shape: {"contents": [...], "systemInstruction": ..., "tools": [...], "toolConfig": {...},
    "generationConfig": {...}, ...}; a count may have that inside "generateContentRequest".

    Raises: BadRequest, naming the field at fault.
    """
    target = target_of(path)
    body = camel_case(body)
    request = read_request(body, shapes.Request)
    if given(request.generate_content_request):
        body = bytes(request.generate_content_request)
        request = read_request(body, shapes.Request)
    has_config = given(request.generation_config)
    config = shapes.GenerationConfig()
    if has_config:
        config = read_request(request.generation_config, shapes.GenerationConfig)
    choice, tool_extras = _choice(request.tool_config)
    return Request(
        wire=NAME,
        model=target.model,
        stream=target.stream,
        array=target.array,
        turns=ContentsReader().turns(request.contents or ()),
        instructions=_instructions(request.system_instruction),
        tools=_tools(request.tools or ()),
        tool_choice=choice,
        max_output_tokens=_whole(config.max_output_tokens),
        sampling=_sampling(config),
        stop=tuple(config.stop_sequences or ()),
        thinking=thinking.read(config.thinking_config),
        output_format=_format(config),
        service_tier=_tier(request.service_tier),
        extras=_extras(body, request, config, tool_extras),
    )


def _instructions(value: JSON) -> tuple[Part, ...]:
    """A content of any role, its parts alone, or a text."""
    if not given(value):
        return ()
    text = try_read(value, str)
    if text is not None:
        return (Text(text),) if text else ()
    parts = try_read(value, list[msgspec.Raw])
    if parts is None:
        parts = read_request(value, shapes.Content).parts
    parts = [value] if parts is None else parts
    read = [read_part(p, f"systemInstruction.parts[{i}]") for i, p in enumerate(parts)]
    return tuple(said for part in read if (said := _instruction(part)) is not None)


def _instruction(part: shapes.Part) -> Part | None:
    if part.inline_data is not None:
        return media.from_blob(part.inline_data)
    if part.file_data is not None:
        return media.from_file(part.file_data)
    return Text(part.text) if part.text else None


def _tools(entries: Any) -> tuple[Tool | HostedTool, ...]:
    tools: list[Tool | HostedTool] = []
    for at, entry in enumerate(entries):
        for key, value in entry.items():
            if not given(value):
                continue
            if key == "functionDeclarations":
                where = f"tools[{at}].functionDeclarations"
                declarations = read_request(value, list[msgspec.Raw])
                tools += (_tool(declaration, where) for declaration in declarations)
            else:
                tools.append(HostedTool(NAME, HOSTED.get(key, key), raw({key: value})))
    return tuple(tools)


def _tool(value: JSON, where: str) -> Tool:
    declaration = read_request(value, shapes.FunctionDeclaration)
    if not declaration.name:
        raise BadRequest(f"{where}: a function has no name", param=where)
    given_schema = next(
        (s for s in (declaration.parameters_json_schema, declaration.parameters) if given(s)), None
    )
    return Tool(
        declaration.name,
        declaration.description or "",
        None if given_schema is None else schema.from_openapi(given_schema),
        extras=extras_of(NAME, value, _KNOWN_IN_TOOL),
    )


def _choice(config: JSON) -> tuple[ToolChoice | None, Extras | None]:
    """The choice, and what else a `toolConfig` says."""
    if not given(config):
        return None, None
    calling = read_request(config, shapes.ToolConfig).function_calling_config
    extras = extras_of(NAME, config, _KNOWN_IN_TOOL_CONFIG)
    if not given(calling):
        return None, extras
    read = read_request(calling, shapes.FunctionCallingConfig)
    inner = extras_of(NAME, calling, _KNOWN_IN_CALLING)
    if inner is not None:
        kept = ("functionCallingConfig", raw(dict(inner.fields)))
        extras = Extras(NAME, (*(extras.fields if extras else ()), kept))
    names = tuple(read.allowed_function_names or ())
    match (read.mode or "").upper():
        case "ANY":
            return ToolChoice("any", names), extras
        case "NONE":
            return ToolChoice("none"), extras
        case "VALIDATED":
            return ToolChoice("validated", names), extras
        case "AUTO":
            return ToolChoice("auto", names), extras
        case _:
            return (ToolChoice("auto", names) if names else None), extras


def _sampling(config: shapes.GenerationConfig) -> Sampling:
    return Sampling(
        temperature=config.temperature,
        top_p=config.top_p,
        top_k=_whole(config.top_k),
        seed=_whole(config.seed),
        presence_penalty=config.presence_penalty,
        frequency_penalty=config.frequency_penalty,
        logprobs=config.response_logprobs,
        top_logprobs=_whole(config.logprobs),
        candidates=_whole(config.candidate_count),
    )


def _whole(number: shapes.Number | None) -> int | None:
    """
    JSON of some clients has 64.0 for 64.

    Raises: BadRequest for what no count can be.
    """
    if number is None:
        return None
    if abs(number) > _LARGEST:
        raise BadRequest("a number is too large")
    return int(number)


def _format(config: shapes.GenerationConfig) -> OutputFormat | None:
    if _is_enum(config):
        return None
    wanted = next(
        (s for s in (config.response_json_schema, config.response_schema) if given(s)), None
    )
    if wanted is not None:
        return OutputFormat("json_schema", schema.from_openapi(wanted))
    json_only = (config.response_mime_type or "").lower() == "application/json"
    return OutputFormat("json_object") if json_only else None


def _is_enum(config: shapes.GenerationConfig) -> bool:
    """Whether the answer shall be a bare word of the schema's: elsewhere there is only JSON."""
    return (config.response_mime_type or "").lower() == "text/x.enum"


def _tier(tier: str | None) -> str:
    name = (tier or "").lower().removeprefix("service_tier_")
    return {"standard": "default", "unspecified": ""}.get(name, name)


def _extras(
    body: bytes,
    request: shapes.Request,
    config: shapes.GenerationConfig,
    tool_config: Extras | None,
) -> Extras | None:
    """Everything that no field of the hub's request holds."""
    fields: dict[str, JSON] = {}
    top = extras_of(NAME, body, _KNOWN)
    if top is not None:
        fields.update(top.fields)
    others: dict[str, JSON] = {}
    if given(request.generation_config):
        rest = extras_of(NAME, request.generation_config, _KNOWN_IN_GENERATION)
        for key, value in rest.fields if rest else ():
            if key in GENERATION_EXTRAS:
                if "".join(text_of(value).split()).encode() != _TEXT_ONLY:
                    fields[key] = value
            else:
                others[key] = value
    mime = (config.response_mime_type or "").lower()
    if mime not in ("", "text/plain", "application/json"):
        fields["responseMimeType"] = raw(mime)
    if _is_enum(config) and given(config.response_schema):
        fields["responseSchema"] = config.response_schema
    if others:
        fields["generationConfig"] = raw(others)
    if tool_config is not None:
        fields["toolConfig"] = raw(dict(tool_config.fields))
    kept = tuple((key, copied(value)) for key, value in fields.items())
    return Extras(NAME, kept) if kept else None
