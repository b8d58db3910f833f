"""Several answers to one request: which number each has, and which of them the client wants."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol, TypeVar

from aiproxy import ir
from aiproxy.wire.losses import Losses

MOST = 128
"""OpenAI gives no more to one request, and nobody gives so many."""


class Numbered(Protocol):
    @property
    def index(self) -> int | None: ...


A = TypeVar("A", bound=Numbered)


def numbered(answers: Sequence[A]) -> Iterable[tuple[int, A]]:
    """
    Each answer of a message with its number, below `MOST`.

    One that tells no number has the first that is free: many vendors number a single answer not at
    all, and Google leaves out a 0.
    """
    if len(answers) == 1 and not answers[0].index:
        return ((0, answers[0]),)
    return _several(answers)


def _several(answers: Sequence[A]) -> Iterator[tuple[int, A]]:
    seen: set[int] = set()
    free = 0
    for answer in answers:
        while free in seen:
            free += 1
        number = free if answer.index is None else answer.index
        if 0 <= number < MOST and number not in seen:
            seen.add(number)
            yield number, answer


def of_other(number: int, events: Iterable[ir.AnswerEvent]) -> Iterator[ir.Other]:
    """The events of one answer as those of a further one."""
    return (ir.Other(number, event) for event in events)


def wanted(
    response: ir.Response, request: ir.Request | None, losses: Losses
) -> Sequence[ir.Answer]:
    """
    The further answers for which the client has asked; more of them would only confuse it.

    request: None when that is not known.
    """
    most = MOST if request is None else request.answers
    if any(answer.number >= most for answer in response.others):
        losses.dropped("candidates")
    return [answer for answer in response.others if answer.number < most]
