"""
Requests to upstreams, over treq.

One `UpstreamClient` per process. It follows no redirect, keeps no cookie, verifies TLS, decodes
what it advertises, and turns every error of the libraries into one of ours. It knows nothing of
models, retries or credentials; the one exception is a kept connection that turns out to be dead,
for which a request is sent again on a new one.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from treq.client import HTTPClient
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.interfaces import IConsumer
from twisted.web.http_headers import Headers as TwistedHeaders
from twisted.web.iweb import IAgent, IBodyProducer, IResponse
from zope.interface import implementer

from aiproxy.messages import Headers, HttpRequest
from aiproxy.settings import Timeouts
from aiproxy.upstream.body import Body, StreamBody, WholeBody
from aiproxy.upstream.deadline import Deadline
from aiproxy.upstream.encoding import ACCEPT_ENCODING, compressed
from aiproxy.upstream.failures import BEFORE_THE_ANSWER, explained, is_lost_before_answer
from aiproxy.upstream.pool import Lease, Pool

# How a request is framed and coded is decided here and nowhere else.
_OURS = frozenset(
    ("accept-encoding", "connection", "content-encoding", "content-length", "transfer-encoding")
)


class UpstreamClient:
    """
    Sends requests, over connections that are kept.

    reactor: connects, and is the clock of all timeouts.
    agent: sends instead of real connections; for tests.
    trust_root: whom to trust for TLS, as `optionsForClientTLS` takes it; None is the platform's
        certificate store.
    """

    def __init__(
        self,
        reactor: Any,
        *,
        agent: IAgent | None = None,
        trust_root: object = None,
    ) -> None:
        self._reactor = reactor
        self._agent = agent
        self._pool = Pool(reactor, trust_root)

    def request(
        self, request: HttpRequest, timeouts: Timeouts, compression: str = ""
    ) -> Deferred[UpstreamReply]:
        """
        Sends `request`; fires when the head of the answer is there, whatever its status.

        The reply must be read, streamed or aborted. Cancelling closes the connection at once.
        timeouts: `connect` is for name lookup, TCP and TLS; `headers` from then to the head.
        compression: of the request's body: "", "gzip", "zstd" or "br".
        Fails with UpstreamUnreachable, UpstreamTimeout, UpstreamProtocolError; CancelledError.
        """
        return Deferred.fromCoroutine(self._request(request, timeouts, compression))

    def close(self) -> Deferred[None]:
        """Closes all connections; fires when they are gone."""
        return self._pool.close()

    async def _request(
        self, request: HttpRequest, timeouts: Timeouts, compression: str
    ) -> UpstreamReply:
        body, coding = compressed(request.body, compression)
        sent = replace(request, headers=_headers(request.headers, coding), body=body)
        lease = self._pool.lease()
        try:
            return await self._send(sent, timeouts, lease)
        except Exception as error:
            # The upstream closed an idle connection just when we began to use it. That it had
            # begun to work is unlikely, and not to ask again would fail good calls.
            if not (lease.is_reused and is_lost_before_answer(error)):
                raise explained(error, BEFORE_THE_ANSWER) from None
        try:
            return await self._send(sent, timeouts, self._pool.single_use())
        except Exception as error:
            raise explained(error, BEFORE_THE_ANSWER) from None

    async def _send(self, request: HttpRequest, timeouts: Timeouts, lease: Lease) -> UpstreamReply:
        deadline = Deadline(self._reactor)
        deadline.enter(timeouts.connect, "no connection")
        on_ready = partial(deadline.enter, timeouts.headers, "no answer")
        if self._agent is None:
            agent = _UncodedAgent(lease.agent(on_ready))
        else:
            on_ready()
            agent = _UncodedAgent(self._agent)
        headers = TwistedHeaders()
        for name, value in request.headers:
            headers.addRawHeader(name, value)
        # A client of its own for each call, because it holds the cookies.
        client = HTTPClient(agent, data_to_body_producer=_BytesProducer)
        answered: Deferred[Any] = maybeDeferred(
            client.request,
            request.method,
            request.url,
            headers=headers,
            data=request.body or None,
            allow_redirects=False,
            unbuffered=True,
            reactor=self._reactor,
        )
        response = await deadline.guard(answered)
        lease.head_is_there()
        return UpstreamReply(response, agent.content_encoding, self._reactor, timeouts, lease)


class UpstreamReply:
    """
    The head of an answer, and its body to come.

    status: HTTP status.
    headers: without those of the connection, and without Content-Encoding.
    """

    def __init__(
        self,
        response: IResponse,
        content_encoding: str,
        clock: Any,
        timeouts: Timeouts,
        lease: Lease,
    ) -> None:
        self.status: int = response.code
        self.headers: Headers = tuple(
            (name.decode("latin-1"), value.decode("utf-8", "replace"))
            for name, values in response.headers.getAllRawHeaders()
            for value in values
            if name.lower() != b"content-encoding"
        )
        self._response = response
        self._content_encoding = content_encoding
        self._clock = clock
        self._timeouts = timeouts
        self._lease = lease
        self._is_taken = False

    def whole(self, limit_bytes: int) -> Deferred[bytes]:
        """
        The body, decoded.

        limit_bytes: a larger one fails with UpstreamProtocolError and closes the connection.
        Fails also with UpstreamUnreachable, and with UpstreamTimeout when the body is not there
        within `timeouts.whole_answer` of the head.
        """
        return self._deliver_to(WholeBody(limit_bytes))

    def stream(self, body: StreamBody[Any]) -> Deferred[None]:
        """
        Delivers the body, decoded, to `body`; gives `body.done`.

        Fails with UpstreamUnreachable, UpstreamProtocolError, UpstreamTimeout
        (`timeouts.first_event` until the first message, `timeouts.idle` between reads after it),
        and with what the receiver of the messages raises.
        """
        return self._deliver_to(body)

    def abort(self) -> None:
        """Closes the connection at once; a body under way fails."""
        self._lease.abort()
        if not self._is_taken:
            unwanted = WholeBody(0)
            unwanted.done.addErrback(lambda _: None)
            unwanted.done.cancel()
            self._deliver_to(unwanted)

    def _deliver_to(self, body: Body) -> Deferred[Any]:
        self._is_taken = True
        body.attach(self._content_encoding, self._clock, self._timeouts, self._lease.abort)
        self._response.deliverBody(body)
        body.delivering()
        return body.done


@implementer(IAgent)
class _UncodedAgent:
    """
    Keeps treq from content codings: it would advertise gzip besides ours, and decode only that.

    content_encoding: the answer's header, taken away before treq sees it; "" when there was none.
    """

    def __init__(self, agent: IAgent) -> None:
        self._agent = agent
        self.content_encoding = ""

    def request(
        self,
        method: bytes,
        uri: bytes,
        headers: TwistedHeaders | None = None,
        bodyProducer: IBodyProducer | None = None,
    ) -> Deferred[IResponse]:
        headers = TwistedHeaders() if headers is None else headers
        headers.setRawHeaders(b"Accept-Encoding", [ACCEPT_ENCODING.encode()])
        sent: Deferred[IResponse] = self._agent.request(method, uri, headers, bodyProducer)
        return sent.addCallback(self._answered)

    def _answered(self, response: IResponse) -> IResponse:
        values = response.headers.getRawHeaders(b"Content-Encoding") or []
        self.content_encoding = b",".join(values).decode("latin-1")
        response.headers.removeHeader(b"Content-Encoding")
        return response


@implementer(IBodyProducer)
class _BytesProducer:
    """Writes a whole body at once; the transport queues what it cannot send yet."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.length = len(body)

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        consumer.write(self._body)
        return succeed(None)

    def pauseProducing(self) -> None:
        """Nothing is left to hold back."""

    def resumeProducing(self) -> None:
        """Nothing is left to send."""

    def stopProducing(self) -> None:
        """Nothing is left to stop."""


def _headers(headers: Headers, coding: str) -> Headers:
    """`headers` without those that we decide, Host at most once (the last), and our coding."""
    kept = [(name, value) for name, value in headers if name.lower() not in _OURS]
    hosts = [item for item in kept if item[0].lower() == "host"]
    kept = [item for item in kept if item[0].lower() != "host" or item is hosts[-1]]
    return (*kept, ("Content-Encoding", coding)) if coding else tuple(kept)
