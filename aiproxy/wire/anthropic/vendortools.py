"""
Tools that Claude knows without a schema, though the client runs them: a shell, an editor, a memory.

Calls of them are like those of any tool of the client's, so other vendors' models get each as a
function with the arguments that Anthropic documents.

Source: Anthropic, Tool use: Bash tool, Text editor tool, Memory tool, Computer use tool.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from aiproxy import ir
from aiproxy.wire.anthropic.shapes import NAME
from aiproxy.wire.jsontext import copied, extras_of, raw, try_read

_TEXT = {"type": "string"}
_NUMBER = {"type": "integer"}
_PLACE = {"type": "array", "items": _NUMBER, "minItems": 2, "maxItems": 2}

_FIRST_EDITORS = ("text_editor_20241022", "text_editor_20250124")
_ACTIONS = (
    *("key", "type", "mouse_move", "left_click", "left_click_drag", "right_click"),
    *("middle_click", "double_click", "triple_click", "left_mouse_down", "left_mouse_up"),
    *("scroll", "hold_key", "wait", "screenshot", "cursor_position"),
)

_ABOUT: Mapping[str, str] = {
    "bash": "Run a command in a bash session that keeps its state between calls; with `restart`, "
    "begin a new session instead.",
    "text_editor": "View and edit text files. `view` shows a file (or the lines of `view_range`, "
    "counted from 1, -1 for the end) or a directory; `create` writes `file_text` to a new file; "
    "`str_replace` replaces `old_str`, which must stand exactly once, by `new_str`; `insert` puts "
    "text behind line `insert_line`, 0 for the beginning.",
    "memory": "Keep notes in files under /memories, across conversations. `view` shows a file or a "
    "directory; `create` writes `file_text`; `str_replace` replaces `old_str` by `new_str`; "
    "`insert` puts `insert_text` at `insert_line`; `delete` removes `path`; `rename` moves "
    "`old_path` to `new_path`.",
    "computer": "Use the mouse and the keyboard of a computer and take screenshots. Places are "
    "[x, y] in pixels from the upper left corner.",
}


class _Definition(msgspec.Struct):
    name: str = ""
    strict: bool | None = None
    display_width_px: int | None = None
    display_height_px: int | None = None


_KNOWN = frozenset(("type", *_Definition.__struct_fields__))


def vendor_tool(kind: str, definition: ir.JSON) -> ir.Tool | None:
    """
    The tool of this type, such as "bash_20250124"; None for one that the vendor runs.

    `native` is the definition; what it says besides is among the extras, for others to report.
    """
    family = next((name for name in _ABOUT if kind.startswith(f"{name}_2")), None)
    read = try_read(definition, _Definition)
    if family is None or read is None or not read.name:
        return None
    about = _ABOUT[family]
    if family == "computer" and read.display_width_px and read.display_height_px:
        about += f" The screen has {read.display_width_px} x {read.display_height_px} pixels."
    return ir.Tool(
        read.name,
        about,
        raw(_schema(family, kind)),
        strict=read.strict,
        extras=extras_of(NAME, definition, _KNOWN),
        native=copied(definition),
    )


def _schema(family: str, kind: str) -> dict[str, Any]:
    match family:
        case "bash":
            return _object((), command=_TEXT, restart={"type": "boolean"})
        case "text_editor":
            return _editor(kind)
        case "memory":
            commands = ("view", "create", "str_replace", "insert", "delete", "rename")
            names = ("path", "file_text", "old_str", "new_str", "insert_text", "old_path")
            texts = dict.fromkeys((*names, "new_path"), _TEXT)
            more = {"insert_line": _NUMBER, "view_range": _PLACE}
            return _object(("command",), command=_one_of(commands), **texts, **more)
    return _object(
        ("action",),
        action=_one_of((*_ACTIONS, "zoom") if kind >= "computer_20251124" else _ACTIONS),
        coordinate=_PLACE,
        start_coordinate=_PLACE,
        text=_TEXT,
        duration={"type": "number"},
        scroll_direction=_one_of(("up", "down", "left", "right")),
        scroll_amount=_NUMBER,
        region={"type": "array", "items": _NUMBER, "minItems": 4, "maxItems": 4},
    )


def _editor(kind: str) -> dict[str, Any]:
    """The first versions could undo, and called the text to insert like that to replace with."""
    commands = ["view", "create", "str_replace", "insert"]
    texts = ["path", "file_text", "old_str", "new_str"]
    if kind in _FIRST_EDITORS:
        commands.append("undo_edit")
    else:
        texts.append("insert_text")
    return _object(
        ("command", "path"),
        command=_one_of(commands),
        **dict.fromkeys(texts, _TEXT),
        insert_line=_NUMBER,
        view_range=_PLACE,
    )


def _object(required: Sequence[str], **properties: Any) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    return {**schema, "required": list(required)} if required else schema


def _one_of(words: Sequence[str]) -> dict[str, Any]:
    return {"type": "string", "enum": list(words)}
