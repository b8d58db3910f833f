"""Whether calls leave anything to the garbage collector, which the program lets run seldom."""

from __future__ import annotations

import signal

from tests.integration.cases import WIRES, ProgramCase, body, outside, path, upstream
from tests.integration.http import post

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
        _, url = self.simulator()
        program = await self.start(
            "upstreams:\n"
            + "".join(
                upstream(api_type, url, api_type, f"available_models: [{api_type}-echo]")
                for api_type in API_TYPES
            ),
            first=COLLECTS,
        )
        for wire in WIRES:
            for api_type in API_TYPES:
                for stream in (False, True):
                    model = f"{api_type}-echo"
                    answer = await post(
                        program.url + path(wire, model, stream=stream),
                        body(wire, model, stream=stream),
                    )
                    self.assertEqual(answer.status, 200, f"{wire} {api_type} {stream}")
        program.signal(signal.SIGUSR1)

        async def has_told() -> bool:
            return "left:" in program.output()

        await self.eventually(has_told)
        self.assertIn("left: []\n", program.output())
