"""
Tests of aiproxy.upstream.client over real sockets: requests and whole answers.

The server's side is scripted, so each test decides what is on the wire at each moment.
"""

from __future__ import annotations

from treq.testing import RequestTraversalAgent
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.static import Data

from aiproxy import codings
from aiproxy.errors import UpstreamProtocolError, UpstreamUnreachable
from aiproxy.messages import HttpRequest, header
from aiproxy.upstream.body import SSEBody
from aiproxy.upstream.client import UpstreamClient
from tests.upstream.cases import LIMIT, ONE, ClientCase, Inbox, asynchronous
from tests.upstream.servers import timeouts


class RequestTests(ClientCase):
    """What the server sees."""

    @asynchronous
    async def test_head(self) -> None:
        """Method, path, headers, length and our Accept-Encoding are sent, and nothing besides."""
        headers = (("x-api-key", "k"), ("content-length", "99"), ("accept-encoding", "snappy"))
        sent = self.client.request(
            HttpRequest("POST", self.url + "/v1/a%2Fb:go?q=%20x&alt=sse", headers, b"{}"),
            timeouts(),
        )
        connection = await self.server.request()
        head, body = connection.requests[0]
        connection.answer(b"")
        await (await sent).whole(LIMIT)
        lines = head.split(b"\r\n")
        self.assertEqual(lines[0], b"POST /v1/a%2Fb:go?q=%20x&alt=sse HTTP/1.1")
        self.assertEqual(
            sorted(line.lower() for line in lines[1:]),
            sorted(
                [
                    b"accept-encoding: gzip, zstd, br, deflate",
                    b"content-length: 2",
                    b"host: " + self.url.removeprefix("http://").encode(),
                    b"x-api-key: k",
                ]
            ),
        )
        self.assertEqual(body, b"{}")

    @asynchronous
    async def test_host(self) -> None:
        """A Host header of the request's own is used."""
        request = HttpRequest("GET", self.url, (("Host", "api.example"),))
        sent = self.client.request(request, timeouts())
        connection = await self.server.request()
        connection.answer(b"")
        await (await sent).whole(LIMIT)
        head = connection.requests[0][0].lower()
        self.assertIn(b"\r\nhost: api.example", head)
        self.assertEqual(head.count(b"host:"), 1)
        self.assertNotIn(b"content-length", head)

    @asynchronous
    async def test_compression(self) -> None:
        """Bodies are compressed as asked, with the length of what is sent."""
        plain = b"some text " * 100
        for coding in ("gzip", "zstd", "br"):
            request = HttpRequest("POST", self.url, (), plain)
            sent = self.client.request(request, timeouts(), coding)
            connection = await self.server.request()
            connection.answer(b"")
            await (await sent).whole(LIMIT)
            head, body = connection.requests[-1]
            self.assertIn(b"\r\ncontent-encoding: " + coding.encode(), head.lower())
            self.assertEqual(codings.decode(body, (coding,), LIMIT), plain)

    @asynchronous
    async def test_compression_that_does_not_pay(self) -> None:
        """A body that would not shrink, and an empty one, are sent plain."""
        for plain in (b"{}", b""):
            sent = self.client.request(HttpRequest("POST", self.url, (), plain), timeouts(), "gzip")
            connection = await self.server.request()
            connection.answer(b"")
            await (await sent).whole(LIMIT)
            head, body = connection.requests[-1]
            self.assertNotIn(b"content-encoding", head.lower())
            self.assertIn(b"content-length: %d" % len(plain), head.lower())
            self.assertEqual(body, plain)

    @asynchronous
    async def test_large_body(self) -> None:
        """A body larger than any socket buffer arrives whole."""
        sent = self.post(b"x" * 5_000_000)
        connection = await self.server.request()
        connection.answer(b"")
        await (await sent).whole(LIMIT)
        self.assertEqual(len(connection.requests[0][1]), 5_000_000)


class ReplyTests(ClientCase):
    """Heads and whole bodies."""

    @asynchronous
    async def test_status_and_headers(self) -> None:
        """Any status is an answer; headers come without those of the connection."""
        sent = self.post()
        connection = await self.server.request()
        connection.write(
            b"HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n"
            b"Content-Length: 2\r\nConnection: keep-alive\r\n\r\nno"
        )
        reply = await sent
        self.assertEqual(reply.status, 429)
        self.assertEqual(header(reply.headers, "retry-after"), "7")
        self.assertEqual([v for k, v in reply.headers if k.lower() == "set-cookie"], ["a=1", "b=2"])
        for name in ("content-length", "connection", "content-encoding"):
            self.assertIsNone(header(reply.headers, name))
        self.assertEqual(await reply.whole(LIMIT), b"no")

    @asynchronous
    async def test_redirect(self) -> None:
        """A redirect is an answer like any other: nothing is sent to where it points."""
        for status in (301, 302, 303, 307, 308):
            sent = self.post()
            connection = await self.server.request()
            connection.write(
                b"HTTP/1.1 %d Go\r\nLocation: %b/x\r\nContent-Length: 0\r\n\r\n"
                % (status, self.url.encode())
            )
            reply = await sent
            self.assertEqual(reply.status, status)
            await reply.whole(LIMIT)
        self.assertEqual(sum(len(c.requests) for c in self.server.connections), 5)

    @asynchronous
    async def test_cookies(self) -> None:
        """A cookie that an answer sets is not sent with the next request."""
        sent = self.post()
        connection = await self.server.request()
        connection.answer(b"", b"Set-Cookie: a=1; Path=/")
        await (await sent).whole(LIMIT)
        connection = await self.answered()
        self.assertNotIn(b"cookie", connection.requests[-1][0].lower())

    @asynchronous
    async def test_codings(self) -> None:
        """Whole answers are decoded, lists of codings too."""
        for applied in (("gzip",), ("deflate",), ("zstd",), ("br",), ("zstd", "gzip")):
            body = b'{"a": 1}'
            for coding in applied:
                body = codings.encode(body, coding)
            sent = self.post()
            connection = await self.server.request()
            connection.answer(body, b"Content-Encoding: " + ", ".join(applied).encode())
            self.assertEqual(await (await sent).whole(LIMIT), b'{"a": 1}')

    @asynchronous
    async def test_wrong_codings(self) -> None:
        """A mislabelled, a truncated and an unknown coding are errors of the upstream."""
        truncated = codings.encode(b'{"a": 1}', "gzip")[:-4]
        for coding, body in ((b"gzip", b'{"a": 1}'), (b"gzip", truncated), (b"snappy", b"x")):
            sent = self.post()
            connection = await self.server.request()
            connection.answer(body, b"Content-Encoding: " + coding)
            reply = await sent
            await self.assertFailure(reply.whole(LIMIT), UpstreamProtocolError)

    @asynchronous
    async def test_limit(self) -> None:
        """A body beyond the limit, on the wire or decoded, fails and closes the connection."""
        bomb = codings.encode(b"x" * 1000, "gzip")
        for body, headers in ((b"x" * 1000, ()), (bomb, (b"Content-Encoding: gzip",))):
            sent = self.post()
            connection = await self.server.request()
            connection.begin(*headers)
            connection.chunk(body)
            reply = await sent
            await self.assertFailure(reply.whole(999), UpstreamProtocolError)
            await connection.lost

    @asynchronous
    async def test_end_by_close(self) -> None:
        """Without a length the end of the connection is the end of the body."""
        sent = self.post()
        connection = await self.server.request()
        connection.write(b"HTTP/1.1 200 OK\r\n\r\nbody")
        connection.close()
        self.assertEqual(await (await sent).whole(LIMIT), b"body")

    @asynchronous
    async def test_cut(self) -> None:
        """A connection that breaks in mid-answer is an error, whatever frames the body."""
        for framing in (b"Content-Length: 100", b"Transfer-Encoding: chunked"):
            sent = self.post()
            connection = await self.server.request()
            connection.write(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n5\r\nhello\r\n")
            reply = await sent
            connection.close()
            error = await self.assertFailure(reply.whole(LIMIT), UpstreamUnreachable)
            self.assertEqual(str(error), "connection lost in mid-answer")

    @asynchronous
    async def test_not_http(self) -> None:
        """An answer that is not HTTP is an error of the upstream."""
        for junk in (b"SSH-2.0-OpenSSH\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n"):
            sent = self.post()
            (await self.server.request()).write(junk)
            await self.assertFailure(sent, UpstreamProtocolError)

    @asynchronous
    async def test_abort(self) -> None:
        """An answer that nobody wants can be dropped before its body is read."""
        sent = self.post()
        connection = await self.server.request()
        connection.begin()
        (await sent).abort()
        await connection.lost


class AgentTests(SynchronousTestCase):
    """An agent that a test injects."""

    def test_resource(self) -> None:
        """A resource tree answers without any socket, and bodies can be read and aborted."""
        client = UpstreamClient(Clock(), agent=_resource_agent(ONE, "text/event-stream"))
        request = HttpRequest("GET", "http://upstream.example/")
        inbox = Inbox()
        reply = self.successResultOf(client.request(request, timeouts()))
        self.assertEqual(header(reply.headers, "content-type"), "text/event-stream")
        self.successResultOf(reply.stream(SSEBody(inbox.deliver)))
        self.assertEqual(inbox.data, [b"1"])
        self.successResultOf(client.request(request, timeouts())).abort()

    def test_silence_leaves_no_clock(self) -> None:
        """No timer is left behind by a client that is closed."""
        clock = Clock()
        client = UpstreamClient(clock, agent=_resource_agent(b"{}", "application/json"))
        request = HttpRequest("GET", "http://upstream.example/")
        reply = self.successResultOf(client.request(request, timeouts()))
        self.assertEqual(self.successResultOf(reply.whole(LIMIT)), b"{}")
        closed = client.close()
        clock.advance(0)
        self.successResultOf(closed)
        self.assertEqual(clock.getDelayedCalls(), [])


def _resource_agent(body: bytes, content_type: str) -> RequestTraversalAgent:
    """An agent that reaches one resource, without sockets."""
    resource = Data(body, content_type)
    resource.isLeaf = True
    return RequestTraversalAgent(resource)
