"""
Runs aiproxy in front of the simulator, both as processes of their own, and counts.

    python -m tests.soak [--minutes 10] [--clients 24]

Fails when an answer was wrong, a stream or connection stays open, memory grows, the log holds a
traceback or an unhandled error, or the two sides have counted different numbers of attempts.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import LoopingCall, deferLater, react

from tests.integration.cases import upstream
from tests.integration.http import get
from tests.integration.program import Program, SimulatorProcess
from tests.soak.traffic import Client, Tally

_WARM_UP = 0.25
"""The part of the run after which memory counts."""

_GROWTH = 1.05
_RELOAD_SECONDS = 5.0
_SAMPLE_SECONDS = 2.0
_REST_SECONDS = 30.0
"""For all that is left over to end."""

_ATTEMPTS = re.compile(r" access .* attempts=(\d+) ")
_TROUBLE = re.compile(r"Traceback|Unhandled|critical|failed inside aiproxy")


class Soak:
    def __init__(self, reactor: Any, folder: str, seconds: float, clients: int) -> None:
        self._reactor = reactor
        self._seconds = seconds
        self._clients = clients
        self._tally = Tally()
        self._memory: list[tuple[float, int]] = []
        self._reloads = 0
        self._simulator = SimulatorProcess(folder)
        self._program = Program(folder, self._config())

    def _config(self) -> str:
        """Another one each time: weights change, and with them the order of upstreams."""
        chosen = random.Random(self._reloads)
        upstreams = "".join(
            upstream(name, self._simulator.url, name, f"weight: {chosen.randint(1, 5)}")
            for name in ("anthropic", "openai", "responses", "gemini")
        )
        timeouts = "timeouts: {headers: 5, first_event: 5, idle: 5}\n"
        return f"keepalive: 0.5\nmax_concurrent_requests: 1000\n{timeouts}upstreams:\n{upstreams}"

    async def run(self) -> list[str]:
        """What is wrong."""
        await self._program.ready()
        began = self._reactor.seconds()
        end = began + self._seconds
        sampling, reloading = LoopingCall(self._sample), LoopingCall(self._reload)
        sampling.start(_SAMPLE_SECONDS)
        reloading.start(_RELOAD_SECONDS, now=False)
        await gatherResults(
            [Deferred.fromCoroutine(self._client(seed, end)) for seed in range(self._clients)]
        )
        reloading.stop()
        problems = [*self._tally.wrong, *await self._leftovers()]
        sampling.stop()
        status = await self._program.stop()
        output = self._program.output()
        received = (await get(self._simulator.url + "/_simulator/requests")).json
        await self._simulator.stop()
        if status != 0:
            problems.append(f"exit status {status}")
        problems += [f"log: {line}" for line in output.splitlines() if _TROUBLE.search(line)]
        attempts = sum(int(found) for found in _ATTEMPTS.findall(output))
        if attempts != received["received"]:
            problems.append(f"{attempts} attempts here, {received['received']} at the upstream")
        if received["connections"] != 1 or received["streams"]:
            problems.append(f"{received['connections'] - 1} connections stay open after the end")
        problems += self._growth(began)
        print(f"calls: {dict(self._tally.outcomes)}")
        print(f"attempts: {attempts}; reloads: {output.count(' loaded: ')} of {self._reloads}")
        return problems

    async def _client(self, seed: int, end: float) -> None:
        client = Client(self._program.url, seed, self._tally)
        while self._reactor.seconds() < end:
            await client.call()

    async def _leftovers(self) -> list[str]:
        """When nobody calls any more, nothing may run at the upstream either."""
        for _ in range(int(_REST_SECONDS)):
            seen = (await get(self._simulator.url + "/_simulator/requests")).json
            if not seen["streams"]:
                return []
            await deferLater(self._reactor, 1.0)
        return [f"{seen['streams']} streams stay open at the upstream"]

    def _sample(self) -> None:
        status = Path(f"/proc/{self._program.pid}/status").read_text()
        kilobytes = int(status.partition("VmRSS:")[2].split()[0])
        self._memory.append((self._reactor.seconds(), kilobytes))

    def _reload(self) -> None:
        self._reloads += 1
        self._program.write(self._config())

    def _growth(self, began: float) -> list[str]:
        """The median of the last tenth against that of the first tenth after the warm-up."""
        warm = [size for when, size in self._memory if when - began >= self._seconds * _WARM_UP]
        part = max(1, len(warm) // 10)
        first, last = (sorted(sizes)[part // 2] for sizes in (warm[:part], warm[-part:]))
        print(f"memory: {first} KiB after the warm-up, {last} KiB at the end")
        if last <= first * _GROWTH:
            return []
        return [f"memory has grown from {first} to {last} KiB"]


async def main(reactor: Any, *arguments: str) -> None:
    parser = argparse.ArgumentParser(prog="tests.soak", description="A long run of mixed traffic.")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--clients", type=int, default=24)
    options = parser.parse_args(arguments)
    soak = Soak(reactor, "build/soak", options.minutes * 60, options.clients)
    problems = await soak.run()
    for problem in problems[:50]:
        print(f"WRONG: {problem}")
    if problems:
        raise SystemExit(f"{len(problems)} problems")
    print("all is well")


if __name__ == "__main__":
    react(lambda reactor, *words: Deferred.fromCoroutine(main(reactor, *words)), sys.argv[1:])
