"""
No secret of an auth file shows anywhere, whatever is wrong with the file or with those it goes to.

Every secret here has "canary" in it. The program writes each log event as it is, before any
redaction of its own, and the end of each test looks through all of that.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from twisted.internet.defer import Deferred, DeferredSemaphore, gatherResults
from twisted.web.server import Site

from tests.faults.quoting import Quoting, quotes
from tests.faults.test_secrets import EVERYTHING, TWISTD
from tests.integration.cases import ProgramCase, body, outside, path, reactor
from tests.integration.http import get, post
from tests.integration.logins import API_TYPES, DOCUMENTS, upstream_lines
from tests.integration.program import Program, environment
from tests.providers import kiro_samples

PAGES = ("/", "/healthz", "/readyz", "/models", "/unavailable-models", "/v1/models", "/v1/models/m")
WIRES = ("anthropic", "chat", "responses", "gemini")


class LoginSecretTests(ProgramCase):
    timeout = 120

    def setUp(self) -> None:
        super().setUp()
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()

    async def ask(self, program: Program, wire: str, model: str) -> int:
        answer = await post(program.url + path(wire, model), body(wire, model))
        self.assertNotIn(b"canary", answer.data)
        self.assertNotIn("canary", json.dumps(answer.headers))
        return answer.status

    async def look(self, program: Program) -> None:
        """At every page that shows something of the program's state."""
        for page in PAGES:
            shown = await get(program.url + page)
            self.assertNotIn(b"canary", shown.data)

    def check(self, program: Program) -> str:
        """What `--check` prints."""
        done = subprocess.run(
            [sys.executable, "-c", TWISTD, "-n", "aiproxy", "--check", f"--config={program.path}"],
            env=environment(),
            capture_output=True,
            check=False,
        )
        shown = (done.stdout + done.stderr).decode()
        self.assertEqual(done.returncode, 0, shown)
        self.assertNotIn("canary", shown)
        return shown

    @outside
    async def test_files(self) -> None:
        """Files that are no login, or a strange one: named, and never shown."""
        text = "upstreams:\n"
        count = 0
        for api_type in API_TYPES:
            files = []
            for number, data in enumerate(_strange_files(api_type)):
                file = self.folder / f"{api_type}-{number}.json"
                file.write_bytes(data)
                files.append(file)
            count += len(files)
            lines = (
                f"name: {api_type}",
                f"available_models: [{api_type}]",
                *upstream_lines(api_type, "http://127.0.0.1:1", *files),
            )
            text += "  - " + "\n    ".join(lines) + "\n"
        program = await self.start(text, first=EVERYTHING)
        for api_type in API_TYPES:
            for wire in WIRES:
                self.assertEqual(await self.ask(program, wire, api_type), 502)
        await self.look(program)
        self.assertEqual(self.check(program).count(".json: "), count)
        await program.stop()
        self.assertIn("EVENT", program.output())
        for file in self.folder.iterdir():
            if file.suffix == ".json":
                self.assertIn(f"{file} is not used", program.output())

    @outside
    async def test_services_that_quote(self) -> None:
        """Whoever repeats what it was shown, in whatever form: neither client nor log see it."""
        known = quotes()
        server = Quoting(known)
        port = reactor.listenTCP(0, Site(server), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        url = f"http://127.0.0.1:{port.getHost().port}"
        text = "circuit_breaker: {failures: 1000}\nupstreams:\n"
        for quote in known:
            file = self.folder / f"{quote.number}.json"
            file.write_text(json.dumps(quote.document), "utf-8")
            text += quote.lines(url, str(file))
        program = await self.start(text, first=EVERYTHING)
        room = DeferredSemaphore(20)

        def asked(number: int, model: str) -> Deferred[int]:
            wire = WIRES[number % len(WIRES)]
            return Deferred.fromCoroutine(self.ask(program, wire, model))

        statuses = await gatherResults(
            [room.run(asked, quote.number, quote.model) for quote in known], consumeErrors=True
        )
        self.assertNotIn(200, statuses)
        self.assertEqual(server.seen, {quote.number for quote in known})
        await self.look(program)
        self.check(program)
        await program.stop()
        self.assertIn("EVENT", program.output())
        self.assertNotIn("Traceback", program.output())


def _strange_files(api_type: str) -> list[bytes]:
    """None of them is a login that can be used."""
    usual = DOCUMENTS[api_type]("access-canary", "refresh-canary", "account-canary")
    text = json.dumps(usual)
    key = "sk-proj-canary0123456789"
    documents: list[object] = [
        key,
        [usual],
        {"login": usual},
        {"canary": text},
        {"access_token": ["access-canary"], "refresh_token": {"canary": "refresh-canary"}},
        {"accessToken": 5, "refreshToken": None, "id_token": "id-canary"},
        {"OPENAI_API_KEY": key, "api_key": key},
        {"private_key": "key-canary", "client_email": "mail-canary", "type": "service_account"},
        {"installed": {"client_id": "id-canary", "client_secret": "secret-canary"}},
        {"gemini-cli-oauth": "ciphered-canary"},
        {"clientId": "id-canary", "clientSecret": "secret-canary"},
        {**kiro_samples.EXTERNAL, "tokenEndpoint": "https://canary.test/canary?canary"},
        {**usual, "disabled": True, "type": "canary"},
    ]
    odd = [json.dumps(document).encode() for document in documents]
    for broken in ("\\ud800", "\\r\\nX-Canary: 1", "\\u0000"):
        odd.append(text.replace("access-canary", f"access{broken}canary").encode())
    return [
        *odd,
        b"",
        text[:-3].encode(),
        text.replace('"', "'").encode(),
        f"token=access-canary\nrefresh={key}\n".encode(),
        b"Salted__canary\x00\xff\xfe" + text.encode(),
        b"SQLite format 3\0" + text.encode(),
        text.encode("utf-16"),
        b"[" * 100_000 + b'"canary"',
        json.dumps({"canary": "canary" * 200_000}).encode(),
    ]
