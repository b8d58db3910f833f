"""The client's connection as the translator sees it: the only writer of answers."""

from __future__ import annotations

import time
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer

from aiproxy.http1 import header_lines
from aiproxy.messages import Headers

if TYPE_CHECKING:
    from aiproxy.web.site import ClientRequest

_STREAMING: Headers = (("Cache-Control", "no-cache"), ("X-Accel-Buffering", "no"))
"""So that neither a cache nor nginx holds events back."""

_PHRASES = {status.value: status.phrase.encode() for status in HTTPStatus} | {529: b"Overloaded"}
"""twisted.web does not know all of them."""


class ClientStream:
    """
    Implements `translate.Client` over one request.

    It writes to the transport itself; of the request it needs who waits for its end.

    status: of the answer, 0 as long as there is none.
    over: fires when nothing more can reach the client: all is sent, or it has left.
    """

    def __init__(self, request: ClientRequest) -> None:
        self._request = request
        self._transport = request.channel.transport
        self._outbox = request.channel.site.outbox
        self._producer: IPushProducer | None = None
        self._is_open = True
        self._is_chunked = False
        self._is_bodiless = request.method == b"HEAD"
        # Of a stream that has begun, until there is something to send with it.
        self._head = b""
        self.status = 0
        self.written = 0
        self.over: Deferred[None] = Deferred()
        request.when_over(self._ended)

    @property
    def started(self) -> bool:
        return self.status != 0

    def reply(self, status: int, headers: Headers, body: bytes) -> None:
        """
        A whole answer, JSON.

        An answer to HEAD has the length of its body, but no body.
        """
        if not self._is_open:
            return
        head = self._headed(
            status,
            (
                ("Content-Type", "application/json"),
                ("Content-Length", str(len(body))),
                *headers,
            ),
        )
        self.written += len(body)
        self._put(head if self._is_bodiless else head + body)
        self.finish()

    def begin(self, content_type: str, headers: Headers) -> None:
        """A stream's status line (200) and headers; they go out with what is written next."""
        if not self._is_open:
            return
        self._is_chunked = self._request.clientproto == b"HTTP/1.1" and not self._is_bodiless
        framing = (("Transfer-Encoding", "chunked"),) if self._is_chunked else ()
        self._head = self._headed(
            200, (("Content-Type", content_type), *_STREAMING, *framing, *headers)
        )

    def write(self, data: bytes) -> None:
        if not self._is_open or not data:
            return
        self.written += len(data)
        if self._is_chunked:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        if self._head:
            self._put(data)
        else:
            self._outbox.write(self._transport, data)

    def finish(self) -> None:
        """All has been said; the connection may serve the next request."""
        if self._is_open:
            self._put(b"0\r\n\r\n" if self._is_chunked else b"")
            self._close()
            self._request.sent()

    def abort(self) -> None:
        """What is written still goes out, then the connection ends without a last chunk."""
        if self._is_open:
            self._put(b"")
            self._close()
            self._request.cut()

    def pace(self, producer: IPushProducer | None) -> None:
        """Whom to pause while the client reads slowly; None when nobody produces."""
        if self._producer is not None:
            self._producer = None
            self._request.unregisterProducer()
        if producer is not None and self._is_open:
            self._producer = producer
            self._request.registerProducer(producer, True)

    def _headed(self, status: int, headers: Headers) -> bytes:
        """The head of the answer. Of several headers of one name the last one counts."""
        self.status = status
        request = self._request
        request.startedWriting = 1
        fields = {
            "date": ("Date", _date(int(time.time()))),
            "x-request-id": ("x-request-id", request.id),
        }
        if not request.channel.persistent:
            fields["connection"] = "Connection", "close"
        for name, value in headers:
            fields[name.lower()] = name, value
        phrase = _PHRASES.get(status, b"Unknown")
        return b"HTTP/1.1 %d %b\r\n%b\r\n" % (status, phrase, header_lines(fields.values()))

    def _put(self, data: bytes) -> None:
        if self._head:
            data, self._head = self._head + data, b""
        if data:
            self._outbox.write(self._transport, data)

    def _close(self) -> None:
        self.pace(None)
        self._is_open = False

    def _ended(self, is_answered: bool) -> None:
        """The request is finished, or its connection lost: then there is no channel any more."""
        self._is_open = False
        self._producer = None
        self.over.callback(None)


@lru_cache(maxsize=2)
def _date(now: int) -> str:
    """For the header of that name. now: Unix seconds."""
    return formatdate(now, usegmt=True)
