"""The simulated Code Assist: what it takes, refuses and wraps, for both who call it."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

from aiproxy.framing import sse
from aiproxy.simulator.sides.codeassist import CodeAssist
from aiproxy.simulator.sides.oauth import Grant
from tests.integration.http import Arriving, get, post
from tests.simulator.sides.cases import SideCase

HI = [{"role": "user", "parts": [{"text": "hi"}]}]
ENVELOPES: dict[str, dict[str, Any]] = {
    "geminicli": {"model": "echo", "project": "project-demo", "user_prompt_id": "p"},
    "antigravity": {
        "model": "echo",
        "project": "project-demo",
        "userAgent": "antigravity",
        "requestType": "agent",
        "requestId": "agent-1",
    },
}
OWN = {"geminicli": {"session_id": "s"}, "antigravity": {"sessionId": "-5"}}


class CodeAssistCase(SideCase):
    """Both of its names."""

    side = "geminicli"

    def setUp(self) -> None:
        super().setUp()
        self.root = self.url.removesuffix("/geminicli")

    def code_assist(self, name: str) -> CodeAssist:
        found: CodeAssist = self.simulator.sides[name]
        return found

    def log_in(self, name: str, account: str = "demo") -> Grant:
        return self.code_assist(name).logins.log_in(account)

    async def call(self, name: str, action: str, body: Any, grant: Grant | None = None) -> Arriving:
        token = (grant or self.log_in(name)).access_token
        return await post(
            f"{self.root}/{name}/v1internal:{action}", body, {"Authorization": f"Bearer {token}"}
        )

    async def ask(self, name: str, request: Any = None, **changed: Any) -> Arriving:
        """A whole answer to a request in its envelope."""
        inner = {"contents": HI, **OWN[name], **(request or {})}
        whole = {**ENVELOPES[name], "request": inner, **changed}
        return await self.call(name, "generateContent", whole)


class AnswerTests(CodeAssistCase):
    async def test_whole(self) -> None:
        """An answer is wrapped, and has no id of its own."""
        for name in ENVELOPES:
            answer = await self.ask(name)
            self.assertEqual(answer.status, 200, answer.data)
            response = answer.json["response"]
            self.assertEqual(response["candidates"][0]["content"]["parts"], [{"text": "hi"}])
            self.assertNotIn("responseId", response)
            self.assertTrue(answer.json["traceId"])

    async def test_stream(self) -> None:
        """So is every event of a stream, each on several lines."""
        body = {**ENVELOPES["geminicli"], "request": {"contents": HI}}
        answer = await self.call("geminicli", "streamGenerateContent?alt=sse", body)
        self.assertIn(b'\ndata: "traceId"', answer.data)
        events = [json.loads(message.data) for message in sse.SSEDecoder().feed(answer.data)]
        self.assertTrue(all("candidates" in event["response"] for event in events))

    async def test_count(self) -> None:
        """Counting takes contents, and the model in them."""
        for request in ({"contents": HI}, {"contents": HI, "model": "models/m"}):
            answer = await self.call("antigravity", "countTokens", {"request": request})
            self.assertGreater(answer.json["totalTokens"], 0)
        body = {"request": {"contents": HI}, "project": "p"}
        self.assertEqual((await self.call("antigravity", "countTokens", body)).status, 400)

    async def test_errors(self) -> None:
        """Errors are not wrapped, and have Google's reasons."""
        for model, reason in (("error-429", "RATE_LIMIT_EXCEEDED"), ("quota", "QUOTA_EXHAUSTED")):
            answer = await self.ask("geminicli", model=model)
            self.assertEqual(answer.status, 429)
            self.assertEqual(answer.json["error"]["details"][0]["reason"], reason)
        self.assertEqual((await self.ask("geminicli", model="error-500")).status, 500)


class RefusalTests(CodeAssistCase):
    async def refused(self, name: str, word: str, request: Any = None, **changed: Any) -> None:
        answer = await self.ask(name, request, **changed)
        self.assertEqual(answer.status, 400, answer.data)
        self.assertIn(word, answer.json["error"]["message"])

    async def test_envelope(self) -> None:
        """What is missing, and what is too much, is refused by name."""
        for name in ENVELOPES:
            await self.refused(name, "project", project="")
            await self.refused(name, "metadata", metadata={})
            await self.refused(name, "model", {"model": "m"})
            await self.refused(name, "serviceTier", {"serviceTier": "flex"})
        await self.refused("antigravity", "safetySettings", {"safetySettings": []})
        await self.refused("antigravity", "requestType", requestType="chat")
        await self.refused("antigravity", "sessionId", {"sessionId": "5"})

    async def test_roles(self) -> None:
        """A conversation begins with the user, and every content has a role."""
        await self.refused("geminicli", "role", {"contents": [{"parts": [{"text": "a"}]}]})
        first = {"role": "model", "parts": [{"text": "a"}]}
        await self.refused("geminicli", "user", {"contents": [first, *HI]})

    async def test_models(self) -> None:
        """Claude models want their calls validated; the others take no output limit."""
        limit = {"generationConfig": {"maxOutputTokens": 5}}
        await self.refused("antigravity", "maxOutputTokens", limit)
        answer = await self.ask("antigravity", limit, model="claude-echo")
        self.assertEqual(answer.status, 200)
        newer = {"name": "f", "parametersJsonSchema": {"type": "object"}}
        older = {"name": "f", "parameters": {"type": "object", "properties": {}}}
        for function, model, word in (
            (newer, "echo", "parametersJsonSchema"),
            (older, "claude-echo", "require"),
            ({"name": "f"}, "claude-echo", "require"),
        ):
            tools = {"tools": [{"functionDeclarations": [function]}]}
            await self.refused("antigravity", word, tools, model=model)
        parameters = {"type": "object", "properties": {"a": {}}, "required": ["a"]}
        tools = {"tools": [{"functionDeclarations": [{"name": "f", "parameters": parameters}]}]}
        await self.refused("antigravity", "VALIDATED", tools, model="claude-echo")

    async def test_project(self) -> None:
        """Another account's project is none of the caller's business."""
        answer = await self.ask("geminicli", project="project-bob")
        self.assertEqual(
            (answer.status, answer.json["error"]["status"]), (403, "PERMISSION_DENIED")
        )

    async def test_token(self) -> None:
        """Without a token that is valid now nothing is answered."""
        grant = self.log_in("geminicli")
        self.code_assist("geminicli").logins.run_out("demo")
        answer = await self.call("geminicli", "loadCodeAssist", {}, grant)
        self.assertEqual((answer.status, answer.json["error"]["status"]), (401, "UNAUTHENTICATED"))


class AccountTests(CodeAssistCase):
    async def test_renewal(self) -> None:
        """Google's tokens are renewed by form, with a secret, and again with the same token."""
        grant = self.log_in("antigravity")
        form = {
            "grant_type": "refresh_token",
            "refresh_token": grant.refresh_token,
            "client_id": "c",
            "client_secret": "s",
        }
        kind = {"content-type": "application/x-www-form-urlencoded"}
        seen = set()
        for _ in range(2):
            answer = await post(f"{self.root}/antigravity/token", urlencode(form).encode(), kind)
            self.assertEqual(answer.status, 200)
            self.assertNotIn("refresh_token", answer.json)
            seen.add(answer.json["access_token"])
        self.assertEqual(len(seen), 2)
        del form["client_secret"]
        answer = await post(f"{self.root}/antigravity/token", urlencode(form).encode(), kind)
        self.assertEqual(answer.status, 400)

    async def test_known(self) -> None:
        """An account that has been here has a project and a tier."""
        answer = await self.call("geminicli", "loadCodeAssist", {"metadata": {}})
        self.assertEqual(answer.json["cloudaicompanionProject"], "project-demo")

    async def test_refused(self) -> None:
        """Accounts that are not served are told why."""
        for account, reason in (
            ("closed", "UNSUPPORTED_CLIENT"),
            ("unverified", "VALIDATION_REQUIRED"),
        ):
            grant = self.log_in("geminicli", account)
            answer = await self.call("geminicli", "loadCodeAssist", {}, grant)
            self.assertEqual(answer.json["ineligibleTiers"][0]["reasonCode"], reason)

    async def test_onboarding(self) -> None:
        """A new account gets its project when its operation has been looked at often enough."""
        grant = self.log_in("geminicli", "new")
        self.code_assist("geminicli").looks = 2
        known = await self.call("geminicli", "loadCodeAssist", {}, grant)
        self.assertNotIn("cloudaicompanionProject", known.json)
        operation = await self.call("geminicli", "onboardUser", {"tierId": "t"}, grant)
        place = f"{self.root}/geminicli/v1internal/{operation.json['name']}"
        headers = {"Authorization": f"Bearer {grant.access_token}"}
        self.assertFalse(operation.json["done"])
        self.assertFalse((await get(place, headers)).json["done"])
        done = await get(place, headers)
        self.assertEqual(done.json["response"]["cloudaicompanionProject"]["id"], "project-new")
        self.assertEqual((await get(place)).status, 404)
