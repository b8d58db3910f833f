"""
Chat Completions as typed JSON: every field that is understood, all of them optional.

Null equals absent. `Raw` fields only travel through, or are read apart because vendors write them
in several ways: an odd one must not spoil the rest.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Raw, Struct

ABSENT = Raw()
"""Of fields that are rare in a stream: `is` tells faster than a look inside."""

# ── both directions ──


class Function(Struct, gc=False):
    """A call's function. arguments: JSON text; some vendors send the object itself."""

    name: str | None = None
    arguments: str | dict[str, Raw] | None = None


class Custom(Struct, gc=False):
    name: str | None = None
    input: str | None = None


class Google(Struct, gc=False):
    thought_signature: str | None = None


class ExtraContent(Struct, gc=False):
    """Where Google's compatibility layer keeps what Chat has no field for."""

    google: Google | None = None


class Call(Struct, gc=False):
    """One of `tool_calls`, whole or a fragment. index: in a stream, which call it belongs to."""

    index: int | None = None
    id: str | None = None
    type: str | None = None
    function: Function | None = None
    custom: Custom | None = None
    extra_content: Raw = Raw()


class Detail(Struct, gc=False):
    """One of `reasoning_details`, as OpenRouter has them."""

    type: str | None = None
    text: str | None = None
    summary: str | None = None
    signature: str | None = None
    data: str | None = None


class URL(Struct, gc=False):
    url: str | None = None
    detail: str | None = None


class InputAudio(Struct, gc=False):
    data: str | None = None
    format: str | None = None


class File(Struct, gc=False):
    file_data: str | None = None
    file_id: str | None = None
    filename: str | None = None


class Part(Struct, gc=False):
    """One content part of any type. thinking: Mistral's, a list of text parts."""

    type: str | None = None
    text: str | None = None
    refusal: str | None = None
    image_url: str | URL | None = None
    input_audio: InputAudio | None = None
    file: File | None = None
    thinking: Raw = Raw()


class PartType(Struct, gc=False):
    type: str | None = None


class PlainText(Struct, forbid_unknown_fields=True, gc=False):
    """A text part with nothing besides."""

    type: Literal["text"]
    text: str | None = None


class Thought(Struct, gc=False):
    text: str | None = None


# ── requests ──


class Head(Struct, gc=False):
    model: Raw = Raw()
    stream: bool | None = None


class Message(Struct, gc=False):
    role: str
    content: str | list[Raw] | None = None
    refusal: str | None = None
    tool_calls: list[Raw] | None = None
    function_call: Function | None = None
    tool_call_id: str | None = None
    reasoning_content: Raw = Raw()
    reasoning: Raw = Raw()
    reasoning_details: Raw = Raw()
    extra_content: Raw = Raw()


class Named(Struct, gc=False):
    """name: of a `function` message, which answers by name instead of by id."""

    name: str | None = None


class FunctionTool(Struct, gc=False):
    name: str | None = None
    description: str | None = None
    parameters: Raw = Raw()
    strict: bool | None = None


class CustomTool(Struct, gc=False):
    name: str | None = None
    description: str | None = None
    format: Raw = Raw()


class Tool(Struct, gc=False):
    type: str | None = None
    function: FunctionTool | None = None
    custom: CustomTool | None = None


class Grammar(Struct, gc=False):
    syntax: str | None = None
    definition: str | None = None


class Format(Struct, gc=False):
    """A custom tool's format: Chat nests the grammar, Responses does not."""

    type: str | None = None
    grammar: Grammar | None = None
    syntax: str | None = None
    definition: str | None = None


class AllowedTools(Struct, gc=False):
    mode: str | None = None
    tools: list[Tool] | None = None


class ToolChoice(Struct, gc=False):
    type: str | None = None
    name: str | None = None
    function: Named | None = None
    custom: Named | None = None
    allowed_tools: AllowedTools | None = None


class Schema(Struct, gc=False):
    name: str | None = None
    description: str | None = None
    schema: Raw = Raw()
    strict: bool | None = None


class SchemaRoot(Struct, gc=False):
    type: Raw = ABSENT


class ResponseFormat(Struct, gc=False):
    type: str | None = None
    json_schema: Schema | None = None


class StreamOptions(Struct, gc=False):
    include_usage: bool | None = None


class Request(Struct, gc=False):
    model: str | None = None
    messages: list[Raw] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    tools: list[Raw] | None = None
    tool_choice: Raw = Raw()
    functions: list[FunctionTool] | None = None
    web_search_options: Raw = Raw()
    function_call: Raw = Raw()
    parallel_tool_calls: bool | None = None
    response_format: Raw = Raw()
    max_completion_tokens: int | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    n: int | None = None
    stop: str | list[str] | None = None
    reasoning_effort: str | None = None
    verbosity: str | None = None
    user: str | None = None
    safety_identifier: str | None = None
    metadata: Raw = Raw()
    service_tier: str | None = None
    prompt_cache_key: str | None = None


# ── replies ──


class Delta(Struct, gc=False):
    """A message of a reply, whole or a fragment of it."""

    content: str | list[Raw] | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    reasoning_details: Raw = ABSENT
    tool_calls: list[Call] | None = None
    function_call: Function | None = None
    annotations: Raw = ABSENT
    images: Raw = ABSENT
    audio: Raw = ABSENT
    extra_content: Raw = ABSENT


class Logprobs(Struct, gc=False):
    """Of a choice's tokens."""

    content: Raw = Raw()
    refusal: Raw = Raw()


class Choice(Struct, gc=False):
    """
    message: of a whole answer, also where a vendor puts one into a stream. logprobs: `Logprobs`,
    or what older vendors write there.
    """

    index: int | None = None
    delta: Delta | None = None
    message: Delta | None = None
    finish_reason: str | None = None
    logprobs: Raw = ABSENT
    error: Raw = Raw()


class Audio(Struct, gc=False):
    """An answer spoken, whole or a piece of it. data: base64."""

    id: str | None = None
    data: str | None = None
    transcript: str | None = None
    expires_at: int | None = None


class Raws(Struct, gc=False):
    """The same as a `Completion`, with what is inside unread."""

    choices: list[Raw] | None = None


class RawChoice(Struct, gc=False):
    index: int | None = None
    message: Raw = Raw()
    delta: Raw = Raw()


class Completion(Struct, gc=False):
    """A whole answer or one chunk of a stream."""

    id: str | int | None = None
    object: str | None = None
    created: int | float | None = None
    model: str | None = None
    choices: list[Choice] | None = None
    usage: Raw = Raw()
    error: Raw = Raw()
    x_groq: Raw = Raw()


class URLCitation(Struct, gc=False):
    url: str | None = None
    title: str | None = None
    start_index: int | None = None
    end_index: int | None = None


class Annotation(Struct, gc=False):
    type: str | None = None
    url_citation: URLCitation | None = None


class PromptDetails(Struct, gc=False):
    cached_tokens: int | float | None = None
    cache_write_tokens: int | float | None = None


class CompletionDetails(Struct, gc=False):
    reasoning_tokens: int | float | None = None


class Usage(Struct, gc=False):
    """
    Counts as many vendors write them.

    The cache fields beside `prompt_tokens_details` are those of Moonshot, DeepSeek, Mistral and
    Databricks.
    """

    prompt_tokens: int | float | None = None
    completion_tokens: int | float | None = None
    total_tokens: int | float | None = None
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: CompletionDetails | None = None
    cached_tokens: int | float | None = None
    prompt_cache_hit_tokens: int | float | None = None
    num_cached_tokens: int | float | None = None
    cache_read_input_tokens: int | float | None = None
    cache_creation_input_tokens: int | float | None = None


class Groq(Struct, gc=False):
    usage: Raw = Raw()


# ── errors ──


class Fault(Struct, gc=False):
    """The inside of `error`; any vendor's values."""

    code: object = None
    type: object = None
    param: object = None
    status: object = None
    status_code: object = None


class Failure(Struct, gc=False):
    error: Raw = Raw()
