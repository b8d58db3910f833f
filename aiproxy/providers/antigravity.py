"""
Gemini and Claude models by the login of Google's Antigravity.

Experimental: the API is private and changes with the vendor's releases, which it tells apart by
their version; what is known is what gateways report.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from types import MappingProxyType
from typing import Any

from aiproxy.ir import JSON
from aiproxy.messages import Headers, Login
from aiproxy.providers.codeassist import older
from aiproxy.providers.codeassist.answers import Unwrapping
from aiproxy.providers.codeassist.login import login_of
from aiproxy.providers.codeassist.project import Account
from aiproxy.providers.codeassist.provider import (
    CodeAssistProvider,
    conversation,
    member,
    request_id,
)
from aiproxy.providers.contract import AuthFile, Call, Envelope
from aiproxy.providers.logins import mistaken, text_at
from aiproxy.settings import ApiType, Upstream
from aiproxy.wire.jsontext import raw, read_member
from aiproxy.wire.losses import Losses

_METADATA = MappingProxyType(
    {
        "base_urls": (
            "https://daily-cloudcode-pa.googleapis.com https://cloudcode-pa.googleapis.com"
        ),
        "discovery_url": "https://cloudcode-pa.googleapis.com",
        "onboarding_url": "https://daily-cloudcode-pa.googleapis.com",
        "token_url": "https://oauth2.googleapis.com/token",
        "client_id": "1071006060591-tmhssin2h21lcre235vtolojh4g403ep.apps.googleusercontent.com",
        "version": "2.9.1",
        "user_agent": "antigravity/hub/{version} darwin/arm64",
        "project_id": "",
        "claude_max_output_tokens": "64000",
    }
)
"""`{version}` stands for the version above; the API refuses newer models to older versions."""

_WANTED = "a login of Antigravity, with type antigravity"
_SESSION_BITS = 63


class AntigravityProvider(CodeAssistProvider):
    """See `CodeAssistProvider`."""

    api_type = "antigravity"
    settings = ApiType("auth_files", metadata=_METADATA)
    members = frozenset(
        ("contents", "systemInstruction", "tools", "toolConfig", "generationConfig")
    )
    agent = "antigravity/"
    always_streams = True

    def read_login(self, file: AuthFile) -> Login:
        document = file.document
        has_token = text_at(document, "access_token") or text_at(document, "refresh_token")
        kind = text_at(document, "type")
        if has_token and (kind == "antigravity" or (not kind and "timestamp" in document)):
            return login_of(document, "flat")
        raise mistaken(document, self.api_type, _WANTED)

    def _fit(
        self, request: dict[str, JSON], model: str, upstream: Upstream, losses: Losses
    ) -> Envelope:
        is_claude = "claude" in model.lower()
        config = member(request, "generationConfig")
        if is_claude:
            most = upstream.metadata["claude_max_output_tokens"]
            fitted = older.budgeted(older.capped(config, most, losses), losses)
        else:
            fitted = older.unlimited(config, losses)
        if fitted != config:
            request["generationConfig"] = raw(fitted)
        if "tools" in request:
            request["tools"] = older.declared(request["tools"], losses, required=is_claude)
            if is_claude and "functionDeclarations" in _tool_kinds(request):
                tool_config = member(request, "toolConfig")
                request["toolConfig"] = raw(older.validated(tool_config, losses))
        return Unwrapping(older.without_placeholders) if is_claude else Unwrapping()

    def _wrapped(
        self, call: Call, model: str, account: str, request: dict[str, JSON]
    ) -> Mapping[str, Any]:
        billed = {"project": account} if account else {}
        return {
            "model": model,
            "userAgent": "antigravity",
            "requestType": _kind(model, request),
            **billed,
            "requestId": f"agent-{request_id(call)}",
            "request": {**request, "sessionId": _session(call)},
        }

    def _counting(self, model: str, contents: list[JSON]) -> Mapping[str, Any]:
        return {"request": {"contents": contents}}

    def _account(
        self, load_url: str, onboard_url: str, headers: Headers, upstream: Upstream
    ) -> Account:
        about = {
            "ide_type": "ANTIGRAVITY",
            "ide_version": upstream.metadata["version"],
            "ide_name": "antigravity",
        }
        return Account(
            load_url,
            onboard_url,
            headers,
            load={"metadata": {"ideType": "ANTIGRAVITY"}},
            onboard={"metadata": about},
            tier_key="tier_id",
            pause_seconds=2.0,
            looks=5,
        )


def _kind(model: str, request: Mapping[str, JSON]) -> str:
    """What the vendor's program would use such a request for."""
    if "image" in model.lower():
        return "image_gen"
    return "web_search" if _tool_kinds(request) == {"googleSearch"} else "agent"


def _tool_kinds(request: Mapping[str, JSON]) -> set[str]:
    """What tools there are: functions, or Google's own."""
    tools = read_member(request, "tools", list[dict[str, JSON]]) or ()
    return {name for tool in tools for name in tool}


def _session(call: Call) -> str:
    """A negative number that is the conversation's."""
    digest = sha256(conversation(call).encode()).digest()
    return f"-{int.from_bytes(digest[:8], 'big') % 2**_SESSION_BITS}"


ANTIGRAVITY = AntigravityProvider()
