"""
Tools that OpenAI's models know without a schema, though the client runs them.

Their calls and results are items of their own, each with the arguments in a member of its own:

    local_shell_call  {call_id, action: {type: exec, command, env, timeout_ms, ...}}
    shell_call        {call_id, action: {commands, timeout_ms, max_output_length}}
    apply_patch_call  {call_id, operation: {type, path, diff}}
    computer_call     {call_id, actions: [...], pending_safety_checks}, in its preview one action
    tool_search_call  {call_id, execution: client, arguments}

Other vendors' models get each tool as a function with these arguments. An item that is not quite
this is left to its vendor: the functions here give None for it.

Source: OpenAI API reference, Responses; the official Python SDK, `types/responses`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from aiproxy import ir
from aiproxy.errors import BadRequest
from aiproxy.wire import dataurl
from aiproxy.wire.jsontext import arguments_object, copied, extras_of, given, raw, text_of, try_read
from aiproxy.wire.responses.shapes import FAMILY, NAME

_TEXT = {"type": "string"}
_NUMBER = {"type": "integer"}
_TEXTS = {"type": "array", "items": _TEXT}


@dataclass(frozen=True)
class _Native:
    """
    One tool. member: of its calls, that holds the arguments; "" when they stand in the item itself.
    prefix: of its items' ids. fixed: what each call's arguments (or item) also have.
    """

    about: str
    properties: Mapping[str, Any]
    required: tuple[str, ...]
    member: str
    prefix: str
    fixed: Mapping[str, Any]


_ACTION = {
    "type": "object",
    "description": "One of: click {button, x, y}, double_click {x, y}, drag {path: [{x, y}, ...]}, "
    "keypress {keys}, move {x, y}, screenshot, scroll {x, y, scroll_x, scroll_y}, type {text}, "
    "wait.",
    "properties": {
        "type": {
            "type": "string",
            "enum": [
                *("click", "double_click", "drag", "keypress", "move"),
                *("screenshot", "scroll", "type", "wait"),
            ],
        },
        "button": {"type": "string", "enum": ["left", "right", "wheel", "back", "forward"]},
        **dict.fromkeys(("x", "y", "scroll_x", "scroll_y"), _NUMBER),
        "path": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"x": _NUMBER, "y": _NUMBER},
                "required": ["x", "y"],
            },
        },
        "keys": _TEXTS,
        "text": _TEXT,
    },
    "required": ["type"],
}

_NATIVE: Mapping[ir.ToolKind, _Native] = {
    "local_shell": _Native(
        "Run a command, given as its list of arguments, on the user's machine.",
        {
            "command": _TEXTS,
            "env": {"type": "object", "additionalProperties": _TEXT},
            "timeout_ms": _NUMBER,
            "user": _TEXT,
            "working_directory": _TEXT,
        },
        ("command",),
        "action",
        "lsh_",
        {"type": "exec", "env": {}},
    ),
    "shell": _Native(
        "Run shell commands on the user's machine, each in a shell of its own.",
        {"commands": _TEXTS, "timeout_ms": _NUMBER, "max_output_length": _NUMBER},
        ("commands",),
        "action",
        "sh_",
        {},
    ),
    "apply_patch": _Native(
        "Create, update or delete a file. `diff` is a V4A diff without a header: context lines "
        "begin with a blank, removed ones with -, added ones with +, and @@ leads to a place; a "
        "file that is created has only added lines.",
        {
            "type": {"type": "string", "enum": ["create_file", "update_file", "delete_file"]},
            "path": _TEXT,
            "diff": _TEXT,
        },
        ("type", "path"),
        "operation",
        "apc_",
        {},
    ),
    "computer": _Native(
        "Use the mouse and the keyboard of a computer, and take screenshots.",
        {"actions": {"type": "array", "items": _ACTION}},
        ("actions",),
        "",
        "cu_",
        {"pending_safety_checks": []},
    ),
    "tool_search": _Native("Find more tools.", {}, (), "arguments", "tsc_", {}),
}
_KINDS: Mapping[str, ir.ToolKind] = {
    **{kind: kind for kind in _NATIVE},
    "computer_use_preview": "computer",
}
"""By the type of a tool, and of a choice."""

_CALLS: Mapping[str, ir.ToolKind] = {f"{kind}_call": kind for kind in _NATIVE}
_OUTPUTS: Mapping[str, ir.ToolKind] = {f"{kind}_call_output": kind for kind in _NATIVE} | {
    "tool_search_output": "tool_search"
}
_SAID = frozenset(
    {"type", "id", "status", "call_id", "action", "actions", "operation", "arguments", "execution"}
    | {"output", "tools", "created_by", "max_output_length"}
)


class _Environment(msgspec.Struct, gc=False):
    type: str | None = None


class _Definition(msgspec.Struct, gc=False):
    description: str | None = None
    parameters: msgspec.Raw = msgspec.Raw()
    execution: str | None = None
    environment: msgspec.Raw = msgspec.Raw()
    display_width: int | None = None
    display_height: int | None = None


class _Item(msgspec.Struct, gc=False):
    id: str | None = None
    call_id: str | None = None
    execution: str | None = None
    action: msgspec.Raw = msgspec.Raw()
    actions: msgspec.Raw = msgspec.Raw()
    operation: msgspec.Raw = msgspec.Raw()
    arguments: msgspec.Raw = msgspec.Raw()
    output: msgspec.Raw = msgspec.Raw()
    tools: msgspec.Raw = msgspec.Raw()
    status: str | None = None


class _Screenshot(msgspec.Struct, gc=False):
    image_url: str | None = None
    file_id: str | None = None


_KNOWN = frozenset(("type", *_Definition.__struct_fields__))


def kind_of(type_: str | None) -> ir.ToolKind | None:
    """The kind of the tools of a type."""
    return _KINDS.get(type_ or "")


# ── reading ──


def tool(type_: str, value: ir.JSON) -> ir.Tool | None:
    """One entry of `tools`, None when it is no such tool, or one that the vendor runs."""
    kind, read = _KINDS.get(type_), try_read(value, _Definition)
    if kind is None or read is None or not _is_local(kind, read):
        return None
    known = _NATIVE[kind]
    about, properties, required = known.about, known.properties, known.required
    if type_ == "computer_use_preview":
        properties, required = {"action": _ACTION}, ("action",)
        if read.display_width and read.display_height:
            about += f" The screen has {read.display_width} x {read.display_height} pixels."
    schema: Any = {"type": "object", "properties": properties}
    if required:
        schema["required"] = required
    return ir.Tool(
        kind,
        read.description or about,
        copied(read.parameters) if given(read.parameters) else raw(schema),
        kind,
        extras=extras_of(NAME, value, _KNOWN),
        native=copied(value),
    )


def _is_local(kind: ir.ToolKind, read: _Definition) -> bool:
    if kind == "tool_search":
        return read.execution == "client"
    if kind == "shell" and given(read.environment):
        environment = try_read(read.environment, _Environment)
        return environment is not None and environment.type == "local"
    return True


def call(type_: str, value: ir.JSON) -> ir.ToolCall | None:
    """One of the items above."""
    kind, read = _CALLS.get(type_), try_read(value, _Item)
    if kind is None or read is None or not read.call_id:
        return None
    if kind == "tool_search" and read.execution != "client":
        return None
    return ir.ToolCall(
        read.call_id,
        kind,
        _arguments(kind, read),
        kind,
        extras=_extras(value),
        native=copied(value),
    )


def _arguments(kind: ir.ToolKind, read: _Item) -> str:
    member = _NATIVE[kind].member
    if not member:
        said = {"actions": read.actions, "action": read.action}
        return text_of(raw({name: value for name, value in said.items() if given(value)}))
    held = getattr(read, member)
    if kind != "local_shell":
        return text_of(held) if given(held) else "{}"
    members = try_read(held, dict[str, msgspec.Raw]) or {}
    return text_of(raw({name: value for name, value in members.items() if name != "type"}))


def result(type_: str, value: ir.JSON) -> ir.ToolResult | None:
    """What the client answers to such a call."""
    kind, read = _OUTPUTS.get(type_), try_read(value, _Item)
    call_id = None if read is None else read.call_id or (read.id if kind == "local_shell" else None)
    if kind is None or read is None or not call_id:
        return None
    if kind == "tool_search" and read.execution != "client":
        return None
    shown = _shown(kind, read)
    content = () if shown is None else (shown,)
    failed = read.status == "failed"
    kept = _extras(value)
    return ir.ToolResult(call_id, content, failed, kind, kind, kept, native=copied(value))


def _shown(kind: ir.ToolKind, read: _Item) -> ir.Part | None:
    """What a tool gave back: a text, a screenshot, or any JSON as its own text."""
    output = read.tools if kind == "tool_search" else read.output
    if not given(output):
        return ir.Text(read.status) if read.status else None
    if kind == "computer":
        return _screenshot(output)
    plain = try_read(output, str)
    return ir.Text(text_of(output) if plain is None else plain)


def _screenshot(output: ir.JSON) -> ir.Part | None:
    shot = try_read(output, _Screenshot) or _Screenshot()
    if shot.file_id:
        return ir.Media("image", ir.Uploaded(FAMILY, shot.file_id))
    if not shot.image_url:
        return None
    try:
        return ir.Media("image", dataurl.source(shot.image_url, "image/png"))
    except BadRequest:
        return None


def _extras(value: ir.JSON) -> ir.Extras | None:
    rest = extras_of(NAME, value, _SAID)
    fields = () if rest is None else rest.fields
    kept = tuple(field for field in fields if bytes(field[1]) != b"[]")
    return ir.Extras(NAME, kept) if kept else None


def with_call_ids(turns: tuple[ir.Turn, ...]) -> tuple[ir.Turn, ...]:
    """`turns` with results that name the item of their call given that call's own id."""
    parts = [part for turn in turns for part in turn.parts]
    ids: dict[str, str] = {}
    for part in parts:
        if isinstance(part, ir.ToolCall) and part.kind == "local_shell" and part.native:
            item = try_read(part.native, _Item) or _Item()
            ids[item.id or ""] = part.id
    if not ids:
        return turns
    return tuple(
        ir.replace(turn, parts=tuple(_named(part, ids) for part in turn.parts)) for turn in turns
    )


def _named(part: ir.Part, ids: Mapping[str, str]) -> ir.Part:
    if isinstance(part, ir.ToolResult) and part.kind == "local_shell":
        return ir.replace(part, call_id=ids.get(part.call_id, part.call_id))
    return part


# ── writing ──


def is_native(kind: ir.ToolKind) -> bool:
    """Whether calls of this kind are one of the items above."""
    return kind in _NATIVE


def prefix_of(kind: ir.ToolKind) -> str:
    """How ids of such items begin."""
    return _NATIVE[kind].prefix


def item(kind: ir.ToolKind, arguments: str) -> dict[str, Any]:
    """The members of a call's item that say what it is and what is to be done."""
    native = _NATIVE[kind]
    members = try_read(arguments_object(arguments), dict[str, msgspec.Raw]) or {}
    said: dict[str, Any] = {**native.fixed, **members}
    if native.member:
        said = {native.member: said}
    if kind == "tool_search":
        said["execution"] = "client"
    return {"type": f"{kind}_call", **said}
