"""What is measured, with whom it is compared, and what aiproxy may cost."""

from __future__ import annotations

from dataclasses import dataclass, replace

from benchmarks.bodies import DELTAS, PACED_DELTAS
from benchmarks.report import OURS, READING, Row

EVERYBODY = ("nginx", "bare", OURS)
_READERS = (*EVERYBODY, READING)


@dataclass(frozen=True)
class Measure(Row):
    """
    A row that is made by calls.

    kind: of the calls (`bodies`). client, upstream: their wires. subjects: names.
    divisor: what one call's cost is divided by. connections: that ask at once.
    """

    kind: str = ""
    client: str = "anthropic"
    upstream: str = "anthropic"
    subjects: tuple[str, ...] = EVERYBODY
    divisor: int = 1
    connections: int = 1

    def in_unit(self, seconds: float) -> float:
        """What one call took, as this row says it."""
        return seconds * (1e3 if self.unit.startswith("ms") else 1e6) / self.divisor


def _translated(like: Measure, name: str, most_floors: float | None = None) -> Measure:
    """The same for clients and upstreams of two wires, which only aiproxy can join."""
    client, upstream = {"a→o": ("anthropic", "chat"), "o→a": ("chat", "anthropic")}[name]
    return replace(
        like,
        name=like.name.replace("a→a", name),
        client=client,
        upstream=upstream,
        subjects=(OURS,),
        floor=like.name,
        most_floors=most_floors,
    )


_PLAIN = Measure(
    "plain a→a",
    "µs/request",
    most_floors=0.25,
    kind="plain",
    subjects=_READERS,
    connections=16,
)
_STREAM = Measure(
    "stream a→a, unpaced",
    "µs/event",
    most_floors=0.40,
    kind="stream",
    subjects=_READERS,
    divisor=DELTAS,
    connections=8,
)
_AGENT = Measure("agent turn a→a", "ms/turn", kind="agent", subjects=_READERS, connections=4)
_LARGE = Measure(
    "1 MB a→a",
    "ms/request",
    most_floors=0.5,
    kind="plain-1m",
    subjects=_READERS,
    connections=2,
)
_HUGE = Measure("8 MB a→a", "ms/request", kind="plain-8m", subjects=_READERS)

CLOSED_LOOP = (
    _PLAIN,
    _translated(_PLAIN, "a→o", 0.30),
    _translated(_PLAIN, "o→a", 0.30),
    _STREAM,
    _translated(_STREAM, "a→o", 0.60),
    _translated(_STREAM, "o→a", 0.60),
    _AGENT,
    _translated(_AGENT, "a→o", 0.8),
    _LARGE,
    _translated(_LARGE, "a→o", 0.8),
    _HUGE,
    _translated(_HUGE, "a→o"),
)
"""CPU of each call, as many as will go."""

_PACED = Measure(
    "stream a→a, paced",
    "µs/event",
    most_floors=0.65,
    kind="paced",
    divisor=PACED_DELTAS,
    connections=40,
)
PACED = (_PACED, _translated(_PACED, "a→o", 0.65), _translated(_PACED, "o→a", 0.65))
"""CPU of each event, one every 20 ms in each stream."""

_ANSWERED = Measure("plain a→a, added p50", "ms", most_floors=0.35, kind="plain")
_BEGUN = Measure("first delta a→a, added p50", "ms", most_floors=0.35, kind="first")
LATENCY = (_ANSWERED, _BEGUN, _translated(_BEGUN, "a→o", 0.35))
"""Time added to direct calls, at a low fixed rate."""

_HELD = Measure("open stream a→a", "KiB PSS", most=40, kind="held")
HELD = (_HELD, replace(_translated(_HELD, "a→o"), floor=_HELD.name, most=40))
HELD_STREAMS = (100, 1000)
IDLE = Row("idle", "MiB PSS", most=60)

LARGE = (
    Measure("1 MB a→a", "", kind="plain-1m", subjects=(OURS,)),
    Measure("1 MB a→o", "", kind="plain-1m", upstream="chat", subjects=(OURS,)),
    Measure("8 MB a→a", "", kind="plain-8m", subjects=(OURS,)),
    Measure("8 MB a→o", "", kind="plain-8m", upstream="chat", subjects=(OURS,)),
)
"""Memory and stalls of one such call after the other, in a process that does nothing else."""


def tail(measure: Measure) -> Row:
    """The 99th percentile beside the median of a latency."""
    return Row(measure.name.replace("p50", "p99"), measure.unit, measure.floor.replace("50", "99"))


def held(measure: Measure, streams: int) -> Row:
    """So many streams at once."""
    return replace(
        measure,
        name=f"{measure.name}, {streams} at once",
        floor=f"{measure.floor}, {streams} at once" if measure.floor else "",
    )


def peak(measure: Measure) -> Row:
    is_limited = measure.name == "8 MB a→o"
    return Row(f"{measure.name}, peak", "MiB RSS", most=150 if is_limited else None)


def stall(measure: Measure) -> Row:
    return Row(f"{measure.name}, longest stall", "ms", most=20)


UPSTREAM_ALONE = Row("plain at the canned upstream itself", "µs/request")
SIMULATOR_ALONE = Row("plain at the simulator itself", "µs/request")


def rows() -> list[Row]:
    """In the order of the report."""
    return [
        *CLOSED_LOOP,
        *PACED,
        *(row for measure in LATENCY for row in (measure, tail(measure))),
        IDLE,
        *(held(measure, streams) for measure in HELD for streams in HELD_STREAMS),
        *(row for measure in LARGE for row in (peak(measure), stall(measure))),
    ]
