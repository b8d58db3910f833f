"""
Requests to upstreams, over treq.

One `UpstreamClient` per process. It follows no redirect, keeps no cookie, verifies TLS, decodes
what it advertises, and turns every error of the libraries into one of ours. It knows nothing of
models, retries or credentials; the one exception is a kept connection that turns out to be dead,
for which a request is sent again on a new one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from http.cookiejar import CookieJar
from typing import Any, Protocol
from urllib.request import Request as UrllibRequest

from treq.client import HTTPClient
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IConsumer
from twisted.web.http_headers import Headers as TwistedHeaders
from twisted.web.iweb import IAgent, IBodyProducer, IResponse
from zope.interface import implementer

from aiproxy.aside import AT_ONCE, Aside
from aiproxy.messages import Headers, HttpRequest
from aiproxy.outcome import forget, outcome
from aiproxy.settings import Home, Timeouts
from aiproxy.upstream.body import Body, StreamBody, WholeBody
from aiproxy.upstream.connection import RawHeaders
from aiproxy.upstream.deadline import Deadline
from aiproxy.upstream.encoding import compressed
from aiproxy.upstream.failures import BEFORE_THE_ANSWER, explained, is_lost_before_answer
from aiproxy.upstream.head import NO_HEADERS, Fields, fields, sendable
from aiproxy.upstream.pool import Lease, Pool
from aiproxy.upstream.timers import Timers

# Of the connection and not of the answer.
_NOT_ANSWERS = frozenset(
    (
        b"connection",
        b"content-encoding",
        b"content-length",
        b"keep-alive",
        b"proxy-connection",
        b"te",
        b"trailers",
        b"transfer-encoding",
        b"upgrade",
    )
)


class _NoCookies(CookieJar):
    """None is ever kept or sent, so that all calls can share one jar."""

    def extract_cookies(self, response: Any, request: UrllibRequest) -> None:
        """There shall be none."""


_NO_COOKIES = _NoCookies()


class _Answer(Protocol):
    """What is needed of an answer."""

    code: int
    raw_headers: RawHeaders

    def deliverBody(self, protocol: Any) -> None: ...

    def abort(self) -> None: ...


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
        aside: Aside = AT_ONCE,
    ) -> None:
        self._reactor = reactor
        self._aside = aside
        self._agent = agent
        self._pool = Pool(reactor, trust_root)
        self._timers = Timers(reactor)

    def request(
        self,
        request: HttpRequest,
        timeouts: Timeouts,
        compression: str = "",
        home: Home = (),
    ) -> Deferred[UpstreamReply]:
        """
        Sends `request`; fires when the head of the answer is there, whatever its status.

        The reply must be read, streamed or aborted. Cancelling closes the connection at once.
        timeouts: `connect` is for name lookup, TCP and TLS; `headers` from then to the head.
        compression: of the request's body: "", "gzip", "zstd" or "br".
        home: of the upstream that is asked, or whose login service is.
        Fails with UpstreamUnreachable, UpstreamTimeout, UpstreamProtocolError; CancelledError; with
        NoUpstream when the process cannot open a connection.
        """
        return Deferred.fromCoroutine(self.ask(request, timeouts, compression, home))

    def keep_for(self, homes: Iterable[Home]) -> None:
        """Keep no more connections than those of upstreams there; calls under way go on."""
        self._pool.keep_for(homes)

    def close(self) -> Deferred[None]:
        """Closes all connections; fires when they are gone."""
        self._timers.stop()
        return self._pool.close()

    async def ask(
        self,
        request: HttpRequest,
        timeouts: Timeouts,
        compression: str = "",
        home: Home = (),
    ) -> UpstreamReply:
        """`request` for coroutines: a Deferred between two of them would cost every call."""
        body, coding = request.body, ""
        if compression:
            # To compress takes many times as long as anything else that is done with a body.
            size = len(body) * 8
            body, coding = await self._aside.run(
                size, lambda: compressed(request.body, compression)
            )
        try:
            lines = fields(request.headers, coding)
        except ValueError as error:
            raise explained(error, BEFORE_THE_ANSWER) from None
        deadline = Deadline(self._timers, timeouts)
        lease = self._lease(home, lines, deadline, is_fresh=False)
        try:
            return await self._send(request, body, lease, deadline, timeouts)
        except Exception as error:
            # The upstream closed an idle connection just when we began to use it. That it had
            # begun to work is unlikely, and not to ask again would fail good calls.
            if not (lease.is_reused and is_lost_before_answer(error)):
                raise explained(error, BEFORE_THE_ANSWER) from None
            forget(error)
        deadline = Deadline(self._timers, timeouts)
        lease = self._lease(home, lines, deadline, is_fresh=True)
        try:
            return await self._send(request, body, lease, deadline, timeouts)
        except Exception as error:
            raise explained(error, BEFORE_THE_ANSWER) from None

    def _lease(
        self, home: Home, lines: Fields, deadline: Deadline, *, is_fresh: bool
    ) -> Lease | _Borrowed:
        if self._agent is not None:
            return _Borrowed(self._agent, lines, deadline)
        return Lease(self._pool, home, lines, deadline, is_fresh=is_fresh)

    async def _send(
        self,
        request: HttpRequest,
        body: bytes,
        lease: Lease | _Borrowed,
        deadline: Deadline,
        timeouts: Timeouts,
    ) -> UpstreamReply:
        # treq's own class of jars has one more way to look into it, of which it makes no use.
        client = HTTPClient(lease, _NO_COOKIES, _BytesProducer)  # type: ignore[arg-type]
        answered: Deferred[Any] = client.request(
            request.method,
            sendable(request.url),
            headers=NO_HEADERS,
            data=body or None,
            cookies=_NO_COOKIES,
            allow_redirects=False,
            unbuffered=True,
            reactor=self._reactor,
        )
        await outcome(deadline.guard(answered))
        return UpstreamReply(lease.answer, self._reactor, timeouts)


class UpstreamReply:
    """
    The head of an answer, and its body to come.

    status: HTTP status.
    headers: without those of the connection, and without Content-Encoding.
    """

    def __init__(self, answer: _Answer, clock: Any, timeouts: Timeouts) -> None:
        self.status: int = answer.code
        kept = []
        codings = []
        for name, value in answer.raw_headers:
            lower = name.lower()
            if lower not in _NOT_ANSWERS:
                kept.append((name.decode("latin-1"), value.decode("utf-8", "replace")))
            elif lower == b"content-encoding":
                codings.append(value)
        self.headers: Headers = tuple(kept)
        self._content_encoding = b",".join(codings).decode("latin-1")
        self._answer = answer
        self._clock = clock
        self._timeouts = timeouts
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
        self._answer.abort()
        if not self._is_taken:
            unwanted = WholeBody(0)
            unwanted.done.addErrback(lambda _: None)
            unwanted.done.cancel()
            self._deliver_to(unwanted)

    def leave(self) -> None:
        """Whoever asked has done with it: `abort`, unless the body was read or streamed."""
        if not self._is_taken:
            self.abort()

    def _deliver_to(self, body: Body) -> Deferred[Any]:
        self._is_taken = True
        answer = self._answer
        body.attach(self._content_encoding, self._clock, self._timeouts, answer.abort)
        answer.deliverBody(body)
        body.delivering()
        return body.done


@implementer(IAgent)
class _Borrowed:
    """
    What `Lease` is, over an agent that is not ours.

    It keeps treq from content codings: it would advertise gzip besides ours, and decode only that.
    """

    answer: _Answer
    is_reused = False

    def __init__(self, agent: IAgent, lines: Fields, deadline: Deadline) -> None:
        self._agent = agent
        self._lines = lines
        self._deadline = deadline

    def request(
        self,
        method: bytes,
        uri: bytes,
        headers: TwistedHeaders | None = None,
        bodyProducer: IBodyProducer | None = None,
    ) -> Deferred[IResponse]:
        self._deadline.ready()
        sent = TwistedHeaders()
        if self._lines.host is not None:
            sent.addRawHeader(b"Host", self._lines.host)
        for line in self._lines.lines.splitlines():
            name, _, value = line.partition(b": ")
            sent.addRawHeader(name, value)
        asked: Deferred[IResponse] = self._agent.request(method, uri, sent, bodyProducer)
        return asked.addCallback(self._answered)

    def _answered(self, response: IResponse) -> IResponse:
        self.answer = _BorrowedAnswer(response)
        response.headers.removeHeader(b"Content-Encoding")
        return response


class _BorrowedAnswer:
    """An answer that another agent got."""

    def __init__(self, response: IResponse) -> None:
        self.code: int = response.code
        self.raw_headers: RawHeaders = tuple(
            (name, value)
            for name, values in response.headers.getAllRawHeaders()
            for value in values
        )
        self.deliverBody: Callable[[Any], None] = response.deliverBody

    def abort(self) -> None:
        """Its body does that."""


@implementer(IBodyProducer)
class _BytesProducer:
    """Writes a whole body at once; the transport queues what it cannot send yet."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.length = len(body)

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        consumer.write(self.body)
        return succeed(None)

    def pauseProducing(self) -> None:
        """Nothing is left to hold back."""

    def resumeProducing(self) -> None:
        """Nothing is left to send."""

    def stopProducing(self) -> None:
        """Nothing is left to stop."""
