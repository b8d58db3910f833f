"""A request of the hub as a conversation for the service."""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from aiproxy import ir
from aiproxy.errors import BadRequest
from aiproxy.wire.contract import Encoded
from aiproxy.wire.conversation import (
    is_attribution,
    joined_text,
    leading_instructions,
    session_of,
    settled,
)
from aiproxy.wire.jsontext import read_request, text_of, write
from aiproxy.wire.kiro.effort import model_fields
from aiproxy.wire.kiro.shapes import NAME
from aiproxy.wire.kiro.tools import ToolShelf
from aiproxy.wire.kiro.turns import TurnWriter
from aiproxy.wire.losses import Losses
from aiproxy.wire.names import NameRule, ToolNames

TOOL_NAMES = NameRule(re.compile(r"[^a-zA-Z0-9_-]"), limit=64)

CONTINUE = "Continue"
"""What the user says where the service insists on a user's turn and there is none."""

JSON_ONLY = "Answer with one JSON object and nothing else."
JSON_SCHEMA = "The JSON object conforms to this schema: "


def encode_request(request: ir.Request) -> Encoded:
    """
    A request for generateAssistantResponse, which always streams.

    Shape: {"conversationState": {"conversationId", "chatTriggerType", "agentTaskType", "history",
    "currentMessage"}, "additionalModelRequestFields"?}
    The profile is the provider's to add. Raises: BadRequest when the service cannot serve it.
    """
    losses = Losses()
    names = ToolNames(request.tools, TOOL_NAMES)
    system, turns = _conversation(request, losses)
    shelf = ToolShelf(request, names, losses)
    tools = shelf.specifications(turns)
    preface = [*_instructions(system, losses), *shelf.overflow, *_json_order(request, losses)]
    writer = TurnWriter(request.model, names, losses)
    *history, current = _messages(turns, writer, "\n\n".join(preface), losses)
    if tools:
        asked = current["userInputMessage"]
        context = asked.get("userInputMessageContext", {})
        asked["userInputMessageContext"] = {**context, "tools": tools}
    state = {
        "conversationId": conversation_id(request),
        "chatTriggerType": "MANUAL",
        "agentTaskType": "vibe",
        "history": history,
        "currentMessage": current,
    }
    body: dict[str, Any] = {"conversationState": state}
    fields = model_fields(request, losses)
    if fields:
        body["additionalModelRequestFields"] = fields
    _report(request, losses)
    return Encoded(write(body), losses.seen())


def conversation_id(request: ir.Request) -> str:
    """
    A UUID that all requests of one conversation share, and those of another do not.

    Made of the client's session, when it tells, and the first thing its user said.
    """
    key = session_of(request)
    first = next((turn for turn in request.turns if turn.role == "user"), None)
    digest = hashlib.sha256(key.encode("utf-8", "replace"))
    for part in first.parts if first is not None else ():
        if isinstance(part, ir.Text):
            digest.update(b"\0" + part.text.encode("utf-8", "replace"))
        elif isinstance(part, ir.Media) and isinstance(part.source, ir.Inline):
            digest.update(b"\1" + part.source.data.encode("utf-8", "replace"))
    return str(uuid.UUID(bytes=digest.digest()[:16], version=5))


def with_origin(body: bytes, origin: str) -> bytes:
    """An encoded request whose user's messages name another origin."""
    document = _members(body)
    state = _members(document["conversationState"])
    history = read_request(state["history"], list[msgspec.Raw])
    changed = {
        "history": [_from(message, origin) for message in history],
        "currentMessage": _from(state["currentMessage"], origin),
    }
    return write({**document, "conversationState": {**state, **changed}})


def _from(message: ir.JSON, origin: str) -> Any:
    said = _members(message).get("userInputMessage")
    return message if said is None else {"userInputMessage": {**_members(said), "origin": origin}}


def _members(body: bytes | ir.JSON) -> dict[str, ir.JSON]:
    return read_request(body, dict[str, msgspec.Raw])


# ── the conversation ──


def _conversation(request: ir.Request, losses: Losses) -> tuple[tuple[ir.Part, ...], list[ir.Turn]]:
    """Instructions, and turns that alternate, beginning and ending with the user's."""
    system, rest = leading_instructions(request, losses)
    turns = list(settled((_as_user(turn, losses) for turn in rest), NAME))
    if not turns:
        raise BadRequest("there is no message to send", param="messages")
    said = ir.Turn("user", (ir.Text(CONTINUE),))
    if turns[0].role != "user":
        turns.insert(0, said)
    if turns[-1].role != "user":
        losses.approximated("prefill")
        turns.append(said)
    return system, turns


def _as_user(turn: ir.Turn, losses: Losses) -> ir.Turn:
    """Late instructions as the user's, marked: the service has no place of their own for them."""
    if turn.role not in ("system", "developer"):
        return turn
    losses.approximated("late-instructions")
    text = joined_text(ir.Text(text) for text in _instructions(turn.parts, losses))
    marked = f"<system-reminder>\n{text}\n</system-reminder>"
    return ir.replace(turn, role="user", parts=(ir.Text(marked),) if text else ())


def _instructions(parts: Iterable[ir.Part], losses: Losses) -> list[str]:
    """All texts, without what Claude Code writes there for Anthropic's books."""
    texts: list[str] = []
    for part in parts:
        if not isinstance(part, ir.Text):
            losses.dropped("instruction-media")
        elif part.text and not is_attribution(part):
            losses.extras(NAME, part.extras)
            texts.append(part.text)
    return texts


def _messages(
    turns: Sequence[ir.Turn], writer: TurnWriter, preface: str, losses: Losses
) -> list[dict[str, Any]]:
    for turn in turns:
        losses.extras(NAME, turn.extras)
    return [
        writer.assistant(turn.parts)
        if turn.role == "assistant"
        else writer.user(turn.parts, "" if at else preface)
        for at, turn in enumerate(turns)
    ]


def _json_order(request: ir.Request, losses: Losses) -> list[str]:
    """The service has no mode for JSON, so the model is told."""
    wanted = request.output_format
    if wanted is None or wanted.kind == "text":
        return []
    losses.approximated("response-format")
    if wanted.kind == "json_object" or wanted.schema is None:
        return [JSON_ONLY]
    return [f"{JSON_ONLY} {JSON_SCHEMA}{text_of(wanted.schema)}"]


# ── parameters ──


def _report(request: ir.Request, losses: Losses) -> None:
    """What no field of the service stands for."""
    asked, wanted = request.sampling, request.output_format
    if request.answers > 1:
        raise BadRequest("this upstream gives one answer at a time", param="n")
    absent = {
        "max-output-tokens": request.max_output_tokens is not None,
        "temperature": asked.temperature is not None,
        "top-p": asked.top_p is not None,
        "top-k": asked.top_k is not None,
        "seed": asked.seed is not None,
        "presence-penalty": asked.presence_penalty is not None,
        "frequency-penalty": asked.frequency_penalty is not None,
        "logprobs": bool(asked.logprobs),
        "top-logprobs": bool(asked.top_logprobs),
        "parallel-tool-calls": request.parallel_tool_calls is False,
        "schema-description": wanted is not None and bool(wanted.description),
        "verbosity": bool(request.verbosity),
        "user": bool(request.user),
        "metadata": request.metadata is not None,
        "service-tier": request.service_tier not in ("", "auto", "default", "standard_only"),
    }
    for feature, is_asked in absent.items():
        if is_asked:
            losses.dropped(feature)
    if request.stop:
        # The relay cuts the answer instead.
        losses.approximated("stop")
    if request.cache_key:
        # It goes into the id of the conversation.
        losses.approximated("cache-key")
    losses.extras(NAME, request.extras)
