"""What the wire writes, read by the official SDK."""

from __future__ import annotations

from typing import Any

import openai
from twisted.trial.unittest import SynchronousTestCase

from aiproxy import ir
from aiproxy.errors import ErrorReply
from aiproxy.wire import responses
from tests.sdk_http import http_of

http = http_of("openai")

ASKED = ir.Request("responses", "m", True, (ir.Turn("user", (ir.Text("x"),)),))
REPLY = ir.Response(
    "up1",
    "m",
    (
        ir.Reasoning("hm", ir.Proof("anthropic", "sig")),
        ir.Text("hello "),
        ir.Text("world", (ir.Citation("https://example.org", "t"),)),
        ir.ToolCall("c1", "f", '{"a":1}'),
        ir.ToolCall("c2", "g", "", proof=ir.Proof("gemini", "s")),
        ir.ToolCall("c3", "patch", "*** Begin", "custom"),
        ir.Media("image", ir.Inline("image/png", "aGk=")),
    ),
    "tool_use",
    usage=ir.Usage(1, 2, 3, 4, 5),
    created=7,
)


def client(status: int, content_type: str, body: bytes) -> openai.OpenAI:
    """A client of the SDK whose every request gets this answer."""

    def answer(_: Any) -> Any:
        return http.Response(status, headers={"content-type": content_type}, content=body)

    transport = http.Client(transport=http.MockTransport(answer))
    return openai.OpenAI(
        api_key="k", base_url="http://test/v1", http_client=transport, max_retries=0
    )


def streaming(*, heartbeat: bytes = b"", error: ErrorReply | None = None) -> openai.OpenAI:
    encoder = responses.StreamEncoder(ASKED)
    events = list(ir.unfold(REPLY))
    if error is not None:
        events[-1] = ir.Broken(error)
    body = b"".join(encoder.encode(event) + heartbeat for event in events)
    return client(200, encoder.content_type, body)


class SDKTests(SynchronousTestCase):
    """The SDK of OpenAI."""

    def assertSaid(self, response: Any) -> None:
        """It holds what REPLY says."""
        self.assertEqual(response.output_text, "hello world")
        self.assertEqual(
            [item.type for item in response.output],
            ["reasoning", "message", "function_call", "reasoning", "function_call",
             "custom_tool_call", "image_generation_call"],
        )  # fmt: skip
        thought, message, f, signature, g, patch, image = response.output
        self.assertEqual(thought.summary[0].text, "hm")
        self.assertEqual(thought.encrypted_content, "aip1.anthropic.sig")
        self.assertEqual(message.content[1].annotations[0].url, "https://example.org")
        self.assertEqual((f.call_id, f.name, f.arguments), ("c1", "f", '{"a":1}'))
        self.assertEqual(signature.encrypted_content, "aip1.gemini.s")
        self.assertEqual((g.call_id, g.arguments), ("c2", "{}"))
        self.assertEqual((patch.call_id, patch.input), ("c3", "*** Begin"))
        self.assertEqual(image.result, "aGk=")
        self.assertEqual(response.usage.total_tokens, 15)

    def test_whole(self) -> None:
        """`responses.create` gives the answer as an object."""
        body = responses.encode_reply(REPLY, ASKED).body
        sdk = client(200, "application/json", body)
        self.assertSaid(sdk.responses.create(model="m", input="x"))

    def test_stream(self) -> None:
        """`responses.stream` builds the same, heartbeats between its events or not."""
        for heartbeat in (b"", responses.HEARTBEAT):
            with streaming(heartbeat=heartbeat).responses.stream(model="m", input="x") as stream:
                deltas = [e.delta for e in stream if e.type == "response.output_text.delta"]
                self.assertSaid(stream.get_final_response())
            self.assertEqual(deltas, ["hello ", "world"])

    def test_raw_stream(self) -> None:
        """`create(stream=True)` gives typed events, the last with the whole answer."""
        sdk = streaming(heartbeat=responses.HEARTBEAT)
        events = list(sdk.responses.create(model="m", input="x", stream=True))
        last = [event for event in events if event.type == "response.completed"]
        self.assertSaid(last[0].response)

    def test_failed_stream(self) -> None:
        """A failure is an event of its own, without a final response."""
        sdk = streaming(error=ErrorReply(529, "overloaded", "busy"))
        with sdk.responses.stream(model="m", input="x") as stream:
            failed = [event for event in stream if event.type == "response.failed"]
            self.assertRaises(RuntimeError, stream.get_final_response)
        error = failed[0].response.error
        assert error is not None
        self.assertEqual(error.code, "server_is_overloaded")

    def test_error(self) -> None:
        """An error before the stream is the SDK's typed exception."""
        error = ErrorReply(429, "rate_limit", "slow down")
        encoded = responses.encode_reply(error, None)
        sdk = client(encoded.status, "application/json", encoded.body)
        raised = self.assertRaises(
            openai.RateLimitError, sdk.responses.create, model="m", input="x"
        )
        self.assertEqual(raised.code, "rate_limit_exceeded")

    def test_count(self) -> None:
        """A token count has the shape the SDK knows."""
        sdk = client(200, "application/json", responses.encode_count(42))
        self.assertEqual(sdk.responses.input_tokens.count(model="m", input="x").input_tokens, 42)
