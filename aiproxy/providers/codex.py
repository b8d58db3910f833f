"""
Codex: OpenAI's models paid by a ChatGPT subscription, as Codex CLI uses it.

It speaks Responses with rules of its own (see `codex_body`), and only as a stream. Sources: Codex
CLI 0.169 (`login/src/auth`, `core/src/client.rs`, `codex-api`), and what it was seen to send.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from aiproxy import ir
from aiproxy.errors import ErrorKind, ErrorReply
from aiproxy.framing import sse
from aiproxy.ir import JSON
from aiproxy.messages import Credential, Headers, HttpReply, HttpRequest, Login, header
from aiproxy.providers import codex_login
from aiproxy.providers.codex_body import Fitted, fitted, fitted_compact
from aiproxy.providers.contract import AuthFile, Call, Flow, LoginProvider, Prepared
from aiproxy.providers.conversation import conversation_key
from aiproxy.providers.logins import number_at
from aiproxy.providers.outgoing import (
    encoded,
    passed,
    with_overrides,
    with_query,
)
from aiproxy.redaction import Secret
from aiproxy.settings import ApiType, Upstream
from aiproxy.wire.jsontext import copied, raw, read_member, try_read, with_member, write
from aiproxy.wire.losses import feature_name
from aiproxy.wire.names import derived_id

METADATA: Mapping[str, str] = {
    "base_url": "https://chatgpt.com/backend-api/codex",
    "token_url": "https://auth.openai.com/oauth/token",
    "client_id": "app_EMoamEEZ73f0CkXaXp7hrann",
    "originator": "codex_cli_rs",
    "version": "0.169.0",
    "user_agent": "{originator}/{version} (Debian 13.0.0; x86_64) unknown",
}

_PASSED = (
    "user-agent",
    "originator",
    "version",
    "session-id",
    "thread-id",
    "session_id",
    "conversation_id",
    "x-client-request-id",
    "x-codex-",
    "x-openai-subagent",
    "x-openai-internal-codex-",
    "openai-beta",
)
_CODEX_AGENT = re.compile(r"codex[ _/-]", re.IGNORECASE)
_ACCOUNT_HEADER = "chatgpt-account-id"
_TURN_STATE = "x-codex-turn-state"
_TURN_MARK = re.compile(r"aip1-[0-9a-f]{24}\.")
_SESSION_HEADERS = ("session-id", "session_id", "thread-id", "conversation_id")
_LITE = "x-openai-internal-codex-responses-lite"

_HOUR = 3600.0
_USUAL_PAUSE = 20.0

_RETRY_IN = re.compile(r"try again in\s+(\d+(?:\.\d+)?)\s*(ms|s|m|h)?", re.IGNORECASE)
_UNITS: Mapping[str, float] = {"ms": 0.001, "m": 60.0, "h": _HOUR}
_AT_CAPACITY = re.compile(r"at capacity", re.IGNORECASE)
_ACCOUNT = re.compile(r"account|plan\b|subscription|workspace|not included", re.IGNORECASE)
_UNSUPPORTED = re.compile(r"unsupported parameter:?\s*['\"`]?([A-Za-z_]+)", re.IGNORECASE)
_NEEDED = frozenset({"model", "input", "instructions", "stream", "store"})

_KINDS: Mapping[str, ErrorKind] = {
    "usage_limit_reached": "rate_limit",
    "rate_limit_exceeded": "rate_limit",
    "server_is_overloaded": "overloaded",
    "slow_down": "overloaded",
    "service_unavailable_error": "overloaded",
    "insufficient_quota": "quota",
    "usage_not_included": "permission",
}
"""What the backend's code words mean, whatever status they come with."""


class Codex(LoginProvider):
    api_type = "codex"
    wire = "responses"
    settings = ApiType("auth_files", affinity=True, metadata=METADATA)

    def serves(self, call: Call) -> bool:
        if call.head.operation == "compact":
            return call.wire == self.wire
        return call.head.operation == "generate"

    def prepare(
        self, call: Call, model: str, upstream: Upstream, credential: Credential
    ) -> Prepared:
        compact = call.head.operation == "compact"
        native = call.wire == self.wire
        worded = encoded(call, self.wire, model)
        fit = fitted_compact(worded.body) if compact else _fitted(call, worded.body)
        losses = (*worded.losses, *fit.losses)
        details = credential.login.details if credential.login is not None else {}
        base = upstream.base_url or upstream.metadata["base_url"]
        url = base + ("/responses/compact" if compact else "/responses")
        if native:
            url = with_query(url, call.query)
        identity = self._identity(call, upstream.metadata, details.get(codex_login.ACCOUNT, ""))
        headers = (
            ("Content-Type", "application/json"),
            ("Accept", "application/json" if compact else "text/event-stream"),
            *identity,
            *_session(identity, fit.key),
            *_payment(credential.secret, details),
        )
        return Prepared(
            HttpRequest("POST", url, with_overrides(headers, upstream.http_headers), fit.body),
            stream=not compact,
            losses=tuple({loss.feature: loss for loss in losses}.values()),
            envelope=Restoring(fit.renamed) if native else None,
        )

    def _identity(self, call: Call, metadata: Mapping[str, str], account: str) -> Headers:
        """Codex is who it says; any other client is sent on under the configured name."""
        own = _own(call, account) if call.wire == self.wire else ()
        agent = header(own, "user-agent") or ""
        originator = header(own, "originator") or metadata["originator"]
        version = metadata["version"]
        usual = metadata["user_agent"].replace("{originator}", originator)
        ours: Headers = (
            ("originator", originator),
            ("User-Agent", usual.replace("{version}", version)),
        )
        if _CODEX_AGENT.match(agent):
            return with_overrides(ours, own)
        return with_overrides(own, (*ours, ("version", version)))

    def returned(self, prepared: Prepared, headers: Headers) -> Headers:
        mark = _turn_mark(header(prepared.http.headers, _ACCOUNT_HEADER) or "")
        return tuple(
            (name, mark + value if name.lower() == _TURN_STATE else value)
            for name, value in headers
        )

    # ── errors ──

    def judge(self, reply: HttpReply, said: ErrorReply, now: float) -> ErrorReply:
        """
        Shapes: {"error": {"type": "usage_limit_reached", "resets_at": unix, "resets_in_seconds",
        "plan_type"}}, {"error": {"code", "message"}}, {"detail": "..."}.
        """
        error = _error(reply.body)
        known = _KINDS.get(str(error.get("type"))) or _KINDS.get(said.code or "")
        kind = known or said.kind
        if known == "permission" or (said.status == 403 and _ACCOUNT.search(said.message)):
            return replace(said, kind="permission", retry_after=_HOUR)
        if kind == "quota":
            return replace(said, kind=kind, retry_after=_HOUR)
        if kind == "overloaded" or _AT_CAPACITY.search(said.message):
            return replace(said, kind="overloaded", model_only=True)
        if kind == "rate_limit":
            return replace(said, kind=kind, retry_after=_reset(error, now) or _pause(said))
        return replace(said, kind=kind)

    def mended(self, prepared: Prepared, error: ErrorReply) -> Prepared | None:
        """Without the field in `{"detail": "Unsupported parameter: metadata"}`."""
        found = _UNSUPPORTED.search(error.message)
        if found is None or found[1] in _NEEDED:
            return None
        body = with_member(prepared.http.body, found[1], None)
        if body == prepared.http.body:
            return None
        return ir.replace(
            prepared,
            http=ir.replace(prepared.http, body=body),
            losses=(*prepared.losses, ir.Loss(feature_name(found[1]))),
        )

    # ── the login ──

    def read_login(self, file: AuthFile) -> Login:
        return codex_login.read(file.document)

    def is_stale(self, login: Login, now: float) -> bool:
        return codex_login.is_stale(login, now)

    def renew(self, login: Login, upstream: Upstream, now: float) -> Flow:
        url = upstream.token_url or upstream.metadata["token_url"]
        return codex_login.renewal(login, url, upstream.metadata["client_id"], now)


def _fitted(call: Call, body: bytes) -> Fitted:
    lite = header(call.headers, _LITE) is not None
    return fitted(body, conversation_key(call), parallel=not lite)


def _session(identity: Headers, key: str) -> Headers:
    """The conversation's name, where the client has none: the backend's caches go by it."""
    if not key or any(header(identity, name) for name in _SESSION_HEADERS):
        return ()
    return (("session-id", key),)


def _payment(token: Secret, details: Mapping[str, str]) -> Headers:
    account = details.get(codex_login.ACCOUNT, "")
    return (
        ("Authorization", f"Bearer {token.reveal()}"),
        *(((_ACCOUNT_HEADER, account),) if account else ()),
        *((("X-OpenAI-Fedramp", "true"),) if details.get(codex_login.FEDRAMP) else ()),
    )


def _own(call: Call, account: str) -> Headers:
    """Codex's headers, without the state of a turn that began with another account."""
    mark = _turn_mark(account)
    own: list[tuple[str, str]] = []
    for name, value in passed(call.headers, _PASSED):
        if name.lower() == _TURN_STATE and _TURN_MARK.match(value):
            if not value.startswith(mark):
                continue
            value = value.removeprefix(mark)
        own.append((name, value))
    return tuple(own)


def _turn_mark(account: str) -> str:
    """What a turn's state begins with on its way through the client: whose it is."""
    return derived_id("aip1-", account) + "."


# ── errors ──


def _error(body: bytes) -> Mapping[str, Any]:
    document = try_read(body, dict[str, Any]) or {}
    error = document.get("error")
    return error if isinstance(error, Mapping) else {}


def _reset(error: Mapping[str, Any], now: float) -> float | None:
    """Seconds until a usage limit is lifted."""
    at, left = number_at(error, "resets_at"), number_at(error, "resets_in_seconds")
    if at is not None and at > now:
        return at - now
    return left if left is not None and left > 0 else None


def _pause(said: ErrorReply) -> float:
    """Seconds to wait after any other limit, named in the headers or the message."""
    if said.retry_after is not None:
        return said.retry_after
    found = _RETRY_IN.search(said.message)
    if found is None:
        return _USUAL_PAUSE
    return float(found[1]) * _UNITS.get((found[2] or "").lower(), 1.0)


# ── answers ──


class Restoring:
    """
    What a client of the same protocol gets back: its tools under their own names, and a final
    response that holds its items, which the backend may leave out.

    See `contract.Envelope`. renamed: names as sent, with the client's.
    """

    def __init__(self, renamed: Mapping[str, str]) -> None:
        self._renamed = tuple((write(sent), write(name)) for sent, name in renamed.items())
        self._items: dict[int, JSON] = {}

    def message(self, message: sse.Message) -> sse.Message:
        data = self._named(message.data)
        if b'"response.output_item.done"' in data:
            self._collect(data)
        elif self._items and (b'"response.completed"' in data or b'"response.incomplete"' in data):
            data = self._completed(data)
        return message if data is message.data else _rewritten(message, data)

    def whole(self, body: bytes) -> bytes:
        return self._named(body)

    def _named(self, data: bytes) -> bytes:
        # The names end in digests: nothing else is such a JSON text.
        for sent, name in self._renamed:
            if sent in data:
                data = data.replace(sent, name)
        return data

    def _collect(self, data: bytes) -> None:
        event = try_read(data, dict[str, JSON]) or {}
        index = read_member(event, "output_index", int)
        if "item" in event:
            at = len(self._items) if index is None else index
            self._items[at] = copied(event["item"])

    def _completed(self, data: bytes) -> bytes:
        event = try_read(data, dict[str, JSON]) or {}
        response = read_member(event, "response", dict[str, JSON])
        if response is None or _entries(response, "output"):
            return data
        response["output"] = raw([self._items[at] for at in sorted(self._items)])
        event["response"] = raw(response)
        return write(event)


def _entries(members: Mapping[str, JSON], name: str) -> list[JSON]:
    return read_member(members, name, list[JSON]) or []


def _rewritten(message: sse.Message, data: bytes) -> sse.Message:
    return sse.Message(message.event, data, sse.encode(data, message.event))


CODEX = Codex()
