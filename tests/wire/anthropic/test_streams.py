"""Streams of the Messages API, read and written, event by event."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from aiproxy import ir
from aiproxy.errors import ErrorReply, UpstreamProtocolError
from aiproxy.framing import sse
from aiproxy.wire import anthropic

ASKED = ir.Request("anthropic", "m", True, ())
START = {"type": "message_start", "message": {"id": "msg_1", "model": "m", "usage": {}}}
END = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 3}}
STOP = {"type": "message_stop"}


def start(index: int, **block: Any) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": block}


def delta(index: int, **fields: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": fields}


def stop(index: int) -> dict[str, Any]:
    return {"type": "content_block_stop", "index": index}


def decode(*messages: dict[str, Any] | bytes) -> list[ir.Event]:
    decoder = anthropic.StreamDecoder()
    events: list[ir.Event] = []
    for message in messages:
        data = message if isinstance(message, bytes) else json.dumps(message).encode()
        events += decoder.feed(sse.Message("", data, b""))
    return [*events, *decoder.close()]


def encode(*events: ir.Event) -> list[dict[str, Any]]:
    """The data of what is written; every event must bear its name."""
    encoder = anthropic.StreamEncoder(ASKED)
    messages = sse.SSEDecoder().feed(b"".join(encoder.encode(event) for event in events))
    data: list[dict[str, Any]] = [json.loads(message.data) for message in messages]
    assert [message.event for message in messages] == [each["type"] for each in data]
    return data


class DecoderTests(SynchronousTestCase):
    """Upstream streams, orderly and not."""

    def test_usage(self) -> None:
        """Counts of the end win, what it does not repeat stays; before it no output is counted."""
        counts = {"input_tokens": 10, "cache_read_input_tokens": 90, "output_tokens": 1}
        begin = {"type": "message_start", "message": {"id": "1", "usage": counts}}
        events = decode(begin, END, STOP)
        self.assertEqual(events[0], ir.Started("1", "", 0, ir.Usage(10, 90)))
        self.assertEqual(events[-1], ir.Finished("end", "", ir.Usage(10, 90, 0, 3)))

    def test_calls_without_a_name_or_id(self) -> None:
        """Nobody can make them: the answer is refused, streamed or whole."""
        for names in ({"id": "c", "name": ""}, {"id": "", "name": "f"}):
            call = {"type": "tool_use", "input": {}, **names}
            self.assertRaises(UpstreamProtocolError, decode, START, start(0, **call), END, STOP)
            body = json.dumps({"content": [call], "stop_reason": "tool_use"}).encode()
            self.assertRaises(UpstreamProtocolError, anthropic.decode_reply, 200, body)

    def test_counts_below_zero(self) -> None:
        """No client is told of fewer tokens than none."""
        counts = {
            "input_tokens": -1,
            "cache_read_input_tokens": -2,
            "cache_creation_input_tokens": -3,
            "output_tokens": -4,
        }
        begin = {"type": "message_start", "message": {"id": "1", "usage": counts}}
        events = decode(begin, END, STOP)
        self.assertEqual(events[-1], ir.Finished("end", "", ir.Usage(0, 0, 0, 3)))

    def test_noise(self) -> None:
        """Pings, unknown events and deltas, a stray line and a second start are skipped."""
        events = decode(
            START,
            {"type": "ping"},
            {"type": "surprise", "index": "x"},
            b"not json",
            start(0, type="text", text=""),
            START,
            delta(0, type="surprise_delta"),
            delta(0, type="text_delta", text="hi"),
            stop(0),
            stop(0),
            END,
            STOP,
        )
        reply = ir.fold(events)
        assert isinstance(reply, ir.Response)
        self.assertEqual(reply.parts, (ir.Text("hi"),))

    def test_missing_stop(self) -> None:
        """A stop reason makes up for a missing last event; nothing makes up for it."""
        self.assertIsInstance(decode(START, END)[-1], ir.Finished)
        with self.assertRaises(UpstreamProtocolError):
            decode(START, start(0, type="text", text="hi"))
        with self.assertRaises(UpstreamProtocolError):
            decode(b"no", b"json", b"here")

    def test_error(self) -> None:
        """An error inside the stream ends it, with the kind that its type says."""
        data = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
        broken = decode(START, data, END)[-1]
        assert isinstance(broken, ir.Broken)
        self.assertEqual((broken.error.kind, broken.error.status), ("overloaded", 529))

    def test_tool_calls(self) -> None:
        """Arguments come in fragments, at the start, or not at all; calls beat a plain end."""
        events = decode(
            START,
            start(0, type="tool_use", id="a", name="f", input={}),
            delta(0, type="input_json_delta", partial_json='{"x"'),
            delta(0, type="input_json_delta", partial_json=":1}"),
            stop(0),
            start(1, type="tool_use", id="b", name="f", input={"y": 2}),
            stop(1),
            start(2, type="tool_use", id="c", name="f", input={}),
            stop(2),
            END,
            STOP,
        )
        reply = ir.fold(events)
        assert isinstance(reply, ir.Response)
        calls = [part.arguments for part in reply.parts if isinstance(part, ir.ToolCall)]
        self.assertEqual(calls, ['{"x":1}', '{"y": 2}', "{}"])
        self.assertEqual(reply.stop, "tool_use")

    def test_callers(self) -> None:
        """Who called a tool is kept unless it was the model, and so are sources in the prompt."""
        direct, program = {"type": "direct"}, {"type": "code_execution_20250825", "tool_id": "t"}
        blocks = [
            (
                start(at, type="tool_use", id=f"t{at}", name="f", input={}, caller=caller),
                stop(at),
            )
            for at, caller in enumerate((direct, program))
        ]
        calls = [e.block for e in decode(START, *blocks[0], *blocks[1], END, STOP)
                 if isinstance(e, ir.BlockStarted)]  # fmt: skip
        assert all(isinstance(call, ir.ToolCall) for call in calls)
        self.assertEqual([call.extras is None for call in calls], [True, False])  # type: ignore[union-attr]
        cited = delta(0, type="citations_delta", citation={"type": "char_location"})
        said = decode(START, start(0, type="text", text=""), cited, stop(0), END, STOP)
        self.assertIn(ir.CitationAdded(0, ir.Citation("")), said)

    def test_what_nobody_reads_is_left_over(self) -> None:
        """Deltas of another kind than their block or of a strange one, and a block's extras."""
        text, web = {"type": "text", "text": ""}, {"type": "web_search_result_location", "url": "u"}
        hosted = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}
        other = {"type": "char_location", "document_index": 0}
        for name, messages in {
            "partial_json": [start(0, **text), delta(0, type="input_json_delta", partial_json="{")],
            "surprise": [start(0, **text), delta(0, type="surprise_delta", surprise="x")],
            "thinking": [start(0, **hosted), delta(0, type="thinking_delta", thinking="x")],
            "mood": [start(0, **text, mood="good")],
            "citations": [start(0, **text, citations=[web, other])],
        }.items():
            last = decode(START, *messages, stop(0), END, STOP)[-1]
            assert isinstance(last, ir.Finished)
            assert last.extras is not None, name
            self.assertEqual([each for each, _ in last.extras.fields], [name])
        told = (
            start(0, **text, citations=[web]),
            delta(0, type="text_delta", text=""),
            delta(0, type="text_delta", text="hi"),
        )
        last = decode(START, *told, stop(0), END, STOP)[-1]
        assert isinstance(last, ir.Finished)
        self.assertIsNone(last.extras)

    def test_thoughts(self) -> None:
        """A signature is the proof of its thought, a redacted thought is all proof."""
        events = decode(
            START,
            start(0, type="thinking", thinking="", signature=""),
            delta(0, type="thinking_delta", thinking="hm"),
            delta(0, type="signature_delta", signature="sig"),
            stop(0),
            start(1, type="redacted_thinking", data="x"),
            stop(1),
            END,
        )
        reply = ir.fold(events)
        assert isinstance(reply, ir.Response)
        self.assertEqual(
            reply.parts,
            (
                ir.Reasoning("hm", ir.Proof("anthropic", "sig")),
                ir.Reasoning("", ir.Proof("anthropic", "x", redacted=True)),
            ),
        )

    def test_hosted_tools(self) -> None:
        """A hosted tool's call arrives whole, its streamed input put in; indexes stay gapless."""
        events = decode(
            START,
            start(0, type="server_tool_use", id="s", name="web_search", input={}),
            delta(0, type="input_json_delta", partial_json='{"query":"q"}'),
            stop(0),
            start(1, type="text", text="so"),
            stop(1),
            END,
        )
        reply = ir.fold(events)
        assert isinstance(reply, ir.Response)
        opaque = reply.parts[0]
        assert isinstance(opaque, ir.Opaque)
        self.assertEqual(json.loads(bytes(opaque.raw))["input"], {"query": "q"})
        self.assertEqual(reply.parts[1], ir.Text("so"))


class EncoderTests(SynchronousTestCase):
    """Client streams."""

    started = ir.Started("x", "m")

    def test_live(self) -> None:
        """Each delta is written at once, as an event of its own."""
        encoder = anthropic.StreamEncoder(ASKED)
        encoder.encode(self.started)
        encoder.encode(ir.BlockStarted(0, ir.ToolCall("a", "f", "")))
        for fragment in ('{"x"', ":", "1}"):
            written = sse.SSEDecoder().feed(encoder.encode(ir.ArgumentsDelta(0, fragment)))
            self.assertEqual(json.loads(written[-1].data)["delta"]["partial_json"], fragment)

    def test_interleaved_calls(self) -> None:
        """Calls that stream at the same time are written one after the other."""
        data = encode(
            self.started,
            ir.BlockStarted(0, ir.ToolCall("a", "f", "")),
            ir.BlockStarted(1, ir.ToolCall("b", "g", "")),
            ir.ArgumentsDelta(1, "{1"),
            ir.ArgumentsDelta(0, "{0"),
            ir.ArgumentsDelta(1, "}"),
            ir.ArgumentsDelta(0, "}"),
            ir.BlockStopped(1),
            ir.BlockStopped(0),
            ir.Finished("tool_use"),
        )
        seen = [
            (each["index"], each.get("delta", {}).get("partial_json"))
            for each in data
            if "index" in each
        ]
        self.assertEqual(
            seen,
            [(0, None), (0, "{0"), (0, "}"), (0, None), (1, None), (1, "{1"), (1, "}"), (1, None)],
        )

    def test_proof_of_a_call(self) -> None:
        """A Gemini proof stands in an empty thought before its call, behind it when it is late."""
        call, proof = ir.ToolCall("a", "f", ""), ir.ProofAdded(0, ir.Proof("gemini", "s"))
        args = ir.ArgumentsDelta(0, "{}")
        for middle, kinds, signature in (
            ((proof, args), ["thinking", "tool_use"], "aip1.gemini.s"),
            ((args, proof), ["tool_use", "thinking"], "aip1.gemini-redacted.s"),
        ):
            data = encode(self.started, ir.BlockStarted(0, call), *middle, ir.BlockStopped(0))
            blocks = [each["content_block"]["type"] for each in data if "content_block" in each]
            self.assertEqual(blocks, kinds)
            deltas = [each["delta"] for each in data if "delta" in each]
            self.assertIn({"type": "signature_delta", "signature": signature}, deltas)

    def test_empty_blocks(self) -> None:
        """Texts and thoughts without content leave no block, and no gap in the numbers."""
        parts = (ir.Text(""), ir.Reasoning(""), ir.Text("x"))
        data = encode(*ir.unfold(ir.Response("x", "m", parts, "end")))
        self.assertEqual([each["index"] for each in data if "index" in each], [0, 0, 0])

    def test_opaque(self) -> None:
        """The wire's own parts are written as they are, others as text or as a loss."""
        own = ir.Opaque("anthropic", "x", ir.JSON(b'{"type":"x","n":1.0}'))
        foreign = ir.Opaque("responses", "web_search_call", ir.JSON(b"{}"))
        encoder = anthropic.StreamEncoder(ASKED)
        reply = ir.Response("x", "m", (own, foreign), "end")
        written = b"".join(encoder.encode(event) for event in ir.unfold(reply))
        self.assertIn(b'"content_block":{"type":"x","n":1.0}', written)
        self.assertEqual(encoder.losses, [ir.Loss("web-search-call")])

    def test_end(self) -> None:
        """The end tells the stop, the sequence and all counts, then stops."""
        finished = ir.Finished("stop_sequence", "END", ir.Usage(1, 2, 3, 4, 5))
        end, last = encode(self.started, finished)[1:]
        self.assertEqual(end["delta"], {"stop_reason": "stop_sequence", "stop_sequence": "END"})
        self.assertEqual(end["usage"]["output_tokens"], 9)
        self.assertEqual(end["usage"]["cache_read_input_tokens"], 2)
        self.assertEqual(last, {"type": "message_stop"})

    def test_sources(self) -> None:
        """Places within a text, and sources without a URL, are not told, but declared."""
        cited = {
            ir.Citation("https://a"): [],
            ir.Citation("https://a", "", 1, 2): [ir.Loss("citations", "approximated")],
            ir.Citation(""): [ir.Loss("citations")],
        }
        for citation, losses in cited.items():
            reply = ir.Response("x", "m", (ir.Text("abc", (citation,)),), "end")
            encoder = anthropic.StreamEncoder(ASKED)
            for event in ir.unfold(reply):
                encoder.encode(event)
            self.assertEqual(encoder.losses, losses)
            self.assertEqual(anthropic.encode_reply(reply, ASKED).losses, tuple(losses))

    def test_sources_of_no_text(self) -> None:
        """A text that never came is not written, so what it cites is reported as lost."""
        encoder = anthropic.StreamEncoder(ASKED)
        for event in (
            ir.Started("id", "m"),
            ir.BlockStarted(0, ir.Text("")),
            ir.CitationAdded(0, ir.Citation("u")),
            ir.BlockStopped(0),
            ir.Finished("end"),
        ):
            encoder.encode(event)
        self.assertEqual(encoder.losses, [ir.Loss("citations")])

    def test_broken(self) -> None:
        """An error is the last event; one about the length begins as Claude Code expects."""
        error = ErrorReply(400, "context_length", "too many tokens")
        data = encode(self.started, ir.Broken(error))
        self.assertEqual(data[-1]["error"]["type"], "invalid_request_error")
        self.assertTrue(data[-1]["error"]["message"].startswith("prompt is too long"))
