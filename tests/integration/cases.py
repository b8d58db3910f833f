"""What tests that look at the program from outside have in common."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase
from twisted.web.client import ResponseNeverReceived

from aiproxy.providers import PROVIDERS
from aiproxy.simulator import Simulator
from aiproxy.wire import INBOUND
from tests.integration.http import get
from tests.integration.program import ROOT, Program
from tests.upstream.servers import Server

reactor: Any = _reactor

WIRES = tuple(INBOUND)
API_TYPES = tuple(PROVIDERS)

PATHS = {
    "anthropic": "/v1/messages",
    "chat": "/v1/chat/completions",
    "responses": "/v1/responses",
    "gemini": "/v1beta/models/{model}:generateContent",
}
STREAM_PATHS = {**PATHS, "gemini": "/v1beta/models/{model}:streamGenerateContent?alt=sse"}


def body(wire: str, model: str, text: str = "hi", *, stream: bool = False) -> dict[str, Any]:
    """A minimal question in one protocol."""
    said = [{"role": "user", "content": text}]
    match wire:
        case "anthropic":
            return {"model": model, "max_tokens": 100, "messages": said, "stream": stream}
        case "chat":
            return {"model": model, "messages": said, "stream": stream}
        case "responses":
            return {"model": model, "input": text, "stream": stream}
        case _:
            return {"contents": [{"role": "user", "parts": [{"text": text}]}]}


def path(wire: str, model: str, *, stream: bool = False) -> str:
    """Where that question goes."""
    return (STREAM_PATHS if stream else PATHS)[wire].format(model=model)


def outside(test: Callable[[Any], Coroutine[Any, Any, None]]) -> Callable[[Any], Deferred[None]]:
    """Lets trial run a coroutine; when it fails, the programs' output is shown."""

    async def watched(self: ProgramCase) -> None:
        try:
            await test(self)
        except Exception as error:
            outputs = "".join(f"\n--- aiproxy:\n{p.output()}" for p in self.programs)
            raise AssertionError(f"{type(error).__name__}: {error}{outputs}") from error

    def run(self: ProgramCase) -> Deferred[None]:
        return Deferred.fromCoroutine(watched(self))

    run.__doc__ = test.__doc__
    run.__name__ = test.__name__
    return run


class ProgramCase(TestCase):
    """
    Programs and upstreams that are gone after the test.

    No secret of a test (they all have "canary" in them) may show in what a program prints.
    """

    timeout = 60

    def setUp(self) -> None:
        self.programs: list[Program] = []

    async def start(
        self,
        config: str,
        *,
        root: Path = ROOT,
        environ: Mapping[str, str] | None = None,
        first: str = "",
    ) -> Program:
        """A running aiproxy. first: statements that its process begins with."""
        program = Program(self.mktemp(), config, root=root, environ=environ, first=first)
        self.programs.append(program)
        self.addCleanup(self._end, program)
        return await program.ready()

    def simulator(self) -> tuple[Simulator, str]:
        """An upstream that answers by itself, in this process; its URL."""
        simulator = Simulator(reactor)
        port = reactor.listenTCP(0, simulator.site(), interface="127.0.0.1")
        self.addCleanup(lambda: Deferred.fromCoroutine(_close(simulator, port)))
        return simulator, f"http://127.0.0.1:{port.getHost().port}"

    def server(self) -> tuple[Server, str]:
        """An upstream that the test answers for, byte by byte; its URL."""
        server = Server()
        url = server.listen(reactor)
        self.addCleanup(lambda: Deferred.fromCoroutine(server.stop()))
        return server, url

    async def eventually(self, condition: Callable[[], Coroutine[Any, Any, bool]]) -> None:
        """Ask again and again until it holds, or the test's time is over."""
        while not await condition():
            await deferLater(reactor, 0.05)

    async def refuses(self, program: Program) -> bool:
        """Whether the program takes no connections any more."""
        try:
            await get(program.url + "/healthz")
        except ConnectionRefusedError:
            return True
        except ResponseNeverReceived:
            # It was in the queue of the port that is being closed.
            return False
        return False

    def _end(self, program: Program) -> None:
        program.kill()
        self.assertNotIn("canary", program.output())


def upstream(name: str, url: str, api_type: str = "anthropic", more: str = "") -> str:
    """One item of `upstreams`; more: lines without indentation."""
    lines = [
        f"name: {name}",
        f"api_type: {api_type}",
        f"base_url: {url}",
        *([] if "token:" in more else ["token: upstream-key-canary"]),
        *more.splitlines(),
    ]
    return "  - " + "\n    ".join(lines) + "\n"


async def _close(simulator: Simulator, port: Any) -> None:
    await maybeDeferred(port.stopListening)
    await simulator.record.until(lambda: simulator.record.connections == 0)
