"""
Further sides of upstreams: what a vendor serves besides, or in place of, the wires' own routes.

A side is made for each simulator and keeps its state there. Its routes begin with its name, so that
`base_url: http://127.0.0.1:PORT/NAME` reaches it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from aiproxy.simulator.sides.claudecode import ClaudeCode
from aiproxy.simulator.sides.codeassist import antigravity, gemini_cli
from aiproxy.simulator.sides.codex import Codex
from aiproxy.simulator.sides.contract import Side, Stage, Visit
from aiproxy.simulator.sides.kiro import Kiro

__all__ = ["SIDES", "Side", "Stage", "Visit"]

SIDES: Mapping[str, Callable[[Stage], Side]] = {
    "codex": Codex,
    "claudecode": ClaudeCode,
    "geminicli": gemini_cli,
    "antigravity": antigravity,
    "kiro": Kiro,
}
"""By name."""
