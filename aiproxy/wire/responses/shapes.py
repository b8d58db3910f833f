"""
The protocol's JSON as types: every field that is read, optional, null equal to absent.

Source: OpenAI API reference, Responses; the official Python SDK 3.54, `types/responses`.
"""

from __future__ import annotations

import msgspec

NAME = "responses"
FAMILY = "openai"
LOGPROBS = "message.output_text.logprobs"
"""How a request asks for log probabilities, in its `include`."""

Raw = msgspec.Raw
ABSENT = Raw()
"""Of a field that is rare in a stream: `is` tells faster than a look inside."""


# ── both directions ──


class Typed(msgspec.Struct, gc=False):
    """Anything that says what it is."""

    type: str | None = None


class ReasoningText(msgspec.Struct, gc=False):
    """One part of a reasoning item's `summary` or `content`."""

    text: str | None = None


class ReasoningItem(msgspec.Struct, gc=False):
    id: str | None = None
    summary: list[ReasoningText] | None = None
    content: list[ReasoningText] | None = None
    encrypted_content: str | None = None


class CallItem(msgspec.Struct, gc=False):
    """A `function_call` (arguments) or a `custom_tool_call` (input)."""

    id: str | None = None
    call_id: str | None = None
    name: str | None = None
    namespace: str | None = None
    arguments: str | None = None
    input: str | None = None


# ── replies ──


class Ids(msgspec.Struct, gc=False):
    """What names an item."""

    id: str | None = None
    call_id: str | None = None


class Annotation(msgspec.Struct, gc=False):
    type: str | None = None
    url: str | None = None
    title: str | None = None
    start_index: int | None = None
    end_index: int | None = None


class OutputPart(msgspec.Struct, gc=False):
    """A part of an output message."""

    type: str | None = None
    text: str | None = None
    refusal: str | None = None
    annotations: list[Raw] | None = None
    logprobs: Raw = Raw()


class MessageItem(msgspec.Struct, gc=False):
    role: str | None = None
    content: list[OutputPart] | None = None


class RawContent(msgspec.Struct, gc=False):
    """The same with its parts unread."""

    content: list[Raw] | None = None


class ImageItem(msgspec.Struct, gc=False):
    """An `image_generation_call`. result: base64."""

    result: str | None = None
    output_format: str | None = None


class InputDetails(msgspec.Struct, gc=False):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class OutputDetails(msgspec.Struct, gc=False):
    reasoning_tokens: int | None = None


class UsageObject(msgspec.Struct, gc=False):
    input_tokens: int | None = None
    input_tokens_details: InputDetails | None = None
    output_tokens: int | None = None
    output_tokens_details: OutputDetails | None = None


class IncompleteDetails(msgspec.Struct, gc=False):
    reason: str | None = None


class ResponseObject(msgspec.Struct, gc=False):
    """The `response` object. output: None when there is no such field."""

    id: str | None = None
    model: str | None = None
    created_at: float | None = None
    status: str | None = None
    error: Raw = Raw()
    incomplete_details: IncompleteDetails | None = None
    output: list[Raw] | None = None
    usage: UsageObject | None = None


def _known(*shapes: type[msgspec.Struct]) -> frozenset[str]:
    return frozenset(name for shape in shapes for name in shape.__struct_encode_fields__)


RESPONSE_BOOKS = _known(ResponseObject) | {
    # What the client asked, repeated.
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "parallel_tool_calls",
    "previous_response_id",
    "prompt",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "reasoning",
    "safety_identifier",
    "service_tier",
    "store",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
    "user",
    "background",
    "presence_penalty",
    "frequency_penalty",
    # How the vendor served it.
    "object",
    "completed_at",
    "billing",
    "output_text",
}
"""
Members of a response that are read, or tell a client nothing.

Nor does the rest of `usage` beside the counts: how they divide, and their cost.
"""

ITEM_BOOKS = frozenset({"id", "type", "status", "role"})
PART_BOOKS = _known(OutputPart)
CALL_BOOKS = _known(CallItem) | ITEM_BOOKS
IMAGE_BOOKS = _known(ImageItem) | ITEM_BOOKS | {"size", "quality", "background", "action"}
"""The same of items; how an image was made shows in it."""


class StreamEvent(msgspec.Struct, gc=False):
    """Any event of a stream."""

    type: str | None = None
    output_index: int = 0
    content_index: int = 0
    summary_index: int = 0
    delta: str | None = None
    text: str | None = None
    refusal: str | None = None
    arguments: str | None = None
    input: str | None = None
    item: Raw = Raw()
    part: Raw = Raw()
    annotation: Raw = Raw()
    logprobs: Raw = ABSENT
    response: Raw = Raw()
    error: Raw = Raw()
    code: str | int | None = None
    message: str | None = None


# ── requests ──


class InputItem(msgspec.Struct, gc=False):
    """What tells one input item from another."""

    type: str | None = None
    role: str | None = None


class InputMessage(msgspec.Struct, gc=False):
    role: str
    content: str | list[Raw] | None = None


class InputAudio(msgspec.Struct, gc=False):
    data: str
    format: str | None = None


class InputPart(msgspec.Struct, gc=False):
    """A part of an input message or of a tool's output."""

    type: str | None = None
    text: str | None = None
    refusal: str | None = None
    annotations: list[Annotation] | None = None
    image_url: str | None = None
    detail: str | None = None
    file_id: str | None = None
    file_data: str | None = None
    file_url: str | None = None
    filename: str | None = None
    input_audio: InputAudio | None = None


class CallOutput(msgspec.Struct, gc=False):
    """A `function_call_output` or `custom_tool_call_output`."""

    call_id: str
    output: str | list[Raw] | None = None


class ToolObject(msgspec.Struct, gc=False):
    """One entry of `tools`."""

    type: str | None = None
    name: str | None = None
    description: str | None = None
    parameters: Raw = Raw()
    strict: bool | None = None
    format: Raw = Raw()
    tools: list[Raw] | None = None


class WebSearch(msgspec.Struct, gc=False):
    """A `web_search` tool. external_web_access: False when it may only read what is indexed."""

    external_web_access: bool | None = None


class ToolCarrier(msgspec.Struct, gc=False):
    """An input item that declares tools."""

    tools: list[Raw] | None = None


class AllowedTool(msgspec.Struct, gc=False):
    type: str | None = None
    name: str | None = None


class AllowedTools(msgspec.Struct, gc=False):
    mode: str | None = None
    tools: list[AllowedTool] | None = None


class ReasoningConfig(msgspec.Struct, gc=False):
    effort: str | None = None
    summary: str | None = None
    generate_summary: str | None = None


class FormatConfig(msgspec.Struct, gc=False):
    type: str | None = None
    name: str | None = None
    description: str | None = None
    schema: Raw = Raw()
    strict: bool | None = None


class TextConfig(msgspec.Struct, gc=False):
    format: FormatConfig | None = None
    verbosity: str | None = None


class RequestObject(msgspec.Struct, gc=False):
    """The body of a request. Fields that are not here are extras."""

    model: str | None = None
    stream: bool | None = None
    instructions: str | None = None
    input: str | list[Raw] | None = None
    tools: list[Raw] | None = None
    tool_choice: Raw = Raw()
    parallel_tool_calls: bool | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_logprobs: int | None = None
    include: list[str] | None = None
    reasoning: Raw = Raw()
    text: Raw = Raw()
    safety_identifier: str | None = None
    user: str | None = None
    metadata: Raw = Raw()
    service_tier: str | None = None
    prompt_cache_key: str | None = None


class HeadObject(msgspec.Struct, gc=False):
    model: msgspec.Raw = msgspec.Raw()
    stream: bool | None = None
