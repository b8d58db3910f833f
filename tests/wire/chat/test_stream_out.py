"""Chat streams as clients get them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from aiproxy import ir
from aiproxy.errors import ErrorReply
from aiproxy.framing import sse
from aiproxy.wire import chat
from tests import strategies
from tests.wire import grammars

START = ir.Started("id1", "m", 5)


def written(events: Sequence[ir.Event], *, usage: bool = False) -> list[bytes]:
    """The data of each message of the stream."""
    encoder = chat.StreamEncoder(ir.Request("chat", "m", True, (), include_usage=usage))
    stream = b"".join(encoder.encode(event) for event in events)
    return [message.data for message in sse.SSEDecoder().feed(stream)]


def chunks(events: Sequence[ir.Event], *, usage: bool = False) -> list[Any]:
    return [json.loads(data) for data in written(events, usage=usage) if data != b"[DONE]"]


def deltas(*events: ir.Event) -> list[Any]:
    """What the chunks between the role and the finish reason say."""
    last = ir.Finished("end")
    return [each["choices"][0]["delta"] for each in chunks((START, *events, last))[1:-1]]


class SeveralTests(SynchronousTestCase):
    """Several choices."""

    EVENTS = (
        START,
        ir.BlockStarted(0, ir.Text("")),
        ir.Other(1, ir.BlockStarted(0, ir.Text(""))),
        ir.TextDelta(0, "a"),
        ir.Other(1, ir.TextDelta(0, "b")),
        ir.TextDelta(0, "c"),
        ir.Other(1, ir.TextDelta(0, "d")),
        ir.Other(1, ir.BlockStopped(0)),
        ir.Other(1, ir.Finished("max_tokens")),
        ir.BlockStopped(0),
        ir.Finished("end", usage=ir.Usage(3, output=5)),
    )

    def encoded(self, candidates: int | None) -> tuple[list[Any], list[ir.Loss]]:
        """Index, delta and finish reason of each chunk, and what was lost."""
        sampling = ir.Sampling(candidates=candidates)
        encoder = chat.StreamEncoder(ir.Request("chat", "m", True, (), sampling=sampling))
        stream = b"".join(encoder.encode(event) for event in self.EVENTS)
        grammars.check("chat", stream)
        found = [json.loads(message.data) for message in sse.SSEDecoder().feed(stream)[:-1]]
        choices = [choice for each in found for choice in each["choices"]]
        return [
            (choice["index"], choice["delta"], choice["finish_reason"]) for choice in choices
        ], encoder.losses

    def test_in_turns(self) -> None:
        """Each begins with its role, streams live, and ends for itself."""
        role = {"role": "assistant", "content": ""}
        found, losses = self.encoded(2)
        self.assertEqual(
            found,
            [
                (0, role, None),
                (1, role, None),
                (0, {"content": "a"}, None),
                (1, {"content": "b"}, None),
                (0, {"content": "c"}, None),
                (1, {"content": "d"}, None),
                (1, {}, "length"),
                (0, {}, "stop"),
            ],
        )
        self.assertEqual(losses, [])

    def test_unasked(self) -> None:
        """Clients that want one answer would take others for more of the first."""
        for candidates in (None, 1):
            found, losses = self.encoded(candidates)
            self.assertEqual({index for index, _, _ in found}, {0})
            self.assertEqual(losses, [ir.Loss("candidates")])


class GrammarTests(SynchronousTestCase):
    def test_sources_without_place(self) -> None:
        """They are for the whole of their text; those without a URL are declared as lost."""
        early = (ir.Citation("https://a", "A"), ir.Citation(""))
        events = (
            START,
            *ir.unfold(ir.Response("r", "m", (ir.Text("ab"), ir.Text("cde", early)), "end")),
        )[1:]
        encoder = chat.StreamEncoder(ir.Request("chat", "m", True, ()))
        stream = b"".join(encoder.encode(event) for event in events)
        lines = [line for line in stream.split(b"\n\n") if b"url_citation" in line]
        (noted,) = (json.loads(line[6:]) for line in lines)
        found = noted["choices"][0]["delta"]["annotations"]
        cited = {"url": "https://a", "title": "A", "start_index": 2, "end_index": 5}
        self.assertEqual([each["url_citation"] for each in found], [cited])
        self.assertEqual(encoder.losses, [ir.Loss("citations")])

    def test_namespaces(self) -> None:
        """The dialect has none: they are part of the name."""
        call = ir.ToolCall("c", "f", "{}", namespace="ns")
        (begin, *_) = deltas(ir.BlockStarted(0, call), ir.BlockStopped(0))
        self.assertEqual(begin["tool_calls"][0]["function"]["name"], "ns__f")

    def test_text(self) -> None:
        """Role, one chunk for each delta, finish reason, [DONE]."""
        events = (
            START,
            ir.BlockStarted(0, ir.Text("")),
            ir.TextDelta(0, "a"),
            ir.TextDelta(0, "a"),
            ir.TextDelta(0, ""),
            ir.BlockStopped(0),
            ir.Finished("max_tokens"),
        )
        data = written(events)
        self.assertEqual(data[-1], b"[DONE]")
        seen = [json.loads(each) for each in data[:-1]]
        self.assertEqual(
            [each["choices"][0]["delta"] for each in seen],
            [{"role": "assistant", "content": ""}, {"content": "a"}, {"content": "a"}, {}],
        )
        finishes = [each["choices"][0]["finish_reason"] for each in seen]
        self.assertEqual(finishes, [None, None, None, "length"])

    @settings(max_examples=60, deadline=None)
    @given(st.data(), strategies.any_responses(), st.booleans())
    def test_any_answer(self, data: st.DataObject, response: ir.Response, usage: bool) -> None:
        """One id and model, role first, one finish reason, usage if asked, [DONE] last."""
        stream = written(data.draw(strategies.event_streams(response)), usage=usage)
        self.assertEqual(stream[-1], b"[DONE]")
        seen = [json.loads(each) for each in stream[:-1]]
        heads = {(each["id"], each["object"], each["created"], each["model"]) for each in seen}
        self.assertEqual(
            heads, {(response.id, "chat.completion.chunk", response.created, response.model)}
        )
        with_choices = [each["choices"][0] for each in seen if each["choices"]]
        self.assertEqual(with_choices[0]["delta"], {"role": "assistant", "content": ""})
        finishes = [each["finish_reason"] for each in with_choices]
        self.assertEqual([finish for finish in finishes if finish], finishes[-1:])
        self.assertEqual(
            [bool(each.get("usage")) for each in seen], [False] * (len(seen) - 1) + [usage]
        )

    def test_usage(self) -> None:
        """The usage chunk has no choices and adds up all input; unknown counts are zeros."""
        for known, expected in ((ir.Usage(10, 90, 5, 4, 3), (105, 7, 112)), (None, (0, 0, 0))):
            last = chunks((START, ir.Finished("end", usage=known)), usage=True)[-1]
            counts = last["usage"]
            self.assertEqual(last["choices"], [])
            seen = tuple(counts[f"{name}_tokens"] for name in ("prompt", "completion", "total"))
            self.assertEqual(seen, expected)
            self.assertIn("cached_tokens", counts["prompt_tokens_details"])
            self.assertIn("reasoning_tokens", counts["completion_tokens_details"])

    def test_broken(self) -> None:
        """A broken stream has an error for its last message and no [DONE]."""
        error = ErrorReply(529, "overloaded", "busy")
        last = written((START, ir.Broken(error)))[-1]
        self.assertEqual(
            json.loads(last),
            {
                "error": {
                    "message": "busy",
                    "type": "server_error",
                    "param": None,
                    "code": "server_is_overloaded",
                }
            },
        )


class BlockTests(SynchronousTestCase):
    def test_calls(self) -> None:
        """Calls are numbered among themselves, and stream their fragments as they come."""
        said = deltas(
            ir.BlockStarted(0, ir.Text("")),
            ir.BlockStarted(1, ir.ToolCall("c1", "f", "")),
            ir.BlockStarted(2, ir.ToolCall("c2", "p", "", "custom")),
            ir.ArgumentsDelta(2, "x"),
            ir.ArgumentsDelta(1, '{"a"'),
            ir.ArgumentsDelta(1, ":1}"),
            ir.BlockStopped(1),
        )
        function = {"name": "f", "arguments": ""}
        custom = {"name": "p", "input": ""}
        self.assertEqual(
            [delta["tool_calls"][0] for delta in said],
            [
                {"index": 0, "id": "c1", "type": "function", "function": function},
                {"index": 1, "id": "c2", "type": "custom", "custom": custom},
                {"index": 1, "custom": {"input": "x"}},
                {"index": 0, "function": {"arguments": '{"a"'}},
                {"index": 0, "function": {"arguments": ":1}"}},
            ],
        )

    def test_call_without_arguments(self) -> None:
        """Clients parse the arguments: none at all are an empty object."""
        said = deltas(ir.BlockStarted(0, ir.ToolCall("c", "f", "")), ir.BlockStopped(0))
        self.assertEqual(said[-1], {"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]})

    def test_texts_side_by_side(self) -> None:
        """Texts of several open blocks do not mix: the later one waits for the earlier."""
        said = deltas(
            ir.BlockStarted(0, ir.Text("")),
            ir.BlockStarted(1, ir.Text("")),
            ir.TextDelta(1, "b"),
            ir.TextDelta(0, "a"),
            ir.BlockStopped(1),
            ir.TextDelta(0, "a"),
            ir.BlockStopped(0),
        )
        self.assertEqual([delta["content"] for delta in said], ["a", "a", "b"])

    def test_reasoning_with_proof(self) -> None:
        """Thoughts stream; their proof follows with them, tagged."""
        said = deltas(
            ir.BlockStarted(0, ir.Reasoning("")),
            ir.ReasoningDelta(0, "h"),
            ir.ReasoningDelta(0, "m"),
            ir.ProofAdded(0, ir.Proof("anthropic", "S")),
            ir.BlockStopped(0),
            ir.BlockStarted(1, ir.Reasoning("")),
            ir.ProofAdded(1, ir.Proof("openai", "E")),
            ir.BlockStopped(1),
        )
        text = {"index": 0, "type": "reasoning.text", "text": "hm", "signature": "aip1.anthropic.S"}
        self.assertEqual(
            said,
            [
                {"reasoning_content": "h"},
                {"reasoning_content": "m"},
                {"reasoning_details": [text]},
                {
                    "reasoning_details": [
                        {"index": 1, "type": "reasoning.encrypted", "data": "aip1.openai.E"}
                    ]
                },
            ],
        )

    def test_google_proof(self) -> None:
        """A Gemini call's proof is where Google's compatibility layer has it."""
        said = deltas(
            ir.BlockStarted(0, ir.ToolCall("c", "f", "{}")),
            ir.ProofAdded(0, ir.Proof("gemini", "S")),
        )
        signed = {"google": {"thought_signature": "S"}}
        fragment = {"index": 0, "function": {"arguments": ""}, "extra_content": signed}
        self.assertEqual(said[-1], {"tool_calls": [fragment]})

    def test_citations(self) -> None:
        """All at once at the end, their places counted from the beginning of the message."""
        said = deltas(
            ir.BlockStarted(0, ir.Text("")),
            ir.TextDelta(0, "ab"),
            ir.BlockStopped(0),
            ir.BlockStarted(1, ir.Text("")),
            ir.CitationAdded(1, ir.Citation("u", "t", 0, 1)),
            ir.TextDelta(1, "c"),
            ir.BlockStopped(1),
        )
        cited = {"url": "u", "title": "t", "start_index": 2, "end_index": 3}
        self.assertEqual(
            said[-1], {"annotations": [{"index": 0, "type": "url_citation", "url_citation": cited}]}
        )

    def test_losses(self) -> None:
        """What the dialect has no place for is told."""
        encoder = chat.StreamEncoder(ir.Request("chat", "m", True, ()))
        extras = ir.Extras("responses", (("phase", ir.JSON(b'"final"')),))
        for event in (
            START,
            ir.BlockStarted(0, ir.Opaque("gemini", "executableCode", ir.JSON(b"{}"))),
            ir.BlockStarted(1, ir.Opaque("gemini", "codeResult", ir.JSON(b"{}"), "42")),
            ir.BlockStarted(2, ir.Media("audio", ir.Inline("audio/wav", "aGk="))),
            ir.BlockStarted(3, ir.Text("", extras=extras)),
        ):
            encoder.encode(event)
        self.assertEqual(
            encoder.losses,
            [
                ir.Loss("executable-code"),
                ir.Loss("code-result", "approximated"),
                ir.Loss("audio-output"),
                ir.Loss("phase"),
            ],
        )
