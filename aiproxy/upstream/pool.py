"""
Connections to upstreams: kept alive between calls, one call at a time on each.

A `Lease` is one call's use of one connection, and the agent that treq gets for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

from twisted.internet.defer import Deferred, fail
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import IDelayedCall, IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.task import deferLater
from twisted.web.client import BrowserLikePolicyForHTTPS, HostnameCachingHTTPSPolicy
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IResponse
from zope.interface import implementer

from aiproxy.http1 import Outbox
from aiproxy.messages import Value
from aiproxy.settings import Home
from aiproxy.upstream.connection import Answer, Connection, SecureConnection
from aiproxy.upstream.head import Address, Fields, place_of

_MAX_IDLE_PER_HOST = 20

# Below the 60 seconds after which common servers and load balancers close an idle connection, so
# that seldom the one is closing what the other begins to use.
_MAX_IDLE_SECONDS = 50.0

# One clock for all idle connections, which are closed so much later at the most.
_SWEEP_SECONDS = 5.0


class Clocks(Protocol):
    """Who limits the time of a call's phases."""

    def connecting(self) -> None:
        """There is no connection yet."""

    def ready(self) -> None:
        """TCP and, where it is used, TLS have made their handshakes: the request is sent."""


class _Idle(Value, frozen=True):
    """since: seconds on the clock."""

    connection: Connection
    since: float


class Pool:
    """
    All connections of one client.

    trust_root: whom to trust for TLS, as `optionsForClientTLS` takes it; None is the platform's
        certificate store.
    """

    def __init__(self, reactor: Any, trust_root: object = None) -> None:
        self._reactor = reactor
        self._policy = HostnameCachingHTTPSPolicy(BrowserLikePolicyForHTTPS(trust_root))
        self._addresses: dict[Connection, Address] = {}
        self._idle: dict[Address, list[_Idle]] = {}
        self._homes: frozenset[Home] | None = None
        self._sweeping: IDelayedCall | None = None
        self._outbox = Outbox()

    def idle(self, address: Address) -> Connection | None:
        """A connection that waits for its next call: the one that did so for the shortest time."""
        waiting = self._idle.get(address)
        return waiting.pop().connection if waiting else None

    def connect(self, address: Address, secured: Callable[[], None]) -> Deferred[Connection]:
        """
        A new connection. secured: called when TLS has made its handshake; never without TLS.

        The Deferred fires when TCP is there: what is written waits for TLS.
        """

        def plain() -> Connection:
            return Connection(self._keep, self._forget, self._outbox)

        def secure() -> Connection:
            connection = SecureConnection(self._keep, self._forget, self._outbox)
            connection.secured = secured
            return connection

        def connected(connection: Any) -> Connection:
            self._addresses[connection] = address
            return connection

        try:
            endpoint = self._endpoint(address)
        except Exception:
            return fail()
        factory = Factory.forProtocol(secure if address.scheme == b"https" else plain)
        factory.noisy = False
        return endpoint.connect(factory).addCallback(connected)

    def keep_for(self, homes: Iterable[Home]) -> None:
        """Connections last used for others are closed: now if idle, or when their call ends."""
        self._homes = frozenset(homes)
        self._cut_idle(lambda one: not self._is_wanted(one.connection))

    def close(self) -> Deferred[None]:
        """Cuts every connection, also those in use; fires when they are gone."""
        for connection in tuple(self._addresses):
            connection.cut()
        self._idle.clear()
        if self._sweeping is not None:
            self._sweeping.cancel()
            self._sweeping = None
        # An aborted transport reports its end in the reactor's next round.
        gone: Deferred[None] = deferLater(self._reactor, 0)
        return gone

    def _endpoint(self, address: Address) -> IStreamClientEndpoint:
        scheme, host, port = address
        endpoint = HostnameEndpoint(self._reactor, host.decode("ascii"), port)
        if scheme == b"http":
            return endpoint
        return wrapClientTLS(self._policy.creatorForNetloc(host, port), endpoint)

    def _keep(self, connection: Connection) -> None:
        address = self._addresses.get(connection)
        if address is None:
            return
        if not self._is_wanted(connection):
            connection.cut()
            return
        waiting = self._idle.setdefault(address, [])
        waiting.append(_Idle(connection, self._reactor.seconds()))
        if len(waiting) > _MAX_IDLE_PER_HOST:
            waiting.pop(0).connection.cut()
        if self._sweeping is None:
            self._sweeping = self._reactor.callLater(_SWEEP_SECONDS, self._sweep)

    def _forget(self, connection: Connection) -> None:
        address = self._addresses.pop(connection, None)
        if address is not None:
            waiting = self._idle.get(address, [])
            waiting[:] = [one for one in waiting if one.connection is not connection]

    def _sweep(self) -> None:
        self._sweeping = None
        latest = self._reactor.seconds() - _MAX_IDLE_SECONDS
        self._cut_idle(lambda one: one.since <= latest)
        if self._idle:
            self._sweeping = self._reactor.callLater(_SWEEP_SECONDS, self._sweep)

    def _is_wanted(self, connection: Connection) -> bool:
        return self._homes is None or connection.home in self._homes

    def _cut_idle(self, is_over: Callable[[_Idle], bool]) -> None:
        for address, waiting in tuple(self._idle.items()):
            over = [one for one in waiting if is_over(one)]
            waiting[:] = [one for one in waiting if not is_over(one)]
            if not waiting:
                del self._idle[address]
            for one in over:
                one.connection.cut()


@implementer(IAgent)
class Lease:
    """
    One call's use of one connection, as treq sees it: an agent.

    fields: the header block, without Host and Content-Length; what treq would add is left out.
    home: of the upstream that is asked.
    clocks: told how far the call is.
    is_fresh: ask for a new connection, even where one is idle.
    answer: whole, whatever treq makes of it. is_reused: an earlier call had used the connection.
    """

    answer: Answer

    def __init__(
        self, pool: Pool, home: Home, fields: Fields, clocks: Clocks, *, is_fresh: bool
    ) -> None:
        self._pool = pool
        self._home = home
        self._fields = fields
        self._clocks = clocks
        self._is_fresh = is_fresh
        self.is_reused = False

    def request(
        self,
        method: bytes,
        uri: bytes,
        headers: Headers | None = None,
        bodyProducer: Any = None,
    ) -> Deferred[IResponse]:
        place = place_of(uri)
        body: bytes = b"" if bodyProducer is None else bodyProducer.body
        head = self._fields.head(method, place, len(body))
        connection = None if self._is_fresh else self._pool.idle(place.address)
        if connection is not None:
            self.is_reused = True
            connection.home = self._home
            self._clocks.ready()
            return connection.ask(head, body).addCallback(self._answered)

        def connected(connection: Connection) -> Deferred[Answer]:
            connection.home = self._home
            if place.address.scheme == b"http":
                self._clocks.ready()
            return connection.ask(head, body)

        self._clocks.connecting()
        connecting = self._pool.connect(place.address, self._clocks.ready)
        return connecting.addCallback(connected).addCallback(self._answered)

    def _answered(self, answer: Answer) -> IResponse:
        self.answer = answer
        return answer
