"""Tools, the choice among them, and output formats, in both directions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

from aiproxy import ir
from aiproxy.errors import BadRequest
from aiproxy.wire.hosted import domains, location, scope_of
from aiproxy.wire.jsontext import copied, extras_of, fields_for, given, raw, try_read
from aiproxy.wire.losses import Losses
from aiproxy.wire.names import ToolNames
from aiproxy.wire.responses import native, shapes
from aiproxy.wire.responses.content import read_at
from aiproxy.wire.responses.shapes import NAME
from aiproxy.wire.strict import is_enforceable

CARRIER = "additional_tools"
"""The input item by which Codex declares tools instead of in `tools`."""

FOUND = "tool_search_output"

_FUNCTION = frozenset({"type", "name", "description", "parameters", "strict"})
_CUSTOM = frozenset({"type", "name", "description", "format"})
_NAMESPACE_DESCRIPTION = "namespace_description"

# Hosted tools by our own words, and how to ask for them.
_OUR_WORDS = {
    "web_search": "web_search",
    "web_search_preview": "web_search",
    "code_interpreter": "code_execution",
}
_HOSTED: Mapping[str, dict[str, Any]] = {
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


def declared_in(
    turns: Iterable[ir.Turn], known: Sequence[ir.Tool | ir.HostedTool]
) -> tuple[ir.Tool | ir.HostedTool, ...]:
    """The tools besides `known` that input items declare; no name stands for two."""
    tools: list[ir.Tool | ir.HostedTool] = []
    seen = {_key(tool) for tool in known}
    for turn in turns:
        for part in turn.parts:
            carried = _carried(part)
            if carried is not None:
                carrier = try_read(carried, shapes.ToolCarrier) or shapes.ToolCarrier()
                for tool in decode_tools(carrier.tools, CARRIER):
                    if _key(tool) not in seen:
                        seen.add(_key(tool))
                        tools.append(tool)
    return tuple(tools)


def _carried(part: ir.Part) -> ir.JSON | None:
    """The item that declares tools, or brings those that a search found."""
    match part:
        case ir.Opaque(wire=wire, kind=kind) if wire == NAME and kind in (CARRIER, FOUND):
            return part.raw
        case ir.ToolResult(kind="tool_search"):
            return part.native
    return None


def _decode_tool(value: ir.JSON, where: str) -> Iterable[ir.Tool | ir.HostedTool]:
    kind = read_at(value, shapes.Typed, where).type or "function"
    if kind == "namespace":
        space: shapes.ToolObject = read_at(value, shapes.ToolObject, where)
        yield from _decode_space(space, where)
    elif kind in ("function", "custom"):
        yield _decode_own(read_at(value, shapes.ToolObject, where), value, kind, where)
    else:
        known = native.tool(kind, value)
        yield _hosted(kind, value) if known is None else known


def _hosted(kind: str, value: ir.JSON) -> ir.HostedTool:
    """A search that may not leave the vendor's own index is one that no other vendor has."""
    word = _our_word(kind)
    if word != "web_search":
        return ir.HostedTool(NAME, word, copied(value))
    search = try_read(value, shapes.WebSearch) or shapes.WebSearch()
    if search.external_web_access is False:
        word = "indexed_web_search"
    return ir.HostedTool(NAME, word, copied(value), scope_of(value))


def _our_word(kind: str) -> str:
    """What we call a hosted tool; its vendor adds dates to some."""
    return _OUR_WORDS.get(re.sub(r"_\d{4}.*$", "", kind), kind)


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


def decode_choice(
    value: ir.JSON, tools: Sequence[ir.Tool | ir.HostedTool]
) -> tuple[ir.ToolChoice | None, tuple[tuple[str, ir.JSON], ...]]:
    """The choice among `tools`, and it as it stands when only this vendor understands it."""
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
    known = native.kind_of(kind) or _our_word(kind or "")
    if any(known == _called(tool) for tool in tools):
        return ir.ToolChoice("any", (known,)), ()
    kept = (("tool_choice", copied(value)),)
    if kind == "allowed_tools":
        allowed: shapes.AllowedTools = read_at(value, shapes.AllowedTools, "tool_choice")
        mode = "any" if allowed.mode == "required" else "auto"
        listed = allowed.tools or []
        found = (_listed(tool) for tool in listed)
        names = tuple(name for name in found if name)
        if len(names) == len(listed):
            return ir.ToolChoice("any" if mode == "any" else "auto", names), ()
    return ir.ToolChoice("auto"), kept


def _called(tool: ir.Tool | ir.HostedTool) -> str:
    """How a choice names a tool."""
    return tool.name if isinstance(tool, ir.Tool) else tool.kind


def _listed(tool: shapes.AllowedTool) -> str | None:
    """The name of an allowed tool, None for one that the vendor runs."""
    return tool.name if tool.type in ("function", "custom") else native.kind_of(tool.type)


# ── writing ──


def encode_tools(request: ir.Request, names: ToolNames | None, losses: Losses) -> list[Any]:
    """
    `tools`, without those that input items declare.

    names: for a request of another wire; None when the client speaks this one.
    """
    tools = request.tools if names is not None else request.tools[: _early(request)]
    out: list[Any] = []
    for namespace, group in groupby(tools, _namespace):
        entries = [_encode_tool(tool, names, losses) for tool in group]
        found = [entry for entry in entries if entry is not None]
        if names is not None:
            found = [entry for at, entry in enumerate(found) if entry not in found[:at]]
        if not namespace:
            out += found
        elif found:
            about = [entry.pop(_NAMESPACE_DESCRIPTION, None) for entry in found]
            space = {"type": "namespace", "name": namespace, "description": about[0] or ""}
            out.append({**space, "tools": found})
    return out


def _key(tool: ir.Tool | ir.HostedTool) -> tuple[str, str]:
    return (_namespace(tool), _called(tool))


def _early(request: ir.Request) -> int:
    """How many tools no input item declares."""
    return len(request.tools) - request.late_tools


def _namespace(tool: ir.Tool | ir.HostedTool) -> str:
    return tool.namespace if isinstance(tool, ir.Tool) else ""


def _encode_tool(tool: ir.Tool | ir.HostedTool, names: ToolNames | None, losses: Losses) -> Any:
    if isinstance(tool, ir.HostedTool):
        if tool.wire == NAME:
            return tool.raw
        wanted = _wanted(tool)
        if wanted is None:
            losses.dropped("hosted-tool")
        else:
            losses.approximated("hosted-tool")
        return wanted
    if tool.native is not None and names is None:
        return tool.native
    name = tool.name if names is None else names.sent(tool.name, tool.namespace)
    entry: dict[str, Any] = {"type": _type_of(tool), "name": name}
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


def _wanted(tool: ir.HostedTool) -> dict[str, Any] | None:
    """The vendor's own tool of the same kind."""
    known = _HOSTED.get(tool.kind)
    if known is None or tool.kind != "web_search":
        return known
    scope = tool.scope
    members = {
        "filters": domains(scope),
        "user_location": location(scope),
        "search_context_size": scope.context,
    }
    return {**known, **{name: value for name, value in members.items() if value}}


def _type_of(tool: ir.Tool) -> str:
    return "custom" if tool.kind == "custom" else "function"


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
            if tool.native is not None and names is None:
                typed = try_read(tool.native, shapes.Typed) or shapes.Typed()
                return {"type": typed.type}
            sent = name if names is None else names.sent(name, tool.namespace)
            return {"type": _type_of(tool), "name": sent}
        if isinstance(tool, ir.HostedTool) and tool.kind == name:
            wanted = tool.raw if names is None else raw(_wanted(tool))
            typed = try_read(wanted, shapes.Typed) or shapes.Typed()
            return {"type": typed.type or name}
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
