"""OpenAI's own client reads what we write."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import openai
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from aiproxy import ir
from aiproxy.errors import ErrorReply
from aiproxy.wire import chat
from tests import strategies
from tests.sdk_http import http_of

http = http_of("openai")

_modest = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
_ASKED = ir.Request("chat", "m", True, (), include_usage=True)


def client(status: int, body: bytes, content_type: str) -> openai.OpenAI:
    """A client whose every request is answered with these bytes."""

    def answer(request: Any) -> Any:
        return http.Response(status, content=body, headers={"content-type": content_type})

    transport = http.MockTransport(answer)
    return openai.OpenAI(
        api_key="k",
        base_url="http://proxy.invalid/v1",
        max_retries=0,
        http_client=http.Client(transport=transport),
    )


def streaming(events: Iterable[ir.Event]) -> openai.OpenAI:
    encoder = chat.StreamEncoder(_ASKED)
    body = b"".join(encoder.encode(event) + chat.HEARTBEAT for event in events)
    return client(200, body, "text/event-stream")


def accumulated(source: openai.OpenAI) -> Any:
    """The completion that the client's own accumulator builds from a stream."""
    with source.chat.completions.stream(
        model="m",
        messages=[{"role": "user", "content": "hi"}],
        stream_options={"include_usage": True},
    ) as stream:
        return stream.get_final_completion()


def whole(source: openai.OpenAI) -> Any:
    return source.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}])


class SDKTests(SynchronousTestCase):
    def assertSays(self, completion: Any, response: ir.Response) -> None:
        """`completion` says all that `response` does."""
        message = completion.choices[0].message
        texts = [part.text for part in response.parts if isinstance(part, ir.Text)]
        thoughts = [part.text for part in response.parts if isinstance(part, ir.Reasoning)]
        calls = [part for part in response.parts if isinstance(part, ir.ToolCall)]
        self.assertEqual(message.content or "", "".join(texts))
        self.assertEqual(getattr(message, "reasoning_content", None) or "", "".join(thoughts))
        self.assertEqual(
            [
                (call.id, call.function.name, call.function.arguments)
                for call in message.tool_calls or ()
            ],
            [(call.id, call.name, call.arguments) for call in calls],
        )
        self.assertEqual((completion.id, completion.model), (response.id, response.model))
        usage = response.usage or ir.Usage()
        self.assertEqual(completion.usage.completion_tokens, usage.output + usage.reasoning)
        self.assertEqual(completion.usage.prompt_tokens_details.cached_tokens, usage.cache_read)

    def test_answers(self) -> None:
        """The accumulator gives the answer, its text, thoughts, calls, proofs and usage."""

        @_modest
        @given(st.data(), strategies.responses("openai"))
        def check(data: st.DataObject, response: ir.Response) -> None:
            if response.stop in ("max_tokens", "filtered"):
                return
            events = data.draw(strategies.event_streams(response))
            self.assertSays(accumulated(streaming(events)), response)
            body = chat.encode_reply(response, None).body
            self.assertSays(whole(client(200, body, "application/json")), response)

        check()

    def test_history(self) -> None:
        """The accumulated message, sent back as it is, brings the proofs back."""
        parts = (
            ir.Reasoning("hm", ir.Proof("anthropic", "S1")),
            ir.Reasoning("so", ir.Proof("anthropic", "S2")),
            ir.Text("a", (ir.Citation("https://a.example", "t"), ir.Citation("https://b.example"))),
            ir.ToolCall("c1", "f", "{}", proof=ir.Proof("gemini", "G")),
        )
        response = ir.Response("id1", "m", parts, "tool_use", created=5)
        message = accumulated(streaming(ir.unfold(response))).choices[0].message
        self.assertEqual(len(message.annotations), 2)
        sent = {"model": "m", "messages": [message.model_dump(exclude_none=True)]}
        again = chat.decode_request(json.dumps(sent).encode(), "").turns[0].parts
        self.assertEqual(again, (*parts[:2], ir.Text("a"), parts[3]))

    def test_custom_tool(self) -> None:
        """A custom tool's input is read, whole and as fragments."""
        call = ir.ToolCall("c1", "p", "x y", "custom")
        response = ir.Response("id1", "m", (call,), "tool_use")
        body = chat.encode_reply(response, None).body
        message = whole(client(200, body, "application/json")).choices[0].message
        self.assertEqual(message.tool_calls[0].custom.input, "x y")
        # The client's accumulator trips over custom calls of any server; its chunks do not.
        fragments = [
            call.model_dump()["custom"]
            for chunk in streaming(ir.unfold(response)).chat.completions.create(
                model="m", messages=[{"role": "user", "content": "hi"}], stream=True
            )
            for choice in chunk.choices
            for call in choice.delta.tool_calls or ()
        ]
        self.assertEqual(fragments, [{"name": "p", "input": ""}, {"input": "x y"}])

    def test_errors(self) -> None:
        """Each status is the client's own exception, with our message and code."""
        for reply, raised in (
            (ErrorReply(400, "context_length", "too long"), openai.BadRequestError),
            (ErrorReply(401, "authentication", "who"), openai.AuthenticationError),
            (ErrorReply(403, "permission", "no"), openai.PermissionDeniedError),
            (ErrorReply(404, "model_not_found", "what"), openai.NotFoundError),
            (ErrorReply(429, "rate_limit", "slow"), openai.RateLimitError),
            (ErrorReply(402, "quota", "pay"), openai.RateLimitError),
            (ErrorReply(529, "overloaded", "busy"), openai.InternalServerError),
        ):
            encoded = chat.encode_reply(reply, None)
            with self.assertRaises(raised) as caught:
                whole(client(encoded.status, encoded.body, "application/json"))
            self.assertEqual(caught.exception.body["message"], reply.message)

    def test_error_in_a_stream(self) -> None:
        """A broken stream raises the client's APIError."""
        error = ErrorReply(529, "overloaded", "busy")
        events = (
            ir.Started("id1", "m", 1),
            ir.BlockStarted(0, ir.Text("")),
            ir.TextDelta(0, "a"),
            ir.Broken(error),
        )
        with self.assertRaises(openai.APIError) as caught:
            accumulated(streaming(events))
        self.assertEqual(caught.exception.message, "busy")
