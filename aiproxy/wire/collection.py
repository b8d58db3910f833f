"""
A stream on its way to a client that wants a whole answer, as pure values.

Nothing is given before the end, so that until then another upstream can take over.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

from aiproxy import ir
from aiproxy.errors import ErrorReply, UpstreamProtocolError
from aiproxy.wire.contract import Collector, EncodedReply, Inbound, Outbound
from aiproxy.wire.relay import Origin, Watch, for_client

MAX_COLLECTED_CHARACTERS = 64 * 1024 * 1024
"""Of a stream's text, for a client that wants it whole."""


def collect(
    upstream: Outbound,
    client: Inbound,
    request: Callable[[], ir.Request],
    origin: Origin,
    collector: Callable[[], Collector[Any]] | None,
) -> Collection:
    """
    The way of a stream whose client wants a whole answer.

    collector: the upstream's wire's, None when that has none.
    """
    if upstream.NAME == client.NAME and collector is not None:
        return _CollectionAsIs(upstream, collector())
    return _CollectionAnew(upstream, client, request(), origin)


class Collection(Watch, ABC):
    """A stream's way to a client that wants it whole: as `answer`, once it is finished."""

    content_type = "application/json"

    def __init__(self, upstream: Outbound) -> None:
        super().__init__(upstream)
        self._characters = 0

    @property
    def has_content(self) -> bool:
        """Never, because `feed` gives nothing: until the end another upstream can take over."""
        return False

    def feed(self, messages: Sequence[Any]) -> bytes:
        for message in messages:
            self._take(message, self._decoder.feed(message))
        return b""

    def close(self) -> bytes:
        for event in self._decoder.close():
            self._keep(event)
        self._end()
        return b""

    def broken(self, error: ErrorReply) -> bytes:
        return b""

    def losses(self) -> tuple[ir.Loss, ...]:
        return ()

    @abstractmethod
    def answer(self) -> EncodedReply:
        """Raises UpstreamProtocolError when the stream does not amount to one."""

    def _take(self, message: Any, events: Sequence[ir.Event]) -> None:
        for event in events:
            self._keep(event)

    def _keep(self, event: ir.Event) -> None:
        self._notice(event)
        said = event.event if isinstance(event, ir.Other) else event
        if isinstance(said, ir.TextDelta | ir.ReasoningDelta | ir.ArgumentsDelta):
            self._characters += len(said.text)
        if self._characters > MAX_COLLECTED_CHARACTERS:
            raise UpstreamProtocolError(
                f"the answer is longer than {MAX_COLLECTED_CHARACTERS} characters"
            )


class _CollectionAsIs(Collection):
    """Same wire: the vendor's own whole answer."""

    def __init__(self, upstream: Outbound, collector: Collector[Any]) -> None:
        super().__init__(upstream)
        self._collector = collector

    def answer(self) -> EncodedReply:
        return EncodedReply(200, self._collector.body())

    def _take(self, message: Any, events: Sequence[ir.Event]) -> None:
        super()._take(message, events)
        self._collector.feed(message)


class _CollectionAnew(Collection):
    """Through the hub."""

    def __init__(
        self, upstream: Outbound, client: Inbound, request: ir.Request, origin: Origin
    ) -> None:
        super().__init__(upstream)
        self._upstream, self._client = upstream, client
        self._request, self._origin = request, origin
        self._events: list[ir.Event] = []

    def answer(self) -> EncodedReply:
        reply = ir.fold(self._events)
        if isinstance(reply, ir.Response):
            reply = for_client(self._upstream, self._request, reply, self._origin)
        return self._client.encode_reply(reply, self._request)

    def _keep(self, event: ir.Event) -> None:
        super()._keep(event)
        self._events.append(event)
