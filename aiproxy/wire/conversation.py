"""
A conversation put in order, as every target encoder starts from it.

Clients send histories that vendors refuse: results that nobody asked for, calls that were never
answered, results behind other text. What is repaired here is repaired the same way for all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TypedDict

from aiproxy import ir
from aiproxy.ir import Extras, Part, Reasoning, Request, Text, ToolCall, ToolResult, Turn
from aiproxy.wire.jsontext import try_read
from aiproxy.wire.losses import Losses

NO_RESULT = "no result recorded"
"""What the model is told of a call whose result is missing."""

_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_SESSION = re.compile(rf"(?:^|_)session_({_UUID.pattern})\Z")

ATTRIBUTION = "x-anthropic-billing-header:"


def settled(turns: Iterable[Turn], wire: str = "") -> tuple[Turn, ...]:
    """
    The turns with adjacent equal roles merged and every tool call answered exactly once.

    wire: the target's; turns whose extras of that wire differ are not merged.
    Results stand directly behind their calls, first in the user turn and in call order. A result
    without a call becomes the user's text. Turns for the system keep their place, but never
    between a call and its result.
    """
    merged = _merged(turns, wire)
    if all(turn.parts and not _has_tools(turn) for turn in merged):
        return tuple(merged)
    out: list[Turn] = []
    for turn, offer in zip(merged, _offers(merged), strict=True):
        calls = [part for part in turn.parts if isinstance(part, ToolCall)]
        if turn.role == "assistant" and calls:
            out += [turn, Turn("user", offer.take(calls))]
        elif turn.role == "user":
            out.append(_without_results(offer.rest(turn)))
        else:
            out.append(_without_results(turn))
    return tuple(_merged([turn for turn in out if turn.parts], wire))


def leading_instructions(
    request: Request, losses: Losses | None = None
) -> tuple[tuple[Part, ...], tuple[Turn, ...]]:
    """
    The instructions with those of the first system turns, and the turns that follow them.

    losses: told of what those turns bear besides, such as a name; no target has a place for it.
    """
    parts = list(request.instructions)
    for at, turn in enumerate(request.turns):
        if turn.role not in ("system", "developer"):
            return tuple(parts), request.turns[at:]
        if losses is not None:
            losses.extras("", turn.extras)
        parts += turn.parts
    return tuple(parts), ()


def session_of(request: Request) -> str:
    """
    What names the client's conversation from its first turn to its last, "" when nothing does.

    The key for the prompt cache, or the session that Claude Code tells within its user's id.
    """
    return request.cache_key or session_in(request.user)


class _User(TypedDict):
    """Newer Claude Codes write JSON text; what else is in it names devices and accounts."""

    session_id: str


def session_in(user_id: str) -> str:
    """
    The session that Claude Code tells within Anthropic's `metadata.user_id`, "" when it does not.

    Shapes: "user_HEX_account_UUID_session_UUID", {"device_id", "account_uuid", "session_id": UUID}.
    Only UUIDs count. Any other name may be the user's own, or be used again and again, and would
    join conversations that have nothing in common; without a name their beginning parts them.
    Source: Claude Code 2.1 and its older versions.
    """
    found = _SESSION.search(user_id)
    if found is not None:
        return found[1]
    user = try_read(user_id, _User)
    return user["session_id"] if user is not None and _UUID.fullmatch(user["session_id"]) else ""


def is_attribution(part: Part) -> bool:
    """Whether this is what Claude Code writes among the instructions for Anthropic's books."""
    return isinstance(part, Text) and part.text.startswith(ATTRIBUTION)


def joined_text(parts: Iterable[Part]) -> str:
    """The texts among `parts` as paragraphs, for a target that takes one string."""
    return "\n\n".join(part.text for part in parts if isinstance(part, Text) and part.text)


def plain_text(parts: Iterable[Part]) -> str:
    """The texts among `parts`, one directly behind the other."""
    return "".join(part.text for part in parts if isinstance(part, Text))


def without_proofs(request: Request) -> Request:
    """`request` with no reasoning that bears a proof, and no proof anywhere else."""
    turns = (ir.replace(turn, parts=_unproved(turn.parts)) for turn in request.turns)
    return ir.replace(request, turns=tuple(turn for turn in turns if turn.parts))


def reasoning_for(family: str, part: Reasoning) -> Reasoning | None:
    """`part` when its proof lets it go back to `family`, else None."""
    return part if part.proof is not None and part.proof.family == family else None


def _unproved(parts: Iterable[Part]) -> tuple[Part, ...]:
    kept: list[Part] = []
    for part in parts:
        if isinstance(part, Text | ToolCall):
            kept.append(ir.replace(part, proof=None))
        elif not (isinstance(part, Reasoning) and part.proof is not None):
            kept.append(part)
    return tuple(kept)


def _has_tools(turn: Turn) -> bool:
    """Whether something is called or answered in it."""
    return any(isinstance(part, (ToolCall, ToolResult)) for part in turn.parts)


def _merged(turns: Iterable[Turn], wire: str) -> list[Turn]:
    runs: list[list[Turn]] = []
    for turn in turns:
        last = runs[-1][0] if runs else None
        if (
            last is not None
            and turn.role == last.role
            and turn.role in ("user", "assistant")
            and _own(turn.extras, wire) == _own(last.extras, wire)
        ):
            runs[-1].append(turn)
        else:
            runs.append([turn])
    return [run[0] if len(run) == 1 else _joined(run) for run in runs]


def _joined(run: Sequence[Turn]) -> Turn:
    """The turns as one: its parts are put together at once, for there may be thousands."""
    extras = next((turn.extras for turn in run if turn.extras is not None), None)
    return Turn(run[0].role, tuple([part for turn in run for part in turn.parts]), extras)


def _own(extras: Extras | None, wire: str) -> Extras | None:
    return extras if extras is not None and extras.wire == wire else None


class _Offer:
    """The results in one user turn, for the calls before it."""

    def __init__(self, parts: Iterable[Part]) -> None:
        self._results = {part.call_id: part for part in parts if isinstance(part, ToolResult)}
        self._taken: set[str] = set()

    def take(self, calls: Iterable[ToolCall]) -> tuple[Part, ...]:
        """The answers of `calls`, which nobody else gets."""
        answers = tuple([_answer(call, self._results.get(call.id)) for call in calls])
        for answer in answers:
            self._taken.add(answer.call_id)
            self._results.pop(answer.call_id, None)
        return answers

    def rest(self, turn: Turn) -> Turn:
        """`turn` without what was taken."""
        if not self._taken:
            return turn
        kept = [
            part
            for part in turn.parts
            if not (isinstance(part, ToolResult) and part.call_id in self._taken)
        ]
        return Turn(turn.role, tuple(kept), turn.extras)


def _offers(turns: Sequence[Turn]) -> list[_Offer]:
    """For each turn what the first user turn at or behind it has to offer."""
    offers: list[_Offer] = []
    offer = _Offer(())
    for turn in reversed(turns):
        if turn.role == "user":
            offer = _Offer(turn.parts)
        offers.append(offer)
    return offers[::-1]


def _answer(call: ToolCall, result: ToolResult | None) -> ToolResult:
    if result is None:
        missing = (Text(NO_RESULT),)
        return ToolResult(call.id, missing, is_error=True, name=call.name, kind=call.kind)
    if result.name == call.name and result.kind == call.kind:
        return result
    return ir.replace(result, name=call.name, kind=call.kind)


def _without_results(turn: Turn) -> Turn:
    """`turn` with the results that answer no call shown as what the user says."""
    if not [part for part in turn.parts if isinstance(part, ToolResult)]:
        return turn
    parts: list[Part] = []
    for part in turn.parts:
        if isinstance(part, ToolResult):
            parts += _as_text(part)
        else:
            parts.append(part)
    return Turn(turn.role, tuple(parts), turn.extras)


def _as_text(result: ToolResult) -> list[Part]:
    label = f"[result of tool call {result.name or result.call_id}]"
    return [Text(label), *result.content]
