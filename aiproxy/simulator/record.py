"""What the simulator has seen: requests and connections, for tests to look at."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred

from aiproxy.messages import Headers

MAX_REQUESTS = 200
_MAX_MODELS = 1000


@dataclass(frozen=True, slots=True)
class Received:
    """
    One request as it came.

    path: with its query, as sent. body: without its content coding.
    """

    method: str
    path: str
    headers: Headers
    body: bytes


class Record:
    """
    requests: the latest ones, oldest first; received: how many there were in all.
    connections, streams: open now; a stream is a streamed answer that has not ended.
    aborted: calls whose client left before the answer was over.
    """

    def __init__(self) -> None:
        self.requests: deque[Received] = deque(maxlen=MAX_REQUESTS)
        self.received = 0
        self.connections = 0
        self.streams = 0
        self.aborted = 0
        self._calls: dict[str, int] = {}
        self._waiting: list[tuple[Callable[[], bool], Deferred[None]]] = []

    def add(self, request: Received) -> None:
        """One more request."""
        self.requests.append(request)
        self.received += 1
        self.changed()

    def reset(self) -> None:
        """Forget all that is over."""
        self.requests.clear()
        self.received = 0
        self._calls.clear()
        self.aborted = 0

    def count(self, model: str) -> int:
        """How often `model` was asked before; this call counts for the next."""
        earlier = self._calls.pop(model, 0)
        self._calls[model] = earlier + 1
        if len(self._calls) > _MAX_MODELS:
            del self._calls[next(iter(self._calls))]
        return earlier

    def until(self, condition: Callable[[], bool]) -> Deferred[None]:
        """Fires when `condition` holds; it is asked now and after each change."""
        wanted: Deferred[None] = Deferred(lambda _: None)
        self._waiting.append((condition, wanted))
        self.changed()
        return wanted

    def changed(self) -> None:
        """Something above has changed."""
        self._waiting = [entry for entry in self._waiting if not entry[1].called]
        for condition, wanted in list(self._waiting):
            if not wanted.called and condition():
                wanted.callback(None)

    def as_json(self) -> dict[str, Any]:
        """For other processes; bodies as text."""
        return {
            "requests": [
                {
                    "method": seen.method,
                    "path": seen.path,
                    "headers": seen.headers,
                    "body": seen.body.decode("utf-8", "replace"),
                }
                for seen in self.requests
            ],
            "received": self.received,
            "calls": self._calls,
            "connections": self.connections,
            "streams": self.streams,
            "aborted": self.aborted,
        }
