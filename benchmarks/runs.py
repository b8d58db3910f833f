"""The measuring itself: each function runs one family of rows and gives its samples."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import quantiles
from typing import Any

from twisted.internet.defer import DeferredList, gatherResults
from twisted.internet.task import deferLater

from benchmarks import bodies, client, load, measures
from benchmarks.client import Caller
from benchmarks.measures import Measure
from benchmarks.processes import cpu_seconds, free_port, peak_rss_bytes, pss_bytes, python
from benchmarks.report import OURS, Sample
from benchmarks.subjects import Subject, Subjects, aiproxy
from benchmarks.watched import longest_seconds

_MIB = 1024 * 1024
_FIRST_DELTA = b"text_delta"
_RATE_SECONDS = 0.01
_LARGE_CALLS = 5


def _asked(subject: Subject, measure: Measure) -> tuple[str, bytes]:
    """Path and body of one call."""
    body = bodies.request(measure.kind, measure.client, measure.upstream)
    return subject.path(measure.kind, measure.client), body


def _request(subject: Subject, measure: Measure) -> bytes:
    return client.request(*_asked(subject, measure))


def closed_loop(subjects: Subjects, seconds: int, folder: Path) -> Iterator[Sample]:
    """CPU of calls, as many as will go."""
    for measure in measures.CLOSED_LOOP:
        for subject in subjects.named(measure.subjects):
            yield _loaded(measure, subject, seconds, folder)


async def _connections(reactor: Any, subject: Subject, count: int) -> list[Caller]:
    return await gatherResults([client.connected(reactor, subject.port) for _ in range(count)])


def _hang_up(callers: Sequence[Caller]) -> None:
    for caller in callers:
        caller.transport.abortConnection()


async def paced(reactor: Any, subjects: Subjects) -> list[Sample]:
    """CPU of streams that all run once, begun one after the other."""
    samples = []
    for measure in measures.PACED:
        for subject in subjects.named(measure.subjects):
            callers = await _connections(reactor, subject, measure.connections)
            request = _request(subject, measure)
            before = cpu_seconds(subject.pid)
            running = []
            for caller in callers:
                running.append(caller.call(request))
                await deferLater(reactor, bodies.PACE_SECONDS / 10)
            await gatherResults(running)
            cost = (cpu_seconds(subject.pid) - before) / measure.connections
            samples.append(Sample(measure.name, subject.name, measure.in_unit(cost)))
            _hang_up(callers)
    return samples


async def latencies(reactor: Any, subjects: Subjects, calls: int) -> list[Sample]:
    """Times of calls at a low rate, everybody's turn coming round, less those of direct calls."""
    samples = []
    for measure in measures.LATENCY:
        mark = b"" if measure.kind == "plain" else _FIRST_DELTA
        asked = [subjects.upstream, *subjects.named(measure.subjects)]
        callers = {
            subject.name: (await client.connected(reactor, subject.port)) for subject in asked
        }
        times: dict[str, list[float]] = {subject.name: [] for subject in asked}
        for _ in range(calls):
            for subject in asked:
                caller = callers[subject.name]
                await caller.call(_request(subject, measure), mark)
                times[subject.name].append(caller.marked_seconds)
                await deferLater(reactor, _RATE_SECONDS)
        _hang_up(list(callers.values()))
        direct = quantiles(times.pop(subjects.upstream.name), n=100)
        for name, seconds in times.items():
            through = quantiles(seconds, n=100)
            samples.append(Sample(measure.name, name, measure.in_unit(through[49] - direct[49])))
            late = measure.in_unit(through[98] - direct[98])
            samples.append(Sample(measures.tail(measure).name, name, late))
    return samples


async def held(reactor: Any, subjects: Subjects, measure: Measure) -> list[Sample]:
    """Memory of processes that wait, and of streams that have begun and stay open."""
    samples = []
    for subject in subjects.named(measure.subjects):
        callers = await _held(reactor, subject, measure, 1)
        idle = pss_bytes(subject.pid)
        if not measure.floor:
            samples.append(Sample(measures.IDLE.name, subject.name, idle / _MIB))
        for streams in measures.HELD_STREAMS:
            callers += await _held(reactor, subject, measure, streams - len(callers) + 1)
            each = (pss_bytes(subject.pid) - idle) / streams / 1024
            samples.append(Sample(measures.held(measure, streams).name, subject.name, each))
        _hang_up(callers)
    return samples


async def _held(reactor: Any, subject: Subject, measure: Measure, streams: int) -> list[Caller]:
    """Begin so many streams, some at a time. Raises: RuntimeError when one fails."""
    request = _request(subject, measure)
    callers: list[Caller] = []
    while len(callers) < streams:
        some = await _connections(reactor, subject, min(50, streams - len(callers)))
        for caller in some:
            caller.call(request, _FIRST_DELTA)
        begun = await DeferredList([caller.marked for caller in some], consumeErrors=True)
        failed = [result for is_good, result in begun if not is_good]
        if failed:
            raise RuntimeError(f"{subject.name}: {len(failed)} streams failed: {failed[0]}")
        callers += some
    return callers


async def large(reactor: Any, subjects: Subjects, folder: Path) -> list[Sample]:
    """Memory and stalls of large calls, each kind in a fresh process."""
    samples = []
    for measure in measures.LARGE:
        stalls = (folder / f"stalls-{time.time_ns()}").resolve()
        program = ("-m", "benchmarks.watched", str(stalls))
        with aiproxy(subjects.upstream.port, folder, program) as child:
            subject = Subject(OURS, child.port, child.pid, is_router=True)
            [caller] = await _connections(reactor, subject, 1)
            request = _request(subject, measure)
            # Its port is open before it runs; its start is no stall of a call.
            await caller.call(client.request(*_asked(subject, measures.CLOSED_LOOP[0])))
            begin = time.time()
            for _ in range(_LARGE_CALLS):
                await caller.call(request)
            # What a call leaves to be done, and the line that the watch writes after a stall.
            await deferLater(reactor, 0.1)
            longest = longest_seconds(stalls.read_text("ascii"), begin, time.time())
            peak = peak_rss_bytes(child.pid) / _MIB
            _hang_up([caller])
        samples.append(Sample(measures.peak(measure).name, OURS, peak))
        samples.append(Sample(measures.stall(measure).name, OURS, longest * 1e3))
    return samples


def upstreams_alone(subjects: Subjects, seconds: int, folder: Path) -> list[Sample]:
    """CPU that a plain call costs an upstream itself: the canned one, and the simulator."""
    plain = measures.CLOSED_LOOP[0]
    port = free_port()
    with python("simulator", "aiproxy.simulator", ("--port", str(port)), port, folder) as child:
        simulator = Subject("simulator", port, child.pid, is_router=True)
        return [_loaded(plain, one, seconds, folder) for one in (subjects.upstream, simulator)]


def _loaded(measure: Measure, subject: Subject, seconds: int, folder: Path) -> Sample:
    path, body = _asked(subject, measure)
    loaded = load.closed_loop(
        subject,
        path,
        body,
        connections=measure.connections,
        seconds=seconds,
        folder=folder,
    )
    return Sample(measure.name, subject.name, measure.in_unit(loaded))
