"""
Connections to upstreams: kept alive between calls, one call at a time on each.

twisted.web's pool keeps them; what it lacks is added by the `Lease`, which stands between an Agent
and the pool for one call: when the connection is ready, whether it had been used before, and a way
to cut it at once. (`loseConnection`, all that a response offers, waits for
the peer to take what is queued, and with TLS for its farewell.)
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import IHandshakeListener, IStreamClientEndpoint
from twisted.internet.task import deferLater
from twisted.web.client import (
    URI,
    Agent,
    BrowserLikePolicyForHTTPS,
    HostnameCachingHTTPSPolicy,
    HTTPConnectionPool,
)
from twisted.web.error import SchemeNotSupported
from twisted.web.iweb import IAgent, IAgentEndpointFactory
from zope.interface import alsoProvides, implementer

if TYPE_CHECKING:
    from twisted.web._newclient import HTTP11ClientProtocol

_MAX_IDLE_PER_HOST = 20

# With the beginning of the body, of which one read may hold 64 KiB.
_MAX_HEAD_BYTES = 256 * 1024

# Below the 60 seconds after which common servers and load balancers close an idle connection, so
# that seldom the one is closing what the other begins to use.
_MAX_IDLE_SECONDS = 50


class Pool:
    """
    All connections of one client.

    trust_root: whom to trust for TLS, as `optionsForClientTLS` takes it; None is the platform's
        certificate store.
    """

    def __init__(self, reactor: Any, trust_root: object = None) -> None:
        self._reactor = reactor
        self._endpoints = _Endpoints(reactor, trust_root)
        self._kept = HTTPConnectionPool(reactor, persistent=True)
        self._kept.maxPersistentPerHost = _MAX_IDLE_PER_HOST
        self._kept.cachedConnectionTimeout = _MAX_IDLE_SECONDS
        self._kept.retryAutomatically = False
        self._single_use = HTTPConnectionPool(reactor, persistent=False)
        # The values must not lead back to their keys, or no entry would ever go away.
        self._uses: WeakKeyDictionary[HTTP11ClientProtocol, _Use] = WeakKeyDictionary()

    def lease(self) -> Lease:
        """For one call: an idle connection when there is one, else a new one that will be kept."""
        return Lease(self, self._kept)

    def single_use(self) -> Lease:
        """For one call: a new connection, closed after it."""
        return Lease(self, self._single_use)

    def close(self) -> Deferred[None]:
        """Cuts every connection, also those in use; fires when they are gone."""
        for connection in list(self._uses):
            _cut(connection)
        # An aborted transport reports its end in the reactor's next round.
        gone: Deferred[None] = deferLater(self._reactor, 0)
        return gone.addCallback(lambda _: self._kept.closeCachedConnections())


@dataclass(eq=False, slots=True)
class _Use:
    """
    What the pool knows of the call that uses a connection, or used it last.

    head_bytes: read before the head of the answer was complete; None from then on.
    """

    head_bytes: int | None = 0


class Lease:
    """
    One call's use of one connection. To an Agent it looks like a pool.

    persistent: read by Agent; False adds "Connection: close".
    is_reused: whether an earlier call had used the connection; False until there is one.
    """

    def __init__(self, pool: Pool, connections: HTTPConnectionPool) -> None:
        self._pool = pool
        self._connections = connections
        self._on_ready: Callable[[], None] | None = None
        self._connection: HTTP11ClientProtocol | None = None
        self._use = _Use()
        self.persistent = connections.persistent
        self.is_reused = False

    def agent(self, on_ready: Callable[[], None]) -> IAgent:
        """
        An agent whose one request runs on this lease.

        on_ready: called once TCP and, where it is used, TLS have made their handshakes.
        """
        self._on_ready = on_ready
        return Agent.usingEndpointFactory(self._pool._reactor, self._pool._endpoints, self)

    def getConnection(
        self, key: Hashable, endpoint: IStreamClientEndpoint
    ) -> Deferred[HTTP11ClientProtocol]:
        """Called by the agent, with (scheme, host, port) as the key."""
        is_tls = isinstance(key, tuple) and key[0] == b"https"
        connecting = self._connections.getConnection(key, endpoint)
        return connecting.addCallback(self._connected, is_tls)

    def abort(self) -> None:
        """Cuts the connection at once, unless the call is over and the connection another's."""
        connection = self._connection
        if connection is None or self._pool._uses.get(connection) is not self._use:
            return
        if connection.state != "QUIESCENT":
            _cut(connection)

    def head_is_there(self) -> None:
        """From now on there is no limit to what the server sends."""
        self._use.head_bytes = None

    def _connected(self, connection: HTTP11ClientProtocol, is_tls: bool) -> HTTP11ClientProtocol:
        uses = self._pool._uses
        self.is_reused = connection in uses
        uses[connection] = self._use
        self._connection = connection
        if not self.is_reused:
            _bound_heads(connection, uses)
        if is_tls and not self.is_reused:
            # The request is queued at once; TLS sends it after its handshake, and says so.
            connection.handshakeCompleted = self._on_ready  # type: ignore[attr-defined]
            alsoProvides(connection, IHandshakeListener)
        elif self._on_ready is not None:
            self._on_ready()
        return connection


def _bound_heads(
    connection: HTTP11ClientProtocol, uses: WeakKeyDictionary[HTTP11ClientProtocol, _Use]
) -> None:
    """twisted.web keeps as many headers, and skips as many 1xx answers, as a server sends."""
    received = connection.dataReceived

    def data_received(data: bytes) -> None:
        use = uses[connection]
        if use.head_bytes is not None:
            use.head_bytes += len(data)
            if use.head_bytes > _MAX_HEAD_BYTES:
                _cut(connection)
                return
        received(data)

    connection.dataReceived = data_received  # type: ignore[method-assign]


def _cut(connection: HTTP11ClientProtocol) -> None:
    transport: Any = connection.transport
    # A TLS transport fails when it is aborted after its end.
    if transport.connected:
        transport.abortConnection()


@implementer(IAgentEndpointFactory)
class _Endpoints:
    """Plain TCP, or TLS with the host's certificate verified."""

    def __init__(self, reactor: Any, trust_root: object) -> None:
        self._reactor = reactor
        self._policy = HostnameCachingHTTPSPolicy(BrowserLikePolicyForHTTPS(trust_root))

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        endpoint = HostnameEndpoint(self._reactor, uri.host.decode("ascii"), uri.port)
        if uri.scheme == b"http":
            return endpoint
        if uri.scheme == b"https":
            return wrapClientTLS(self._policy.creatorForNetloc(uri.host, uri.port), endpoint)
        raise SchemeNotSupported(uri.scheme)
