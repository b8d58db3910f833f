"""
Requests as they arrive: judged at their head, collected in memory, refused as early as possible.

No temporary files and no form parsing, both of which twisted.web has.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from random import getrandbits
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress
from twisted.python.failure import Failure
from twisted.web.http import Request as HttpRequest
from twisted.web.pages import notFound
from twisted.web.server import Request, Site

from aiproxy.errors import ErrorReply
from aiproxy.http1 import Outbox
from aiproxy.messages import Headers
from aiproxy.settings import Settings
from aiproxy.web.channel import IDLE_SECONDS, Channel
from aiproxy.web.guard import Guard, Head, Refusal, too_large, too_slow
from aiproxy.web.records import Records
from aiproxy.web.room import Room
from aiproxy.web.routes import Route
from aiproxy.web.stream import ClientStream
from aiproxy.wire import INBOUND

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

_LEAST_PROGRESS_BYTES = 1024
"""A body must grow by so much within the time limit, or it is slow on purpose."""


_UNREADABLE = {
    400: ErrorReply(400, "invalid_request", "this is no HTTP/1.1 request"),
    431: ErrorReply(431, "invalid_request", "the head of the request is too large"),
}


def _new_id() -> str:
    """32 hexadecimal digits. It tells requests apart, and is no secret: the kernel is not asked."""
    return f"{getrandbits(128):032x}"


class ClientRequest(Request):
    """
    One request.

    id: shown to the client, and in the logs. head, route: set when the head is there.
    """

    defaultContentType = b"application/json"

    channel: Channel
    site: ApiSite
    id: str
    head: Head
    route: Route

    def __init__(self, channel: Channel, *args: Any, **named: Any) -> None:
        super().__init__(channel, *args, **named)
        self.id = _new_id()
        self.began = channel.site.clock.seconds()
        self._pieces: list[bytes] = []
        self._size_bytes = 0
        self._seen_bytes = 0
        self._refusal: Refusal | None = None
        self._is_answered = False
        self._watchers: list[Callable[[bool], object]] = []

    def when_over(self, watcher: Callable[[bool], object]) -> None:
        """
        Like `notifyFinish`, without a Deferred for each who asks.

        watcher: told once, True when all of the answer is written, False when the client has left.
        """
        self._watchers.append(watcher)

    def body(self) -> bytes:
        """As it was sent; from now on there is one copy of it."""
        if len(self._pieces) > 1:
            self._pieces = [b"".join(self._pieces)]
        return self._pieces[0] if self._pieces else b""

    @property
    def size_bytes(self) -> int:
        """Of the body so far."""
        return self._size_bytes

    def gotLength(self, length: int | None) -> None:
        """Called by the channel when the head is there. length: None when the body is chunked."""
        headers = tuple(
            (name.decode("latin-1").lower(), value.decode("latin-1"))
            for name, values in self.requestHeaders.getAllRawHeaders()
            for value in values
        )
        self.began_with(headers, length)

    def began_with(self, headers: Headers, length: int | None) -> None:
        """The head is there. headers: names in lower case."""
        channel = self.channel
        self.method, self.uri, self.clientproto = (
            channel._command,
            channel._path,
            channel._version,
        )
        self.path = self.uri.partition(b"?")[0]
        self.head = Head(self.method.decode("latin-1"), self.uri.decode("latin-1"), headers, length)
        judged = channel.site.guard.judge(self.head)
        if isinstance(judged, Route):
            self.route = judged
            return
        self._refusal = judged
        if length != 0:
            self._refuse_early(judged)

    def handleContentChunk(self, data: bytes) -> None:
        if self._is_answered:
            return
        self._size_bytes += len(data)
        limit = self.channel.site.settings().max_request_bytes
        if self._size_bytes > limit:
            self._refuse_with(too_large(limit))
        else:
            self._pieces.append(data)

    def has_progressed(self) -> bool:
        """Whether the body has grown enough since this was last asked."""
        grown = self._size_bytes - self._seen_bytes
        self._seen_bytes = self._size_bytes
        return grown >= _LEAST_PROGRESS_BYTES

    def is_too_slow(self) -> None:
        """The body has not grown in time."""
        self._refuse_with(too_slow(self.channel.site.settings().timeouts.client_body))

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """Called by the channel when the body is complete."""
        self.args = {}
        if self._refusal is not None:
            self._refuse(self._refusal)
        else:
            self.channel.site.answer(self)

    def sent(self) -> None:
        """All of the answer is written. What `finish` does, without writing anything."""
        self.finished = 1
        self._cleanup()

    def _cleanup(self) -> None:
        super()._cleanup()
        self._tell(True)

    def connectionLost(self, reason: Failure) -> None:
        super().connectionLost(reason)
        self._tell(False)

    def cut(self) -> None:
        """End the connection when what is written has gone out."""
        self.channel.cut()

    def _tell(self, is_answered: bool) -> None:
        watchers, self._watchers = self._watchers, []
        for watcher in watchers:
            watcher(is_answered)

    def _refuse_with(self, error: ErrorReply) -> None:
        self._refuse_early(Refusal(self.channel.site.guard.dialect(self.head, self.route), error))

    def _refuse_early(self, refusal: Refusal) -> None:
        """Answer although the body is not complete; the connection cannot be used again."""
        self._is_answered = True
        self._pieces.clear()
        # Or the channel would invite the client to send its body after all.
        self.requestHeaders.removeHeader(b"expect")
        self.channel.part()
        self._refuse(refusal)

    def _refuse(self, refusal: Refusal) -> None:
        client = ClientStream(self)
        # The channel is gone as soon as the answer is complete.
        records = self.channel.site.records
        encoded = INBOUND[refusal.dialect].encode_reply(refusal.error, None)
        client.reply(refusal.error.status, refusal.headers, encoded.body)
        records.refused(self.id, refusal.dialect, client, self._size_bytes, self.began)


class ApiSite(Site):
    """
    settings: gives those in force.

    answer: called with each request that has passed the guard and is complete.
    room: says whether there is any for another connection; None for as much as the system has.
    """

    noisy = False
    protocol = Channel  # type: ignore[assignment]
    requestFactory = ClientRequest

    def __init__(
        self,
        answer: Callable[[ClientRequest], None],
        guard: Guard,
        settings: Callable[[], Settings],
        records: Records,
        clock: IReactorTime,
    ) -> None:
        # No tree: `answer` is asked of everything.
        super().__init__(notFound(), timeout=IDLE_SECONDS, reactor=clock)
        self.answer = answer
        self.guard = guard
        self.settings = settings
        self.records = records
        self.clock = clock
        self.outbox = Outbox()
        self.room: Room | None = None
        self.channels: set[Channel] = set()
        # Kept by clients that have had an answer; who has waited longest comes first.
        self._resting: dict[Channel, None] = {}
        self._emptied: list[Deferred[None]] = []

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """A connection was accepted."""
        self._count(len(self.channels) + 1)
        return super().buildProtocol(addr)

    def close(self) -> Deferred[None]:
        """Close every connection once what is written has gone out; fires when all are gone."""
        gone: Deferred[None] = Deferred()
        self._emptied.append(gone)
        for channel in tuple(self.channels):
            channel.cut()
        self.left(None)
        return gone

    def unreadable(self, status: int) -> bytes:
        """The whole answer to a head that is too large (431) or no HTTP (400), in any dialect."""
        error = _UNREADABLE[status]
        body = INBOUND[self.guard.dialect(Head("", "", (), None))].encode_reply(error, None).body
        head = (
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n"
            f"X-Request-Id: {_new_id()}\r\n\r\n"
        )
        return head.encode() + body

    def left(self, channel: Channel | None) -> None:
        """Told by a channel when its connection is gone."""
        if channel is not None:
            self.channels.discard(channel)
            self.wakes(channel)
        self._count(len(self.channels))
        if not self.channels:
            waiting, self._emptied = self._emptied, []
            for gone in waiting:
                gone.callback(None)

    def rests(self, channel: Channel) -> None:
        """Told by a channel when it has answered all that came, and its connection is kept."""
        self._resting[channel] = None
        if self.room is not None:
            self.room.eased()

    def wakes(self, channel: Channel) -> None:
        """Told by a channel when the next request begins."""
        self._resting.pop(channel, None)

    def let_go(self) -> bool:
        """Close the connection that has rested longest; False when all are in use."""
        channel = next((one for one in self._resting if one.is_unused()), None)
        if channel is None:
            return False
        self.wakes(channel)
        channel.cut()
        return True

    def _count(self, connections: int) -> None:
        if self.room is not None:
            self.room.changed(connections)

    def startFactory(self) -> None:
        """No log file, and no clock for its lines."""

    def stopFactory(self) -> None:
        """Nothing was started."""

    def log(self, request: HttpRequest) -> None:
        """Paths with keys in them are not written anywhere; `Records` knows what is to be known."""
