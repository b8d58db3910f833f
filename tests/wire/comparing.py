"""Two readings of one answer, made comparable: what says the same in another way is made equal."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from aiproxy import ir
from tests.wire.views import each_answer, object_arguments, one_message


def comparable(wire: str, response: ir.Response) -> ir.Response:
    """
    An answer that a wire's decoder read, without what says the same in another way.

    Arguments of calls are what they mean, in the order of their keys. A stream shows in which order
    Chat's fields came. On Anthropic's wire a call's proof is an empty thought beside the call.
    """
    return ir.replace(each_answer(response, lambda one: _comparable(wire, one)), extras=None)


def _comparable(wire: str, response: ir.Response) -> ir.Response:
    own = tuple(_meant(part) for part in response.parts)
    response = ir.replace(response, parts=own)
    if wire == "chat":
        return one_message(response, frozenset())
    if wire == "anthropic":
        return ir.replace(response, parts=_with_call_proofs(own))
    return response


def _meant(part: ir.Part) -> ir.Part:
    if isinstance(part, ir.Text | ir.Reasoning | ir.ToolCall | ir.Media):
        part = ir.replace(part, extras=None)
    if isinstance(part, ir.ToolCall) and part.kind == "function":
        return ir.replace(part, arguments=_meaning(part.arguments))
    return part


def _meaning(arguments: str) -> str:
    try:
        value: Any = json.loads(arguments)
    except ValueError:
        return arguments
    return json.dumps(value)


def _with_call_proofs(parts: Sequence[ir.Part]) -> tuple[ir.Part, ...]:
    out: list[ir.Part] = []
    for part in parts:
        last = out[-1] if out else None
        if isinstance(part, ir.ToolCall) and part.proof is None and _signs_call(last, late=False):
            assert isinstance(last, ir.Reasoning)
            out[-1] = ir.replace(part, proof=last.proof)
        elif isinstance(last, ir.ToolCall) and last.proof is None and _signs_call(part, late=True):
            assert isinstance(part, ir.Reasoning)
            assert part.proof is not None
            out[-1] = ir.replace(last, proof=ir.replace(part.proof, redacted=False))
        else:
            out.append(part)
    return tuple(out)


def _signs_call(part: ir.Part | None, *, late: bool) -> bool:
    return (
        isinstance(part, ir.Reasoning)
        and not part.text
        and part.proof is not None
        and part.proof.family == "gemini"
        and part.proof.redacted == late
    )


def with_objects(reply: ir.Reply) -> ir.Reply:
    """`reply` with arguments that are objects, however they were cut."""
    if not isinstance(reply, ir.Response):
        return reply
    parts = (
        object_arguments(part) if isinstance(part, ir.ToolCall) else part for part in reply.parts
    )
    return ir.replace(reply, parts=tuple(parts))
