"""
One program in front of everything that can be wrong with an upstream, for the whole table.

The simulator and the program are processes of their own; the sockets that only misbehave belong to
the test's process, but not to its reactor.
"""

from __future__ import annotations

import json
import socket
import ssl
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from cryptography import x509

from aiproxy.providers import PROVIDERS
from aiproxy.providers.apikey import ApiKeyProvider
from aiproxy.wire import INBOUND
from tests.faults.table import ROWS, Place, Row
from tests.integration.program import Program, SimulatorProcess
from tests.upstream.servers import certificate

WIRES = tuple(INBOUND)
API_TYPES = tuple(name for name, row in PROVIDERS.items() if isinstance(row, ApiKeyProvider))
RESCUED = "rescued"

# Short enough for a quick suite, long enough for a busy machine to answer before they end.
HASTY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Cell:
    """One row for one client and one kind of upstream."""

    row: Row
    wire: str
    api_type: str

    @property
    def upstream(self) -> str:
        """One for each row, so that none uses up the second chances of another."""
        return f"{self.row.name}-{self.api_type}"

    @property
    def alone(self) -> str:
        """The model that only this upstream serves."""
        return f"{self.row.name}.{self.wire}.{self.api_type}"

    @property
    def rescued(self) -> str:
        """The model that a good upstream serves too."""
        return f"{self.alone}.{RESCUED}"


def cells(row: Row) -> Iterator[Cell]:
    for wire in WIRES:
        for api_type in API_TYPES:
            yield Cell(row, wire, api_type)


@dataclass
class World:
    """What all rows have in common; its sockets stay open as long as the process."""

    folder: str
    simulator: SimulatorProcess
    _for_ever: ExitStack = field(default_factory=ExitStack)

    def urls(self) -> dict[Place, str]:
        simulator = self.simulator.url
        return {
            "usual": simulator,
            "hasty": simulator,
            "closed": f"http://127.0.0.1:{self._closed()}",
            "blackhole": f"http://127.0.0.1:{self._for_ever.enter_context(blackhole())}",
            "tls": f"https://127.0.0.1:{self._answering(_say_no)}",
            "untrusted": f"https://127.0.0.1:{self._answering(self._untrusted())}",
        }

    def calls(self) -> dict[str, int]:
        """How often the simulator was asked for each model."""
        with urllib.request.urlopen(f"{self.simulator.url}/_simulator/requests") as reply:
            counted: dict[str, int] = json.load(reply)["calls"]
        return counted

    def _held(self) -> socket.socket:
        taken = self._for_ever.enter_context(socket.socket())
        taken.bind(("127.0.0.1", 0))
        return taken

    def _closed(self) -> int:
        """A port that nobody else can take, and where nobody listens."""
        port: int = self._held().getsockname()[1]
        return port

    def _answering(self, answer: Callable[[socket.socket], None]) -> int:
        """A port where each connection is answered so, and closed."""
        listening = self._held()
        listening.listen(64)

        def serve() -> None:
            while True:
                connection, _ = listening.accept()
                connection.settimeout(10)
                # What the other side makes of it is what this is for.
                with connection, suppress(OSError):
                    answer(connection)

        threading.Thread(target=serve, daemon=True).start()
        port: int = listening.getsockname()[1]
        return port

    def _untrusted(self) -> Callable[[socket.socket], None]:
        """A TLS handshake with a certificate of our own making."""
        chain = Path(self.folder, "untrusted.pem")
        chain.write_bytes(certificate(x509.DNSName("localhost")).dumpPEM())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain)

        def shake_hands(connection: socket.socket) -> None:
            context.wrap_socket(connection, server_side=True).close()

        return shake_hands


@contextmanager
def blackhole() -> Iterator[int]:
    """A port whose queue is full, so that the kernel ignores whoever else knocks."""
    with ExitStack() as held:
        listening = held.enter_context(socket.socket())
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for _ in range(4):
            waiting = held.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listening.getsockname())
        yield listening.getsockname()[1]


def _say_no(connection: socket.socket) -> None:
    """What servers answer to a TLS handshake on their plain port."""
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


def config(urls: dict[Place, str]) -> str:
    """Two counted failures open a breaker, and no probe comes before the end of the suite."""
    lines = [
        "circuit_breaker: {failures: 2, probe_after: 3600, cooldown: 3600}",
        "keepalive: 600",
        "upstreams:",
    ]
    hasty = json.dumps(
        dict.fromkeys(("headers", "whole_answer", "first_event", "idle"), HASTY_SECONDS)
    )
    timeouts = {"hasty": hasty, "blackhole": "{connect: 0.5}"}
    for row in ROWS:
        for api_type in API_TYPES:
            mine = [cell for cell in cells(row) if cell.api_type == api_type]
            models = [model for cell in mine for model in (cell.alone, cell.rescued)]
            lines += [
                f"  - name: {mine[0].upstream}",
                f"    api_type: {api_type}",
                f"    base_url: {urls[row.place]}",
                "    token: upstream-key-canary",
                "    weight: 1000",
                f"    available_models: {json.dumps(models)}",
                *([f"    timeouts: {timeouts[row.place]}"] if row.place in timeouts else []),
            ]
    rescued = [cell.rescued for row in ROWS for cell in cells(row)]
    lines += [
        "  - name: good",
        "    api_type: anthropic",
        f"    base_url: {urls['usual']}",
        "    token: upstream-key-canary",
        f"    available_models: {json.dumps(rescued)}",
        f"    model_mappings: {json.dumps(dict.fromkeys(rescued, 'echo'))}",
    ]
    return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Running:
    world: World
    program: Program


@cache
def running(folder: str = "_faults") -> Running:
    """Started once for the whole table."""
    world = World(folder, SimulatorProcess(folder))
    return Running(world, Program(folder, config(world.urls())))
