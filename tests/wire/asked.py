"""
What a request asks for, in no dialect: the listed normalisations of requests.

`differences(one, other, losses, names)` tells in what two requests of different wires differ that
no loss declares. What counts as the same is written down in the functions below; everything else
has to be equal.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from aiproxy import ir
from aiproxy.wire.conversation import is_attribution, leading_instructions, settled
from aiproxy.wire.gemini.schema import from_openapi
from aiproxy.wire.losses import feature_name
from aiproxy.wire.names import NameRule, ToolNames

Item: TypeAlias = tuple[Any, ...]
Rules: TypeAlias = Sequence[tuple[Sequence[ir.Tool | ir.HostedTool], NameRule]]
"""By which rules, for which tools, names were made legal, one after the other."""

PLACEHOLDERS = re.compile(
    r"\(empty\)|\(the conversation goes on\)|\(no content\)|\(see the attachment below\)"
    r"|\[attached by the result of tool call [^\]]*\]|\[result of tool call [^\]]*\]"
    r"|</?system-reminder>"
    r"|Answer with one JSON object and nothing else\."
)
"""What encoders put in where a dialect insists on something or has no word for it."""

_INVENTED = ("file.pdf", "document.pdf", "file")
"""File names for dialects that insist on one."""

_TEXTS = ("text/plain", "text/csv", "text/markdown", "text/html")

_BLANKS = re.compile(r"\s+")

FACETS: Mapping[str, tuple[str, ...]] = {
    "tool_choice": ("tool-choice", "hosted-tool", "tool-config"),
    "parallel": ("parallel-tool-calls",),
    "limit": ("max-output-tokens",),
    "temperature": ("temperature",),
    "top_p": ("top-p",),
    "top_k": ("top-k",),
    "seed": ("seed",),
    "presence_penalty": ("presence-penalty",),
    "frequency_penalty": ("frequency-penalty",),
    "logprobs": ("logprobs", "top-logprobs"),
    "candidates": ("candidates",),
    "stop": ("stop",),
    "thinking": (
        "thinking",
        "thinking-budget",
        "reasoning-effort",
        "effort",
        "output-config.effort",
    ),
    "format": ("response-format",),
    "verbosity": ("verbosity",),
    "user": ("user",),
    "metadata": ("metadata",),
    "tier": ("service-tier",),
    "cache_key": ("cache-key",),
}
"""Each setting, and the features that stand for it among the losses."""


def differences(
    first: ir.Request,
    second: ir.Request,
    losses: Iterable[ir.Loss],
    rules: Rules,
    *,
    through_chat: bool = False,
) -> list[str]:
    """
    In what `second` is not what `first` asks, but for `losses`.

    through_chat: one of the wires was Chat, which keeps texts and calls of a turn apart.
    """
    declared = frozenset(loss.feature for loss in losses)
    one, other = _settings(first), _settings(second)
    limit = second.max_output_tokens
    if first.max_output_tokens is None and limit and limit >= second.default_max_output_tokens:
        one["limit"] = limit  # Anthropic insists on one.
    found = [
        f"{name}: {one[name]!r} became {other[name]!r}"
        for name, features in FACETS.items()
        if one[name] != other[name] and not declared & set(features)
    ]
    naming = _Naming(rules)
    plain = _Naming(())
    for what, tell in (("instructions", _instructions), ("turns", _turns), ("tools", _tools)):
        expected, got = tell(first, naming, declared), tell(second, plain, declared)
        if what == "turns":
            ordered = _apart if through_chat else _in_order
            expected = [(role, *ordered(items)) for role, items in expected]
            got = [(role, *ordered(items)) for role, items in got]
        if expected != got:
            found.append(f"{what}: {_first_difference(expected, got)}")
    return found


def _first_difference(one: Sequence[Any], other: Sequence[Any]) -> str:
    for at, (expected, got) in enumerate(zip(one, other, strict=False)):
        if expected != got:
            return f"[{at}] {expected!r:.500} became {got!r:.500}"
    return f"{len(one)} became {len(other)}: {(*one, *other)[min(len(one), len(other)) :]!r:.500}"


class _Naming:
    """Names of tools after each of the rules."""

    def __init__(self, rules: Rules) -> None:
        self._steps = [(ToolNames(tools, rule), rule) for tools, rule in rules]

    def sent(self, name: str, namespace: str) -> str:
        for names, rule in self._steps:
            name = names.sent(name, namespace)
            namespace = namespace if rule.namespaces else ""
        return name


# ── settings ──


def _settings(request: ir.Request) -> dict[str, Any]:
    """Settings that say the default are none."""
    sampling = request.sampling
    choice = request.tool_choice
    own = [tool.name for tool in request.tools if isinstance(tool, ir.Tool)]
    has_tools = bool(own)
    is_idle = choice is not None and choice.mode == "none"
    wanted = request.output_format
    return {
        "tool_choice": _choice(choice, own),
        "parallel": request.parallel_tool_calls is False and has_tools and not is_idle,
        "limit": request.max_output_tokens,
        "temperature": None if sampling.temperature == 1 else sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "seed": sampling.seed,
        "presence_penalty": sampling.presence_penalty or None,
        "frequency_penalty": sampling.frequency_penalty or None,
        "logprobs": (
            bool(sampling.logprobs or sampling.top_logprobs),
            sampling.top_logprobs or None,
        ),
        "candidates": (sampling.candidates or 1),
        "stop": request.stop,
        "thinking": _thinking(request.thinking),
        "format": _format(wanted),
        "verbosity": request.verbosity,
        "user": _user(request.user),
        "metadata": json.loads(bytes(request.metadata)) if request.metadata else None,
        "tier": _TIERS.get(request.service_tier, request.service_tier),
        "cache_key": request.cache_key,
    }


def _choice(choice: ir.ToolChoice | None, tools: Sequence[str]) -> Any:
    """No names are all names; among no tools there is nothing to choose."""
    if choice is None or not tools or choice.mode == "none":
        return choice if tools else None
    names = tuple(sorted(choice.names or tools))
    return None if choice.mode == "auto" else (choice.mode, len(names), len(names) == 1)


_TIERS = {"standard_only": "default", "standard": "default", "auto": ""}
_LEVELS: tuple[tuple[int, str], ...] = (
    (0, "none"),
    (512, "minimal"),
    (1024, "low"),
    (8192, "medium"),
    (24576, "high"),
)


def _thinking(thinking: ir.Thinking | None) -> str:
    """The level. What the model decides for itself is the default."""
    if thinking is None:
        return ""
    if thinking.effort is not None:
        return thinking.effort
    budget = thinking.budget_tokens
    if budget is None or budget < 0:
        return ""
    return next((level for most, level in _LEVELS if budget <= most), "xhigh")


def _format(wanted: ir.OutputFormat | None) -> Any:
    """A schema's name is the dialects' own affair."""
    if wanted is None or wanted.kind == "text":
        return None
    if wanted.schema is None:
        return "json_object"
    return _schema(wanted.schema)


def _user(user: str) -> str:
    """A long one is known by its digest."""
    return user if len(user) <= 64 else hashlib.sha256(user.encode()).hexdigest()


# ── conversation ──


def _instructions(request: ir.Request, _: _Naming, declared: frozenset[str]) -> Sequence[Any]:
    """One text of all; what Claude Code writes there for Anthropic's books is not for others."""
    parts, _turns = leading_instructions(request)
    texts = [part for part in parts if not is_attribution(part)]
    return [_plain("".join(_text(part, declared) for part in texts))]


def _turns(request: ir.Request, naming: _Naming, declared: frozenset[str]) -> Sequence[Any]:
    """
    The turns as the user's and the assistant's, in order, with all their items.

    White space aside. Calls and their results have numbers for ids.
    """
    numbers: dict[str, int] = {}
    out: list[tuple[str, list[Item]]] = []
    _parts, turns = leading_instructions(request)
    for turn in settled(turns):
        role = "assistant" if turn.role == "assistant" else "user"
        found = (item for part in turn.parts for item in _items(part, naming, declared, numbers))
        items = [item for item in found if item[1:] != ("",)]
        if not items:
            continue
        if out and out[-1][0] == role:
            out[-1][1].extend(items)
        else:
            out.append((role, items))
    return out


def _in_order(items: Sequence[Item]) -> list[Item]:
    """Results come first and their media behind them; neighbouring texts are one."""
    ranks = {"result": 0, "attached": 1}
    return _joined(sorted(items, key=lambda item: ranks.get(item[0], 2)))


def _apart(items: Sequence[Item]) -> list[Item]:
    """The order of media, texts, refusals, calls and results among themselves is kept."""
    ranks = {"result": 0, "attached": 1, "media": 1, "text": 2, "refusal": 3, "call": 4}
    return _joined(sorted(items, key=lambda item: ranks[item[0]]))


def _joined(items: Sequence[Item]) -> list[Item]:
    out: list[Item] = []
    for item in items:
        item = ("text", *item[1:]) if item[0] == "refusal" else item
        if item[0] == "text" and out and out[-1][0] == "text":
            out[-1] = ("text", out[-1][1] + item[1])
        else:
            out.append(("media", *item[1:]) if item[0] == "attached" else item)
    return out


def _items(
    part: ir.Part, naming: _Naming, declared: frozenset[str], numbers: dict[str, int]
) -> Iterator[Item]:
    match part:
        case ir.Text() | ir.Opaque():
            yield ("text", _plain(_text(part, declared)))
        case ir.Refusal():
            yield ("refusal", _plain(part.text))
        case ir.Media():
            yield _media(part, declared)
        case ir.Reasoning():
            if not declared & {"reasoning", "reasoning-proof", "thought-signature"}:
                yield ("text", _plain(part.text))
        case ir.ToolCall():
            numbers[part.id] = len(numbers)
            name = naming.sent(part.name, part.namespace)
            yield ("call", numbers[part.id], name, _arguments(part))
        case ir.ToolResult():
            texts = [_text(inner, declared) for inner in part.content]
            text = "".join(texts).removeprefix("[tool error]")
            is_error = part.is_error or len(text) < len("".join(texts))
            yield ("result", numbers.get(part.call_id), _plain(text), is_error)
            for inner in part.content:
                if isinstance(inner, ir.Media):
                    kind, *rest = _media(inner, declared)
                    yield ("attached" if kind == "media" else kind, *rest)


def _text(part: ir.Part, declared: frozenset[str]) -> str:
    """What a part says; a foreign one that was declared lost says what stands in its place."""
    match part:
        case ir.Text() | ir.Refusal():
            return part.text
        case ir.Opaque(kind="additional_tools"):
            return ""  # Its tools are among those of the request.
        case ir.Opaque():
            return part.fallback if feature_name(part.kind) in declared else f"<{part.kind}>"
        case _:
            return ""


def _plain(text: str) -> str:
    """Without white space, placeholders, signs of headings, and the mark of failed tools."""
    text = _BLANKS.sub("", PLACEHOLDERS.sub("", text).replace("[tool error] ", ""))
    text = text.replace("#", "")
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return json.dumps(value) if isinstance(value, dict | list) else text


def _media(part: ir.Media, declared: frozenset[str]) -> Item:
    """A document of plain text is text. What a URL points to says its type itself."""
    name = "" if "file-name" in declared or part.name in _INVENTED else part.name
    match part.source:
        case ir.PlainText():
            return ("text", _plain(name + part.source.text))
        case ir.Inline() if part.kind == "document" and part.source.mime in _TEXTS:
            return ("text", _plain(name + base64.b64decode(part.source.data).decode()))
        case ir.Inline():
            where = part.source.data.rstrip("=")
        case ir.Remote():
            where = part.source.url
        case ir.Uploaded():
            where = part.source.id
    detail = "" if "image-detail" in declared or part.detail == "auto" else part.detail
    return ("media", where, detail, name)


def _arguments(call: ir.ToolCall) -> str:
    """As JSON with its keys in order. What is no object is wrapped where there are only objects."""
    if call.kind == "custom":
        return json.dumps({"input": call.arguments})
    try:
        value = json.loads(call.arguments.strip() or "{}")
    except ValueError:
        value = None
    return json.dumps(value if isinstance(value, dict) else {"_raw": call.arguments})


# ── tools ──


def _tools(request: ir.Request, naming: _Naming, declared: frozenset[str]) -> Sequence[Any]:
    """A choice among some of the tools is also made by sending no others."""
    found: list[Any] = []
    chosen = request.tool_choice.names if request.tool_choice else ()
    forced = (
        len(chosen) == 1 and request.tool_choice.mode == "any" if request.tool_choice else False
    )
    for tool in request.tools:
        if isinstance(tool, ir.Tool) and chosen and not forced and tool.name not in chosen:
            continue
        if not isinstance(tool, ir.Tool):
            if "hosted-tool" not in declared:
                found.append(("hosted", tool.kind))
            continue
        strict = bool(tool.strict) and "strict" not in declared
        name = naming.sent(tool.name, tool.namespace)
        if tool.kind == "custom" or "custom-tool" in declared:
            found.append((name, tool.description[:20]))
        else:
            schema = "" if "tool-schema" in declared else _schema(tool.schema)
            found.append((name, tool.description, schema, strict))
    return found


def _schema(schema: ir.JSON | None) -> str:
    """An object at the root, without what says nothing, keys in order."""
    value = json.loads(bytes(from_openapi(schema))) if schema is not None else {}
    cleaned = _cleaned(value)
    if isinstance(cleaned, dict):
        for name in ("type", "properties"):
            cleaned.pop(name, None) if cleaned.get(name) in ("object", {}) else None
    return json.dumps(cleaned, sort_keys=True)


def _cleaned(value: Any) -> Any:
    if isinstance(value, list):
        return [_cleaned(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: _cleaned(item)
        for key, item in value.items()
        if key not in ("$schema", "$id")
        and (key, item) != ("additionalProperties", False)
        and (key, item) != ("default", None)
    }
