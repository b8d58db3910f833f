"""Streams seen from outside: live, byte for byte, and visibly cut when they break."""

from __future__ import annotations

import json
from collections.abc import Coroutine
from typing import Any

from twisted.internet.defer import Deferred, ensureDeferred

from aiproxy.framing import sse
from aiproxy.providers import PROVIDERS
from aiproxy.wire import INBOUND
from tests.integration.cases import WIRES, ProgramCase, body, outside, path, upstream
from tests.integration.http import Arriving, begun, get, post
from tests.translate.stage import BLOCK, DELTA, END, START
from tests.upstream.servers import Connection, Server
from tests.wire import grammars


def named(data: dict[str, Any]) -> bytes:
    """An event of the Responses API."""
    return sse.encode(json.dumps(data).encode(), data["type"])


def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
    """A chunk of the Chat API."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    data = {"id": "c", "created": 1, "model": "up", "choices": [choice]}
    return sse.encode(json.dumps(data).encode())


def candidate(text: str, **more: Any) -> bytes:
    """A chunk of Gemini's."""
    content = {"role": "model", "parts": [{"text": text}]}
    return sse.encode(json.dumps({"candidates": [{"content": content, **more}]}).encode())


MESSAGE = {"type": "message", "id": "msg_1", "role": "assistant"}
RESPONSE = {"id": "resp_1", "object": "response", "created_at": 1, "model": "up"}
SAID = {"type": "output_text", "text": "hello", "annotations": []}

# A stream of each kind of upstream in three parts: before content, with "hello", the end.
STREAMS: dict[str, tuple[bytes, bytes, bytes]] = {
    "anthropic": (START + BLOCK, DELTA, END),
    "openai": (
        chunk({"role": "assistant", "content": ""}),
        chunk({"content": "hello"}),
        chunk({}, "stop") + b"data: [DONE]\n\n",
    ),
    "responses": (
        named(
            {
                "type": "response.created",
                "response": {**RESPONSE, "status": "in_progress", "output": []},
            }
        )
        + named(
            {
                "type": "response.output_item.added",
                "output_index": 0,
                "item": {**MESSAGE, "status": "in_progress", "content": []},
            }
        ),
        named(
            {
                "type": "response.output_text.delta",
                "item_id": "msg_1",
                "output_index": 0,
                "content_index": 0,
                "delta": "hello",
            }
        ),
        named(
            {
                "type": "response.completed",
                "response": {
                    **RESPONSE,
                    "status": "completed",
                    "output": [{**MESSAGE, "status": "completed", "content": [SAID]}],
                    "usage": {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5},
                },
            }
        ),
    ),
    "gemini": (b"", candidate("hello"), candidate("", finishReason="STOP")),
}
ENDINGS = {
    "anthropic": b"message_stop",
    "chat": b"[DONE]",
    "responses": b"response.completed",
    "gemini": b"finishReason",
}


def keeps_grammar(wire: str, api_type: str, data: bytes) -> None:
    """A stream that is not the upstream's own keeps its dialect's grammar."""
    if PROVIDERS[api_type].wire != wire:
        grammars.check(wire, data)


class LiveTests(ProgramCase):
    @outside
    async def test_first_event(self) -> None:
        """In all pairs the first content is with the client before the upstream sends more."""
        server, url = self.server()
        program = await self.start(
            "upstreams:\n"
            + "".join(
                upstream(api_type, url, api_type, f"available_models: [m-{api_type}]")
                for api_type in STREAMS
            )
        )
        for api_type, (start, content, end) in STREAMS.items():
            for wire in WIRES:
                label = f"{wire} client, {api_type} upstream"
                model = f"m-{api_type}"
                sent = begun(
                    "POST",
                    program.url + path(wire, model, stream=True),
                    body(wire, model, stream=True),
                )
                asked, connection = await self.meet(sent, server)
                connection.begin()
                connection.chunk(start + content)
                arriving = await asked
                await arriving.contains(b"hello")
                # Only now does the upstream go on: had the client not got it, we would not be here.
                self.assertIn(b"hello", arriving.data, label)
                self.assertNotIn(ENDINGS[wire], arriving.data, label)
                connection.chunk(end)
                connection.chunk(b"")
                await arriving.end()
                self.assertIs(arriving.is_complete, True, label)
                self.assertIn(ENDINGS[wire], arriving.data, label)
                keeps_grammar(wire, api_type, arriving.data)

    async def meet(
        self, sent: Coroutine[Any, Any, Arriving], server: Server
    ) -> tuple[Deferred[Arriving], Connection]:
        """The client's request under way, and the upstream's end of it."""
        asked = ensureDeferred(sent)
        return asked, await server.request()

    @outside
    async def test_client_leaves(self) -> None:
        """When the client goes, so does the upstream's connection, and no failure is counted."""
        simulator, url = self.simulator()
        program = await self.start(
            "circuit_breaker: {failures: 1}\nkeepalive: 600\nupstreams:\n"
            + upstream("a", url, "openai")
        )
        for model, has_begun in (("long-slow-20ms", True), ("slow-start-30s", False)):
            for wire in WIRES:
                before = simulator.record.aborted
                question = body(wire, model, stream=True)
                sent = begun("POST", program.url + path(wire, model, stream=True), question)
                if has_begun:
                    arriving = await sent
                    await arriving.contains(b"Streams")
                    arriving.leave()
                else:
                    waiting = ensureDeferred(sent)
                    await simulator.record.until(lambda: simulator.record.streams == 1)
                    waiting.addErrback(lambda _: None)
                    waiting.cancel()
                await simulator.record.until(
                    lambda before=before: simulator.record.aborted > before  # type: ignore[misc]
                )
        self.assertEqual((await get(program.url + "/unavailable-models")).json, [])

    @outside
    async def test_broken_upstream(self) -> None:
        """A stream that breaks after content ends in the dialect's error event, visibly."""
        _, url = self.simulator()
        # A name for each client: some of these errors make their upstream rest for that model.
        faults = ("cut", "unfinished", "broken")
        program = await self.start(
            "upstreams:\n"
            + "".join(
                upstream(
                    api_type,
                    url,
                    api_type,
                    "available_models: "
                    + json.dumps([f"{api_type}-{how}-{wire}" for how in faults for wire in WIRES]),
                )
                for api_type in STREAMS
            )
        )
        for wire in WIRES:
            for api_type in STREAMS:
                for how in faults:
                    model = f"{api_type}-{how}-{wire}"
                    answer = await post(
                        program.url + path(wire, model, stream=True),
                        body(wire, model, "many words to be cut in the middle", stream=True),
                    )
                    label = f"{wire} client, {model}"
                    self.assertEqual(answer.status, 200, label)
                    # Only in one dialect the error event is an end by its own grammar.
                    self.assertIs(answer.is_complete, INBOUND[wire].ERROR_IS_END, label)
                    keeps_grammar(wire, api_type, answer.data)
                    self.assertIn(b"many", answer.data, label)
                    self.assertIn(b'"error"', answer.data, label)
                    for ending in set(ENDINGS.values()) - {b"finishReason"}:
                        self.assertNotIn(ending, answer.data, label)
                    self.assertNotIn(b'"finishReason"', answer.data, label)

    @outside
    async def test_compressed_upstream(self) -> None:
        """Compressed streams are decoded event by event."""
        _, url = self.simulator()
        program = await self.start("upstreams:\n" + upstream("a", url))
        for coding in ("gzip", "zstd"):
            for wire in WIRES:
                model = f"{coding}-echo"
                answer = await post(
                    program.url + path(wire, model, stream=True), body(wire, model, stream=True)
                )
                self.assertIs(answer.is_complete, True)
                self.assertIn(b"hi", answer.data)
                self.assertNotIn("content-encoding", answer.headers)

    @outside
    async def test_heartbeats(self) -> None:
        """A client that waits for a late upstream hears from us, and then gets its answer."""
        server, url = self.server()
        program = await self.start("keepalive: 0.2\nupstreams:\n" + upstream("a", url))
        for wire in WIRES:
            model = "m"
            sent = begun(
                "POST", program.url + path(wire, model, stream=True), body(wire, model, stream=True)
            )
            asked, connection = await self.meet(sent, server)
            beat = INBOUND[wire].FIRST_HEARTBEAT
            if beat:
                arriving = await asked
                await arriving.contains(beat + beat)
                self.assertTrue(arriving.data.startswith(beat))
            connection.begin()
            connection.chunk(START + BLOCK + DELTA + END)
            connection.chunk(b"")
            if not beat:
                arriving = await asked
            await arriving.end()
            self.assertIs(arriving.is_complete, True)
            self.assertIn(b"hello", arriving.data)


class ExactTests(ProgramCase):
    @outside
    async def test_request_bytes(self) -> None:
        """Between equal wires a request arrives to the digit, in its order, but for the model."""
        simulator, url = self.simulator()
        program = await self.start(
            "upstreams:\n"
            + upstream("a", url, "anthropic", "model_mappings: {m: a-echo}\navailable_models: [m]")
            + upstream("b", url, "openai", "model_mappings: {n: b-echo}\navailable_models: [n]")
            + upstream("c", url, "responses", "model_mappings: {r: c-echo}\navailable_models: [r]")
            + upstream("d", url, "gemini", "model_mappings: {g: d-echo}\navailable_models: [g]")
        )
        odd = (
            b'"zeta":[1.10,12345678901234567890,1e400,-0.0],  "unknown_field" :'
            b'{"b":1,"a":"\\u00e9\\ud83d\\ude00 \xf0\x9f\x98\x80"}'
        )
        for wire, model, mapped, said in (
            (
                "anthropic",
                b"m",
                b"a-echo",
                b'"max_tokens": 9, "messages":[{"role":"user","content":"hi"}]',
            ),
            ("chat", b"n", b"b-echo", b'"messages" : [ {"role":"user","content":"hi"} ]'),
            ("responses", b"r", b"c-echo", b'"input":"hi"'),
        ):
            sent = b'{ %b,\n "model": "%b" , %b }' % (odd, model, said)
            answer = await post(program.url + path(wire, "x"), sent)
            received = simulator.record.requests[-1].body
            self.assertEqual(received, sent.replace(b'"%b"' % model, b'"%b"' % mapped))
            self.assertIn(answer.status, (200, 400), answer.data)
        sent = b'{ %b ,"contents":[{"parts":[{"text":"hi"}]}]}' % odd
        await post(program.url + path("gemini", "g") + "?z=1&a=%20", sent)
        latest = simulator.record.requests[-1]
        self.assertEqual(latest.body, sent)
        self.assertEqual(latest.path, "/v1beta/models/d-echo:generateContent?z=1&a=%20")

    @outside
    async def test_answer_bytes(self) -> None:
        """Between equal wires an answer arrives as it was sent, whole or streamed."""
        server, url = self.server()
        program = await self.start("upstreams:\n" + upstream("a", url))
        odd = b'{ "x":1.10, "y":12345678901234567890 }'
        whole = (
            b'{ "id":"msg_1","type":"message","role":"assistant","model":"up","content":'
            b'[{"type":"text","text":"hello","new":%b}],"stop_reason":"end_turn",'
            b'"stop_sequence":null,"usage":{"input_tokens":3,"output_tokens":2},"z":%b}\n'
        ) % (odd, odd)
        stream = START + sse.encode(b'{"type":"new_kind","x":1.10}', "new_kind") + BLOCK
        stream += DELTA + END
        for sent in (whole, stream):
            is_stream = sent is stream
            asked = ensureDeferred(
                post(program.url + "/v1/messages", body("anthropic", "m", stream=is_stream))
            )
            connection = await server.request()
            if is_stream:
                connection.begin()
                connection.chunk(sent)
                connection.chunk(b"")
            else:
                connection.answer(sent, b"Content-Type: application/json")
            self.assertEqual((await asked).data, sent)

    @outside
    async def test_error_bytes(self) -> None:
        """Between equal wires a refusal is the vendor's own, and translated ones keep its words."""
        server, url = self.server()
        program = await self.start("upstreams:\n" + upstream("a", url))
        refusal = (
            b'{"type":"error", "error":{"type":"invalid_request_error","message":"bad \xe2\x98\xba"'
            b'},"request_id":"req_1"}'
        )
        for wire in WIRES:
            asked = ensureDeferred(post(program.url + path(wire, "m"), body(wire, "m")))
            connection = await server.request()
            connection.write(
                b"HTTP/1.1 400 Bad\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
                % len(refusal)
                + refusal
            )
            answer = await asked
            self.assertEqual(answer.status, 400)
            if wire == "anthropic":
                self.assertEqual(answer.data, refusal)
            else:
                self.assertEqual(json.loads(answer.data)["error"]["message"], "bad ☺")
