"""
No secret shows anywhere: not in answers, not in a log, not in what the command line prints.

Every secret of these tests has "canary" in it. The program is made to write each log event as it
is, at every level and with all its values, before any redaction of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from twisted.internet.defer import ensureDeferred

from tests.faults.table import ROWS
from tests.integration.cases import WIRES, ProgramCase, body, outside, path, upstream
from tests.integration.http import Arriving, post
from tests.integration.program import Program, environment
from tests.translate.stage import BLOCK, DELTA, START

KEY = "client-key-canary"
TOKEN = "upstream-key-canary"
EVERYTHING = """
import os
from twisted.logger import globalLogPublisher
globalLogPublisher.addObserver(lambda event: os.write(1, f"EVENT {event}\\n".encode()))
"""
TWISTD = "from twisted.scripts.twistd import run; run()"
CARRIERS = (
    {"authorization": f"Bearer {KEY}"},
    {"x-api-key": KEY},
    {"x-goog-api-key": KEY},
)


class SecretTests(ProgramCase):
    """Their end looks through all that the program has printed, see `ProgramCase`."""

    async def ask(self, program: Program, wire: str, model: str, carrier: int = 0) -> Arriving:
        answer = await post(
            program.url + path(wire, model, stream=True),
            body(wire, model, "a prompt-canary", stream=True),
            CARRIERS[carrier % len(CARRIERS)],
        )
        shown = answer.data.replace(b"prompt-canary", b"").replace(b"prompt", b"")
        self.assertNotIn(b"upstream-key", shown)
        self.assertNotIn(b"client-key", shown)
        self.assertNotIn(b"inner-canary", shown)
        self.assertNotIn("canary", json.dumps(answer.headers))
        return answer

    @outside
    async def test_faults(self) -> None:
        """Whatever goes wrong upstream, with every log event written out in full."""
        _, url = self.simulator()
        program = await self.start(
            f"api-key: {KEY}\ncircuit_breaker: {{failures: 1000}}\nupstreams:\n"
            + upstream("a", f"{url}", "openai", "http_headers: {X-Team: header-canary}")
            + upstream("gone", "http://127.0.0.1:1/inner-canary", more="available_models: [gone]"),
            first=EVERYTHING,
        )
        slow = ("slow-start", "stall", "pings", "comments", "oversized", "429")
        for number, row in enumerate(ROWS):
            if row.place == "usual" and not any(word in row.name for word in slow):
                await self.ask(program, WIRES[number % len(WIRES)], row.name, number)
        for wire in WIRES:
            await self.ask(program, wire, "gone")
        question = body("gemini", "echo")
        answer = await post(f"{program.url}{path('gemini', 'echo')}?key={KEY}", question)
        self.assertEqual(answer.status, 200)
        await program.stop()
        self.assertIn("EVENT", program.output())

    @outside
    async def test_vendors_that_quote(self) -> None:
        """A vendor that repeats the key it was shown, in every kind of answer."""
        server, url = self.server()
        program = await self.start(
            f"api-key: {KEY}\ncircuit_breaker: {{failures: 1000}}\nupstreams:\n"
            + upstream("a", url),
            first=EVERYTHING,
        )
        message = f"the key {TOKEN} is not welcome"
        for wire in WIRES:
            for status in (400, 401, 403, 404, 429, 500):
                asked = ensureDeferred(self.ask(program, wire, "m"))
                error = {"type": "error", "error": {"type": "x_error", "message": message}}
                refusal = json.dumps(error).encode()
                for _ in range(2 if status == 500 else 1):
                    (await server.request()).write(
                        b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\n"
                        b"Content-Length: %d\r\n\r\n%b" % (status, len(refusal), refusal)
                    )
                said = (await asked).data
                # Of our own credential the client hears in our words only.
                self.assertIn(b"credential" if status in (401, 403) else b"[redacted]", said)
            asked = ensureDeferred(self.ask(program, wire, "m"))
            connection = await server.request()
            connection.begin()
            event = {"type": "error", "error": {"type": "api_error", "message": f"bad {TOKEN}"}}
            connection.chunk(START + BLOCK + DELTA)
            connection.chunk(b"event: error\ndata: %b\n\n" % json.dumps(event).encode())
            self.assertIn(b"hello", (await asked).data)

    def test_command_line(self) -> None:
        """Neither a check nor a configuration that is refused shows what is secret in it."""
        folder = Path(self.mktemp())
        folder.mkdir()
        config = folder / "config.yaml"
        (folder / "key").write_text("file-canary-\u00e9")
        good = f"api-key: [{KEY}, file:key]\nupstreams:\n" + upstream(
            "a", "https://inner.example", more="http_headers: {Authorization: h-canary}"
        )
        for text in (
            good,
            good + "nonsense: [canary\n",
            good.replace("api-key: [", "api-key: {a: "),
            good.replace("token: upstream", "token: [[upstream").replace("canary\n", "canary]]\n"),
            good + f"upstreamz: {TOKEN}\n",
            good.replace("    token: ", "    toke: "),
        ):
            config.write_text(text)
            done = subprocess.run(
                [sys.executable, "-c", TWISTD, "-n", "aiproxy", "--check", f"--config={config}"],
                env=environment(),
                capture_output=True,
                check=False,
            )
            shown = done.stdout + done.stderr
            self.assertTrue(shown)
            self.assertEqual(done.returncode == 0, text == good, shown)
            self.assertNotIn(b"canary", shown)
