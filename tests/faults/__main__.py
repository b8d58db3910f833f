"""
Tries every row of the table, and prints what was seen: `make faults`, or `python -m tests.faults`.

Arguments are names of rows. The exit status is 1 when something was not as due.
"""

from __future__ import annotations

import sys
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import react

from tests.faults.page import shown
from tests.faults.running import Outcome, outcomes
from tests.faults.table import ROWS, Row
from tests.faults.world import running

_LINE = "{:<46} {:<10} {:<10} {:<10} {:<8} {}"


def line(row: Row, found: list[Outcome]) -> str:
    """One row, as it is due, and how many cells were so."""
    good = sum(not outcome.complaints() for outcome in found)
    columns = (shown(row.streamed), shown(row.whole), shown(row.rescued))
    return _LINE.format(row.what, *columns, row.breaker, f"{good}/{len(found)}")


async def tell(names: list[str]) -> None:
    complaints: list[str] = []
    cells = 0
    print(_LINE.format("fault", "streamed", "whole", "rescued", "breaker", "as due"))
    for row in ROWS:
        if names and row.name not in names:
            continue
        found = await outcomes(running("build/faults"), row)
        print(line(row, found), flush=True)
        cells += len(found)
        complaints += [complaint for outcome in found for complaint in outcome.complaints()]
    print(*complaints, sep="\n")
    print(f"{cells} cells, {len(complaints)} not as due")
    if complaints:
        raise SystemExit(1)


def main(reactor: Any, *names: str) -> Deferred[None]:
    return Deferred.fromCoroutine(tell(list(names)))


react(main, sys.argv[1:])
