"""A request out, for an upstream."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aiproxy import ir
from aiproxy.errors import BadRequest
from aiproxy.wire.anthropic.blocks_out import BlockWriter
from aiproxy.wire.anthropic.shapes import NAME
from aiproxy.wire.anthropic.thinking import Plan, as_asked, fitted
from aiproxy.wire.anthropic.tools import choice_shape, is_forced, tool_shapes
from aiproxy.wire.claude import Limits, limits_of
from aiproxy.wire.contract import Encoded
from aiproxy.wire.conversation import joined_text, leading_instructions, settled
from aiproxy.wire.jsontext import write_members
from aiproxy.wire.losses import Losses
from aiproxy.wire.names import NameRule, ToolNames
from aiproxy.wire.schemas import closed_schema

TOOL_NAMES = NameRule(re.compile(r"[^a-zA-Z0-9_-]"), limit=128)

PLACEHOLDER = "(empty)"
"""Text of a message that has nothing left to say."""

JSON_ONLY = "Answer with one JSON object and nothing else."

_LONGEST_USER = 64
_TIERS: Mapping[str, str] = {"auto": "auto", "default": "standard_only"}
_LEAST_TOP_P = 0.95
"""What thinking leaves of top_p."""


def encode_request(request: ir.Request) -> Encoded:
    """
    A request for `POST /v1/messages`.

    A request of this wire keeps its wording, except for proofs of other vendors. Any other is
    fitted to the model's limits.
    Raises: BadRequest when it needs what the API does not have.
    """
    losses = Losses()
    own = request.wire == NAME
    names = ToolNames(request.tools, TOOL_NAMES)
    system, turns = _conversation(request, losses)
    writer = BlockWriter(own, names, losses)
    messages = _messages(turns, writer, own, losses)
    tools = tool_shapes(request, names, losses)
    choice = choice_shape(request, tools, names, losses)
    plan = _plan(request, turns, is_forced(choice), losses)
    body: dict[str, Any] = {"model": request.model}
    body["max_tokens"] = plan.max_tokens
    system_blocks = writer.blocks(system) + _json_order(request, losses)
    if system_blocks:
        body["system"] = system_blocks
    body["messages"] = messages
    if tools:
        body["tools"] = tools
    if choice is not None:
        body["tool_choice"] = choice
    if plan.block is not None:
        body["thinking"] = plan.block
    body.update(_sampling(request, plan, losses))
    body.update(_options(request, losses))
    return Encoded(write_members(_with_objects(request, plan, body, losses)), losses.seen())


# ── messages ──


def _conversation(
    request: ir.Request, losses: Losses
) -> tuple[tuple[ir.Part, ...], Sequence[ir.Turn]]:
    """System parts and turns; those of a foreign client are put into the API's order."""
    if request.wire == NAME:
        return request.instructions, request.turns
    system, turns = leading_instructions(request, losses)
    texts = _instructions(system, losses)
    return texts, settled((_as_user(turn, losses) for turn in turns), NAME)


def _instructions(parts: Iterable[ir.Part], losses: Losses) -> tuple[ir.Text, ...]:
    """The texts among `parts`: the API takes nothing else from the system."""
    parts = tuple(parts)
    texts = tuple(part for part in parts if isinstance(part, ir.Text))
    if len(texts) < len(parts):
        losses.dropped("instruction-media")
    return texts


def _as_user(turn: ir.Turn, losses: Losses) -> ir.Turn:
    """
    Late system texts as the user's, marked.

    Not every model takes a system message inside the conversation, and none without a beta header.
    """
    if turn.role not in ("system", "developer"):
        return turn
    losses.approximated("late-instructions")
    texts = _instructions(turn.parts, losses)
    for part in texts:
        losses.extras(NAME, part.extras)
    text = joined_text(texts)
    return ir.replace(
        turn,
        role="user",
        parts=(ir.Text(f"<system-reminder>\n{text}\n</system-reminder>"),) if text else (),
    )


def _messages(
    turns: Iterable[ir.Turn], writer: BlockWriter, own: bool, losses: Losses
) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    for turn in turns:
        role = "system" if turn.role == "developer" else turn.role
        is_foreign_answer = role == "assistant" and not own
        content = writer.blocks(_shown(turn.parts, losses) if is_foreign_answer else turn.parts)
        if not content and turn.parts and role == "user":
            content = [{"type": "text", "text": PLACEHOLDER}]
        extra = writer.turn_extras(turn)
        last = messages[-1] if messages else None
        if not content:
            continue
        if last is not None and last["role"] == role and role != "system" and not own:
            last["content"] += content
        else:
            messages.append({"role": role, "content": content, **extra})
    if not messages:
        raise BadRequest("there is no message to send", param="messages")
    if messages[0]["role"] == "assistant" and not own:
        messages.insert(0, {"role": "user", "content": [{"type": "text", "text": PLACEHOLDER}]})
    return messages


def _shown(parts: Iterable[ir.Part], losses: Losses) -> list[ir.Part]:
    """What the assistant said: the API takes no media from it."""
    shown: list[ir.Part] = []
    for part in parts:
        if isinstance(part, ir.Media):
            losses.dropped(f"{part.kind}-output")
            part = ir.Text(f"[{part.kind}]")
        shown.append(part)
    return shown


def _json_order(request: ir.Request, losses: Losses) -> list[dict[str, Any]]:
    """The API has no mode for JSON without a schema, so the model is told."""
    if request.output_format is None or request.output_format.kind != "json_object":
        return []
    losses.approximated("response-format")
    return [{"type": "text", "text": JSON_ONLY}]


# ── parameters ──


def _plan(request: ir.Request, turns: Sequence[ir.Turn], forced: bool, losses: Losses) -> Plan:
    limit = request.max_output_tokens or request.default_max_output_tokens
    if request.wire == NAME:
        plan = as_asked(request.thinking, limit)
        is_scrubbed = any(loss.feature == "reasoning" for loss in losses.seen())
        return _without_thinking(plan) if is_scrubbed and _lacks_thought(plan, turns) else plan
    plan = fitted(request, limits_of(request.model), losses)
    if plan.active and (forced or _lacks_thought(plan, turns)):
        losses.dropped("thinking")
        return _without_thinking(plan)
    return plan


def _without_thinking(plan: Plan) -> Plan:
    return Plan(None, plan.effort, plan.max_tokens)


def _lacks_thought(plan: Plan, turns: Sequence[ir.Turn]) -> bool:
    """
    Whether the API would refuse a budget: the calls that are being answered must begin with the
    thoughts that led to them, and those belong to another vendor.
    """
    if plan.block is None or plan.block["type"] != "enabled":
        return False
    last = next((turn for turn in reversed(turns) if turn.role == "assistant"), None)
    if last is None or not any(isinstance(part, ir.ToolCall) for part in last.parts):
        return False
    return not any(
        isinstance(part, ir.Reasoning) and part.proof is not None and part.proof.family == NAME
        for part in last.parts
    )


def _sampling(request: ir.Request, plan: Plan, losses: Losses) -> dict[str, Any]:
    asked = request.sampling
    knobs = {"temperature": asked.temperature, "top_p": asked.top_p, "top_k": asked.top_k}
    if request.wire != NAME:
        refused = _refused(knobs, limits_of(request.model), plan)
        for name in refused:
            losses.dropped(name.replace("_", "-"))
            knobs[name] = None
        if asked.temperature is not None and asked.temperature > 1 and knobs["temperature"]:
            losses.approximated("temperature")
            knobs["temperature"] = 1.0
    _report(request, losses)
    return {name: value for name, value in knobs.items() if value is not None}


def _refused(knobs: Mapping[str, Any], limits: Limits, plan: Plan) -> list[str]:
    """The knobs that are set and that the model would not take."""
    temperature, top_p, top_k = knobs["temperature"], knobs["top_p"], knobs["top_k"]
    refused: set[str] = set()
    if limits.sampling == "fixed":
        refused |= {"temperature", "top_p", "top_k"}
    if limits.sampling == "one" and temperature is not None:
        refused.add("top_p")
    if plan.active:
        refused |= {"top_k"}
        if temperature is not None and temperature != 1:
            refused.add("temperature")
        if top_p is not None and top_p < _LEAST_TOP_P:
            refused.add("top_p")
    values = {"temperature": temperature, "top_p": top_p, "top_k": top_k}
    return [name for name, value in values.items() if name in refused and value is not None]


def _report(request: ir.Request, losses: Losses) -> None:
    """What no field of the API stands for."""
    asked = request.sampling
    if request.answers > 1:
        raise BadRequest("this upstream gives one answer at a time", param="n")
    absent = {
        "seed": asked.seed is not None,
        "presence-penalty": asked.presence_penalty is not None,
        "frequency-penalty": asked.frequency_penalty is not None,
        "logprobs": bool(asked.logprobs),
        "top-logprobs": bool(asked.top_logprobs),
        "verbosity": bool(request.verbosity),
        "metadata": request.metadata is not None,
        "cache-key": bool(request.cache_key),
        "schema-description": bool(request.output_format and request.output_format.description),
    }
    for feature, is_asked in absent.items():
        if is_asked:
            losses.dropped(feature)


def _options(request: ir.Request, losses: Losses) -> dict[str, Any]:
    own = request.wire == NAME
    options: dict[str, Any] = {}
    stops = [stop for stop in request.stop if own or stop.strip()]
    if len(stops) < len(request.stop):
        losses.dropped("stop")
    if stops:
        options["stop_sequences"] = stops
    if request.stream:
        options["stream"] = True
    tier = request.service_tier if own else _TIERS.get(request.service_tier, "")
    if tier:
        options["service_tier"] = tier
    elif request.service_tier:
        losses.dropped("service-tier")
    if not own:
        options["cache_control"] = {"type": "ephemeral"}
    return options


def _with_objects(
    request: ir.Request, plan: Plan, body: dict[str, Any], losses: Losses
) -> dict[str, Any]:
    """`body` with the extras, and the two objects that are put together from several sources."""
    config: dict[str, Any] = {"effort": plan.effort} if plan.effort else {}
    metadata: dict[str, Any] = {"user_id": _user(request)} if request.user else {}
    wanted = request.output_format
    if wanted is not None and wanted.kind == "json_schema" and wanted.schema is not None:
        config["format"] = {
            "type": "json_schema",
            "schema": _schema(request, wanted.schema, losses),
        }
    for name, value in losses.extras(NAME, request.extras).items():
        outer, dot, inner = name.partition(".")
        if dot and outer == "output_config":
            config[inner] = value
        elif dot and outer == "metadata":
            metadata[inner] = value
        else:
            body[name] = value
    if config:
        body["output_config"] = config
    if metadata:
        body["metadata"] = metadata
    return body


def _schema(request: ir.Request, schema: ir.JSON, losses: Losses) -> ir.JSON:
    """The API takes only closed objects."""
    if request.wire == NAME:
        return schema
    closed = closed_schema(schema)
    if closed is not schema:
        losses.approximated("response-schema")
    return closed


def _user(request: ir.Request) -> str:
    if request.wire == NAME or len(request.user) <= _LONGEST_USER:
        return request.user
    return hashlib.sha256(request.user.encode("utf-8", "replace")).hexdigest()
