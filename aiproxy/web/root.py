"""
The Klein tree: every path that clients can ask for, and what answers there.

Protocol routes come from the wires themselves. A request gets here when its head has passed the
guard and its body is complete.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from klein import Klein
from msgspec.structs import replace
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from aiproxy import ir
from aiproxy.aside import AT_ONCE, Aside
from aiproxy.errors import AIProxyError, BadRequest, ErrorReply
from aiproxy.messages import Headers, header
from aiproxy.outcome import forget
from aiproxy.services.balancer import Balancer
from aiproxy.services.drain import Drain
from aiproxy.settings import Settings
from aiproxy.translate import Call, Translator
from aiproxy.web.admin import Admin, Answer
from aiproxy.web.guard import Guard, inflated, passable_headers, passable_target
from aiproxy.web.listing import LISTINGS
from aiproxy.web.records import Records
from aiproxy.web.routes import Route, Routes
from aiproxy.web.site import ApiSite, ClientRequest
from aiproxy.web.stream import ClientStream
from aiproxy.wire import INBOUND
from aiproxy.wire.contract import Head, Inbound

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime


class Web:
    """
    All that is served.

    settings: gives those in force.
    """

    log = Logger()

    def __init__(
        self,
        settings: Callable[[], Settings],
        translator: Translator,
        balancer: Balancer,
        drain: Drain,
        records: Records,
        clock: IReactorTime,
        aside: Aside = AT_ONCE,
    ) -> None:
        self._aside = aside
        self._settings = settings
        self._translator = translator
        self._balancer = balancer
        self._drain = drain
        self._records = records
        self._clock = clock
        self._tree = Klein()
        self._tree.url_map.merge_slashes = False
        self._routes: list[Route] = []
        self._add_protocols()
        self._add_lists()
        self._add_admin(Admin(settings, balancer, drain))

    def site(self) -> ApiSite:
        routes = Routes(self._tree.url_map, self._routes, INBOUND.values())

        def answer(request: ClientRequest) -> None:
            self._answer(request, routes)

        return ApiSite(
            answer,
            Guard(routes, self._settings),
            self._settings,
            self._records,
            self._clock,
        )

    def _answer(self, request: ClientRequest, routes: Routes) -> None:
        """Call what the route leads to, as Klein's resource would, and see to its failures."""
        route, head = request.route, request.head
        parts = {} if route.is_exact else routes.parts(head.method, head.path)
        answering = maybeDeferred(self._tree.execute_endpoint, route.name, request, **parts)
        if not answering.called:

            def over(is_answered: bool) -> None:
                if not is_answered:
                    answering.cancel()

            request.when_over(over)

        def failed(failure: Failure) -> Deferred[None] | None:
            answered = self._failed(request, failure)
            forget(failure)
            return answered

        answering.addErrback(failed)

    def _add_protocols(self) -> None:
        for wire in INBOUND.values():
            for path in wire.ROUTES:
                self._add_protocol(wire, Route(path, "POST", f"{wire.NAME} {path}", wire.NAME))

    def _add_protocol(self, wire: Inbound, route: Route) -> None:
        def answer(request: ClientRequest, **parts: str) -> Deferred[None]:
            return Deferred.fromCoroutine(self._call(request, wire))

        self._add(route, answer)

    def _add_lists(self) -> None:
        for path in ("/v1/models", "/v1beta/models"):
            self._add(Route(path, "GET", f"list {path}"), self._list_models)
            self._add(Route(f"{path}/<path:name>", "GET", f"one {path}"), self._show_model)

    def _add_admin(self, admin: Admin) -> None:
        is_open = True
        self._add_plain(Route("/", "GET", "greeting", "", is_open), admin.greeting)
        self._add_plain(Route("/healthz", "GET", "health", "", is_open), admin.health)
        self._add_plain(Route("/readyz", "GET", "readiness", "", is_open), admin.readiness)
        self._add_plain(Route("/models", "GET", "models"), admin.models)
        self._add_plain(
            Route("/unavailable-models", "GET", "unavailable"), admin.unavailable_models
        )

        def reset(request: ClientRequest) -> None:
            _reply(request, admin.reset_model(self._body(request)))

        self._add(Route("/reset-model", "POST", "reset"), reset)

    def _add_plain(self, route: Route, answer: Callable[[], Answer]) -> None:
        self._add(route, lambda request: _reply(request, answer()))

    def _add(self, route: Route, answer: Callable[..., Deferred[None] | None]) -> None:
        self._routes.append(route)
        self._tree.route(route.path, methods=[route.method], endpoint=route.name)(answer)

    def _body(self, request: ClientRequest) -> bytes:
        """Raises: BadRequest."""
        limit_bytes = self._settings().max_request_bytes
        return inflated(request.body(), request.head.headers, limit_bytes)

    async def _call(self, request: ClientRequest, wire: Inbound) -> None:
        """
        One call, until its client has all of the answer or has left.

        Raises: BadRequest, NoUpstream (there is no room); CancelledError when the client leaves.
        """
        client = ClientStream(request)
        with self._drain.enter(client.abort):
            path = passable_target(request.head.target)

            def read() -> tuple[bytes, Head]:
                body = self._body(request)
                return body, wire.head(body, path)

            # What is coded may grow by much.
            growth = 1 if header(request.head.headers, "content-encoding") is None else 32
            body, head = await self._aside.run(request.size_bytes * growth, read)
            call = Call(
                id=request.id,
                wire=wire.NAME,
                head=head,
                path=path,
                headers=passable_headers(request.head.headers),
                body=body,
                decode=_Decoder(wire, body, path, self._settings().default_max_tokens),
            )
            self._records.begin(request.id, client, request.size_bytes)
            await self._translator.answer(call, client)
            # After an abort the request is over only when its connection is: were this to return
            # before, Klein would end the stream properly.
            await client.over

    def _list_models(self, request: ClientRequest) -> None:
        page = LISTINGS[self._dialect(request)].page
        query = dict(parse_qsl(request.head.query))
        _reply(request, Answer(200, page(self._balancer.advertised_models(), query)))

    def _show_model(self, request: ClientRequest, name: str) -> None:
        settings = self._settings()
        if name not in settings.model_fallback and not any(
            upstream.enabled and upstream.serves(name) for upstream in settings.upstreams
        ):
            raise BadRequest("there is no such model", status=404, kind="model_not_found")
        _reply(request, Answer(200, LISTINGS[self._dialect(request)].single(name)))

    def _dialect(self, request: ClientRequest) -> str:
        return request.channel.site.guard.dialect(request.head, request.route)

    def _failed(self, request: ClientRequest, failure: Failure) -> Deferred[None] | None:
        """Whatever went wrong in the tree, while the request is not finished."""
        if failure.check(CancelledError) or request.channel is None:
            return None
        headers: Headers = ()
        error = failure.value
        if isinstance(error, AIProxyError):
            said = error.reply
            if said.retry_after is not None:
                headers = (("Retry-After", str(max(1, math.ceil(said.retry_after)))),)
        else:
            self.log.failure("{id} failed in the web tree", failure, id=request.id)
            said = ErrorReply(500, "internal", f"internal error ({request.id})")
        client = ClientStream(request)
        if request.startedWriting:
            client.abort()
            return client.over
        dialect = self._dialect(request)
        body = INBOUND[dialect].encode_reply(said, None).body
        client.reply(said.status, headers, body)
        self._records.refused(request.id, dialect, client, request.size_bytes, request.began)
        return None


class _Decoder:
    """A client's request in the hub's terms, decoded when first asked for."""

    def __init__(self, wire: Inbound, body: bytes, path: str, default_max_tokens: int) -> None:
        self._wire = wire
        self._body = body
        self._path = path
        self._default_max_tokens = default_max_tokens
        self._request: ir.Request | None = None

    def __call__(self) -> ir.Request:
        """Raises: BadRequest, each time."""
        if self._request is None:
            self._request = replace(
                self._wire.decode_request(self._body, self._path),
                default_max_output_tokens=self._default_max_tokens,
            )
        return self._request


def _reply(request: ClientRequest, answer: Answer) -> None:
    ClientStream(request).reply(answer.status, (), answer.body)
