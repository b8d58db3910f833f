"""
A translator with everything below it real, but for sockets and time.

Upstreams are one in-memory site, told apart by their host; a test answers each exchange by hand,
byte for byte, and moves the clock.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from treq.testing import RequestTraversalAgent
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from aiproxy.framing import sse
from aiproxy.messages import Headers, header
from aiproxy.providers import PROVIDERS
from aiproxy.providers.contract import LoginProvider
from aiproxy.redaction import Secret
from aiproxy.services.balancer import Balancer
from aiproxy.services.credentials import Credentials
from aiproxy.settings import BreakerSettings, Upstream
from aiproxy.translate import Call, Trail, Translator
from aiproxy.upstream.client import UpstreamClient
from tests.providers.samples import BODIES, call
from tests.routing.samples import BREAKER, settings
from tests.routing.samples import upstream as plain_upstream
from tests.services.samples import ACME, logins

ANSWER = (
    b'{"id":"msg_1","type":"message","role":"assistant","model":"up","content":'
    b'[{"type":"text","text":"hello"}],"stop_reason":"end_turn","stop_sequence":null,'
    b'"usage":{"input_tokens":3,"output_tokens":2}}'
)


def event(data: bytes) -> bytes:
    """One event of an Anthropic stream."""
    return sse.encode(data, json.loads(data)["type"])


START = event(
    b'{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant",'
    b'"model":"up","content":[],"stop_reason":null,"stop_sequence":null,'
    b'"usage":{"input_tokens":3,"output_tokens":1}}}'
)
BLOCK = event(b'{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}')
DELTA = event(
    b'{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"hello"}}'
)
END = (
    event(b'{"type":"content_block_stop","index":0}')
    + event(
        b'{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},'
        b'"usage":{"output_tokens":2}}'
    )
    + event(b'{"type":"message_stop"}')
)


def error_body(type: str, message: str = "as the vendor says") -> bytes:
    """An error as Anthropic writes it."""
    return json.dumps({"type": "error", "error": {"type": type, "message": message}}).encode()


def upstream(name: str, **changed: Any) -> Upstream:
    """An Anthropic upstream at http://NAME.test; tokens as plain text."""
    tokens = tuple(Secret(token) for token in changed.pop("tokens", ("t",)))
    return replace(plain_upstream(name), base_url=f"http://{name}.test", tokens=tokens, **changed)


class Exchange:
    """One request that an upstream has received, and its answer."""

    def __init__(self, request: Request, agent: RequestTraversalAgent) -> None:
        self._request = request
        self._agent = agent
        self.body: bytes = request.content.read()  # type: ignore[union-attr]
        self.upstream = str(request.getHeader("host")).partition(".")[0]
        self.path: str = request.uri.decode()
        self.gone = False
        request.notifyFinish().addErrback(self._left)

    @property
    def token(self) -> str:
        """What paid for it."""
        return str(self._request.getHeader("x-api-key"))

    def _left(self, _: object) -> None:
        self.gone = True

    def answer(self, status: int, body: bytes, **headers: str) -> None:
        """The whole answer; headers with "_" for "-"."""
        self.begin(status, **{"content_type": "application/json", **headers})
        self.write(body)
        self.end()

    def begin(self, status: int = 200, **headers: str) -> None:
        """The head, of an event stream unless told otherwise."""
        self._request.setResponseCode(status)
        for name, value in {"content_type": "text/event-stream", **headers}.items():
            self._request.setHeader(name.replace("_", "-"), value)
        self._request.write(b"")
        self._agent.flush()

    def write(self, *pieces: bytes) -> None:
        self._request.write(b"".join(pieces))
        self._agent.flush()

    def end(self) -> None:
        """The regular end."""
        self._request.finish()
        self._agent.flush()

    def cut(self) -> None:
        """The connection breaks."""
        transport = self._request.transport
        assert transport is not None
        transport.loseConnection()
        self._agent.flush()


class _Upstreams(Resource):
    isLeaf = True

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self._stage = stage

    def render(self, request: Request) -> int:
        self._stage.exchanges.append(Exchange(request, self._stage.agent))
        return NOT_DONE_YET


class Listener:
    """A `translate.Client` that remembers what it was given."""

    def __init__(self) -> None:
        self.started = False
        self.status = 0
        self.headers: Headers = ()
        self.content_type = ""
        self.data = b""
        self.ending = ""
        self.producer: IPushProducer | None = None

    @property
    def written(self) -> int:
        return len(self.data)

    def header(self, name: str) -> str | None:
        return header(self.headers, name)

    def reply(self, status: int, headers: Headers, body: bytes) -> None:
        assert not self.started, "two answers"
        self.started = True
        self.status, self.headers, self.data = status, headers, body
        self.ending = "whole"

    def begin(self, content_type: str, headers: Headers) -> None:
        assert not self.started, "two answers"
        self.started = True
        self.status, self.headers, self.content_type = 200, headers, content_type

    def write(self, data: bytes) -> None:
        assert self.started, "a body before its head"
        assert not self.ending, "bytes behind the end"
        self.data += data

    def finish(self) -> None:
        assert not self.ending, "two ends"
        self.ending = "finished"

    def abort(self) -> None:
        assert not self.ending, "two ends"
        self.ending = "aborted"

    def pace(self, producer: IPushProducer | None) -> None:
        self.producer = producer


class Running:
    """One call on its way."""

    def __init__(self, client: Listener, done: Deferred[None]) -> None:
        self.client = client
        self.done = done


class Stage(SynchronousTestCase):
    """
    exchanges: every request that upstreams got, in order.
    trails: of the calls that have ended.
    acme: whose upstreams `samples.acme` makes.
    """

    acme: LoginProvider = ACME

    def start(
        self,
        *upstreams: Upstream,
        fallback: Mapping[str, str] | None = None,
        keepalive: float = 10.0,
        breaker: BreakerSettings = BREAKER,
    ) -> None:
        self.clock = Clock()
        self.exchanges: list[Exchange] = []
        self.trails: list[Trail] = []
        chosen = upstreams or (upstream("a"),)
        self.settings = replace(
            settings(*chosen, breaker=breaker, fallback=fallback), keepalive_seconds=keepalive
        )
        self.agent = RequestTraversalAgent(_Upstreams(self))
        self.logins = logins(self.clock, self.agent, self.acme)
        self.credentials = Credentials(self.logins, self.clock)
        self.balancer = Balancer(self.settings, self.credentials, self.clock)
        self.upstreams = UpstreamClient(self.clock, agent=self.agent)
        self.translator = Translator(
            lambda: self.settings,
            self.balancer,
            self.credentials,
            self.upstreams,
            self.clock,
            self.trails.append,
            {**PROVIDERS, "acme": self.acme},
        )

    def ask(
        self,
        wire: str = "anthropic",
        *,
        stream: bool = False,
        model: str = "m",
        path: str = "",
        of: Call | None = None,
        **members: Any,
    ) -> Running:
        """A call that has just come in."""
        body = {**BODIES[wire], **members}
        if wire == "gemini":
            action = "streamGenerateContent?alt=sse" if stream else "generateContent"
            path = path or f"/v1beta/models/{model}:{action}"
        else:
            body = {**body, "model": model, "stream": stream}
        client = Listener()
        made = of or call(wire, json.dumps(body).encode(), path)
        return Running(client, self.translator.translate(made, client))

    def assert_no_clock_runs(self) -> None:
        """No call has left a timer behind."""
        self.upstreams.close()
        self.clock.advance(0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    @property
    def latest(self) -> Exchange:
        return self.exchanges[-1]

    @property
    def asked(self) -> str:
        """The names of the upstreams asked, one letter each."""
        return "".join(exchange.upstream for exchange in self.exchanges)

    def refuse(self, status: int, type: str = "api_error", **headers: str) -> None:
        """The latest exchange ends in an error."""
        self.latest.answer(status, error_body(type), **headers)

    def ended(self, running: Running) -> Trail:
        """The trail of a call that must have ended."""
        self.successResultOf(running.done)
        return self.trails[-1]
