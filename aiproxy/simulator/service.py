"""The simulator's HTTP side: routes of every wire on a Klein tree, and what tests ask of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any

from klein import Klein
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel
from twisted.web.iweb import IRequest
from twisted.web.server import Request, Site
from werkzeug.exceptions import HTTPException

from aiproxy import codings
from aiproxy.errors import BadRequest
from aiproxy.messages import Headers, header
from aiproxy.simulator import checks
from aiproxy.simulator.behaviour import script_for
from aiproxy.simulator.player import Player, answer, refuse
from aiproxy.simulator.record import Received, Record
from aiproxy.simulator.script import Question
from aiproxy.simulator.sides import SIDES, Side, Stage, Visit
from aiproxy.simulator.sides.contract import Handler
from aiproxy.wire import INBOUND, jsontext
from aiproxy.wire.contract import Inbound
from aiproxy.wire.estimate import estimated_tokens
from aiproxy.wire.names import derived_id

_MAX_BODY_BYTES = 128 * 1024 * 1024

# Upstreams may serve what no client route of the wire has.
_MORE_ROUTES: Mapping[str, tuple[str, ...]] = {
    "responses": ("/v1/responses/compact", "/v1/responses/input_tokens"),
}


class Simulator:
    """
    A fake upstream.

    clock: None for the reactor. record: what it has seen. sides: by name.
    """

    def __init__(
        self,
        clock: IReactorTime | None = None,
        wires: Mapping[str, Inbound] = INBOUND,
        sides: Mapping[str, Callable[[Stage], Side]] = SIDES,
    ) -> None:
        self.record = Record()
        app = Klein()
        for wire in wires.values():
            routes = dict.fromkeys((*wire.ROUTES, *_MORE_ROUTES.get(wire.NAME, ())))
            for route in routes:
                app.route(route, methods=["POST"], endpoint=route)(self._calls_of(wire))
        self._site = _Site(self.record, app.resource(), reactor=clock)
        self._clock: IReactorTime = self._site.reactor
        self._stage = Stage(self._clock, self.record, self._answer_or_refuse)
        self.sides: Mapping[str, Any] = {name: make(self._stage) for name, make in sides.items()}
        for side in self.sides.values():
            for (method, route), handler in side.routes.items():
                endpoint = f"{method} {route}"
                app.route(route, methods=[method], endpoint=endpoint)(self._visits_of(handler))
        app.route("/_simulator/requests", methods=["GET"])(self._requests)
        app.route("/_simulator/reset", methods=["POST"])(self._reset)
        app.handle_errors(HTTPException)(_no_route)

    def site(self) -> Site:
        """What listens: one site for all wires."""
        return self._site

    # ── calls ──

    def _calls_of(self, wire: Inbound) -> Callable[..., Deferred[None]]:
        def call(http: Request, **_: str) -> Deferred[None]:
            return Deferred.fromCoroutine(self._call(wire, http))

        return call

    async def _call(self, wire: Inbound, http: Request) -> None:
        try:
            received = self._noted(http)
        except codings.CodingError as error:
            refuse(http, wire, BadRequest(f"cannot read the body: {error}").reply)
            return
        refused = checks.refused_key(wire.NAME, received.headers, received.path)
        if refused is not None:
            refuse(http, wire, refused)
            return
        await self._answer_or_refuse(wire, http, received)

    def _visits_of(self, handler: Handler) -> Callable[..., Deferred[None]]:
        def visit(http: Request, **words: str) -> Deferred[None]:
            visited = Visit(http, self._noted(http), self._stage, words)
            return Deferred.fromCoroutine(handler(visited))

        return visit

    def _noted(self, http: Request) -> Received:
        """Raises codings.CodingError."""
        received = _received(http)
        self.record.add(received)
        return received

    async def _answer_or_refuse(self, wire: Inbound, http: Request, received: Received) -> None:
        try:
            await self._answer(wire, http, received)
        except BadRequest as error:
            refuse(http, wire, error.reply)

    async def _answer(self, wire: Inbound, http: Request, received: Received) -> None:
        head = wire.head(received.body, received.path)
        if head.operation == "compact":
            answer(http, 200, _compacted(received))
            return
        request = wire.decode_request(received.body, received.path)
        checks.check(wire, head.operation, received.headers, received.body, request)
        if head.operation == "count":
            answer(http, 200, wire.encode_count(estimated_tokens(request)))
            return
        count = self.record.count(request.model)
        script = script_for(Question(request, wire.NAME, wire.FAMILY, count))
        await Player(self._clock, self.record, http, wire, request).play(script)

    # ── for tests ──

    def _requests(self, http: Request) -> bytes:
        http.setHeader("Content-Type", "application/json")
        return jsontext.write(self.record.as_json())

    def _reset(self, http: Request) -> bytes:
        self.record.reset()
        http.setHeader("Content-Type", "application/json")
        return b"{}"


def _received(http: Request) -> Received:
    """Raises codings.CodingError."""
    headers: Headers = tuple(
        (name.decode("latin-1"), value.decode("latin-1"))
        for name, values in http.requestHeaders.getAllRawHeaders()
        for value in values
    )
    content: Any = http.content
    body = content.read()
    coding = codings.parse(header(headers, "content-encoding") or "")
    if coding:
        body = codings.decode(body, coding, _MAX_BODY_BYTES)
    return Received(http.method.decode("latin-1"), http.uri.decode("latin-1"), headers, body)


def _compacted(received: Received) -> bytes:
    """
    A compacted conversation, which only its vendor can read.

    Source: OpenAI API reference, POST /v1/responses/compact.
    """
    item_id = derived_id("cmp_", received.body.decode("utf-8", "replace"))
    item = {"id": item_id, "type": "compaction", "encrypted_content": "c2ltdWxhdGVk"}
    usage = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
    return jsontext.write(
        {
            "id": item_id.replace("cmp_", "resp_"),
            "object": "response.compaction",
            "created_at": 0,
            "output": [item],
            "usage": usage,
        }
    )


def _no_route(request: IRequest, failure: Failure) -> bytes:
    """A path that no vendor has, as JSON that belongs to no dialect."""
    assert isinstance(failure.value, HTTPException)
    request.setResponseCode(failure.value.code or 404)
    request.setHeader("Content-Type", "application/json")
    return jsontext.write({"error": {"message": f"the simulator has no {request.uri!r}"}})


# ── HTTP ──


class _Request(Request):
    """Keeps bodies of any size in memory."""

    def gotLength(self, length: int | None) -> None:
        self.content = BytesIO()


class _Channel(HTTPChannel):
    """A connection that is counted."""

    site: _Site

    def connectionMade(self) -> None:
        self._record = self.site.record
        self._record.connections += 1
        self._record.changed()
        super().connectionMade()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)
        self._record.connections -= 1
        self._record.changed()


class _Site(Site):
    """Silent: what it has to tell is in its record."""

    noisy = False
    protocol: Any = _Channel
    requestFactory = _Request
    displayTracebacks = False

    def __init__(self, record: Record, resource: Any, reactor: IReactorTime | None) -> None:
        super().__init__(resource, requestFactory=_Request, reactor=reactor)
        self.record = record

    def log(self, request: Any) -> None:
        pass
