"""Google's own Python SDK reads what we write, and we read what it sends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from google import genai
from google.genai import errors, types
from twisted.trial.unittest import SynchronousTestCase

from aiproxy import ir
from aiproxy.wire import gemini
from tests.sdk_http import http_of

http = http_of("google-genai")

ANSWER = ir.Response(
    "r",
    "gemini-3-pro",
    (
        ir.Reasoning("thinking", ir.Proof("anthropic", "c2ln"), summary=True),
        ir.Text("a\u2028b\x85c 漢😀\n"),
        ir.ToolCall("toolu_1", "look", '{"x":1}'),
        ir.ToolCall("toolu_2", "look", "{}"),
    ),
    "tool_use",
    usage=ir.Usage(10, 5, 1, 7, 3),
    created=1_700_000_000,
)


class SDKTests(SynchronousTestCase):
    """The SDK talks to our codec through its HTTP client's hook."""

    def setUp(self) -> None:
        self.requests: list[ir.Request] = []
        self.events: Sequence[ir.Event] = tuple(ir.unfold(ANSWER))
        self.reply: ir.Reply = ANSWER
        transport = http.MockTransport(self._answer)
        options = types.HttpOptions(
            base_url="http://localhost.invalid", client_args={"transport": transport}
        )
        self.client = genai.Client(api_key="k", http_options=options)

    def _answer(self, request: Any) -> Any:
        path = request.url.raw_path.decode()
        if gemini.head(request.content, path).operation == "count":
            return http.Response(200, content=gemini.encode_count(42))
        asked = gemini.decode_request(request.content, path)
        self.requests.append(asked)
        if not asked.stream:
            encoded = gemini.encode_reply(self.reply, asked)
            return http.Response(encoded.status, content=encoded.body)
        encoder = gemini.StreamEncoder(asked)
        content = b"".join(encoder.encode(event) for event in self.events)
        return http.Response(200, headers={"content-type": encoder.content_type}, content=content)

    def test_whole(self) -> None:
        """A whole answer has its texts, calls, counts and times."""
        found = self.client.models.generate_content(model="gemini-3-pro", contents="hi")
        assert found.candidates is not None
        assert found.usage_metadata is not None
        content = found.candidates[0].content
        assert content is not None
        thought, text, *calls = list(content.parts or ())
        self.assertTrue(thought.thought)
        self.assertEqual(text.text, "a\u2028b\x85c 漢😀\n")
        self.assertEqual(
            [call.function_call.id for call in calls if call.function_call],
            ["toolu_1", "toolu_2"],
        )
        self.assertEqual(found.usage_metadata.prompt_token_count, 16)
        self.assertEqual(found.candidates[0].finish_reason, types.FinishReason.STOP)

    def test_stream(self) -> None:
        """A stream adds up to the same."""
        found = list(
            self.client.models.generate_content_stream(model="gemini-3-pro", contents="hi")
        )
        parts = [
            part
            for one in found
            for candidate in one.candidates or ()
            for part in (candidate.content.parts if candidate.content else None) or ()
        ]
        texts = [part.text or "" for part in parts if not part.thought]
        self.assertEqual("".join(texts), "a\u2028b\x85c 漢😀\n")
        calls = [part.function_call for part in parts if part.function_call]
        self.assertEqual([call.args for call in calls], [{"x": 1}, {}])
        assert found[-1].usage_metadata is not None
        self.assertEqual(found[-1].usage_metadata.total_token_count, 26)

    def test_chat(self) -> None:
        """The history that the SDK keeps of a stream comes back as the answer it was."""
        chat = self.client.chats.create(model="gemini-3-pro")
        list(chat.send_message_stream("hi"))
        answers = [
            types.Part.from_function_response(name="look", response={"output": text})
            for text in ("one", "two")
        ]
        list(chat.send_message_stream(answers))
        turns = self.requests[1].turns
        self.assertEqual(turns[1].parts[:2], ANSWER.parts[:2])
        results = [part for part in turns[2].parts if isinstance(part, ir.ToolResult)]
        self.assertEqual(
            [(result.call_id, result.content) for result in results],
            [("toolu_1", (ir.Text("one"),)), ("toolu_2", (ir.Text("two"),))],
        )

    def test_settings(self) -> None:
        """Every setting of the SDK is understood."""
        schema = types.Schema(type=types.Type.INTEGER, nullable=True)
        function = types.FunctionDeclaration(
            name="look",
            description="looks",
            parameters=types.Schema(type=types.Type.OBJECT, properties={"x": schema}),
        )
        config = types.GenerateContentConfig(
            system_instruction="be brief",
            temperature=0.5,
            top_k=3,
            max_output_tokens=7,
            stop_sequences=["x"],
            tools=[types.Tool(function_declarations=[function])],
            thinking_config=types.ThinkingConfig(include_thoughts=True, thinking_budget=9),
        )
        self.client.models.generate_content(model="gemini-3-pro", contents="hi", config=config)
        (asked,) = self.requests
        self.assertEqual(asked.instructions, (ir.Text("be brief"),))
        self.assertEqual((asked.sampling.temperature, asked.sampling.top_k), (0.5, 3))
        self.assertEqual((asked.max_output_tokens, asked.stop), (7, ("x",)))
        self.assertEqual(asked.thinking, ir.Thinking(budget_tokens=9, summary="auto"))
        (tool,) = asked.tools
        assert isinstance(tool, ir.Tool)
        assert tool.schema is not None
        self.assertIn(b'["integer","null"]', bytes(tool.schema))

    def test_errors(self) -> None:
        """Errors are the SDK's own, whole and inside a stream."""
        self.reply = ir.ErrorReply(429, "rate_limit", "slow down", retry_after=3)
        ask = self.client.models.generate_content
        found = self.assertRaises(errors.ClientError, ask, model="m", contents="hi")
        self.assertEqual((found.code, found.status), (429, "RESOURCE_EXHAUSTED"))
        broken = ir.Broken(ir.ErrorReply(503, "overloaded", "busy"))
        self.events = (*self.events[:5], broken)
        stream = self.client.models.generate_content_stream(model="m", contents="hi")
        late = self.assertRaises(errors.ServerError, list, stream)
        self.assertEqual((late.code, late.message), (503, "busy"))

    def test_count(self) -> None:
        """A count is a number."""
        found = self.client.models.count_tokens(model="m", contents="hi")
        self.assertEqual(found.total_tokens, 42)
