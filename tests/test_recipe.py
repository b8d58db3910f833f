"""
The steps of docs/adding-an-api-type.md, done on a copy of the package that then runs.

Whatever these tests have to write is all that an extension takes.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from twisted.internet.defer import ensureDeferred

from tests.integration.cases import ProgramCase, body, outside, path, upstream
from tests.integration.http import Arriving, begun, post
from tests.integration.program import ROOT, Program
from tests.integration.test_streams import STREAMS
from tests.upstream.servers import Server

ROW = """
    ApiKeyProvider(
        api_type="acme",
        wire="chat",
        path=_fixed({"generate": "/api/v2/chat"}),
        operations=frozenset({"generate"}),
        authorize=_bearer,
        passed=("x-acme-",),
    ),"""

PROVIDER = '''
"""A relay that has its own place and header for everything, and speaks Anthropic's protocol."""

from __future__ import annotations

from msgspec.structs import replace

from aiproxy.messages import Credential, HttpRequest
from aiproxy.providers.contract import Call, Prepared, Provider
from aiproxy.settings import ApiType, Upstream
from aiproxy.wire import OUTBOUND
from aiproxy.wire.relay import encode_for


class Relay(Provider):
    api_type = "relay"
    wire = "anthropic"
    settings = ApiType("tokens")

    def serves(self, call: Call) -> bool:
        return call.head.operation == "generate"

    def prepare(
        self, call: Call, model: str, upstream: Upstream, credential: Credential
    ) -> Prepared:
        encoded = encode_for(OUTBOUND[self.wire], replace(call.decode(), model=model))
        url = f"{upstream.base_url}/relay/{model}"
        headers = (("X-Relay-Token", credential.secret.reveal()),)
        http = HttpRequest("POST", url, headers, encoded.body)
        return Prepared(http, call.head.stream, encoded.losses)


RELAY = Relay()
'''

WIRE = '''
"""Chat under another address."""

from aiproxy.wire.chat import *

NAME = "parley"
ROUTES = ("/parley/v3/talk",)
'''


class RecipeTests(ProgramCase):
    def setUp(self) -> None:
        super().setUp()
        self.root = Path(self.mktemp()).absolute()
        skipped = shutil.ignore_patterns("__pycache__", "dropin.cache")
        for package in ("aiproxy", "twisted"):
            shutil.copytree(ROOT / package, self.root / package, ignore=skipped)

    def insert(self, file: str, behind: str, text: str) -> None:
        """Add `text` behind the first occurrence of something in a file of the copy."""
        place = self.root / "aiproxy" / file
        source = place.read_text("utf-8")
        before, found, after = source.partition(behind)
        self.assertTrue(found, f"{file} has no {behind!r} any more")
        place.write_text(before + found + text + after, "utf-8")

    def add(self, file: str, text: str) -> None:
        """A new file of the copy."""
        (self.root / "aiproxy" / file).write_text(text.lstrip(), "utf-8")

    async def streamed(
        self, program: Program, server: Server, place: str, question: dict[str, Any], api_type: str
    ) -> tuple[Arriving, bytes]:
        """One streamed call, live; the answer and the head of the upstream's request."""
        headers = {"x-acme-tenant": "t", "x-other": "o"}
        asked = ensureDeferred(begun("POST", program.url + place, question, headers))
        connection = await server.request()
        start, content, end = STREAMS[api_type]
        connection.begin()
        connection.chunk(start + content)
        arriving = await asked
        await arriving.contains(b"hello")
        self.assertIsNone(arriving.is_complete)
        connection.chunk(end)
        connection.chunk(b"")
        await arriving.end()
        self.assertIs(arriving.is_complete, True)
        return arriving, connection.requests[-1][0]

    @outside
    async def test_plain_key(self) -> None:
        """A new place paid by key is one row."""
        self.insert("providers/apikey.py", "ROWS = (", ROW)
        server, url = self.server()
        program = await self.start("upstreams:\n" + upstream("a", url, "acme"), root=self.root)
        for wire in ("chat", "anthropic", "responses", "gemini"):
            arriving, head = await self.streamed(
                program,
                server,
                path(wire, "m", stream=True),
                body(wire, "m", stream=True),
                "openai",
            )
            self.assertIn(b"hello", arriving.data)
            self.assertTrue(head.startswith(b"POST /api/v2/chat HTTP/1.1"))
            self.assertIn(b"authorization: bearer upstream-key-canary", head.lower())
            self.assertEqual(b"x-acme-tenant" in head.lower(), wire == "chat")
            self.assertNotIn(b"x-other", head.lower())

    @outside
    async def test_api_type(self) -> None:
        """A new place with its own ways is one module, and its name in the registry."""
        self.add("providers/relay.py", PROVIDER)
        self.insert("providers/__init__.py", "from aiproxy.providers import", " relay,")
        self.insert("providers/__init__.py", "        *apikey.ROWS,", "\n        relay.RELAY,")
        server, url = self.server()
        program = await self.start("upstreams:\n" + upstream("a", url, "relay"), root=self.root)
        for wire in ("anthropic", "chat", "responses", "gemini"):
            arriving, head = await self.streamed(
                program,
                server,
                path(wire, "m", stream=True),
                body(wire, "m", stream=True),
                "anthropic",
            )
            self.assertIn(b"hello", arriving.data)
            self.assertTrue(head.startswith(b"POST /relay/m HTTP/1.1"))
            self.assertIn(b"x-relay-token: upstream-key-canary", head.lower())

    @outside
    async def test_wire(self) -> None:
        """A new protocol for clients is one module, and its name in the registry."""
        self.add("wire/parley.py", WIRE)
        self.insert(
            "wire/__init__.py", "from aiproxy.wire import anthropic, chat, gemini", ", parley"
        )
        self.insert(
            "wire/__init__.py", "for wire in (anthropic, chat, responses, gemini", ", parley"
        )
        server, url = self.server()
        program = await self.start(
            "upstreams:\n"
            + "".join(
                upstream(api_type, url, api_type, f"available_models: [m-{api_type}]")
                for api_type in STREAMS
            ),
            root=self.root,
        )
        for api_type in STREAMS:
            arriving, _ = await self.streamed(
                program,
                server,
                "/parley/v3/talk",
                body("chat", f"m-{api_type}", stream=True),
                api_type,
            )
            self.assertIn(b'"content":"hello"', arriving.data)
            self.assertIn(b"data: [DONE]", arriving.data)
        refused = await post(program.url + "/parley/v3/talk", body("chat", "unknown"))
        self.assertEqual((refused.status, refused.json["error"]["code"]), (404, "model_not_found"))
        await program.stop()
        self.assertIn("client=parley", program.output())
