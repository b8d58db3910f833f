"""What is known of each request when it has ended, for the access log."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime

from aiproxy.messages import Value
from aiproxy.translate import Trail
from aiproxy.web.stream import ClientStream


class Record(Value, frozen=True):
    """
    wire: whose dialect the answer was in. status: 0 when the client left before there was one.
    duration: seconds. trail: None when the request was refused before any translation.
    """

    id: str
    wire: str
    status: int
    request_bytes: int
    response_bytes: int
    duration: float
    trail: Trail | None = None


class Records:
    """
    Joins what the translator tells of a call with what its client got.

    write: takes each record, once.
    """

    def __init__(self, write: Callable[[Record], None], clock: IReactorTime) -> None:
        self._write = write
        self._clock = clock
        self._running: dict[str, tuple[ClientStream, int]] = {}

    def begin(self, id: str, client: ClientStream, request_bytes: int) -> None:
        """The call is handed to the translator, which will tell of its end."""
        self._running[id] = client, request_bytes

    def ended(self, trail: Trail) -> None:
        """Told by the translator."""
        id = trail.call.id
        client, request_bytes = self._running.pop(id)
        duration = self._clock.seconds() - trail.started
        self._write(
            Record(
                id, trail.call.wire, client.status, request_bytes, client.written, duration, trail
            )
        )

    def refused(
        self, id: str, wire: str, client: ClientStream, request_bytes: int, started: float
    ) -> None:
        """An answer that needed no translator. started: seconds on the clock."""
        duration = self._clock.seconds() - started
        self._write(Record(id, wire, client.status, request_bytes, client.written, duration))
