"""What Gemini clients get to read."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from aiproxy import ir
from aiproxy.framing import sse
from aiproxy.wire import gemini
from aiproxy.wire.gemini.signatures import proof_of, signature_for
from aiproxy.wire.jsontext import raw
from aiproxy.wire.proofs import BASE64_MARK
from tests.wire import grammars

ASKED = ir.Request("gemini", "m", True, ())
ARRAY = ir.Request("gemini", "m", True, (), array=True)
START = ir.Started("r", "m", 1_000_000_000)


def written(events: Any, asked: ir.Request = ASKED) -> bytes:
    encoder = gemini.StreamEncoder(asked)
    return b"".join(encoder.encode(event) for event in events)


def chunks(events: Any) -> list[Any]:
    return [json.loads(line[6:]) for line in written(events).split(b"\n\n") if line]


def parts(*events: ir.Event) -> list[Any]:
    sent = chunks((START, *events, ir.Finished("end")))
    return [part for one in sent for part in one["candidates"][0]["content"]["parts"]]


class SeveralTests(SynchronousTestCase):
    """Several candidates."""

    EVENTS = (
        START,
        ir.BlockStarted(0, ir.Text("")),
        ir.Other(1, ir.BlockStarted(0, ir.Text(""))),
        ir.TextDelta(0, "a"),
        ir.Other(1, ir.TextDelta(0, "b")),
        ir.Other(1, ir.BlockStopped(0)),
        ir.Other(1, ir.Finished("max_tokens")),
        ir.TextDelta(0, "c"),
        ir.BlockStopped(0),
        ir.Finished("end", usage=ir.Usage(3, output=5)),
    )

    def test_in_turns(self) -> None:
        """Each streams live and ends for itself; usage comes once, at the end of all."""
        for array in (False, True):
            several = ir.Sampling(candidates=2)
            asked = ir.Request("gemini", "m", True, (), sampling=several, array=array)
            stream = written(self.EVENTS, asked)
            grammars.check("gemini", stream)
            found = (
                json.loads(stream)[1:]
                if array
                else [json.loads(line[6:]) for line in stream.split(b"\n\n") if line]
            )
            self.assertEqual(
                [
                    (
                        candidate["index"],
                        candidate["content"]["parts"][0]["text"],
                        candidate.get("finishReason"),
                        "usageMetadata" in chunk,
                    )
                    for chunk in found
                    for candidate in chunk["candidates"]
                ],
                [
                    (0, "a", None, False),
                    (1, "b", None, False),
                    (1, "", "MAX_TOKENS", False),
                    (0, "c", None, False),
                    (0, "", "STOP", True),
                ],
            )

    def test_unasked(self) -> None:
        """Clients that want one answer would take others for more of the first."""
        encoder = gemini.StreamEncoder(ASKED)
        stream = b"".join(encoder.encode(event) for event in self.EVENTS)
        self.assertNotIn(b'"index":1', stream)
        self.assertEqual(encoder.losses, [ir.Loss("candidates")])


class StreamTests(SynchronousTestCase):
    """The stream, event by event."""

    def test_form(self) -> None:
        """Every chunk is whole; the last one says why it ended and what it cost."""
        response = ir.Response("r", "m", (ir.Text("hi"),), "end", usage=ir.Usage(1, 2, 4, 8, 16))
        first, last = chunks(ir.unfold(response))
        same = {"modelVersion": "m", "responseId": "r"}
        content = {"parts": [{"text": "hi"}], "role": "model"}
        self.assertEqual(first, {"candidates": [{"content": content, "index": 0}], **same})
        self.assertEqual(last["candidates"][0]["finishReason"], "STOP")
        self.assertEqual(
            last["usageMetadata"],
            {
                "promptTokenCount": 7,
                "candidatesTokenCount": 8,
                "cachedContentTokenCount": 2,
                "thoughtsTokenCount": 16,
                "totalTokenCount": 31,
            },
        )

    def test_time(self) -> None:
        """It is told when an answer was made, unless that is no time."""
        for created, said in (
            (1_000_000_000, "2001-09-09T01:46:40Z"),
            (1_000_000_000_000, None),
            (10**400, None),
            (-1, None),
            (0, None),
        ):
            (chunk,) = chunks((ir.Started("r", "m", created), ir.Finished("end")))
            self.assertEqual(chunk.get("createTime"), said)

    def test_only_data_lines(self) -> None:
        """No comments, no event names, no end mark, one line each."""
        text = "a\u2028b\x85c\u2029d"
        out = written(ir.unfold(ir.Response("r", "m", (ir.Text(text),), "end")))
        for line in out.decode().splitlines():
            self.assertTrue(not line or line.startswith("data: {"), line)
        self.assertEqual(
            parts(ir.BlockStarted(0, ir.Text("")), ir.TextDelta(0, text), ir.BlockStopped(0))[0],
            {"text": text},
        )

    def test_calls_are_whole(self) -> None:
        """Fragments wait; what began later waits behind them."""
        found = parts(
            ir.BlockStarted(0, ir.ToolCall("c", "f", "")),
            ir.ArgumentsDelta(0, '{"a"'),
            ir.BlockStarted(1, ir.Text("")),
            ir.TextDelta(1, "x"),
            ir.ArgumentsDelta(0, ":1}"),
            ir.BlockStopped(0),
            ir.BlockStopped(1),
        )
        self.assertEqual(
            found[:2],
            [{"functionCall": {"id": "c", "name": "f", "args": {"a": 1}}}, {"text": "x"}],
        )

    def test_texts_do_not_wait(self) -> None:
        """Each delta goes out with its event."""
        encoder = gemini.StreamEncoder(ASKED)
        encoder.encode(START)
        encoder.encode(ir.BlockStarted(0, ir.Text("")))
        self.assertIn(b'"x"', encoder.encode(ir.TextDelta(0, "x")))

    def test_own_signatures(self) -> None:
        """They stay with their part."""
        own = ir.Proof("gemini", "c2ln")
        found = parts(
            ir.BlockStarted(0, ir.Reasoning("")),
            ir.ReasoningDelta(0, "hm"),
            ir.ProofAdded(0, own),
            ir.BlockStopped(0),
            ir.BlockStarted(1, ir.ToolCall("c", "f", "", proof=own)),
            ir.BlockStopped(1),
        )
        self.assertEqual(
            found[:2],
            [
                {"text": "hm", "thought": True},
                {"text": "", "thought": True, "thoughtSignature": "c2ln"},
            ],
        )
        self.assertEqual(found[2]["thoughtSignature"], "c2ln")

    def test_foreign_signatures(self) -> None:
        """They ride on the next call, else they stand alone."""
        foreign = ir.Proof("anthropic", "x")
        thought: tuple[ir.Event, ...] = (
            ir.BlockStarted(0, ir.Reasoning("hm")),
            ir.ProofAdded(0, foreign),
            ir.BlockStopped(0),
        )
        call = (ir.BlockStarted(1, ir.ToolCall("c", "f", "")), ir.BlockStopped(1))
        text = (ir.BlockStarted(1, ir.Text("a")), ir.BlockStopped(1))
        self.assertEqual(proof_of(parts(*thought, *call)[1]["thoughtSignature"]), foreign)
        for found in (parts(*thought, *text), parts(*thought)):
            self.assertEqual(proof_of(found[1]["thoughtSignature"]), foreign)
            self.assertTrue(found[1]["thought"])

    def test_tags_are_base64(self) -> None:
        """Google's SDKs take nothing else, and send the URL-safe alphabet back."""
        for family in ("anthropic", "openai", "kiro"):
            for data in ("ÿ?~>", "abc", "b+/="):
                proof = ir.Proof(family, data, redacted=family == "anthropic")
                signature = signature_for(proof)
                self.assertTrue(signature.startswith(BASE64_MARK))
                self.assertEqual(proof_of(signature), proof)
                safe = signature.replace("+", "-").replace("/", "_").rstrip("=")
                self.assertEqual(proof_of(safe), proof)

    def test_sources(self) -> None:
        """They are named in the last chunk, their places in bytes; without one, the whole text."""
        cited = ir.Text("漢é!", (ir.Citation("https://a", "A", 1, 2), ir.Citation("https://b")))
        last = chunks(ir.unfold(ir.Response("r", "m", (ir.Text("漢"), cited), "end")))[-1]
        self.assertEqual(
            last["candidates"][0]["groundingMetadata"],
            {
                "groundingChunks": [
                    {"web": {"uri": "https://a", "title": "A"}},
                    {"web": {"uri": "https://b", "title": ""}},
                ],
                "groundingSupports": [
                    {
                        "segment": {"startIndex": 6, "endIndex": 8, "text": "é"},
                        "groundingChunkIndices": [0],
                    },
                    {
                        "segment": {"startIndex": 3, "endIndex": 9, "text": "漢é!"},
                        "groundingChunkIndices": [1],
                    },
                ],
            },
        )

    def test_early_sources(self) -> None:
        """A source that comes before its text's words is still for all of them."""
        events = (
            ir.BlockStarted(0, ir.Refusal("no: ")),
            ir.BlockStopped(0),
            ir.BlockStarted(1, ir.Text("")),
            ir.CitationAdded(1, ir.Citation("https://a", "A")),
            ir.CitationAdded(1, ir.Citation("")),
            ir.TextDelta(1, "words"),
            ir.BlockStopped(1),
        )
        encoder = gemini.StreamEncoder(ASKED)
        said = [encoder.encode(event) for event in (START, *events, ir.Finished("end"))]
        sources = json.loads(said[-1][6:])["candidates"][0]["groundingMetadata"]
        segment = {"startIndex": 4, "endIndex": 9, "text": "words"}
        support = {"segment": segment, "groundingChunkIndices": [0]}
        self.assertEqual(sources["groundingSupports"], [support])
        self.assertEqual([loss.feature for loss in encoder.losses], ["refusal", "citations"])

    def test_one_line(self) -> None:
        """Arguments that a model wrote on several lines do not break the event."""
        call = ir.ToolCall("c", "f", '{\r\n  "a": "b\\n",\n  "c": 1\n}')
        data = written(ir.unfold(ir.Response("r", "m", (call,), "tool_use")))
        for event in data[:-2].split(b"\n\n"):
            self.assertEqual(len(event.splitlines()), 1)
        found = json.loads(data.split(b"\n\n")[0][6:])["candidates"][0]["content"]["parts"]
        self.assertEqual(found[0]["functionCall"]["args"], {"a": "b\n", "c": 1})

    def test_refusals(self) -> None:
        """A refusal is text, and the finish says so."""
        (first, last) = chunks(ir.unfold(ir.Response("r", "m", (ir.Refusal("no"),), "end")))
        self.assertEqual(first["candidates"][0]["content"]["parts"], [{"text": "no"}])
        self.assertEqual(last["candidates"][0]["finishReason"], "SAFETY")

    def test_foreign_parts(self) -> None:
        """What only another vendor understands is shown as text, or missed."""
        encoder = gemini.StreamEncoder(ASKED)
        encoder.encode(START)
        shown = encoder.encode(ir.BlockStarted(0, ir.Opaque("chat", "some_part", raw({}), "x")))
        self.assertIn(b'{"text":"x"}', shown)
        encoder.encode(ir.BlockStopped(0))
        encoder.encode(ir.BlockStarted(1, ir.Opaque("chat", "other_part", raw({}))))
        self.assertEqual(
            encoder.losses, [ir.Loss("some-part", "approximated"), ir.Loss("other-part")]
        )

    def test_nothing_after_the_end(self) -> None:
        """The end is the end."""
        encoder = gemini.StreamEncoder(ASKED)
        encoder.encode(START)
        encoder.encode(ir.Finished("end"))
        self.assertEqual(encoder.encode(ir.Finished("end")), b"")


class ArrayTests(SynchronousTestCase):
    """The stream as one JSON array."""

    def test_is_json(self) -> None:
        """Its pieces are an array together, with an error too, first or late."""
        error = ir.Broken(ir.ErrorReply(503, "overloaded", "busy"))
        text = (ir.BlockStarted(0, ir.Text("a")), ir.BlockStopped(0))
        for events in (
            (START, *text, ir.Finished("end")),
            (START, *text, error),
            (START, error),
            (error,),
        ):
            found = json.loads(written(events, ARRAY))
            self.assertEqual("error" in found[-1], events[-1] is error)
        self.assertEqual(gemini.StreamEncoder(ARRAY).content_type, "application/json")

    def test_same_wire(self) -> None:
        """An upstream's events become the array that the client wants, or stay as they are."""
        stream = b'data: {"a": 1}\r\n\r\ndata: [DONE]\n\ndata: {"b": 2}\n\n'
        messages = sse.SSEDecoder().feed(stream)
        as_array = gemini.RawStream("/v1beta/models/m:streamGenerateContent?key=k")
        out = b"".join(map(as_array.pass_on, messages)) + as_array.end()
        self.assertEqual(json.loads(out), [{"a": 1}, {"b": 2}])
        as_is = gemini.RawStream("/v1beta/models/m:streamGenerateContent?alt=sse")
        self.assertEqual(b"".join(map(as_is.pass_on, messages)) + as_is.end(), stream)
        self.assertEqual(
            (as_array.content_type, as_is.content_type), ("application/json", "text/event-stream")
        )
        self.assertEqual(gemini.RawStream("/x").end(), b"[]")

    def test_noise_in_an_array(self) -> None:
        """What our decoder skips spoils no array, and what it takes is in it."""
        stream = b'data: {"a"\n\ndata: {} {}\n\ndata: [{"b": 2}, {"c": 3}]\n\ndata: [ ]\n\n'
        as_array = gemini.RawStream("/x")
        out = b"".join(map(as_array.pass_on, sse.SSEDecoder().feed(stream))) + as_array.end()
        self.assertEqual(json.loads(out), [{"b": 2}, {"c": 3}])

    def test_an_error_behind_passed_events(self) -> None:
        """A fresh encoder that is told of the start goes on where the passed events ended."""
        passed = gemini.RawStream("/x").pass_on(sse.Message("", b'{"a":1}', b""))
        encoder = gemini.StreamEncoder(ARRAY)
        encoder.encode(START)
        out = passed + encoder.encode(ir.Broken(ir.ErrorReply(502, "upstream", "gone")))
        self.assertIn("error", json.loads(out)[1])
