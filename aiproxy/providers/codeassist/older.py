"""
What the API behind antigravity asks of a Gemini request: older schemas, and what Claude needs.

Google serves Claude models there, and checks their tool calls against schemas in which every object
must require something. An object that requires nothing gets a property that says nothing, and what
the model writes for it is taken out of its calls again.
Source: what gateways report of antigravity; the API is not documented.
"""

from __future__ import annotations

from collections.abc import Callable

from aiproxy.ir import JSON
from aiproxy.wire.gemini.openapi import Alternatives, for_parameters
from aiproxy.wire.jsontext import MAX_DEPTH, given, raw, read_member, try_read
from aiproxy.wire.losses import Losses
from aiproxy.wire.schemas import EMPTY, Members, edited

PLACEHOLDER = "_nothing"
_NOTHING = raw({"type": "boolean", "description": "Says nothing; always true."})

_BUDGETS = {"MINIMAL": 1024, "LOW": 1024, "MEDIUM": 8192, "HIGH": 24576}
"""Tokens for Gemini's levels; Claude models take no fewer than the first."""

_CALLS = ("candidates", "content", "parts", "functionCall", "args")


# ── schemas ──


def declared(tools: JSON, losses: Losses, *, required: bool) -> JSON:
    """
    `tools` with the older `parameters` for every function.

    required: whether every object must require something.
    Raises: BadRequest when a schema is nested too deeply.
    """
    alternatives: Alternatives = "first" if required else "kept"

    def declaration(value: JSON) -> JSON:
        members = try_read(value, dict[str, JSON])
        if members is None:
            return value
        if given(members.get(_NEWER, JSON())):
            members["parameters"] = for_parameters(members[_NEWER], losses, alternatives)
        members.pop(_NEWER, None)
        if required:
            parameters = members.get("parameters", JSON())
            members["parameters"] = edited(parameters if given(parameters) else EMPTY, _required)
        return raw(members)

    return _changed(tools, ("functionDeclarations",), declaration)


_NEWER = "parametersJsonSchema"


def _required(members: Members) -> Members:
    kind = read_member(members, "type", str) or ""
    if kind.lower() != "object" and not (not kind and "properties" in members):
        return members
    if read_member(members, "required", list[str]):
        return members
    properties = read_member(members, "properties", dict[str, JSON]) or {}
    return {
        **members,
        "properties": raw({**properties, PLACEHOLDER: _NOTHING}),
        "required": raw([PLACEHOLDER]),
    }


# ── choices and limits ──


def validated(config: dict[str, JSON], losses: Losses) -> dict[str, JSON]:
    """`toolConfig` that has calls checked; none may be forced then, but all may be forbidden."""
    calling = read_member(config, "functionCallingConfig", dict[str, JSON]) or {}
    mode = (read_member(calling, "mode", str) or "").upper()
    if mode == "NONE":
        return config
    if mode == "ANY":
        losses.approximated("tool-choice")
    return {**config, "functionCallingConfig": raw({**calling, "mode": "VALIDATED"})}


def capped(config: dict[str, JSON], most: str, losses: Losses) -> dict[str, JSON]:
    """`generationConfig` with no higher output limit than `most`; "" for any."""
    asked = read_member(config, "maxOutputTokens", float)
    if asked is None or not most.isdecimal() or asked <= int(most):
        return config
    losses.approximated("max-output-tokens")
    return {**config, "maxOutputTokens": raw(int(most))}


def budgeted(config: dict[str, JSON], losses: Losses) -> dict[str, JSON]:
    """
    `generationConfig` with thoughts as Claude models count them: below the output limit.

    Levels are Gemini's. With too low a limit there is no thinking.
    """
    thinking = read_member(config, "thinkingConfig", dict[str, JSON])
    if not thinking:
        return config
    level = try_read(thinking.pop("thinkingLevel", JSON()), str)
    budget = read_member(thinking, "thinkingBudget", float)
    if level is not None:
        budget = _BUDGETS.get(level.upper(), _BUDGETS["HIGH"])
    limit = read_member(config, "maxOutputTokens", float)
    if budget is not None and limit is not None and budget >= limit:
        budget = limit - 1
        losses.approximated("thinking-budget")
        if budget < _BUDGETS["MINIMAL"]:
            losses.dropped("thinking")
            return {name: value for name, value in config.items() if name != "thinkingConfig"}
    if budget is not None:
        thinking["thinkingBudget"] = raw(int(budget))
    return {**config, "thinkingConfig": raw(thinking)}


def unlimited(config: dict[str, JSON], losses: Losses) -> dict[str, JSON]:
    """`generationConfig` without an output limit, which the other models' API refuses."""
    if "maxOutputTokens" not in config:
        return config
    losses.dropped("max-output-tokens")
    return {name: value for name, value in config.items() if name != "maxOutputTokens"}


# ── answers ──


def without_placeholders(response: bytes) -> bytes:
    """A response with the calls that the client's own schemas mean."""
    if b'"%b"' % PLACEHOLDER.encode() not in response:
        return response
    return bytes(_changed(JSON(response), _CALLS, _pruned))


def _pruned(value: JSON, depth: int = 0) -> JSON:
    """Deeper than any codec here reads, things stay as they are."""
    if depth > MAX_DEPTH:
        return value
    members = try_read(value, dict[str, JSON])
    if members is not None:
        kept = {name: item for name, item in members.items() if name != PLACEHOLDER}
        return raw({name: _pruned(item, depth + 1) for name, item in kept.items()})
    items = try_read(value, list[JSON])
    return value if items is None else raw([_pruned(item, depth + 1) for item in items])


def _changed(value: JSON, path: tuple[str, ...], change: Callable[[JSON], JSON]) -> JSON:
    """`value`, or every item of it when it is a list, with `change` made behind the keys."""
    items = try_read(value, list[JSON])
    if items is not None:
        return raw([_changed_in(item, path, change) for item in items])
    return _changed_in(value, path, change)


def _changed_in(value: JSON, path: tuple[str, ...], change: Callable[[JSON], JSON]) -> JSON:
    if not path:
        return change(value)
    members = try_read(value, dict[str, JSON])
    if members is None or path[0] not in members:
        return value
    members[path[0]] = _changed(members[path[0]], path[1:], change)
    return raw(members)
