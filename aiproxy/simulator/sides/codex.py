"""
Codex's backend, as ChatGPT serves it to Codex CLI: Responses with rules of its own.

An account whose name begins with "spent" has used up its share. A model's name with the word
"no-output" gives a final response without its items, as the backend often sends it.
Source: Codex CLI 0.169 (`codex-rs`), and the backend's own refusals.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from aiproxy import ir
from aiproxy.framing import sse
from aiproxy.messages import header
from aiproxy.simulator.sides.contract import Handler, Stage, Visit
from aiproxy.simulator.sides.oauth import Dialect, Grant, TokenService
from aiproxy.wire import INBOUND, jsontext

_REFUSED = (
    "max_output_tokens",
    "max_completion_tokens",
    "temperature",
    "top_p",
    "truncation",
    "context_management",
    "user",
    "metadata",
    "previous_response_id",
    "conversation",
    "background",
    "prompt_cache_retention",
    "prompt_cache_options",
    "safety_identifier",
    "generate",
)
_LONGEST = 64
_LIMIT_SECONDS = 7200
_CLAIMS = "https://api.openai.com/auth"


def account_id(account: str) -> str:
    """What the header `chatgpt-account-id` must say for an account."""
    return f"acc-{account}"


def token(account: str, number: int, ends_at: float) -> str:
    """An access token: a JSON Web Token that names the account and its end."""
    claims = {
        "exp": int(ends_at),
        "n": number,
        _CLAIMS: {"chatgpt_account_id": account_id(account)},
    }
    parts = (jsontext.write({"alg": "none"}), jsontext.write(claims), b"canary")
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


def _reply(grant: Grant) -> dict[str, Any]:
    return {
        "access_token": grant.access_token,
        "refresh_token": grant.refresh_token,
        "id_token": grant.access_token,
    }


DIALECT = Dialect(
    fields={"grant_type": "refresh_token", "client_id": "app_EMoamEEZ73f0CkXaXp7hrann"},
    reply=_reply,
    error=lambda word: {"error": {"code": word, "message": f"simulated: {word}"}},
    mint=token,
    used_up=(401, "refresh_token_reused"),
    revoked=(401, "refresh_token_invalidated"),
)


class _Encoder:
    """A stream with what the backend tells besides, and perhaps without what it leaves out."""

    def __init__(self, request: ir.Request) -> None:
        self._encoder = INBOUND["responses"].StreamEncoder(request)
        self._leaves_out = "no-output" in request.model
        self._has_begun = False
        self.content_type = self._encoder.content_type
        self.losses = self._encoder.losses

    def encode(self, event: ir.Event) -> bytes:
        data = self._encoder.encode(event)
        if data and not self._has_begun:
            self._has_begun = True
            data += sse.encode(_RATE_LIMITS, "codex.rate_limits")
        if self._leaves_out and isinstance(event, ir.Finished):
            data = b"".join(_without_output(message) for message in sse.SSEDecoder().feed(data))
        return data


def _without_output(message: sse.Message) -> bytes:
    event = jsontext.try_read(message.data, dict[str, Any]) or {}
    if message.event != "response.completed":
        return message.raw
    response = {**event["response"], "output": []}
    return sse.encode(jsontext.write({**event, "response": response}), message.event)


_RATE_LIMITS = jsontext.write(
    {
        "type": "codex.rate_limits",
        "plan_type": "plus",
        "rate_limits": {"primary": {"used_percent": 12.5, "window_minutes": 300}},
    }
)


class _Backend:
    """Responses, but for its streams."""

    StreamEncoder = _Encoder

    def __getattr__(self, name: str) -> Any:
        return getattr(INBOUND["responses"], name)


BACKEND: Any = _Backend()


class Codex:
    """logins: its accounts; one called "demo" is there from the start."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.logins = TokenService(stage, DIALECT)
        self.logins.log_in("demo")
        self.routes: Mapping[tuple[str, str], Handler] = {
            ("POST", "/codex/oauth/token"): self.logins.token,
            ("POST", "/codex/responses"): self._responses,
            ("POST", "/codex/responses/compact"): self._compact,
        }

    async def _responses(self, visit: Visit) -> None:
        if self._is_paid(visit):
            wrong = _wrong(visit.document())
            if wrong:
                visit.say(400, {"detail": wrong})
            else:
                await visit.call(BACKEND, path="/v1/responses")

    async def _compact(self, visit: Visit) -> None:
        if self._is_paid(visit):
            document = visit.document()
            wrong = "stream" if "stream" in document else _refused_field(document)
            if wrong:
                visit.say(400, {"detail": f"Unsupported parameter: {wrong}"})
            else:
                await visit.call(BACKEND, path="/v1/responses/compact")

    def _is_paid(self, visit: Visit) -> bool:
        """Whether an account pays; if not, that is answered."""
        account = self.logins.bearer(visit)
        named = header(visit.received.headers, "chatgpt-account-id")
        if account is None or named != account_id(account.name):
            error = {"code": "token_expired", "message": "the token is not valid"}
            visit.say(401, {"error": error})
            return False
        if account.name.startswith("spent"):
            self._say_limit(visit)
            return False
        visit.http.setHeader("x-codex-turn-state", f"turn of {account.name}")
        return True

    def _say_limit(self, visit: Visit) -> None:
        error = {
            "type": "usage_limit_reached",
            "message": "The usage limit has been reached",
            "plan_type": "plus",
            "resets_at": int(self._stage.clock.seconds()) + _LIMIT_SECONDS,
            "resets_in_seconds": _LIMIT_SECONDS,
        }
        visit.say(429, {"error": error})


def _wrong(document: Mapping[str, Any]) -> str:
    """Why the backend would refuse a request, "" when it would not."""
    if document.get("stream") is not True:
        return "Stream must be set to true"
    if document.get("store") is not False:
        return "Store must be set to false"
    if not isinstance(document.get("instructions"), str):
        return "Instructions are required"
    items = document.get("input")
    if not isinstance(items, list):
        return "Input must be a list"
    for item in items:
        if isinstance(item, dict) and item.get("role") == "system":
            return "System messages are not allowed"
        if isinstance(item, dict) and len(str(item.get("call_id", ""))) > _LONGEST:
            return f"Invalid 'input.call_id': maximum length {_LONGEST}"
    for tool in document.get("tools") or ():
        if isinstance(tool, dict) and len(str(tool.get("name", ""))) > _LONGEST:
            return f"Invalid 'tools.name': maximum length {_LONGEST}"
    refused = _refused_field(document)
    return f"Unsupported parameter: {refused}" if refused else ""


def _refused_field(document: Mapping[str, Any]) -> str:
    if document.get("service_tier") not in (None, "priority"):
        return "service_tier"
    return next((name for name in _REFUSED if name in document), "")
