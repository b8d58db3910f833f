"""What a part that only Gemini understands says in plain text, for models of other vendors."""

from __future__ import annotations

import msgspec

from aiproxy.ir import JSON
from aiproxy.wire.jsontext import try_read


class _Code(msgspec.Struct):
    code: str = ""
    output: str = ""


def fallback_text(value: JSON) -> str:
    """Code that ran at the vendor, and what it printed; "" for any other part."""
    members = try_read(value, dict[str, msgspec.Raw]) or {}
    for kind in ("executableCode", "codeExecutionResult"):
        read = try_read(members[kind], _Code) if kind in members else None
        text = (read.code or read.output) if read is not None else ""
        if text:
            return f"```\n{text}\n```"
    return ""
