"""
Upstreams that are paid by a login: codex, claudecode and kiro, against their simulated vendors.

What the SDKs get from them is test_pairs' affair.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from twisted.internet.defer import ensureDeferred

from aiproxy.framing import sse
from aiproxy.simulator.sides import codex as simulated
from aiproxy.simulator.sides.oauth import TokenService
from tests.integration import logins
from tests.integration.cases import WIRES, ProgramCase, body, outside, path
from tests.integration.http import Arriving, post
from tests.integration.program import Program

API_TYPES = ("codex", "claudecode", "kiro")
WORDS = ("echo", "no-output-echo", "tool")


class LoginCase(ProgramCase):
    """One simulator, and programs whose upstreams are paid by accounts of it."""

    def setUp(self) -> None:
        super().setUp()
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.vendor, self.url = self.simulator()

    def accounts(self, api_type: str) -> TokenService:
        service: TokenService = self.vendor.sides[api_type].logins
        return service

    def log_in(self, api_type: str, account: str) -> Path:
        """The auth file of a new login."""
        grant = self.accounts(api_type).log_in(account)
        file = self.folder / f"{api_type}-{account}.json"
        logins.write_login(
            file,
            api_type,
            access=grant.access_token,
            refresh=grant.refresh_token,
            account=account,
        )
        return file

    async def upstreams(self, files: Mapping[str, Sequence[Path]], more: str = "") -> Program:
        """A program with an upstream for each api_type, which serves models that begin with it."""
        text = ""
        for api_type, paths in files.items():
            names = [f"{api_type}-{word}" for word in WORDS]
            lines = [
                f"name: up-{api_type}",
                f"available_models: {json.dumps(names)}",
                *logins.upstream_lines(api_type, self.url, *paths),
                *more.splitlines(),
            ]
            text += "  - " + "\n    ".join(lines) + "\n"
        return await self.start("upstreams:\n" + text)

    async def logged_in(self, *accounts: str, more: str = "") -> Program:
        """The same, with new logins of these accounts at all vendors."""
        files = {kind: [self.log_in(kind, name) for name in accounts] for kind in API_TYPES}
        return await self.upstreams(files, more)

    async def echoed(self, program: Program, api_type: str) -> Arriving:
        model = f"{api_type}-echo"
        return await post(program.url + path("chat", model), body("chat", model))

    def told(self) -> list[tuple[str, str]]:
        """The headers that a vendor has seen last."""
        latest = self.vendor.record.requests[-1]
        return [(name.lower(), value) for name, value in latest.headers]


class AccountTests(LoginCase):
    @outside
    async def test_first_use(self) -> None:
        """A login without a token is renewed once, written back and used in every protocol."""
        files = {api_type: self.folder / f"{api_type}.json" for api_type in API_TYPES}
        for api_type, file in files.items():
            logins.write_login(file, api_type)
        program = await self.upstreams({api_type: [file] for api_type, file in files.items()})
        for api_type, file in files.items():
            for wire in WIRES:
                for stream in (False, True):
                    model = f"{api_type}-echo"
                    place = program.url + path(wire, model, stream=stream)
                    answer = await post(place, body(wire, model, stream=stream))
                    self.assertEqual(answer.status, 200, answer.data)
                    self.assertIn(b"hi", answer.data)
            account = self.accounts(api_type).accounts["demo"]
            self.assertEqual((account.rotations, account.refusals), (1, 0))
            self.assertIn(account.refresh_token, file.read_text())
            self.assertIn(account.access_token, file.read_text())

    @outside
    async def test_run_out(self) -> None:
        """A token that the vendor does not take any more is renewed; the client hears nothing."""
        program = await self.logged_in("ann")
        for api_type in API_TYPES:
            for rotations in (0, 1):
                answer = await self.echoed(program, api_type)
                self.assertEqual(answer.status, 200, answer.data)
                self.assertEqual(self.accounts(api_type).accounts["ann"].rotations, rotations)
                self.accounts(api_type).run_out("ann")

    @outside
    async def test_revoked(self) -> None:
        """A revoked account is passed over unnoticed; a vendor's own file is left alone."""
        program = await self.logged_in("gone", "well")
        for api_type in API_TYPES:
            file = self.folder / f"{api_type}-gone.json"
            before = file.read_bytes()
            self.accounts(api_type).revoke("gone")
            for _ in range(3):
                answer = await self.echoed(program, api_type)
                self.assertEqual(answer.status, 200, answer.data)
            self.assertEqual(file.read_bytes(), before)

    @outside
    async def test_usage_limit(self) -> None:
        """An account at its limit is asked once; the other one serves."""
        program = await self.logged_in("spent", "well", more="affinity: false")
        for api_type in API_TYPES:
            self.vendor.record.reset()
            for _ in range(4):
                answer = await self.echoed(program, api_type)
                self.assertEqual(answer.status, 200, answer.data)
            self.assertEqual(len(self.vendor.record.requests), 5)

    @outside
    async def test_all_at_their_limit(self) -> None:
        """When all accounts rest, the client is told so in its own words, and for how long."""
        program = await self.logged_in("spent-1", "spent-2")
        for api_type in API_TYPES:
            model = f"{api_type}-echo"
            # Kiro's accounts rest until the month ends, which may be soon.
            least = 0 if api_type == "kiro" else 1000
            for wire in WIRES:
                for stream in (False, True):
                    place = program.url + path(wire, model, stream=stream)
                    answer = await post(place, body(wire, model, stream=stream))
                    self.assertEqual(answer.status, 429, answer.data)
                    self.assertGreater(int(answer.headers["retry-after"]), least)
                    self.assertIn("application/json", answer.headers["content-type"])
        self.assertEqual(len(self.vendor.record.requests), 2 * len(API_TYPES))

    @outside
    async def test_the_vendors_words(self) -> None:
        """A client of the same protocol reads of a limit what the vendor said."""
        program = await self.logged_in("spent")
        for api_type, wire, type_ in (
            ("codex", "responses", "usage_limit_reached"),
            ("claudecode", "anthropic", "rate_limit_error"),
        ):
            model = f"{api_type}-echo"
            answer = await post(program.url + path(wire, model), body(wire, model))
            self.assertEqual(answer.json["error"]["type"], type_)

    @outside
    async def test_wrong_files(self) -> None:
        """A file that is no login is called what it is, in the log; the client gets 502."""
        documents: dict[str, dict[str, Any]] = {
            "codex": {"OPENAI_API_KEY": "sk-proj-canary-12345678"},
            "claudecode": {"tokens": {"access_token": "canary"}},
            "kiro": {"clientId": "c", "clientSecret": "canary"},
        }
        files = {api_type: [self.folder / f"{api_type}.json"] for api_type in API_TYPES}
        for api_type, document in documents.items():
            files[api_type][0].write_text(json.dumps(document))
        program = await self.upstreams(files)
        for api_type in API_TYPES:
            answer = await self.echoed(program, api_type)
            self.assertEqual(answer.status, 502, answer.data)
            self.assertNotIn(str(self.folder).encode(), answer.data)
        self.assertIn("use api_type codex", program.output())
        self.assertIn("api_type responses", program.output())


class CodexTests(LoginCase):
    def events(self, data: bytes) -> list[dict[str, Any]]:
        decoder = sse.SSEDecoder()
        return [json.loads(message.data) for message in decoder.feed(data)]

    @outside
    async def test_events_of_the_backend(self) -> None:
        """A client of its protocol gets them, and its items in the end; others get none of it."""
        program = await self.logged_in("ann")
        place = program.url + "/v1/responses"
        question = body("responses", "codex-no-output-echo", stream=True)
        streamed = await post(place, question)
        events = self.events(streamed.data)
        self.assertIn("codex.rate_limits", [event["type"] for event in events])
        self.assertEqual(events[-1]["response"]["output"][0]["content"][0]["text"], "hi")
        whole = await post(place, body("responses", "codex-no-output-echo"))
        self.assertEqual(whole.json["output"][0]["content"][0]["text"], "hi")
        self.assertEqual(whole.json["object"], "response")
        question = body("anthropic", "codex-no-output-echo", stream=True)
        foreign = await post(program.url + "/v1/messages", question)
        self.assertNotIn(b"rate_limits", foreign.data)
        self.assertIn(b"message_stop", foreign.data)

    @outside
    async def test_a_native_client(self) -> None:
        """Long names come back, losses are told, a turn's state goes to its own account."""
        program = await self.logged_in("ann")
        place = program.url + "/v1/responses"
        name = "mcp__server__" + "x" * 70
        tool = {"type": "function", "name": name, "parameters": {"type": "object"}}
        more = {"tools": [tool], "temperature": 0.5, "metadata": {"a": "b"}}
        headers: dict[str, str] = {}
        for stream in (False, True):
            question = {**body("responses", "codex-tool", stream=stream), **more}
            answer = await post(place, question, headers)
            self.assertEqual(answer.status, 200, answer.data)
            self.assertIn(f'"{name}"'.encode(), answer.data)
            self.assertEqual(answer.headers["x-aiproxy-losses"], "temperature, metadata")
            sent = json.loads(self.vendor.record.requests[-1].body)
            self.assertNotIn(sent["tools"][0]["name"].encode(), answer.data)
            headers = {"x-codex-turn-state": answer.headers["x-codex-turn-state"]}
        self.assertIn(("x-codex-turn-state", "turn of ann"), self.told())

    @outside
    async def test_failed_at_the_start(self) -> None:
        """A stream that fails before its first content is another account's, unseen."""
        server, self.url = self.server()
        ends_at = time.time() + 3600
        files = [self.folder / f"{name}.json" for name in ("ann", "bob")]
        for file in files:
            token = simulated.token(file.stem, 1, ends_at)
            logins.write_login(file, "codex", access=token, account=file.stem)
        program = await self.upstreams({"codex": files})
        question = body("responses", "codex-echo", stream=True)
        asked = ensureDeferred(post(program.url + "/v1/responses", question))
        for name in ("ann", "bob"):
            connection = await server.request()
            self.assertIn(f"acc-{name}".encode(), connection.requests[-1][0])
            connection.begin()
            connection.chunk(_created(f"resp_{name}"))
            connection.chunk(_FAILED if name == "ann" else _ANSWER)
            connection.chunk(b"")
        answer = await asked
        self.assertIs(answer.is_complete, True)
        self.assertIn(b"hello", answer.data)
        self.assertNotIn(b"resp_ann", answer.data)
        self.assertEqual(answer.headers["x-aiproxy-attempts"], "2")

    @outside
    async def test_foreign_thoughts(self) -> None:
        """Thoughts that the vendor does not know are left out, and the question asked again."""
        program = await self.logged_in("ann")
        thought = {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [],
            "encrypted_content": "c3R1ZmY=",
        }
        items = [thought, {"role": "assistant", "content": "yes"}, {"role": "user", "content": "x"}]
        question = {**body("responses", "codex-echo"), "input": items}
        answer = await post(program.url + "/v1/responses", question)
        self.assertEqual(answer.status, 200, answer.data)
        self.assertEqual(answer.headers["x-aiproxy-losses"], "reasoning")
        self.assertNotIn(b"c3R1ZmY=", self.vendor.record.requests[-1].body)

    @outside
    async def test_side_operations(self) -> None:
        """Compacting is the backend's own; counting is an estimate."""
        program = await self.logged_in("ann")
        question = {**body("responses", "codex-echo"), "temperature": 1}
        compacted = await post(program.url + "/v1/responses/compact", question)
        self.assertEqual(compacted.json["object"], "response.compaction")
        counted = await post(program.url + "/v1/responses/input_tokens", question)
        self.assertGreater(counted.json["input_tokens"], 0)
        self.assertEqual(counted.headers["x-aiproxy-estimated"], "true")


def _created(name: str) -> bytes:
    """The first event of a response."""
    event = {"type": "response.created", "response": {"id": name, "model": "m", "output": []}}
    return sse.encode(json.dumps(event).encode(), "response.created")


_FAILED = sse.encode(
    b'{"type":"response.failed","response":{"id":"resp_ann","error":'
    b'{"code":"server_is_overloaded","message":"busy"}}}',
    "response.failed",
)
_ITEM = (
    b'{"type":"message","id":"m","role":"assistant","content":[{"type":"output_text",'
    b'"text":"hello"}]}'
)
_ANSWER = sse.encode(
    b'{"type":"response.output_item.done","output_index":0,"item":%b}' % _ITEM,
    "response.output_item.done",
) + sse.encode(
    b'{"type":"response.completed","response":{"id":"resp_bob","model":"m","output":[],'
    b'"usage":{"input_tokens":1,"output_tokens":1}}}',
    "response.completed",
)


class ClaudeCodeTests(LoginCase):
    @outside
    async def test_claude_code(self) -> None:
        """Claude Code passes as it is: its headers, and its body to the byte."""
        program = await self.logged_in("ann")
        system = "You are Claude Code, Anthropic's official CLI for Claude."
        question = {**body("anthropic", "claudecode-echo"), "system": system}
        exact = json.dumps(question, indent=1).encode()
        headers = {
            "user-agent": "claude-cli/2.1.197 (external, cli)",
            "anthropic-version": "2023-06-01",
            "anthropic-beta": "claude-code-20250219,b-1",
            "x-claude-code-session-id": "s-1",
            "x-api-key": "client-canary",
        }
        answer = await post(program.url + "/v1/messages?beta=true", exact, headers)
        self.assertEqual(answer.status, 200, answer.data)
        seen = self.vendor.record.requests[-1]
        self.assertEqual(seen.body, exact)
        self.assertTrue(seen.path.endswith("/v1/messages?beta=true"))
        told = dict(self.told())
        self.assertEqual(told["anthropic-beta"], "claude-code-20250219,b-1,oauth-2025-04-20")
        self.assertEqual(told["x-claude-code-session-id"], "s-1")
        self.assertNotIn("x-api-key", told)

    @outside
    async def test_counting(self) -> None:
        """The vendor counts for every protocol that can ask."""
        program = await self.logged_in("ann")
        model = "claudecode-echo"
        for place, question in (
            ("/v1/messages/count_tokens", body("anthropic", model)),
            ("/v1/responses/input_tokens", body("responses", model)),
            (f"/v1beta/models/{model}:countTokens", body("gemini", model)),
        ):
            question = {k: v for k, v in question.items() if k not in ("max_tokens", "stream")}
            answer = await post(program.url + place, question)
            self.assertEqual(answer.status, 200, answer.data)
            self.assertNotIn("x-aiproxy-estimated", answer.headers)
            self.assertIn("token-counting-2024-11-01", dict(self.told())["anthropic-beta"])
