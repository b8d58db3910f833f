"""
Tool calls on their way back to the client, in the client's own terms.

A target may have been given shortened names, joined name spaces, and functions in place of tools of
other kinds (see `names`). All of that is undone here, between a decoder and an encoder.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import TypeAlias

import msgspec

from aiproxy import ir
from aiproxy.wire.answers import of_other
from aiproxy.wire.jsontext import try_read
from aiproxy.wire.names import NameRule, ToolNames


class _Wrapped(msgspec.Struct):
    """What a custom tool's function stand-in is called with."""

    input: str


_Held: TypeAlias = dict[int, tuple[ir.ToolKind, list[str]]]
"""The calls of one answer whose arguments are not complete: what they become, and the pieces."""


class ToolRestorer:
    """
    Undoes one request's tool renaming on its reply.

    What a tool of another kind is called with is known only when the JSON that says it is complete,
    so it arrives in one delta at the end of its block.

    held: the first answer's calls of which that is true, by block; nothing is to be restored in the
    arguments of any other.
    """

    def __init__(self, tools: Sequence[ir.Tool | ir.HostedTool], rule: NameRule) -> None:
        self._tools, self._rule = tools, rule
        self.held: _Held = {}
        self._held_of_others: defaultdict[int, _Held] = defaultdict(dict)

    @cached_property
    def _names(self) -> ToolNames:
        """Asked for by the first call: most answers have none."""
        return ToolNames(self._tools, self._rule)

    @cached_property
    def _kinds(self) -> Mapping[tuple[str, str], ir.ToolKind]:
        custom = self._rule.custom
        return {
            (tool.namespace, tool.name): tool.kind
            for tool in self._tools
            if isinstance(tool, ir.Tool)
            and tool.kind != "function"
            and not (tool.kind == "custom" and custom)
        }

    def events(self, event: ir.Event) -> Iterable[ir.Event]:
        """`event` as the client shall see it: itself, nothing yet, or with what was held back."""
        match event:
            case ir.Started() | ir.Broken():
                return (event,)
            case ir.Other(number, inner):
                return of_other(number, self._of_answer(inner, self._held_of_others[number]))
            case _:
                return self._of_answer(event, self.held)

    def _of_answer(self, event: ir.AnswerEvent, held: _Held) -> Sequence[ir.AnswerEvent]:
        match event:
            case ir.BlockStarted(block=ir.ToolCall() as call):
                restored = self._named(call)
                if restored.kind != call.kind:
                    held[event.index] = restored.kind, [call.arguments]
                    restored = ir.replace(restored, arguments="")
                return (ir.BlockStarted(event.index, restored),)
            case ir.ArgumentsDelta() if event.index in held:
                held[event.index][1].append(event.text)
                return ()
            case ir.BlockStopped() if event.index in held:
                kind, pieces = held.pop(event.index)
                text = _unwrapped(kind, "".join(pieces))
                return (ir.ArgumentsDelta(event.index, text), event) if text else (event,)
            case _:
                return (event,)

    def response(self, response: ir.Response) -> ir.Response:
        """The same for a whole answer."""
        if not response.others and not _has_calls(response.parts):
            return response
        others = tuple(
            [ir.replace(answer, parts=self._parts(answer.parts)) for answer in response.others]
        )
        return ir.replace(response, parts=self._parts(response.parts), others=others)

    def _parts(self, parts: Iterable[ir.Part]) -> tuple[ir.Part, ...]:
        return tuple([self._part(part) for part in parts])

    def _part(self, part: ir.Part) -> ir.Part:
        if not isinstance(part, ir.ToolCall):
            return part
        restored = self._named(part)
        if restored.kind == part.kind:
            return restored
        return ir.replace(restored, arguments=_unwrapped(restored.kind, part.arguments))

    def _named(self, call: ir.ToolCall) -> ir.ToolCall:
        if call.namespace:
            return call
        namespace, name = self._names.original(call.name)
        kind = self._kinds.get((namespace, name), call.kind)
        if name == call.name and not namespace and kind == call.kind:
            return call
        return ir.replace(call, name=name, namespace=namespace, kind=kind)


def _has_calls(parts: Sequence[ir.Part]) -> bool:
    return any(isinstance(part, ir.ToolCall) for part in parts)


def _unwrapped(kind: ir.ToolKind, arguments: str) -> str:
    """What the client's tool is called with, in place of what the function was called with."""
    wrapped = try_read(arguments, _Wrapped) if kind == "custom" else None
    return arguments if wrapped is None else wrapped.input
