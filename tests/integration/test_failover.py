"""Upstreams that fail, seen from outside: who answers instead, who rests, who is asked again."""

from __future__ import annotations

import json

from tests.integration.cases import ProgramCase, body, outside, path, upstream
from tests.integration.http import Arriving, get, post
from tests.integration.program import Program


class FailoverCase(ProgramCase):
    program: Program

    async def ask(self, model: str, wire: str = "anthropic", *, stream: bool = False) -> Arriving:
        """One call, to its end."""
        question = body(wire, model, stream=stream)
        return await post(self.program.url + path(wire, model, stream=stream), question)

    async def unavailable(self) -> list[tuple[str, str]]:
        listed = await get(self.program.url + "/unavailable-models")
        return [(pair["upstream_name"], pair["model_name"]) for pair in listed.json]


class FailoverTests(FailoverCase):
    @outside
    async def test_next_upstream(self) -> None:
        """The second upstream answers when the first fails; the headers tell."""
        _, url = self.simulator()
        self.program = await self.start(
            "upstreams:\n"
            + upstream("first", url, more="model_mappings: {m: error-500}")
            + upstream("second", url, "openai", more="model_mappings: {m: echo}")
        )
        for stream in (False, True):
            for wire in ("anthropic", "chat", "responses", "gemini"):
                answers = [await self.ask("m", wire, stream=stream) for _ in range(2)]
                self.assertEqual([answer.status for answer in answers], [200, 200])
                for answer in answers:
                    self.assertEqual(answer.headers["x-aiproxy-upstream"], "second")
                    self.assertEqual(answer.headers["x-aiproxy-model"], "echo")
                    self.assertIn(answer.headers["x-aiproxy-attempts"], "12")
                    self.assertIs(answer.is_complete, True)
                    self.assertIn(b"hi", answer.data)

    @outside
    async def test_before_content(self) -> None:
        """Streams that break before any content are taken over unseen."""
        _, url = self.simulator()
        faults = ("cut-start", "broken-start", "unfinished-empty", "html", "error-json", "empty")
        bad = "".join(f"\n  m-{fault}: {fault}" for fault in faults)
        good = "".join(f"\n  m-{fault}: echo" for fault in faults)
        self.program = await self.start(
            "circuit_breaker: {failures: 1}\nupstreams:\n"
            + upstream("first", url, more=f"weight: 1000\nmodel_mappings:{bad}")
            + upstream("second", url, "openai", more=f"model_mappings:{good}")
        )
        for fault in faults:
            answer = await self.ask(f"m-{fault}", stream=True)
            self.assertEqual((answer.status, answer.headers.get("x-aiproxy-attempts")), (200, "2"))
            self.assertIs(answer.is_complete, True)
            self.assertIn(b"message_stop", answer.data)

    @outside
    async def test_breaker(self) -> None:
        """After three failures an upstream is not asked for that model any more, until reset."""
        simulator, url = self.simulator()
        self.program = await self.start(
            "circuit_breaker: {failures: 3, probe_after: 600}\nupstreams:\n"
            + upstream("only", url, more="available_models: [error-403, echo]")
        )
        for _ in range(3):
            self.assertEqual((await self.ask("error-403")).status, 502)
        asked = len(simulator.record.requests)
        refused = await self.ask("error-403")
        self.assertEqual(refused.status, 503)
        self.assertGreater(int(refused.headers["retry-after"]), 0)
        self.assertEqual(refused.json["type"], "error")
        self.assertEqual(len(simulator.record.requests), asked)
        self.assertEqual(await self.unavailable(), [("only", "error-403")])
        self.assertEqual((await get(self.program.url + "/models")).json, ["echo"])
        self.assertEqual((await self.ask("echo")).status, 200)
        pair = {"upstream_name": "only", "model_name": "error-403"}
        reset = await post(self.program.url + "/reset-model", pair)
        self.assertEqual((reset.status, reset.json), (200, {"status": "ok"}))
        again = await post(self.program.url + "/reset-model", pair)
        self.assertEqual(again.status, 404)
        self.assertEqual(await self.unavailable(), [])
        self.assertEqual((await self.ask("error-403")).status, 502)
        self.assertEqual(len(simulator.record.requests), asked + 2)

    @outside
    async def test_breaker_of_an_unknown_model(self) -> None:
        """What no upstream has stays "not found" for the client, who would wait in vain."""
        simulator, url = self.simulator()
        self.program = await self.start(
            "circuit_breaker: {failures: 2, probe_after: 600}\nupstreams:\n" + upstream("only", url)
        )
        for _ in range(4):
            self.assertEqual((await self.ask("error-404")).status, 404)
        self.assertEqual(len(simulator.record.requests), 2)

    @outside
    async def test_probe(self) -> None:
        """A resting upstream is tried again by a live call, and comes back when that succeeds."""
        simulator, url = self.simulator()
        self.program = await self.start(
            "circuit_breaker: {failures: 1, probe_after: 0.3}\nupstreams:\n"
            + upstream("only", url, more="model_mappings: {m: fail-1-403}")
        )
        self.assertEqual((await self.ask("m")).status, 502)
        self.assertEqual((await self.ask("m")).status, 503)
        self.assertEqual(len(simulator.record.requests), 1)

        async def recovered() -> bool:
            return (await self.ask("m")).status == 200

        await self.eventually(recovered)
        self.assertEqual(len(simulator.record.requests), 2)
        self.assertEqual(await self.unavailable(), [])

    @outside
    async def test_model_fallback(self) -> None:
        """Another model stands in, through a chain, in every dialect."""
        _, url = self.simulator()
        self.program = await self.start(
            "model_fallback: {best: better, better: good}\nupstreams:\n"
            + upstream("a", url, more="available_models: [best]\nmodel_mappings: {best: error-503}")
            + upstream(
                "b",
                url,
                "gemini",
                more="available_models: [good]\nmodel_mappings: {good: echo-good}",
            )
        )
        for wire in ("anthropic", "chat", "responses", "gemini"):
            answer = await self.ask("best", wire)
            self.assertEqual(answer.status, 200)
            self.assertEqual(answer.headers["x-aiproxy-model"], "echo-good")
            self.assertEqual(answer.headers["x-aiproxy-upstream"], "b")

    @outside
    async def test_unknown_model(self) -> None:
        """A model that nobody serves is not found, in the dialect of the question."""
        _, url = self.simulator()
        self.program = await self.start(
            "upstreams:\n" + upstream("a", url, more="available_models: [echo]")
        )
        for wire in ("anthropic", "chat", "responses", "gemini"):
            for stream in (False, True):
                answer = await self.ask("nobody-knows-it", wire, stream=stream)
                self.assertEqual(answer.status, 404, wire)
                self.assertIn("nobody-knows-it", answer.json["error"]["message"])
                self.assertIn("x-request-id", answer.headers)

    @outside
    async def test_retry_after(self) -> None:
        """A throttled upstream's pause reaches the client; meanwhile nobody asks it."""
        simulator, url = self.simulator()
        self.program = await self.start("upstreams:\n" + upstream("a", url))
        first = await self.ask("error-429-wait-60s")
        self.assertEqual((first.status, first.headers["retry-after"]), (429, "60"))
        second = await self.ask("error-429-wait-60s", "chat")
        self.assertEqual(second.status, 503)
        self.assertGreater(int(second.headers["retry-after"]), 30)
        self.assertEqual(len(simulator.record.requests), 1)
        self.assertEqual(await self.unavailable(), [])

    @outside
    async def test_tokens(self) -> None:
        """A refused and an exhausted token are passed over for one that works."""
        simulator, url = self.simulator()
        self.program = await self.start(
            "upstreams:\n"
            + upstream("a", url, "openai", more="token: [bad-canary, broke-canary, good-canary]")
        )
        answer = await self.ask("echo", "chat")
        self.assertEqual((answer.status, answer.headers["x-aiproxy-attempts"]), (200, "3"))
        keys = [dict(seen.headers)["Authorization"] for seen in simulator.record.requests]
        self.assertEqual(keys, [f"Bearer {key}-canary" for key in ("bad", "broke", "good")])

    @outside
    async def test_nobody_listens(self) -> None:
        """A dead upstream is a 502 that names no address; its death opens the breaker."""
        self.program = await self.start(
            "circuit_breaker: {failures: 1, probe_after: 600}\n"
            "upstreams:\n" + upstream("a", "http://127.0.0.1:1/secret-path")
        )
        answer = await self.ask("m", "chat")
        self.assertEqual(answer.status, 502)
        self.assertNotIn("127.0.0.1", json.dumps(answer.json))
        self.assertNotIn("secret-path", json.dumps(answer.json))
        self.assertEqual((await self.ask("m", "chat")).status, 503)
