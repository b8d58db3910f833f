"""
Tool calls on their way back to the client, in the client's own terms.

A target may have been given shortened names, joined name spaces, and functions in place of tools of
other kinds (see `names`). All of that is undone here, between a decoder and an encoder.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
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
    """

    def __init__(self, tools: Iterable[ir.Tool | ir.HostedTool], rule: NameRule) -> None:
        own = [tool for tool in tools if isinstance(tool, ir.Tool)]
        self._names = ToolNames(own, rule)
        self._kinds: dict[tuple[str, str], ir.ToolKind] = {
            (tool.namespace, tool.name): tool.kind
            for tool in own
            if tool.kind != "function" and not (tool.kind == "custom" and rule.custom)
        }
        self._held: defaultdict[int, _Held] = defaultdict(dict)

    def events(self, event: ir.Event) -> Iterable[ir.Event]:
        """`event` as the client shall see it: itself, nothing yet, or with what was held back."""
        match event:
            case ir.Started() | ir.Broken():
                return (event,)
            case ir.Other(number, inner):
                return of_other(number, self._of_answer(inner, self._held[number]))
            case _:
                return self._of_answer(event, self._held[0])

    def _of_answer(self, event: ir.AnswerEvent, held: _Held) -> Iterator[ir.AnswerEvent]:
        match event:
            case ir.BlockStarted(block=ir.ToolCall() as call):
                restored = self._named(call)
                if restored.kind != call.kind:
                    held[event.index] = restored.kind, [call.arguments]
                    restored = ir.replace(restored, arguments="")
                yield ir.replace(event, block=restored)
            case ir.ArgumentsDelta() if event.index in held:
                held[event.index][1].append(event.text)
            case ir.BlockStopped() if event.index in held:
                kind, pieces = held.pop(event.index)
                text = _unwrapped(kind, "".join(pieces))
                if text:
                    yield ir.ArgumentsDelta(event.index, text)
                yield event
            case _:
                yield event

    def response(self, response: ir.Response) -> ir.Response:
        """The same for a whole answer."""
        others = tuple(
            ir.replace(answer, parts=self._parts(answer.parts)) for answer in response.others
        )
        return ir.replace(response, parts=self._parts(response.parts), others=others)

    def _parts(self, parts: Iterable[ir.Part]) -> tuple[ir.Part, ...]:
        return tuple(self._part(part) for part in parts)

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
        return ir.replace(call, name=name, namespace=namespace, kind=kind)


def _unwrapped(kind: ir.ToolKind, arguments: str) -> str:
    """What the client's tool is called with, in place of what the function was called with."""
    wrapped = try_read(arguments, _Wrapped) if kind == "custom" else None
    return arguments if wrapped is None else wrapped.input
