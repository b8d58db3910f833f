"""The vendors' own clients take the simulator for their vendor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anthropic
import openai
from google import genai
from google.genai import errors as genai_errors
from google.genai import types
from twisted.internet.threads import deferToThread

from tests.simulator.cases import SimulatorCase

_SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


class SDKTests(SimulatorCase):
    """Text, tools, thinking and errors, streamed and whole."""

    async def run_with(self, use: Callable[[Any], None], client: Any) -> None:
        """`use` blocks, so it runs in a thread."""
        try:
            await deferToThread(use, client)
        finally:
            await deferToThread(client.close)

    async def test_anthropic(self) -> None:
        """The Anthropic SDK."""
        client = anthropic.Anthropic(base_url=self.url, api_key="demo", max_retries=0)
        await self.run_with(self._use_anthropic, client)

    def _use_anthropic(self, client: Any) -> None:
        messages = [{"role": "user", "content": "Hello 😀"}]
        asked = {"max_tokens": 500, "messages": messages}
        whole = client.messages.create(model="echo", **asked)
        self.assertEqual(whole.content[0].text, "Hello 😀")
        with client.messages.stream(model="thinking", **asked) as stream:
            final = stream.get_final_message()
        self.assertEqual([block.type for block in final.content], ["thinking", "text"])
        self.assertTrue(final.content[0].signature)
        tool = {"name": "weather", "input_schema": _SCHEMA}
        with client.messages.stream(model="tool", tools=[tool], **asked) as stream:
            final = stream.get_final_message()
        self.assertEqual(final.stop_reason, "tool_use")
        self.assertEqual(final.content[0].input, {"city": "city é漢😀"})
        with self.assertRaises(anthropic.RateLimitError):
            client.messages.create(model="error-429", **asked)
        counted = client.messages.count_tokens(model="echo", messages=messages)
        self.assertGreater(counted.input_tokens, 0)

    async def test_openai(self) -> None:
        """The OpenAI SDK, both protocols."""
        client = openai.OpenAI(base_url=self.url + "/v1", api_key="demo", max_retries=0)
        await self.run_with(self._use_chat, client)
        client = openai.OpenAI(base_url=self.url + "/v1", api_key="demo", max_retries=0)
        await self.run_with(self._use_responses, client)

    def _use_chat(self, client: Any) -> None:
        messages = [{"role": "user", "content": "Hello 😀"}]
        create = client.chat.completions.create
        whole = create(model="echo", messages=messages)
        self.assertEqual(whole.choices[0].message.content, "Hello 😀")
        chunks = list(create(model="echo", messages=messages, stream=True))
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
        self.assertEqual(text, "Hello 😀")
        tool = {"type": "function", "function": {"name": "weather", "parameters": _SCHEMA}}
        called = create(model="tools", messages=messages, tools=[tool]).choices[0]
        self.assertEqual(called.finish_reason, "tool_calls")
        self.assertEqual(len(called.message.tool_calls), 2)
        with self.assertRaises(openai.InternalServerError):
            create(model="error-503", messages=messages)

    def _use_responses(self, client: Any) -> None:
        whole = client.responses.create(model="echo", input="Hello 😀")
        self.assertEqual(whole.output_text, "Hello 😀")
        events = list(client.responses.create(model="long", input="Hello", stream=True))
        self.assertEqual(events[-1].type, "response.completed")
        text = "".join(e.delta for e in events if e.type == "response.output_text.delta")
        self.assertEqual(text, events[-1].response.output_text)
        tool = {"type": "function", "name": "weather", "parameters": _SCHEMA, "strict": False}
        called = client.responses.create(model="tool", input="Hello", tools=[tool])
        self.assertEqual(called.output[-1].name, "weather")
        with self.assertRaises(openai.AuthenticationError):
            client.responses.create(model="error-401", input="Hello")

    async def test_gemini(self) -> None:
        """The google-genai SDK."""
        options = types.HttpOptions(base_url=self.url)
        client = genai.Client(api_key="demo", http_options=options)
        await self.run_with(self._use_gemini, client)

    def _use_gemini(self, client: Any) -> None:
        whole = client.models.generate_content(model="echo", contents="Hello 😀")
        self.assertEqual(whole.text, "Hello 😀")
        chunks = client.models.generate_content_stream(model="long", contents="Hello")
        self.assertIn("漢字", "".join(chunk.text or "" for chunk in chunks))
        tool = types.Tool(
            function_declarations=[
                types.FunctionDeclaration(name="weather", parameters_json_schema=_SCHEMA)
            ]
        )
        config = types.GenerateContentConfig(
            tools=[tool],
            automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
        )
        called = client.models.generate_content(model="tool", contents="Hello", config=config)
        self.assertEqual(called.function_calls[0].args, {"city": "city é漢😀"})
        with self.assertRaises(genai_errors.ClientError):
            client.models.generate_content(model="error-400", contents="Hello")
