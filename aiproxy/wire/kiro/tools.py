"""Tools out. The service knows no choice among them: what is not offered cannot be called."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aiproxy import ir
from aiproxy.wire.jsontext import given, text_of
from aiproxy.wire.kiro.schema import EMPTY, tool_schema
from aiproxy.wire.kiro.shapes import NAME
from aiproxy.wire.losses import Losses
from aiproxy.wire.names import ToolNames
from aiproxy.wire.schemas import TEXT_INPUT

LONGEST_DESCRIPTION = 9000
"""Characters; the service refuses descriptions of about 10 000."""

_CONTINUED = '\n\n(The rest of this description is in the instructions, under "{title}".)'
_MERELY_USED = "A tool that was used earlier in this conversation."


class ToolShelf:
    """
    The tools of one request.

    overflow: what the descriptions had no room for, a heading and a text for each such tool.
    """

    def __init__(self, request: ir.Request, names: ToolNames, losses: Losses) -> None:
        self._request = request
        self._names = names
        self._losses = losses
        self.overflow: list[str] = []

    def specifications(self, turns: Iterable[ir.Turn]) -> list[dict[str, Any]]:
        """
        What may be called, and all that was called in `turns`: the service refuses a conversation
        with calls of tools that it does not know.

        Raises: BadRequest when a schema is nested too deeply.
        """
        used = {
            (part.namespace, part.name): part
            for turn in turns
            for part in turn.parts
            if isinstance(part, ir.ToolCall)
        }
        known = {(t.namespace, t.name): t for t in self._functions()}
        offered = self._offered(known)
        shapes = [self._shape(tool) for key, tool in known.items() if key in offered or key in used]
        unknown = [call for key, call in used.items() if key not in known]
        choice = self._request.tool_choice
        if choice is not None and any(
            key not in offered and (key in known or choice.mode == "none") for key in used
        ):
            self._losses.approximated("tool-choice")
        return shapes + [self._minimal(call) for call in unknown]

    def _functions(self) -> Sequence[ir.Tool]:
        functions = [tool for tool in self._request.tools if isinstance(tool, ir.Tool)]
        if len(functions) < len(self._request.tools):
            self._losses.dropped("hosted-tool")
        return functions

    def _offered(self, known: Mapping[tuple[str, str], ir.Tool]) -> frozenset[tuple[str, str]]:
        """The tools that the client's choice leaves."""
        choice = self._request.tool_choice
        if choice is None or not known:
            return frozenset(known)
        if choice.mode == "none":
            return frozenset()
        if choice.mode != "auto":
            # That some tool must be called cannot be said.
            self._losses.approximated("tool-choice")
        chosen = frozenset(key for key in known if key[1] in choice.names)
        return chosen or frozenset(known)

    def _shape(self, tool: ir.Tool) -> dict[str, Any]:
        description = tool.description
        if tool.kind == "custom":
            self._losses.approximated("custom-tool")
            schema = TEXT_INPUT
            if tool.format is not None and given(tool.format):
                description = f"{description}\n\nFormat of the input: {text_of(tool.format)}"
        else:
            schema = tool_schema(tool.schema, self._losses)
        if tool.strict:
            self._losses.dropped("strict")
        self._losses.extras(NAME, tool.extras)
        name = self._names.sent(tool.name, tool.namespace)
        return _specification(name, self._fitted(name, description), schema)

    def _minimal(self, call: ir.ToolCall) -> dict[str, Any]:
        """Enough for the service to accept that this was called."""
        return _specification(self._names.sent(call.name, call.namespace), _MERELY_USED, EMPTY)

    def _fitted(self, name: str, description: str) -> str:
        """`description` within the service's limits: never empty, and its end elsewhere."""
        text = description.strip() or name
        if len(text) <= LONGEST_DESCRIPTION:
            return text
        self._losses.approximated("tool-description")
        title = f"Tool {name}, continued"
        hint = _CONTINUED.format(title=title)
        room = LONGEST_DESCRIPTION - len(hint)
        self.overflow.append(f"## {title}\n\n{text[room:]}")
        return text[:room] + hint


def _specification(name: str, description: str, schema: ir.JSON) -> dict[str, Any]:
    specification = {"name": name, "description": description, "inputSchema": {"json": schema}}
    return {"toolSpecification": specification}
