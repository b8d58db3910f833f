"""aiproxy.wire.responses.stream and .reply: what clients of this dialect get."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from aiproxy import ir
from aiproxy.errors import ErrorReply
from aiproxy.framing import sse
from aiproxy.wire import responses
from aiproxy.wire.responses.stream import StreamEncoder
from tests import strategies

ASKED = ir.Request("responses", "m", True, (ir.Turn("user", (ir.Text("x"),)),))
START = ir.Started("up1", "m", 5)
END = ir.Finished("end")

Payload = dict[str, Any]


def payloads(events: Iterable[ir.Event], asked: ir.Request = ASKED) -> list[Payload]:
    """What the client reads of these events; checks names and numbers on the way."""
    encoder = responses.StreamEncoder(asked)
    stream = b"".join(encoder.encode(event) for event in events)
    out: list[Payload] = []
    for message in sse.SSEDecoder().feed(stream):
        payload = json.loads(message.data)
        assert payload["type"] == message.event
        assert payload["sequence_number"] == len(out)
        out.append(payload)
    return out


def block(index: int, part: ir.Part, *inside: ir.Event) -> list[ir.Event]:
    return [ir.BlockStarted(index, part), *inside, ir.BlockStopped(index)]


def types(found: Iterable[Payload]) -> list[str]:
    """Without the common beginning of all types."""
    return [payload["type"].removeprefix("response.") for payload in found]


class GrammarTests(SynchronousTestCase):
    """The order of events."""

    def test_early_sources(self) -> None:
        """A source without a place is one for the whole text, even if it comes before its words."""
        events = block(
            0,
            ir.Text(""),
            ir.CitationAdded(0, ir.Citation("https://a", "A")),
            ir.TextDelta(0, "words"),
        )
        found = payloads([START, *events, END])
        last = ["output_text.annotation.added", "output_text.done", "content_part.done"]
        self.assertEqual(types(found)[-5:-2], last)
        note = found[-5]["annotation"]
        self.assertEqual((note["start_index"], note["end_index"]), (0, 5))

    def test_one_line(self) -> None:
        """A schema that the client printed on several lines does not break the event."""
        tool = ir.Tool("f", schema=ir.JSON(b'{\r\n  "type": "object"\n}'))
        encoder = responses.StreamEncoder(ir.replace(ASKED, tools=(tool,)))
        for event in encoder.encode(START)[:-2].split(b"\n\n"):
            self.assertEqual(len(event.splitlines()), 2)

    def test_foreign_fields(self) -> None:
        """What only another vendor's clients would understand is declared."""
        extras = ir.Extras("anthropic", (("caller", ir.JSON(b"1")),))
        call = ir.ToolCall("c", "f", "{}", extras=extras)
        reply = ir.Response("r", "m", (call,), "tool_use")
        losses = responses.encode_reply(reply, ASKED).losses
        self.assertEqual(losses, (ir.Loss("caller"),))

    def test_text(self) -> None:
        """A message from its announcement to the whole response."""
        found = payloads(
            [START, *block(0, ir.Text(""), ir.TextDelta(0, "a"), ir.TextDelta(0, "b")), END]
        )
        self.assertEqual(
            types(found),
            ["created", "in_progress", "output_item.added", "content_part.added",
             "output_text.delta", "output_text.delta", "output_text.done", "content_part.done",
             "output_item.done", "completed"],
        )  # fmt: skip
        self.assertEqual([found[4]["delta"], found[5]["delta"]], ["a", "b"])
        item = found[-2]["item"]
        self.assertEqual(
            item["content"], [{"type": "output_text", "text": "ab", "annotations": []}]
        )
        self.assertEqual(found[-1]["response"]["output"], [item])

    def test_texts_share_a_message(self) -> None:
        """Texts in a row are parts of one message; a call between them ends it."""
        call = ir.ToolCall("c", "f", "")
        found = payloads(
            [
                START,
                *block(0, ir.Text(""), ir.TextDelta(0, "a")),
                *block(1, ir.Text(""), ir.TextDelta(1, "b")),
                *block(2, call, ir.ArgumentsDelta(2, "{}")),
                *block(3, ir.Text(""), ir.TextDelta(3, "c")),
                END,
            ]
        )
        output = found[-1]["response"]["output"]
        self.assertEqual([item["type"] for item in output], ["message", "function_call", "message"])
        self.assertEqual([part["text"] for part in output[0]["content"]], ["a", "b"])
        first_done = types(found).index("output_item.done")
        self.assertEqual(found[first_done + 1]["item"]["type"], "function_call")

    def test_parallel_calls(self) -> None:
        """Calls may grow side by side, each at its own place."""
        f, g = ir.ToolCall("c1", "f", ""), ir.ToolCall("c2", "g", "", "custom", "space")
        found = payloads(
            [
                START,
                ir.BlockStarted(0, f),
                ir.BlockStarted(1, g),
                ir.ArgumentsDelta(1, "x"),
                ir.ArgumentsDelta(0, "{}"),
                ir.BlockStopped(0),
                ir.BlockStopped(1),
                ir.Finished("tool_use"),
            ]
        )
        deltas = [p for p in found if p["type"].endswith(".delta")]
        self.assertEqual([(p["output_index"], p["delta"]) for p in deltas], [(1, "x"), (0, "{}")])
        one, two = found[-1]["response"]["output"]
        self.assertEqual((one["call_id"], one["arguments"]), ("c1", "{}"))
        self.assertEqual((two["type"], two["input"], two["namespace"]),
                         ("custom_tool_call", "x", "space"))  # fmt: skip

    def test_call_without_arguments(self) -> None:
        """No arguments are an empty object, in the deltas too."""
        found = payloads([START, *block(0, ir.ToolCall("", "f", "")), END])
        self.assertEqual([p["delta"] for p in found if "delta" in p], ["{}"])
        item = found[-1]["response"]["output"][0]
        self.assertEqual(item["arguments"], "{}")
        self.assertTrue(item["call_id"])

    def test_reasoning(self) -> None:
        """Thoughts are a summary; the proof, tagged, comes with the finished item."""
        proof = ir.ProofAdded(0, ir.Proof("anthropic", "sig"))
        found = payloads(
            [START, *block(0, ir.Reasoning(""), ir.ReasoningDelta(0, "t"), proof), END]
        )
        self.assertEqual(
            types(found)[2:-1],
            ["output_item.added", "reasoning_summary_part.added", "reasoning_summary_text.delta",
             "reasoning_summary_text.done", "reasoning_summary_part.done", "output_item.done"],
        )  # fmt: skip
        self.assertNotIn("encrypted_content", found[2]["item"])
        item = found[-2]["item"]
        self.assertEqual(item["summary"], [{"type": "summary_text", "text": "t"}])
        self.assertEqual(item["encrypted_content"], "aip1.anthropic.sig")

    def test_hidden_reasoning(self) -> None:
        """A proof alone is an item with an empty summary; an own proof needs no tag."""
        proof = ir.ProofAdded(0, ir.Proof("openai", "e"))
        found = payloads([START, *block(0, ir.Reasoning(""), proof), END])
        item = found[-1]["response"]["output"][0]
        self.assertEqual((item["summary"], item["encrypted_content"]), ([], "e"))
        self.assertEqual(types(found)[2:-1], ["output_item.added", "output_item.done"])

    def test_signed_calls(self) -> None:
        """A call's proof stands before the call, however late it comes."""
        proof = ir.Proof("gemini", "s")
        call = ir.ToolCall("c", "f", "")
        late = block(0, call, ir.ArgumentsDelta(0, "{}"), ir.ProofAdded(0, proof))
        early = block(0, ir.ToolCall("c", "f", "", proof=proof), ir.ArgumentsDelta(0, "{}"))
        for events in (late, early):
            found = payloads([START, *events, END])
            done = [p["item"] for p in found if p["type"] == "response.output_item.done"]
            self.assertEqual([item["type"] for item in done], ["reasoning", "function_call"])
            self.assertEqual(done[0]["encrypted_content"], "aip1.gemini.s")
            self.assertEqual(found[-1]["response"]["output"], done)

    def test_citations(self) -> None:
        """Sources are announced, and repeated with the finished text."""
        cited = ir.CitationAdded(0, ir.Citation("https://x", "t"))
        found = payloads([START, *block(0, ir.Text(""), ir.TextDelta(0, "ab"), cited), END])
        note = {"type": "url_citation", "url": "https://x", "title": "t",
                "start_index": 0, "end_index": 2}  # fmt: skip
        self.assertEqual(found[5]["annotation"], note)
        part = found[-1]["response"]["output"][0]["content"][0]
        self.assertEqual(part["annotations"], [note])

    def test_refusal(self) -> None:
        """A refusal is told in words, and then the response is complete."""
        found = payloads(
            [START, *block(0, ir.Refusal(""), ir.RefusalDelta(0, "no")), ir.Finished("filtered")]
        )
        self.assertIn("refusal.done", types(found))
        self.assertEqual(found[-1]["type"], "response.completed")

    def test_whole_parts(self) -> None:
        """Made images are items of the image tool; what has no place is a loss."""
        encoder = StreamEncoder(ASKED)
        encoder.encode(START)
        image = ir.Media("image", ir.Inline("image/png", "aGk="))
        audio = ir.Media("audio", ir.Inline("audio/wav", "aGk="))
        text = ir.Opaque("gemini", "executableCode", ir.JSON(b"{}"), "1 + 1")
        parts: tuple[ir.Part, ...] = (image, audio, text)
        for index, part in enumerate(parts):
            encoder.encode(ir.BlockStarted(index, part))
            encoder.encode(ir.BlockStopped(index))
        encoder.encode(END)
        assert encoder.response is not None
        made, said = encoder.response["output"]
        self.assertEqual((made["type"], made["result"]), ("image_generation_call", "aGk="))
        self.assertEqual(said["content"][0]["text"], "1 + 1")
        self.assertEqual(
            encoder.losses,
            [ir.Loss("audio-output"), ir.Loss("executable-code", "approximated")],
        )

    def test_empty_blocks_leave_no_trace(self) -> None:
        """Nothing said is no item."""
        events = [START, *block(0, ir.Text("")), *block(1, ir.Reasoning("")), END]
        found = payloads(events)
        self.assertEqual(types(found), ["created", "in_progress", "completed"])
        self.assertEqual(found[-1]["response"]["output"], [])

    def test_any_stream(self) -> None:
        """Whatever comes in whatever order: announced, grown, done, and all of it at the end."""

        @settings(max_examples=80, deadline=None)
        @given(st.data(), strategies.any_responses())
        def check(data: st.DataObject, reply: ir.Response) -> None:
            found = payloads(data.draw(strategies.event_streams(reply)))
            _Reader().read(found)

        check()


class _Reader:
    """A strict client: adds up the deltas and compares them with what is said to be done."""

    def __init__(self) -> None:
        self.items: dict[int, Payload] = {}
        self.done: dict[int, Payload] = {}
        self.texts: dict[tuple[Any, ...], str] = {}

    def read(self, found: list[Payload]) -> None:
        assert types(found)[:2] == ["created", "in_progress"]
        for payload in found[2:-1]:
            self._event(payload["type"].removeprefix("response."), payload)
        final = found[-1]["response"]
        assert self.items.keys() == self.done.keys()
        ids = [json.dumps(item, sort_keys=True) for item in final["output"]]
        assert sorted(ids) == sorted(json.dumps(i, sort_keys=True) for i in self.done.values())
        assert found[-1]["type"] == f"response.{final['status']}"

    def _event(self, kind: str, payload: Payload) -> None:
        index = payload["output_index"]
        key = (index, payload.get("content_index"), payload.get("summary_index"))
        if kind == "output_item.added":
            assert index == len(self.items)
            self.items[index] = payload["item"]
        elif kind == "output_item.done":
            assert index not in self.done
            assert payload["item"]["type"] == self.items[index]["type"]
            self.done[index] = payload["item"]
        elif kind.endswith("part.added"):
            self.texts[key] = ""
        elif kind.endswith(".delta"):
            assert index not in self.done
            assert key in self.texts or "call" in self.items[index]["type"]
            self.texts[key] = self.texts.get(key, "") + payload["delta"]
        elif kind.endswith(".done") and "part" not in payload:
            whole = next(payload[name] for name in _WHOLES if name in payload)
            assert self.texts.get(key, "") == whole


_WHOLES = ("text", "refusal", "arguments", "input")


class ObjectTests(SynchronousTestCase):
    """The response object."""

    def test_echo(self) -> None:
        """It repeats what was asked, and never claims to keep anything."""
        asked = responses.decode_request(
            json.dumps(
                {
                    "model": "m",
                    "input": "x",
                    "instructions": "be brief",
                    "tools": [{"type": "function", "name": "f", "strict": True}],
                    "tool_choice": {"type": "function", "name": "f"},
                    "parallel_tool_calls": False,
                    "temperature": 0.5,
                    "reasoning": {"effort": "low"},
                    "metadata": {"a": "b"},
                    "store": True,
                }
            ).encode(),
            "/v1/responses",
        )
        response = payloads([START, END], asked)[-1]["response"]
        wanted: Mapping[str, Any] = {
            "id": "resp_up1",
            "object": "response",
            "created_at": 5,
            "status": "completed",
            "model": "m",
            "instructions": "be brief",
            "tools": [{"type": "function", "name": "f", "strict": True}],
            "tool_choice": {"type": "function", "name": "f"},
            "parallel_tool_calls": False,
            "temperature": 0.5,
            "reasoning": {"effort": "low", "summary": None},
            "metadata": {"a": "b"},
            "store": False,
            "previous_response_id": None,
            "error": None,
            "incomplete_details": None,
        }
        self.assertEqual({name: response[name] for name in wanted}, wanted)

    def test_usage(self) -> None:
        """Counts add up, all details are there, and an unknown usage is zeros."""
        for usage, total, cached in ((ir.Usage(10, 90, 5, 7, 3), 115, 90), (None, 0, 0)):
            response = payloads([START, ir.Finished("end", usage=usage)])[-1]["response"]
            found = response["usage"]
            self.assertEqual(found["total_tokens"], total)
            self.assertEqual(found["input_tokens_details"]["cached_tokens"], cached)
            self.assertIn("reasoning_tokens", found["output_tokens_details"])

    def test_stops(self) -> None:
        """Only answers that were cut off are incomplete."""
        stops: tuple[tuple[ir.StopReason, str | None], ...] = (
            ("end", None),
            ("tool_use", None),
            ("stop_sequence", None),
            ("pause", None),
            ("max_tokens", "max_output_tokens"),
            ("context_full", "max_output_tokens"),
            ("filtered", "content_filter"),
        )
        for stop, reason in stops:
            reply = ir.Response("i", "m", (ir.Text("x"),), stop)
            body = json.loads(responses.encode_reply(reply, ASKED).body)
            details = body["incomplete_details"]
            self.assertEqual(details and details["reason"], reason)
            self.assertEqual(body["status"], "completed" if reason is None else "incomplete")

    def test_whole_equals_stream(self) -> None:
        """The whole answer is the object that ends the stream."""
        reply = ir.Response(
            "i",
            "m",
            (ir.Reasoning("t", ir.Proof("kiro", "p")), ir.Text("x"), ir.ToolCall("c", "f", "{}")),
            "tool_use",
            created=3,
        )
        whole = json.loads(responses.encode_reply(reply, ASKED).body)
        self.assertEqual(payloads(ir.unfold(reply))[-1]["response"], whole)


class FailureTests(SynchronousTestCase):
    """Errors after the first byte."""

    def test_broken(self) -> None:
        """A failed response with a code that Codex understands; what was done is in it."""
        error = ErrorReply(429, "rate_limit", "Slow down.", retry_after=2.5)
        said = block(0, ir.ToolCall("c", "f", "{}"))
        found = payloads([START, *said, ir.BlockStarted(1, ir.Text("x")), ir.Broken(error), END])
        self.assertEqual(found[-1]["type"], "response.failed")
        response = found[-1]["response"]
        self.assertEqual(response["status"], "failed")
        self.assertEqual(
            response["error"],
            {"code": "rate_limit_exceeded", "message": "Slow down. Please try again in 2.5s."},
        )
        self.assertEqual(len(response["output"]), 1)

    def test_broken_before_the_start(self) -> None:
        """Even then the stream begins as SDKs expect."""
        found = payloads([ir.Broken(ErrorReply(502, "unreachable", "gone"))])
        self.assertEqual(types(found), ["created", "in_progress", "failed"])
