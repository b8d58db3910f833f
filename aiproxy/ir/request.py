"""What a client asks for."""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import Struct

from aiproxy.ir.parts import JSON, Extras, Part, ToolKind

Role: TypeAlias = Literal["system", "developer", "user", "assistant"]
Effort: TypeAlias = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]


class Turn(Struct, frozen=True, gc=False):
    role: Role
    parts: tuple[Part, ...]
    extras: Extras | None = None


class Tool(Struct, frozen=True, gc=False):
    """
    A tool the client runs.

    schema: JSON Schema of the arguments, None when not given. format: grammar of a custom tool.
    native: its definition on the client's own wire, when its vendor's models know it without a
    schema; `schema` and `description` are then what that vendor documents.
    """

    name: str
    description: str = ""
    schema: JSON | None = None
    kind: ToolKind = "function"
    strict: bool | None = None
    namespace: str = ""
    format: JSON | None = None
    extras: Extras | None = None
    native: JSON | None = None


class SearchScope(Struct, frozen=True, gc=False):
    """
    What narrows a web search, as far as the client said.

    location: of the user: "city", "region", "country" (two letters) and "timezone".
    context: how much of what is found shall be read ("low", "medium", "high").
    """

    allowed_domains: tuple[str, ...] = ()
    blocked_domains: tuple[str, ...] = ()
    location: tuple[tuple[str, str], ...] = ()
    context: str = ""


class HostedTool(Struct, frozen=True, gc=False):
    """
    A tool the vendor runs.

    kind: our word ("web_search", "web_fetch", "code_execution") or the wire's own.
    scope: of a web search.
    """

    wire: str
    kind: str
    raw: JSON
    scope: SearchScope = SearchScope()


class ToolChoice(Struct, frozen=True, gc=False):
    """
    mode: "auto", "any" (some tool must be called), "none", "validated" (Gemini).
    names: the only tools allowed; with "any" and one name, that tool is forced.
    """

    mode: Literal["auto", "any", "none", "validated"]
    names: tuple[str, ...] = ()


class Sampling(Struct, frozen=True, gc=False):
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    candidates: int | None = None


class Thinking(Struct, frozen=True, gc=False):
    """
    How much the model shall think, as far as the client said.

    effort "none" switches it off. adaptive: the model decides. summary: how to show the thoughts
    ("auto", "concise", "detailed"), "none" to hide them, "" when unsaid.
    """

    effort: Effort | None = None
    budget_tokens: int | None = None
    adaptive: bool = False
    summary: str = ""


class OutputFormat(Struct, frozen=True, gc=False):
    kind: Literal["text", "json_object", "json_schema"]
    schema: JSON | None = None
    name: str = ""
    description: str = ""
    strict: bool | None = None


class Request(Struct, frozen=True, gc=False):
    """
    One request.

    wire: the client's wire; `extras` and `Opaque` parts of that wire go back to it unchanged.
    instructions: the top-level system channel; in-list system texts are turns in their place.
    default_max_output_tokens: for targets that insist on a limit when the client set none.
    late_tools: how many tools, the last ones, are declared by parts of the turns.
    include_usage, array: how the client wants its stream (Chat usage chunk; Gemini JSON array).
    extras: top-level fields that no field here holds.
    """

    wire: str
    model: str
    stream: bool
    turns: tuple[Turn, ...]
    instructions: tuple[Part, ...] = ()
    tools: tuple[Tool | HostedTool, ...] = ()
    late_tools: int = 0
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    max_output_tokens: int | None = None
    default_max_output_tokens: int = 4096
    sampling: Sampling = Sampling()
    stop: tuple[str, ...] = ()
    thinking: Thinking | None = None
    output_format: OutputFormat | None = None
    verbosity: str = ""
    user: str = ""
    metadata: JSON | None = None
    service_tier: str = ""
    cache_key: str = ""
    include_usage: bool = False
    array: bool = False
    extras: Extras | None = None

    @property
    def answers(self) -> int:
        """How many the client wants, at least one."""
        return max(self.sampling.candidates or 1, 1)
