"""
Upstreams that are paid by Google's logins, geminicli and antigravity, against the simulated vendor.

What the SDKs get from them is test_pairs' affair.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from twisted.trial.unittest import TestCase

from aiproxy.framing import sse
from aiproxy.simulator.sides.codeassist import CodeAssist
from tests.integration import logins
from tests.integration.cases import WIRES, body, outside, path
from tests.integration.http import Arriving, get, post
from tests.integration.program import Program
from tests.integration.test_subscriptions import LoginCase
from tests.integration.world import KEY, world

API_TYPES = ("geminicli", "antigravity")


class GoogleCase(LoginCase):
    def side(self, api_type: str) -> CodeAssist:
        found: CodeAssist = self.vendor.sides[api_type]
        return found

    def paid_by(self, api_type: str, *accounts: str) -> list[str]:
        """What an upstream says that is paid by new logins of these accounts."""
        files = [self.log_in(api_type, account) for account in accounts]
        return logins.upstream_lines(api_type, self.url, *files)

    async def running(self, **upstreams: Sequence[str]) -> Program:
        """A program with these upstreams, each with the one model that is called like it."""
        text = ""
        for name, lines in upstreams.items():
            model = f"available_models: [{name.replace('_', '-')}]"
            text += "\n    ".join([f"  - name: {name}", model, *lines]) + "\n"
        return await self.start("upstreams:\n" + text)

    async def answer(self, program: Program, model: str) -> Arriving:
        return await post(program.url + path("chat", model), body("chat", model))

    async def fine(self, program: Program, model: str) -> None:
        """One question and its answer."""
        answer = await self.answer(program, model)
        self.assertEqual(answer.status, 200, answer.data)
        self.assertIn(b"hi", answer.data)

    def asked(self) -> list[str]:
        """The methods that the vendor was asked for since the last time."""
        paths = [one.path for one in self.vendor.record.requests if "v1internal" in one.path]
        self.vendor.record.reset()
        return [path.rpartition(":")[2].partition("?")[0] for path in paths]

    def written(self, api_type: str, account: str) -> dict[str, Any]:
        """What the auth file says now."""
        text = (self.folder / f"{api_type}-{account}.json").read_text("utf-8")
        document: dict[str, Any] = json.loads(text)
        return document


class AccountTests(GoogleCase):
    @outside
    async def test_first_use(self) -> None:
        """A login is renewed and its project found once, then it serves every protocol."""
        program = await self.running(**{name: self.paid_by(name, "ann") for name in API_TYPES})
        for name in API_TYPES:
            for wire in WIRES:
                for stream in (False, True):
                    answer = await post(
                        program.url + path(wire, name, stream=stream),
                        body(wire, name, stream=stream),
                    )
                    self.assertEqual(answer.status, 200, answer.data)
                    self.assertIn(b"hi", answer.data)
            self.assertEqual(self.asked().count("loadCodeAssist"), 1)
            account = self.side(name).logins.accounts["ann"]
            self.assertEqual(account.rotations, 1)
            self.assertEqual(self.written(name, "ann")["project_id"], "project-ann")
            self.assertEqual(self.written(name, "ann")["access_token"], account.access_token)

    @outside
    async def test_projects(self) -> None:
        """An account without a project is taken on first; a configured one is not looked for."""
        for name in API_TYPES:
            self.side(name).looks = 0
        more = ["metadata: {project_id: project-ann}"]
        program = await self.running(
            geminicli=self.paid_by("geminicli", "new"),
            antigravity=self.paid_by("antigravity", "new"),
            configured=[*self.paid_by("geminicli", "ann"), *more],
        )
        for name in API_TYPES:
            await self.fine(program, name)
            self.assertEqual(self.asked()[:2], ["loadCodeAssist", "onboardUser"])
            self.assertEqual(self.written(name, "new")["project_id"], "project-new")
        await self.fine(program, "configured")
        self.assertEqual(self.asked(), ["generateContent"])
        self.assertNotIn("project_id", self.written("geminicli", "ann"))

    @outside
    async def test_revoked(self) -> None:
        """A revoked account is passed over unnoticed; only a file of ours is marked."""
        program = await self.running(
            **{name: self.paid_by(name, "gone", "well") for name in API_TYPES}
        )
        for name in API_TYPES:
            self.side(name).logins.revoke("gone")
            for _ in range(3):
                await self.fine(program, name)
        self.assertNotIn("disabled", self.written("geminicli", "gone"))
        self.assertTrue(self.written("antigravity", "gone")["disabled"])

    @outside
    async def test_refused_accounts(self) -> None:
        """Accounts that are not served are passed over, and the log has Google's reason."""
        program = await self.running(
            geminicli=self.paid_by("geminicli", "closed", "unverified", "a")
        )
        for _ in range(3):
            await self.fine(program, "geminicli")
        self.assertIn("UNSUPPORTED_CLIENT", program.output())
        self.assertIn("accounts.google.com/simulated", program.output())

    @outside
    async def test_spent(self) -> None:
        """An account without quota is asked once; without another one the client hears how long."""
        program = await self.running(
            **{name: self.paid_by(name, "spent", "well") for name in API_TYPES},
            poor=self.paid_by("antigravity", "spent-1", "spent-2"),
        )
        for name in API_TYPES:
            for _ in range(4):
                await self.fine(program, name)
            asked = [method for method in self.asked() if "enerateContent" in method]
            self.assertEqual(len(asked), 5)
        for _ in range(2):
            answer = await self.answer(program, "poor")
            self.assertEqual(answer.status, 429, answer.data)
            self.assertLess(abs(int(answer.headers["retry-after"]) - 7170), 20)
        self.assertEqual(self.asked().count("streamGenerateContent"), 2)

    @outside
    async def test_no_client_secret(self) -> None:
        """Without a client secret the log says where to put it."""
        file = self.log_in("geminicli", "ann")
        program = await self.running(geminicli=["api_type: geminicli", f"auth_files: {file}"])
        answer = await self.answer(program, "geminicli")
        self.assertEqual(answer.status, 502, answer.data)
        self.assertIn("oauth_client_secret", program.output())


class AntigravityTests(GoogleCase):
    @outside
    async def test_hosts_and_claude(self) -> None:
        """The second host answers what the first does not; Claude's calls are the client's own."""
        lines = self.paid_by("antigravity", "ann")
        hosts = f'  base_urls: "{self.url}/nowhere {self.url}/antigravity"'
        program = await self.running(
            claude_tool=[
                *(line for line in lines if not line.startswith("base_url")),
                "metadata:",
                hosts,
                f'  discovery_url: "{self.url}/antigravity"',
            ]
        )
        number = {"type": "object", "properties": {"a": {"type": "integer", "minimum": 3}}}
        for schema, arguments in (({"type": "object"}, {}), (number, {"a": 3})):
            tools = [{"name": "f", "input_schema": schema}]
            for stream in (False, True):
                question = {**body("anthropic", "claude-tool", stream=stream), "tools": tools}
                answer = await post(program.url + "/v1/messages", question)
                self.assertEqual(answer.status, 200, answer.data)
                self.assertIn(b'"tool_use"', answer.data)
                self.assertNotIn(b"_nothing", answer.data)
                request = json.loads(self.vendor.record.requests[-1].body)["request"]
                (function,) = request["tools"][0]["functionDeclarations"]
                self.assertEqual(function["parameters"]["required"], ["_nothing"])
                limit = request["generationConfig"]["maxOutputTokens"]
                self.assertEqual(limit, question["max_tokens"])
                if not stream:
                    (call,) = (one for one in answer.json["content"] if one["type"] == "tool_use")
                    self.assertEqual(call["input"], arguments)


class GeminiClientTests(TestCase):
    """A client of the upstreams' own protocol; and counting, which Google does for all."""

    timeout = 60

    async def post(self, place: str, question: dict[str, Any]) -> Arriving:
        await world().program.ready()
        answer = await post(world().program.url + place, question, {"x-goog-api-key": KEY})
        self.assertEqual(answer.status, 200, answer.data)
        return answer

    async def test_unwrapped(self) -> None:
        """Every form of answer is the Gemini API's own, with an id and without an envelope."""
        for name in API_TYPES:
            base = f"/v1beta/models/{name}-echo-gemini"
            question = body("gemini", "")
            whole = await self.post(f"{base}:generateContent", question)
            array = await self.post(f"{base}:streamGenerateContent", question)
            events = await self.post(f"{base}:streamGenerateContent?alt=sse", question)
            for line in events.data.splitlines():
                self.assertTrue(not line or line.startswith(b"data: {"), line)
            streamed = [json.loads(m.data) for m in sse.SSEDecoder().feed(events.data)]
            for answers in ([whole.json], array.json, streamed):
                for answer in answers:
                    self.assertTrue(answer["responseId"])
                    self.assertNotIn("response", answer)
                self.assertIn("hi", json.dumps(answers))

    async def test_losses(self) -> None:
        """What has no place in the envelope is named in the answer's head."""
        question = {
            **body("gemini", ""),
            "serviceTier": "flex",
            "safetySettings": [],
            "generationConfig": {"maxOutputTokens": 100},
        }
        for name, lost in (
            ("geminicli", {"service-tier"}),
            ("antigravity", {"service-tier", "safety-settings", "max-output-tokens"}),
        ):
            answer = await self.post(path("gemini", f"{name}-echo-gemini"), question)
            self.assertEqual(set(answer.headers["x-aiproxy-losses"].split(", ")), lost)

    async def test_counting(self) -> None:
        """Google counts for every protocol that can ask."""
        for name in API_TYPES:
            for place, wire in (
                ("/v1/messages/count_tokens", "anthropic"),
                ("/v1/responses/input_tokens", "responses"),
                (f"/v1beta/models/{name}-echo-gemini:countTokens", "gemini"),
            ):
                question = body(wire, f"{name}-echo-{wire}")
                question = {k: v for k, v in question.items() if k not in ("max_tokens", "stream")}
                answer = await self.post(place, question)
                self.assertNotIn("x-aiproxy-estimated", answer.headers)
                seen = await get(f"{world().simulator.url}/_simulator/requests")
                self.assertTrue(seen.json["requests"][-1]["path"].endswith(":countTokens"))
