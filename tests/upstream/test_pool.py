"""
Tests of aiproxy.upstream.pool over real sockets: connections kept, lost, cut, and TLS.
"""

from __future__ import annotations

import gc
from ipaddress import ip_address
from typing import Any

from cryptography import x509
from twisted.internet import ssl
from twisted.internet.defer import CancelledError
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol

from aiproxy.errors import UpstreamTimeout, UpstreamUnreachable
from aiproxy.http1 import MAX_BYTES, Outbox
from aiproxy.messages import HttpRequest
from aiproxy.upstream.body import SSEBody
from aiproxy.upstream.connection import Connection
from tests.upstream.cases import LIMIT, ONE, ClientCase, Inbox, asynchronous
from tests.upstream.servers import certificate, timeouts

OLD = ("http://old",)
NEW = ("http://new",)


def _protocols() -> int:
    """How many connections to servers the process remembers."""
    gc.collect()
    return sum(isinstance(thing, Connection) for thing in gc.get_objects())


class EarlyAnswerTests(ClientCase):
    @asynchronous
    async def test_unread_request(self) -> None:
        """A connection whose server answers without reading the request serves no other call."""
        sent = self.post(b"x" * (32 << 20))
        while not self.server.connections:
            await self.wait(0.01)
        (connection,) = self.server.connections
        connection.transport.pauseProducing()  # type: ignore[union-attr]
        connection.answer(b"enough")
        self.assertEqual(await (await sent).whole(100), b"enough")
        second = self.post(b"{}", headers=5.0)
        other = await self.server.request()
        self.assertIsNot(other, connection)
        other.answer(b"ok")
        self.assertEqual(await (await second).whole(100), b"ok")
        connection.transport.resumeProducing()  # type: ignore[union-attr]
        await connection.lost

    @asynchronous
    async def test_answer_before_the_request(self) -> None:
        """A large request goes behind a small one whose answer came before it had been sent."""
        connections: list[Connection] = []
        made = Connection(connections.append, lambda gone: None, Outbox())
        port = int(self.url.rpartition(":")[2])
        endpoint = TCP4ClientEndpoint(self.reactor, "127.0.0.1", port)
        await connectProtocol(endpoint, made)
        self.addCleanup(made.cut)
        head = b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n"
        small = made.ask(head % 2, b"{}")
        made.dataReceived(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        self.assertEqual(((await small).code, connections), (200, [made]))
        large = b"x" * 4 * MAX_BYTES
        made.ask(head % len(large), large).addErrback(lambda _: None)
        for expected in (b"{}", large):
            connection = await self.server.request()
            self.assertEqual(connection.requests.pop(0)[1], expected)


class ConnectionTests(ClientCase):
    """Keeping, losing and closing connections."""

    @asynchronous
    async def test_keep_alive(self) -> None:
        """One call after the other uses one connection."""
        for _ in range(3):
            await self.answered()
        self.assertEqual(len(self.server.connections), 1)

    @asynchronous
    async def test_large_requests(self) -> None:
        """They arrive as they were, also those that no kernel takes at once, on one connection."""
        for size_bytes in (100_000, 3 << 20, 24 << 20):
            body = b"%07d " * (size_bytes // 8) % tuple(range(size_bytes // 8))
            sent = self.post(body)
            connection = await self.server.request()
            self.assertTrue(connection.requests[-1][1] == body)
            connection.answer(b"ok")
            self.assertEqual(await (await sent).whole(100), b"ok")
        self.assertEqual(len(self.server.connections), 1)

    @asynchronous
    async def test_stale_connection(self) -> None:
        """A kept connection that dies before the answer is replaced, once, by a new one."""
        first = await self.answered()
        sent = self.post(b"again")
        self.assertIs(await self.server.request(), first)
        first.close()
        second = await self.server.request()
        self.assertEqual(second.requests[0][1], b"again")
        second.close()
        error = await self.assertFailure(sent, UpstreamUnreachable)
        self.assertEqual(str(error), "connection lost before the answer")
        self.assertEqual(len(self.server.connections), 2)

    @asynchronous
    async def test_fresh_connection_is_not_retried(self) -> None:
        """A new connection that dies before the answer fails the call: it was sent once."""
        sent = self.post()
        (await self.server.request()).close()
        await self.assertFailure(sent, UpstreamUnreachable)
        self.assertEqual(len(self.server.connections), 1)

    @asynchronous
    async def test_begun_answer_is_not_retried(self) -> None:
        """Nothing is sent again once the answer has begun, even if only by a byte."""
        connection = await self.answered()
        sent = self.post()
        await self.server.request()
        connection.write(b"HTTP/1.1 20")
        await self.wait(0.05)
        connection.close()
        await self.assertFailure(sent, UpstreamUnreachable)
        self.assertEqual(len(self.server.connections), 1)

    @asynchronous
    async def test_silent_kept_connection_is_not_retried(self) -> None:
        """A clock that runs out on a kept connection does not send the request again."""
        await self.answered()
        await self.assertFailure(self.post(headers=0.05), UpstreamTimeout)
        self.assertEqual(len(self.server.connections), 1)

    @asynchronous
    async def test_gone_connections_are_forgotten(self) -> None:
        """Nothing stays in memory of a connection that is gone."""
        before = _protocols()
        for _ in range(3):
            sent = self.post()
            connection = await self.server.request()
            connection.answer(b"ok", b"Connection: close")
            await (await sent).whole(LIMIT)
            connection.close()
            await connection.lost
        del sent
        await self.wait(0.05)
        self.assertEqual(_protocols(), before)

    @asynchronous
    async def test_endless_head(self) -> None:
        """A head without end costs the connection, not the memory."""
        sent = self.post()
        connection = await self.server.request()
        connection.write(b"HTTP/1.1 200 OK\r\n")
        for _ in range(40):
            connection.write(b"X-More: %b\r\n" % (b"x" * 8000) * 2)
        await self.assertFailure(sent, UpstreamUnreachable)
        await connection.lost

    @asynchronous
    async def test_long_answer_after_a_long_head(self) -> None:
        """What bounds the head does not bound the answer, nor the next one on the connection."""
        for _ in range(2):
            sent = self.post()
            connection = await self.server.request()
            connection.answer(b"x" * LIMIT, *[b"X-More: %b" % (b"x" * 8000)] * 20)
            self.assertEqual(len(await (await sent).whole(LIMIT)), LIMIT)
        self.assertEqual(len(self.server.connections), 1)

    @asynchronous
    async def test_refused(self) -> None:
        """Nobody listening is said in these words, without the address."""
        await self.server.stop()
        error = await self.assertFailure(self.post(), UpstreamUnreachable)
        self.assertEqual(str(error), "connection refused")

    @asynchronous
    async def test_unusable_url(self) -> None:
        """A URL that nothing can be sent to is an error without the URL in it."""
        for url in ("ftp://host.example/x", "http://[::1", "nonsense"):
            error = await self.assertFailure(
                self.client.request(HttpRequest("GET", url), timeouts()), UpstreamUnreachable
            )
            self.assertEqual(str(error), "the request could not be sent")

    @asynchronous
    async def test_header_timeout(self) -> None:
        """No head in time is a timeout, and closes the connection."""
        sent = self.post(headers=0.05)
        connection = await self.server.request()
        error = await self.assertFailure(sent, UpstreamTimeout)
        self.assertEqual(str(error), "no answer within 0.05 seconds")
        await connection.lost

    @asynchronous
    async def test_cancel_before_the_head(self) -> None:
        """A caller that leaves gets CancelledError, and the connection is closed."""
        sent = self.post()
        connection = await self.server.request()
        sent.cancel()
        await self.assertFailure(sent, CancelledError)
        await connection.lost

    @asynchronous
    async def test_abort_after_the_end(self) -> None:
        """Aborting an answer that is over leaves its connection to the next call."""
        sent = self.post()
        connection = await self.server.request()
        connection.answer(b"one")
        reply = await sent
        await reply.whole(LIMIT)
        sent = self.post()
        self.assertIs(await self.server.request(), connection)
        reply.abort()
        connection.answer(b"two")
        self.assertEqual(await (await sent).whole(LIMIT), b"two")

    @asynchronous
    async def test_close(self) -> None:
        """Closing the client closes kept connections and those in use."""
        body = SSEBody(Inbox().deliver)
        kept, busy = self.post(), self.post()
        first, second = await self.server.request(), await self.server.request()
        first.answer(b"")
        second.answer(b"")
        await (await kept).whole(LIMIT)
        await (await busy).whole(LIMIT)
        connection, done = await self.streaming(body)
        await self.client.close()
        await self.assertFailure(done, UpstreamUnreachable)
        for each in (first, second, connection):
            await each.lost


class HomeTests(ClientCase):
    """Connections of upstreams that are no longer configured."""

    @asynchronous
    async def test_idle(self) -> None:
        """Of idle connections those stay that were last used for somebody who is still there."""
        asked = []
        for home in (OLD, NEW):
            sent = self.post(b"{}", home)
            asked.append((sent, await self.server.request()))
        connections = [connection for _, connection in asked]
        for sent, connection in asked:
            connection.answer(b"ok")
            await (await sent).whole(LIMIT)
        self.client.keep_for([NEW])
        await connections[0].lost
        self.assertIs(await self.answered(home=NEW), connections[1])
        self.assertEqual(len(self.server.connections), 2)

    @asynchronous
    async def test_who_used_it_last(self) -> None:
        """A connection is his who used it last, for its first call or for a later one."""
        first = await self.answered(home=OLD)
        self.assertIs(await self.answered(home=NEW), first)
        self.client.keep_for([NEW])
        self.assertIs(await self.answered(home=NEW), first)
        self.client.keep_for([OLD])
        await first.lost

    @asynchronous
    async def test_in_use(self) -> None:
        """A call under way comes to its end, and its connection goes with it."""
        body = SSEBody(Inbox().deliver)
        sent = self.post(b"{}", OLD)
        connection = await self.server.request()
        connection.begin()
        done = (await sent).stream(body)
        self.client.keep_for([NEW])
        connection.chunk(ONE)
        connection.chunk(b"")
        await done
        await connection.lost

    @asynchronous
    async def test_opened_later(self) -> None:
        """A call that goes on with settings of before keeps no connection either."""
        self.client.keep_for([NEW])
        await (await self.answered(home=OLD)).lost

    @asynchronous
    async def test_back_again(self) -> None:
        """Who is configured again while a call runs keeps the connection."""
        sent = self.post(b"{}", OLD)
        connection = await self.server.request()
        self.client.keep_for([NEW])
        self.client.keep_for([NEW, OLD])
        connection.answer(b"ok")
        await (await sent).whole(LIMIT)
        self.assertIs(await self.answered(home=OLD), connection)


class TLSTests(ClientCase):
    """Certificates."""

    def secured(self, host: x509.GeneralName) -> ssl.PrivateCertificate:
        """Starts a server that speaks TLS, with a new certificate for `host`."""
        own = certificate(host)
        self.serve(own.options())
        return own

    def trust(self, own: ssl.PrivateCertificate) -> None:
        """Makes a client that trusts this certificate."""
        root = ssl.trustRootFromCertificates([ssl.Certificate.loadPEM(own.dumpPEM())])
        self.client = self.make_client(trust_root=root)

    @asynchronous
    async def test_untrusted(self) -> None:
        """A certificate that nobody vouches for is refused, and the error says so."""
        self.secured(x509.IPAddress(ip_address("127.0.0.1")))
        error = await self.assertFailure(self.post(), UpstreamUnreachable)
        self.assertIn("TLS certificate not trusted", str(error))
        self.assertEqual(self.server.connections[0].requests, [])

    @asynchronous
    async def test_other_host(self) -> None:
        """A trusted certificate for another host is refused."""
        self.trust(self.secured(x509.DNSName("other.example")))
        error = await self.assertFailure(self.post(), UpstreamUnreachable)
        self.assertEqual(str(error), "TLS certificate not trusted: it is for another host")
        self.assertEqual(self.server.connections[0].requests, [])

    @asynchronous
    async def test_trusted(self) -> None:
        """With an injected trust root calls and kept connections work as without TLS."""
        self.trust(self.secured(x509.IPAddress(ip_address("127.0.0.1"))))
        for _ in range(2):
            await self.answered()
        self.assertEqual(len(self.server.connections), 1)

    @asynchronous
    async def test_cancel(self) -> None:
        """Cancelling closes a TLS connection at once too, though the server says no farewell."""
        self.trust(self.secured(x509.IPAddress(ip_address("127.0.0.1"))))
        body = SSEBody(Inbox().deliver)
        connection, done = await self.streaming(body)
        body.pauseProducing()
        connection.chunk(ONE * 10_000)
        done.cancel()
        await self.assertFailure(done, CancelledError)
        await connection.lost

    @asynchronous
    async def test_handshake_timeout(self) -> None:
        """A handshake that does not come to its end is no connection."""
        self.url = self.url.replace("http:", "https:")
        error = await self.assertFailure(self.post(connect=0.2), UpstreamTimeout)
        self.assertEqual(str(error), "no connection within 0.2 seconds")
        await self.server.connections[0].lost

    @asynchronous
    async def test_slow_answer(self) -> None:
        """After the handshake the limit for connecting is over."""
        self.trust(self.secured(x509.IPAddress(ip_address("127.0.0.1"))))
        for _ in range(2):
            sent = self.post(connect=0.2, headers=5)
            connection = await self.server.request()
            await self.wait(0.3)
            connection.answer(b"ok")
            self.assertEqual(await (await sent).whole(LIMIT), b"ok")
        self.assertEqual(len(self.server.connections), 1)

    @asynchronous
    async def test_cut(self) -> None:
        """A TLS connection that breaks is told like any other."""
        self.trust(self.secured(x509.IPAddress(ip_address("127.0.0.1"))))
        connection, done = await self.streaming(SSEBody(Inbox().deliver))
        transport: Any = connection.transport
        transport.abortConnection()
        error = await self.assertFailure(done, UpstreamUnreachable)
        self.assertEqual(str(error), "connection lost in mid-answer")

    @asynchronous
    async def test_plain_server(self) -> None:
        """TLS spoken to a server that does not is an error that names TLS."""
        self.url = self.url.replace("http:", "https:")
        sent = self.post()
        sent.addBoth(lambda result: result)
        while not self.server.connections:
            await self.wait(0.01)
        self.server.connections[0].write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        error = await self.assertFailure(sent, UpstreamUnreachable)
        self.assertIn("TLS failed", str(error))
