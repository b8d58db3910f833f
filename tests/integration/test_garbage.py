"""Whether calls leave anything to the garbage collector, which the program lets run seldom."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

from twisted.internet.defer import Deferred

from aiproxy.aside import LARGE_BYTES
from tests.integration import logins
from tests.integration.cases import API_TYPES, WIRES, ProgramCase, body, outside, path, upstream
from tests.integration.http import Arriving, begun, get, post
from tests.integration.program import Program, free_port

COLLECTS = """
import collections, gc, signal
gc.disable()
FRAMES = ("frame", "traceback", "coroutine")
def collect(*_):
    gc.set_debug(gc.DEBUG_SAVEALL)
    gc.collect()
    kinds = [(type(one).__module__, type(one).__qualname__) for one in gc.garbage]
    ours = [kind for kind in kinds if kind[0].startswith("aiproxy.") or kind[1] in FRAMES]
    gc.garbage.clear()
    print("left:", sorted(collections.Counter(ours).items()), flush=True)
signal.signal(signal.SIGUSR1, collect)
"""
"""
Collects only when told, and says what there was of the package's own, and of what holds whatever
was worked on.
"""

HASTY = "timeouts: {headers: 0.3, first_event: 0.3, idle: 0.3, whole_answer: 0.3}\n"

COUNTS = {
    "anthropic": "/v1/messages/count_tokens",
    "responses": "/v1/responses/input_tokens",
    "gemini": "/v1beta/models/{model}:countTokens",
}


def _no_login(path: Path, api_type: str) -> None:
    path.write_text("{}")


def _revoked(path: Path, api_type: str) -> None:
    logins.write_login(path, api_type, refresh="refresh-canary-revoked-1")


def _refused(path: Path, api_type: str) -> None:
    logins.write_login(path, api_type, access="access-canary-of-old")


class GarbageTests(ProgramCase):
    """Every call frees all its objects as it ends."""

    timeout = 120

    @outside
    async def test_calls(self) -> None:
        """Calls of all pairs, whole and streamed."""
        await self.calls({"echo": {200}})

    @outside
    async def test_failures(self) -> None:
        """Calls that fail at their first upstream and then at the other."""
        await self.calls({"error-500": {502}, "error-400": {400}, "error-401": {502}})

    @outside
    async def test_broken_off(self) -> None:
        """Calls whose upstream breaks off, before it has begun or after."""
        await self.calls({"cut": {200, 502}, "reset": {502}, "unfinished": {200, 502}}, WIRES[:2])

    @outside
    async def test_nonsense(self) -> None:
        """Calls whose upstream answers what is no good answer, or none at all."""
        await self.calls(
            {
                "junk": {200, 502},
                "broken": {200, 429, 503},
                "broken-head": {429, 503},
                "empty": {502},
                "html": {502},
                "error-json": {429, 503},
                "gzip-lie": {502},
            },
            WIRES[:2],
        )

    @outside
    async def test_silence(self) -> None:
        """Calls whose upstream falls silent, before the head of its answer, or behind it."""
        await self.calls(
            {"stall": {504}, "stall-start": {504}, "stall-mid": {200, 504}}, WIRES[:1], HASTY
        )

    @outside
    async def test_large(self) -> None:
        """Calls with so much in them that a thread reads it, whether it can be read or not."""
        program = await self.program(("echo", "error-500"))
        text = "x" * LARGE_BYTES
        for wire in WIRES:
            for api_type in API_TYPES:
                for word, status in (("echo", 200), ("error-500", 502)):
                    model = f"{api_type}-{word}"
                    answer = await post(program.url + path(wire, model), body(wire, model, text))
                    self.assertEqual(answer.status, status, f"{wire} {model}")
            said = {**body(wire, "openai-echo", text), "messages": 7, "input": 7, "contents": 7}
            answer = await post(program.url + path(wire, "openai-echo"), said)
            self.assertEqual(answer.status, 400, wire)
            answer = await post(
                program.url + path(wire, "openai-echo"), text.encode(), {"content-encoding": "gzip"}
            )
            self.assertEqual(answer.status, 400, wire)
        await self.left_nothing(program)

    @outside
    async def test_leaving(self) -> None:
        """Calls whose client leaves, before its answer has begun or after."""
        program = await self.program(("stall", "stall-mid"))
        for wire in WIRES:
            for api_type in API_TYPES:
                for stream in (False, True):
                    await self.leave(program, wire, f"{api_type}-stall", stream=stream)
                model = f"{api_type}-stall-mid"
                answer = await begun(
                    "POST",
                    program.url + path(wire, model, stream=True),
                    body(wire, model, stream=True),
                )
                answer.leave()
                await self.vendor.record.until(lambda: self.vendor.record.connections == 0)
        await self.left_nothing(program)

    @outside
    async def test_leaving_before_a_login_is_renewed(self) -> None:
        """Calls whose client leaves while their login is renewed."""
        silent, url = self.server()
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        text = "upstreams:\n"
        for api_type in logins.API_TYPES:
            lines = [f"name: {api_type}", f"available_models: [{api_type}-echo]"]
            lines += logins.place(api_type, url, folder)
            text += "  - " + "\n    ".join(lines) + "\n"
        program = await self.start(text, first=COLLECTS)
        for api_type in logins.API_TYPES:
            asking = Deferred.fromCoroutine(self.call(program, "chat", f"{api_type}-echo", True))
            asking.addErrback(lambda _: None)
            await silent.request()
            asking.cancel()

        async def have_left() -> bool:
            return program.output().count("outcome=left") == len(logins.API_TYPES)

        await self.eventually(have_left)
        await self.left_nothing(program)

    @outside
    async def test_logins_out_of_use(self) -> None:
        """Calls for which there is no login, or none any more as soon as it is to be renewed."""
        for login in (_no_login, _revoked):
            program = await self.program(("echo",), login=login)
            for wire in WIRES:
                for api_type in logins.API_TYPES:
                    model = f"{api_type}-echo"
                    answer = await post(program.url + path(wire, model), body(wire, model))
                    self.assertEqual(answer.status, 502, f"{wire} {model} {answer.data!r}")
            await self.left_nothing(program)

    @outside
    async def test_renewals(self) -> None:
        """Calls whose login is refused first, and renewed."""
        program = await self.program(("echo",), login=_refused)
        for api_type in logins.API_TYPES:
            answer = await self.call(program, "chat", f"{api_type}-echo", stream=False)
            self.assertEqual(answer.status, 200, f"{api_type} {answer.data!r}")
        await self.left_nothing(program)

    @outside
    async def test_beside(self) -> None:
        """Counts of tokens, lists, and what is told of the program."""
        program = await self.program(("echo",))
        for wire, place in COUNTS.items():
            for api_type in API_TYPES:
                model = f"{api_type}-echo"
                answer = await post(program.url + place.format(model=model), body(wire, model))
                self.assertEqual(answer.status, 200, f"{wire} {model} {answer.data!r}")
        for place in ("/v1/models", "/v1beta/models", "/v1/models/openai-echo", "/models", "/"):
            answer = await get(program.url + place)
            self.assertEqual(answer.status, 200, place)
        await self.left_nothing(program)

    @outside
    async def test_refusals(self) -> None:
        """Requests that are refused here."""
        program = await self.program(("echo",))
        for wire in WIRES:
            await post(program.url + path(wire, "nobody-has-it"), body(wire, "nobody-has-it"))
            await post(program.url + path(wire, "anthropic-echo"), {"model": 7, "messages": "no"})
        for place in ("/v1/models/nobody-has-it", "/v1/messages", "/nothing"):
            await get(program.url + place)
        await self.left_nothing(program)

    @outside
    async def test_requests_that_end_early(self) -> None:
        """Requests whose client leaves in the middle of them, or sends more than it may."""
        program = await self.program(("echo",), "max_request_bytes: 3000000\n")
        head = "POST {} HTTP/1.1\r\nHost: x\r\n{}\r\n\r\n"
        for wire in WIRES:
            place = path(wire, "openai-echo")
            for framing, part in (
                ("Content-Length: 2000000", b"x" * 1_000_000),
                ("Transfer-Encoding: chunked", b"f4240\r\n" + b"x" * 1_000_000 + b"\r\n"),
                ("Transfer-Encoding: chunked", b"3d0900\r\n" + b"x" * 3_900_000),
                ("Content-Length: 4000000", b"x"),
                ("Content-Length: many", b""),
            ):
                with socket.create_connection(("127.0.0.1", program.port)) as client:
                    client.settimeout(5)
                    with contextlib.suppress(OSError):
                        client.sendall(head.format(place, framing).encode() + part)
                answer = await get(program.url + "/")
                self.assertEqual(answer.status, 200)
        await self.left_nothing(program)

    @outside
    async def test_nobody_listens(self) -> None:
        """Calls whose upstream cannot be reached."""
        url = f"http://127.0.0.1:{free_port()}"
        gone = upstream("gone", url, "openai", "available_models: [gone]")
        program = await self.start(
            f"circuit_breaker: {{failures: 1000}}\nupstreams:\n{gone}", first=COLLECTS
        )
        for wire in WIRES:
            for stream in (False, True):
                answer = await self.call(program, wire, "gone", stream)
                self.assertEqual(answer.status, 502)
        await self.left_nothing(program)

    async def calls(
        self, expected: dict[str, set[int]], wires: Sequence[str] = WIRES, more: str = ""
    ) -> None:
        """All pairs of `wires`, whole and streamed, and then a look at what is left."""
        program = await self.program(tuple(expected), more)
        for behaviour, statuses in expected.items():
            for wire in wires:
                for api_type in API_TYPES:
                    for stream in (False, True):
                        answer = await self.call(program, wire, f"{api_type}-{behaviour}", stream)
                        self.assertIn(answer.status, statuses, f"{wire} {api_type} {behaviour}")
        await self.left_nothing(program)

    async def call(self, program: Program, wire: str, model: str, stream: bool) -> Arriving:
        return await post(
            program.url + path(wire, model, stream=stream), body(wire, model, stream=stream)
        )

    async def leave(self, program: Program, wire: str, model: str, *, stream: bool) -> None:
        """Ask, and close the connection as soon as an upstream has been asked."""
        record = self.vendor.record
        seen = record.received
        asking = Deferred.fromCoroutine(self.call(program, wire, model, stream))
        asking.addErrback(lambda _: None)
        await record.until(
            lambda: record.received > seen and logins.is_call(record.requests[-1].path)
        )
        asking.cancel()
        await record.until(lambda: record.connections == 0)

    async def program(
        self,
        behaviours: Sequence[str],
        more: str = "",
        *,
        login: Callable[[Path, str], None] = logins.write_login,
    ) -> Program:
        """Two upstreams for each model. login: writes the auth file for an api_type."""
        self.vendor, url = self.simulator()
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        text = f"circuit_breaker: {{failures: 1000}}\n{more}upstreams:\n"
        for api_type in API_TYPES:
            models = json.dumps([f"{api_type}-{behaviour}" for behaviour in behaviours])
            place = logins.place(api_type, url, folder)
            if api_type in logins.API_TYPES:
                login(folder / f"{api_type}.json", api_type)
            for n in (1, 2):
                lines = [f"name: {api_type}-{n}", f"available_models: {models}", *place]
                text += "  - " + "\n    ".join(lines) + "\n"
        return await self.start(text, first=COLLECTS)

    async def left_nothing(self, program: Program) -> None:
        program.signal(signal.SIGUSR1)

        async def has_told() -> bool:
            return "left:" in program.output()

        await self.eventually(has_told)
        self.assertIn("left: []\n", program.output())
