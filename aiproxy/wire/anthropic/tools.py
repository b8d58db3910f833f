"""Tools and the choice among them, out."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from typing import Any

from aiproxy import ir
from aiproxy.wire.anthropic.shapes import NAME
from aiproxy.wire.hosted import domains, location
from aiproxy.wire.jsontext import given, text_of
from aiproxy.wire.losses import Losses
from aiproxy.wire.names import ToolNames
from aiproxy.wire.schemas import EMPTY, TEXT_INPUT, closed_schema, object_schema

_HOSTED: Mapping[str, str] = {
    "web_search": "web_search_20250305",
    "web_fetch": "web_fetch_20250910",
    "code_execution": "code_execution_20250825",
}
"""By our words the versions that every model with the tool takes, without a beta header."""


def tool_shapes(request: ir.Request, names: ToolNames, losses: Losses) -> list[Any]:
    """
    The tools to send: all, or those that an explicit choice of several leaves.

    Raises: BadRequest when a schema is nested too deeply.
    """
    own = request.wire == NAME
    choice = request.tool_choice
    chosen = frozenset(choice.names) if choice is not None and not own else frozenset()
    one_is_forced = choice is not None and choice.mode == "any" and len(chosen) == 1
    own_names = {tool.name for tool in request.tools if isinstance(tool, ir.Tool)}
    is_narrowed = not one_is_forced and bool(own_names & chosen)
    shapes: list[Any] = []
    for tool in request.tools:
        if is_narrowed and isinstance(tool, ir.Tool) and tool.name not in chosen:
            continue
        if isinstance(tool, ir.Tool):
            shapes.append(_own(tool, losses) if own else _foreign(tool, names, losses))
        elif tool.wire == NAME:
            shapes.append(tool.raw)
        elif (hosted := _hosted(tool, request.model, own_names)) is not None:
            losses.approximated("hosted-tool")
            own_names.add(tool.kind)
            shapes.append(hosted)
        else:
            losses.dropped("hosted-tool")
    return shapes


def _hosted(tool: ir.HostedTool, model: str, taken: Container[str]) -> dict[str, Any] | None:
    """
    The vendor's own tool of the same kind.

    Only for its own models, as only their vendor runs it, and unless a function has its name.
    """
    kind = _HOSTED.get(tool.kind)
    if kind is None or tool.kind in taken or "claude" not in model:
        return None
    shape: dict[str, Any] = {"type": kind, "name": tool.kind}
    if tool.kind == "web_search":
        shape.update(domains(tool.scope))
        place = location(tool.scope)
        if place:
            shape["user_location"] = place
    return shape


def choice_shape(
    request: ir.Request, shapes: Sequence[Any], names: ToolNames, losses: Losses
) -> dict[str, Any] | None:
    """`tool_choice` for these tools, None when the API's default says it."""
    choice, parallel = request.tool_choice, request.parallel_tool_calls
    if not shapes or (choice is None and parallel is not False):
        return None
    shape: dict[str, Any] = {"type": "auto"}
    if choice is not None:
        shape = _choice(request, choice, shapes, names, losses)
    if parallel is False and shape["type"] != "none":
        shape["disable_parallel_tool_use"] = True
    return shape


def is_forced(shape: dict[str, Any] | None) -> bool:
    """Whether some tool must be called, which excludes thinking."""
    return shape is not None and shape["type"] in ("any", "tool")


def _choice(
    request: ir.Request,
    choice: ir.ToolChoice,
    shapes: Sequence[Any],
    names: ToolNames,
    losses: Losses,
) -> dict[str, Any]:
    match choice.mode:
        case "none":
            return {"type": "none"}
        case "any" if len(choice.names) == 1:
            name = choice.names[0]
            tool = next(
                (t for t in request.tools if isinstance(t, ir.Tool) and t.name == name), None
            )
            if request.wire == NAME:
                return {"type": "tool", "name": name}
            if tool is None:
                return _hosted_choice(name, shapes, losses)
            return {"type": "tool", "name": names.sent(tool.name, tool.namespace)}
        case "any":
            return {"type": "any"}
        case "validated":
            losses.approximated("tool-choice")
    return {"type": "auto"}


def _hosted_choice(name: str, shapes: Sequence[Any], losses: Losses) -> dict[str, Any]:
    """The choice of a tool that is none of the client's own."""
    if any(isinstance(shape, dict) and shape.get("name") == name for shape in shapes):
        return {"type": "tool", "name": name}
    losses.approximated("tool-choice")
    return {"type": "auto"}


def _own(tool: ir.Tool, losses: Losses) -> dict[str, Any] | ir.JSON:
    if tool.native is not None:
        return tool.native
    shape: dict[str, Any] = {"name": tool.name}
    if tool.description:
        shape["description"] = tool.description
    shape["input_schema"] = EMPTY if tool.schema is None else tool.schema
    if tool.strict is not None:
        shape["strict"] = tool.strict
    return {**shape, **losses.extras(NAME, tool.extras)}


def _foreign(tool: ir.Tool, names: ToolNames, losses: Losses) -> dict[str, Any]:
    shape: dict[str, Any] = {"name": names.sent(tool.name, tool.namespace)}
    description = tool.description
    if tool.kind == "custom":
        losses.approximated("custom-tool")
        schema = TEXT_INPUT
        if tool.format is not None and given(tool.format):
            description = f"{description}\n\nFormat of the input: {text_of(tool.format)}".strip()
    else:
        schema = object_schema(tool.schema, losses)
        if tool.strict:
            schema = closed_schema(schema)
    if description:
        shape["description"] = description
    shape["input_schema"] = schema
    if tool.strict and tool.kind == "function":
        shape["strict"] = True
    return {**shape, **losses.extras(NAME, tool.extras)}
