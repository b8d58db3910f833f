"""
One connection to an upstream: HTTP/1.1, one request at a time.

llhttp parses what comes. All bytes of a body that one read brings, however many chunks they are,
go to the body in one piece. Nothing here waits or decides when to give up: that is for the clocks
of the call, which abort the connection.

Errors are those of twisted.web's client: ResponseNeverReceived as long as no byte of an answer
has come, ResponseFailed from then on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from httptools import (
    HttpParserError,
    HttpParserUpgrade,
    HttpResponseParser,
)
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHandshakeListener, ITCPTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone, ResponseFailed, ResponseNeverReceived
from twisted.web.http import PotentialDataLoss
from twisted.web.iweb import UNKNOWN_LENGTH, IResponse
from zope.interface import implementer

from aiproxy.http1 import MAX_BYTES, Outbox, send_some
from aiproxy.settings import Home
from aiproxy.upstream.head import NO_HEADERS

RawHeaders: TypeAlias = tuple[tuple[bytes, bytes], ...]
"""As received, in order."""

MAX_BARE_BYTES = 256 * 1024
"""Without anything of a body among them: of a head, of trailers, of what comes with chunks."""

_DONE = Failure(ResponseDone("the answer is complete"))
_CLOSED = Failure(PotentialDataLoss())


@implementer(IResponse)
class Answer:
    """
    The head of an answer, and the transport of whoever takes its body.

    raw_headers: all of them; `headers`, which treq looks at, are empty.
    early: what has come of the body before anybody took it.
    """

    version = (b"HTTP", 1, 1)
    headers = NO_HEADERS
    length = UNKNOWN_LENGTH
    request = None
    previousResponse = None

    def __init__(
        self, connection: Connection, code: int, phrase: bytes, raw_headers: RawHeaders
    ) -> None:
        self.code = code
        self.phrase = phrase
        self.raw_headers = raw_headers
        self._connection: Connection | None = connection
        self._body: Any = None
        self.early: list[bytes] = []
        self._end: Failure | None = None

    def deliverBody(self, protocol: Any) -> None:
        protocol.makeConnection(self)
        early, self.early = self.early, []
        if early:
            protocol.dataReceived(b"".join(early))
        if self._end is not None:
            protocol.connectionLost(self._end)
        else:
            self._body = protocol
            self.resumeProducing()

    def setPreviousResponse(self, response: IResponse) -> None:
        """No redirect is ever followed."""

    def received(self, data: bytes) -> None:
        """More of the body. Without anybody to take it, no more than this is read."""
        if self._body is None:
            self.early.append(data)
            self.pauseProducing()
        else:
            self._body.dataReceived(data)

    def ended(self, reason: Failure) -> None:
        """The body is over; the connection may be another call's from now on."""
        self._connection = None
        self._end = reason
        body, self._body = self._body, None
        if body is not None:
            body.connectionLost(reason)

    def pauseProducing(self) -> None:
        if self._connection is not None:
            self._connection.pause()

    def resumeProducing(self) -> None:
        if self._connection is not None:
            self._connection.resume()

    def abort(self) -> None:
        """Cuts the connection at once, if it is still this answer's."""
        if self._connection is not None:
            self._connection.cut()

    loseConnection = abort


class Connection(Protocol):
    """
    A connection that is kept between calls.

    idle: told when a call has ended well and the next one may come. gone: told at the end.
    outbox: takes requests of usual size.
    home: of the upstream whose call used it last.
    """

    transport: Any
    home: Home = ()

    def __init__(
        self,
        idle: Callable[[Connection], None],
        gone: Callable[[Connection], None],
        outbox: Outbox,
    ) -> None:
        self._idle = idle
        self._gone = gone
        self._outbox = outbox
        self._parser: HttpResponseParser | None = HttpResponseParser(self)
        self._waiting: Deferred[Answer] | None = None
        self._answer: Answer | None = None
        self._body: _Body | None = None
        self._is_paused = False
        self._is_cut = False
        self._begin()

    def _begin(self) -> None:
        """Ready for the next answer."""
        self._headers: list[tuple[bytes, bytes]] = []
        self._pieces: list[bytes] = []
        self._phrase = b""
        self._code = 0
        self._bare_bytes = 0
        self._is_head_there = False
        self._is_complete = False
        self._is_kept = False
        self._is_beyond = False

    def connectionMade(self) -> None:
        if ITCPTransport.providedBy(self.transport):
            self.transport.setTcpNoDelay(True)

    def ask(self, head: bytes, body: bytes) -> Deferred[Answer]:
        """
        Send a request; fires when the head of its answer is there.

        Cancelling it cuts the connection.
        """
        waiting: Deferred[Answer] = Deferred(self._cancelled)
        self._waiting = waiting
        if len(head) + len(body) <= MAX_BYTES:
            self._outbox.write(self.transport, head + body)
        else:
            # Behind an earlier request, if that was answered before it had been sent.
            self._outbox.flush(self.transport)
            self._body = _Body(self.transport, head, body)
        return waiting

    def pause(self) -> None:
        self._is_paused = True
        self.transport.pauseProducing()

    def resume(self) -> None:
        if self._is_paused:
            self._is_paused = False
            self.transport.resumeProducing()

    def cut(self) -> None:
        """Close at once. A TLS transport fails when it is aborted after its end."""
        self._is_cut = True
        if self._body is not None:
            self._body.stopProducing()
        if self.transport.connected:
            self.transport.abortConnection()

    def _cancelled(self, _: object) -> None:
        self._waiting = None
        self.cut()

    def dataReceived(self, data: bytes) -> None:
        if self._parser is None or (self._waiting is None and self._answer is None):
            # Nobody has asked, or nobody wants to know any more.
            self.cut()
            return
        self._bare_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade):
            # Not to be kept, even when an answer was complete before that.
            self._is_cut = True
            self._tell()
            self._broke(Failure())
            self.cut()
        else:
            if self._bare_bytes > MAX_BARE_BYTES:
                self.cut()
            else:
                self._tell()

    def _tell(self) -> None:
        """Hand on what one read has brought."""
        if self._waiting is not None and self._is_head_there:
            waiting, self._waiting = self._waiting, None
            answer = Answer(self, self._code, self._phrase, tuple(self._headers))
            if self._is_complete:
                answer.early, self._pieces = self._pieces, []
                self._finish(answer)
            else:
                self._answer = answer
            waiting.callback(answer)
        current = self._answer
        if current is None:
            return
        if self._pieces:
            pieces, self._pieces = self._pieces, []
            current.received(b"".join(pieces))
        if self._is_complete and self._answer is current:
            self._finish(current)

    def _finish(self, answer: Answer) -> None:
        self._answer = None
        is_sent = self._body is None or self._body.is_sent
        if self._is_kept and is_sent and not self._is_beyond and not self._is_cut:
            self._body = None
            self.resume()
            self._begin()
            self._idle(self)
        else:
            self.cut()
        answer.ended(_DONE)

    def _broke(self, reason: Failure) -> None:
        """What was under way fails."""
        waiting, self._waiting = self._waiting, None
        answer, self._answer = self._answer, None
        if waiting is not None:
            kind = ResponseFailed if self._bare_bytes else ResponseNeverReceived
            waiting.errback(kind([reason]))
        elif answer is not None:
            answer.ended(Failure(ResponseFailed([reason])))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        # It holds methods of this object, and only the collector could part them.
        self._parser = None
        self._gone(self)
        answer = self._answer
        if answer is not None and not _is_framed(answer):
            self._answer = None
            answer.ended(_CLOSED)
        else:
            self._broke(reason)

    # Called by the parser.

    def on_message_begin(self) -> None:
        self._is_beyond = self._is_complete

    def on_status(self, phrase: bytes) -> None:
        self._phrase += phrase

    def on_header(self, name: bytes, value: bytes) -> None:
        # Trailers are no part of the head, even where one read brings both.
        if not self._is_head_there:
            self._headers.append((name, value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        if self._is_beyond or self._parser is None:
            return
        self._code = self._parser.get_status_code()
        if self._code >= 200:
            self._is_head_there = True

    def on_body(self, data: bytes) -> None:
        if not self._is_beyond:
            self._bare_bytes = 0
            self._pieces.append(data)

    def on_message_complete(self) -> None:
        if self._is_head_there:
            self._is_complete = True
            self._is_kept = self._parser is not None and self._parser.should_keep_alive()
        else:
            # 100 Continue and its like, before the answer.
            self._headers.clear()
            self._phrase = b""


def _is_framed(answer: Answer) -> bool:
    """Whether its end is known without the connection's."""
    return answer.code in (204, 304) or any(
        name.lower() in _FRAMING for name, _ in answer.raw_headers
    )


_FRAMING = frozenset((b"content-length", b"transfer-encoding"))


@implementer(IHandshakeListener)
class SecureConnection(Connection):
    """
    The same over TLS.

    secured: called when the handshake is done; a request may have been queued before.
    """

    secured: Callable[[], None] | None = None

    def handshakeCompleted(self) -> None:
        if self.secured is not None:
            self.secured()


class _Body:
    """
    A large request on its way: what the kernel takes at once, then a slice for the transport.

    The transport asks for more when its slice has left, that is, when there is room again.

    is_sent: all of it has left.
    """

    def __init__(self, transport: Any, head: bytes, body: bytes) -> None:
        self._transport = transport
        sent = send_some(transport, head, body)
        if sent < len(head):
            transport.write(head[sent:])
        self._rest = memoryview(body)[max(sent - len(head), 0) :]
        self.is_sent = not self._rest
        if not self.is_sent:
            transport.registerProducer(self, False)

    def resumeProducing(self) -> None:
        if self._rest:
            self._rest = self._rest[send_some(self._transport, self._rest) :]
        if self._rest:
            self._transport.write(bytes(self._rest[:_SLICE_BYTES]))
            self._rest = self._rest[_SLICE_BYTES:]
        else:
            self.is_sent = True
            self.stopProducing()

    def pauseProducing(self) -> None:
        """It is asked for each piece, and then gives one."""

    def stopProducing(self) -> None:
        self._rest = memoryview(b"")
        self._transport.unregisterProducer()


_SLICE_BYTES = 128 * 1024
"""What twisted gives to the kernel at once."""
