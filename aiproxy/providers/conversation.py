"""
Which conversation a call belongs to, for prompt caches and for credentials that it stays with.

Clients that know say so, each in its own place; for the others the beginning of the conversation
stands for all of it, because its turns have that in common.
"""

from __future__ import annotations

import re
import uuid
from hashlib import sha256
from typing import TypedDict

from aiproxy import ir
from aiproxy.messages import header
from aiproxy.providers.contract import Call
from aiproxy.wire.conversation import (
    is_attribution,
    leading_instructions,
    plain_text,
    session_in,
)
from aiproxy.wire.jsontext import try_read

_HEADERS = (
    "x-claude-code-session-id",
    "session-id",
    "session_id",
    "thread-id",
    "conversation_id",
)
"""In this order. Sources: Claude Code 2.1; Codex CLI 0.169, and its older names."""

_PLAIN = re.compile(r"[A-Za-z0-9._:-]{1,64}")


class _Metadata(TypedDict, total=False):
    user_id: object


class _Hints(TypedDict, total=False):
    """What a body of any wire may say of its conversation."""

    metadata: _Metadata | None
    prompt_cache_key: str | None


def conversation_key(call: Call) -> str:
    """
    The same text for all turns of one conversation: at most 64 of A-Z a-z 0-9 . _ : -

    What the client calls it, else a UUID made of model, instructions and the first user's text.
    Raises: BadRequest when the call says nothing itself and cannot be decoded.
    Source: OpenAI's clients have `prompt_cache_key`, Codex a header besides; for Claude Code see
    `session_in`.
    """
    named = _named(call)
    if named:
        return named if _PLAIN.fullmatch(named) else _derived(named)
    request = call.decode()
    instructions, turns = leading_instructions(request)
    first = next((turn for turn in turns if turn.role == "user"), None)
    said: tuple[ir.Part, ...] = () if first is None else first.parts
    # Claude Code's books differ from turn to turn.
    system = plain_text(part for part in instructions if not is_attribution(part))
    return _derived(call.head.model, system, plain_text(said))


def _named(call: Call) -> str:
    hints = try_read(call.body, _Hints) or {}
    user_id = (hints.get("metadata") or {}).get("user_id")
    session = session_in(user_id) if isinstance(user_id, str) else ""
    headers = (header(call.headers, name) for name in _HEADERS)
    return session or hints.get("prompt_cache_key") or next(filter(None, headers), "")


def _derived(*sources: str) -> str:
    text = "\0".join(sources).encode("utf-8", "replace")
    return str(uuid.UUID(bytes=sha256(text).digest()[:16], version=5))
