"""Answers through every pair of wires: rules that hold whatever was recorded."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from aiproxy import ir
from aiproxy.wire import INBOUND, relay
from tests.wire import exchanges, grammars
from tests.wire.exchanges import ORIGIN, PAIRS, WIRES
from tests.wire.loss_probes import Object, answer, message

ENDS: Mapping[str, Mapping[str, ir.StopReason]] = {
    "anthropic": {
        "end_turn": "end",
        "stop_sequence": "stop_sequence",
        "max_tokens": "max_tokens",
        "model_context_window_exceeded": "context_full",
        "refusal": "filtered",
        "pause_turn": "pause",
        "new_word": "other",
    },
    "chat": {
        "stop": "end",
        "length": "max_tokens",
        "content_filter": "filtered",
        "new_word": "other",
    },
    "responses": {
        "completed": "end",
        "max_output_tokens": "max_tokens",
        "content_filter": "filtered",
    },
    "gemini": {
        "STOP": "end",
        "MAX_TOKENS": "max_tokens",
        **dict.fromkeys(
            ("SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "LANGUAGE"),
            "filtered",
        ),
        **dict.fromkeys(("IMAGE_SAFETY", "MODEL_ARMOR"), "filtered"),
        "OTHER": "other",
        "NEW_WORD": "other",
    },
}
"""By upstream: its word for why an answer ended, and what that means."""

WORDS: Mapping[str, Mapping[ir.StopReason, str]] = {
    "anthropic": {
        "end": "end_turn",
        "stop_sequence": "stop_sequence",
        "tool_use": "tool_use",
        "max_tokens": "max_tokens",
        "context_full": "model_context_window_exceeded",
        "filtered": "refusal",
        "pause": "pause_turn",
        "other": "end_turn",
    },
    "chat": {
        "end": "stop",
        "stop_sequence": "stop",
        "tool_use": "tool_calls",
        "max_tokens": "length",
        "context_full": "length",
        "filtered": "content_filter",
        "pause": "stop",
        "other": "stop",
    },
    "responses": {
        "end": "completed",
        "stop_sequence": "completed",
        "tool_use": "completed",
        "max_tokens": "max_output_tokens",
        "context_full": "max_output_tokens",
        "filtered": "content_filter",
        "pause": "completed",
        "other": "completed",
    },
    "gemini": {
        "end": "STOP",
        "stop_sequence": "STOP",
        "tool_use": "STOP",
        "max_tokens": "MAX_TOKENS",
        "context_full": "MAX_TOKENS",
        "filtered": "SAFETY",
        "pause": "STOP",
        "other": "OTHER",
    },
}
"""By client: what it is told."""

CALL: Mapping[str, Any] = {
    "anthropic": [{"type": "tool_use", "id": "call_1", "name": "look", "input": {"at": 1}}],
    "chat": {
        "content": None,
        "tool_calls": [
            {
                "id": "call_1",
                "type": "function",
                "function": {"name": "look", "arguments": '{"at":1}'},
            }
        ],
    },
    "responses": [
        {"type": "function_call", "call_id": "call_1", "name": "look", "arguments": '{"at":1}'}
    ],
    "gemini": [{"functionCall": {"id": "call_1", "name": "look", "args": {"at": 1}}}],
}
TEXT: Mapping[str, Any] = {
    "anthropic": [{"type": "text", "text": "Seen."}],
    "chat": {},
    "responses": message({"type": "output_text", "text": "Seen.", "annotations": []}),
    "gemini": [{"text": "Seen."}],
}


def ended(wire: str, said: Any, word: str) -> Object:
    """An upstream's whole answer that ends for this reason."""
    match wire:
        case "anthropic":
            return answer(wire, said, stop_reason=word, stop_sequence="END")
        case "chat":
            return answer(wire, said, finish_reason=word)
        case "gemini":
            return answer(wire, said, finishReason=word)
    if word == "completed":
        return answer(wire, said)
    return answer(wire, said, status="incomplete", incomplete_details={"reason": word})


def word_of(wire: str, body: Any) -> str:
    match wire:
        case "anthropic":
            return str(body["stop_reason"])
        case "chat":
            return str(body["choices"][0]["finish_reason"])
        case "gemini":
            return str(body["candidates"][0]["finishReason"])
    details = body["incomplete_details"]
    return str(details["reason"] if details else body["status"])


def asked(wire: str, **changed: Any) -> ir.Request:
    turns = (ir.Turn("user", (ir.Text("hi"),)),)
    request = ir.Request(wire, "m", True, turns, tools=(ir.Tool("look"),), include_usage=True)
    return ir.replace(request, **changed)


def whole(upstream: str, client: str, body: Object) -> Any:
    """The client's whole answer, parsed."""
    data = json.dumps(body).encode()
    request = asked(client, stream=False)
    encoded, _ = relay.convert(WIRES[upstream], INBOUND[client], lambda: request, ORIGIN, 200, data)
    return json.loads(encoded.body)


def told(upstream: str, events: Sequence[ir.Event]) -> list[Any]:
    """What an upstream of this wire sends for these events, a message at a time."""
    encoder = WIRES[upstream].StreamEncoder(asked(upstream))
    return [exchanges.framed(encoder.encode(event)) for event in events]


def streamed(
    upstream: str, client: str, events: Sequence[ir.Event], **changed: Any
) -> Iterator[bytes]:
    """
    What the client gets for each of these events of its upstream, and in the end.

    changed: of the client's request.
    """
    request = asked(client, **changed)
    way = relay.connect(WIRES[upstream], INBOUND[client], lambda: request, "", ORIGIN)
    for messages in told(upstream, events):
        yield way.feed(messages)
    yield way.close()


class EndTests(SynchronousTestCase):
    """Why an answer ended."""

    def test_every_word(self) -> None:
        """Each word of each upstream is the client's word for the same, streamed and whole."""
        for upstream, client in PAIRS:
            for word, reason in ENDS[upstream].items():
                body = ended(upstream, TEXT[upstream], word)
                expected = WORDS[client][reason]
                place = f"{upstream} {word} to {client}"
                self.assertEqual(word_of(client, whole(upstream, client, body)), expected, place)
                reply = WIRES[upstream].decode_reply(200, json.dumps(body).encode())
                assert isinstance(reply, ir.Response)
                told_on = ir.replace(reply, id="i", model="m")
                data = exchanges.encoded_stream(told_on, client, asked(client))
                grammars.check(client, data)
                again = exchanges.read_stream(client, data)
                assert isinstance(again, ir.Response)
                self.assertEqual(WORDS[client][again.stop], expected, place)

    def test_calls_beat_a_plain_end(self) -> None:
        """Whatever an upstream says beside calls but that it was cut or filtered."""
        for upstream, client in PAIRS:
            for word, reason in ENDS[upstream].items():
                if upstream == "responses" and reason == "other":
                    continue
                expected: ir.StopReason = reason
                if reason in ("end", "other", "pause"):
                    expected = "tool_use"
                if client == "chat" and reason == "stop_sequence":
                    # Its word for that is the one for a plain end.
                    expected = "tool_use"
                body = ended(upstream, CALL[upstream], word)
                found = word_of(client, whole(upstream, client, body))
                place = f"{upstream} {word} to {client}"
                self.assertEqual(found, WORDS[client][expected], place)

    def test_a_blocked_prompt(self) -> None:
        """Gemini's only way to say so has no candidate; others have a word for it."""
        body = {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {}}
        for client in ("anthropic", "chat", "responses"):
            found = whole("gemini", client, {**body, "usageMetadata": {"promptTokenCount": 3}})
            self.assertEqual(word_of(client, found), WORDS[client]["filtered"])


class DeltaTests(SynchronousTestCase):
    """Pieces of an answer."""

    def test_pieces_that_are_the_same(self) -> None:
        """Equal deltas one behind the other are as many in the client's answer."""
        for upstream, client in PAIRS:
            for part, delta in (
                (ir.Text(""), ir.TextDelta(0, "ha")),
                (ir.Reasoning(""), ir.ReasoningDelta(0, "ha")),
            ):
                events = (
                    ir.Started("i", "m", 1),
                    ir.BlockStarted(0, part),
                    *[delta] * 5,
                    ir.BlockStopped(0),
                    ir.BlockStarted(1, ir.Text("")),
                    ir.TextDelta(1, "!"),
                    ir.BlockStopped(1),
                    ir.Finished("end", usage=ir.Usage(1, 0, 0, 5)),
                )
                data = b"".join(streamed(upstream, client, events))
                reply = exchanges.read_stream(client, data)
                assert isinstance(reply, ir.Response)
                said = "".join(
                    each.text for each in reply.parts if isinstance(each, ir.Text | ir.Reasoning)
                )
                self.assertEqual(said, "ha" * 5 + "!", f"{upstream} to {client}")

    def test_ten_thousand_pieces(self) -> None:
        """However many there are, none is lost, and each comes out when it came in."""
        words = [f"{at} " for at in range(10_000)]
        events: tuple[ir.Event, ...] = (
            ir.Started("i", "m", 1),
            ir.BlockStarted(0, ir.Text("")),
            *(ir.TextDelta(0, word) for word in words),
            ir.BlockStopped(0),
            ir.Finished("end", usage=ir.Usage(1, 0, 0, 5)),
        )
        for upstream, client in PAIRS:
            pieces = list(streamed(upstream, client, events))
            for at in (0, 5_000, 9_999):
                self.assertIn(b'"%d "' % at, pieces[at + 2], f"{upstream} to {client}")

    def test_arguments_come_as_they_grow(self) -> None:
        """A call's fragments are passed on one by one, but for Gemini, which knows none."""
        fragments = ('{"a', '":"', 'x"}')
        events: tuple[ir.Event, ...] = (
            ir.Started("i", "m", 1),
            ir.BlockStarted(0, ir.ToolCall("call_1", "look", "")),
            *(ir.ArgumentsDelta(0, fragment) for fragment in fragments),
            ir.BlockStopped(0),
            ir.Finished("tool_use", usage=ir.Usage(1, 0, 0, 5)),
        )
        for upstream, client in PAIRS:
            pieces = list(streamed(upstream, client, events))
            place = f"{upstream} to {client}"
            reply = exchanges.read_stream(client, b"".join(pieces))
            assert isinstance(reply, ir.Response)
            [call] = [part for part in reply.parts if isinstance(part, ir.ToolCall)]
            self.assertEqual((call.name, json.loads(call.arguments)), ("look", {"a": "x"}), place)
            if "gemini" not in (upstream, client):
                for fragment, piece in zip(fragments, pieces[2:], strict=False):
                    self.assertIn(json.dumps(fragment).encode(), piece, place)

    def test_free_text_of_a_custom_tool(self) -> None:
        """Wherever the JSON around it was cut, a Responses client gets the very text."""
        text = 'a "quoted"\\ \n\u2028 é😀 \ud83d'.replace("\ud83d", "")
        arguments = json.dumps({"input": text})
        tool = ir.Tool("patch", kind="custom")
        for upstream in ("anthropic", "gemini"):
            for size in (1, 2, 5):
                cut = [arguments[at : at + size] for at in range(0, len(arguments), size)]
                events: tuple[ir.Event, ...] = (
                    ir.Started("i", "m", 1),
                    ir.BlockStarted(0, ir.ToolCall("call_1", "patch", "")),
                    *(ir.ArgumentsDelta(0, piece) for piece in cut),
                    ir.BlockStopped(0),
                    ir.Finished("tool_use", usage=ir.Usage(1, 0, 0, 5)),
                )
                data = b"".join(streamed(upstream, "responses", events, tools=(tool,)))
                grammars.check("responses", data)
                reply = exchanges.read_stream("responses", data)
                assert isinstance(reply, ir.Response)
                self.assertEqual(
                    reply.parts, (ir.ToolCall("call_1", "patch", text, "custom"),), upstream
                )

    def test_nothing_said(self) -> None:
        """An answer without content, but with tokens counted, is a valid empty answer."""
        empty = ir.Response("i", "m", (), "end", usage=ir.Usage(3, 0, 0, 2), created=1)
        for upstream, client in PAIRS:
            data = b"".join(streamed(upstream, client, tuple(ir.unfold(empty))))
            grammars.check(client, data)
            reply = exchanges.read_stream(client, data)
            assert isinstance(reply, ir.Response)
            self.assertEqual((reply.parts, reply.stop), ((), "end"), f"{upstream} to {client}")
            self.assertEqual(reply.usage, empty.usage)
