"""
Tries every row of the table, and prints what was seen: `make faults`, or `python -m tests.faults`.

Arguments are names of rows. The exit status is 1 when something was not as due.
"""

from __future__ import annotations

import sys
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import react

from tests.faults.leaving import CONFIG, Leaving
from tests.faults.page import shown
from tests.faults.running import Outcome, outcomes
from tests.faults.table import ROWS, Row
from tests.faults.world import blackhole, running
from tests.integration.program import Program
from tests.upstream.servers import Server

_LINE = "{:<46} {:<10} {:<10} {:<10} {:<8} {}"


def line(row: Row, found: list[Outcome]) -> str:
    """One row, as it is due, and how many cells were so."""
    good = sum(not outcome.complaints() for outcome in found)
    columns = (shown(row.streamed), shown(row.whole), shown(row.rescued))
    return _LINE.format(row.what, *columns, row.breaker, f"{good}/{len(found)}")


async def leaving(reactor: Any) -> None:
    """How soon upstreams hear of clients that leave."""
    server = Server()
    url = server.listen(reactor)
    with blackhole() as port:
        program = Program("build/faults/leaving", CONFIG.format(url=url, blackhole=port))
        phases = Leaving(await program.ready(), server, port, reactor).phases()
        seen = sorted([(seconds, phase) async for phase, seconds in phases], reverse=True)
    program.kill()
    await server.stop()
    print(f"\na client leaves, {len(seen)} phases; the upstream's connection is gone after")
    for seconds, phase in seen:
        print(f"{seconds * 1000:8.1f} ms  {phase}")


async def tell(reactor: Any, names: list[str]) -> None:
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
    await leaving(reactor)
    if complaints:
        raise SystemExit(1)


def main(reactor: Any, *names: str) -> Deferred[None]:
    return Deferred.fromCoroutine(tell(reactor, list(names)))


react(main, sys.argv[1:])
