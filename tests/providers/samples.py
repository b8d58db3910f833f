"""Calls and upstreams for providers to prepare."""

from __future__ import annotations

import json
from typing import Any

from aiproxy import ir
from aiproxy.messages import Credential, Headers, header
from aiproxy.providers import PROVIDERS
from aiproxy.providers.contract import Call, Prepared
from aiproxy.redaction import Secret
from aiproxy.wire import INBOUND
from tests.settings.samples import upstream as configured

PATHS = {
    "anthropic": "/v1/messages",
    "chat": "/v1/chat/completions",
    "responses": "/v1/responses",
    "gemini": "/v1beta/models/m:generateContent",
}

BODIES: dict[str, dict[str, Any]] = {
    "anthropic": {
        "model": "m",
        "max_tokens": 10,
        "messages": [{"role": "user", "content": "hi"}],
    },
    "chat": {"model": "m", "messages": [{"role": "user", "content": "hi"}]},
    "responses": {"model": "m", "input": "hi"},
    "gemini": {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
}


def call(
    wire: str, body: bytes | None = None, path: str = "", headers: Headers = (), id: str = "id-1"
) -> Call:
    """A client's call, as the web side builds it."""
    sent = json.dumps(BODIES[wire]).encode() if body is None else body
    place = path or PATHS[wire]
    inbound = INBOUND[wire]

    def decode() -> ir.Request:
        return inbound.decode_request(sent, place)

    return Call(id, wire, inbound.head(sent, place), place, headers, sent, decode)


def prepared(
    api_type: str,
    of: Call,
    *,
    lines: str = "",
    token: str = "t-canary",
    model: str = "mapped",
) -> Prepared:
    """What the provider makes of a call. lines: more of the upstream's configuration."""
    place = configured(f"api_type: {api_type}\n{lines}")
    return PROVIDERS[api_type].prepare(of, model, place, Credential("token 1 of 1", Secret(token)))


def values(of: Prepared, name: str) -> list[str]:
    """Every value of one header that is sent."""
    return [value for key, value in of.http.headers if key.lower() == name.lower()]


def value(of: Prepared, name: str) -> str | None:
    """The first value of one header that is sent."""
    return header(of.http.headers, name)
