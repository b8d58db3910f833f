"""
The payloads of Kiro's answers, typed.

Every field may be missing or null; unknown ones are skipped. Source: the generated client of the
service's chat response stream in aws/amazon-q-developer-cli.
"""

from __future__ import annotations

from typing import Any

import msgspec

NAME = "kiro"
FAMILY = "kiro"


class Content(msgspec.Struct, gc=False, rename="camel"):
    """assistantResponseEvent and codeEvent. content: a true delta."""

    content: str | None = None
    model_id: str | None = None


class Reasoning(msgspec.Struct, gc=False, rename="camel"):
    """reasoningContentEvent: a piece of the text, or the proof of all of it."""

    text: str | None = None
    signature: str | None = None
    redacted_content: str | None = None


class ToolUse(msgspec.Struct, rename="camel"):
    """toolUseEvent. input: a piece of JSON text, or (older deployments) the object itself."""

    tool_use_id: str | None = None
    name: str | None = None
    input: msgspec.Raw = msgspec.Raw()
    stop: bool | None = None


class Metadata(msgspec.Struct, rename="camel"):
    """metadataEvent; older deployments put the counts elsewhere."""

    token_usage: msgspec.Raw = msgspec.Raw()
    usage: msgspec.Raw = msgspec.Raw()
    stop_reason: Any = None


class Counts(msgspec.Struct, rename="camel"):
    """Token counts under their names of today and of former times."""

    uncached_input_tokens: int | float | None = None
    cache_read_input_tokens: int | float | None = None
    cache_write_input_tokens: int | float | None = None
    output_tokens: int | float | None = None
    input_tokens: int | float | None = None
    total_input_tokens: int | float | None = None
    total_output_tokens: int | float | None = None


class MessageMetadata(msgspec.Struct, gc=False, rename="camel"):
    """messageMetadataEvent."""

    utterance_id: str | None = None


class Fault(msgspec.Struct):
    """The body of an error, in an HTTP answer or in a frame."""

    message: Any = None
    reason: Any = None
    kind: Any = msgspec.field(name="__type", default=None)
