"""Every path, every protocol's errors, and calls from end to end."""

from __future__ import annotations

import json
from dataclasses import replace

from twisted.logger import capturedLogs, formatEvent

from aiproxy.wire import INBOUND
from tests.upstream.cases import asynchronous
from tests.web.cases import BODIES, KEY, MESSAGE, PATHS, WebCase, message_of


class CallTests(WebCase):
    """Calls that are answered."""

    @asynchronous
    async def test_whole(self) -> None:
        """A call of each protocol is answered in it, with the headers that every answer has."""
        for wire in INBOUND:
            client, upstream = await self.call(wire)
            upstream.answer(MESSAGE, b"Content-Type: application/json")
            answer = await client.answer()
            self.assertEqual(answer.status, 200)
            self.assertIn(b"hello", answer.body)
            self.assertEqual(answer.header("content-type"), "application/json")
            self.assertEqual(answer.header("x-aiproxy-upstream"), "one")
            record = self.records[-1]
            self.assertEqual(answer.header("x-request-id"), record.id)
            self.assertEqual((record.wire, record.status), (wire, 200))
            self.assertEqual(record.request_bytes, len(BODIES[wire]))
            self.assertEqual(record.response_bytes, len(answer.body))
            assert record.trail is not None
            self.assertEqual(record.trail.outcome, "ok")

    @asynchronous
    async def test_same_connection(self) -> None:
        """A connection serves one call after the other, also when they are sent at once."""
        client = await self.connect()
        client.post("/v1/messages", BODIES["anthropic"])
        client.get("/healthz")
        (await self.upstream.request()).answer(MESSAGE)
        self.assertIn(b"hello", (await client.answer()).body)
        self.assertEqual((await client.answer()).json(), {"status": "ok"})
        client.post("/v1/messages", BODIES["anthropic"])
        (await self.upstream.request()).answer(MESSAGE)
        self.assertIn(b"hello", (await client.answer()).body)

    @asynchronous
    async def test_gemini_path(self) -> None:
        """The model of a Gemini path may be percent-encoded, slashes and all."""
        client = await self.connect()
        client.post("/v1beta/models/n%2F1:generateContent?key=x&a=b", BODIES["gemini"])
        upstream = await self.upstream.request()
        self.assertEqual(json.loads(upstream.requests[0][1])["model"], "n/1")
        upstream.answer(MESSAGE)
        self.assertEqual((await client.answer()).status, 200)

    @asynchronous
    async def test_default_max_tokens(self) -> None:
        """A target that insists on a limit gets the configured one when the client sets none."""
        self.settings = replace(self.settings, default_max_tokens=77)
        client, upstream = await self.call("chat")
        self.assertEqual(json.loads(upstream.requests[0][1])["max_tokens"], 77)
        upstream.answer(MESSAGE)
        await client.answer()

    @asynchronous
    async def test_client_key_stays(self) -> None:
        """Whatever carries the client's key, no upstream sees it; nor cookies."""
        self.settings = replace(self.settings, api_keys=())
        client = await self.connect()
        client.post(
            "/v1/messages?key=canary&access_token=canary&beta=true",
            BODIES["anthropic"],
            "Authorization: Bearer canary",
            "x-api-key: canary",
            "x-goog-api-key: canary",
            "Cookie: canary",
            "anthropic-beta: one",
            "anthropic-x: canary",
            "Connection: close, anthropic-x",
        )
        upstream = await self.upstream.request()
        head = upstream.requests[0][0].lower()
        self.assertNotIn(b"canary", head)
        self.assertIn(b"?beta=true ", head)
        self.assertIn(b"anthropic-beta: one", head)
        upstream.answer(MESSAGE)
        self.assertEqual((await client.answer()).status, 200)

    @asynchronous
    async def test_count(self) -> None:
        """Counting tokens is a route of its own."""
        client = await self.connect()
        client.post("/v1/messages/count_tokens", BODIES["anthropic"])
        upstream = await self.upstream.request()
        self.assertIn(b"/v1/messages/count_tokens", upstream.requests[0][0])
        upstream.answer(b'{"input_tokens":5}')
        self.assertEqual((await client.answer()).json(), {"input_tokens": 5})


class ErrorTests(WebCase):
    """Every error of a protocol route is an error of that protocol."""

    async def assert_error(self, wire: str, status: int, body: bytes, *headers: str) -> str:
        answer = await self.post(PATHS[wire], body, *headers)
        self.assertEqual(answer.status, status, wire)
        self.assertEqual(answer.header("content-type"), "application/json")
        self.assertEqual(len(answer.header("x-request-id")), 32)
        self.assertEqual(self.records[-1].status, status)
        self.assertEqual(self.records[-1].wire, wire)
        return message_of(wire, answer)

    @asynchronous
    async def test_bad_body(self) -> None:
        """What is no JSON object is a 400."""
        for wire in INBOUND:
            for body in (b"", b"[]", b"null", b'{"model":', b"{} x", b"[" * 100_000):
                await self.assert_error(wire, 400, body)

    @asynchronous
    async def test_bad_content(self) -> None:
        """A body whose model nobody serves is a 404, and one with a model that is no text a 400."""
        for wire in ("anthropic", "chat", "responses"):
            body = BODIES[wire]
            await self.assert_error(wire, 404, body.replace(b'"m"', b'"unknown"'))
            await self.assert_error(wire, 400, body.replace(b'"m"', b"1"))
        answer = await self.post("/v1beta/models/unknown:generateContent", BODIES["gemini"])
        self.assertEqual(answer.status, 404)
        message_of("gemini", answer)

    @asynchronous
    async def test_unauthorized(self) -> None:
        """A missing key is a 401 that says how to send one."""
        self.require(KEY)
        for wire in INBOUND:
            answer = await self.post(PATHS[wire], BODIES[wire])
            self.assertEqual(answer.status, 401)
            self.assertEqual(answer.header("www-authenticate"), "Bearer")
            message_of(wire, answer)

    @asynchronous
    async def test_method(self) -> None:
        """A wrong method is a 405 that names the right one, key or no key."""
        self.require(KEY)
        for wire in ("anthropic", "chat", "responses"):
            for method in ("GET", "PUT", "DELETE", "OPTIONS"):
                answer = await self.get(PATHS[wire], method=method)
                self.assertEqual(answer.status, 405)
                self.assertEqual(answer.header("allow"), "POST")
                message_of(wire, answer)
        answer = await self.get(PATHS["gemini"], method="PUT")
        self.assertEqual((answer.status, answer.header("allow")), (405, "GET, HEAD, POST"))
        message_of("gemini", answer)
        answer = await self.post("/models", b"")
        self.assertEqual((answer.status, answer.header("allow")), (405, "GET, HEAD"))

    @asynchronous
    async def test_missing(self) -> None:
        """Unknown paths are a 404 without a key, in the dialect of their beginning."""
        self.require(KEY)
        for dialect, path in (
            ("anthropic", "/v1/messages/"),
            ("anthropic", "/v1/messages/batches"),
            ("chat", "/v1/embeddings"),
            ("chat", "/v1/chat/completions/x"),
            ("chat", "/nothing"),
            ("chat", "//v1/chat/completions"),
            ("responses", "/v1/responses/v1/messages"),
            ("gemini", "/v1beta/cachedContents"),
            ("chat", "/v1%2Fmessages"),
        ):
            answer = await self.post(path, b"")
            self.assertEqual(answer.status, 404, path)
            message_of(dialect, answer)
        answer = await self.get("/v1/files", "anthropic-version: 2023-06-01")
        message_of("anthropic", answer)

    @asynchronous
    async def test_unknown_action(self) -> None:
        """A Gemini path with another action, and one that is not UTF-8, are errors of Gemini."""
        for path, status in (
            ("/v1beta/models/m:embedContent", 404),
            ("/v1/models/m:embedContent", 404),
            ("/v1beta/models/%ff:generateContent", 400),
        ):
            answer = await self.post(path, BODIES["gemini"])
            self.assertEqual(answer.status, status, path)
            message_of("gemini", answer)

    @asynchronous
    async def test_no_upstream(self) -> None:
        """Without an upstream every protocol says 503."""
        self.settings = replace(self.settings, upstreams=())
        self.balancer.apply(self.settings)
        for wire in INBOUND:
            await self.assert_error(wire, 503, BODIES[wire])

    @asynchronous
    async def test_full(self) -> None:
        """When no more calls may run, every protocol says 503, and when to come again."""
        self.drain.set_limit(1)
        client, upstream = await self.call("anthropic")
        for wire in INBOUND:
            answer = await self.post(PATHS[wire], BODIES[wire])
            self.assertEqual(answer.status, 503)
            self.assertEqual(answer.header("retry-after"), "1")
            message_of(wire, answer)
        upstream.answer(MESSAGE)
        await client.answer()
        self.assertEqual(self.drain.running, 0)

    @asynchronous
    async def test_unreachable(self) -> None:
        """An upstream that cannot be reached is a 502 in every protocol, without its address."""
        nowhere = replace(self.settings.upstreams[0], base_url="http://127.0.0.1:1")
        self.settings = replace(self.settings, upstreams=(nowhere,))
        for wire in INBOUND:
            self.balancer.reset("one", "m")
            self.balancer.apply(self.settings)
            text = await self.assert_error(wire, 502, BODIES[wire])
            self.assertNotIn("127.0.0.1", text)

    @asynchronous
    async def test_internal(self) -> None:
        """An error of ours is a 500 with the request's id, logged once with its traceback."""
        chat = INBOUND["chat"]
        self.patch(chat, "head", lambda body, path: 1 / 0)
        with capturedLogs() as events:
            answer = await self.post(PATHS["chat"], BODIES["chat"])
        self.assertEqual(answer.status, 500)
        self.assertIn(answer.header("x-request-id"), message_of("chat", answer))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(len([event for event in events if "log_failure" in event]), 1)
        self.assertEqual(self.drain.running, 0)

    @asynchronous
    async def test_logs(self) -> None:
        """Whatever goes wrong, no log event holds a key of the client's or the upstream's."""
        self.require(KEY)
        nowhere = replace(self.settings.upstreams[0], base_url="http://127.0.0.1:1")
        self.balancer.apply(replace(self.settings, upstreams=(nowhere,)))
        query = f"{PATHS['chat']}?key={KEY}"
        with capturedLogs() as events:
            self.assertEqual((await self.post(query, BODIES["chat"])).status, 502)
            self.assertEqual((await self.post(query, b"{")).status, 400)
            self.assertEqual((await self.post(f"/nothing?key={KEY}", b"")).status, 404)
            self.assertEqual((await self.get("/models", "x-api-key: canary-2")).status, 401)
        texts = [formatEvent(event) for event in events] + [repr(self.records)]
        self.assertTrue(any("failed" in text for text in texts))
        for text in texts:
            self.assertNotIn("canary", text)
            self.assertNotIn("upstream-token", text)

    @asynchronous
    async def test_odd_requests(self) -> None:
        """Hosts and content types that trip parsers elsewhere do nothing here."""
        client = await self.connect()
        client.send(b"GET /healthz HTTP/1.1\r\nHost: a..\xffb\r\n\r\n")
        self.assertEqual((await client.answer()).status, 200)
        answer = await self.post("/reset-model", b"x", "Content-Type: multipart/form-data")
        self.assertEqual(answer.status, 400)
        answer = await self.get("*", method="OPTIONS")
        self.assertEqual(answer.status, 404)
