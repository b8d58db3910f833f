"""The client's side of a call, as the translator sees it."""

from __future__ import annotations

from typing import Protocol

from twisted.internet.interfaces import IPushProducer

from aiproxy.messages import Headers
from aiproxy.wire.contract import Inbound


class Client(Protocol):
    """
    Where an answer goes. Every method is harmless after the client has left.

    started: the status line is out; from then on only the body can speak.
    written: body bytes so far.
    """

    @property
    def started(self) -> bool: ...

    @property
    def written(self) -> int: ...

    def reply(self, status: int, headers: Headers, body: bytes) -> None:
        """A whole answer, JSON."""
        ...

    def begin(self, content_type: str, headers: Headers) -> None:
        """A stream's status line (200) and headers."""
        ...

    def write(self, data: bytes) -> None: ...

    def finish(self) -> None:
        """The stream ends as it should."""
        ...

    def abort(self) -> None:
        """The stream ends visibly cut: the connection is torn down."""
        ...

    def pace(self, producer: IPushProducer | None) -> None:
        """Whom to pause while the client reads slowly; None when nobody produces."""
        ...


def end_broken(client: Client, wire: Inbound, said: bool) -> None:
    """
    End a stream that has failed, visibly.

    said: the dialect's error event is out. In the one dialect where that event is an end of its own
    (see `Inbound.ERROR_IS_END`) clients show its reason only when nothing is cut behind it.
    """
    if said and wire.ERROR_IS_END:
        client.finish()
    else:
        client.abort()
