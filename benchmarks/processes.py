"""
Children of the benchmark, and what /proc tells of them.

Figures are of whole trees: a subject that works in several processes is charged for all of them.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType

_PROC = Path("/proc")
_TICKS = os.sysconf("SC_CLK_TCK")
_START_SECONDS = 30.0
_STOP_SECONDS = 10.0
_POLL_SECONDS = 0.02


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Child:
    """
    One program that listens on a port; use it in a `with`.

    folder: its working directory, and where its output goes.
    Raises: RuntimeError with its output when it does not listen in time.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        port: int,
        folder: Path,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.port = port
        self._output = folder / f"{name}.out"
        folder.mkdir(parents=True, exist_ok=True)
        root = str(Path(__file__).resolve().parents[1])
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                command,
                cwd=folder,
                env={**os.environ, "PYTHONPATH": root, **(environ or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            self._wait_for_port()
        except BaseException:
            self.stop()
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    def stop(self) -> None:
        """Ask it to end, then make it."""
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _wait_for_port(self) -> None:
        until = time.monotonic() + _START_SECONDS
        while time.monotonic() < until and self._process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(_POLL_SECONDS)
        raise RuntimeError(f"no answer from {self._output.name}: {self._output.read_text()}")


def python(name: str, module: str, arguments: Sequence[str], port: int, folder: Path) -> Child:
    """A module of this package in a process of its own, with this interpreter."""
    return Child(name, (sys.executable, "-m", module, *arguments), port, folder)


def cpu_seconds(pid: int) -> float:
    """User and system time of `pid`, its living descendants and its dead children so far."""
    return sum(ticks_of((_PROC / str(one) / "stat").read_text()) for one in tree(pid)) / _TICKS


def ticks_of(stat: str) -> int:
    """
    utime + stime + cutime + cstime of one line of /proc/PID/stat.

    The second field is the program's name in brackets, which may hold anything.
    """
    fields = stat.rpartition(")")[2].split()
    return sum(int(field) for field in fields[11:15])


def tree(pid: int) -> Iterator[int]:
    """`pid` and all its descendants."""
    yield pid
    for task in (_PROC / str(pid) / "task").iterdir():
        for child in (task / "children").read_text().split():
            yield from tree(int(child))


def pss_bytes(pid: int) -> int:
    """Memory of the tree, what is shared with others counted in proportion."""
    return sum(_kilobytes(one, "smaps_rollup", "Pss") for one in tree(pid)) * 1024


def peak_rss_bytes(pid: int) -> int:
    """The most memory that each process of the tree ever held, added up."""
    return sum(_kilobytes(one, "status", "VmHWM") for one in tree(pid)) * 1024


def _kilobytes(pid: int, file: str, name: str) -> int:
    for line in (_PROC / str(pid) / file).read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    raise RuntimeError(f"/proc/{pid}/{file} has no {name}")
