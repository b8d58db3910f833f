"""
Upstreams that are paid by Google's logins, geminicli and antigravity, against the simulated vendor.

What the SDKs get from them is test_pairs' affair.
"""

from __future__ import annotations

import json
from typing import Any

from aiproxy.framing import sse
from aiproxy.simulator.sides.codeassist import CodeAssist
from tests.integration import logins
from tests.integration.cases import WIRES, body, outside, path
from tests.integration.http import post
from tests.integration.program import Program
from tests.integration.test_subscriptions import LoginCase

API_TYPES = ("geminicli", "antigravity")


class GoogleCase(LoginCase):
    def side(self, api_type: str) -> CodeAssist:
        found: CodeAssist = self.vendor.sides[api_type]
        return found

    async def program(self, api_type: str, *accounts: str, more: str = "") -> Program:
        """A program whose upstream is paid by new logins of these accounts."""
        files = [self.log_in(api_type, account) for account in accounts or ("ann",)]
        lines = logins.upstream_lines(api_type, self.url, *files)
        return await self.upstream(*lines, *more.splitlines())

    async def upstream(self, *lines: str) -> Program:
        """A program whose one upstream says this."""
        text = "\n    ".join(["  - name: up", *lines])
        return await self.start(f"upstreams:\n{text}\n")

    async def answer(self, program: Program, model: str = "echo", wire: str = "chat") -> None:
        """One question and its answer."""
        answer = await post(program.url + path(wire, model), body(wire, model))
        self.assertEqual(answer.status, 200, answer.data)
        self.assertIn(b"hi", answer.data)

    def sent(self) -> dict[str, Any]:
        """What the vendor was asked last."""
        document: dict[str, Any] = json.loads(self.vendor.record.requests[-1].body)
        return document

    def written(self, api_type: str, account: str) -> dict[str, Any]:
        """What the auth file says now."""
        text = (self.folder / f"{api_type}-{account}.json").read_text("utf-8")
        document: dict[str, Any] = json.loads(text)
        return document


class AccountTests(GoogleCase):
    @outside
    async def test_first_use(self) -> None:
        """A login is renewed and its project found once, then it serves every protocol."""
        for api_type in API_TYPES:
            program = await self.program(api_type)
            self.side(api_type).logins.run_out("ann")
            for wire in WIRES:
                for stream in (False, True):
                    answer = await post(
                        program.url + path(wire, "echo", stream=stream),
                        body(wire, "echo", stream=stream),
                    )
                    self.assertEqual(answer.status, 200, answer.data)
                    self.assertIn(b"hi", answer.data)
            asked = [one.path.rpartition(":")[2] for one in self.vendor.record.requests]
            self.assertEqual(asked.count("loadCodeAssist"), 1)
            self.assertEqual(self.side(api_type).logins.accounts["ann"].rotations, 1)
            written = self.written(api_type, "ann")
            self.assertEqual(written["project_id"], "project-ann")
            self.assertEqual(
                written["access_token"], self.side(api_type).logins.accounts["ann"].access_token
            )
            self.vendor.record.reset()

    @outside
    async def test_new_account(self) -> None:
        """An account that Google does not know yet is taken on before its first call."""
        for api_type in API_TYPES:
            self.side(api_type).looks = 0
            await self.answer(await self.program(api_type, "new"))
            self.assertEqual(self.written(api_type, "new")["project_id"], "project-new")

    @outside
    async def test_configured_project(self) -> None:
        """A project that is configured is not looked for, nor written."""
        more = "metadata: {project_id: project-ann}"
        await self.answer(await self.program("geminicli", more=more))
        asked = [one.path.rpartition(":")[2] for one in self.vendor.record.requests]
        self.assertNotIn("loadCodeAssist", asked)
        self.assertNotIn("project_id", self.written("geminicli", "ann"))

    @outside
    async def test_revoked(self) -> None:
        """A revoked account is passed over unnoticed; only a file of ours is marked."""
        for api_type in API_TYPES:
            program = await self.program(api_type, "gone", "well")
            self.side(api_type).logins.revoke("gone")
            for _ in range(3):
                await self.answer(program)
            is_marked = self.written(api_type, "gone").get("disabled", False)
            self.assertEqual(is_marked, api_type == "antigravity")

    @outside
    async def test_refused_accounts(self) -> None:
        """Accounts that are not served are passed over, and the log has Google's reason."""
        for account, word in (
            ("closed", "UNSUPPORTED_CLIENT"),
            ("unverified", "https://accounts.google.com/simulated"),
        ):
            program = await self.program("geminicli", account, "well")
            for _ in range(2):
                await self.answer(program)
            self.assertIn(word, program.output())

    @outside
    async def test_spent(self) -> None:
        """An account without quota is asked once; without another one the client hears how long."""
        for api_type in API_TYPES:
            program = await self.program(api_type, "spent", "well")
            self.vendor.record.reset()
            for _ in range(4):
                await self.answer(program)
            asked = [one.path.rpartition(":")[2] for one in self.vendor.record.requests]
            self.assertEqual(len([one for one in asked if "enerateContent" in one]), 5)
            program = await self.program(api_type, "spent-1", "spent-2")
            for _ in range(2):
                answer = await post(program.url + path("chat", "echo"), body("chat", "echo"))
            self.assertEqual(answer.status, 429, answer.data)
            self.assertAlmostEqual(int(answer.headers["retry-after"]), 7170, delta=20)

    @outside
    async def test_no_client_secret(self) -> None:
        """Without a client secret the log says where to put it."""
        file = self.log_in("geminicli", "ann")
        program = await self.upstream("api_type: geminicli", f"auth_files: {file}")
        answer = await post(program.url + path("chat", "echo"), body("chat", "echo"))
        self.assertEqual(answer.status, 502, answer.data)
        self.assertIn("oauth_client_secret", program.output())


class GeminiClientTests(GoogleCase):
    """A client of the upstream's own protocol, between whom bytes pass."""

    @outside
    async def test_unwrapped(self) -> None:
        """Every form of answer is the Gemini API's own, with an id and without an envelope."""
        for api_type in API_TYPES:
            program = await self.program(api_type)
            base = f"{program.url}/v1beta/models/echo"
            whole = await post(f"{base}:generateContent", body("gemini", "echo"))
            array = await post(f"{base}:streamGenerateContent", body("gemini", "echo"))
            events = await post(f"{base}:streamGenerateContent?alt=sse", body("gemini", "echo"))
            for line in events.data.splitlines():
                self.assertTrue(not line or line.startswith(b"data: {"), line)
            streamed = [json.loads(m.data) for m in sse.SSEDecoder().feed(events.data)]
            for answers in ([whole.json], array.json, streamed):
                for answer in answers:
                    self.assertTrue(answer["responseId"])
                    self.assertNotIn("response", answer)
                self.assertIn("hi", json.dumps(answers))

    @outside
    async def test_losses(self) -> None:
        """What has no place in the envelope is named in the answer's head."""
        for api_type, lost in (
            ("geminicli", {"service-tier"}),
            ("antigravity", {"service-tier", "safety-settings", "max-output-tokens"}),
        ):
            program = await self.program(api_type)
            question = {
                **body("gemini", "echo"),
                "serviceTier": "flex",
                "safetySettings": [],
                "generationConfig": {"maxOutputTokens": 100},
            }
            answer = await post(program.url + path("gemini", "echo"), question)
            self.assertEqual(answer.status, 200, answer.data)
            self.assertEqual(set(answer.headers["x-aiproxy-losses"].split(", ")), lost)

    @outside
    async def test_counting(self) -> None:
        """Google counts for every protocol that can ask."""
        for api_type in API_TYPES:
            program = await self.program(api_type)
            for place, wire in (
                ("/v1/messages/count_tokens", "anthropic"),
                ("/v1/responses/input_tokens", "responses"),
                ("/v1beta/models/echo:countTokens", "gemini"),
            ):
                question = body(wire, "echo")
                asked = {k: v for k, v in question.items() if k not in ("max_tokens", "stream")}
                answer = await post(program.url + place, asked)
                self.assertEqual(answer.status, 200, answer.data)
                self.assertNotIn("x-aiproxy-estimated", answer.headers)
                self.assertTrue(self.vendor.record.requests[-1].path.endswith(":countTokens"))


class AntigravityTests(GoogleCase):
    @outside
    async def test_second_host(self) -> None:
        """The second host answers with the same login what the first one does not."""
        more = f'''metadata:
  base_urls: "{self.url}/nowhere {self.url}/antigravity"
  project_id: project-ann'''
        lines = logins.upstream_lines("antigravity", self.url, self.log_in("antigravity", "ann"))
        hosts = [line for line in lines if not line.startswith("base_url")]
        program = await self.upstream(*hosts, *more.splitlines())
        await self.answer(program)
        asked = [one.path for one in self.vendor.record.requests if "token" not in one.path]
        self.assertEqual(len(asked), 1)

    @outside
    async def test_claude(self) -> None:
        """Claude's calls are validated, and come back as the client's own schemas mean them."""
        program = await self.program("antigravity")
        model = "claude-tool"
        for schema, arguments in (
            ({"type": "object", "properties": {}}, {}),
            ({"type": "object"}, {}),
            (
                {"type": "object", "properties": {"a": {"type": "integer", "minimum": 3}}},
                {"a": 3},
            ),
        ):
            tools = [{"name": "f", "input_schema": schema}]
            for stream in (False, True):
                question = {**body("anthropic", model, stream=stream), "tools": tools}
                answer = await post(program.url + "/v1/messages", question)
                self.assertEqual(answer.status, 200, answer.data)
                self.assertNotIn(b"_nothing", answer.data)
                (function,) = self.sent()["request"]["tools"][0]["functionDeclarations"]
                self.assertEqual(function["parameters"]["required"], ["_nothing"])
                if not stream:
                    self.assertEqual(answer.json["content"][0]["input"], arguments)
            limit = self.sent()["request"]["generationConfig"]["maxOutputTokens"]
            self.assertEqual(limit, question["max_tokens"])

    @outside
    async def test_instructions(self) -> None:
        """The model reads what the client said, and nothing of ours."""
        program = await self.program("antigravity")
        for model in ("echo", "claude-echo", "gemini-3-pro-high-echo"):
            question = {**body("anthropic", model), "system": "be brief"}
            answer = await post(program.url + "/v1/messages", question)
            self.assertEqual(answer.status, 200, answer.data)
            said = self.sent()["request"]["systemInstruction"]
            self.assertEqual(said, {"parts": [{"text": "be brief"}]})
