"""
The JSON of the Gemini API as types.

Python names are snake_case, the JSON's are camelCase. Every field is optional and null equals
absent; numbers that clients write as 64 or as 64.0 are `int | float`. `Raw` subtrees are carried
unread. What a request's objects hold beside these fields is kept through `jsontext.extras_of`.

Source: Gemini API reference, GenerateContentRequest and GenerateContentResponse.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from aiproxy.ir import JSON

Number: TypeAlias = int | float
ABSENT = msgspec.Raw()
"""Of a field that is rare in a stream `is` tells faster than a look inside."""


class Shape(msgspec.Struct, rename="camel", gc=False):
    """One JSON object."""


# ── parts ──


class Blob(Shape):
    mime_type: str | None = None
    data: str | None = None
    display_name: str | None = None


class FileData(Shape):
    mime_type: str | None = None
    file_uri: str | None = None
    display_name: str | None = None


class PartialArg(Shape):
    """One piece of a call's arguments. json_path: where it belongs, such as "$.a.b[0]"."""

    json_path: str = ""
    string_value: str | None = None
    number_value: Number | None = None
    bool_value: bool | None = None
    will_continue: bool | None = None


class FunctionCall(Shape):
    id: str | None = None
    name: str | None = None
    args: JSON = ABSENT
    partial_args: list[PartialArg] | None = None
    will_continue: bool | None = None


class FunctionResponse(Shape):
    id: str | None = None
    name: str | None = None
    response: JSON = ABSENT
    parts: list[msgspec.Raw] | None = None


class Part(Shape):
    """One part; the kinds that are not here are read as `ir.Opaque`."""

    text: str | None = None
    thought: bool | None = None
    thought_signature: str | None = None
    inline_data: Blob | None = None
    file_data: FileData | None = None
    function_call: FunctionCall | None = None
    function_response: FunctionResponse | None = None
    media_resolution: JSON = ABSENT


class Content(Shape):
    role: str | None = None
    parts: list[msgspec.Raw] | None = None


# ── requests ──


class FunctionDeclaration(Shape):
    name: str | None = None
    description: str | None = None
    parameters: JSON = ABSENT
    parameters_json_schema: JSON = ABSENT


class FunctionCallingConfig(Shape):
    mode: str | None = None
    allowed_function_names: list[str] | None = None


class ToolConfig(Shape):
    function_calling_config: JSON = ABSENT


class ThinkingConfig(Shape):
    include_thoughts: bool | None = None
    thinking_budget: Number | None = None
    thinking_level: str | None = None


class GenerationConfig(Shape):
    max_output_tokens: Number | None = None
    temperature: Number | None = None
    top_p: Number | None = None
    top_k: Number | None = None
    seed: Number | None = None
    presence_penalty: Number | None = None
    frequency_penalty: Number | None = None
    response_logprobs: bool | None = None
    logprobs: Number | None = None
    candidate_count: Number | None = None
    stop_sequences: list[str] | None = None
    response_mime_type: str | None = None
    response_schema: JSON = ABSENT
    response_json_schema: JSON = ABSENT
    thinking_config: ThinkingConfig | None = None


class Request(Shape):
    contents: list[Content] | None = None
    system_instruction: JSON = ABSENT
    tools: list[dict[str, msgspec.Raw]] | None = None
    tool_config: JSON = ABSENT
    generation_config: JSON = ABSENT
    service_tier: str | None = None
    generate_content_request: JSON = ABSENT


# ── replies ──


class Candidate(Shape):
    content: Content | None = None
    finish_reason: str | int | None = None
    finish_message: str | None = None
    index: int | None = None
    citation_metadata: JSON = ABSENT
    grounding_metadata: JSON = ABSENT
    logprobs_result: JSON = ABSENT


class PromptFeedback(Shape):
    block_reason: str | int | None = None


class UsageMetadata(Shape):
    prompt_token_count: int | None = None
    tool_use_prompt_token_count: int | None = None
    cached_content_token_count: int | None = None
    candidates_token_count: int | None = None
    thoughts_token_count: int | None = None


class Chunk(Shape):
    """One message of a stream, or one whole reply: they have the same shape."""

    candidates: list[Candidate] | None = None
    prompt_feedback: PromptFeedback | None = None
    usage_metadata: UsageMetadata | None = None
    model_version: str | None = None
    response_id: str | None = None
    create_time: str | None = None
    error: JSON = ABSENT


class WebSource(Shape):
    uri: str | None = None
    title: str | None = None


class GroundingChunk(Shape):
    web: WebSource | None = None
    retrieved_context: WebSource | None = None


class Segment(Shape):
    """start_index, end_index: UTF-8 bytes into the answer's text; a start of 0 is left out."""

    start_index: int | None = None
    end_index: int | None = None


class GroundingSupport(Shape):
    segment: Segment | None = None
    grounding_chunk_indices: list[int] | None = None
    confidence_scores: JSON = ABSENT


class GroundingMetadata(Shape):
    grounding_chunks: list[GroundingChunk] | None = None
    grounding_supports: list[GroundingSupport] | None = None


class CitationSource(Shape):
    uri: str | None = None
    title: str | None = None
    start_index: int | None = None
    end_index: int | None = None


class CitationMetadata(Shape):
    """citation_sources: the older name of `citations`."""

    citations: list[CitationSource] | None = None
    citation_sources: list[CitationSource] | None = None


class Likely(Shape):
    """A token, and how likely it was."""

    token: str | None = None
    log_probability: float | None = None


class LikelyOnes(Shape):
    candidates: list[Likely] | None = None


class LogprobsResult(Shape):
    """top_candidates: for each chosen token the likeliest in its place."""

    chosen_candidates: list[Likely] | None = None
    top_candidates: list[LikelyOnes] | None = None


# ── what is left over ──


class RawChunk(Shape):
    """A chunk with its inside unread."""

    candidates: list[msgspec.Raw] | None = None
    prompt_feedback: JSON = ABSENT


class RawCitations(Shape):
    citations: list[msgspec.Raw] | None = None


def known(*shapes: type[Shape]) -> frozenset[str]:
    """The JSON names that these shapes read."""
    return frozenset(name for shape in shapes for name in shape.__struct_encode_fields__)


CHUNK_BOOKS = known(Chunk) | {"turnToken", "sdkHttpResponse", "modelStatus", "traceId"}
"""
Members of an answer that are read, or tell a client nothing: how the vendor served it.

Nor does the rest of `usageMetadata` beside the counts: how they divide by kinds of media.
"""

CANDIDATE_BOOKS = known(Candidate) | {"tokenCount", "avgLogprobs", "score"}
"""The same of a candidate. avgLogprobs, score: means that nobody asked for."""

FEEDBACK_BOOKS = known(PromptFeedback)
GROUNDING_BOOKS = known(GroundingMetadata) | {"retrievalMetadata", "groundingSupport"}
"""The same of sources. retrievalMetadata: how likely a search would have helped."""
CITATION_BOOKS = known(CitationSource)
