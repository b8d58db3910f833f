"""
One client connection: HTTP/1.1 as twisted.web has it, with time limits of our own.

twisted.web restarts its one timer at every byte, so that a client may take forever to send a
request. Here each phase has its limit. And where an answer goes out before the request has been
read, the connection is closed in steps: a plain close would make the kernel send a reset, which
can destroy the answer before the client has read it.
"""

from __future__ import annotations

from enum import Enum
from socket import MSG_PEEK
from typing import TYPE_CHECKING, Any

from twisted.internet.abstract import FileDescriptor
from twisted.internet.interfaces import IAddress, IDelayedCall, ITCPTransport
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel, _IdentityTransferDecoder

from aiproxy.web.fasthead import read_head

if TYPE_CHECKING:
    from aiproxy.web.site import ApiSite, ClientRequest

MAX_HEAD_BYTES = 128 * 1024
"""Codex and some gateways put whole JSON documents into headers."""

_READ_BYTES = FileDescriptor.bufferSize
_LARGE_READ_BYTES = 8 * _READ_BYTES
"""At most so many bytes a round of the reactor; the second while a large body comes."""

IDLE_SECONDS = 75.0
"""For a kept connection; longer than common clients and load balancers keep theirs."""

FAREWELL_SECONDS = 5.0
"""For the client to take an answer that ends the connection."""

STALLED_SECONDS = 300.0
"""For the client to take anything of what waits for it, once its connection is full."""


class _Phase(Enum):
    IDLE = "between two requests"
    HEAD = "reading a request's head"
    BODY = "reading a request's body"
    ANSWER = "the request is complete"
    PARTING = "answered early: what else comes is thrown away"


class Channel(HTTPChannel):
    """site: set by the factory, like `timeOut`, the limit for an idle connection."""

    totalHeadersSize = MAX_HEAD_BYTES
    MAX_LENGTH = MAX_HEAD_BYTES

    site: ApiSite
    transport: Any
    requests: list[ClientRequest]

    def __init__(self) -> None:
        super().__init__()
        self._phase = _Phase.IDLE
        self._is_taking = False
        self._is_parting = False
        self._deadline: float | None = None
        self._timer: IDelayedCall | None = None
        self._cutting: IDelayedCall | None = None
        self._stalling: IDelayedCall | None = None
        self._unsent_bytes = 0
        self._host: Any = None
        self._peer: Any = None

    def connectionMade(self) -> None:
        super().connectionMade()
        if ITCPTransport.providedBy(self.transport):
            self.transport.setTcpKeepAlive(True)
        self._host, self._peer = self.transport.getHost(), self.transport.getPeer()
        self.site.channels.add(self)

    def getHost(self) -> IAddress:
        """Every request asks for it, and the transport would ask the kernel."""
        return self._host

    def getPeer(self) -> IAddress:
        """Likewise."""
        return self._peer

    def dataReceived(self, data: bytes) -> None:
        if self._phase is _Phase.PARTING:
            return
        if self._phase is _Phase.IDLE:
            self.site.wakes(self)
            if self._is_taking:
                # What comes behind a request that was answered at once; it is next.
                self._buffer += data
                return
            data = self._taken(data)
            if not data:
                return
            self._phase = _Phase.HEAD
            self.setTimeout(self.site.settings().timeouts.client_header)
        # Not HTTPChannel's own, which would restart the timer.
        super(HTTPChannel, self).dataReceived(data)

    def _taken(self, data: bytes) -> bytes:
        """What is left when requests of the common shape were taken: one after the other."""
        if self.requests or self._buffer:
            return data
        self._is_taking = True
        while data and self._phase is _Phase.IDLE and self._take(data):
            data, self._buffer = self._buffer, b""
        self._is_taking = False
        return data

    def _take(self, data: bytes) -> bool:
        """
        Begin a request of the common shape; False when it is not one.

        Only the head is read here: from then on the state is as twisted.web would have left it.
        """
        head = read_head(data)
        if head is None:
            return False
        request: Any = self.requestFactory(self, 0)
        self.requests.append(request)
        self._command, self._path, self._version = head.method, head.target, b"HTTP/1.1"
        self.persistent = True
        self.length = head.length
        request.began_with(head.headers, head.length)
        if self._is_parting:
            return True
        end = head.end + head.length
        if len(data) >= end:
            if head.length:
                request.handleContentChunk(data[head.end : end])
            self._finishRequestBody(data[end:])
            return True
        self._transferDecoder = _IdentityTransferDecoder(
            head.length, request.handleContentChunk, self._finishRequestBody
        )
        self.setRawMode()
        self._await_body()
        if len(data) > head.end:
            self.rawDataReceived(data[head.end :])
        return True

    def headerReceived(self, line: bytes) -> bool:
        try:
            is_good: bool = super().headerReceived(line)
        except ValueError:
            # A Content-Length of more digits than Python takes for a number.
            self._respondToBadRequestAndDisconnect()
            return False
        return is_good

    def allHeadersReceived(self) -> None:
        if self._phase is _Phase.PARTING:
            return
        super().allHeadersReceived()
        if self.length != 0 and not self._is_parting:
            self._await_body()

    def _await_body(self) -> None:
        self._phase = _Phase.BODY
        if self.length is not None and self.length > _READ_BYTES:
            self.transport.bufferSize = _LARGE_READ_BYTES
        self.setTimeout(self.site.settings().timeouts.client_body)

    def rawDataReceived(self, data: bytes) -> None:
        if not self._is_parting:
            super().rawDataReceived(data)

    def allContentReceived(self) -> None:
        if not self._is_parting:
            self._phase = _Phase.ANSWER
            self.transport.bufferSize = _READ_BYTES
            super().allContentReceived()

    def requestDone(self, request: ClientRequest) -> None:
        self._phase = _Phase.PARTING if self._is_parting else _Phase.IDLE
        self._savedTimeOut = IDLE_SECONDS
        super().requestDone(request)
        if self._phase is _Phase.IDLE and self.persistent and not self._buffer:
            self.site.rests(self)

    def is_unused(self) -> bool:
        """Whether the client has all that was written, and nothing of its own waits to be read."""
        self.site.outbox.flush(self.transport)
        if _unsent_bytes(self.transport):
            return False
        try:
            return not self.transport.socket.recv(1, MSG_PEEK)
        except OSError:
            return True

    def lineLengthExceeded(self, line: bytes) -> None:
        """A line of the head is longer than all of it may be."""
        self._refuse(431)

    def _send100Continue(self) -> None:
        """Behind an earlier answer, which the outbox may still hold."""
        self.site.outbox.write(self.transport, b"HTTP/1.1 100 Continue\r\n\r\n")

    def _respondToBadRequestAndDisconnect(self) -> None:
        """Called by twisted.web for what is no HTTP request."""
        self._refuse(431 if self._receivedHeaderSize > self.totalHeadersSize else 400)

    def _refuse(self, status: int) -> None:
        """An answer to a head that cannot be read; after it the connection is closed."""
        if self._is_parting:
            return
        self.part()
        self._phase = _Phase.PARTING
        self.lineReceived = lambda line: None  # type: ignore[method-assign]
        self.site.outbox.write(self.transport, self.site.unreadable(status))
        self.loseConnection()

    def part(self) -> None:
        """The answer that is about to be written ends the connection; no more is read."""
        self._is_parting = True
        self.persistent = False

    def cut(self) -> None:
        """Close when what is written has gone out, or when that takes too long."""
        self._cut_after(FAREWELL_SECONDS)
        self.loseConnection()

    def loseConnection(self) -> None:
        self.site.outbox.flush(self.transport)
        if not self._is_parting:
            super().loseConnection()
            return
        # The client is to see the end of the answer, but may still be sending.
        self.setTimeout(None)
        self._cut_after(FAREWELL_SECONDS)
        self.transport.unregisterProducer()
        if ITCPTransport.providedBy(self.transport):
            self.transport.loseWriteConnection()
        else:
            self.transport.loseConnection()

    def setTimeout(self, period: float | None) -> float | None:
        """
        As in TimeoutMixin, but a later limit leaves the timer alone, and no limit too.

        The timer sees for itself, when its time has come, whether the limit's has.
        """
        before: float | None = self.timeOut
        self.timeOut = period  # type: ignore[assignment]
        if period is None:
            self._deadline = None
            return before
        now = self.site.clock.seconds()
        self._deadline = now + period
        if self._timer is None:
            self._timer = self.callLater(period, self._look_at_deadline)
        elif self._timer.getTime() > self._deadline:
            self._timer.reset(period)
        return before

    def _look_at_deadline(self) -> None:
        self._timer = None
        if self._deadline is None:
            return
        rest = self._deadline - self.site.clock.seconds()
        if rest > 0:
            self._timer = self.callLater(rest, self._look_at_deadline)
        else:
            self._deadline = None
            self.timeoutConnection()

    def timeoutConnection(self) -> None:
        if self._phase is not _Phase.BODY:
            self.cut()
        elif self.requests[-1].has_progressed():
            self.setTimeout(self.site.settings().timeouts.client_body)
        else:
            self.requests[-1].is_too_slow()

    def pauseProducing(self) -> None:
        """The connection is full. Called by the transport."""
        if self._stalling is None:
            self._watch_stall()
        super().pauseProducing()

    def resumeProducing(self) -> None:
        self._stalling = _cancelled(self._stalling)
        super().resumeProducing()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._cutting = _cancelled(self._cutting)
        self._stalling = _cancelled(self._stalling)
        self._timer = _cancelled(self._timer)
        super().connectionLost(reason)
        # It holds methods of this object and of the request whose body it reads.
        self._transferDecoder = None
        self.site.left(self)

    def _cut_after(self, seconds: float) -> None:
        if self._cutting is None:
            self._cutting = self.callLater(seconds, self._abort)

    def _watch_stall(self) -> None:
        self._unsent_bytes = _unsent_bytes(self.transport)
        self._stalling = self.callLater(STALLED_SECONDS, self._has_stalled)

    def _has_stalled(self) -> None:
        """However slowly a client reads: as long as it does, it may go on."""
        if _unsent_bytes(self.transport) < self._unsent_bytes:
            self._watch_stall()
        else:
            self._stalling = None
            self._abort()

    def _abort(self) -> None:
        self.transport.abortConnection()


def _unsent_bytes(transport: Any) -> int:
    """What waits in the process for the client to take it; twisted.internet does not tell."""
    return len(transport.dataBuffer) - int(transport.offset) + int(transport._tempDataLen)


def _cancelled(timer: IDelayedCall | None) -> IDelayedCall | None:
    if timer is not None and timer.active():
        timer.cancel()
    return None
