"""What a side of the simulator offers, and what it may use."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

from twisted.internet.interfaces import IReactorTime
from twisted.web.server import Request

from aiproxy import ir
from aiproxy.simulator.player import Player, answer
from aiproxy.simulator.record import Received, Record
from aiproxy.simulator.script import Script
from aiproxy.wire import jsontext
from aiproxy.wire.contract import Inbound


@dataclass(frozen=True, slots=True)
class Stage:
    """
    What all sides of one simulator share.

    answer: an unmodified call of a wire, as the wire's own route answers it; checks included.
    """

    clock: IReactorTime
    record: Record
    answer: Callable[[Inbound, Request, Received], Coroutine[Any, Any, None]] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Visit:
    """
    One request to a side, and its answer.

    received: noted in the record already. words: what the route's `<name>` parts stand for.
    """

    http: Request
    received: Received
    stage: Stage
    words: Mapping[str, str]

    def document(self) -> dict[str, Any]:
        """The body as a JSON object, {} when it is none."""
        return jsontext.try_read(self.received.body, dict[str, Any]) or {}

    def say(self, status: int, document: Any, headers: Sequence[tuple[str, str]] = ()) -> None:
        """Answer with JSON."""
        for name, value in headers:
            self.http.setHeader(name, value)
        answer(self.http, status, jsontext.write(document))

    async def call(self, wire: Inbound, body: bytes | None = None, path: str = "") -> None:
        """
        Answer as an upstream of `wire` does.

        body, path: what it would have been sent, where that is not what was received.
        """
        seen = self.received
        as_sent = Received(
            seen.method, path or seen.path, seen.headers, seen.body if body is None else body
        )
        await self.stage.answer(wire, self.http, as_sent)

    async def play(self, wire: Inbound, request: ir.Request, script: Script) -> None:
        """Answer with a script, in the dialect of `wire`."""
        player = Player(self.stage.clock, self.stage.record, self.http, wire, request)
        await player.play(script)


Handler: TypeAlias = Callable[[Visit], Coroutine[Any, Any, None]]


class Side(Protocol):
    """routes: handlers by method and path in Klein's form, ("POST", "/acme/oauth/token")."""

    routes: Mapping[tuple[str, str], Handler]
