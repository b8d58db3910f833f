"""What turns and replies are made of: texts, media, reasoning, tool calls and their results."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import msgspec

JSON: TypeAlias = msgspec.Raw
"""JSON text that nobody has parsed: embedded as it is, to the digit and in its key order."""

MediaKind: TypeAlias = Literal["image", "document", "audio", "video"]
ToolKind: TypeAlias = Literal[
    "function", "custom", "local_shell", "shell", "apply_patch", "computer", "tool_search"
]
"""
How a tool is called: with a JSON object, with free text, or (all others) as one dialect has it for
a tool that its vendor's models know; elsewhere such a tool is a function with the same arguments.
"""


@dataclass(frozen=True, slots=True)
class Loss:
    """
    One thing the target cannot carry.

    feature: stable kebab-case word, shown to the client ("top-k", "cache-control").
    how: "dropped", or "approximated" when something near it was sent instead.
    """

    feature: str
    how: Literal["dropped", "approximated"] = "dropped"


@dataclass(frozen=True, slots=True)
class Extras:
    """Fields in order that only `wire` understands."""

    wire: str
    fields: tuple[tuple[str, JSON], ...]


@dataclass(frozen=True, slots=True)
class Proof:
    """
    An opaque token by which a vendor recognises its own model's reasoning.

    family: the only vendor it may be sent to ("anthropic", "openai", "gemini", "kiro").
    redacted: the reasoning itself is inside; there is no text.
    """

    family: str
    data: str
    redacted: bool = False


@dataclass(frozen=True, slots=True)
class Citation:
    """
    A source named for a text.

    url: "" when only its vendor can open it. start and end: code points in that text, when known.
    quote: the source's own words, when told.
    """

    url: str
    title: str = ""
    start: int | None = None
    end: int | None = None
    quote: str = ""


@dataclass(frozen=True, slots=True)
class Logprob:
    """
    How likely a token was, as a natural logarithm.

    data: its bytes, None when the source only gives text. others: the likeliest tokens in its
    place, themselves without others.
    """

    token: str
    logprob: float
    data: bytes | None = None
    others: tuple[Logprob, ...] = ()


@dataclass(frozen=True, slots=True)
class Text:
    """logprobs: of its tokens in order, when the client asked for them."""

    text: str
    citations: tuple[Citation, ...] = ()
    proof: Proof | None = None
    extras: Extras | None = None
    logprobs: tuple[Logprob, ...] = ()


@dataclass(frozen=True, slots=True)
class Inline:
    """data: standard base64 with padding, no white space. mime: lower case, "image/jpeg" style."""

    mime: str
    data: str


@dataclass(frozen=True, slots=True)
class Remote:
    """mime: "" when the source does not say."""

    url: str
    mime: str = ""


@dataclass(frozen=True, slots=True)
class Uploaded:
    """A file that was uploaded to one vendor; meaningless to any other."""

    family: str
    id: str
    mime: str = ""


@dataclass(frozen=True, slots=True)
class PlainText:
    text: str


Source: TypeAlias = Inline | Remote | Uploaded | PlainText


@dataclass(frozen=True, slots=True)
class Media:
    """name: file name or title. detail: "low", "high", "auto" or "" (unset)."""

    kind: MediaKind
    source: Source
    name: str = ""
    detail: str = ""
    extras: Extras | None = None


@dataclass(frozen=True, slots=True)
class Reasoning:
    """
    What the model thought.

    text: "" when only the proof is known. summary: a retelling rather than the thoughts themselves.
    """

    text: str
    proof: Proof | None = None
    summary: bool = False
    extras: Extras | None = None


@dataclass(frozen=True, slots=True)
class ToolCall:
    """
    arguments: free text for a "custom" tool, JSON text of an object for any other kind (may be cut
    off in a broken answer). native: the whole call as the client's own wire has it, where that is
    another item than a function's.
    """

    id: str
    name: str
    arguments: str
    kind: ToolKind = "function"
    namespace: str = ""
    proof: Proof | None = None
    extras: Extras | None = None
    native: JSON | None = None


@dataclass(frozen=True, slots=True)
class ToolResult:
    """
    content: Text and Media only. name: of the tool, when the source says it. native: as a call's.
    """

    call_id: str
    content: tuple[Part, ...]
    is_error: bool = False
    name: str = ""
    kind: ToolKind = "function"
    extras: Extras | None = None
    native: JSON | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    text: str
    logprobs: tuple[Logprob, ...] = ()


@dataclass(frozen=True, slots=True)
class Opaque:
    """
    A part only `wire` understands, such as a hosted tool's call with its result.

    kind: what that wire calls it. fallback: text other wires may show instead ("" = nothing).
    """

    wire: str
    kind: str
    raw: JSON
    fallback: str = ""


Part: TypeAlias = Text | Media | Reasoning | ToolCall | ToolResult | Refusal | Opaque
