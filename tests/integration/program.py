"""
aiproxy as a process of its own, as `twistd -n aiproxy --config` starts it.

No part of it runs in the test's process, and the test's reactor knows nothing of it, so that one
program can serve the tests of a whole module.
"""

from __future__ import annotations

import atexit
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.web.client import Agent, ResponseFailed, ResponseNeverReceived, readBody

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 30.0
STOP_SECONDS = 20.0
_POLL_SECONDS = 0.05


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def environment(root: Path = ROOT, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The test's own environment, with the package of `root` and no proxies."""
    kept = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
    return {**kept, "PYTHONPATH": str(root), **(more or {})}


class Child:
    """A process whose output goes to a file. inherit: a socket that it gets, same descriptor."""

    def __init__(
        self,
        folder: str,
        name: str,
        command: Sequence[str],
        environ: Mapping[str, str],
        inherit: socket.socket | None = None,
    ) -> None:
        os.makedirs(folder, exist_ok=True)
        self.folder = folder
        self._output = Path(folder, f"{name}.out").absolute()
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, *command],
                cwd=folder,
                env=dict(environ),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=() if inherit is None else (inherit.fileno(),),
            )
        atexit.register(self.kill)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def output(self) -> str:
        """All that it has printed so far."""
        return self._output.read_text("utf-8", "replace")

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def ended(self) -> Deferred[int]:
        """Fires with the exit status; fails when the process goes on for too long."""
        return deferToThread(self._process.wait, STOP_SECONDS)

    def stop(self) -> Deferred[int]:
        """Ask it to end, and wait."""
        if self.is_running:
            self.signal(signal.SIGTERM)
        return self.ended()

    def kill(self) -> None:
        """The last resort, and the end of the test run."""
        if self.is_running:
            self._process.kill()
            self._process.wait(STOP_SECONDS)


class Program(Child):
    """
    One running aiproxy.

    config: YAML; `bind` and `listen` are added. root: where its package is.
    first: Python statements that the process runs before anything else.
    """

    def __init__(
        self,
        folder: str,
        config: str,
        *,
        root: Path = ROOT,
        environ: Mapping[str, str] | None = None,
        first: str = "",
    ) -> None:
        os.makedirs(folder, exist_ok=True)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.path = Path(folder, "config.yaml").absolute()
        self.write(config)
        twistd = (_TWISTD[0], f"{first}\n{_TWISTD[1]}")
        command = (*twistd, "-n", "--pidfile=", "aiproxy", "--config", str(self.path))
        super().__init__(folder, "aiproxy", command, environment(root, environ))

    def write(self, config: str) -> None:
        """A new configuration, swapped in at once as editors do it."""
        fresh = self.path.with_suffix(".new")
        fresh.write_text(f'bind: 127.0.0.1\nlisten: ":{self.port}"\n{config}', "utf-8")
        fresh.replace(self.path)

    async def ready(self) -> Program:
        """Wait until it takes calls. Raises: AssertionError with its output."""
        from twisted.internet import reactor

        agent = Agent(reactor, connectTimeout=2.0)
        clock: Any = reactor
        deadline = clock.seconds() + START_SECONDS
        while True:
            if not self.is_running or clock.seconds() > deadline:
                raise AssertionError(f"aiproxy did not start:\n{self.output()}")
            try:
                reply = await agent.request(b"GET", f"{self.url}/readyz".encode())
                await readBody(reply)
                if reply.code == 200:
                    return self
            except (ConnectError, ResponseNeverReceived, ResponseFailed):
                # Nobody listens yet.
                pass
            await deferLater(clock, _POLL_SECONDS)


_TWISTD = ("-c", "from twisted.scripts.twistd import run; run()")
"""twistd of the interpreter that runs the tests, wherever its scripts are."""


class SimulatorProcess(Child):
    """The simulator as a process of its own."""

    def __init__(self, folder: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        command = ("-m", "aiproxy.simulator", "--port", str(self.port))
        super().__init__(folder, "simulator", command, environment())
