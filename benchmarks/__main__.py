"""
Runs everything and reports: `python -m benchmarks [--quick] FOLDER`.

FOLDER gets RESULTS.md, the table as it is printed, and results.json, every figure of every run.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred
from twisted.internet.task import react

from benchmarks import load, measures, report, runs
from benchmarks.report import Sample
from benchmarks.subjects import Subjects, running


class Effort(NamedTuple):
    """rounds: of everything. seconds: of each closed loop. calls: of each latency."""

    rounds: int
    seconds: int
    calls: int


_LIMIT_SECONDS = 900.0
_FULL = Effort(rounds=3, seconds=3, calls=200)
_QUICK = Effort(rounds=1, seconds=1, calls=50)


async def _measured(reactor: Any, effort: Effort, folder: Path) -> list[Sample]:
    samples: list[Sample] = []
    for number in range(1, effort.rounds + 1):
        _tell(f"round {number} of {effort.rounds}: open streams")
        for measure in measures.HELD:
            # Fresh processes: memory that is free again would hide what a stream takes.
            with running(folder) as subjects:
                samples += await runs.held(reactor, subjects, measure)
        with running(folder) as subjects:
            samples += await _round(reactor, subjects, effort, folder)
    return samples


async def _round(reactor: Any, subjects: Subjects, effort: Effort, folder: Path) -> list[Sample]:
    _tell("closed loops")
    samples = [
        *runs.upstreams_alone(subjects, effort.seconds, folder),
        *runs.closed_loop(subjects, effort.seconds, folder),
    ]
    _tell("paced streams")
    samples += await runs.paced(reactor, subjects)
    _tell("latencies")
    samples += await runs.latencies(reactor, subjects, effort.calls)
    _tell("large bodies")
    samples += await runs.large(reactor, subjects, folder)
    return samples


def _tell(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


def _text(samples: Sequence[Sample]) -> str:
    plain = measures.CLOSED_LOOP[0].name
    alone = {
        name: median(one.value for one in samples if one[:2] == (plain, name))
        for name in ("upstream", "simulator")
    }
    table = report.table(report.summed(measures.rows(), samples))
    return _PAGE.format(machine=report.machine(), table=table, **alone)


_PAGE = """\
# Benchmarks

{machine}
{table}
a: Anthropic Messages, o: OpenAI Chat Completions, the client's wire first. CPU is that of the whole
process tree; all figures are medians over the rounds. F is the bare pass-through, a→a, in the same
run; the one with JSON also reads each request and writes it anew. A stall is the time that a timer
of the reactor was late while the process worked.

The upstream behind all of them takes {upstream:.0f} µs of CPU for a plain call; the simulator would
take {simulator:.0f} µs.
"""


async def _main(reactor: Any, arguments: argparse.Namespace) -> None:
    folder = Path("build", "benchmarks").resolve()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    samples = await _measured(reactor, _QUICK if arguments.quick else _FULL, folder)
    text = _text(samples)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    (arguments.folder / "RESULTS.md").write_text(text, "utf-8")
    raw = [sample._asdict() for sample in samples]
    (arguments.folder / "results.json").write_text(json.dumps(raw, indent=0), "utf-8")
    print(text)


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round, for a first look")
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    load.check_installed()
    # A thousand streams are two thousand sockets in a proxy; children inherit the limit.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

    def bounded(reactor: Any) -> Deferred[None]:
        return Deferred.fromCoroutine(_main(reactor, arguments)).addTimeout(_LIMIT_SECONDS, reactor)

    react(bounded)


main()
