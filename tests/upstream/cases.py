"""
A client and a scripted server, joined by real sockets.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from aiproxy.framing.sse import Message
from aiproxy.messages import HttpRequest
from aiproxy.settings import Home
from aiproxy.upstream.body import SSEBody
from aiproxy.upstream.client import UpstreamClient, UpstreamReply
from tests.upstream.servers import Connection, Server, timeouts

ONE = b"data: 1\n\n"
TWO = b"data: 2\n\n"
LIMIT = 1 << 20


def asynchronous(test: Callable[[Any], Coroutine[Any, Any, None]]) -> Callable[[Any], Any]:
    """Lets trial run a coroutine."""

    def run(self: TestCase) -> Deferred[None]:
        return Deferred.fromCoroutine(test(self))

    run.__doc__ = test.__doc__
    run.__name__ = test.__name__
    return run


class Inbox:
    """
    Receives what a body delivers.

    lists: one entry for each delivery. delivered: told after each.
    """

    def __init__(self, delivered: Callable[[], None] = lambda: None) -> None:
        self.lists: list[list[Message]] = []
        self.delivered = delivered
        self._waiting: list[Deferred[None]] = []

    @property
    def data(self) -> list[bytes]:
        return [message.data for messages in self.lists for message in messages]

    def deliver(self, messages: list[Message]) -> None:
        self.lists.append(messages)
        self.delivered()
        waiting, self._waiting = self._waiting, []
        for deferred in waiting:
            deferred.callback(None)

    def next(self) -> Deferred[None]:
        """Fires at the next delivery."""
        deferred: Deferred[None] = Deferred()
        self._waiting.append(deferred)
        return deferred


class ClientCase(TestCase):
    """One client and one server."""

    timeout = 20

    def setUp(self) -> None:
        from twisted.internet import reactor

        self.reactor: Any = reactor
        self.serve()
        self.client = self.make_client()

    def serve(self, context: Any = None) -> None:
        """Starts a server, to which all requests go from now on."""
        server = self.server = Server()
        self.url = server.listen(self.reactor, context)
        self.addCleanup(lambda: Deferred.fromCoroutine(server.stop()))

    def make_client(self, **options: Any) -> UpstreamClient:
        """A client that is closed after the test."""
        client = UpstreamClient(self.reactor, **options)
        self.addCleanup(client.close)
        return client

    def post(
        self, body: bytes = b"{}", home: Home = (), /, **limits: float
    ) -> Deferred[UpstreamReply]:
        """Sends a POST to the server."""
        request = HttpRequest("POST", self.url + "/v1/x?a=1", (), body)
        return self.client.request(request, timeouts(**limits), home=home)

    async def answered(self, body: bytes = b"ok", home: Home = ()) -> Connection:
        """One complete call; gives the server's connection."""
        sent = self.post(b"{}", home)
        connection = await self.server.request()
        connection.answer(body)
        self.assertEqual(await (await sent).whole(LIMIT), body)
        return connection

    async def streaming(
        self, body: SSEBody, *headers: bytes, **limits: float
    ) -> tuple[Connection, Deferred[Any]]:
        """A call whose answer has begun; gives the server's connection and the end of the body."""
        sent = self.post(**limits)
        connection = await self.server.request()
        connection.begin(*headers)
        return connection, (await sent).stream(body)

    def wait(self, seconds: float) -> Deferred[None]:
        """For what has no event to wait for: that something does not happen."""
        return deferLater(self.reactor, seconds)
