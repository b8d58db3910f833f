"""Runs a whole row of the table."""

from __future__ import annotations

from dataclasses import dataclass, replace

from twisted.internet.defer import Deferred, DeferredSemaphore, gatherResults
from twisted.internet.threads import deferToThread

from tests.faults.cells import Trial, tried
from tests.faults.table import Breaker, Refused, Row, Seen
from tests.faults.world import Cell, Running, cells
from tests.integration.http import get

_SIMULATED = ("usual", "hasty")
_DEAD = ("reset", "cut-head")


@dataclass(frozen=True, slots=True)
class Outcome:
    """asked: how often the simulator was asked for the lone upstream's model."""

    cell: Cell
    trial: Trial
    breaker: Breaker
    asked: int

    def complaints(self) -> list[str]:
        """Where it is not what the row demands."""
        row = self.cell.row.due(self.cell.wire, self.cell.api_type)
        trial = self.trial
        compared = (
            ("streamed", row.streamed, trial.streamed),
            ("whole", row.whole, trial.whole),
            ("rescued", row.rescued, trial.rescued),
            ("breaker", row.breaker, self.breaker),
        )
        found = [
            f"{self.cell.alone}, {what}: {now}, not {due}"
            for what, due, now in compared
            if not _is_due(due, now)
        ]
        due = row.streamed.attempts + row.whole.attempts
        # A kept connection that turns out to be dead is no attempt: the request is sent again.
        most = due * (2 if row.name in _DEAD else 1)
        # A busy simulator may come to hear of a call only after its short clocks have run out.
        least = 0 if row.place == "hasty" else due
        if row.place in _SIMULATED and not found and not least <= self.asked <= most:
            found.append(f"{self.cell.alone}: asked {self.asked} times, not {due}")
        return found


def _is_due(due: Seen | str, now: Seen | str) -> bool:
    # Not every dialect, on either side, has these statuses.
    if isinstance(due, Refused) and due.status in (413, 422):
        return now in (due, replace(due, status=400))
    return due == now


async def outcomes(running: Running, row: Row) -> list[Outcome]:
    """The row for all clients and all upstreams, at the same time."""
    program = await running.program.ready()
    here = list(cells(row))
    room = DeferredSemaphore(row.at_once)
    trials: list[Trial] = await gatherResults(
        [room.run(_tried, program.url, cell) for cell in here], consumeErrors=True
    )
    resting = (await get(program.url + "/unavailable-models")).json
    is_open = {(pair["upstream_name"], pair["model_name"]) for pair in resting}
    asked = await deferToThread(running.world.calls)
    return [
        Outcome(cell, trial, _breaker(cell, trial, is_open), asked.get(cell.alone, 0))
        for cell, trial in zip(here, trials, strict=True)
    ]


def _tried(url: str, cell: Cell) -> Deferred[Trial]:
    return Deferred.fromCoroutine(tried(url, cell))


def _breaker(cell: Cell, trial: Trial, is_open: set[tuple[str, str]]) -> Breaker:
    if (cell.upstream, cell.alone) in is_open:
        return "open"
    # Nobody was asked although no breaker is open.
    return "resting" if getattr(trial.whole, "attempts", 1) == 0 else "closed"
