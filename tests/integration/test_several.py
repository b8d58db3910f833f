"""Several answers to one request, as the vendors' own SDKs ask for them and read them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import openai
from google import genai
from google.genai import errors as genai_errors
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from tests.integration.sdks import SECONDS
from tests.integration.test_pairs import WEATHER, WEATHER_CALL
from tests.integration.world import KEY, world

NUMBER = 3
TEXT = "Grüße, 漢字 und 😀"


@dataclass
class Said:
    """One answer. calls: name and arguments. stop: the vendor's word."""

    text: str = ""
    thinking: str = ""
    calls: list[tuple[str, Any]] = field(default_factory=list)
    stop: str = ""


@dataclass
class Several:
    """answers: by number. tokens: read and written, of all answers. losses: as declared."""

    answers: dict[int, Said]
    tokens: tuple[int, int]
    losses: str = ""


# ── OpenAI's ──


def _openai(url: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0, timeout=SECONDS)


def _chat_options(model: str) -> dict[str, Any]:
    function = {"name": WEATHER.name, "parameters": WEATHER.schema}
    return {
        "model": model,
        "messages": [{"role": "user", "content": TEXT}],
        "tools": [{"type": "function", "function": function}],
        "n": NUMBER,
    }


def chat_whole(url: str, model: str) -> Several:
    with _openai(url) as client:
        raw = client.chat.completions.with_raw_response.create(**_chat_options(model))
    return _of_chat(raw.parse(), raw.headers.get("x-aiproxy-losses", ""))


def chat_streamed(url: str, model: str) -> Several:
    with _openai(url) as client:
        options = {**_chat_options(model), "stream_options": {"include_usage": True}}
        with client.chat.completions.stream(**options) as stream:
            numbers = [
                choice.index
                for event in stream
                if event.type == "chunk"
                for choice in event.chunk.choices
            ]
            losses = stream._response.headers.get("x-aiproxy-losses", "")
            found = _of_chat(stream.current_completion_snapshot, losses)
    in_turns(numbers)
    return found


def _of_chat(completion: Any, losses: str) -> Several:
    answers = {}
    for choice in completion.choices:
        message = choice.message
        answers[choice.index] = Said(
            message.content or "",
            getattr(message, "reasoning_content", None) or "",
            [
                (call.function.name, json.loads(call.function.arguments))
                for call in message.tool_calls or ()
            ],
            choice.finish_reason,
        )
    usage = completion.usage
    return Several(answers, (usage.prompt_tokens, usage.completion_tokens), losses)


# ── Google's ──


def _google(url: str) -> genai.Client:
    options: Any = {"base_url": url, "timeout": int(SECONDS * 1000)}
    return genai.Client(api_key=KEY, http_options=options)


def _google_options(model: str) -> dict[str, Any]:
    function = {"name": WEATHER.name, "parameters_json_schema": WEATHER.schema}
    config = {
        "candidate_count": NUMBER,
        "tools": [{"function_declarations": [function]}],
        "automatic_function_calling": {"disable": True},
        "thinking_config": {"include_thoughts": True},
    }
    return {"model": model, "contents": TEXT, "config": config}


def gemini_whole(url: str, model: str) -> Several:
    with _google(url) as client:
        return _of_google([client.models.generate_content(**_google_options(model))])


def gemini_streamed(url: str, model: str) -> Several:
    with _google(url) as client:
        chunks = list(client.models.generate_content_stream(**_google_options(model)))
    in_turns([candidate.index for chunk in chunks for candidate in chunk.candidates or ()])
    return _of_google(chunks)


def _of_google(chunks: Sequence[Any]) -> Several:
    answers: defaultdict[int, Said] = defaultdict(Said)
    counted = [chunk.usage_metadata for chunk in chunks if chunk.usage_metadata]
    for chunk in chunks:
        for candidate in chunk.candidates:
            said = answers[candidate.index or 0]
            for part in candidate.content.parts:
                said.thinking += part.text if part.text and part.thought else ""
                said.text += part.text if part.text and not part.thought else ""
                if part.function_call:
                    said.calls.append((part.function_call.name, part.function_call.args))
            if candidate.finish_reason:
                said.stop += candidate.finish_reason.name
    (usage,) = counted
    written = (usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0)
    headers = chunks[0].sdk_http_response.headers
    losses = headers.get("x-aiproxy-losses", "")
    return Several(dict(answers), (usage.prompt_token_count, written), losses)


def in_turns(numbers: Sequence[int | None]) -> None:
    """Whether a stream was live in all its answers: none waits until another is over."""
    last_of_first = max(at for at, number in enumerate(numbers) if not number)
    first_of_last = min(at for at, number in enumerate(numbers) if number == NUMBER - 1)
    assert first_of_last < last_of_first, numbers


# ── the tests ──


class SeveralTests(TestCase):
    timeout = 120

    async def asked(self, ask: Callable[[str, str], Several], model: str) -> Several:
        await world().program.ready()
        return await deferToThread(ask, world().program.url, model)

    async def both(
        self,
        whole: Callable[[str, str], Several],
        streamed: Callable[[str, str], Several],
        model: str,
    ) -> Several:
        """All answers, which are the same streamed and whole; none is lost."""
        found = await self.asked(streamed, model)
        self.assertEqual(found, await self.asked(whole, model))
        self.assertEqual(sorted(found.answers), list(range(NUMBER)))
        self.assertNotIn("candidates", found.losses)
        self.assertEqual(world().latest_request().answers, NUMBER)
        return found

    def assertEcho(self, found: Several, stop: str) -> None:
        """Each answer is the one with its number; tokens are counted once, for all of them."""
        texts = [found.answers[number].text for number in range(NUMBER)]
        self.assertEqual(texts, [TEXT, f"{TEXT} (1)", f"{TEXT} (2)"])
        self.assertEqual({said.stop for said in found.answers.values()}, {stop})
        self.assertEqual(found.tokens[1], sum(-(-len(text.encode()) // 4) for text in texts))

    def assertCalls(self, found: Several, stop: str) -> None:
        """Each answer has its own calls."""
        for said in found.answers.values():
            (first, second) = said.calls
            self.assertEqual((first, second[0]), (WEATHER_CALL, WEATHER.name))
            self.assertEqual(said.stop, stop)

    async def test_openai(self) -> None:
        """OpenAI's SDK gets `n` answers, whether the upstream speaks Gemini or its own dialect."""
        for api_type in ("gemini", "geminicli", "antigravity", "openai"):
            ways = chat_whole, chat_streamed
            self.assertEcho(await self.both(*ways, f"{api_type}-echo-chat"), "stop")
            self.assertCalls(await self.both(*ways, f"{api_type}-tools-chat"), "tool_calls")

    async def test_google(self) -> None:
        """Google's SDK gets as many candidates, whether the upstream speaks Chat or Gemini."""
        for api_type in ("openai", "gemini"):
            ways = gemini_whole, gemini_streamed
            self.assertEcho(await self.both(*ways, f"{api_type}-echo-gemini"), "STOP")
            self.assertCalls(await self.both(*ways, f"{api_type}-tools-gemini"), "STOP")

    async def test_thoughts(self) -> None:
        """Each answer has its own thoughts."""
        for found in (
            await self.both(chat_whole, chat_streamed, "gemini-thinking-chat"),
            await self.both(gemini_whole, gemini_streamed, "openai-thinking-gemini"),
        ):
            for said in found.answers.values():
                self.assertEqual(said.thinking.count("考える"), 1)

    async def test_one_at_a_time(self) -> None:
        """An upstream that gives one answer only refuses to give several."""
        for api_type in ("anthropic", "responses", "kiro"):
            for ask, wire in (
                (chat_whole, "chat"),
                (chat_streamed, "chat"),
                (gemini_whole, "gemini"),
                (gemini_streamed, "gemini"),
            ):
                with self.assertRaises((openai.BadRequestError, genai_errors.ClientError)):
                    await self.asked(ask, f"{api_type}-echo-{wire}")
