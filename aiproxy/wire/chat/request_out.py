"""A request of the hub as a Chat request for an upstream."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from aiproxy import ir
from aiproxy.errors import BadRequest
from aiproxy.wire import jsontext
from aiproxy.wire.chat import shapes
from aiproxy.wire.chat.errors import NAME
from aiproxy.wire.chat.message_out import MessageWriter
from aiproxy.wire.chat.request_in import SEARCH
from aiproxy.wire.contract import Encoded
from aiproxy.wire.conversation import settled
from aiproxy.wire.losses import Losses, feature_name
from aiproxy.wire.names import NameRule, ToolNames
from aiproxy.wire.strict import is_enforceable

TOOL_NAMES = NameRule(custom=True)

_MAX_STOPS = 4
_MAX_USER = 64
_BUDGETS: tuple[tuple[int, ir.Effort], ...] = (
    (0, "none"),
    (512, "minimal"),
    (1024, "low"),
    (8192, "medium"),
    (24576, "high"),
)
"""Largest budget of tokens for each level; anything above is "xhigh"."""
_TIERS: Mapping[str, str] = {
    "auto": "auto",
    "default": "default",
    "standard_only": "default",
    "standard": "default",
    "flex": "flex",
    "scale": "scale",
    "priority": "priority",
    "fast": "fast",
}
_REASONING_MODELS = re.compile(r"(?:.*/)?(?:o\d|gpt-[5-9](?!.*chat))")
_DEFAULTS = {"temperature": 1, "top_p": 1, "presence_penalty": 0, "frequency_penalty": 0}
_BAD_IN_NAME = re.compile(r"[^A-Za-z0-9_-]")


def encode_request(request: ir.Request) -> Encoded:
    """
    A request as Chat Completions has it.

    Shape: {"model", "messages", "stream", "stream_options", "tools", "max_completion_tokens", ...}
    Raises: BadRequest when Chat has no way to say it.
    Source: OpenAI API reference, Create chat completion.
    """
    losses = Losses()
    names = ToolNames(request.tools, TOOL_NAMES)
    body: dict[str, Any] = {
        "model": request.model,
        "messages": _messages(request, names, losses),
        **_stream(request),
        **_tools(request, names, losses),
        **_output_format(request, losses),
        **_limits(request, losses),
        **_thinking(request, losses),
        **_identity(request, losses),
    }
    for name, value in losses.extras(NAME, request.extras).items():
        body.setdefault(name, value)
    return Encoded(jsontext.write_members(body), losses.seen())


def _messages(request: ir.Request, names: ToolNames, losses: Losses) -> list[dict[str, Any]]:
    writer = MessageWriter(request, names, losses)
    carried = (writer.carried(turn) for turn in request.turns)
    turns = settled((turn for turn in carried if turn is not None), NAME)
    first = writer.instructions(request.instructions) if request.instructions else None
    out = [first] if first is not None else []
    for turn in turns:
        out += writer.messages(turn)
    if not out:
        raise BadRequest("there are no messages to send")
    return out


def _stream(request: ir.Request) -> dict[str, Any]:
    """Usage is always asked for: every client wants it, and we log it."""
    if not request.stream:
        return {}
    return {"stream": True, "stream_options": {"include_usage": True}}


# ── tools ──


def _tools(request: ir.Request, names: ToolNames, losses: Losses) -> dict[str, Any]:
    tools: list[Any] = []
    search: Any = None
    for tool in request.tools:
        if isinstance(tool, ir.Tool):
            tools.append(_tool(tool, request, names, losses))
        elif tool.kind == SEARCH:
            search = _search(tool, request, losses)
        elif tool.wire == NAME:
            tools.append(tool.raw)
        else:
            losses.dropped("hosted-tool")
    out: dict[str, Any] = {} if search is None else {"web_search_options": search}
    if not tools:
        return out
    out["tools"] = tools
    choice = _callable(request.tool_choice, request, losses)
    if choice is not None:
        out["tool_choice"] = _tool_choice(choice, request, names, losses)
    if request.parallel_tool_calls is not None:
        out["parallel_tool_calls"] = request.parallel_tool_calls
    return out


def _search(tool: ir.HostedTool, request: ir.Request, losses: Losses) -> Any:
    """`web_search_options`, which only the models that always search take."""
    if tool.wire == NAME:
        return tool.raw
    if "search" not in request.model:
        losses.dropped("hosted-tool")
        return None
    losses.approximated("hosted-tool")
    options: dict[str, Any] = {}
    if tool.scope.context:
        options["search_context_size"] = tool.scope.context
    if tool.scope.location:
        place = dict(tool.scope.location)
        options["user_location"] = {"type": "approximate", "approximate": place}
    return options


def _callable(
    choice: ir.ToolChoice | None, request: ir.Request, losses: Losses
) -> ir.ToolChoice | None:
    """`choice` among the client's own tools: one of the vendor's cannot be demanded here."""
    if choice is None or request.wire == NAME or not choice.names:
        return choice
    own = {tool.name for tool in request.tools if isinstance(tool, ir.Tool)}
    names = tuple(name for name in choice.names if name in own)
    if len(names) == len(choice.names):
        return choice
    losses.approximated("tool-choice")
    return ir.replace(choice, names=names) if names else ir.ToolChoice("auto")


def _tool(tool: ir.Tool, request: ir.Request, names: ToolNames, losses: Losses) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": names.sent(tool.name, tool.namespace)}
    if tool.description:
        entry["description"] = tool.description
    if tool.kind == "custom":
        if tool.format is not None:
            entry["format"] = _nested_format(tool.format)
        return {"type": "custom", "custom": entry, **losses.extras(NAME, tool.extras)}
    if tool.schema is not None:
        entry["parameters"] = tool.schema if request.wire == NAME else _rooted(tool.schema)
    if tool.strict is not None:
        entry["strict"] = _strict(tool.strict, tool.schema, request, losses)
    return {"type": "function", "function": entry, **losses.extras(NAME, tool.extras)}


def _rooted(schema: ir.JSON) -> ir.JSON:
    """OpenAI takes only an object at the root, and wants to be told that it is one."""
    root = jsontext.try_read(schema, shapes.SchemaRoot)
    if root is None or root.type is not shapes.ABSENT:
        return schema
    members = jsontext.read_request(schema, dict[str, ir.JSON])
    return jsontext.raw({"type": "object", "properties": {}, **members})


def _strict(strict: bool, schema: ir.JSON | None, request: ir.Request, losses: Losses) -> bool:
    """A Chat client's own schema is its own business; another wire's rules may be laxer."""
    if not strict or request.wire == NAME or is_enforceable(schema):
        return strict
    losses.approximated("strict")
    return False


def _nested_format(value: ir.JSON) -> Any:
    wanted = jsontext.try_read(value, shapes.Format)
    if wanted is None or wanted.type != "grammar" or wanted.grammar is not None:
        return value
    grammar = {"syntax": wanted.syntax, "definition": wanted.definition}
    return {"type": "grammar", "grammar": grammar}


def _tool_choice(
    choice: ir.ToolChoice, request: ir.Request, names: ToolNames, losses: Losses
) -> Any:
    mode = "required" if choice.mode == "any" else choice.mode
    if mode == "validated":
        losses.approximated("tool-choice")
        mode = "auto"
    if not choice.names or mode == "none":
        return mode
    entries = [_named(name, request, names) for name in choice.names]
    if len(entries) == 1 and mode == "required":
        return entries[0]
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": entries}}


def _named(name: str, request: ir.Request, names: ToolNames) -> dict[str, Any]:
    for tool in request.tools:
        if isinstance(tool, ir.Tool) and tool.name == name:
            kind = "custom" if tool.kind == "custom" else "function"
            return {"type": kind, kind: {"name": names.sent(name, tool.namespace)}}
    return {"type": "function", "function": {"name": names.sent(name)}}


# ── parameters ──


def _output_format(request: ir.Request, losses: Losses) -> dict[str, Any]:
    wanted = request.output_format
    if wanted is None:
        return {}
    written: dict[str, Any] = {"type": wanted.kind}
    if wanted.kind == "json_schema":
        name = _BAD_IN_NAME.sub("_", wanted.name)[:64] or "response"
        schema: dict[str, Any] = {"name": name}
        if wanted.description:
            schema["description"] = wanted.description
        if wanted.schema is not None:
            schema["schema"] = wanted.schema
        if wanted.strict is not None:
            schema["strict"] = _strict(wanted.strict, wanted.schema, request, losses)
        written["json_schema"] = schema
    return {"response_format": written}


def _limits(request: ir.Request, losses: Losses) -> dict[str, Any]:
    sampling = request.sampling
    own = {
        "top_k": sampling.top_k,
        "logprobs": sampling.logprobs,
        "top_logprobs": sampling.top_logprobs,
        "n": sampling.candidates,
    }
    if request.wire != NAME:
        own = _of_others(request, losses)
    if len(request.stop) > _MAX_STOPS:
        losses.approximated("stop")
    values: dict[str, Any] = {
        "max_completion_tokens": request.max_output_tokens,
        **_distribution(request, losses),
        "seed": sampling.seed,
        **own,
        "stop": request.stop[:_MAX_STOPS] or None,
    }
    return {name: value for name, value in values.items() if value is not None}


def _distribution(request: ir.Request, losses: Losses) -> dict[str, float | None]:
    """
    How tokens are drawn.

    OpenAI's models that reason refuse anything but the defaults, which clients of other wires send
    without a thought; a Chat client knows its model.
    """
    sampling = request.sampling
    values = {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "presence_penalty": sampling.presence_penalty,
        "frequency_penalty": sampling.frequency_penalty,
    }
    if request.wire == NAME or not _reasons(request):
        return values
    for name, value in values.items():
        if value is not None and value != _DEFAULTS[name]:
            losses.dropped(feature_name(name))
    return {}


def _reasons(request: ir.Request) -> bool:
    off = request.thinking is not None and request.thinking.effort == "none"
    return not off and _REASONING_MODELS.match(request.model) is not None


def _of_others(request: ir.Request, losses: Losses) -> dict[str, Any]:
    """What clients of other wires want; vendors that have no `n` need not hear of a single one."""
    if request.sampling.top_k is not None:
        losses.dropped("top-k")
    several = {"n": request.answers} if request.answers > 1 else {}
    return {**_likelihoods(request, losses), **several}


def _likelihoods(request: ir.Request, losses: Losses) -> dict[str, Any]:
    """Log probabilities, which OpenAI's models that reason refuse to tell."""
    sampling = request.sampling
    if not sampling.logprobs and not sampling.top_logprobs:
        return {}
    if _reasons(request):
        losses.dropped("logprobs")
        return {}
    return {"logprobs": True, "top_logprobs": sampling.top_logprobs or None}


def _thinking(request: ir.Request, losses: Losses) -> dict[str, Any]:
    thinking = request.thinking
    if thinking is None:
        return {}
    if thinking.summary not in ("", "none"):
        losses.dropped("reasoning-summary")
    effort = thinking.effort or _effort_of(thinking.budget_tokens)
    if effort is None:
        return {}
    if thinking.effort is None:
        losses.approximated("thinking-budget")
    if effort == "max" and request.wire != NAME:
        losses.approximated("reasoning-effort")
        effort = "xhigh"
    return {"reasoning_effort": effort}


def _effort_of(budget_tokens: int | None) -> ir.Effort | None:
    """The level nearest to a budget; below 0 the model decides."""
    if budget_tokens is None or budget_tokens < 0:
        return None
    return next((effort for limit, effort in _BUDGETS if budget_tokens <= limit), "xhigh")


def _identity(request: ir.Request, losses: Losses) -> dict[str, Any]:
    """Who asks, how it is billed and cached."""
    out: dict[str, Any] = {}
    if request.verbosity:
        out["verbosity"] = request.verbosity
    if request.user:
        out["user"] = _user(request.user)
    if request.metadata is not None:
        out["metadata"] = request.metadata
    if request.service_tier:
        tier = _TIERS.get(request.service_tier.lower())
        if tier is not None or request.wire == NAME:
            out["service_tier"] = request.service_tier if request.wire == NAME else tier
        else:
            losses.dropped("service-tier")
    if request.cache_key:
        out["prompt_cache_key"] = request.cache_key
    return out


def _user(user: str) -> str:
    """OpenAI takes up to 64 characters; a digest of a longer one stands for the same person."""
    if len(user) <= _MAX_USER:
        return user
    return hashlib.sha256(user.encode("utf-8", "replace")).hexdigest()
