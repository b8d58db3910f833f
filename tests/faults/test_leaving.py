"""A client that leaves takes its upstream's connection with it, whatever the call is doing."""

from __future__ import annotations

import sys

from tests.faults.leaving import CONFIG, Leaving
from tests.faults.world import blackhole
from tests.integration.cases import ProgramCase, outside, reactor
from tests.integration.http import get


class LeavingTests(ProgramCase):
    @outside
    async def test_every_phase(self) -> None:
        """The upstream sees the end before any clock of ours could have run out; none counts."""
        if not sys.platform.startswith("linux"):
            raise self.skipTest("full queues and /proc are Linux's")
        server, url = self.server()
        with blackhole() as port:
            program = await self.start(CONFIG.format(url=url, blackhole=port))
            phases = Leaving(program, server, port, reactor).phases()
            seen = [phase async for phase, _ in phases]
        self.assertEqual(len(seen), 19)
        self.assertEqual((await get(program.url + "/unavailable-models")).json, [])
        await program.stop()
        outcomes = [
            line.partition("outcome=")[2].split()[0]
            for line in program.output().splitlines()
            if "outcome=" in line and "refused" not in line
        ]
        self.assertEqual(outcomes, ["left"] * len(seen))
