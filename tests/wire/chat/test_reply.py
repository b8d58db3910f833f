"""Whole Chat answers."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from aiproxy import ir
from aiproxy.errors import ErrorReply, UpstreamProtocolError
from aiproxy.wire import chat


def decoded(said: Any, **more: Any) -> ir.Reply:
    choice = {"index": 0, "message": said, "finish_reason": more.pop("finish", "stop")}
    body = {"id": "id1", "created": 5, "model": "m", "choices": [choice], **more}
    return chat.decode_reply(200, json.dumps(body).encode())


def parts(said: Any) -> tuple[ir.Part, ...]:
    reply = decoded(said)
    assert isinstance(reply, ir.Response)
    return reply.parts


def encoded(*said: ir.Part, stop: ir.StopReason = "end") -> tuple[Any, list[str]]:
    """The message that a client gets, and what was lost."""
    written = chat.encode_reply(ir.Response("id1", "m", said, stop), None)
    losses = [loss.feature for loss in written.losses]
    return json.loads(written.body)["choices"][0]["message"], losses


class DecodeTests(SynchronousTestCase):
    def test_message(self) -> None:
        """Thoughts first, then text with its sources, then calls."""
        cited = {"type": "url_citation", "url_citation": {"url": "u", "title": "t"}}
        call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
        self.assertEqual(
            decoded(
                {
                    "content": "a",
                    "reasoning_content": "hm",
                    "annotations": [cited],
                    "tool_calls": [call],
                }
            ),
            ir.Response(
                "id1",
                "m",
                (
                    ir.Reasoning("hm"),
                    ir.Text("a", (ir.Citation("u", "t"),)),
                    ir.ToolCall("c", "f", "{}"),
                ),
                "tool_use",
                created=5,
            ),
        )

    def test_content_list(self) -> None:
        """Mistral's parts are thoughts and text."""
        thought = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}
        said = parts({"content": [thought, {"type": "text", "text": "a"}, {"type": "odd"}]})
        self.assertEqual(said, (ir.Reasoning("hm"), ir.Text("a")))

    def test_calls(self) -> None:
        """Custom and legacy calls, and calls without an id."""
        custom = {"id": "c", "type": "custom", "custom": {"name": "p", "input": "x"}}
        nameless = {"id": "", "type": "function", "function": {"name": "f", "arguments": "{}"}}
        said = parts(
            {"tool_calls": [custom, nameless], "function_call": {"name": "g", "arguments": "{}"}}
        )
        self.assertEqual(said[0], ir.ToolCall("c", "p", "x", "custom"))
        ids = [part.id for part in said if isinstance(part, ir.ToolCall)]
        self.assertTrue(all(ids))
        self.assertEqual(len(set(ids)), 3)

    def test_google_proof(self) -> None:
        """Google's proof beside the message belongs to its first call."""
        call = {"id": "c", "function": {"name": "f", "arguments": "{}"}}
        signed = {"google": {"thought_signature": "SIG"}}
        self.assertEqual(
            parts({"tool_calls": [call], "extra_content": signed}),
            (ir.ToolCall("c", "f", "{}", proof=ir.Proof("gemini", "SIG")),),
        )

    def test_errors_in_disguise(self) -> None:
        """An error in a good status is an error, at the top or in the choice."""
        for body in (
            {"error": {"message": "it broke", "code": 502}},
            {"object": "error", "message": "it broke", "code": 502},
            {"choices": [{"index": 0, "error": {"message": "it broke", "code": 502}}]},
        ):
            reply = chat.decode_reply(200, json.dumps(body).encode())
            assert isinstance(reply, ErrorReply)
            self.assertEqual((reply.status, reply.message), (502, "it broke"))

    def test_several(self) -> None:
        """Each choice is an answer; where one has failed, the others are none the worse for it."""
        choices: list[Any] = [
            {"index": 1, "message": {"content": "b"}, "finish_reason": "length"},
            {"index": 0, "message": {"content": "a"}, "finish_reason": "stop"},
        ]
        reply = chat.decode_reply(200, json.dumps({"id": "i", "choices": choices}).encode())
        assert isinstance(reply, ir.Response)
        self.assertEqual((reply.parts, reply.stop), ((ir.Text("a"),), "end"))
        self.assertEqual(reply.others, (ir.Answer(1, (ir.Text("b"),), "max_tokens"),))
        choices[0] = {"index": 1, "error": {"message": "it broke", "code": 502}}
        reply = chat.decode_reply(200, json.dumps({"id": "i", "choices": choices}).encode())
        assert isinstance(reply, ir.Response)
        self.assertEqual(reply.others, (ir.Answer(1, (), "other"),))
        assert reply.extras is not None
        self.assertEqual([name for name, _ in reply.extras.fields], ["error"])

    def test_something_else(self) -> None:
        """A good status with anything else is a fault of the upstream."""
        for body in (b"<html>", b"{}", b"[]", b'{"choices":[]}', b'{"choices":[{"index":0}]}'):
            with self.assertRaises(UpstreamProtocolError):
                chat.decode_reply(200, body)

    def test_citations_without_a_text(self) -> None:
        """They are reported as left over."""
        cited = [{"type": "url_citation", "url_citation": {"url": "u"}}]
        call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
        reply = decoded({"content": None, "annotations": cited, "tool_calls": [call]})
        assert isinstance(reply, ir.Response)
        assert reply.extras is not None
        self.assertEqual([name for name, _ in reply.extras.fields], ["citations"])

    def test_a_legacy_call_without_a_name(self) -> None:
        """Nobody can make it, so the answer is refused."""
        self.assertRaises(UpstreamProtocolError, decoded, {"function_call": {"arguments": "{}"}})


class EncodeTests(SynchronousTestCase):
    def test_only_calls(self) -> None:
        """Without text the content is null, and the finish reason tells of the calls."""
        response = ir.Response("id1", "m", (ir.ToolCall("c", "f", ""),), "end", created=5)
        body = json.loads(chat.encode_reply(response, None).body)
        self.assertEqual(
            body["choices"],
            [
                {
                    "index": 0,
                    "message": {
                        "role": "assistant",
                        "content": None,
                        "refusal": None,
                        "tool_calls": [
                            {
                                "id": "c",
                                "type": "function",
                                "function": {"name": "f", "arguments": "{}"},
                            }
                        ],
                    },
                    "logprobs": None,
                    "finish_reason": "tool_calls",
                }
            ],
        )
        self.assertEqual(body["object"], "chat.completion")
        self.assertEqual(body["usage"]["prompt_tokens_details"]["cached_tokens"], 0)

    def test_empty(self) -> None:
        """An answer that says nothing is still a message."""
        self.assertEqual(encoded()[0], {"role": "assistant", "content": "", "refusal": None})

    def test_refusal(self) -> None:
        """A refusal has its own field."""
        message, _ = encoded(ir.Refusal("no"))
        self.assertEqual((message["content"], message["refusal"]), (None, "no"))

    def test_reasoning_comes_back(self) -> None:
        """A client that returns the message as it got it returns the thoughts and their proofs."""
        thoughts = (
            ir.Reasoning("one", ir.Proof("anthropic", "S1")),
            ir.Reasoning("", ir.Proof("anthropic", "S2", redacted=True)),
            ir.Reasoning("two", ir.Proof("anthropic", "S3")),
        )
        call = ir.ToolCall("c", "f", "{}", proof=ir.Proof("gemini", "G"))
        message, losses = encoded(*thoughts, ir.Text("a", proof=ir.Proof("gemini", "T")), call)
        self.assertEqual(losses, [])
        self.assertEqual(message["reasoning_content"], "onetwo")
        again = chat.decode_request(json.dumps({"model": "m", "messages": [message]}).encode(), "")
        self.assertEqual(
            again.turns[0].parts, (*thoughts, ir.Text("a", proof=ir.Proof("gemini", "T")), call)
        )

    def test_images_and_losses(self) -> None:
        """Drawn images are shown; what cannot be is told."""
        image = ir.Media("image", ir.Inline("image/png", "aGk="))
        sound = ir.Media("audio", ir.Inline("audio/wav", "aGk="))
        opaque = ir.Opaque("gemini", "executableCode", ir.JSON(b"{}"))
        message, losses = encoded(image, sound, opaque)
        self.assertEqual(
            message["images"],
            [{"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}],
        )
        self.assertEqual(losses, ["audio-output", "executable-code"])
