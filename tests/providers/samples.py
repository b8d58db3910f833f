"""Calls and upstreams for providers to prepare."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from aiproxy import ir
from aiproxy.messages import Credential, Headers, HttpReply, HttpRequest, Login, header
from aiproxy.providers import API_TYPES, PROVIDERS
from aiproxy.providers.contract import (
    AuthFile,
    Call,
    Change,
    Flow,
    LoginProvider,
    Pause,
    Prepared,
)
from aiproxy.redaction import Secret
from aiproxy.settings import Upstream, parse
from aiproxy.wire import INBOUND
from tests.settings.samples import source

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


def configured(api_type: str, lines: str = "") -> Upstream:
    """An upstream of this api_type; lines: more of its configuration."""
    pays = "token: t\nbase_url: https://host.test"
    if API_TYPES[api_type].credentials == "auth_files":
        pays = "auth_files: auth.json"
    given = {line.partition(":")[0].strip() for line in lines.splitlines()}
    fixed = ["name: a", f"api_type: {api_type}", *pays.splitlines()]
    whole = [line for line in fixed if line.partition(":")[0] not in given] + lines.splitlines()
    text = "upstreams:\n  - " + "\n    ".join(whole) + "\n"
    (only,) = parse(text, replace(source(), api_types=API_TYPES)).upstreams
    return only


def prepared(
    api_type: str,
    of: Call,
    *,
    lines: str = "",
    token: str = "t-canary",
    model: str = "mapped",
    login: Login | None = None,
) -> Prepared:
    """What the provider makes of a call. lines: more of the upstream's configuration."""
    credential = Credential("token 1 of 1", Secret(token), login)
    return PROVIDERS[api_type].prepare(of, model, configured(api_type, lines), credential)


# ── logins ──


def provider(api_type: str) -> LoginProvider:
    found = PROVIDERS[api_type]
    assert isinstance(found, LoginProvider)
    return found


def read_login(api_type: str, document: Mapping[str, Any], **siblings: Mapping[str, Any]) -> Login:
    """What an auth file says; siblings: other files of its folder, by their names without .json."""
    found = {f"{name}.json": sibling for name, sibling in siblings.items()}
    return provider(api_type).read_login(AuthFile("auth.json", document, found.get))


def driven(flow: Flow, *replies: HttpReply) -> tuple[list[HttpRequest], dict[str, Any]]:
    """
    A flow that is sent these replies: what it asked, and what the file must say ("a.b": value).

    Raises: what the flow raises.
    """
    asked: list[HttpRequest] = []
    waiting = list(replies)
    try:
        step = next(flow)
        while True:
            if isinstance(step, Pause):
                step = flow.send(HttpReply(0))
            else:
                asked.append(step)
                step = flow.send(waiting.pop(0))
    except StopIteration as ended:
        changes: tuple[Change, ...] = ended.value
        return asked, {".".join(change.path): change.value for change in changes}


def json_reply(status: int, body: Any, headers: Headers = ()) -> HttpReply:
    return HttpReply(status, headers, json.dumps(body).encode())


def jwt(claims: Mapping[str, Any]) -> str:
    """A JSON Web Token that nobody signed."""
    parts = (json.dumps({"alg": "none"}), json.dumps(claims), "signature")
    return ".".join(base64.urlsafe_b64encode(part.encode()).decode().rstrip("=") for part in parts)


# ── what was prepared ──


def values(of: Prepared, name: str) -> list[str]:
    """Every value of one header that is sent."""
    return [value for key, value in of.http.headers if key.lower() == name.lower()]


def value(of: Prepared, name: str) -> str | None:
    """The first value of one header that is sent."""
    return header(of.http.headers, name)
