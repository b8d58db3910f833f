"""What Gemini answers, as events."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from aiproxy import ir
from aiproxy.errors import UpstreamProtocolError
from aiproxy.framing import sse
from aiproxy.wire import gemini
from tests import corpus
from tests.wire_corpus import complaint


def chunk(*parts: Any, **members: Any) -> dict[str, Any]:
    finish = {"finishReason": members.pop("finish")} if "finish" in members else {}
    beside = {
        key: members.pop(key)
        for key in list(members)
        if key.endswith("Metadata") and key != "usageMetadata"
    }
    candidate = {"content": {"role": "model", "parts": list(parts)}, **finish, **beside}
    return {"candidates": [candidate], **members}


def events(*messages: Any) -> list[ir.Event]:
    decoder = gemini.StreamDecoder()
    out: list[ir.Event] = []
    for message in messages:
        data = message if isinstance(message, bytes) else json.dumps(message).encode()
        out += decoder.feed(sse.Message("", data, data))
    out += decoder.close()
    return out


def response(*messages: Any) -> ir.Response:
    reply = ir.fold(events(*messages))
    assert isinstance(reply, ir.Response)
    return reply


def candidate(number: int | None, text: str, finish: str | None = None) -> dict[str, Any]:
    said = {"content": {"role": "model", "parts": [{"text": text}]}}
    index = {} if number is None else {"index": number}
    return {**said, **index, **({"finishReason": finish} if finish else {})}


class SeveralTests(SynchronousTestCase):
    """Several candidates."""

    def test_in_turns(self) -> None:
        """In chunks of their own or in one; Google leaves out a 0."""
        usage = {"promptTokenCount": 3, "candidatesTokenCount": 5}
        wanted = (ir.Answer(1, (ir.Text("bd"),), "max_tokens"),)
        for first in (0, None):
            pieces = [
                candidate(first, "a"),
                candidate(1, "b"),
                candidate(first, "c", "STOP"),
                candidate(1, "d", "MAX_TOKENS"),
            ]
            for chunks in (
                [{"candidates": [piece]} for piece in pieces],
                [{"candidates": pieces[:2]}, {"candidates": pieces[2:]}],
            ):
                found = events(*chunks, {"usageMetadata": usage})
                self.assertIsNone(complaint(found))
                reply = ir.fold(found)
                assert isinstance(reply, ir.Response)
                self.assertEqual((reply.parts, reply.stop), ((ir.Text("ac"),), "end"))
                self.assertEqual(reply.others, wanted)
                self.assertEqual(reply.usage, ir.Usage(3, output=5))

    def test_calls(self) -> None:
        """Calls that say the same in two answers have different ids."""
        call = {"functionCall": {"name": "f", "args": {}}}
        two = [
            {"content": {"parts": [call]}, "finishReason": "STOP", "index": at} for at in range(2)
        ]
        reply = response({"candidates": two})
        (first,), (second,) = reply.parts, reply.others[0].parts
        assert isinstance(first, ir.ToolCall)
        assert isinstance(second, ir.ToolCall)
        self.assertNotEqual(first.id, second.id)
        self.assertEqual(reply.others[0].stop, "tool_use")

    def test_cut_short(self) -> None:
        """A stream in which one answer has not ended is no good stream."""
        for pieces in (
            [candidate(0, "a", "STOP"), candidate(1, "b")],
            [candidate(0, "a"), candidate(1, "b", "STOP")],
            [candidate(1, "b", "STOP")],
        ):
            with self.assertRaises(UpstreamProtocolError):
                events({"candidates": pieces})

    def test_one_fails(self) -> None:
        """The others are none the worse for it, and it is not lost in silence."""
        fault = "MALFORMED_FUNCTION_CALL"
        reply = response({"candidates": [candidate(0, "a", "STOP"), candidate(1, "b", fault)]})
        self.assertEqual((reply.parts, reply.stop), ((ir.Text("a"),), "end"))
        self.assertEqual(reply.others, (ir.Answer(1, (ir.Text("b"),), "other"),))
        assert reply.extras is not None
        self.assertEqual([name for name, _ in reply.extras.fields], ["finishReason"])

    def test_the_first_fails(self) -> None:
        """Nobody waits for the others any more."""
        failed = candidate(0, "a", "MALFORMED_FUNCTION_CALL")
        found = events({"candidates": [failed, candidate(1, "b", "STOP")]})
        self.assertIsInstance(found[-1], ir.Broken)
        self.assertIsNone(complaint(found))

    def test_leftovers(self) -> None:
        """What another answer says besides is not lost in silence."""
        other = {**candidate(1, "b", "STOP"), "safetyRatings": [{"probability": "LOW"}]}
        extras = response({"candidates": [candidate(0, "a", "STOP"), other]}).extras
        assert extras is not None
        self.assertEqual([name for name, _ in extras.fields], ["safetyRatings"])


class AnswerTests(SynchronousTestCase):
    """Good answers."""

    def test_thoughts_text_and_calls(self) -> None:
        """Blocks follow one another; each ends before the next begins."""
        found = events(
            chunk(
                {"text": "hm", "thought": True},
                responseId="r",
                modelVersion="m",
                createTime="2026-01-02T03:04:05.678901Z",
            ),
            chunk({"text": "a"}),
            chunk(
                {"text": "b"},
                {"functionCall": {"name": "f", "args": {"z": 1, "a": 2}}, "thoughtSignature": "s"},
            ),
            chunk({"text": "c"}, finish="STOP"),
        )
        call = found[8]
        assert isinstance(call, ir.BlockStarted)
        assert isinstance(call.block, ir.ToolCall)
        self.assertEqual(call.block.proof, ir.Proof("gemini", "s"))
        self.assertEqual(
            [found[:8], found[9:]],
            [
                [
                    ir.Started("r", "m", 1767323045),
                    ir.BlockStarted(0, ir.Reasoning("", summary=True)),
                    ir.ReasoningDelta(0, "hm"),
                    ir.BlockStopped(0),
                    ir.BlockStarted(1, ir.Text("")),
                    ir.TextDelta(1, "a"),
                    ir.TextDelta(1, "b"),
                    ir.BlockStopped(1),
                ],
                [
                    ir.ArgumentsDelta(2, '{"z": 1, "a": 2}'),
                    ir.BlockStopped(2),
                    ir.BlockStarted(3, ir.Text("")),
                    ir.TextDelta(3, "c"),
                    ir.BlockStopped(3),
                    ir.Finished("tool_use"),
                ],
            ],
        )

    def test_at_once(self) -> None:
        """What a message brings comes out with that message."""
        decoder = gemini.StreamDecoder()
        data = json.dumps(chunk({"text": "a"})).encode()
        self.assertIn(ir.TextDelta(0, "a"), decoder.feed(sse.Message("", data, data)))

    def test_empty_parts_with_signatures(self) -> None:
        """They belong to the text before them, else they are thoughts of their own."""
        signed = {"text": "", "thoughtSignature": "s"}
        proof = ir.Proof("gemini", "s")
        self.assertEqual(
            response(chunk({"text": "a"}), chunk(signed, finish="STOP")).parts,
            (ir.Text("a", proof=proof),),
        )
        self.assertEqual(
            response(chunk(signed, finish="STOP")).parts,
            (ir.Reasoning("", proof, summary=True),),
        )

    def test_sources_in_several_chunks(self) -> None:
        """Those of a later chunk are added to those before, none of them twice."""
        one, two = ({"web": {"uri": f"https://{name}", "title": name}} for name in "ab")
        support = {"segment": {"endIndex": 1}, "groundingChunkIndices": [0]}
        placed = {"groundingChunks": [one], "groundingSupports": [support]}
        found = response(
            chunk({"text": "xy"}, groundingMetadata={"groundingChunks": [one]}),
            chunk({"text": "z"}, groundingMetadata={"groundingChunks": [two]}),
            chunk(groundingMetadata=placed),
            chunk(groundingMetadata={}, finish="STOP"),
        )
        sources = (ir.Citation("https://b", "b"), ir.Citation("https://a", "a", 0, 1))
        self.assertEqual(found.parts, (ir.Text("xyz", sources),))

    def test_what_goes_on_without_a_name(self) -> None:
        """Arguments and a proof belong to the open call; without one they are refused."""
        begin = chunk({"functionCall": {"name": "f", "args": {"a": 1}, "willContinue": True}})
        rest = {"functionCall": {"args": {"b": 2}}, "thoughtSignature": "SIG"}
        (call,) = response(begin, chunk(rest, finish="STOP")).parts
        assert isinstance(call, ir.ToolCall)
        self.assertEqual(json.loads(call.arguments), {"a": 1, "b": 2})
        self.assertIsNotNone(call.proof)
        pieces = {"functionCall": {"partialArgs": [{"jsonPath": "$.a", "numberValue": 1}]}}
        for nameless in ({"functionCall": {"args": {"a": 1}}}, pieces):
            self.assertRaises(UpstreamProtocolError, events, chunk(nameless, finish="STOP"))

    def test_arguments_in_pieces(self) -> None:
        """They are put together, and known when the call is complete."""
        found = response(
            chunk({"functionCall": {"name": "f", "willContinue": True}}),
            chunk(
                {
                    "functionCall": {
                        "willContinue": True,
                        "partialArgs": [
                            {"jsonPath": "$.a.b[0]", "stringValue": "x", "willContinue": True}
                        ],
                    }
                }
            ),
            chunk(
                {
                    "functionCall": {
                        "willContinue": True,
                        "partialArgs": [
                            {"jsonPath": "$.a.b[0]", "stringValue": "y"},
                            {"jsonPath": "$['c']", "numberValue": 2},
                        ],
                    }
                }
            ),
            chunk({"functionCall": {}}),
            chunk({"functionCall": {"name": "g"}}, finish="STOP"),
        )
        calls = [part for part in found.parts if isinstance(part, ir.ToolCall)]
        self.assertEqual(
            [(call.name, call.arguments) for call in calls],
            [("f", '{"a":{"b":["xy"]},"c":2}'), ("g", "{}")],
        )

    def test_recorded_arguments_in_pieces(self) -> None:
        """A nested recipe of ten ingredients comes out whole."""
        (case,) = (c for c in corpus.cases("gemini", "partial-args") if "nested" in c.id)
        frames, decoder = sse.SSEDecoder(), gemini.StreamDecoder()
        found = [e for m in frames.feed(case.stream or b"") for e in decoder.feed(m)]
        reply = ir.fold([*found, *decoder.close()])
        assert isinstance(reply, ir.Response)
        (call,) = reply.parts
        assert isinstance(call, ir.ToolCall)
        recipe = json.loads(call.arguments)["recipe"]
        self.assertEqual(len(recipe["ingredients"]), 10)
        self.assertEqual(recipe["ingredients"][0], {"amount": "16 oz", "name": "Lasagna noodles"})
        self.assertEqual(len(recipe["steps"]), 10)
        self.assertTrue(recipe["steps"][1].endswith("set aside."))

    def test_impossible_pieces(self) -> None:
        """Pieces without a place are no protocol."""
        for path in ("a", "$", "$.a[99999999]", "$..a", "$.x.y"):
            start = {
                "functionCall": {
                    "name": "f",
                    "args": {"x": 1},
                    "partialArgs": [{"jsonPath": path, "stringValue": ""}],
                }
            }
            self.assertRaises(UpstreamProtocolError, events, chunk(start, finish="STOP"))

    def test_media_and_code(self) -> None:
        """Images are media; what only Google understands is carried, with a text for others."""
        found = response(
            chunk(
                {"inlineData": {"mimeType": "image/png", "data": "aGk="}},
                {"executableCode": {"code": "print(1)", "language": "PYTHON"}},
                {"toolCall": {"id": "t"}},
                {},
                finish="STOP",
            )
        )
        image, code, tool = found.parts
        self.assertEqual(image, ir.Media("image", ir.Inline("image/png", "aGk=")))
        assert isinstance(code, ir.Opaque)
        assert isinstance(tool, ir.Opaque)
        self.assertEqual((code.kind, code.fallback), ("executableCode", "```\nprint(1)\n```"))
        self.assertEqual((tool.kind, tool.fallback), ("toolCall", ""))

    def test_sources(self) -> None:
        """Places are given in bytes of the whole text; some sources have no address."""
        grounding = {
            "groundingChunks": [{"web": {"uri": "https://a", "title": "A"}}],
            "groundingSupports": [
                {"segment": {"startIndex": 4, "endIndex": 6}, "groundingChunkIndices": [0, 7]},
                {"segment": {"endIndex": 99}, "groundingChunkIndices": [0]},
            ],
        }
        cited = {"citations": [{"uri": "https://b", "endIndex": 4}, {"uri": ""}]}
        found = response(
            chunk({"text": "漢é"}),
            chunk(
                {"text": "!"}, groundingMetadata=grounding, citationMetadata=cited, finish="STOP"
            ),
        )
        self.assertEqual(
            found.parts,
            (
                ir.Text(
                    "漢é!",
                    (
                        ir.Citation("https://a", "A", 1, 3),
                        ir.Citation("https://a", "A"),
                        ir.Citation("https://b", "", 0, 1),
                        ir.Citation(""),
                    ),
                ),
            ),
        )

    def test_sources_without_places(self) -> None:
        """Pages that nothing refers to are still named."""
        chunks = [{"web": {"uri": "https://a"}}, {"retrievedContext": {"uri": "gs://b"}}, {}]
        found = response(
            chunk({"text": "x"}, groundingMetadata={"groundingChunks": chunks}, finish="STOP")
        )
        self.assertEqual(
            found.parts, (ir.Text("x", (ir.Citation("https://a"), ir.Citation("gs://b"))),)
        )

    def test_usage(self) -> None:
        """The last count holds; what is cached is not counted twice; tools' prompts are prompts."""
        usage = {
            "promptTokenCount": 10,
            "cachedContentTokenCount": 4,
            "candidatesTokenCount": 5,
            "thoughtsTokenCount": 7,
            "toolUsePromptTokenCount": 2,
        }
        found = response(
            chunk({"text": "a"}, usageMetadata={"promptTokenCount": 10}),
            chunk(finish="STOP", usageMetadata=usage),
            {"usageMetadata": {"trafficType": "ON_DEMAND"}},
        )
        self.assertEqual(found.usage, ir.Usage(8, 4, 0, 5, 7))

    def test_early_counts(self) -> None:
        """What a first chunk counts of the answer is not told: the last count may be smaller."""
        early = {"promptTokenCount": 4, "candidatesTokenCount": 90, "thoughtsTokenCount": 7}
        late = {"promptTokenCount": 4, "candidatesTokenCount": 2}
        found = events(
            chunk({"text": "a"}, usageMetadata=early), chunk(finish="STOP", usageMetadata=late)
        )
        self.assertEqual(
            [event.usage for event in found if isinstance(event, ir.Started | ir.Finished)],
            [ir.Usage(4), ir.Usage(4, output=2)],
        )

    def test_bad_counts(self) -> None:
        """More cached than there is counts as nothing uncached."""
        usage = {"promptTokenCount": 1, "cachedContentTokenCount": 4}
        self.assertEqual(response(chunk(finish="STOP", usageMetadata=usage)).usage, ir.Usage(0, 4))

    def test_stops(self) -> None:
        """Reasons by name and by number; a filter beats a call."""
        call = {"functionCall": {"name": "f"}}
        for reason, part, wanted in (
            ("STOP", {"text": "a"}, "end"),
            (1, {"text": "a"}, "end"),
            (3, {"text": "a"}, "filtered"),
            ("STOP", call, "tool_use"),
            ("MAX_TOKENS", call, "max_tokens"),
            ("SAFETY", call, "filtered"),
            ("PROHIBITED_CONTENT", {"text": ""}, "filtered"),
            ("NEW", {"text": "a"}, "other"),
        ):
            self.assertEqual(response(chunk(part, finish=reason)).stop, wanted)

    def test_blocked_prompt(self) -> None:
        """It is a refusal, not an empty success."""
        found = response({"promptFeedback": {"blockReason": "SAFETY"}})
        self.assertEqual((found.parts, found.stop), ((), "filtered"))

    def test_other_candidates(self) -> None:
        """The first one counts, wherever it stands."""
        found = response(
            {
                "candidates": [
                    {"index": 1, "content": {"parts": [{"text": "b"}]}, "finishReason": "SAFETY"},
                    {"index": 0, "content": {"parts": [{"text": "a"}]}, "finishReason": "STOP"},
                ]
            }
        )
        self.assertEqual((found.parts, found.stop), ((ir.Text("a"),), "end"))

    def test_array(self) -> None:
        """Without alt=sse the whole stream is one JSON array."""
        body = json.dumps([chunk({"text": "a"}), chunk({"text": "b"}, finish="STOP")]).encode()
        reply = gemini.decode_reply(200, body)
        assert isinstance(reply, ir.Response)
        self.assertEqual(reply.parts, (ir.Text("ab"),))


class TroubleTests(SynchronousTestCase):
    """Answers that are none."""

    def broken(self, found: Iterable[ir.Event]) -> ir.ErrorReply:
        last = list(found)[-1]
        assert isinstance(last, ir.Broken), last
        return last.error

    def test_cut_short(self) -> None:
        """Without a finish reason nothing has finished."""
        self.assertRaises(UpstreamProtocolError, events, chunk({"text": "a"}))
        self.assertRaises(UpstreamProtocolError, events)

    def test_the_model_s_faults(self) -> None:
        """A call that could not be made is an error of the upstream."""
        for reason in ("MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", 9):
            error = self.broken(events(chunk({"text": "a"}, finish=reason)))
            self.assertEqual((error.status, error.kind), (502, "upstream"))

    def test_errors_inside(self) -> None:
        """As an object or in a list, first or later."""
        inside = {"error": {"code": 503, "message": "busy", "status": "UNAVAILABLE"}}
        for messages in ((inside,), (chunk({"text": "a"}), inside), ([inside],)):
            error = self.broken(events(*messages))
            self.assertEqual((error.status, error.kind, error.message), (503, "overloaded", "busy"))

    def test_error_under_a_good_status(self) -> None:
        """A whole answer that is an error is one."""
        body = b'{"error": {"code": 400, "message": "no", "status": "INVALID_ARGUMENT"}}'
        reply = gemini.decode_reply(200, body)
        assert isinstance(reply, ir.ErrorReply)
        assert reply.native is not None
        self.assertEqual((reply.status, reply.native.body), (400, body))

    def test_junk(self) -> None:
        """Two messages that are no JSON are passed over, three are too many."""
        end = chunk({"text": "a"}, finish="STOP")
        self.assertEqual(response(b"x", b"[DONE]", b"y", end, b"z").parts, (ir.Text("a"),))
        self.assertRaises(UpstreamProtocolError, events, b"x", b"y", b"z", end)

    def test_another_protocol(self) -> None:
        """JSON of another kind is no answer."""
        for body in (b'{"this": []}', b"<html>", b'{"candidates": 5}', b"[]", b'"x"', b""):
            self.assertRaises(UpstreamProtocolError, gemini.decode_reply, 200, body)
