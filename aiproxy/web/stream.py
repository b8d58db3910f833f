"""The client's connection as the translator sees it: the only writer of answers."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer

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

    status: of the answer, 0 as long as there is none.
    over: fires when nothing more can reach the client: all is sent, or it has left.
    """

    def __init__(self, request: ClientRequest) -> None:
        self._request = request
        self._producer: IPushProducer | None = None
        self._is_open = True
        self.status = 0
        self.written = 0
        self.over: Deferred[None] = Deferred()
        request.notifyFinish().addBoth(self._ended)

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
        self._set_head(status, "application/json", headers)
        self._request.setHeader(b"Content-Length", b"%d" % len(body))
        self._send(body)
        self.finish()

    def begin(self, content_type: str, headers: Headers) -> None:
        """A stream's status line (200) and headers, sent at once."""
        if not self._is_open:
            return
        self._set_head(200, content_type, _STREAMING + headers)
        self._send(b"")

    def write(self, data: bytes) -> None:
        if self._is_open:
            self._send(data)

    def finish(self) -> None:
        """All has been said; the connection may serve the next request."""
        if self._is_open:
            self._close()
            self._request.finish()

    def abort(self) -> None:
        """What is written still goes out, then the connection ends without a last chunk."""
        if self._is_open:
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

    def _set_head(self, status: int, content_type: str, headers: Headers) -> None:
        self.status = status
        request = self._request
        request.setResponseCode(status, _PHRASES.get(status))
        request.setHeader("Content-Type", content_type)
        for name, value in headers:
            request.setHeader(name, value)

    def _send(self, data: bytes) -> None:
        self.written += len(data)
        self._request.write(data)

    def _close(self) -> None:
        self.pace(None)
        self._is_open = False

    def _ended(self, result: object) -> None:
        """The request is finished, or its connection lost: then there is no channel any more."""
        self._is_open = False
        self._producer = None
        self.over.callback(None)
