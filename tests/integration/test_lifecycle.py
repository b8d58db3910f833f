"""A running program: configurations that change under it, and how it ends."""

from __future__ import annotations

import signal
from typing import Any

from twisted.internet.defer import ensureDeferred

from tests.integration.cases import WIRES, ProgramCase, body, outside, path, upstream
from tests.integration.http import begun, get, post
from tests.translate.stage import BLOCK, DELTA, END, START


class ReloadTests(ProgramCase):
    @outside
    async def test_new_key(self) -> None:
        """A changed client key counts within seconds, and the old one does not any more."""
        _, url = self.simulator()
        rest = "upstreams:\n" + upstream("a", url)
        program = await self.start("api-key: first-canary\n" + rest)
        self.assertEqual(await self.status(program, "first-canary"), 200)
        self.assertEqual(await self.status(program, "second-canary"), 401)
        program.write("api-key: second-canary\n" + rest)

        async def changed() -> bool:
            return await self.status(program, "second-canary") == 200

        await self.eventually(changed)
        self.assertEqual(await self.status(program, "first-canary"), 401)

    @outside
    async def test_broken_file(self) -> None:
        """What cannot be used is refused with its reasons; the old configuration goes on."""
        _, url = self.simulator()
        rest = "upstreams:\n" + upstream("a", url)
        program = await self.start("api-key: first-canary\n" + rest)
        # Without a key the door would stand open: refused like what is no YAML.
        for broken in ("api-key: [\n", "upstreams: [{name: a, api_typo: b}]\n", "", rest):
            refusals = program.output().count("stays as it is")
            program.write(broken)
            program.signal(signal.SIGHUP)

            async def told(before: int = refusals) -> bool:
                return program.output().count("stays as it is") > before

            await self.eventually(told)
            self.assertEqual(await self.status(program, "first-canary"), 200)
            self.assertEqual(await self.status(program, "other"), 401)
        self.assertIn("api_typ", program.output())

    @outside
    async def test_running_calls_keep_theirs(self) -> None:
        """A stream that runs is not touched when its upstream disappears; new calls see the new."""
        server, url = self.server()
        _, other = self.simulator()
        program = await self.start("upstreams:\n" + upstream("a", url))
        asked = ensureDeferred(
            begun("POST", program.url + "/v1/messages", body("anthropic", "m", stream=True))
        )
        connection = await server.request()
        connection.begin()
        connection.chunk(START + BLOCK + DELTA)
        arriving = await asked
        program.write("upstreams:\n" + upstream("b", other))

        async def changed() -> bool:
            answer = await get(program.url + "/v1/models")
            return answer.status == 200 and "loaded" in program.output()

        await self.eventually(changed)
        answer = await post(program.url + "/v1/messages", body("anthropic", "echo"))
        self.assertEqual((answer.status, answer.headers["x-aiproxy-upstream"]), (200, "b"))
        connection.chunk(DELTA + END)
        connection.chunk(b"")
        await arriving.end()
        self.assertIs(arriving.is_complete, True)
        self.assertEqual(arriving.data, START + BLOCK + DELTA + DELTA + END)

    @outside
    async def test_hangup(self) -> None:
        """SIGHUP loads the file at once."""
        _, url = self.simulator()
        program = await self.start("upstreams:\n" + upstream("a", url))
        program.write("upstreams:\n" + upstream("b", url))
        program.signal(signal.SIGHUP)

        async def changed() -> bool:
            answer = await post(program.url + "/v1/messages", body("anthropic", "echo"))
            return answer.headers["x-aiproxy-upstream"] == "b"

        await self.eventually(changed)

    async def status(self, program: Any, key: str) -> int:
        answer = await post(
            program.url + "/v1/messages", body("anthropic", "echo"), {"x-api-key": key}
        )
        return answer.status


class DrainTests(ProgramCase):
    @outside
    async def test_streams_finish(self) -> None:
        """SIGTERM during streams: they end as they should, nobody new is taken, status 0."""
        server, url = self.server()
        program = await self.start("upstreams:\n" + upstream("a", url))
        streams = []
        for wire in WIRES:
            place = program.url + path(wire, "m", stream=True)
            asked = ensureDeferred(begun("POST", place, body(wire, "m", stream=True)))
            connection = await server.request()
            connection.begin()
            connection.chunk(START + BLOCK + DELTA)
            streams.append((await asked, connection))
        program.signal(signal.SIGTERM)
        await self.eventually(lambda: self.refuses(program))
        for arriving, connection in streams:
            connection.chunk(DELTA + END)
            connection.chunk(b"")
            await arriving.end()
            self.assertIs(arriving.is_complete, True)
            self.assertGreaterEqual(arriving.data.count(b"hello"), 2)
        self.assertEqual(await program.ended(), 0)
        self.assertEqual(program.output().count(" access "), len(WIRES))

    @outside
    async def test_no_longer_than_told(self) -> None:
        """What does not end within `drain_timeout` is cut, visibly."""
        simulator, url = self.simulator()
        program = await self.start("drain_timeout: 0.5\nupstreams:\n" + upstream("a", url))
        question = body("anthropic", "stall-mid", "many words that are long " * 9, stream=True)
        arriving = await begun("POST", program.url + "/v1/messages", question)
        await arriving.contains(b"text_delta")
        program.signal(signal.SIGTERM)
        await arriving.end()
        self.assertIs(arriving.is_complete, False)
        self.assertEqual(await program.ended(), 0)
        self.assertIn("1 calls cut", program.output())
        self.assertEqual(simulator.record.streams, 0)

    @outside
    async def test_second_signal(self) -> None:
        """A second SIGTERM ends it at once."""
        simulator, url = self.simulator()
        program = await self.start("upstreams:\n" + upstream("a", url))
        question = body("anthropic", "slow-start-60s", stream=True)
        waiting = ensureDeferred(begun("POST", program.url + "/v1/messages", question))
        waiting.addErrback(lambda _: None)
        await simulator.record.until(lambda: simulator.record.streams == 1)
        program.signal(signal.SIGTERM)

        async def draining() -> bool:
            return "waiting for 1 calls" in program.output()

        await self.eventually(draining)
        program.signal(signal.SIGTERM)
        self.assertNotEqual(await program.ended(), 0)

    @outside
    async def test_idle(self) -> None:
        """Without calls, and with a kept connection open, it ends at once with status 0."""
        _, url = self.simulator()
        program = await self.start("upstreams:\n" + upstream("a", url))
        answer = await post(program.url + "/v1/messages", body("anthropic", "echo"))
        self.assertEqual(answer.status, 200)
        self.assertEqual(await program.stop(), 0)
        self.assertIn(" access ", program.output())
        self.assertNotIn("Traceback", program.output())


class LogTests(ProgramCase):
    @outside
    async def test_access_lines(self) -> None:
        """One line for each call, with what happened and without what was said."""
        _, url = self.simulator()
        program = await self.start(
            "upstreams:\n" + upstream("a", url, "openai", "model_mappings: {alias: echo}")
        )
        answer = await post(
            program.url + "/v1/messages", body("anthropic", "alias", "a canary", stream=True)
        )
        await program.stop()
        (line,) = [line for line in program.output().splitlines() if " access " in line]
        for word in (answer.headers["x-request-id"], "anthropic", "alias", "echo", "a", "200"):
            self.assertIn(word, line)
        self.assertNotIn("a canary", program.output())

    @outside
    async def test_log_file(self) -> None:
        """With `log.file` the lines go there, and the file is the owner's alone."""
        _, url = self.simulator()
        program = await self.start(
            "log: {file: logs/aiproxy.log}\nupstreams:\n" + upstream("a", url)
        )
        await post(program.url + "/v1/messages", body("anthropic", "echo"))
        await program.stop()
        file = program.path.parent / "logs" / "aiproxy.log"
        self.assertIn(" access ", file.read_text())
        self.assertEqual(file.stat().st_mode & 0o777, 0o600)
        self.assertNotIn(" access ", program.output())
