"""The hub's request as a body for Gemini."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from aiproxy.errors import BadRequest
from aiproxy.ir import JSON, HostedTool, OutputFormat, Part, Request, Text, Tool, ToolChoice
from aiproxy.wire.contract import Encoded
from aiproxy.wire.conversation import (
    is_attribution,
    joined_text,
    leading_instructions,
    settled,
)
from aiproxy.wire.gemini import schema, thinking
from aiproxy.wire.gemini.contents_in import NAME
from aiproxy.wire.gemini.contents_out import ContentsWriter
from aiproxy.wire.gemini.request_in import GENERATION_EXTRAS
from aiproxy.wire.jsontext import raw, text_of, try_read, write_members
from aiproxy.wire.losses import Losses
from aiproxy.wire.names import NameRule, ToolNames
from aiproxy.wire.schemas import TEXT_INPUT

TOOL_NAMES = NameRule(illegal=re.compile(r"[^A-Za-z0-9_.:-]"), limit=64, letter_first=True)

MAX_STOPS = 5
"""Gemini API reference, GenerationConfig.stopSequences."""

_TIERS = {"default": "standard", "standard_only": "standard", "flex": "flex"} | {
    "priority": "priority"
}
_HOSTED = {
    "web_search": "googleSearch",
    "web_fetch": "urlContext",
    "code_execution": "codeExecution",
}
_MODES = {"auto": "AUTO", "any": "ANY", "none": "NONE", "validated": "VALIDATED"}


def encode_request(request: Request) -> Encoded:
    """
    The body of generateContent and streamGenerateContent; model and streaming are in the path.

    Raises: BadRequest when there is no message, or a file that only another vendor can open.
    """
    losses = Losses()
    names = ToolNames(request.tools, TOOL_NAMES)
    instructions, turns = leading_instructions(request, losses)
    contents = ContentsWriter(request.model, names, losses).contents(settled(turns, NAME))
    if not contents:
        raise BadRequest("the request has no messages", param="contents")
    body: dict[str, Any] = {"contents": contents}
    text = _instructed(instructions, losses)
    if text:
        body["systemInstruction"] = {"parts": [{"text": text}]}
    extras = losses.extras(NAME, request.extras)
    choice = request.tool_choice
    tools = _offered(request, choice)
    declared = _tools(tools, names, losses)
    if declared:
        body["tools"] = declared
    tool_config = _tool_config(choice, tools, names, extras.pop("toolConfig", None))
    if _is_softened(choice, tools):
        losses.approximated("tool-choice")
    if tool_config:
        body["toolConfig"] = tool_config
    config = _generation(request, extras, losses)
    if config:
        body["generationConfig"] = config
    tier = _tier(request.service_tier, losses)
    if tier:
        body["serviceTier"] = tier
    _unsupported(request, losses)
    body.update(extras)
    return Encoded(write_members(body), losses.seen())


def _instructed(instructions: Sequence[Part], losses: Losses) -> str:
    """All instructions as one text, without what Claude Code writes there for Anthropic's books."""
    texts: list[Text] = []
    for part in instructions:
        if not isinstance(part, Text):
            losses.dropped("instruction-media")
        elif not is_attribution(part):
            losses.extras(NAME, part.extras)
            texts.append(part)
    return joined_text(texts)


def _offered(request: Request, choice: ToolChoice | None) -> list[Tool | HostedTool]:
    """All tools, or with a plain choice among a few only those: AUTO takes no list of names."""
    tools = list(request.tools)
    if choice is None or choice.mode != "auto" or not choice.names:
        return tools
    chosen = [tool for tool in tools if isinstance(tool, HostedTool) or tool.name in choice.names]
    return chosen if any(isinstance(tool, Tool) for tool in chosen) else tools


def _tools(
    tools: list[Tool | HostedTool], names: ToolNames, losses: Losses
) -> list[dict[str, Any] | JSON]:
    """
    All functions in one entry, then the vendor's own tools.

    Most models take either functions or tools of the vendor's, so a tool that another wire's client
    asked for yields to its functions.
    """
    functions = [_function(tool, names, losses) for tool in tools if isinstance(tool, Tool)]
    out: list[dict[str, Any] | JSON] = [{"functionDeclarations": functions}] if functions else []
    for tool in tools:
        if isinstance(tool, HostedTool):
            if tool.wire == NAME:
                out.append(tool.raw)
            elif tool.kind in _HOSTED and not functions:
                losses.approximated("hosted-tool")
                hosted = raw({_HOSTED[tool.kind]: {}})
                out += [hosted] if hosted not in out else []
            else:
                losses.dropped("hosted-tool")
    return out


def _function(tool: Tool, names: ToolNames, losses: Losses) -> dict[str, Any]:
    out: dict[str, Any] = {"name": names.sent(tool.name, tool.namespace)}
    description = tool.description
    parameters = tool.schema
    if tool.kind == "custom":
        losses.approximated("custom-tool")
        if tool.format is not None:
            description = f"{description}\n\n{text_of(tool.format)}".strip()
        parameters = TEXT_INPUT
    if description:
        out["description"] = description
    if parameters is not None and try_read(parameters, dict[str, msgspec.Raw]) != {}:
        out["parametersJsonSchema"] = schema.for_gemini(parameters)
    if tool.strict:
        losses.dropped("strict")
    out.update(losses.extras(NAME, tool.extras))
    return out


def _tool_config(
    choice: ToolChoice | None,
    tools: list[Tool | HostedTool],
    names: ToolNames,
    extras: JSON | None,
) -> dict[str, Any]:
    """The choice, when there is a function to choose, with what a Gemini client said beside it."""
    out: dict[str, Any] = {}
    if extras is not None:
        out.update(try_read(extras, dict[str, msgspec.Raw]) or {})
    functions = {tool.name: tool for tool in tools if isinstance(tool, Tool)}
    if choice is None or not functions:
        return out
    calling: dict[str, Any] = {"mode": _MODES[choice.mode]}
    allowed = [functions[name] for name in choice.names if name in functions]
    if allowed and choice.mode in ("any", "validated"):
        calling["allowedFunctionNames"] = [names.sent(t.name, t.namespace) for t in allowed]
    if "functionCallingConfig" in out:
        calling.update(try_read(out["functionCallingConfig"], dict[str, msgspec.Raw]) or {})
    out["functionCallingConfig"] = calling
    return out


def _is_softened(choice: ToolChoice | None, tools: list[Tool | HostedTool]) -> bool:
    """Whether a tool is demanded that is none of the functions: Gemini can demand only those."""
    if choice is None or choice.mode not in ("any", "validated") or not tools:
        return False
    functions = {tool.name for tool in tools if isinstance(tool, Tool)}
    return not functions or any(name not in functions for name in choice.names)


def _generation(request: Request, extras: dict[str, JSON], losses: Losses) -> dict[str, Any]:
    """`generationConfig`; takes its members out of `extras`."""
    sampling = request.sampling
    if len(request.stop) > MAX_STOPS:
        losses.approximated("stop")
    wanted: dict[str, Any] = {
        "maxOutputTokens": request.max_output_tokens,
        "temperature": sampling.temperature,
        "topP": sampling.top_p,
        "topK": sampling.top_k,
        "seed": sampling.seed,
        "presencePenalty": sampling.presence_penalty,
        "frequencyPenalty": sampling.frequency_penalty,
        "stopSequences": list(request.stop[:MAX_STOPS]) or None,
    }
    if request.wire == NAME:
        wanted["responseLogprobs"] = sampling.logprobs
        wanted["logprobs"] = sampling.top_logprobs
        wanted["candidateCount"] = sampling.candidates
    else:
        wanted.update(_of_others(request))
    out = {key: value for key, value in wanted.items() if value is not None}
    out.update(_format(request.output_format))
    if request.thinking is not None:
        thought = thinking.written(request.thinking, request.model, losses)
        if thought:
            out["thinkingConfig"] = thought
    for key in sorted(GENERATION_EXTRAS & extras.keys()):
        out[key] = extras.pop(key)
    for key in ("responseMimeType", "responseSchema"):
        if key in extras:
            out[key] = extras.pop(key)
    rest = extras.pop("generationConfig", None)
    if rest is not None:
        out.update(try_read(rest, dict[str, msgspec.Raw]) or {})
    return out


def _of_others(request: Request) -> dict[str, Any]:
    """How many answers clients of other wires want, and whether with likelihoods."""
    sampling = request.sampling
    several = {"candidateCount": request.answers} if request.answers > 1 else {}
    if not sampling.logprobs and not sampling.top_logprobs:
        return several
    return {"responseLogprobs": True, "logprobs": sampling.top_logprobs or None, **several}


def _format(wanted: OutputFormat | None) -> dict[str, Any]:
    if wanted is None or wanted.kind == "text":
        return {}
    out: dict[str, Any] = {"responseMimeType": "application/json"}
    if wanted.kind == "json_schema" and wanted.schema is not None:
        out["responseJsonSchema"] = schema.for_gemini(wanted.schema)
    return out


def _tier(tier: str, losses: Losses) -> str:
    if tier not in ("", "auto", *_TIERS):
        losses.dropped("service-tier")
    return _TIERS.get(tier, "")


def _unsupported(request: Request, losses: Losses) -> None:
    """What Gemini has no field for."""
    wanted = request.output_format
    if wanted is not None and wanted.description:
        losses.dropped("schema-description")
    if request.parallel_tool_calls is False:
        losses.dropped("parallel-tool-calls")
    if request.verbosity:
        losses.dropped("verbosity")
    if request.user:
        losses.dropped("user")
    if request.metadata is not None:
        losses.dropped("metadata")
    if request.cache_key:
        losses.dropped("cache-key")
