"""
twistd with a watch on the reactor: how long was anything else kept waiting?

    python -m benchmarks.watched FILE [arguments of twistd]

Every few milliseconds a timer asks how late it is. When it is late by much and the process has
worked meanwhile (so that it was not just without a CPU), a line goes to FILE:
Unix time, milliseconds late, milliseconds of CPU. Work of a thread counts when it keeps the timer
waiting, which it does as long as it holds the interpreter's lock.
"""

from __future__ import annotations

import sys
import time
from typing import Any, TextIO

_TICK_SECONDS = 0.002
_LEAST_SECONDS = 0.004


class Watch:
    """reactor: whose timers are watched. file: gets the lines."""

    def __init__(self, reactor: Any, file: TextIO) -> None:
        self._reactor = reactor
        self._file = file
        self._at = time.perf_counter()
        self._cpu = time.process_time()

    def tick(self) -> None:
        now, cpu = time.perf_counter(), time.process_time()
        late, worked = now - self._at - _TICK_SECONDS, cpu - self._cpu
        if min(late, worked) >= _LEAST_SECONDS:
            self._file.write(f"{time.time():.3f} {late * 1e3:.1f} {worked * 1e3:.1f}\n")
            self._file.flush()
        self._at, self._cpu = time.perf_counter(), time.process_time()
        self._reactor.callLater(_TICK_SECONDS, self.tick)


def longest_seconds(text: str, begin: float, end: float) -> float:
    """
    The longest stall between two Unix times, 0 when none was worth a line.

    text: of the file. A stall is no longer than the process worked in it.
    """
    longest = 0.0
    for line in text.splitlines():
        when, late, worked = (float(word) for word in line.split())
        if begin <= when <= end:
            longest = max(longest, min(late, worked) / 1e3)
    return longest


def main() -> None:
    from twisted.internet import reactor
    from twisted.scripts.twistd import run

    clock: Any = reactor
    watch = Watch(clock, open(sys.argv.pop(1), "w", encoding="ascii"))  # noqa: SIM115 (until the end)
    clock.callWhenRunning(watch.tick)
    run()


if __name__ == "__main__":
    main()
