"""
What an item that only this vendor understands says in plain text.

Other vendors' models see it in its place: else they would not know what earlier tools found.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from aiproxy import ir
from aiproxy.wire.jsontext import try_read


class _Output(msgspec.Struct, gc=False):
    """One of a code interpreter's outputs, or of a file search's results."""

    logs: str | None = None
    url: str | None = None
    filename: str | None = None
    text: str | None = None


class _Item(msgspec.Struct, gc=False):
    name: str | None = None
    arguments: str | None = None
    output: str | None = None
    code: str | None = None
    outputs: list[_Output] | None = None
    results: list[_Output] | None = None
    revised_prompt: str | None = None


_SPEAKING = ("code_interpreter_call", "mcp_call", "file_search_call", "image_generation_call")


def fallback_text(kind: str, item: ir.JSON) -> str:
    """The readable texts of an item, "" when it has none to show."""
    if kind not in _SPEAKING:
        return ""
    if kind == "image_generation_call":
        # What the model drew, which few vendors take from it.
        prompt = (try_read(item, _Item) or _Item()).revised_prompt
        return f"[image: {prompt}]" if prompt else "[image]"
    return "\n".join(_lines(try_read(item, _Item) or _Item()))


def _lines(item: _Item) -> Iterator[str]:
    if item.name:
        yield f"{item.name}({item.arguments or ''})"
    if item.code:
        yield f"```\n{item.code}\n```"
    if item.output:
        yield item.output
    for output in (*(item.outputs or ()), *(item.results or ())):
        if output.logs:
            yield f"```\n{output.logs}\n```"
        yield from (text for text in (output.url, output.filename, output.text) if text)
