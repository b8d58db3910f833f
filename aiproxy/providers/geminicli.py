"""
Gemini by the login of Gemini CLI: Google's Code Assist for companies.

Experimental: consumer accounts are not served here any more, and Google publishes no API; what is
known is what its own program does.
Source: packages/core/src/code_assist of gemini-cli 0.61 (Apache-2.0).
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from aiproxy.ir import JSON
from aiproxy.messages import Headers, Login
from aiproxy.providers.codeassist.answers import Unwrapping
from aiproxy.providers.codeassist.login import login_of
from aiproxy.providers.codeassist.project import Account
from aiproxy.providers.codeassist.provider import CodeAssistProvider, conversation, request_id
from aiproxy.providers.contract import AuthFile, Call, Envelope
from aiproxy.providers.logins import mistaken, text_at
from aiproxy.settings import ApiType, Upstream
from aiproxy.wire.losses import Losses

_METADATA = MappingProxyType(
    {
        "base_urls": "https://cloudcode-pa.googleapis.com",
        "discovery_url": "https://cloudcode-pa.googleapis.com",
        "onboarding_url": "https://cloudcode-pa.googleapis.com",
        "token_url": "https://oauth2.googleapis.com/token",
        "client_id": "681255809395-oo8ft2oprdrnp9e3aqf6av3hmdib135j.apps.googleusercontent.com",
        "version": "0.61.0",
        "user_agent": "GeminiCLI/{version}/{model} (linux; x64; terminal)",
        "project_id": "",
    }
)
"""`{version}` and `{model}` stand for the version above and the model asked."""

_ABOUT = {
    "ideType": "IDE_UNSPECIFIED",
    "platform": "PLATFORM_UNSPECIFIED",
    "pluginType": "GEMINI",
}
_WANTED = "oauth_creds.json of Gemini CLI, in ~/.gemini"


class GeminiCliProvider(CodeAssistProvider):
    """See `CodeAssistProvider`."""

    api_type = "geminicli"
    settings = ApiType("auth_files", metadata=_METADATA)
    members = frozenset(
        (
            "contents",
            "systemInstruction",
            "cachedContent",
            "tools",
            "toolConfig",
            "labels",
            "safetySettings",
            "generationConfig",
        )
    )
    agent = "GeminiCLI"
    always_streams = False

    def read_login(self, file: AuthFile) -> Login:
        document = file.document
        kind = text_at(document, "type")
        token = document.get("token")
        if isinstance(token, Mapping) and kind in ("", "gemini") and _has_token(token):
            return login_of(document, "nested")
        # Others write tokens of the same names, but not what Google says of them.
        if not kind and _has_token(document) and document.keys() & {"expiry_date", "scope"}:
            return login_of(document, "vendor")
        raise mistaken(document, self.api_type, _WANTED)

    def _fit(
        self, request: dict[str, JSON], model: str, upstream: Upstream, losses: Losses
    ) -> Envelope:
        return Unwrapping()

    def _wrapped(
        self, call: Call, model: str, account: str, request: dict[str, JSON]
    ) -> Mapping[str, Any]:
        session = uuid.uuid5(uuid.NAMESPACE_OID, conversation(call))
        billed = {"project": account} if account else {}
        return {
            "model": model,
            **billed,
            "user_prompt_id": request_id(call),
            "request": {**request, "session_id": str(session)},
        }

    def _counting(self, model: str, contents: list[JSON]) -> Mapping[str, Any]:
        return {"request": {"model": f"models/{model}", "contents": contents}}

    def _account(
        self, load_url: str, onboard_url: str, headers: Headers, upstream: Upstream
    ) -> Account:
        return Account(
            load_url,
            onboard_url,
            headers,
            load={"metadata": _ABOUT},
            onboard={"metadata": _ABOUT},
            tier_key="tierId",
            pause_seconds=5.0,
            looks=12,
        )


def _has_token(holder: Mapping[str, Any]) -> bool:
    return bool(text_at(holder, "access_token") or text_at(holder, "refresh_token"))


GEMINICLI = GeminiCliProvider()
