"""Chat streams of many vendors as events."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from aiproxy import ir
from aiproxy.errors import UpstreamProtocolError
from aiproxy.framing import sse
from aiproxy.wire import chat
from tests.wire_corpus import complaint

START = ir.Started("id1", "m", 5)


def message(value: Any, event: str = "") -> sse.Message:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return sse.Message(event, data, b"")


def chunk(delta: Any = None, finish: str | None = None, **more: Any) -> sse.Message:
    choice = {"index": 0, "delta": delta or {}, "finish_reason": finish}
    return message({"id": "id1", "created": 5, "model": "m", "choices": [choice], **more})


def fragment(index: int | None, arguments: str = "", **more: Any) -> sse.Message:
    """One piece of a tool call. more: id, name."""
    function = {"arguments": arguments, **({"name": more.pop("name")} if "name" in more else {})}
    call = {**({} if index is None else {"index": index}), "function": function, **more}
    return chunk({"tool_calls": [call]})


DONE = message(b"[DONE]")
FAILED = ir.Answer(1, (), "other")


class DecoderTestCase(SynchronousTestCase):
    def events(self, *messages: sse.Message) -> Sequence[ir.Event]:
        """What these messages and the end of the stream give, checked for good order."""
        decoder = chat.StreamDecoder()
        events = [event for each in messages for event in decoder.feed(each)]
        events += decoder.close()
        self.assertIsNone(complaint(events))
        return events

    def parts(self, *messages: sse.Message) -> tuple[ir.Part, ...]:
        reply = ir.fold(self.events(*messages))
        assert isinstance(reply, ir.Response)
        return reply.parts


class ProseTests(DecoderTestCase):
    def test_live(self) -> None:
        """Each delta is an event at once; equal ones are not lost."""
        decoder = chat.StreamDecoder()
        self.assertEqual(decoder.feed(chunk({"role": "assistant", "content": ""})), [START])
        self.assertEqual(
            decoder.feed(chunk({"content": "a"})),
            [ir.BlockStarted(0, ir.Text("")), ir.TextDelta(0, "a")],
        )
        self.assertEqual(decoder.feed(chunk({"content": "a"})), [ir.TextDelta(0, "a")])
        self.assertEqual(decoder.feed(chunk(finish="stop")), [])
        self.assertEqual(decoder.feed(DONE), [ir.BlockStopped(0), ir.Finished("end")])

    def test_reasoning(self) -> None:
        """Thoughts in any of the fields that vendors use, and never twice."""
        thought = [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]
        details = [{"type": "reasoning.text", "text": "hm"}]
        for delta in (
            {"reasoning_content": "hm"},
            {"reasoning": "hm", "reasoning_details": details},
            {"reasoning_details": details, "content": ""},
            {"reasoning_content": "hm", "reasoning": "hm"},
            {"content": thought},
        ):
            parts = self.parts(chunk(delta), chunk({"content": "a"}, "stop"))
            self.assertEqual(parts, (ir.Reasoning("hm"), ir.Text("a")), delta)

    def test_refusal_and_citations(self) -> None:
        """Refusals are their own part; annotations belong to the text, some without a URL."""
        cited = {
            "type": "url_citation",
            "url_citation": {"url": "u", "title": "t", "start_index": 0},
        }
        self.assertEqual(
            self.parts(
                chunk({"content": "a"}), chunk({"annotations": [cited, {"type": "file"}]}, "stop")
            ),
            (ir.Text("a", (ir.Citation("u", "t", 0), ir.Citation(""))),),
        )
        self.assertEqual(self.parts(chunk({"refusal": "no"}, "stop")), (ir.Refusal("no"),))

    def test_citations_behind_a_thought(self) -> None:
        """They count from the beginning of the message; a text of its own counts from its own."""

        def cited(start: int) -> dict[str, Any]:
            place = {"url": "u", "start_index": start, "end_index": start + 1}
            return {"type": "url_citation", "url_citation": place}

        self.assertEqual(
            self.parts(
                chunk({"content": "abc"}),
                chunk({"reasoning": "hm"}),
                chunk({"content": "def"}),
                chunk({"annotations": [cited(4), cited(1)]}, "stop"),
            ),
            (
                ir.Text("abc"),
                ir.Reasoning("hm"),
                ir.Text("def", (ir.Citation("u", "", 1, 2), ir.Citation("u"))),
            ),
        )

    def test_citations_without_an_open_text(self) -> None:
        """Those before a text, or behind one that is over, belong to the next one."""
        place = {"url": "u", "start_index": 1, "end_index": 2}
        sources = chunk({"annotations": [{"type": "url_citation", "url_citation": place}]})
        self.assertEqual(
            self.parts(sources, chunk({"reasoning": "hm"}), chunk({"content": "abc"}, "stop")),
            (ir.Reasoning("hm"), ir.Text("abc", (ir.Citation("u", "", 1, 2),))),
        )
        call = fragment(0, "{}", id="c", name="f")
        self.assertEqual(
            self.parts(chunk({"content": "abc"}), call, sources, chunk({"content": "d"}, "stop")),
            (ir.Text("abc"), ir.ToolCall("c", "f", "{}"), ir.Text("d", (ir.Citation("u"),))),
        )

    def test_citations_without_a_text(self) -> None:
        """What no text is left for is reported, and so is what cannot be read."""
        cited = [{"type": "url_citation", "url_citation": {"url": "u"}}]
        call = fragment(0, "{}", id="c", name="f")
        for messages in (
            (chunk({"content": "a"}), call, chunk({"annotations": cited}, "tool_calls")),
            (chunk({"refusal": "no"}), chunk({"annotations": cited}, "stop")),
            (chunk({"content": "a"}), chunk({"annotations": {"url": "u"}}, "stop")),
        ):
            last = self.events(*messages)[-1]
            assert isinstance(last, ir.Finished)
            assert last.extras is not None
            self.assertEqual([name for name, _ in last.extras.fields], ["citations"])
        last = self.events(call, chunk({"annotations": []}, "tool_calls"))[-1]
        self.assertEqual(last, ir.Finished("tool_use"))

    def test_what_nobody_reads_is_left_over(self) -> None:
        """It is reported by its name, in the middle of a stream and in a whole answer."""
        proof = {"google": {"thought_signature": "SIG"}}
        stranger = {"type": "reference", "reference_ids": [1]}
        call = {"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}"}}
        for name, said in {
            "reference": {"content": [{"type": "text", "text": "a"}, stranger]},
            "images": {"images": [{"type": "image_url", "image_url": {}}]},
            "audio": {"audio": {"data": 7}},
            "reasoning_details": {"reasoning_details": {"text": "hm"}},
            "thought_signature": {"extra_content": proof},
            "vendor": {"tool_calls": [{**call, "extra_content": {"vendor": {"a": 1}}}]},
            "surprise": {"surprise": "x"},
        }.items():
            streamed = self.events(chunk({"refusal": "no"}), chunk(said), chunk(finish="stop"))
            body = json.dumps({"choices": [{"message": said, "finish_reason": "stop"}]})
            for reply in (ir.fold(streamed), chat.decode_reply(200, body.encode())):
                assert isinstance(reply, ir.Response)
                assert reply.extras is not None, name
                self.assertEqual([each for each, _ in reply.extras.fields], [name])

    def test_log_probabilities_of_another_form(self) -> None:
        """Those of older vendors are left over; an empty form says nothing."""
        for value, names in ({"tokens": ["a"]}, ["logprobs"]), ({"content": []}, []):
            choice = {"index": 0, "delta": {"content": "a"}, "logprobs": value}
            last = self.events(message({"id": "i", "choices": [choice]}), chunk(finish="stop"))[-1]
            assert isinstance(last, ir.Finished)
            found = () if last.extras is None else last.extras.fields
            self.assertEqual([name for name, _ in found], names)

    def test_images(self) -> None:
        """Images that a model drew are media."""
        image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}
        self.assertEqual(
            self.parts(chunk({"content": "a"}), chunk({"images": [image]}, "stop")),
            (ir.Text("a"), ir.Media("image", ir.Inline("image/png", "aGk="))),
        )

    def test_whole_message(self) -> None:
        """A vendor that puts the whole message into one chunk is understood."""
        choice = {"index": 0, "message": {"content": "a"}, "finish_reason": "stop"}
        self.assertEqual(self.parts(message({"choices": [choice]})), (ir.Text("a"),))


def other(number: int, delta: Any = None, finish: str | None = None) -> sse.Message:
    choice = {"index": number, "delta": delta or {}, "finish_reason": finish}
    return message({"id": "id1", "created": 5, "model": "m", "choices": [choice]})


class SeveralTests(DecoderTestCase):
    """Several choices."""

    def test_live(self) -> None:
        """Each delta is an event of its own answer at once, equal ones too."""
        decoder = chat.StreamDecoder()
        for each in (chunk({"content": "a"}), other(1, {"content": "a"})):
            decoder.feed(each)
        for _ in range(3):
            self.assertEqual(decoder.feed(chunk({"content": "b"})), [ir.TextDelta(0, "b")])
            delta = ir.Other(1, ir.TextDelta(0, "b"))
            self.assertEqual(decoder.feed(other(1, {"content": "b"})), [delta])

    def test_ends(self) -> None:
        """Each answer has its own end; what they cost comes once, at the end of all."""
        usage = {"prompt_tokens": 3, "completion_tokens": 5}
        events = self.events(
            chunk({"content": "a"}),
            other(1, {"content": "b"}, "length"),
            chunk(finish="stop"),
            message({"id": "id1", "choices": [], "usage": usage}),
            DONE,
        )
        self.assertEqual(events[-1], ir.Finished("end", usage=ir.Usage(3, output=5)))
        reply = ir.fold(events)
        assert isinstance(reply, ir.Response)
        self.assertEqual(reply.others, (ir.Answer(1, (ir.Text("b"),), "max_tokens"),))

    def test_in_one_chunk(self) -> None:
        """A chunk may have a piece of each; without numbers they are in order."""
        for numbers in ({"index": 0}, {"index": 1}), ({}, {}):
            choices = [
                {**number, "delta": {"content": text}, "finish_reason": "stop"}
                for number, text in zip(numbers, "ab", strict=True)
            ]
            reply = ir.fold(self.events(message({"id": "id1", "choices": choices})))
            assert isinstance(reply, ir.Response)
            self.assertEqual(reply.parts, (ir.Text("a"),))
            self.assertEqual(reply.others, (ir.Answer(1, (ir.Text("b"),), "end"),))

    def test_calls(self) -> None:
        """Calls that have the same index are those of different answers, and so are their ids."""
        call = {"index": 0, "function": {"name": "f", "arguments": "{}"}}
        reply = ir.fold(
            self.events(
                chunk({"tool_calls": [call]}, "tool_calls"),
                other(1, {"tool_calls": [call]}, "tool_calls"),
            )
        )
        assert isinstance(reply, ir.Response)
        (first,), (second,) = reply.parts, reply.others[0].parts
        assert isinstance(first, ir.ToolCall)
        assert isinstance(second, ir.ToolCall)
        self.assertEqual((first.name, second.name), ("f", "f"))
        self.assertNotEqual(first.id, second.id)

    def test_cut_short(self) -> None:
        """A stream in which one answer has not ended is no good stream."""
        for cut in (
            (chunk({"content": "a"}, "stop"), other(1, {"content": "b"})),
            (chunk({"content": "a"}), other(1, {"content": "b"}, "stop")),
            (other(1, {"content": "b"}, "stop"),),
        ):
            with self.assertRaises(UpstreamProtocolError):
                self.events(*cut)

    def test_one_fails(self) -> None:
        """The others are none the worse for it, and it is not lost in silence."""
        failed = {"index": 1, "error": {"message": "it broke", "code": 502}}
        events = self.events(
            chunk({"content": "a"}), message({"choices": [failed]}), chunk(finish="stop")
        )
        reply = ir.fold(events)
        assert isinstance(reply, ir.Response)
        assert reply.extras is not None
        self.assertEqual((reply.parts, reply.others), ((ir.Text("a"),), (FAILED,)))
        self.assertEqual([name for name, _ in reply.extras.fields], ["error"])


class CallTests(DecoderTestCase):
    def test_parallel_calls(self) -> None:
        """A call is stopped when the next begins, so that a target can show one after the other."""
        events = self.events(
            fragment(0, "", id="c1", name="f"),
            fragment(0, '{"a":'),
            fragment(0, "1}"),
            fragment(1, "{}", id="c2", name="g"),
            chunk(finish="tool_calls"),
        )
        self.assertEqual(
            events,
            [
                START,
                ir.BlockStarted(0, ir.ToolCall("c1", "f", "")),
                ir.ArgumentsDelta(0, '{"a":'),
                ir.ArgumentsDelta(0, "1}"),
                ir.BlockStopped(0),
                ir.BlockStarted(1, ir.ToolCall("c2", "g", "")),
                ir.ArgumentsDelta(1, "{}"),
                ir.BlockStopped(1),
                ir.Finished("tool_use"),
            ],
        )

    def test_interleaved(self) -> None:
        """Fragments of two calls in turn find their calls."""
        self.assertEqual(
            self.parts(
                fragment(0, id="c1", name="f"),
                fragment(1, id="c2", name="g"),
                fragment(0, '{"a":'),
                fragment(1, '{"b":'),
                fragment(0, "1}"),
                fragment(1, "2}"),
                chunk(finish="tool_calls"),
            ),
            (ir.ToolCall("c1", "f", '{"a":1}'), ir.ToolCall("c2", "g", '{"b":2}')),
        )

    def test_id_and_name_repeated(self) -> None:
        """A vendor that repeats them in every fragment, or sends empty ones, means one call."""
        self.assertEqual(
            self.parts(
                fragment(0, '{"a"', id="c1", name="f"),
                fragment(0, ":1", id="c1", name="f"),
                fragment(0, "}", id="", name=""),
                chunk(finish="tool_calls"),
            ),
            (ir.ToolCall("c1", "f", '{"a":1}'),),
        )

    def test_no_index(self) -> None:
        """Without an index the id tells, and without that it is the last call's."""
        self.assertEqual(
            self.parts(
                fragment(None, '{"a":', id="c1", name="f"),
                fragment(None, "1}"),
                fragment(None, "{}", id="c2", name="g"),
                chunk(finish="stop"),
            ),
            (ir.ToolCall("c1", "f", '{"a":1}'), ir.ToolCall("c2", "g", "{}")),
        )

    def test_all_numbered_zero(self) -> None:
        """Whole calls that all have index 0 are told apart by their ids."""
        self.assertEqual(
            self.parts(
                fragment(0, "{}", id="c1", name="f"),
                fragment(0, "{}", id="c2", name="f"),
                chunk(finish="tool_calls"),
            ),
            (ir.ToolCall("c1", "f", "{}"), ir.ToolCall("c2", "f", "{}")),
        )

    def test_late_name(self) -> None:
        """A call waits for its name; one that never gets it is a fault of the upstream."""
        held = fragment(0, '{"a"', id="c1")
        self.assertEqual(
            self.parts(held, fragment(0, ":1}", name="f"), chunk(finish="tool_calls")),
            (ir.ToolCall("c1", "f", '{"a":1}'),),
        )
        with self.assertRaises(UpstreamProtocolError):
            self.events(held, chunk(finish="tool_calls"))

    def test_no_id(self) -> None:
        """A call without an id gets one, always the same."""
        (first,) = self.parts(fragment(0, "{}", name="f"), chunk(finish="stop"))
        (again,) = self.parts(fragment(0, "{}", name="f"), chunk(finish="stop"))
        assert isinstance(first, ir.ToolCall)
        self.assertTrue(first.id)
        self.assertEqual(first, again)

    def test_text_after_a_call(self) -> None:
        """The order of blocks is kept."""
        self.assertEqual(
            self.parts(
                chunk({"content": "a"}),
                fragment(0, "{}", id="c", name="f"),
                chunk({"content": "b"}),
                chunk(finish="stop"),
            ),
            (ir.Text("a"), ir.ToolCall("c", "f", "{}"), ir.Text("b")),
        )

    def test_custom_and_legacy(self) -> None:
        """Custom tools give text; function_call is a call."""
        custom = {"index": 0, "id": "c", "type": "custom", "custom": {"name": "p", "input": "x "}}
        self.assertEqual(
            self.parts(
                chunk({"tool_calls": [custom]}),
                chunk({"tool_calls": [{"index": 0, "custom": {"input": "y"}}]}),
                chunk(finish="tool_calls"),
            ),
            (ir.ToolCall("c", "p", "x y", "custom"),),
        )
        (legacy,) = self.parts(
            chunk({"function_call": {"name": "f", "arguments": ""}}),
            chunk({"function_call": {"arguments": "{}"}}),
            chunk(finish="function_call"),
        )
        assert isinstance(legacy, ir.ToolCall)
        self.assertEqual((legacy.name, legacy.arguments), ("f", "{}"))

    def test_input_behind_another_call(self) -> None:
        """A custom tool's input is not lost when another call begins before it comes."""
        custom = {"index": 0, "id": "c", "type": "custom", "custom": {"name": "p", "input": ""}}
        self.assertEqual(
            self.parts(
                chunk({"tool_calls": [custom]}),
                fragment(1, "{}", id="d", name="f"),
                chunk({"tool_calls": [{"index": 0, "custom": {"input": "x"}}]}),
                chunk(finish="tool_calls"),
            ),
            (ir.ToolCall("c", "p", "x", "custom"), ir.ToolCall("d", "f", "{}")),
        )

    def test_custom_calls_in_turn(self) -> None:
        """The pieces of their inputs find their calls, also behind a text."""

        def piece(index: int, text: str, **more: Any) -> sse.Message:
            custom = {"input": text, **({"name": more.pop("name")} if "name" in more else {})}
            return chunk({"tool_calls": [{"index": index, "custom": custom, **more}]})

        self.assertEqual(
            self.parts(
                piece(0, "a", id="c", name="p"),
                piece(1, "x", id="d", name="q"),
                piece(0, "b"),
                piece(0, "b"),
                piece(1, "y"),
                chunk({"content": "so"}),
                piece(0, "c"),
                chunk({"content": "!"}, "tool_calls"),
            ),
            (
                ir.ToolCall("c", "p", "abbc", "custom"),
                ir.ToolCall("d", "q", "xy", "custom"),
                ir.Text("so!"),
            ),
        )

    def test_more_of_a_call_that_is_over(self) -> None:
        """It is refused rather than lost; the same once more, or blanks, are no more of it."""
        begin = (fragment(0, '{"a":1}', id="c", name="f"), chunk({"content": "x"}))
        for late in ("", "\n", '{"a":1}'):
            self.assertEqual(
                self.parts(*begin, fragment(0, late), chunk(finish="tool_calls")),
                (ir.ToolCall("c", "f", '{"a":1}'), ir.Text("x")),
            )
        more = (*begin, fragment(0, "}"), chunk(finish="tool_calls"))
        self.assertRaises(UpstreamProtocolError, self.events, *more)

    def test_object_as_arguments(self) -> None:
        """A vendor that sends the arguments as an object means its text."""
        call = {"index": 0, "id": "c", "function": {"name": "f", "arguments": {"z": 1, "a": 2}}}
        self.assertEqual(
            self.parts(chunk({"tool_calls": [call]}), chunk(finish="stop")),
            (ir.ToolCall("c", "f", '{"z":1,"a":2}'),),
        )

    def test_google_proofs(self) -> None:
        """Google's proof of a call, in the call or beside the message."""
        signed = {"google": {"thought_signature": "SIG"}}
        expected = (ir.ToolCall("c", "f", "{}", proof=ir.Proof("gemini", "SIG")),)
        inside = fragment(0, "{}", id="c", name="f", extra_content=signed)
        self.assertEqual(self.parts(inside, chunk(finish="tool_calls")), expected)
        beside = chunk({"extra_content": signed})
        plain = fragment(0, "{}", id="c", name="f")
        for order in ((beside, plain), (plain, beside)):
            self.assertEqual(self.parts(*order, chunk(finish="tool_calls")), expected)

    def test_proofs_without_a_place(self) -> None:
        """A proof for a call that has another, or that is over, is left over; one again is not."""

        def signed(proof: str) -> sse.Message:
            return fragment(0, extra_content={"google": {"thought_signature": proof}})

        begin = fragment(0, "{}", id="c", name="f")
        text = chunk({"content": "a"})
        for messages, names in (
            ((begin, signed("A"), signed("A")), []),
            ((begin, signed("A"), signed("B")), ["thought_signature"]),
            ((begin, text, signed("A")), ["thought_signature"]),
        ):
            last = self.events(*messages, chunk(finish="tool_calls"))[-1]
            assert isinstance(last, ir.Finished)
            found = () if last.extras is None else last.extras.fields
            self.assertEqual([name for name, _ in found], names)


class EndTests(DecoderTestCase):
    USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}

    def test_usage_anywhere(self) -> None:
        """Usage in the last chunk, behind it, in all of them (the last wins), or Groq's own."""
        early = {"prompt_tokens": 3, "completion_tokens": None}
        behind = message({"id": "id1", "choices": [], "usage": self.USAGE})
        for messages in (
            (chunk(finish="stop", usage=self.USAGE), DONE),
            (chunk(finish="stop"), behind, DONE),
            (chunk(finish="stop"), behind),
            (chunk({"content": "a"}, usage=early), chunk(finish="stop", usage=self.USAGE)),
            (chunk(finish="stop", usage=self.USAGE), chunk(usage=None)),
            (chunk(finish="stop", x_groq={"usage": self.USAGE}),),
        ):
            self.assertEqual(
                self.events(*messages)[-1], ir.Finished("end", usage=ir.Usage(3, 0, 0, 2))
            )

    def test_cut(self) -> None:
        """The end of the connection without a finish reason is no end."""
        with self.assertRaises(UpstreamProtocolError):
            self.events(chunk({"content": "a"}))
        with self.assertRaises(UpstreamProtocolError):
            self.events()
        with self.assertRaises(UpstreamProtocolError):
            self.events(DONE)

    def test_empty_choices(self) -> None:
        """Azure's first chunk, which tells of its filters only, begins nothing."""
        azure = message({"id": "", "model": "", "choices": [], "prompt_filter_results": []})
        events = self.events(azure, chunk({"content": "a"}, "stop"))
        self.assertEqual(events[0], START)

    def test_noise(self) -> None:
        """A line that is not JSON is skipped; three in a row are no stream."""
        junk = message(b"hello")
        self.assertEqual(
            self.parts(junk, junk, chunk({"content": "a"}, "stop"), junk), (ir.Text("a"),)
        )
        with self.assertRaises(UpstreamProtocolError):
            self.events(junk, junk, junk)
        with self.assertRaises(UpstreamProtocolError):
            self.events(message({"choices": 3}))


class ErrorTests(DecoderTestCase):
    def test_forms(self) -> None:
        """An error as a chunk, beside choices, inside one, by event name, or as vLLM has it."""
        error = {"message": "it broke", "code": 503}
        for last in (
            message({"error": error}),
            chunk({"content": ""}, "error", error=error),
            message({"choices": [{"index": 0, "error": error, "finish_reason": "error"}]}),
            message({"message": "it broke", "code": 503}, "error"),
            message({"object": "error", "message": "it broke", "code": 503}),
        ):
            broken = self.events(chunk({"content": "a"}), last, chunk({"content": "b"}), DONE)[-1]
            assert isinstance(broken, ir.Broken), last
            self.assertEqual((broken.error.status, broken.error.message), (503, "it broke"))

    def test_first(self) -> None:
        """An error before anything else is still a stream of events."""
        self.assertEqual(len(self.events(message({"error": "no"}))), 2)

    def test_finish_error(self) -> None:
        """A finish reason that says error is one."""
        self.assertIsInstance(self.events(chunk({"content": "a"}, "error"))[-1], ir.Broken)
