"""
A conversation put in order, as every target encoder starts from it.

Clients send histories that vendors refuse: results that nobody asked for, calls that were never
answered, results behind other text. What is repaired here is repaired the same way for all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from aiproxy.ir import Extras, Part, Reasoning, Request, Text, ToolCall, ToolResult, Turn

NO_RESULT = "no result recorded"
"""What the model is told of a call whose result is missing."""

_ATTRIBUTION = "x-anthropic-billing-header:"


def settled(turns: Iterable[Turn], wire: str = "") -> tuple[Turn, ...]:
    """
    The turns with adjacent equal roles merged and every tool call answered exactly once.

    wire: the target's; turns whose extras of that wire differ are not merged.
    Results stand directly behind their calls, first in the user turn and in call order. A result
    without a call becomes the user's text. Turns for the system keep their place, but never
    between a call and its result.
    """
    merged = _merged(turns, wire)
    out: list[Turn] = []
    for at, turn in enumerate(merged):
        calls = [part for part in turn.parts if isinstance(part, ToolCall)]
        if turn.role == "assistant" and calls:
            out += [turn, Turn("user", _taken_answers(calls, merged, at + 1))]
        elif turn.parts:
            out.append(_without_results(turn))
    return tuple(_merged(out, wire))


def leading_instructions(request: Request) -> tuple[tuple[Part, ...], tuple[Turn, ...]]:
    """The instructions with those of the first system turns, and the turns that follow them."""
    parts = list(request.instructions)
    for at, turn in enumerate(request.turns):
        if turn.role not in ("system", "developer"):
            return tuple(parts), request.turns[at:]
        parts += turn.parts
    return tuple(parts), ()


def is_attribution(part: Part) -> bool:
    """Whether this is what Claude Code writes among the instructions for Anthropic's books."""
    return isinstance(part, Text) and part.text.startswith(_ATTRIBUTION)


def joined_text(parts: Iterable[Part]) -> str:
    """The texts among `parts` as paragraphs, for a target that takes one string."""
    return "\n\n".join(part.text for part in parts if isinstance(part, Text) and part.text)


def plain_text(parts: Iterable[Part]) -> str:
    """The texts among `parts`, one directly behind the other."""
    return "".join(part.text for part in parts if isinstance(part, Text))


def without_proofs(request: Request) -> Request:
    """`request` with no reasoning that bears a proof, and no proof anywhere else."""
    turns = (replace(turn, parts=_unproved(turn.parts)) for turn in request.turns)
    return replace(request, turns=tuple(turn for turn in turns if turn.parts))


def reasoning_for(family: str, part: Reasoning) -> Reasoning | None:
    """`part` when its proof lets it go back to `family`, else None."""
    return part if part.proof is not None and part.proof.family == family else None


def _unproved(parts: Iterable[Part]) -> tuple[Part, ...]:
    kept: list[Part] = []
    for part in parts:
        if isinstance(part, Text | ToolCall):
            kept.append(replace(part, proof=None))
        elif not (isinstance(part, Reasoning) and part.proof is not None):
            kept.append(part)
    return tuple(kept)


def _merged(turns: Iterable[Turn], wire: str) -> list[Turn]:
    out: list[Turn] = []
    for turn in turns:
        last = out[-1] if out else None
        if (
            last is not None
            and turn.role == last.role
            and turn.role in ("user", "assistant")
            and _own(turn.extras, wire) == _own(last.extras, wire)
        ):
            extras = last.extras or turn.extras
            out[-1] = replace(last, parts=last.parts + turn.parts, extras=extras)
        else:
            out.append(turn)
    return out


def _own(extras: Extras | None, wire: str) -> Extras | None:
    return extras if extras is not None and extras.wire == wire else None


def _taken_answers(calls: Sequence[ToolCall], turns: list[Turn], start: int) -> tuple[Part, ...]:
    """The results of `calls`, taken out of the first user turn at or behind `start`."""
    results: dict[str, ToolResult] = {}
    at = next((at for at in range(start, len(turns)) if turns[at].role == "user"), None)
    if at is not None:
        wanted = {call.id for call in calls}
        rest: list[Part] = []
        for part in turns[at].parts:
            if isinstance(part, ToolResult) and part.call_id in wanted:
                results[part.call_id] = part
            else:
                rest.append(part)
        turns[at] = replace(turns[at], parts=tuple(rest))
    return tuple(_answer(call, results.get(call.id)) for call in calls)


def _answer(call: ToolCall, result: ToolResult | None) -> ToolResult:
    if result is None:
        missing = (Text(NO_RESULT),)
        return ToolResult(call.id, missing, is_error=True, name=call.name, kind=call.kind)
    return replace(result, name=call.name, kind=call.kind)


def _without_results(turn: Turn) -> Turn:
    """`turn` with the results that answer no call shown as what the user says."""
    parts: list[Part] = []
    for part in turn.parts:
        if isinstance(part, ToolResult):
            parts += _as_text(part)
        else:
            parts.append(part)
    return replace(turn, parts=tuple(parts))


def _as_text(result: ToolResult) -> list[Part]:
    label = f"[result of tool call {result.name or result.call_id}]"
    return [Text(label), *result.content]
