"""
The web side over real sockets, in front of the real translator and a scripted upstream.

Time is a `Clock` that tests advance; only sockets are the reactor's.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from aiproxy.aside import Aside
from aiproxy.services.balancer import Balancer
from aiproxy.services.credentials import Credentials
from aiproxy.services.drain import Drain
from aiproxy.settings import ApiKey, Settings
from aiproxy.translate import Translator
from aiproxy.upstream.client import UpstreamClient
from aiproxy.web import Record, Records, Web
from tests.services.samples import logins
from tests.settings.samples import load
from tests.upstream.servers import Connection, Server
from tests.web.clients import Answer, RawClient, connected

KEY = "client-key-canary"

UPSTREAM = """
upstreams:
  - name: one
    base_url: {url}
    token: upstream-token
    available_models: [m, n/1]
"""

PATHS = {
    "anthropic": "/v1/messages",
    "chat": "/v1/chat/completions",
    "responses": "/v1/responses",
    "gemini": "/v1beta/models/m:generateContent",
}

BODIES: dict[str, bytes] = {
    "anthropic": b'{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}',
    "chat": b'{"model":"m","messages":[{"role":"user","content":"hi"}]}',
    "responses": b'{"model":"m","input":"hi"}',
    "gemini": b'{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}',
}

STREAM = BODIES["anthropic"].replace(b'"max_tokens"', b'"stream":true,"max_tokens"')

MESSAGE = json.dumps(
    {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [{"type": "text", "text": "hello"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 3, "output_tokens": 2},
    }
).encode()


def event(kind: str, **fields: Any) -> bytes:
    """One event of an Anthropic stream."""
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


def delta(text: str) -> bytes:
    return event("content_block_delta", index=0, delta={"type": "text_delta", "text": text})


BEGINNING = event(
    "message_start",
    message={**json.loads(MESSAGE), "content": [], "stop_reason": None},
) + event("content_block_start", index=0, content_block={"type": "text", "text": ""})

END = (
    event("content_block_stop", index=0)
    + event(
        "message_delta",
        delta={"stop_reason": "end_turn", "stop_sequence": None},
        usage={"output_tokens": 5},
    )
    + event("message_stop")
)


def message_of(dialect: str, answer: Answer) -> str:
    """The text of an error, after a look at whether it is the dialect's shape."""
    body = answer.json()
    error = body["error"]
    match dialect:
        case "anthropic":
            assert body["type"] == "error"
            assert error["type"]
        case "gemini":
            assert error["code"]
            assert error["status"]
        case _:
            assert {"message", "type", "param", "code"} <= error.keys()
    text: str = error["message"]
    return text


def _reactor() -> Any:
    from twisted.internet import reactor

    return reactor


class WebCase(TestCase):
    """
    settings: in force; may be replaced at any time.
    upstream: scripted, an Anthropic one.
    records: of all requests so far.
    """

    timeout = 20
    CONFIG = ""

    def setUp(self) -> None:
        self.reactor = _reactor()
        self.clock = Clock()
        self.upstream = Server()
        url = self.upstream.listen(self.reactor)
        self.settings: Settings = load(self.CONFIG + UPSTREAM.format(url=url))
        self.records: list[Record] = []
        self.drain = Drain(self.settings.max_concurrent_requests, self.clock)
        credentials = Credentials(logins(self.clock), self.clock)
        self.balancer = Balancer(self.settings, credentials, self.clock)
        aside = Aside(deferToThread)
        client = UpstreamClient(self.reactor, aside=aside)
        records = Records(self.records.append, self.clock)

        def settings() -> Settings:
            return self.settings

        translator = Translator(
            settings,
            self.balancer,
            credentials,
            client,
            self.clock,
            records.ended,
            aside=aside,
        )
        web = Web(settings, translator, self.balancer, self.drain, records, self.clock, aside)
        self.site = web.site()
        self.port = self.reactor.listenTCP(0, self.site, interface="127.0.0.1")
        self.addCleanup(lambda: Deferred.fromCoroutine(self.upstream.stop()))
        self.addCleanup(client.close)
        self.addCleanup(lambda: Deferred.fromCoroutine(self._stop_site()))
        self.addCleanup(self.port.stopListening)

    def require(self, *keys: str) -> None:
        """From now on clients must show one of these keys."""
        self.settings = replace(self.settings, api_keys=tuple(ApiKey.of(key) for key in keys))

    async def _stop_site(self) -> None:
        closed = self.site.close()
        self.clock.advance(1000)
        await closed

    async def connect(self) -> RawClient:
        client = await connected(self.reactor, self.port.getHost().port)
        self.addCleanup(client.close)
        return client

    async def post(self, path: str, body: bytes, *headers: str) -> Answer:
        """One request on a connection of its own, and its answer."""
        client = await self.connect()
        client.post(path, body, *headers)
        return await client.answer()

    async def get(self, path: str, *headers: str, method: str = "GET") -> Answer:
        client = await self.connect()
        client.get(path, *headers, method=method)
        return await client.answer(bodiless=method == "HEAD")

    async def call(self, wire: str, *headers: str) -> tuple[RawClient, Connection]:
        """A whole call under way: the client, and the upstream's end with the request."""
        client = await self.connect()
        client.post(PATHS[wire], BODIES[wire], *headers)
        return client, await self.upstream.request()

    async def stream(self) -> tuple[RawClient, Connection]:
        """A stream under way: its first text has reached the client."""
        client = await self.connect()
        client.post("/v1/messages", STREAM)
        upstream = await self.upstream.request()
        upstream.begin()
        upstream.chunk(BEGINNING + delta("first"))
        await client.contains(b"first")
        return client, upstream
