"""
Claude Code: Anthropic's models paid by a Claude subscription, as Claude Code uses it.

It speaks the Messages API with a login's token. Claude Code itself passes as it is; what other
clients send gets what the vendor demands of a subscription's calls: its betas and the sentence
that its system prompt begins with. Nothing else is made up: no device, no session, no accounts.

Source: Claude Code 2.1.197 as it was seen on the wire; the vendor's API reference for betas.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypedDict

from aiproxy.errors import ErrorReply
from aiproxy.ir import JSON
from aiproxy.messages import Credential, Headers, HttpReply, HttpRequest, Login, header
from aiproxy.providers import claudecode_login
from aiproxy.providers.contract import AuthFile, Call, Flow, LoginProvider, Prepared
from aiproxy.providers.logins import moment, number_at
from aiproxy.providers.outgoing import (
    encoded,
    joined,
    lifted_betas,
    merged_betas,
    passed,
    with_overrides,
    with_query,
)
from aiproxy.settings import ApiType, Upstream
from aiproxy.wire.contract import Operation
from aiproxy.wire.conversation import ATTRIBUTION
from aiproxy.wire.jsontext import raw, read_member, try_read, with_member

METADATA: Mapping[str, str] = {
    "base_url": "https://api.anthropic.com",
    "token_url": "https://platform.claude.com/v1/oauth/token",
    "client_id": "9d1c250a-e61b-44d9-88ed-5944d1962f5e",
    "scope": (
        "user:profile user:inference user:sessions:claude_code user:mcp_servers user:file_upload"
    ),
    "user_agent": "claude-cli/2.1.197 (external, cli)",
    "x_app": "cli",
    "anthropic_version": "2023-06-01",
    "preamble": "You are Claude Code, Anthropic's official CLI for Claude.",
    "betas": "claude-code-20250219,oauth-2025-04-20,interleaved-thinking-2025-05-14",
    "beta_login": "oauth-2025-04-20",
    "beta_counting": "token-counting-2024-11-01",
    "beta_effort": "effort-2025-11-24",
    "beta_structured_outputs": "structured-outputs-2025-12-15",
    "beta_context_management": "context-management-2025-06-27",
    "beta_long_cache": "extended-cache-ttl-2025-04-11",
    "beta_long_context": "context-1m-2025-08-07",
    "beta_advanced_tools": "advanced-tool-use-2025-11-20",
    "beta_fast_mode": "fast-mode-2026-02-01",
    "beta_late_system": "mid-conversation-system-2026-04-07",
    "beta_diagnostics": "cache-diagnosis-2026-04-07",
    "beta_hidden_thinking": "redact-thinking-2026-02-12",
}

_PATHS: Mapping[Operation, str] = {
    "generate": "/v1/messages?beta=true",
    "count": "/v1/messages/count_tokens?beta=true",
}
_OURS = frozenset({"beta"})
"""Parameters that are there already."""

_GENUINE = "claude-cli/"
_IDENTITY = (
    "user-agent",
    "accept",
    "x-app",
    "x-stainless-",
    "x-claude-code-",
    "x-client-request-id",
    "anthropic-",
)
"""What Claude Code says of itself."""
_PASSED = (
    "anthropic-version",
    "anthropic-beta",
    "x-stainless-",
    "x-client-request-id",
    "idempotency-key",
)
"""What any other client of the protocol may say."""

_LONG_CONTEXT = "[1m]"
"""A model's name ends so where a million tokens of context are wanted."""

_HOUR = 3600.0
_USUAL_PAUSE = 30.0
_RESETS = (
    "anthropic-ratelimit-unified-reset",
    "anthropic-ratelimit-unified-5h-reset",
    "anthropic-ratelimit-unified-7d-reset",
)
_FAST_MODE = re.compile(r"fast.mode", re.IGNORECASE)


class ClaudeCode(LoginProvider):
    api_type = "claudecode"
    wire = "anthropic"
    settings = ApiType("auth_files", affinity=True, metadata=METADATA)

    def serves(self, call: Call) -> bool:
        return call.head.operation in _PATHS

    def prepare(
        self, call: Call, model: str, upstream: Upstream, credential: Credential
    ) -> Prepared:
        metadata = upstream.metadata
        wanted = model.removesuffix(_LONG_CONTEXT)
        worded = encoded(call, self.wire, wanted)
        body, headers = worded.body, self._headers(call, metadata)
        if call.wire == self.wire:
            body, headers = lifted_betas(call, body, headers)
        betas: list[str] = []
        if not self._is_genuine(call):
            members = try_read(body, dict[str, JSON]) or {}
            betas += _needed_betas(body, members, metadata)
            if call.head.operation == "generate" and "haiku" not in wanted:
                body = _with_preamble(body, members, metadata["preamble"])
        betas.append(metadata["beta_login"])
        if wanted != model:
            betas.append(metadata["beta_long_context"])
        if call.head.operation == "count":
            betas.append(metadata["beta_counting"])
        ours: Headers = (
            ("anthropic-beta", ",".join(dict.fromkeys(betas))),
            ("Authorization", f"Bearer {credential.secret.reveal()}"),
        )
        headers = with_overrides(merged_betas((*headers, *ours)), upstream.http_headers)
        http = HttpRequest("POST", self._url(call, upstream), headers, body)
        return Prepared(http, call.head.stream, worded.losses)

    def _url(self, call: Call, upstream: Upstream) -> str:
        base = upstream.base_url or upstream.metadata["base_url"]
        url = joined(base, _PATHS[call.head.operation])
        return with_query(url, call.query, _OURS) if call.wire == self.wire else url

    def _is_genuine(self, call: Call) -> bool:
        agent = header(call.headers, "user-agent") or ""
        return call.wire == self.wire and agent.startswith(_GENUINE)

    def _headers(self, call: Call, metadata: Mapping[str, str]) -> Headers:
        """Without what depends on the body, and without the token."""
        ours: Headers = (
            ("Content-Type", "application/json"),
            ("Accept", "text/event-stream" if call.head.stream else "application/json"),
            ("anthropic-version", metadata["anthropic_version"]),
        )
        if self._is_genuine(call):
            return with_overrides(ours, passed(call.headers, _IDENTITY))
        own = passed(call.headers, _PASSED) if call.wire == self.wire else ()
        name: Headers = (("User-Agent", metadata["user_agent"]), ("x-app", metadata["x_app"]))
        return with_overrides((*ours, *name), own)

    # ── errors ──

    def judge(self, reply: HttpReply, said: ErrorReply, now: float) -> ErrorReply:
        """
        Limits of the account are known by their headers, `anthropic-ratelimit-unified-status:
        rejected` and `...-reset` (Unix seconds); any other 429 is about the model.
        """
        if said.code == "permission_error":
            return replace(said, retry_after=_HOUR)
        if said.kind == "overloaded":
            return replace(said, model_only=True)
        if said.kind != "rate_limit":
            return said
        if _FAST_MODE.search(said.message):
            # The account has no credit for what this request asks; others are unharmed.
            return replace(said, kind="content_policy", retry_after=None)
        reset = _reset(reply.headers, now)
        if reset is not None:
            return replace(said, retry_after=reset)
        pause = said.retry_after if said.retry_after is not None else _USUAL_PAUSE
        return replace(said, retry_after=pause, model_only=True)

    # ── the login ──

    def read_login(self, file: AuthFile) -> Login:
        return claudecode_login.read(file.document)

    def is_stale(self, login: Login, now: float) -> bool:
        return claudecode_login.is_stale(login, now)

    def renew(self, login: Login, upstream: Upstream, now: float) -> Flow:
        url = upstream.token_url or upstream.metadata["token_url"]
        return claudecode_login.renewal(login, url, upstream.metadata, now)


def _reset(headers: Headers, now: float) -> float | None:
    """Seconds until the account's limit is lifted; None when it has not reached one."""
    status = header(headers, "anthropic-ratelimit-unified-status")
    if status not in (None, "rejected"):
        # The headers come with every answer.
        return None
    for name in _RESETS:
        text = header(headers, name) or ""
        at = moment(text) or number_at({name: text}, name)
        if at is not None and at > now:
            return at - now
    return _HOUR if status else None


# ── the system prompt ──


def _with_preamble(body: bytes, members: Mapping[str, JSON], preamble: str) -> bytes:
    """The body with a system prompt that begins as a subscription's must."""
    system = read_member(members, "system", str)
    if system is None:
        blocks = read_member(members, "system", list[JSON]) or []
    else:
        blocks = [raw({"type": "text", "text": system})] if system else []
    texts = (text for text in map(_text, blocks) if not text.startswith(ATTRIBUTION))
    if next(texts, "").startswith(preamble):
        return body
    return with_member(body, "system", raw([{"type": "text", "text": preamble}, *blocks]))


def _text(block: JSON) -> str:
    text = (try_read(block, dict[str, Any]) or {}).get("text")
    return text if isinstance(text, str) else ""


# ── betas ──


class _Entry(TypedDict, total=False):
    """What tells of a feature in a message or a tool."""

    role: object
    type: object
    defer_loading: object
    input_examples: object


def _needed_betas(
    body: bytes, members: Mapping[str, JSON], metadata: Mapping[str, str]
) -> list[str]:
    """Those that every call of a subscription has, and those that this body needs."""
    betas = [beta.strip() for beta in metadata["betas"].split(",")]
    betas += [metadata[name] for name, needs in _NEEDS if needs(members)]
    if _LONG_CACHE.search(body):
        betas.append(metadata["beta_long_cache"])
    return [beta for beta in betas if beta]


def _within(members: Mapping[str, JSON], name: str, key: str) -> Any:
    return (read_member(members, name, dict[str, Any]) or {}).get(key)


def _has_advanced_tools(members: Mapping[str, JSON]) -> bool:
    return any(
        tool.get("defer_loading")
        or tool.get("input_examples")
        or str(tool.get("type")).startswith("tool_search")
        for tool in read_member(members, "tools", list[_Entry]) or ()
    )


def _has_late_system(members: Mapping[str, JSON]) -> bool:
    turns = read_member(members, "messages", list[_Entry]) or ()
    return any(turn.get("role") == "system" for turn in turns)


def _thinks_freely(members: Mapping[str, JSON]) -> bool:
    is_adaptive = _within(members, "thinking", "type") == "adaptive"
    return is_adaptive or _within(members, "output_config", "effort") is not None


_LONG_CACHE = re.compile(rb'"ttl"\s*:\s*"1h"')

_NEEDS: tuple[tuple[str, Callable[[Mapping[str, JSON]], bool]], ...] = (
    ("beta_effort", _thinks_freely),
    ("beta_structured_outputs", lambda m: _within(m, "output_config", "format") is not None),
    ("beta_context_management", lambda m: "context_management" in m),
    ("beta_advanced_tools", _has_advanced_tools),
    ("beta_fast_mode", lambda m: read_member(m, "speed", str) == "fast"),
    ("beta_late_system", _has_late_system),
    ("beta_diagnostics", lambda m: "diagnostics" in m),
    ("beta_hidden_thinking", lambda m: _within(m, "thinking", "display") == "omitted"),
)
"""Which features of a body need which beta."""

CLAUDECODE = ClaudeCode()
