"""
The JSON of the Messages API, as far as aiproxy looks into it.

Every field may be missing or null. Subtrees that only travel through are `Raw`. Source: Anthropic
API reference, "Create a Message" and "Streaming Messages".
"""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, Literal

from msgspec import Meta, Raw, Struct

from aiproxy.wire.jsontext import one_of

NAME = "anthropic"
FAMILY = "anthropic"

_Something = Annotated[str, Meta(min_length=1)]


class Typed(Struct, gc=False):
    """Anything that names its kind."""

    type: str | None = None


# ── blocks ──


class TextBlock(Struct, gc=False):
    type: str
    text: str
    citations: Raw = Raw()


class ImageBlock(Struct, gc=False):
    type: str
    source: Raw


class DocumentBlock(Struct, gc=False):
    type: str
    source: Raw
    title: str | None = None


class MediaSource(Struct, gc=False):
    """type: "base64", "url", "file", "text" or "content"."""

    type: str
    media_type: str | None = None
    data: str | None = None
    url: str | None = None
    file_id: str | None = None


class ThinkingBlock(Struct, gc=False):
    type: str
    thinking: str | None = None
    signature: str | None = None


class RedactedBlock(Struct, gc=False):
    type: str
    data: str


class ToolUseBlock(Struct, gc=False):
    type: str
    id: _Something
    name: _Something
    input: Raw = Raw()


class ToolResultBlock(Struct, gc=False):
    type: str
    tool_use_id: str
    content: Raw = Raw()
    is_error: bool | None = None


class Cited(Struct, gc=False):
    """One entry of `citations`: only those of the web carry a URL."""

    type: str | None = None
    url: str | None = None
    title: str | None = None
    encrypted_index: str | None = None
    cited_text: str | None = None


# ── requests ──


class HeadShape(Struct, gc=False):
    model: Raw = Raw()
    stream: bool | None = None
    betas: Raw = Raw()


class MessageShape(Struct, gc=False):
    """content: a string or a list of blocks."""

    role: str
    content: Raw


class PlainText(TextBlock, forbid_unknown_fields=True, gc=False):
    """A text with nothing in it that is not read, but for the mark that any block may have."""

    type: Literal["text"]
    cache_control: Raw = Raw()


class _PlainResult(Struct, gc=False):
    tool_use_id: str
    content: str | list[PlainText] = ""
    is_error: bool | None = None


_PLAIN_BLOCK = one_of(
    {
        "text": TextBlock,
        "thinking": ThinkingBlock,
        "tool_use": ToolUseBlock,
        "tool_result": _PlainResult,
    },
    "cache_control",
)
"""The same of blocks in general; a single kind among them would not be asked for its name."""


class PlainMessage(Struct, forbid_unknown_fields=True, gc=False):
    """
    A message of blocks of which most conversations consist, with nothing in them that is not read.

    What is not one is read as `MessageShape`, and each of its blocks for itself.
    """

    role: str
    content: str | list[_PLAIN_BLOCK]  # type: ignore[valid-type]


PlainSystem: Any = str | list[PlainText]
"""What a `system` is most often."""


class ToolShape(Struct, gc=False):
    """A tool of the client's own: `type` is absent or "custom"."""

    name: str
    type: str | None = None
    description: str | None = None
    input_schema: Raw = Raw()
    strict: bool | None = None


class PlainTool(ToolShape, forbid_unknown_fields=True, gc=False):
    """The same with nothing in it that is not read."""


class ToolChoiceShape(Struct, gc=False):
    type: str
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class ThinkingShape(Struct, gc=False):
    type: str
    budget_tokens: int | None = None
    display: str | None = None


class OutputConfig(Struct, gc=False):
    effort: str | None = None
    format: Raw = Raw()


class FormatShape(Struct, gc=False):
    type: str
    schema: Raw = Raw()


class MetadataShape(Struct, gc=False):
    user_id: str | None = None


class RequestShape(Struct):
    model: str
    messages: list[Raw]
    max_tokens: int | None = None
    system: Raw = Raw()
    stream: bool | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop_sequences: list[str] | None = None
    tools: list[Raw] | None = None
    tool_choice: ToolChoiceShape | None = None
    thinking: ThinkingShape | None = None
    output_config: Raw = Raw()
    output_format: FormatShape | None = None
    metadata: Raw = Raw()
    service_tier: str | None = None


# ── replies ──


class OutputDetails(Struct, gc=False):
    thinking_tokens: int | None = None


class UsageShape(Struct, gc=False):
    """input_tokens: uncached only. output_tokens: with thinking."""

    input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    output_tokens: int | None = None
    output_tokens_details: OutputDetails | None = None


class ErrorShape(Struct, gc=False):
    type: str | None = None
    message: str | None = None


class ReplyShape(Struct):
    """error: there is none in an answer, unless it is an error itself."""

    content: list[Raw]
    type: str | None = None
    error: Raw = Raw()
    id: str | None = None
    model: str | None = None
    stop_reason: str | None = None
    stop_sequence: str | None = None
    usage: Raw = Raw()


# ── streams ──


class MessageStartShape(Struct, gc=False):
    id: str | None = None
    model: str | None = None
    usage: Raw = Raw()


class DeltaShape(Struct, gc=False):
    """Of a content_block_delta or a message_delta."""

    type: str | None = None
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    partial_json: str | None = None
    citation: Raw = Raw()
    content: Raw = Raw()
    stop_reason: str | None = None
    stop_sequence: str | None = None


class StreamShape(Struct, gc=False):
    type: str | None = None
    index: int | None = None
    delta: DeltaShape | None = None
    content_block: Raw = Raw()
    message: Raw = Raw()
    usage: Raw = Raw()
    error: Raw = Raw()


@cache
def known(shape: type[Struct]) -> frozenset[str]:
    """The JSON names that `shape` reads."""
    return frozenset(shape.__struct_encode_fields__)


SAID_IN_MESSAGE = (known(ReplyShape) - {"error"}) | {"type", "role", "usage"}
"""
Members of a message that are passed on, and those that tell a client nothing.

Nor does the rest of `usage` beside the counts: how they divide, who served it, where.
"""
