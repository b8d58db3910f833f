"""Requests as they arrive: refused before their body, collected, decoded."""

from __future__ import annotations

from dataclasses import replace

from aiproxy import codings
from aiproxy.wire import INBOUND
from tests.upstream.cases import asynchronous
from tests.web.cases import BODIES, KEY, MESSAGE, PATHS, WebCase, message_of
from tests.web.clients import Answer, RawClient

MIB = 1 << 20


class EarlyTests(WebCase):
    """Answers to a request whose body nobody waits for."""

    async def refused(self, wire: str, *headers: str) -> tuple[RawClient, Answer]:
        """Send a head alone, with these headers; its answer."""
        client = await self.connect()
        lines = (f"POST {PATHS[wire]} HTTP/1.1", "Host: x", *headers)
        client.send("\r\n".join(lines).encode() + b"\r\n\r\n")
        answer = await client.answer()
        message_of(wire, answer)
        self.assertEqual(answer.header("connection"), "close")
        return client, answer

    @asynchronous
    async def test_unauthorized(self) -> None:
        """A wrong key is told before the body has come, and the connection is closed."""
        self.require(KEY)
        for wire in INBOUND:
            client, answer = await self.refused(wire, f"Content-Length: {10 * MIB}")
            self.assertEqual(answer.status, 401)
            self.assertEqual(answer.header("www-authenticate"), "Bearer")
            await client.lost

    @asynchronous
    async def test_upload_goes_on(self) -> None:
        """A client that sends on all the same gets the answer, not a reset."""
        self.require(KEY)
        client = await self.connect()
        client.post("/v1/messages", b"x" * 10 * MIB)
        self.assertEqual((await client.answer()).status, 401)
        await client.lost
        self.assertEqual(self.records[0].response_bytes > 0, True)

    @asynchronous
    async def test_path_and_method(self) -> None:
        """So are a wrong path and a wrong method."""
        for start, status in (("POST /v1/x", 404), ("PUT /v1/messages", 405)):
            client = await self.connect()
            client.send(f"{start} HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n".encode())
            self.assertEqual((await client.answer()).status, status)
            await client.lost

    @asynchronous
    async def test_announced_too_large(self) -> None:
        """A Content-Length over the limit is refused at once."""
        limit = self.settings.max_request_bytes
        for wire in INBOUND:
            _, answer = await self.refused(wire, f"Content-Length: {limit + 1}")
            self.assertEqual(answer.status, 413)

    @asynchronous
    async def test_chunked_too_large(self) -> None:
        """A chunked body is refused as soon as it has passed the limit."""
        self.settings = replace(self.settings, max_request_bytes=1000)
        for wire in INBOUND:
            client = await self.connect()
            start = f"POST {PATHS[wire]} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
            client.send(start.encode())
            client.send(b"1f4\r\n" + b"x" * 500 + b"\r\n")
            client.send(b"1f4\r\n" + b"x" * 500 + b"\r\n")
            client.send(b"1\r\nx\r\n" * 50 + b"0\r\n\r\n")
            answer = await client.answer()
            self.assertEqual(answer.status, 413)
            message_of(wire, answer)
            await client.lost

    @asynchronous
    async def test_unknown_coding(self) -> None:
        """A coding that nobody knows is refused at once."""
        for wire in INBOUND:
            _, answer = await self.refused(wire, "Content-Length: 9", "Content-Encoding: snappy")
            self.assertEqual(answer.status, 415)

    @asynchronous
    async def test_expect(self) -> None:
        """A client that asks first is invited only when its body is wanted."""
        client = await self.connect()
        length = len(BODIES["chat"])
        lines = (
            "POST /v1/chat/completions HTTP/1.1",
            "Host: x",
            f"Content-Length: {length}",
            "Expect: 100-continue",
        )
        head = "\r\n".join(lines).encode() + b"\r\n\r\n"
        client.send(head)
        self.assertEqual(await client.contains(b"\r\n\r\n"), b"HTTP/1.1 100 Continue\r\n\r\n")
        client.send(BODIES["chat"])
        (await self.upstream.request()).answer(MESSAGE)
        self.assertEqual((await client.answer()).status, 200)
        self.require(KEY)
        client = await self.connect()
        client.send(head)
        await client.lost
        self.assertTrue(client.received.startswith(b"HTTP/1.1 401 "))
        self.assertNotIn(b"100 Continue", client.received)

    @asynchronous
    async def test_websocket(self) -> None:
        """An attempt at a WebSocket is refused with 426, key or no key."""
        self.require(KEY)
        answer = await self.get("/v1/responses", "Connection: Upgrade", "Upgrade: websocket")
        self.assertEqual(answer.status, 426)
        message_of("responses", answer)


class BodyTests(WebCase):
    """Bodies as clients send them."""

    async def assert_arrives(self, body: bytes, *headers: str) -> None:
        client = await self.connect()
        client.post("/v1/messages", body, *headers)
        upstream = await self.upstream.request()
        self.assertEqual(upstream.requests[-1][1], BODIES["anthropic"])
        upstream.answer(MESSAGE)
        self.assertEqual((await client.answer()).status, 200)

    @asynchronous
    async def test_codings(self) -> None:
        """Compressed bodies reach the upstream plain, also lists of codings."""
        plain = BODIES["anthropic"]
        for coding in ("gzip", "zstd", "br", "deflate"):
            packed = codings.encode(plain, coding)
            await self.assert_arrives(packed, f"Content-Encoding: {coding}")
        twice = codings.encode(codings.encode(plain, "zstd"), "gzip")
        await self.assert_arrives(twice, "Content-Encoding: zstd, gzip")
        await self.assert_arrives(codings.encode(plain, "zstd"))

    @asynchronous
    async def test_chunked(self) -> None:
        """A body may come in chunks."""
        client = await self.connect()
        client.send(b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        for byte in BODIES["anthropic"]:
            client.send(b"1\r\n%c\r\n" % byte)
        client.send(b"0\r\n\r\n")
        upstream = await self.upstream.request()
        self.assertEqual(upstream.requests[-1][1], BODIES["anthropic"])
        upstream.answer(MESSAGE)
        self.assertEqual((await client.answer()).status, 200)

    @asynchronous
    async def test_bomb(self) -> None:
        """A small body that grows beyond the limit is a 413."""
        bomb = b" " * (self.settings.max_request_bytes + 1)
        for wire, coding in (("anthropic", "gzip"), ("gemini", "zstd"), ("responses", "br")):
            packed = codings.encode(bomb, coding)
            answer = await self.post(PATHS[wire], packed, f"Content-Encoding: {coding}")
            self.assertEqual(answer.status, 413)
            message_of(wire, answer)

    @asynchronous
    async def test_corrupt(self) -> None:
        """What is not what its header says is a 400."""
        for wire in INBOUND:
            answer = await self.post(PATHS[wire], BODIES[wire], "Content-Encoding: gzip")
            self.assertEqual(answer.status, 400)
            message_of(wire, answer)

    @asynchronous
    async def test_large(self) -> None:
        """A body of some MiB arrives whole."""
        body = BODIES["chat"].replace(b'"hi"', b'"' + b"x" * 4 * MIB + b'"')
        client = await self.connect()
        client.post("/v1/chat/completions", body)
        upstream = await self.upstream.request()
        self.assertGreater(len(upstream.requests[-1][1]), 4 * MIB)
        upstream.answer(MESSAGE)
        self.assertEqual((await client.answer()).status, 200)
