"""An HTTP client that shows what arrives when, and how it ends."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import Agent, HTTPConnectionPool, ResponseDone
from twisted.web.http_headers import Headers
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer


@implementer(IBodyProducer)
class _Bytes:
    def __init__(self, body: bytes) -> None:
        self._body = body
        self.length: Any = len(body)

    def startProducing(self, consumer: Any) -> Deferred[None]:
        done: Deferred[None] = Deferred()
        consumer.write(self._body)
        done.callback(None)
        return done

    def pauseProducing(self) -> None:
        """Nothing is left."""

    def resumeProducing(self) -> None:
        """Nothing is left."""

    def stopProducing(self) -> None:
        """Nothing is left."""


class Arriving(Protocol):
    """
    An answer as it comes.

    data: the body so far. is_complete: None while it runs, then whether it ended as it should.
    """

    def __init__(self, response: Any) -> None:
        self.status: int = response.code
        self.headers: dict[str, str] = {
            name.decode().lower(): values[0].decode()
            for name, values in response.headers.getAllRawHeaders()
        }
        self.data = b""
        self.is_complete: bool | None = None
        self._waiting: list[tuple[Callable[[], bool], Deferred[None]]] = []
        response.deliverBody(self)

    def dataReceived(self, data: bytes) -> None:
        self.data += data
        self._changed()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.is_complete = reason.check(ResponseDone) is not None
        self._changed()

    def contains(self, text: bytes) -> Deferred[None]:
        """Fires as soon as the body contains `text`; at the end in any case."""
        return self._until(lambda: text in self.data)

    def end(self) -> Deferred[None]:
        """Fires when the body is over, either way."""
        return self._until(lambda: False)

    def leave(self) -> None:
        """Close the connection."""
        transport: Any = self.transport
        (getattr(transport, "abortConnection", None) or transport.loseConnection)()

    @property
    def json(self) -> Any:
        return json.loads(self.data)

    def _until(self, condition: Callable[[], bool]) -> Deferred[None]:
        wanted: Deferred[None] = Deferred()
        self._waiting.append((condition, wanted))
        self._changed()
        return wanted

    def _changed(self) -> None:
        for entry in tuple(self._waiting):
            condition, wanted = entry
            if condition() or self.is_complete is not None:
                self._waiting.remove(entry)
                wanted.callback(None)


async def begun(
    method: str,
    url: str,
    body: bytes | Mapping[str, Any] = b"",
    headers: Mapping[str, str] | None = None,
) -> Arriving:
    """Send a request on a connection of its own; comes back when the answer's head is there."""
    from twisted.internet import reactor

    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    agent = Agent(reactor, pool=HTTPConnectionPool(reactor, persistent=False))
    given = {"content-type": "application/json", **(headers or {})} if sent else headers or {}
    response = await agent.request(
        method.encode(),
        url.encode(),
        Headers({name: [value] for name, value in given.items()}),
        _Bytes(sent) if sent else None,
    )
    return Arriving(response)


async def answered(
    method: str,
    url: str,
    body: bytes | Mapping[str, Any] = b"",
    headers: Mapping[str, str] | None = None,
) -> Arriving:
    """Send a request and take the answer to its end."""
    arriving = await begun(method, url, body, headers)
    await arriving.end()
    return arriving


async def post(
    url: str, body: bytes | Mapping[str, Any], headers: Mapping[str, str] | None = None
) -> Arriving:
    """POST, and take the answer to its end."""
    return await answered("POST", url, body, headers)


async def get(url: str, headers: Mapping[str, str] | None = None) -> Arriving:
    """GET, and take the answer to its end."""
    return await answered("GET", url, b"", headers)
