"""What turns and replies are made of: texts, media, reasoning, tool calls and their results."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec
from msgspec import Struct

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


class Loss(Struct, frozen=True, gc=False):
    """
    One thing the target cannot carry.

    feature: stable kebab-case word, shown to the client ("top-k", "cache-control").
    how: "dropped", or "approximated" when something near it was sent instead.
    """

    feature: str
    how: Literal["dropped", "approximated"] = "dropped"


class Extras(Struct, frozen=True, gc=False):
    """Fields in order that only `wire` understands."""

    wire: str
    fields: tuple[tuple[str, JSON], ...]


class Proof(Struct, frozen=True, gc=False):
    """
    An opaque token by which a vendor recognises its own model's reasoning.

    family: the only vendor it may be sent to ("anthropic", "openai", "gemini", "kiro").
    redacted: the reasoning itself is inside; there is no text.
    """

    family: str
    data: str
    redacted: bool = False


class Citation(Struct, frozen=True, gc=False):
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


class Logprob(Struct, frozen=True, gc=False):
    """
    How likely a token was, as a natural logarithm.

    data: its bytes, None when the source only gives text. others: the likeliest tokens in its
    place, themselves without others.
    """

    token: str
    logprob: float
    data: bytes | None = None
    others: tuple[Logprob, ...] = ()


class Text(Struct, frozen=True, gc=False):
    """logprobs: of its tokens in order, when the client asked for them."""

    text: str
    citations: tuple[Citation, ...] = ()
    proof: Proof | None = None
    extras: Extras | None = None
    logprobs: tuple[Logprob, ...] = ()


class Inline(Struct, frozen=True, gc=False):
    """data: standard base64 with padding, no white space. mime: lower case, "image/jpeg" style."""

    mime: str
    data: str


class Remote(Struct, frozen=True, gc=False):
    """mime: "" when the source does not say."""

    url: str
    mime: str = ""


class Uploaded(Struct, frozen=True, gc=False):
    """A file that was uploaded to one vendor; meaningless to any other."""

    family: str
    id: str
    mime: str = ""


class PlainText(Struct, frozen=True, gc=False):
    text: str


Source: TypeAlias = Inline | Remote | Uploaded | PlainText


class Media(Struct, frozen=True, gc=False):
    """name: file name or title. detail: "low", "high", "auto" or "" (unset)."""

    kind: MediaKind
    source: Source
    name: str = ""
    detail: str = ""
    extras: Extras | None = None


class Reasoning(Struct, frozen=True, gc=False):
    """
    What the model thought.

    text: "" when only the proof is known. summary: a retelling rather than the thoughts themselves.
    """

    text: str
    proof: Proof | None = None
    summary: bool = False
    extras: Extras | None = None


class ToolCall(Struct, frozen=True, gc=False):
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


class ToolResult(Struct, frozen=True, gc=False):
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


class Refusal(Struct, frozen=True, gc=False):
    text: str
    logprobs: tuple[Logprob, ...] = ()


class Opaque(Struct, frozen=True, gc=False):
    """
    A part only `wire` understands, such as a hosted tool's call with its result.

    kind: what that wire calls it. fallback: text other wires may show instead ("" = nothing).
    """

    wire: str
    kind: str
    raw: JSON
    fallback: str = ""


Part: TypeAlias = Text | Media | Reasoning | ToolCall | ToolResult | Refusal | Opaque
