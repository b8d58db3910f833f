"""Lists of models and counts of tokens, as the SDKs see them."""

from __future__ import annotations

import json

from twisted.internet.threads import deferToThread

from tests.integration.cases import ProgramCase, body, outside, upstream
from tests.integration.http import post
from tests.integration.sdks import sdks

NAMES = [f"model-{number}" for number in range(7)]


class ModelTests(ProgramCase):
    @outside
    async def test_lists(self) -> None:
        """Every SDK lists every model, over several pages where its protocol has them."""
        program = await self.start(
            "api-key: client-canary\nupstreams:\n"
            + upstream("a", "http://127.0.0.1:1", more=f"available_models: {NAMES[:4]}")
            + upstream("b", "http://127.0.0.1:1", "gemini", f"available_models: {NAMES[3:]}")
        )
        for wire, sdk in sdks(program.url, "client-canary").items():
            self.assertEqual(await deferToThread(sdk.models), NAMES, wire)
            sdk.close()

    @outside
    async def test_counts(self) -> None:
        """Tokens are counted by the vendor, whatever its protocol, where it can count."""
        simulator, url = self.simulator()
        program = await self.start(
            "upstreams:\n"
            + upstream("anthropic", url, "anthropic", "available_models: [anthropic]")
            + upstream("chat", url, "openai", "available_models: [chat]")
            + upstream("responses", url, "responses", "available_models: [responses]")
            + upstream("gemini", url, "gemini", "available_models: [gemini]")
        )
        text = "How many tokens are these? 漢字 😀"
        for wire, sdk in sdks(program.url, "any").items():
            if wire == "chat":
                sdk.close()
                continue
            for model in ("anthropic", "chat", "responses", "gemini"):
                before = len(simulator.record.requests)
                counted = await deferToThread(sdk.count, model, text)
                self.assertGreater(counted, 5)
                self.assertLess(counted, 30)
                asked = len(simulator.record.requests) - before
                self.assertEqual(asked, int(model != "chat"), f"{wire} {model}")
            sdk.close()

    @outside
    async def test_estimates_are_marked(self) -> None:
        """A count that is ours says so."""
        _, url = self.simulator()
        program = await self.start("upstreams:\n" + upstream("a", url, "openai"))
        question = body("anthropic", "echo")
        del question["max_tokens"], question["stream"]
        answer = await post(program.url + "/v1/messages/count_tokens", question)
        self.assertEqual(answer.headers["x-aiproxy-estimated"], "true")
        self.assertEqual(list(answer.json), ["input_tokens"])
        answer = await post(program.url + "/v1beta/models/echo:countTokens", body("gemini", ""))
        self.assertEqual(answer.headers["x-aiproxy-estimated"], "true")
        self.assertIn("totalTokens", json.loads(answer.data))
