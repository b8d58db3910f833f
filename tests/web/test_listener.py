"""Sockets that listen before the reactor knows of them."""

from __future__ import annotations

import socket

from aiproxy.web import Listener, bound, shown
from tests.upstream.cases import asynchronous
from tests.web.cases import WebCase
from tests.web.clients import connected


class ListenerTests(WebCase):
    """From a bound socket to a closed one."""

    @asynchronous
    async def test_service(self) -> None:
        """Clients that come before the start are served after it; after the stop, nobody is."""
        listening = bound("127.0.0.1", 0)
        port = listening.getsockname()[1]
        client = await connected(self.reactor, port)
        client.get("/healthz")
        listener = Listener(self.reactor, listening, self.site)
        listener.startService()
        self.assertEqual((await client.answer()).status, 200)
        client.close()
        await client.lost
        stopped = listener.stopService()
        assert stopped is not None
        await stopped
        with self.assertRaises(ConnectionRefusedError), socket.socket() as late:
            late.connect(("127.0.0.1", port))

    def test_taken(self) -> None:
        """A port that is taken is an error at once."""
        with bound("127.0.0.1", 0) as first:
            self.assertRaises(OSError, bound, "127.0.0.1", first.getsockname()[1])

    def test_every_interface(self) -> None:
        """ "::" takes IPv4 too."""
        if not socket.has_dualstack_ipv6():
            raise self.skipTest("this machine has no IPv6")
        with bound("::", 0) as listening, socket.socket() as client:
            client.connect(("127.0.0.1", listening.getsockname()[1]))

    def test_shown(self) -> None:
        """An IPv6 address stands in brackets."""
        self.assertEqual(shown("::1", 80), "[::1]:80")
        self.assertEqual(shown("127.0.0.1", 80), "127.0.0.1:80")
