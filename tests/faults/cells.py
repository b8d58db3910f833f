"""Tries one row of the table for one client and one kind of upstream, and says what it saw."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import ensureDeferred

from aiproxy.wire import INBOUND
from tests.faults.table import Answered, Broken, Refused, Seen
from tests.faults.world import Cell
from tests.integration.cases import body, path
from tests.integration.http import Arriving, post

QUESTION = "many words that an upstream repeats in several pieces, or does not, finally"
FIRST, LAST = b"many", b"finally"
ENDINGS: Mapping[str, bytes] = {
    "anthropic": b"message_stop",
    "chat": b"[DONE]",
    "responses": b'"response.completed"',
    "gemini": b'"finishReason"',
}
ERRORS: Mapping[str, tuple[bytes, ...]] = {
    "anthropic": (b"event: error",),
    "chat": (b'"error"',),
    "responses": (b'"response.failed"', b'"type":"error"'),
    "gemini": (b'"error"',),
}
SECRETS = (b"canary", b"127.0.0.1", b"Traceback")

_SLOW = ("hasty", "blackhole")
_SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
_TOOLS: Mapping[str, Any] = {
    "anthropic": {"name": "look_up", "input_schema": _SCHEMA},
    "chat": {"type": "function", "function": {"name": "look_up", "parameters": _SCHEMA}},
    "responses": {"type": "function", "name": "look_up", "parameters": _SCHEMA},
    "gemini": {"functionDeclarations": [{"name": "look_up", "parameters": _SCHEMA}]},
}


@dataclass(frozen=True, slots=True)
class Trial:
    """What the three calls of one cell came to; a text is what none should ever come to."""

    streamed: Seen | str
    whole: Seen | str
    rescued: Seen | str


async def tried(url: str, cell: Cell) -> Trial:
    """All calls of one cell; the first two one after the other, unless they last too long."""
    rescued = ensureDeferred(_ask(url, cell, cell.rescued, stream=True))
    if cell.row.place in _SLOW:
        whole = ensureDeferred(_ask(url, cell, cell.alone, stream=False))
        streamed = await _ask(url, cell, cell.alone, stream=True)
        return Trial(streamed, await whole, await rescued)
    streamed = await _ask(url, cell, cell.alone, stream=True)
    return Trial(streamed, await _ask(url, cell, cell.alone, stream=False), await rescued)


async def _ask(url: str, cell: Cell, model: str, *, stream: bool) -> Seen | str:
    wire = cell.wire
    question = {**body(wire, model, QUESTION, stream=stream), "tools": [_TOOLS[wire]]}
    return seen(wire, await post(url + path(wire, model, stream=stream), question), stream=stream)


def seen(wire: str, answer: Arriving, *, stream: bool) -> Seen | str:
    """What the client has got; a text when it is nothing that a client should ever get."""
    attempts = int(answer.headers.get("x-aiproxy-attempts", "0"))
    if "x-request-id" not in answer.headers:
        return "an answer without x-request-id"
    leaked = [secret for secret in SECRETS if secret in answer.data]
    if leaked:
        return f"an answer with {leaked} in it"
    if answer.status != 200:
        complaint = _misshapen(wire, answer)
        return complaint or Refused(answer.status, attempts)
    if not stream:
        is_good = answer.is_complete and LAST in answer.data
        return Answered(attempts) if is_good else f"a bad answer: {answer.data[:300]!r}"
    if not any(error in answer.data for error in ERRORS[wire]):
        is_good = answer.is_complete and LAST in answer.data and ENDINGS[wire] in answer.data
        return Answered(attempts) if is_good else f"a bad stream: {answer.data[-300:]!r}"
    if ENDINGS[wire] in answer.data:
        return f"an error and a good end: {answer.data[-300:]!r}"
    if answer.is_complete is not getattr(INBOUND[wire], "ERROR_IS_END", False):
        return f"a truncation that cannot be seen: {answer.data[-300:]!r}"
    return Broken(attempts)


def _misshapen(wire: str, answer: Arriving) -> str:
    """What is wrong with an error, "" when it is its dialect's."""
    try:
        said = json.loads(answer.data)
        error = said["error"]
        match wire:
            case "anthropic":
                is_good = said["type"] == "error" and error["type"] and error["message"]
            case "gemini":
                is_good = error["code"] and error["status"] and error["message"]
            case _:
                is_good = error["message"] and {"type", "param", "code"} <= error.keys()
    except (ValueError, TypeError, KeyError):
        is_good = False
    return "" if is_good and answer.is_complete else f"no {wire} error: {answer.data[:300]!r}"
