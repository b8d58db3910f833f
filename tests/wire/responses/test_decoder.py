"""aiproxy.wire.responses.decoder and .reply: what upstreams answer, read."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from aiproxy import ir
from aiproxy.errors import ErrorReply, UpstreamProtocolError
from aiproxy.framing import sse
from aiproxy.wire import responses
from tests import corpus
from tests.wire_corpus import complaint

CREATED = {"type": "response.created", "response": {"id": "r", "model": "m", "created_at": 1.5}}


def events(*payloads: Any) -> list[ir.Event]:
    """The events of these payloads; a text stands for itself."""
    decoder = responses.StreamDecoder()
    out: list[ir.Event] = []
    for payload in payloads:
        data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        out += decoder.feed(sse.Message("", data, b""))
    out += decoder.close()
    return out


def folded(*payloads: Any) -> ir.Response:
    found = events(*payloads)
    assert complaint(found) is None, complaint(found)
    reply = ir.fold(found)
    assert isinstance(reply, ir.Response)
    return reply


def completed(*output: Any, **fields: Any) -> dict[str, Any]:
    return {"type": "response.completed", "response": {"output": list(output), **fields}}


def added(index: int, **item: Any) -> dict[str, Any]:
    return {"type": "response.output_item.added", "output_index": index, "item": item}


def done(index: int, **item: Any) -> dict[str, Any]:
    return {"type": "response.output_item.done", "output_index": index, "item": item}


class VendorTests(SynchronousTestCase):
    """Streams that leave out what others send."""

    def test_text_only_in_done(self) -> None:
        """A text that comes only when it is done is not lost, nor is one told twice."""
        text = {"type": "output_text", "text": "hello", "annotations": []}
        item = {"type": "message", "role": "assistant", "content": [text]}
        for messages in (
            [{"type": "response.output_text.done", "text": "hello"}],
            [{"type": "response.content_part.done", "part": text}],
            [done(0, **item)],
            [added(0, type="message"), {"type": "response.output_text.delta", "delta": "hel"},
             {"type": "response.output_text.done", "text": "hello"}, done(0, **item)],
        ):  # fmt: skip
            self.assertEqual(folded(CREATED, *messages, completed()).parts, (ir.Text("hello"),))
            self.assertEqual(folded(CREATED, *messages, completed(item)).parts, (ir.Text("hello"),))

    def test_items_only_in_the_end(self) -> None:
        """Items that were never streamed are taken from the final response."""
        call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
        reply = folded(CREATED, completed(call))
        self.assertEqual(reply.parts, (ir.ToolCall("c", "f", "{}"),))
        self.assertEqual(reply.stop, "tool_use")

    def test_empty_output_in_the_end(self) -> None:
        """Calls that were streamed count though the final response does not list them."""
        call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
        self.assertEqual(folded(CREATED, added(0, **call), done(0, **call), completed()).stop,
                         "tool_use")  # fmt: skip

    def test_a_call_without_an_id(self) -> None:
        """It is given one, the same in a stream and in a whole answer."""
        call = {"type": "function_call", "name": "f", "arguments": "{}"}
        streamed = folded(CREATED, added(0, **call), done(0, **call), completed())
        whole = responses.decode_reply(200, json.dumps({"id": "r", "output": [call]}).encode())
        assert isinstance(whole, ir.Response)
        (part,) = streamed.parts
        assert isinstance(part, ir.ToolCall)
        self.assertTrue(part.id.startswith("call_"))
        self.assertEqual(whole.parts, streamed.parts)

    def test_a_call_without_a_name(self) -> None:
        """Nobody can make it: the answer is refused, unless the name comes with the whole item."""
        call = {"type": "function_call", "call_id": "c", "arguments": "{}"}
        for late in (done(0, **call), completed(call)):
            self.assertRaises(UpstreamProtocolError, events, CREATED, late)
        body = json.dumps({"output": [call]}).encode()
        self.assertRaises(UpstreamProtocolError, responses.decode_reply, 200, body)
        reply = folded(CREATED, added(0, **call), done(0, **call, name="f"), completed())
        self.assertEqual(reply.parts, (ir.ToolCall("c", "f", "{}"),))

    def test_an_item_that_never_ends(self) -> None:
        """What the final response says of it counts, also when its name comes only there."""
        arguments = "response.function_call_arguments.delta"
        call = {"type": "function_call", "id": "fc", "call_id": "c", "arguments": '{"a":1}'}
        bare = {**call, "arguments": ""}
        for messages in (
            [added(0, **bare)],
            [added(0, **bare), {"type": arguments, "delta": '{"a"'}],
            [added(0, **bare, name="f"), {"type": arguments, "delta": '{"a"'}],
            [{"type": arguments, "delta": '{"a"'}],
            [added(3, **bare)],
        ):
            reply = folded(CREATED, *messages, completed({**call, "name": "f"}))
            self.assertEqual(reply.parts, (ir.ToolCall("c", "f", '{"a":1}'),), messages)
        text = {"type": "message", "content": [{"type": "output_text", "text": "hello"}]}
        begin = [added(0, type="message"), {"type": "response.output_text.delta", "delta": "he"}]
        self.assertEqual(folded(CREATED, *begin, completed(text)).parts, (ir.Text("hello"),))

    def test_an_item_that_is_only_announced(self) -> None:
        """It is what it was announced as; a call that never had a name is refused."""
        call = {"type": "function_call", "call_id": "c", "arguments": "{}"}
        search = {"type": "web_search_call", "id": "w", "action": {"type": "search"}}
        reply = folded(CREATED, added(0, **call, name="f"), added(1, **search), completed())
        (made, opaque) = reply.parts
        self.assertEqual(made, ir.ToolCall("c", "f", "{}"))
        assert isinstance(opaque, ir.Opaque)
        self.assertEqual(json.loads(bytes(opaque.raw)), search)
        nameless = {"type": "response.function_call_arguments.delta", "delta": "{}"}
        for message in (added(0, **call), nameless):
            self.assertRaises(UpstreamProtocolError, events, CREATED, message, completed())

    def test_other_numbers_in_the_end(self) -> None:
        """Items of the final response are found by their ids, else by place and kind."""
        thought = {"type": "reasoning", "id": "rs", "summary": [{"text": "hm"}]}
        content = [{"type": "output_text", "text": "hi"}]
        text = {"type": "message", "id": "m1", "content": content}
        parts = (ir.Text("hi"), ir.Reasoning("hm", summary=True))
        self.assertEqual(folded(CREATED, done(0, **text), completed(thought, text)).parts, parts)
        renamed = {**text, "id": "m2"}
        self.assertEqual(folded(CREATED, done(0, **text), completed(renamed)).parts, parts[:1])

    def test_all_numbered_zero(self) -> None:
        """Whole items that come at the same place are told apart by their ids."""
        calls = [
            {"type": "function_call", "id": name, "call_id": name, "name": "f", "arguments": "{}"}
            for name in "ab"
        ]
        messages = [each for call in calls for each in (added(0, **call), done(0, **call))]
        parts = tuple(ir.ToolCall(name, "f", "{}") for name in "ab")
        for last in (completed(), completed(*calls)):
            self.assertEqual(folded(CREATED, *messages, messages[-1], last).parts, parts)

    def test_names_of_events(self) -> None:
        """An event may say its type in the JSON, or only in the `event:` line."""
        decoder = responses.StreamDecoder()
        (started,) = decoder.feed(sse.Message("response.created", b'{"response":{"id":"r"}}', b""))
        self.assertEqual(started, ir.Started("r", ""))

    def test_noise(self) -> None:
        """Heartbeats, unknown events of any shape, `[DONE]` and a stray line change nothing."""
        noise = ({"type": "keepalive"}, {"type": "codex.rate_limits", "delta": {}}, b"[DONE]", b"<")
        self.assertEqual(folded(CREATED, *noise, completed()).parts, ())
        self.assertRaises(UpstreamProtocolError, events, CREATED, b"<", b"<", b"<")

    def test_background(self) -> None:
        """A queued response has begun like any other."""
        queued = {"type": "response.queued", "response": {"id": "r", "status": "queued"}}
        self.assertEqual(folded(queued, completed()).id, "r")


class ContentTests(SynchronousTestCase):
    """What parts items become."""

    def test_summary_parts(self) -> None:
        """The parts of a summary are one text, a blank line between them; the proof comes last."""
        kind = "response.reasoning_summary_text.delta"
        reply = folded(
            CREATED,
            added(0, type="reasoning", encrypted_content="early"),
            {"type": kind, "summary_index": 0, "delta": "a"},
            {"type": kind, "summary_index": 1, "delta": "b"},
            {"type": "response.reasoning_summary_text.done", "summary_index": 1, "text": "bc"},
            done(0, type="reasoning", summary=[{"text": "a"}, {"text": "bc"}],
                 encrypted_content="late"),
            completed(),
        )  # fmt: skip
        thought = ir.Reasoning("a\n\nbc", ir.Proof("openai", "late"), summary=True)
        self.assertEqual(reply.parts, (thought,))

    def test_raw_reasoning(self) -> None:
        """The thoughts themselves are no summary; a bare item says nothing."""
        reply = folded(
            CREATED,
            {"type": "response.reasoning_text.delta", "delta": "hm"},
            done(0, type="reasoning", summary=[], content=[{"text": "hmm"}]),
            done(1, type="reasoning", summary=[]),
            completed(),
        )
        self.assertEqual(reply.parts, (ir.Reasoning("hmm"),))

    def test_parallel_items(self) -> None:
        """Deltas find their items by output_index."""
        kind = "response.function_call_arguments.delta"
        reply = folded(
            CREATED,
            added(0, type="function_call", call_id="a", name="f", arguments=""),
            added(1, type="custom_tool_call", call_id="b", name="g", input=""),
            {"type": "response.custom_tool_call_input.delta", "output_index": 1, "delta": "x"},
            {"type": kind, "output_index": 0, "delta": "{"},
            {"type": "response.custom_tool_call_input.done", "output_index": 1, "input": "xy"},
            {"type": kind, "output_index": 0, "delta": "}"},
            completed(),
        )
        self.assertEqual(
            reply.parts, (ir.ToolCall("a", "f", "{}"), ir.ToolCall("b", "g", "xy", "custom"))
        )

    def test_refusal(self) -> None:
        """A refusal is a filtered answer."""
        reply = folded(CREATED, {"type": "response.refusal.delta", "delta": "no"}, completed())
        self.assertEqual((reply.parts, reply.stop), ((ir.Refusal("no"),), "filtered"))

    def test_citations(self) -> None:
        """Annotations that came are not repeated by the finished item."""
        note = {"type": "url_citation", "url": "u", "title": "t", "start_index": 0, "end_index": 2}
        last = {**note, "url": "v"}
        content = [{"type": "output_text", "text": "hi", "annotations": [note, last]}]
        reply = folded(
            CREATED,
            {"type": "response.output_text.delta", "delta": "hi"},
            {"type": "response.output_text.annotation.added", "annotation": note},
            done(0, type="message", content=content),
            completed(),
        )
        (text,) = reply.parts
        assert isinstance(text, ir.Text)
        self.assertEqual([citation.url for citation in text.citations], ["u", "v"])

    def test_what_has_no_place_is_left_over(self) -> None:
        """What comes behind a part's end, for no text, or in a form nobody reads, is reported."""
        part = {"type": "output_text", "text": "hi"}
        over = {"type": "response.content_part.done", "part": part}
        note = {"type": "url_citation", "url": "u"}
        annotated = {"type": "response.output_text.annotation.added"}
        summary = {"type": "response.reasoning_summary_text.delta", "delta": "so"}
        likely = [{"token": "a", "logprob": -1.0}]
        cases: dict[str, list[Any]] = {
            "text": [over, {"type": "response.output_text.delta", "delta": "!"}],
            "citations": [over, {**annotated, "annotation": note}],
            "logprobs": [
                over,
                {"type": "response.output_text.done", "text": "hi", "logprobs": likely},
            ],
            "reasoning_summary": [
                {"type": "response.reasoning_text.delta", "delta": "hm"},
                summary,
            ],
            "message": [done(0, type="message", role="user", content=[part])],
        }
        for name, messages in cases.items():
            reply = folded(CREATED, *messages, completed())
            assert reply.extras is not None, name
            self.assertEqual([each for each, _ in reply.extras.fields], [name])
        odd = [over, {**annotated, "annotation": 7}]
        self.assertIsNotNone(folded(CREATED, *odd, completed()).extras)

    def test_text_and_refusal_at_one_place(self) -> None:
        """Both are told."""
        reply = folded(
            CREATED,
            {"type": "response.output_text.delta", "delta": "a"},
            {"type": "response.refusal.delta", "delta": "no"},
            completed(),
        )
        self.assertEqual(reply.parts, (ir.Text("a"), ir.Refusal("no")))

    def test_images_and_strangers(self) -> None:
        """A made image is a picture for every client; unknown items stay whole."""
        image = {"type": "image_generation_call", "result": "aGk=", "output_format": "webp"}
        search = {"type": "web_search_call", "id": "w", "action": {"type": "search"}}
        streamed = folded(CREATED, done(0, **image), done(1, **search), completed())
        body = json.dumps({"output": [image, search]}).encode()
        whole = responses.decode_reply(200, body)
        assert isinstance(whole, ir.Response)
        for reply in (streamed, whole):
            picture, opaque = reply.parts
            self.assertEqual(picture, ir.Media("image", ir.Inline("image/webp", "aGk=")))
            assert isinstance(opaque, ir.Opaque)
            self.assertEqual(json.loads(bytes(opaque.raw)), search)


class EndTests(SynchronousTestCase):
    """How streams and answers end."""

    def test_incomplete(self) -> None:
        """The reason of an incomplete answer is its stop reason."""
        for reason, stop in (
            ("max_output_tokens", "max_tokens"),
            ("content_filter", "filtered"),
            (None, "max_tokens"),
        ):
            details = None if reason is None else {"reason": reason}
            response: dict[str, Any] = {
                "status": "incomplete",
                "incomplete_details": details,
                "output": [],
            }
            streamed = folded(CREATED, {"type": "response.incomplete", "response": response})
            whole = responses.decode_reply(200, json.dumps(response).encode())
            assert isinstance(whole, ir.Response)
            self.assertEqual((streamed.stop, whole.stop), (stop, stop))

    def test_usage(self) -> None:
        """Counts become disjoint, and never negative."""
        usage = {
            "input_tokens": 10,
            "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 1},
            "output_tokens": 7,
            "output_tokens_details": {"reasoning_tokens": 9},
        }
        reply = folded(CREATED, completed(usage=usage))
        self.assertEqual(reply.usage, ir.Usage(5, 4, 1, 0, 9))

    def test_failures(self) -> None:
        """Errors inside a good status end the stream, in each of their forms."""
        error = {"code": "rate_limit_exceeded", "message": "try again in 2s"}
        for message in (
            {"type": "response.failed", "response": {"status": "failed", "error": error}},
            {"type": "error", "error": error},
            {"type": "error", **error, "param": None},
        ):
            last = events(CREATED, message, {"type": "response.failed"})[-1]
            assert isinstance(last, ir.Broken)
            self.assertEqual((last.error.kind, last.error.status), ("rate_limit", 429))
            self.assertEqual(last.error.message, "try again in 2s")
        whole = responses.decode_reply(
            200, json.dumps({"status": "failed", "error": error}).encode()
        )
        assert isinstance(whole, ErrorReply)
        self.assertEqual(whole.kind, "rate_limit")

    def test_cut(self) -> None:
        """Without its final event a stream is broken."""
        self.assertRaises(UpstreamProtocolError, events, CREATED)
        self.assertRaises(UpstreamProtocolError, events)

    def test_other_bodies(self) -> None:
        """What is no response is not taken for an empty one."""
        for body in (b"<html>", b"[]", b'{"object":"response.input_tokens"}', b'{"output":7}'):
            self.assertRaises(UpstreamProtocolError, responses.decode_reply, 200, body)

    def test_streams_equal_their_final_response(self) -> None:
        """A recorded stream says what the response at its end says."""
        compared = 0
        for case in corpus.cases("openai-responses"):
            final = _final_response(case)
            if final is None or case.id in _SHORTENED:
                continue
            compared += 1
            frames, decoder = sse.SSEDecoder(), responses.StreamDecoder()
            found = [e for m in frames.feed(case.stream or b"") for e in decoder.feed(m)]
            streamed, whole = ir.fold(found), responses.decode_reply(200, final)
            self.assertEqual(_comparable(streamed), _comparable(whole), case.id)
        self.assertGreater(compared, 90)


# Their source took out or cut parts of the stream alone.
_SHORTENED = ("ai-openai-shell-container-1-s-2b9e", "agentgateway-stream-image-s-b455")


def _final_response(case: corpus.Case) -> bytes | None:
    """The response at the end of a recorded stream, if it lists what it says."""
    for message in sse.SSEDecoder().feed(case.stream or b""):
        if message.event in ("response.completed", "response.incomplete"):
            response = json.loads(message.data)["response"]
            return json.dumps(response).encode() if response.get("output") else None
    return None


def _comparable(reply: ir.Reply) -> ir.Response:
    """
    Proofs are made anew in the final response; other wires' eyes see no opaque items, and of what
    is left over only that it is there.
    """
    assert isinstance(reply, ir.Response)
    parts = tuple(_comparable_part(part) for part in reply.parts)
    named = sorted(name for name, _ in reply.extras.fields) if reply.extras is not None else []
    extras = ir.Extras(responses.NAME, tuple((name, ir.JSON(b"1")) for name in named))
    return ir.replace(reply, parts=parts, extras=extras)


def _comparable_part(part: ir.Part) -> ir.Part:
    if isinstance(part, ir.Reasoning) and part.proof is not None:
        return ir.replace(part, proof=ir.replace(part.proof, data=""))
    if isinstance(part, ir.Text):
        # Deltas tell them more exactly.
        likely = (ir.replace(one, logprob=round(one.logprob, 3)) for one in part.logprobs)
        return ir.replace(part, logprobs=tuple(likely))
    return ir.replace(part, raw=ir.JSON(b"{}")) if isinstance(part, ir.Opaque) else part
