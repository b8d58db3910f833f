"""The behaviours, each through every wire and read back with that wire's decoder."""

from __future__ import annotations

import base64
import hashlib
import json

from twisted.web.client import ResponseNeverReceived
from twisted.web.http_headers import Headers

from aiproxy import codings, ir
from aiproxy.errors import UpstreamProtocolError
from aiproxy.framing.sse import SSEDecoder
from aiproxy.wire import INBOUND, OUTBOUND
from tests.simulator.cases import (
    WIRES,
    SimulatorCase,
    decoded,
    inflated,
    question,
    read,
    received,
)

_SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 3}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
_WEATHER = ir.Tool("weather", "tells the weather", ir.JSON(json.dumps(_SCHEMA).encode()))
_CLOCK = ir.Tool("clock", "tells the time", ir.JSON(b'{"type":"object","properties":{}}'))


def _text(response: ir.Response) -> str:
    return "".join(part.text for part in response.parts if isinstance(part, ir.Text))


def _calls(response: ir.Response) -> list[ir.ToolCall]:
    return [part for part in response.parts if isinstance(part, ir.ToolCall)]


def _followed(request: ir.Request, response: ir.Response, *after: ir.Part) -> ir.Request:
    """The next turn of a conversation."""
    turns = (*request.turns, ir.Turn("assistant", response.parts), ir.Turn("user", after))
    return ir.replace(request, turns=turns)


class AnswerTests(SimulatorCase):
    """What the model says."""

    async def test_echo(self) -> None:
        """echo repeats the user's words, and counts tokens; so does any unknown name."""
        for wire in WIRES:
            for model in ("demo-echo", "gpt-9"):
                response = await self.response(wire, question(model))
                self.assertEqual(_text(response), "Hello, 漢字 and 😀!")
                self.assertEqual(response.stop, "end")
                self.assertEqual(response.model, model)
                assert response.usage is not None
                self.assertGreater(response.usage.input, 0)
                self.assertEqual(response.usage.output, 6)

    async def test_cached_usage(self) -> None:
        """Of a longer conversation all but the last turn is read from the cache."""
        for wire in WIRES:
            request = question("echo", "a rather long first question " * 20)
            request = _followed(
                request, ir.Response("", "", (ir.Text("yes"),), "end"), ir.Text("go on")
            )
            response = await self.response(wire, request)
            assert response.usage is not None
            self.assertGreater(response.usage.cache_read, 100, wire)
            self.assertLess(response.usage.input, 50, wire)

    async def test_long(self) -> None:
        """long gives kilobytes of many scripts, in many events."""
        for wire in WIRES:
            text = _text(await self.response(wire, question("long")))
            self.assertGreater(len(text.encode()), 4000)
            for sample in ("👩‍👩‍👧‍👦", "漢字", "e\u0301", "\u2028", "data: [DONE]\n\n"):
                self.assertIn(sample, text)
            streamed = await self.ask(wire, question("long"))
            self.assertGreater(len(SSEDecoder().feed(streamed.body)), 100)

    async def test_thinking(self) -> None:
        """thinking reasons with a proof, and tells in the next turn whether that came back."""
        for wire in WIRES:
            request = question("thinking", max_output_tokens=None)
            response = await self.response(wire, request)
            [thought] = [part for part in response.parts if isinstance(part, ir.Reasoning)]
            self.assertIn("考える", thought.text)
            assert response.usage is not None
            # Anthropic counts thoughts as output, and does not say how much they were.
            self.assertGreater(response.usage.output + response.usage.reasoning, 20)
            self.assertEqual(thought.proof is not None, wire != "chat")
            after = await self.response(wire, _followed(request, response, ir.Text("and?")))
            said = "missing" if wire == "chat" else "came back"
            self.assertIn(said, _text(after), wire)
            forgotten = ir.replace(response, parts=(ir.Text("hm"),))
            after = await self.response(wire, _followed(request, forgotten, ir.Text("and?")))
            self.assertIn("missing", _text(after), wire)

    async def test_tool(self) -> None:
        """tool calls the first tool with arguments of its schema, then quotes the result."""
        for wire in WIRES:
            request = question("tool", tools=(_WEATHER, _CLOCK))
            response = await self.response(wire, request)
            self.assertEqual(response.stop, "tool_use")
            [call] = _calls(response)
            self.assertEqual(call.name, "weather")
            self.assertEqual(json.loads(call.arguments), {"city": "city é漢😀", "days": 3})
            result = ir.ToolResult(call.id, (ir.Text("rain ☔"),), name="weather")
            after = await self.response(wire, _followed(request, response, result))
            self.assertIn("rain ☔", _text(after))
            self.assertEqual(after.stop, "end")

    async def test_no_tool(self) -> None:
        """Without tools, or where none may be called, tool says so."""
        for wire in WIRES:
            self.assertIn("no tools", _text(await self.response(wire, question("tool"))))
            request = question("tool", tools=(_CLOCK,), tool_choice=ir.ToolChoice("none"))
            self.assertIn("no tools", _text(await self.response(wire, request)))

    async def test_parallel_tools(self) -> None:
        """tools makes several calls at once, and quotes all their results."""
        for wire in WIRES:
            for tools in ((_WEATHER, _CLOCK), (_WEATHER,)):
                request = question("tools", tools=tools)
                response = await self.response(wire, request)
                calls = _calls(response)
                self.assertEqual([call.name for call in calls], [t.name for t in tools * 2][:2])
                self.assertEqual(len({call.id for call in calls}), 2)
                self.assertEqual(len({call.arguments for call in calls}), 2)
                results = [
                    ir.ToolResult(call.id, (ir.Text(f"result {at}"),), name=call.name)
                    for at, call in enumerate(calls)
                ]
                after = _text(await self.response(wire, _followed(request, response, *results)))
                self.assertIn("result 0", after)
                self.assertIn("result 1", after)

    async def test_thinking_tool(self) -> None:
        """thinking-tool reasons before its call; the proof comes back with the result."""
        for wire in WIRES:
            request = question("thinking-tool", tools=(_CLOCK,), max_output_tokens=None)
            response = await self.response(wire, request)
            [call] = _calls(response)
            result = ir.ToolResult(call.id, (ir.Text("noon"),), name="clock")
            after = _text(await self.response(wire, _followed(request, response, result)))
            self.assertIn("missing" if wire == "chat" else "came back", after, wire)
            self.assertIn("noon", after)

    async def test_changed_thoughts(self) -> None:
        """Anthropic's model, like its original, looks whether its thoughts are word for word."""
        request = question("thinking", max_output_tokens=None)
        response = await self.response("anthropic", request)
        parts = tuple(
            ir.replace(part, text=part.text[:5]) if isinstance(part, ir.Reasoning) else part
            for part in response.parts
        )
        changed = ir.replace(response, parts=parts)
        again = _followed(request, changed, ir.Text("so"))
        self.assertIn("changed", _text(await self.response("anthropic", again)))

    async def test_image(self) -> None:
        """image tells type, size and digest of what arrived."""
        data = bytes(range(256)) * 40
        media = ir.Media("image", ir.Inline("image/png", base64.b64encode(data).decode()))
        digest = hashlib.sha256(data).hexdigest()
        for wire in WIRES:
            turns = (ir.Turn("user", (ir.Text("what is it?"), media)),)
            text = _text(await self.response(wire, question("image", turns=turns)))
            self.assertEqual(text, f"image image/png 10240 bytes sha256:{digest}")

    async def test_json(self) -> None:
        """json fits the schema asked for."""
        wanted = ir.OutputFormat("json_schema", ir.JSON(json.dumps(_SCHEMA).encode()), "trip")
        for wire in WIRES:
            text = _text(await self.response(wire, question("json", output_format=wanted)))
            self.assertEqual(json.loads(text), {"city": "city é漢😀", "days": 3})

    async def test_stops(self) -> None:
        """Each way to stop is told as the dialect can."""
        for wire in WIRES:
            stop = () if wire == "responses" else ("STOP",)
            for model, reason in (
                ("max-tokens", "max_tokens"),
                ("stop-sequence", "stop_sequence" if wire == "anthropic" else "end"),
                ("refusal", "filtered"),
            ):
                request = question(model, max_output_tokens=20, stop=stop)
                response = await self.response(wire, request)
                self.assertEqual(response.stop, reason, (wire, model))
                self.assertTrue(response.parts or model == "refusal")

    async def test_empty(self) -> None:
        """empty is an answer that nobody would take for one."""
        for wire in WIRES:
            response = await self.response(wire, question("empty"))
            self.assertFalse(_text(response))
            self.assertTrue(ir.is_empty(response.stop, response.usage))

    async def test_same_answer(self) -> None:
        """The same question has the same answer, byte for byte."""
        for wire in WIRES:
            for model in ("long", "thinking", "tools"):
                request = question(model, tools=(_WEATHER,), max_output_tokens=None)
                first = await self.ask(wire, request)
                second = await self.ask(wire, request)
                self.assertEqual(first.body, second.body)


class ErrorTests(SimulatorCase):
    """Errors in each dialect."""

    async def test_statuses(self) -> None:
        """error-NNN is that status with an error of the dialect, for streams and whole answers."""
        kinds = {
            400: "invalid_request",
            401: "authentication",
            429: "rate_limit",
            500: "upstream",
            503: "overloaded",
            529: "overloaded",
        }
        for wire in WIRES:
            for status, kind in kinds.items():
                for stream in (True, False):
                    request = question(f"error-{status}", stream=stream)
                    answered = await self.ask(wire, request)
                    self.assertEqual(answered.status, status)
                    reply = OUTBOUND[wire].decode_reply(status, answered.body)
                    assert isinstance(reply, ir.ErrorReply)
                    self.assertEqual((reply.kind, wire, status), (kind, wire, status))
                    wait = answered.headers.get("retry-after")
                    self.assertEqual(wait, "5" if kind in ("rate_limit", "overloaded") else None)

    async def test_kinds(self) -> None:
        """Errors that share a status are told apart where the dialect can."""
        for wire in WIRES:
            for model, kind in (
                ("context-too-long", "context_length"),
                ("content-policy", "content_policy"),
                ("quota", "quota"),
            ):
                error = await self.refused(wire, question(model))
                self.assertEqual(error.kind, kind, wire)

    async def test_error_as_json(self) -> None:
        """error-json is a 200 whose body is an error."""
        for wire in WIRES:
            answered = await self.ask(wire, question("error-json"))
            self.assertEqual(answered.status, 200)
            self.assertEqual(answered.headers["content-type"], "application/json")
            self.assertIn("error", json.loads(answered.body))

    async def test_page(self) -> None:
        """html is a web page, with any status."""
        for wire in WIRES:
            for model, status in (("html", 200), ("html-502", 502)):
                answered = await self.ask(wire, question(model))
                self.assertEqual(answered.status, status)
                self.assertIn("text/html", answered.headers["content-type"])

    async def test_error_inside(self) -> None:
        """broken ends a stream in an error, before or after some content; a whole one is one."""
        for wire in WIRES:
            for model in ("broken-head", "broken-start", "broken"):
                streamed = await self.ask(wire, question(model))
                events = decoded(wire, streamed.body)
                self.assertIsInstance(events[-1], ir.Broken)
                has_content = any(ir.is_content(event) for event in events)
                self.assertEqual(has_content, model == "broken")
                whole = await self.ask(wire, question(model, stream=False))
                self.assertEqual(whole.status, 200)
                self.assertIn("error", json.loads(whole.body))

    async def test_junk(self) -> None:
        """junk is no JSON, as an event and as a body."""
        for wire in WIRES:
            streamed = await self.ask(wire, question("junk"))
            with self.assertRaises(UpstreamProtocolError):
                decoded(wire, streamed.body)
            whole = await self.ask(wire, question("junk", stream=False))
            with self.assertRaises(UpstreamProtocolError):
                OUTBOUND[wire].decode_reply(200, whole.body)

    async def test_fail_first(self) -> None:
        """fail-2 fails twice for each name, then answers."""
        for wire in WIRES:
            for model in (f"fail-2-then-ok-{wire}", f"fail-2-429-{wire}"):
                answers = [await self.ask(wire, question(model)) for _ in range(3)]
                failed = 429 if "429" in model else 503
                self.assertEqual([each.status for each in answers], [failed, failed, 200])

    async def test_keys(self) -> None:
        """A key must be there, where the vendor looks for it; some keys are refused."""
        for wire in WIRES:
            for key, kind in (
                ("", "authentication"),
                ("bad-1", "authentication"),
                ("broke", "quota"),
                ("busy", "rate_limit"),
            ):
                error = await self.refused(wire, question("echo"), key)
                self.assertEqual(error.kind, kind, (wire, key))

    async def test_unknown_route(self) -> None:
        """Other paths and methods are refused with JSON."""
        for path, status in (("/v2/messages", 404), ("/_simulator/requests", 405)):
            answered = await received(await self.post(path, b"{}", ()))
            self.assertEqual(answered.status, status)
            self.assertIn("error", json.loads(answered.body))


class BreakTests(SimulatorCase):
    """Answers that do not end well."""

    async def test_cut(self) -> None:
        """cut breaks the connection: whatever came before is there, the end is not."""
        for wire in WIRES:
            streamed = await self.ask(wire, question("cut"))
            self.assertFalse(streamed.is_complete)
            with self.assertRaises(UpstreamProtocolError):
                decoded(wire, streamed.body)
            whole = await self.ask(wire, question("cut", stream=False))
            self.assertFalse(whole.is_complete)
            self.assertTrue(whole.body)
        self.assertEqual(self.simulator.record.aborted, 0)

    async def test_cut_in_arguments(self) -> None:
        """tool-cut breaks amid a tool's arguments (Gemini has no such place: before the call)."""
        for wire in WIRES:
            streamed = await self.ask(wire, question("tool-cut", tools=(_WEATHER,)))
            decoder = OUTBOUND[wire].StreamDecoder()
            events: list[ir.Event] = []
            for message in SSEDecoder().feed(streamed.body):
                events += decoder.feed(message)
            pieces = [event.text for event in events if isinstance(event, ir.ArgumentsDelta)]
            arguments = "".join(pieces)
            self.assertEqual(bool(arguments), wire != "gemini")
            self.assertNotIn("days", arguments)

    async def test_cut_places(self) -> None:
        """cut-head sends not even headers, cut-start no content."""
        for wire in WIRES:
            with self.assertRaises(ResponseNeverReceived):
                await self.ask(wire, question("cut-head"))
            streamed = await self.ask(wire, question("cut-start"))
            self.assertEqual((streamed.status, streamed.is_complete), (200, False))

    async def test_unfinished(self) -> None:
        """unfinished ends the stream properly, but without its terminal event."""
        for wire in WIRES:
            streamed = await self.ask(wire, question("unfinished"))
            self.assertTrue(streamed.is_complete)
            with self.assertRaises(UpstreamProtocolError):
                decoded(wire, streamed.body)
            whole = await self.ask(wire, question("unfinished", stream=False))
            self.assertEqual((whole.status, whole.body), (200, b""))

    async def test_stall(self) -> None:
        """stall never answers; the record shows when the client has given up."""
        record = self.simulator.record
        for at, wire in enumerate(WIRES):
            waiting = self.sent(wire, question("stall"))
            await record.until(lambda: record.streams == 1)
            waiting.addErrback(lambda _: None)
            waiting.cancel()
            await self.aborted(at + 1)

    async def test_stall_later(self) -> None:
        """stall-start and stall-mid send headers and some events first."""
        record = self.simulator.record
        for at, wire in enumerate(WIRES):
            response = await self.sent(wire, question(f"stall-{'start' if at % 2 else 'mid'}"))
            self.assertEqual(response.code, 200)
            self.assertEqual(record.streams, 1)
            reader = read(response)
            reader.leave()
            await self.aborted(at + 1)

    async def test_slow(self) -> None:
        """slow sends piece after piece: the first is here while others are still to come."""
        for wire in WIRES:
            reader = read(await self.sent(wire, question("slow-20ms", "one two three")))
            self.assertNotIn(b"three", await reader.begun)
            self.assertFalse(reader.done.called)
            self.assertTrue(await reader.done)
            self.assertIn(b"three", reader.body)

    async def test_late(self) -> None:
        """late and slow-start wait, the latter after its headers."""
        for wire in WIRES:
            for model in ("late-20ms", "slow-start-20ms"):
                response = await self.response(wire, question(model))
                self.assertEqual(_text(response), "Hello, 漢字 and 😀!")

    async def test_compressed(self) -> None:
        """gzip and zstd bodies decode to the plain ones."""
        for wire in WIRES:
            plain = _text(await self.response(wire, question("long")))
            for coding in ("gzip", "zstd"):
                streamed = await self.ask(wire, question(f"long-{coding}"))
                self.assertEqual(streamed.headers["content-encoding"], coding)
                folded = ir.fold(decoded(wire, inflated(streamed)))
                assert isinstance(folded, ir.Response)
                self.assertEqual(_text(folded), plain)

    async def test_whole(self) -> None:
        """whole answers a call for a stream with a whole answer."""
        for wire in WIRES:
            answered = await self.ask(wire, question("whole-echo"))
            self.assertEqual(answered.headers["content-type"], "application/json")
            self.assertIsInstance(OUTBOUND[wire].decode_reply(200, answered.body), ir.Response)


class RecordTests(SimulatorCase):
    """What tests can see."""

    async def test_requests(self) -> None:
        """Requests are kept with path, headers and body, in process and over HTTP."""
        await self.ask("gemini", question("echo"))
        [seen] = self.simulator.record.requests
        self.assertEqual(seen.method, "POST")
        self.assertEqual(seen.path, "/v1beta/models/echo:streamGenerateContent?alt=sse")
        self.assertIn("contents", json.loads(seen.body))
        response = await self.request(b"GET", "/_simulator/requests", Headers(), b"")
        told = json.loads((await received(response)).body)
        self.assertEqual(told["requests"][0]["path"], seen.path)
        self.assertEqual(told["requests"][0]["body"], seen.body.decode())
        self.assertEqual((told["streams"], told["aborted"]), (0, 0))
        await received(await self.post("/_simulator/reset", b"", ()))
        self.assertEqual(len(self.simulator.record.requests), 0)

    async def test_compressed_request(self) -> None:
        """Bodies are kept without their coding; one that cannot be undone is refused."""
        body = OUTBOUND["chat"].encode_request(question("echo")).body
        headers = (("Authorization", "Bearer demo"), ("Content-Encoding", "zstd"))
        packed = codings.encode(body, "zstd")
        answered = await received(await self.post("/v1/chat/completions", packed, headers))
        self.assertEqual(answered.status, 200)
        self.assertEqual(self.simulator.record.requests[0].body, body)
        answered = await received(await self.post("/v1/chat/completions", body, headers))
        self.assertEqual(answered.status, 400)

    async def test_other_operations(self) -> None:
        """Tokens are counted, and a conversation is compacted, where the vendor can."""
        for wire, path, operation in (
            ("anthropic", "/v1/messages/count_tokens", b"input_tokens"),
            ("responses", "/v1/responses/input_tokens", b"input_tokens"),
            ("responses", "/v1/responses/compact", b"response.compaction"),
            ("gemini", "/v1beta/models/echo:countTokens", b"totalTokens"),
        ):
            body = OUTBOUND[wire].encode_request(question("echo")).body
            self.assertIn(wire, INBOUND)
            headers = (
                ("Authorization", "Bearer demo"),
                ("x-goog-api-key", "demo"),
                ("anthropic-version", "2023-06-01"),
            )
            answered = await received(await self.post(path, body, headers))
            self.assertEqual(answered.status, 200, (path, answered.body))
            self.assertIn(operation, answered.body)
