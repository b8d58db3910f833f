"""Anthropic's own SDK reads what the wire writes."""

from __future__ import annotations

from typing import Any

import anthropic as sdk
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from aiproxy import ir
from aiproxy.errors import ErrorReply
from aiproxy.wire import anthropic
from tests import strategies
from tests.sdk_http import http_of

http = http_of("anthropic")

ASKED = ir.Request("anthropic", "m", True, ())


def client(status: int, body: bytes, content_type: str) -> sdk.Anthropic:
    """A client whose every request is answered so."""

    def answer(request: Any) -> Any:
        return http.Response(status, headers={"content-type": content_type}, content=body)

    sender = http.Client(transport=http.MockTransport(answer))
    return sdk.Anthropic(
        api_key="key", base_url="http://upstream.test", http_client=sender, max_retries=0
    )


def streamed(body: bytes) -> Any:
    """The message that the SDK puts together from a stream."""
    asking = client(200, body, "text/event-stream").messages.stream(
        model="m", max_tokens=9, messages=[{"role": "user", "content": "hello"}]
    )
    with asking as stream:
        return stream.get_final_message()


def whole(status: int, body: bytes) -> Any:
    return client(status, body, "application/json").messages.create(
        model="m", max_tokens=9, messages=[{"role": "user", "content": "hello"}]
    )


def comparable(message: Any) -> Any:
    """A message without what only one of the SDK's two ways sets."""
    fields = message.model_dump(exclude_none=True)
    fields["content"] = [
        {name: value for name, value in block.items() if name != "parsed_output"}
        for block in fields["content"]
    ]
    return fields


class SDKTests(SynchronousTestCase):
    """Streams, whole answers and errors, through the official client."""

    def test_streams(self) -> None:
        """Streamed and whole, the SDK finds the same message, whatever order events come in."""

        @settings(max_examples=25, deadline=None)
        @given(st.data(), strategies.responses("anthropic"))
        def check(data: st.DataObject, response: ir.Response) -> None:
            events = data.draw(strategies.event_streams(response))
            encoder = anthropic.StreamEncoder(ASKED)
            message = streamed(b"".join(encoder.encode(event) for event in events))
            encoded = anthropic.encode_reply(response, ASKED)
            self.assertEqual(comparable(message), comparable(whole(200, encoded.body)))
            texts = [part.text for part in response.parts if isinstance(part, ir.Text)]
            self.assertEqual([b.text for b in message.content if b.type == "text"], texts)
            calls = [part.id for part in response.parts if isinstance(part, ir.ToolCall)]
            self.assertEqual([b.id for b in message.content if b.type == "tool_use"], calls)

        check()

    def test_heartbeats(self) -> None:
        """Heartbeats change nothing anywhere, not even before the first event."""
        response = ir.Response("x", "m", (ir.Text("hello"),), "end")
        encoder = anthropic.StreamEncoder(ASKED)
        pieces = [encoder.encode(event) for event in ir.unfold(response)]
        body = anthropic.HEARTBEAT + anthropic.HEARTBEAT.join(pieces)
        self.assertEqual(streamed(body).content[0].text, "hello")

    def test_citations(self) -> None:
        """Citations arrive with their text."""
        text = ir.Text("hello", (ir.Citation("https://example.org", "Example"),))
        encoder = anthropic.StreamEncoder(ASKED)
        reply = ir.Response("x", "m", (text,), "end")
        message = streamed(b"".join(encoder.encode(event) for event in ir.unfold(reply)))
        self.assertEqual(message.content[0].citations[0].url, "https://example.org")

    def test_errors(self) -> None:
        """Errors become the SDK's exception for their status, with the message."""
        for error, exception in (
            (ErrorReply(400, "context_length", "long"), sdk.BadRequestError),
            (ErrorReply(404, "model_not_found", "none"), sdk.NotFoundError),
            (ErrorReply(429, "rate_limit", "slow"), sdk.RateLimitError),
            (ErrorReply(529, "overloaded", "busy"), sdk.InternalServerError),
        ):
            encoded = anthropic.encode_reply(error, None)
            with self.assertRaises(exception) as caught:
                whole(encoded.status, encoded.body)
            self.assertIn(error.message, str(caught.exception))

    def test_broken_stream(self) -> None:
        """An error inside a stream is raised."""
        encoder = anthropic.StreamEncoder(ASKED)
        events = (ir.Started("x", "m"), ir.Broken(ErrorReply(529, "overloaded", "busy")))
        with self.assertRaises(sdk.APIStatusError):
            streamed(b"".join(encoder.encode(event) for event in events))
