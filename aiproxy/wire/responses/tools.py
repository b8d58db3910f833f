"""Tools, the choice among them, and output formats, in both directions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

from aiproxy import ir
from aiproxy.errors import BadRequest
from aiproxy.wire.jsontext import copied, extras_of, fields_for, given, raw, try_read
from aiproxy.wire.losses import Losses
from aiproxy.wire.names import ToolNames
from aiproxy.wire.responses import shapes
from aiproxy.wire.responses.content import read_at
from aiproxy.wire.responses.shapes import NAME
from aiproxy.wire.strict import is_enforceable

CARRIER = "additional_tools"
"""The input item by which Codex declares tools instead of in `tools`."""

_FUNCTION = frozenset({"type", "name", "description", "parameters", "strict"})
_CUSTOM = frozenset({"type", "name", "description", "format"})
_NAMESPACE_DESCRIPTION = "namespace_description"

# Hosted tools by our own words, and how to ask for them.
_OUR_WORDS = {
    "web_search": "web_search",
    "web_search_preview": "web_search",
    "code_interpreter": "code_execution",
}
_HOSTED: Mapping[str, Any] = {
    "web_search": {"type": "web_search"},
    "code_execution": {"type": "code_interpreter", "container": {"type": "auto"}},
}
_NO_ARGUMENTS = raw({"type": "object", "properties": {}})
_BAD_IN_NAME = re.compile(r"[^A-Za-z0-9_-]")


# ── reading ──


def decode_tools(
    values: Sequence[ir.JSON] | None, where: str = "tools"
) -> tuple[ir.Tool | ir.HostedTool, ...]:
    """
    The tools in a list, those in name spaces as tools of their own.

    Raises: BadRequest, naming the tool at fault.
    """
    tools: list[ir.Tool | ir.HostedTool] = []
    for at, value in enumerate(values or ()):
        tools += _decode_tool(value, f"{where}[{at}]")
    return tuple(tools)


def declared_in(turns: Iterable[ir.Turn]) -> tuple[ir.Tool | ir.HostedTool, ...]:
    """The tools that input items declare."""
    tools: list[ir.Tool | ir.HostedTool] = []
    for turn in turns:
        for part in turn.parts:
            if isinstance(part, ir.Opaque) and part.wire == NAME and part.kind == CARRIER:
                carrier = try_read(part.raw, shapes.ToolCarrier) or shapes.ToolCarrier()
                tools += decode_tools(carrier.tools, CARRIER)
    return tuple(tools)


def _decode_tool(value: ir.JSON, where: str) -> Iterable[ir.Tool | ir.HostedTool]:
    kind = read_at(value, shapes.Typed, where).type or "function"
    if kind == "namespace":
        space: shapes.ToolObject = read_at(value, shapes.ToolObject, where)
        yield from _decode_space(space, where)
    elif kind in ("function", "custom"):
        yield _decode_own(read_at(value, shapes.ToolObject, where), value, kind, where)
    else:
        word = _OUR_WORDS.get(re.sub(r"_\d{4}.*$", "", kind), kind)
        yield ir.HostedTool(NAME, word, copied(value))


def _decode_space(space: shapes.ToolObject, where: str) -> Iterable[ir.Tool]:
    """The first tool of a name space carries the description of the space."""
    about = ((_NAMESPACE_DESCRIPTION, raw(space.description)),) if space.description else ()
    for at, value in enumerate(space.tools or ()):
        inner = f"{where}.tools[{at}]"
        kind = read_at(value, shapes.Typed, inner).type or "function"
        tool = read_at(value, shapes.ToolObject, inner)
        yield _decode_own(tool, value, kind, inner, space.name or "", about)
        about = ()


def _decode_own(
    tool: shapes.ToolObject,
    value: ir.JSON,
    kind: str,
    where: str,
    namespace: str = "",
    about: tuple[tuple[str, ir.JSON], ...] = (),
) -> ir.Tool:
    if not tool.name:
        raise BadRequest(f"{where} needs a name", param=f"{where}.name")
    custom = kind == "custom"
    extras = extras_of(NAME, value, _CUSTOM if custom else _FUNCTION)
    fields = (*about, *(() if extras is None else extras.fields))
    return ir.Tool(
        tool.name,
        tool.description or "",
        copied(tool.parameters) if given(tool.parameters) and not custom else None,
        "custom" if custom else "function",
        tool.strict,
        namespace,
        copied(tool.format) if given(tool.format) and custom else None,
        ir.Extras(NAME, fields) if fields else None,
    )


def decode_choice(value: ir.JSON) -> tuple[ir.ToolChoice | None, tuple[tuple[str, ir.JSON], ...]]:
    """The choice, and it as it stands when only this vendor understands it."""
    if not given(value):
        return None, ()
    word = try_read(value, str)
    if word is not None:
        match word:
            case "auto" | "none":
                return ir.ToolChoice(word), ()
            case "required":
                return ir.ToolChoice("any"), ()
        raise BadRequest("tool_choice is unknown", param="tool_choice")
    kind = read_at(value, shapes.Typed, "tool_choice").type
    if kind in ("function", "custom"):
        chosen: shapes.AllowedTool = read_at(value, shapes.AllowedTool, "tool_choice")
        if not chosen.name:
            raise BadRequest("tool_choice needs a name", param="tool_choice.name")
        return ir.ToolChoice("any", (chosen.name,)), ()
    kept = (("tool_choice", copied(value)),)
    if kind == "allowed_tools":
        allowed: shapes.AllowedTools = read_at(value, shapes.AllowedTools, "tool_choice")
        mode = "any" if allowed.mode == "required" else "auto"
        listed = allowed.tools or []
        names = tuple(tool.name for tool in listed if tool.name and _is_own(tool.type))
        if len(names) == len(listed):
            return ir.ToolChoice("any" if mode == "any" else "auto", names), ()
    return ir.ToolChoice("auto"), kept


def _is_own(kind: str | None) -> bool:
    return kind in ("function", "custom")


# ── writing ──


def encode_tools(request: ir.Request, names: ToolNames | None, losses: Losses) -> list[Any]:
    """
    `tools`, without those that input items declare.

    names: for a request of another wire; None when the client speaks this one.
    """
    declared = declared_in(request.turns) if names is None else ()
    tools = [tool for tool in request.tools if tool not in declared]
    out: list[Any] = []
    for namespace, group in groupby(tools, _namespace):
        entries = [_encode_tool(tool, names, losses) for tool in group]
        found = [entry for entry in entries if entry is not None]
        if not namespace:
            out += found
        elif found:
            about = [entry.pop(_NAMESPACE_DESCRIPTION, None) for entry in found]
            space = {"type": "namespace", "name": namespace, "description": about[0] or ""}
            out.append({**space, "tools": found})
    return out


def _namespace(tool: ir.Tool | ir.HostedTool) -> str:
    return tool.namespace if isinstance(tool, ir.Tool) else ""


def _encode_tool(tool: ir.Tool | ir.HostedTool, names: ToolNames | None, losses: Losses) -> Any:
    if isinstance(tool, ir.HostedTool):
        if tool.wire == NAME:
            return tool.raw
        wanted = _HOSTED.get(tool.kind)
        if wanted is None:
            losses.dropped("hosted-tool")
        else:
            losses.approximated("hosted-tool")
        return wanted
    name = tool.name if names is None else names.sent(tool.name, tool.namespace)
    entry: dict[str, Any] = {"type": tool.kind, "name": name}
    if tool.description:
        entry["description"] = tool.description
    if tool.kind == "custom":
        if tool.format is not None:
            entry["format"] = tool.format
    elif names is None:
        if tool.schema is not None:
            entry["parameters"] = tool.schema
        if tool.strict is not None:
            entry["strict"] = tool.strict
    else:
        entry["parameters"] = _object_schema(tool.schema)
        # Unset would mean true here.
        entry["strict"] = _strict(tool.strict, tool.schema, losses)
    return {**entry, **losses.extras(NAME, tool.extras)}


def _object_schema(schema: ir.JSON | None) -> Any:
    """The vendor wants an object at the root."""
    if schema is None:
        return _NO_ARGUMENTS
    members = try_read(schema, dict[str, ir.JSON])
    if members is None or "type" in members:
        return schema
    return {"type": "object", **({} if members else {"properties": {}}), **members}


def _strict(strict: bool | None, schema: ir.JSON | None, losses: Losses) -> bool:
    """`strict` where the vendor's demands on a strict schema are met."""
    if strict and not is_enforceable(schema):
        losses.approximated("strict")
        return False
    return bool(strict)


def encode_choice(
    request: ir.Request, names: ToolNames | None, losses: Losses | None = None
) -> Any:
    """`tool_choice`, None to leave it out. losses: for a request of another wire."""
    choice = request.tool_choice
    if choice is None:
        return None
    own = fields_for(NAME, request.extras).get("tool_choice")
    if own is not None:
        return own
    if choice.mode == "validated" and losses is not None:
        losses.approximated("tool-choice")
    mode = {"any": "required", "none": "none"}.get(choice.mode, "auto")
    if not choice.names or mode == "none":
        return mode
    entries = [_named(request, name, names) for name in choice.names]
    if mode == "required" and len(entries) == 1:
        return entries[0]
    return {"type": "allowed_tools", "mode": mode, "tools": entries}


def _named(request: ir.Request, name: str, names: ToolNames | None) -> dict[str, Any]:
    for tool in request.tools:
        if isinstance(tool, ir.Tool) and tool.name == name:
            sent = name if names is None else names.sent(name, tool.namespace)
            return {"type": tool.kind, "name": sent}
    return {"type": "function", "name": name if names is None else names.sent(name)}


def encode_format(
    wanted: ir.OutputFormat | None, losses: Losses | None = None
) -> dict[str, Any] | None:
    """
    `text.format`.

    losses: for a request of another wire, whose schema may not meet what `strict` demands.
    """
    if wanted is None:
        return None
    entry: dict[str, Any] = {"type": wanted.kind}
    if wanted.kind == "json_schema":
        entry["name"] = _BAD_IN_NAME.sub("_", wanted.name)[:64] or "response"
        if wanted.description:
            entry["description"] = wanted.description
        if wanted.schema is not None:
            entry["schema"] = wanted.schema
        if wanted.strict is not None:
            strict = wanted.strict
            entry["strict"] = strict if losses is None else _strict(strict, wanted.schema, losses)
    return entry
