"""A simulator on a real socket, and a client that speaks to it as aiproxy would."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from twisted.web.client import Agent, FileBodyProducer, HTTPConnectionPool, ResponseDone
from twisted.web.http_headers import Headers

from aiproxy import codings, ir
from aiproxy.framing.sse import SSEDecoder
from aiproxy.providers import apikey
from aiproxy.simulator import Simulator
from aiproxy.wire import INBOUND, OUTBOUND

reactor: Any = _reactor

WIRES = tuple(INBOUND)
_ROWS = {row.wire: row for row in apikey.ROWS}


def question(model: str, text: str = "Hello, 漢字 and 😀!", **changed: Any) -> ir.Request:
    """A request of no wire in particular."""
    turns = (ir.Turn("user", (ir.Text(text),)),)
    return ir.replace(
        ir.Request("", model, True, turns, max_output_tokens=1000, include_usage=True), **changed
    )


@dataclass(frozen=True)
class Answered:
    """
    One answer. body: decoded, as far as it came. is_complete: the connection did not break.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    is_complete: bool


def decoded(wire: str, body: bytes) -> list[ir.Event]:
    """A stream's events. Raises UpstreamProtocolError when it is cut short or no stream."""
    framing, decoder = SSEDecoder(), OUTBOUND[wire].StreamDecoder()
    events: list[ir.Event] = []
    for message in framing.feed(body) + framing.close():
        events += decoder.feed(message)
    return events + list(decoder.close())


class SimulatorCase(TestCase):
    """Each test has its own simulator, `self.simulator`, at `self.url`."""

    timeout = 30

    def setUp(self) -> None:
        self.simulator = Simulator(reactor)
        site = self.simulator.site()
        port = reactor.listenTCP(0, site, interface="127.0.0.1")
        self.addCleanup(self._stop, port)
        self.url = f"http://127.0.0.1:{port.getHost().port}"
        self.agent = Agent(reactor, HTTPConnectionPool(reactor, persistent=False))

    async def _close(self, port: Any) -> None:
        await maybeDeferred(port.stopListening)
        await self.simulator.record.until(lambda: self.simulator.record.connections == 0)

    def _stop(self, port: Any) -> Deferred[None]:
        return Deferred.fromCoroutine(self._close(port))

    def sent(self, wire: str, request: ir.Request, key: str = "demo") -> Deferred[Any]:
        """A POST of `request`; fires with Twisted's response when the headers are there."""
        row = _ROWS[wire]
        return self.post(
            row.path(request.model, "generate", request.stream),
            OUTBOUND[wire].encode_request(request).body,
            (*row.authorize(key), *row.headers),
        )

    def post(self, path: str, body: bytes, headers: Sequence[tuple[str, str]]) -> Deferred[Any]:
        """A POST of these bytes."""
        given = Headers({"Content-Type": ["application/json"]})
        for name, value in headers:
            given.setRawHeaders(name, [value])
        return self.request(b"POST", path, given, body)

    def request(self, method: bytes, path: str, headers: Headers, body: bytes) -> Deferred[Any]:
        """Fires with Twisted's response when the headers are there."""
        producer = FileBodyProducer(BytesIO(body)) if body else None
        sent: Deferred[Any] = self.agent.request(
            method, (self.url + path).encode(), headers, producer
        )
        return sent

    async def ask(self, wire: str, request: ir.Request, key: str = "demo") -> Answered:
        """The whole answer to `request`, even when it breaks off."""
        return await received(await self.sent(wire, request, key))

    async def aborted(self, count: int) -> None:
        """Ends when that many clients have left, and no stream is open."""
        record = self.simulator.record
        await record.until(lambda: record.aborted == count and record.streams == 0)

    async def response(self, wire: str, request: ir.Request) -> ir.Response:
        """The answer as a stream and as a whole, which must be the same."""
        streamed = await self.ask(wire, ir.replace(request, stream=True))
        self.assertEqual(streamed.status, 200, streamed.body)
        self.assertEqual(streamed.headers["content-type"], "text/event-stream")
        whole = await self.ask(wire, ir.replace(request, stream=False))
        self.assertEqual(whole.status, 200, whole.body)
        folded = ir.fold(decoded(wire, streamed.body))
        reply = OUTBOUND[wire].decode_reply(whole.status, whole.body)
        assert isinstance(folded, ir.Response)
        assert isinstance(reply, ir.Response)
        self.assertEqual(ir.replace(folded, extras=None), ir.replace(reply, extras=None))
        return folded

    async def refused(self, wire: str, request: ir.Request, key: str = "demo") -> ir.ErrorReply:
        """The error that answers `request`."""
        answered = await self.ask(wire, request, key)
        reply = OUTBOUND[wire].decode_reply(answered.status, answered.body)
        assert isinstance(reply, ir.ErrorReply), reply
        return reply


class Reader(Protocol):
    """
    Reads an answer.

    begun: fires with the first bytes. done: with whether the answer is complete.
    """

    def __init__(self) -> None:
        self.body = b""
        self.begun: Deferred[bytes] = Deferred()
        self.done: Deferred[bool] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        self.body += data
        if not self.begun.called:
            self.begun.callback(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.done.callback(reason.check(ResponseDone) is not None)

    def leave(self) -> None:
        """Close the connection at once."""
        assert self.transport is not None
        self.transport.loseConnection()


def read(response: Any) -> Reader:
    """Begin to read an answer."""
    reader = Reader()
    response.deliverBody(reader)
    return reader


async def received(response: Any) -> Answered:
    """All that comes of an answer."""
    reader = read(response)
    is_complete = await reader.done
    headers = {
        name.decode().lower(): values[0].decode()
        for name, values in response.headers.getAllRawHeaders()
    }
    return Answered(response.code, headers, reader.body, is_complete)


def inflated(answered: Answered) -> bytes:
    """The body without its content coding."""
    coding = codings.parse(answered.headers.get("content-encoding", ""))
    return codings.decode(answered.body, coding, 1 << 20)
