"""
One aiproxy with one upstream of each api_type, all simulated: for tests that change nothing in it.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from aiproxy import ir
from aiproxy.providers import PROVIDERS
from aiproxy.simulator.sides import kiro_wire
from aiproxy.wire import INBOUND
from aiproxy.wire.contract import Inbound
from tests.integration import logins
from tests.integration.cases import API_TYPES, WIRES
from tests.integration.program import Program, SimulatorProcess

BEHAVIOURS = (
    "echo",
    "long",
    "thinking",
    "tool",
    "tools",
    "thinking-tool",
    "thinking-tools",
    "image",
    "json",
    "max-tokens",
    "error-400",
    "error-401",
    "error-404",
    "error-429",
    "error-500",
    "error-529",
    "context-too-long",
    "cut",
    "broken",
    "unfinished",
    "tool-cut",
)

KEY = "client-key-canary"

_WIRES: Mapping[str, Inbound] = {**INBOUND, kiro_wire.NAME: kiro_wire}
"""As the simulator reads them."""


@dataclass(frozen=True)
class World:
    """A simulator, and an aiproxy with an upstream of each api_type in it."""

    simulator: SimulatorProcess
    program: Program

    def latest_request(self) -> ir.Request:
        """What an upstream has received last."""
        with urllib.request.urlopen(f"{self.simulator.url}/_simulator/requests") as reply:
            requests = json.load(reply)["requests"]
        seen = next(one for one in reversed(requests) if logins.is_call(one["path"]))
        side = seen["path"].split("/")[1]
        if side in logins.API_TYPES:
            wire = _WIRES[PROVIDERS[side].wire]
            body, path = logins.inner_call(side, seen["body"].encode())
            return wire.decode_request(body, path or wire.ROUTES[0])
        for wire in INBOUND.values():
            start = wire.ROUTES[0].partition("<")[0]
            if seen["path"].startswith(start):
                return wire.decode_request(seen["body"].encode(), seen["path"])
        raise AssertionError(seen["path"])


def config(simulator: str, folder: Path) -> str:
    """Models are called API_TYPE-BEHAVIOUR-CLIENT, each served by one upstream only."""
    lines = [f"api-key: {KEY}", "circuit_breaker: {failures: 1000}", "upstreams:"]
    for api_type in API_TYPES:
        models = [
            f"{api_type}-{behaviour}-{wire}{how}"
            for behaviour in BEHAVIOURS
            for wire in WIRES
            for how in ("", "-streamed")
        ]
        lines += [
            f"  - name: up-{api_type}",
            f"    available_models: {json.dumps(models)}",
            *(f"    {line}" for line in logins.place(api_type, simulator, folder)),
        ]
    return "\n".join(lines) + "\n"


@cache
def world(folder: str = "_integration") -> World:
    """Started once for all tests of this module."""
    simulator = SimulatorProcess(folder)
    return World(simulator, Program(folder, config(simulator.url, Path(folder).absolute())))
