"""Configurations that change a hundred times while clients are served: nobody notices."""

from __future__ import annotations

import signal

from twisted.internet.defer import ensureDeferred, gatherResults
from twisted.internet.task import deferLater

from tests.integration.cases import WIRES, ProgramCase, body, outside, path, reactor, upstream
from tests.integration.http import post
from tests.integration.program import Program

RELOADS = 100


class ReloadTests(ProgramCase):
    timeout = 120

    @outside
    async def test_under_load(self) -> None:
        """Upstreams come, go and change their weights and names; no call fails."""
        first, here = self.simulator()
        second, there = self.simulator()

        def config(number: int) -> str:
            url = (here, there)[number % 2]
            return (
                "api-key: client-key-canary\nupstreams:\n"
                + upstream("steady", here, "openai", f"weight: {1 + number % 3}")
                + upstream(f"u{number}", url, ("anthropic", "gemini")[number % 2])
            )

        program = await self.start(config(0))
        self.is_over = False
        clients = [ensureDeferred(self.client(program, wire)) for wire in WIRES]
        for number in range(1, RELOADS + 1):
            program.write(config(number))
            program.signal(signal.SIGHUP)
            await self.loaded(program, number)
        self.is_over = True
        calls = sum(await gatherResults(clients))
        self.assertGreater(calls, len(WIRES) * 10)
        self.assertTrue(all(simulator.record.requests for simulator in (first, second)))
        self.assertNotIn("Traceback", program.output())

    async def loaded(self, program: Program, times: int) -> None:
        """Return when so many changes are in force."""
        while program.output().count(" loaded: ") < times:
            await deferLater(reactor, 0.01)

    async def client(self, program: Program, wire: str) -> int:
        """Asks until it is told to end; gives the number of its calls."""
        calls = 0
        while not self.is_over:
            for stream in (True, False):
                answer = await post(
                    program.url + path(wire, "echo", stream=stream),
                    body(wire, "echo", "words to the end", stream=stream),
                    {"authorization": "Bearer client-key-canary"},
                )
                self.assertEqual(answer.status, 200, answer.data)
                self.assertTrue(answer.is_complete)
                self.assertIn(b"end", answer.data)
                calls += 1
        return calls
