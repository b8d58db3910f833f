"""Bodies that are made to hurt, from clients and from upstreams: refused, and at a bounded cost."""

from __future__ import annotations

import json
import zlib

from twisted.internet.defer import ensureDeferred

from tests.faults.test_pressure import MIB, memory
from tests.integration.cases import WIRES, ProgramCase, body, outside, path, upstream
from tests.integration.http import Arriving, post
from tests.integration.program import Program

DEPTH = 20_000
BOMB_BYTES = 256 * MIB


def bomb() -> bytes:
    """Blanks, a thousandth as large in gzip."""
    deflater = zlib.compressobj(9, zlib.DEFLATED, 31)
    blanks = b" " * MIB
    return b"".join(deflater.compress(blanks) for _ in range(BOMB_BYTES // MIB)) + deflater.flush()


def deep(wire: str, model: str, *, stream: bool) -> bytes:
    """A question with a member that is nested without reason, where every dialect allows any."""
    question = {**body(wire, model, stream=stream), "metadata": 0, "tools": 0}
    nested = b"[" * DEPTH + b"]" * DEPTH
    return json.dumps(question).encode().replace(b'"tools": 0', b'"tools": ' + nested)


class LimitTests(ProgramCase):
    async def program_for(self, *api_types: str) -> Program:
        _, url = self.simulator()
        return await self.start(
            "upstreams:\n"
            + "".join(
                upstream(api_type, url, api_type, f"available_models: [{api_type}]")
                for api_type in api_types
            )
        )

    @outside
    async def test_nesting(self) -> None:
        """JSON nested a thousand times too deep is the client's error in every pair."""
        api_types = ("anthropic", "openai", "responses", "gemini")
        program = await self.program_for(*api_types)
        for wire in WIRES:
            for api_type in api_types:
                for stream in (True, False):
                    url = program.url + path(wire, api_type, stream=stream)
                    answer = await post(url, deep(wire, api_type, stream=stream))
                    self.assertEqual(answer.status, 400, (wire, api_type, answer.data))
                    self.assertIn(b"error", answer.data)
        self.assertNotIn("Traceback", program.output())

    @outside
    async def test_bombs_of_clients(self) -> None:
        """A body that would grow a thousandfold is refused, and does not grow so far."""
        program = await self.program_for("anthropic")
        before = memory(program, "VmHWM")
        sent = bomb()
        for wire in WIRES:
            answer = await post(
                program.url + path(wire, "anthropic"), sent, {"content-encoding": "gzip"}
            )
            self.assertEqual(answer.status, 413)
            self.assertIn(b"error", answer.data)
        self.assertLess(memory(program, "VmHWM") - before, 200 * MIB)

    @outside
    async def test_bombs_of_upstreams(self) -> None:
        """Neither an answer, nor an error, nor a stream grows so far."""
        server, url = self.server()
        program = await self.start("upstreams:\n" + upstream("a", url))
        sent = bomb()
        before = memory(program, "VmHWM")
        for status, stream in ((b"200", False), (b"200", True), (b"400", False)):
            asked = ensureDeferred(self.ask(program, stream=stream))
            # An upstream that is alone is asked twice after a fault of its own.
            for _ in range(2 if status == b"200" else 1):
                connection = await server.request()
                connection.write(
                    b"HTTP/1.1 %b X\r\nContent-Type: %b\r\nContent-Encoding: gzip\r\n"
                    b"Content-Length: %d\r\n\r\n"
                    % (status, b"text/event-stream" if stream else b"application/json", len(sent))
                )
                connection.write(sent)
            answer = await asked
            self.assertEqual(answer.status, 502 if status == b"200" else 400)
        self.assertLess(memory(program, "VmHWM") - before, 300 * MIB)

    @outside
    async def test_nesting_of_upstreams(self) -> None:
        """An answer that is nested too deep is an upstream's fault, whole or in a stream."""
        server, url = self.server()
        program = await self.start("upstreams:\n" + upstream("a", url, "openai"))
        nested = b'{"choices":' + b"[" * DEPTH + b"]" * DEPTH + b"}"
        asked = ensureDeferred(self.ask(program, stream=False))
        for _ in range(2):
            (await server.request()).answer(nested, b"Content-Type: application/json")
        self.assertEqual((await asked).status, 502)
        asked = ensureDeferred(self.ask(program, stream=True))
        for _ in range(2):
            connection = await server.request()
            connection.begin()
            connection.chunk(b"data: " + nested + b"\n\n")
            connection.chunk(b"")
        self.assertEqual((await asked).status, 502)
        self.assertNotIn("Traceback", program.output())

    async def ask(self, program: Program, *, stream: bool) -> Arriving:
        question = body("anthropic", "m", stream=stream)
        return await post(program.url + path("anthropic", "m", stream=stream), question)
