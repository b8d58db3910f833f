"""Kiro upstreams, seen from outside: endpoints in turn, logins of three kinds, broken streams."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred

from aiproxy.framing.eventstream import encode
from aiproxy.simulator import Simulator
from aiproxy.simulator.sides.kiro import PROFILE, REGISTRATION, Kiro
from aiproxy.simulator.sides.oauth import Grant
from tests.integration.cases import ProgramCase, body, outside, path, upstream
from tests.integration.http import Arriving, post
from tests.integration.program import Program

EVENT_STREAM = b"application/vnd.amazon.eventstream"


def text_frame(text: str) -> bytes:
    headers = {":event-type": "assistantResponseEvent", ":message-type": "event"}
    return encode(headers, json.dumps({"content": text}).encode())


def social(grant: Grant, **more: Any) -> dict[str, Any]:
    """The vendor's own file, its token good for an hour."""
    return {
        "accessToken": grant.access_token,
        "refreshToken": grant.refresh_token,
        "authMethod": "social",
        "profileArn": PROFILE,
        **more,
    }


class KiroCase(ProgramCase):
    program: Program

    def side(self) -> tuple[Simulator, Kiro, str]:
        simulator, url = self.simulator()
        kiro: Kiro = simulator.sides["kiro"]
        return simulator, kiro, url

    def file(self, document: Mapping[str, Any], name: str = "login.json") -> Path:
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        file = folder / name
        file.write_text(json.dumps(document), "utf-8")
        return file

    def entry(self, *files: Path, more: str = "", name: str = "kiro") -> str:
        """An upstream that is asked far more often than any other."""
        lines = [f"name: {name}", "api_type: kiro", "weight: 1000"]
        lines += [f"auth_files: {json.dumps([str(file) for file in files])}", *more.splitlines()]
        return "  - " + "\n    ".join(lines) + "\n"

    async def run_with(self, *upstreams: str) -> None:
        settings = "circuit_breaker: {failures: 1000}\nupstreams:\n"
        self.program = await self.start(settings + "".join(upstreams))

    async def ask(self, model: str, wire: str = "anthropic", *, stream: bool = True) -> Arriving:
        question = body(wire, model, stream=stream)
        return await post(self.program.url + path(wire, model, stream=stream), question)

    def answered(self, answer: Arriving, upstream: str = "kiro", attempts: int = 1) -> None:
        """A whole answer came, from there and after so many attempts."""
        self.assertEqual((answer.status, answer.is_complete), (200, True), answer.data)
        self.assertEqual(answer.headers["x-aiproxy-upstream"], upstream)
        self.assertEqual(answer.headers["x-aiproxy-attempts"], str(attempts))


class EndpointTests(KiroCase):
    def endpoints(self, url: str, *names: str) -> str:
        origins = ("AI_EDITOR", "CLI")
        places = (
            f"{url}/kiro/{name}/generateAssistantResponse {origin}"
            for name, origin in zip(names, origins, strict=True)
        )
        return f"metadata: {{endpoints: {json.dumps(', '.join(places))}}}"

    @outside
    async def test_second_endpoint(self) -> None:
        """No capacity, or nobody there: the second endpoint answers, with the same token."""
        simulator, kiro, url = self.side()
        file = self.file(social(kiro.logins.log_in()))
        there = f"{url}/kiro/q/generateAssistantResponse CLI"
        gone = f"metadata: {{endpoints: 'http://127.0.0.1:9/x AI_EDITOR, {there}'}}"
        only = "available_models: [gone-echo]"
        fail = "available_models: [fail-1-429-True, fail-1-429-False]"
        await self.run_with(
            self.entry(file, more=f"{self.endpoints(url, 'runtime', 'q')}\n{fail}"),
            self.entry(file, more=f"{gone}\n{only}", name="away"),
        )
        self.answered(await self.ask("gone-echo"), "away", 2)
        for stream in (True, False):
            self.answered(await self.ask(f"fail-1-429-{stream}", stream=stream), attempts=2)
            asked = list(simulator.record.requests)[-2:]
            self.assertEqual(
                [each.path for each in asked],
                [f"/kiro/{name}/generateAssistantResponse" for name in ("runtime", "q")],
            )
            bodies = [json.loads(each.body)["conversationState"] for each in asked]
            said = [each["currentMessage"]["userInputMessage"] for each in bodies]
            self.assertEqual([each["origin"] for each in said], ["AI_EDITOR", "CLI"])
            self.assertEqual(bodies[0]["conversationId"], bodies[1]["conversationId"])

    @outside
    async def test_exception_first(self) -> None:
        """A stream that begins with an exception is taken over unseen, at the end by another."""
        _, kiro, url = self.side()
        file = self.file(social(kiro.logins.log_in()))
        await self.run_with(
            self.entry(file, more=self.endpoints(url, "runtime", "q")),
            upstream("other", url, more="model_mappings: {broken-head: echo, empty: echo}"),
        )
        for model in ("broken-head", "empty"):
            for stream in (True, False):
                self.answered(await self.ask(model, stream=stream), "other", 3)

    @outside
    async def test_profile(self) -> None:
        """An endpoint that refuses the profile, or the lack of one, is asked the other way."""
        _, kiro, url = self.side()
        named = self.file(social(kiro.logins.log_in("ann")))
        bare = {"provider": "BuilderId", "profileArn": ""}
        unnamed = self.file(social(kiro.logins.log_in("bob"), **bare))
        lines = "base_url: {url}/kiro/{place}\navailable_models: [{place}]"
        await self.run_with(
            *(
                self.entry(file, more=lines.format(url=url, place=place), name=place)
                for file, place in ((named, "plain"), (unnamed, "profile"))
            )
        )
        for place in ("plain", "profile"):
            self.answered(await self.ask(place), place, 2)


class AccountTests(KiroCase):
    @outside
    async def test_expired(self) -> None:
        """A token that the service takes for expired is renewed, and the call repeated."""
        _, kiro, url = self.side()
        grant = kiro.logins.log_in("ann")
        file = self.file(social(grant))
        places = f"base_url: {url}/kiro\ntoken_url: {url}/kiro/refreshToken"
        await self.run_with(self.entry(file, more=places))
        self.answered(await self.ask("echo"))
        kiro.logins.run_out("ann")
        self.answered(await self.ask("echo"), attempts=2)
        self.assertEqual(kiro.logins.accounts["ann"].rotations, 1)
        written = json.loads(file.read_text("utf-8"))
        self.assertEqual(written["refreshToken"], kiro.logins.accounts["ann"].refresh_token)
        self.assertEqual(list(written), [*social(grant), "expiresAt"])

    @outside
    async def test_suspended(self) -> None:
        """A suspended account rests; the next one serves."""
        simulator, kiro, url = self.side()
        files = [self.file(social(kiro.logins.log_in(name))) for name in ("suspended", "ann")]
        await self.run_with(self.entry(*files, more=f"base_url: {url}/kiro\naffinity: false"))
        for _ in range(4):
            answer = await self.ask("echo")
            self.assertEqual((answer.status, answer.is_complete), (200, True), answer.data)
        self.assertEqual(len(simulator.record.requests), 5)

    @outside
    async def test_our_file(self) -> None:
        """A new file of ours is renewed as AWS has it, and completed: profile and machine."""
        simulator, kiro, url = self.side()
        grant = kiro.idc.log_in()
        document = {
            "access_token": "old",
            "refresh_token": grant.refresh_token,
            "expires_at": "2020-01-01T00:00:00Z",
            "client_id": REGISTRATION["clientId"],
            "client_secret": REGISTRATION["clientSecret"],
            "auth_method": "IdC",
            "note": {"kept": 1},
        }
        file = self.file(document)
        places = f"base_url: {url}/kiro\ntoken_url: {url}/kiro/token"
        await self.run_with(self.entry(file, more=places))
        self.answered(await self.ask("echo"))
        self.answered(await self.ask("echo"))
        written = json.loads(file.read_text("utf-8"))
        self.assertEqual(written["profile_arn"], PROFILE)
        self.assertRegex(written["machine_id"], "^[0-9a-f]{64}$")
        self.assertEqual(written["access_token"], kiro.idc.accounts["ann"].access_token)
        self.assertEqual(written["note"], {"kept": 1})
        paths = [each.path for each in simulator.record.requests]
        self.assertEqual(paths.count("/kiro/ListAvailableProfiles"), 1)
        self.assertEqual(paths.count("/kiro/token"), 1)
        agent = dict(simulator.record.requests[-1].headers)["User-Agent"]
        self.assertTrue(agent.endswith(written["machine_id"]))

    @outside
    async def test_other_files(self) -> None:
        """AWS's registration beside the vendor's file, and a company's own provider."""
        _, kiro, url = self.side()
        aws = social(kiro.idc.log_in(), authMethod="IdC", clientIdHash="abc", accessToken="")
        aws_file = self.file(aws)
        aws_file.with_name("abc.json").write_text(json.dumps(REGISTRATION), "utf-8")
        company = social(
            kiro.external.log_in(),
            authMethod="external_idp",
            accessToken="",
            clientId="client-2",
            tokenEndpoint="https://idp.test/token",
            issuerUrl="https://idp.test/",
        )
        places = {
            name: f"base_url: {url}/kiro\ntoken_url: {url}/kiro/{path}\navailable_models: [{name}]"
            for name, path in (("aws", "token"), ("company", "oauth2/token"))
        }
        await self.run_with(
            self.entry(aws_file, more=places["aws"], name="aws"),
            self.entry(self.file(company), more=places["company"], name="company"),
        )
        for name in places:
            self.answered(await self.ask(name), name)


class BrokenStreamTests(KiroCase):
    """One upstream that the test answers for, and another one behind it."""

    async def begin(self) -> None:
        self.vendor, url = self.server()
        grant = Grant("ann", "token-canary", "refresh-canary", 3600.0)
        _, other = self.simulator()
        await self.run_with(
            self.entry(self.file(social(grant)), more=f"base_url: {url}"),
            upstream("other", other, more="model_mappings: {m: echo}"),
        )

    async def raw(self, data: bytes, content_type: bytes, wire: str = "anthropic") -> Arriving:
        """What a client gets of this body, which the upstream ends as it should."""
        answer = Deferred.fromCoroutine(self.ask("m", wire))
        connection = await self.vendor.request()
        connection.answer(data, b"Content-Type: " + content_type)
        return await answer

    @outside
    async def test_before_content(self) -> None:
        """Nothing, a broken first frame, or no stream at all: another upstream answers unseen."""
        await self.begin()
        good = text_frame("hi")
        for data, content_type in (
            (b"", EVENT_STREAM),
            (good[:-1], EVENT_STREAM),
            (good[:-1] + b"\0" + good, EVENT_STREAM),
            (b'{"message":"x","__type":"InternalServerException"}', b"application/json"),
            (b"<html>", b"text/html"),
            (b"surprise, surprise", b"text/plain"),
        ):
            self.answered(await self.raw(data, content_type), "other", 2)

    @outside
    async def test_after_content(self) -> None:
        """What was whole is shown; the dialect's error follows, and no good end."""
        await self.begin()
        good = text_frame("hello")
        for broken in (good[:-1] + b"\0", good[:7], b"{}" * 20):
            answer = await self.raw(good + broken, EVENT_STREAM)
            self.assertEqual((answer.status, answer.is_complete), (200, False))
            self.assertIn(b'"text":"hello"', answer.data)
            self.assertIn(b"event: error", answer.data)
            self.assertNotIn(b"message_stop", answer.data)
        answer = await self.raw(good + b"\0", EVENT_STREAM, wire="chat")
        self.assertIn(b'"error"', answer.data)
        self.assertNotIn(b"[DONE]", answer.data)
