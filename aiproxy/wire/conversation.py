"""
A conversation put in order, as every target encoder starts from it.

Clients send histories that vendors refuse: results that nobody asked for, calls that were never
answered, results behind other text. What is repaired here is repaired the same way for all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from aiproxy.ir import Part, Reasoning, Request, Text, ToolCall, ToolResult, Turn

NO_RESULT = "no result recorded"
"""What the model is told of a call whose result is missing."""


def settled(turns: Iterable[Turn]) -> tuple[Turn, ...]:
    """
    The turns with adjacent equal roles merged and every tool call answered exactly once.

    Results stand first in the user turn behind their calls, in call order. A result without a call
    becomes the user's text. Turns for the system keep their place, but never between a call and
    its result.
    """
    merged = _merged(turns)
    out: list[Turn] = []
    at = 0
    while at < len(merged):
        turn = merged[at]
        at += 1
        calls = [part for part in turn.parts if isinstance(part, ToolCall)]
        if turn.role != "assistant" or not calls:
            out.append(_without_results(turn))
            continue
        between: list[Turn] = []
        while at < len(merged) and merged[at].role in ("system", "developer"):
            between.append(merged[at])
            at += 1
        answer = Turn("user", ())
        if at < len(merged) and merged[at].role == "user":
            answer = merged[at]
            at += 1
        out += [turn, _answered(calls, answer), *between]
    return tuple(_merged(out))


def leading_instructions(request: Request) -> tuple[tuple[Part, ...], tuple[Turn, ...]]:
    """The instructions with those of the first system turns, and the turns that follow them."""
    parts = list(request.instructions)
    for at, turn in enumerate(request.turns):
        if turn.role not in ("system", "developer"):
            return tuple(parts), request.turns[at:]
        parts += turn.parts
    return tuple(parts), ()


def joined_text(parts: Iterable[Part]) -> str:
    """The texts among `parts` as paragraphs, for a target that takes one string."""
    return "\n\n".join(part.text for part in parts if isinstance(part, Text) and part.text)


def plain_text(parts: Iterable[Part]) -> str:
    """The texts among `parts`, one directly behind the other."""
    return "".join(part.text for part in parts if isinstance(part, Text))


def reasoning_for(family: str, part: Reasoning) -> Reasoning | None:
    """`part` when its proof lets it go back to `family`, else None."""
    return part if part.proof is not None and part.proof.family == family else None


def _merged(turns: Iterable[Turn]) -> list[Turn]:
    out: list[Turn] = []
    for turn in turns:
        last = out[-1] if out else None
        if (
            last is not None
            and turn.role == last.role
            and turn.role in ("user", "assistant")
            and turn.extras == last.extras
        ):
            out[-1] = replace(last, parts=last.parts + turn.parts)
        else:
            out.append(turn)
    return out


def _answered(calls: Sequence[ToolCall], turn: Turn) -> Turn:
    """The user turn behind `calls`: their results in order, then whatever else it holds."""
    results = {part.call_id: part for part in turn.parts if isinstance(part, ToolResult)}
    wanted = {call.id for call in calls}
    answers = tuple(_answer(call, results.get(call.id)) for call in calls)
    rest = tuple(
        part for part in turn.parts if not (isinstance(part, ToolResult) and part.call_id in wanted)
    )
    return _without_results(replace(turn, parts=rest), before=answers)


def _answer(call: ToolCall, result: ToolResult | None) -> ToolResult:
    if result is None:
        missing = (Text(NO_RESULT),)
        return ToolResult(call.id, missing, is_error=True, name=call.name, kind=call.kind)
    return replace(result, name=result.name or call.name, kind=call.kind)


def _without_results(turn: Turn, before: tuple[Part, ...] = ()) -> Turn:
    """`turn` with the results that answer no call shown as what the user says."""
    parts: list[Part] = []
    for part in turn.parts:
        if isinstance(part, ToolResult):
            parts += _as_text(part)
        else:
            parts.append(part)
    return replace(turn, parts=before + tuple(parts))


def _as_text(result: ToolResult) -> list[Part]:
    label = f"[result of tool call {result.name or result.call_id}]"
    return [Text(label), *(part for part in result.content)]
