"""
Anthropic's API as it serves a Claude subscription: by bearer, with betas and a first sentence.

An account whose name begins with "spent" has used up its share.
Source: Claude Code 2.1, and the API's own refusals.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiproxy.messages import header
from aiproxy.simulator.sides.contract import Handler, Stage, Visit
from aiproxy.simulator.sides.oauth import Dialect, Grant, TokenService, standard_reply
from aiproxy.wire import INBOUND

_BETA = "oauth-2025-04-20"
_PREAMBLE = "You are Claude Code, Anthropic's official CLI for Claude."
_BOOKS = "x-anthropic-billing-header:"
_UNSUPPORTED = "OAuth authentication is currently not supported."
_LIMIT_SECONDS = 7200


def token(account: str, number: int, ends_at: float) -> str:
    """An access token as Anthropic's logins have it."""
    return f"sk-ant-oat01-canary-{account}-{number}"


def _reply(grant: Grant) -> dict[str, Any]:
    account = {"uuid": grant.account, "email_address": f"{grant.account}@example.org"}
    return {**standard_reply(grant), "scope": "user:inference user:profile", "account": account}


DIALECT = Dialect(
    fields={
        "grant_type": "refresh_token",
        "client_id": "9d1c250a-e61b-44d9-88ed-5944d1962f5e",
        "scope": None,
    },
    reply=_reply,
    mint=token,
)


class ClaudeCode:
    """logins: its accounts; one called "demo" is there from the start."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.logins = TokenService(stage, DIALECT)
        self.logins.log_in("demo")
        self.routes: Mapping[tuple[str, str], Handler] = {
            ("POST", "/claudecode/v1/oauth/token"): self.logins.token,
            ("POST", "/claudecode/v1/messages"): self._messages,
            ("POST", "/claudecode/v1/messages/count_tokens"): self._count,
        }

    async def _messages(self, visit: Visit) -> None:
        if not self._is_paid(visit):
            return
        document = visit.document()
        if "haiku" in str(document.get("model")) or _has_preamble(document):
            await visit.call(INBOUND["anthropic"], path="/v1/messages")
        else:
            words = "This credential is only authorized for use with Claude Code."
            visit.say(400, _error("invalid_request_error", words))

    async def _count(self, visit: Visit) -> None:
        if self._is_paid(visit):
            await visit.call(INBOUND["anthropic"], path="/v1/messages/count_tokens")

    def _is_paid(self, visit: Visit) -> bool:
        """Whether an account pays; if not, that is answered."""
        betas = (header(visit.received.headers, "anthropic-beta") or "").split(",")
        account = self.logins.bearer(visit)
        if account is None or _BETA not in (beta.strip() for beta in betas):
            words = "OAuth token has expired." if account is None else _UNSUPPORTED
            visit.say(401, _error("authentication_error", words))
            return False
        if account.name.startswith("spent"):
            self._say_limit(visit)
            return False
        return True

    def _say_limit(self, visit: Visit) -> None:
        reset = str(int(self._stage.clock.seconds()) + _LIMIT_SECONDS)
        headers = (
            ("anthropic-ratelimit-unified-status", "rejected"),
            ("anthropic-ratelimit-unified-reset", reset),
        )
        words = "This request would exceed your account's rate limit."
        visit.say(429, _error("rate_limit_error", words), headers)


def _error(type_: str, message: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": type_, "message": message}}


def _has_preamble(document: Mapping[str, Any]) -> bool:
    """Whether the system prompt begins as it must, in a block of its own or not."""
    system = document.get("system")
    if isinstance(system, str):
        return system.startswith(_PREAMBLE)
    texts = [block.get("text") or "" for block in system or () if isinstance(block, dict)]
    own = [text for text in texts if not text.startswith(_BOOKS)]
    return bool(own) and own[0].startswith(_PREAMBLE)
