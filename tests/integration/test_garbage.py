"""Whether calls leave anything to the garbage collector, which the program lets run seldom."""

from __future__ import annotations

import signal

from tests.integration.cases import WIRES, ProgramCase, body, outside, path, upstream
from tests.integration.http import post
from tests.integration.program import Program

API_TYPES = ("anthropic", "openai", "responses", "gemini")

COLLECTS = """
import collections, gc, signal
gc.disable()
def collect(*_):
    gc.set_debug(gc.DEBUG_SAVEALL)
    gc.collect()
    kinds = (f"{type(one).__module__}.{type(one).__qualname__}" for one in gc.garbage)
    ours = collections.Counter(kind for kind in kinds if kind.startswith("aiproxy."))
    gc.garbage.clear()
    print("left:", sorted(ours.items()), flush=True)
signal.signal(signal.SIGUSR1, collect)
"""
"""Collects only when told, and says what there was of the package's own."""


class GarbageTests(ProgramCase):
    @outside
    async def test_calls(self) -> None:
        """Calls of all pairs, whole and streamed, free all their objects as they end."""
        await self.call("echo", 200)

    @outside
    async def test_failures(self) -> None:
        """The same of calls that fail at their first upstream and then at the other."""
        for behaviour, status in (("error-500", 502), ("error-400", 400), ("error-401", 502)):
            await self.call(behaviour, status)

    @outside
    async def test_cut(self) -> None:
        """The same of calls whose upstream breaks off after it has begun."""
        await self.call("cut", 200, streams=(True,))

    @outside
    async def test_refusals(self) -> None:
        """The same of requests that are refused here."""
        program = await self.program("echo")
        for wire in WIRES:
            await post(program.url + path(wire, "nobody-has-it"), body(wire, "nobody-has-it"))
            await post(program.url + path(wire, "anthropic-echo"), {"model": 7, "messages": "no"})
        await self.left_nothing(program)

    async def call(
        self, behaviour: str, status: int, streams: tuple[bool, ...] = (False, True)
    ) -> None:
        """All pairs, and then a look at what is left."""
        program = await self.program(behaviour)
        for wire in WIRES:
            for api_type in API_TYPES:
                for stream in streams:
                    model = f"{api_type}-{behaviour}"
                    answer = await post(
                        program.url + path(wire, model, stream=stream),
                        body(wire, model, stream=stream),
                    )
                    self.assertEqual(answer.status, status, f"{wire} {model} {stream}")
        await self.left_nothing(program)

    async def program(self, behaviour: str) -> Program:
        """Two upstreams for each model."""
        _, url = self.simulator()
        return await self.start(
            "circuit_breaker: {failures: 1000}\nupstreams:\n"
            + "".join(
                upstream(
                    f"{api_type}-{n}", url, api_type, f"available_models: [{api_type}-{behaviour}]"
                )
                for api_type in API_TYPES
                for n in (1, 2)
            ),
            first=COLLECTS,
        )

    async def left_nothing(self, program: Program) -> None:
        program.signal(signal.SIGUSR1)

        async def has_told() -> bool:
            return "left:" in program.output()

        await self.eventually(has_told)
        self.assertIn("left: []\n", program.output())
