"""Rows of the loss table about what is asked beside the conversation."""

from __future__ import annotations

from collections.abc import Mapping

from aiproxy import ir
from tests.wire.loss_probes import (
    CLOSED,
    PLAIN,
    SCHEMA,
    Feature,
    Object,
    asking,
    contains,
    sampled,
    schema_of,
    tier,
    with_config,
    with_members,
)
from tests.wire.loss_reasoning import NEWEST

LIMITS = (
    Feature(
        "limit of output tokens",
        with_config(
            {"maxOutputTokens": 777},
            anthropic={"max_tokens": 777},
            chat={"max_completion_tokens": 777},
            responses={"max_output_tokens": 777},
        ),
        lambda request: request.max_output_tokens,
    ),
    Feature(
        "a limit below 16",
        with_config(
            {"maxOutputTokens": 5},
            anthropic={"max_tokens": 5},
            chat={"max_completion_tokens": 5},
        ),
        lambda request: request.max_output_tokens,
    ),
    *(
        Feature(
            name,
            with_config(
                {"temperature": value},
                anthropic={"temperature": min(value, 1)},
                chat={"temperature": value},
                responses={"temperature": value},
            ),
            sampled("temperature"),
            models=models,
        )
        for name, value, models in (
            ("temperature up to 1", 0.5, {}),
            ("temperature above 1", 1.5, {}),
            ("temperature, newer model", 0.5, NEWEST),
        )
    ),
    Feature(
        "top-p",
        with_config(
            {"topP": 0.5}, anthropic={"top_p": 0.5}, chat={"top_p": 0.5}, responses={"top_p": 0.5}
        ),
        sampled("top_p"),
    ),
    Feature(
        "top-k",
        with_config({"topK": 37}, anthropic={"top_k": 37}, chat={"top_k": 37}),
        sampled("top_k"),
    ),
    Feature("seed", with_config({"seed": 37}, chat={"seed": 37}), sampled("seed")),
    Feature(
        "presence penalty",
        with_config({"presencePenalty": 0.5}, chat={"presence_penalty": 0.5}),
        sampled("presence_penalty"),
    ),
    Feature(
        "frequency penalty",
        with_config({"frequencyPenalty": 0.5}, chat={"frequency_penalty": 0.5}),
        sampled("frequency_penalty"),
    ),
    Feature(
        "stop sequences",
        with_config(
            {"stopSequences": ["END"]}, anthropic={"stop_sequences": ["END"]}, chat={"stop": "END"}
        ),
        lambda request: request.stop,
    ),
    Feature(
        "more than five stop sequences",
        with_members(anthropic={"stop_sequences": list("abcdef")}),
        lambda request: request.stop,
    ),
    Feature(
        "log probabilities",
        with_config(
            {"responseLogprobs": True, "logprobs": 3},
            chat={"logprobs": True, "top_logprobs": 3},
            responses={"include": ["message.output_text.logprobs"], "top_logprobs": 3},
        ),
        sampled("logprobs"),
    ),
    Feature(
        "several answers at once",
        with_config({"candidateCount": 2}, chat={"n": 2}),
        sampled("candidates"),
    ),
    Feature("logit bias", with_members(chat={"logit_bias": {"37": -100}}), contains("37")),
    Feature(
        "prediction",
        with_members(chat={"prediction": {"type": "content", "content": "I guess"}}),
        contains("I guess"),
    ),
    Feature(
        "verbosity",
        with_members(chat={"verbosity": "low"}, responses={"text": {"verbosity": "low"}}),
        lambda request: request.verbosity,
    ),
    Feature(
        "answers in audio",
        with_config(
            {"responseModalities": ["TEXT", "AUDIO"]},
            chat={"modalities": ["text", "AUDIO"], "audio": {"voice": "ash", "format": "wav"}},
        ),
        contains("AUDIO"),
    ),
    Feature(
        "safety settings",
        with_members(
            gemini={
                "safetySettings": [
                    {"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}
                ]
            }
        ),
        contains("BLOCK_NONE"),
    ),
)


def _formats(schema: Object, **more: object) -> Mapping[str, Object]:
    inner = {"name": "place", "schema": schema, **more}
    return with_members(
        chat={"response_format": {"type": "json_schema", "json_schema": inner}},
        responses={"text": {"format": {"type": "json_schema", **inner}}},
    )


OUTPUT = (
    Feature(
        "JSON by a schema",
        {
            **with_config(
                {"responseMimeType": "application/json", "responseJsonSchema": CLOSED},
                anthropic={"output_config": {"format": {"type": "json_schema", "schema": CLOSED}}},
            ),
            **_formats(CLOSED),
        },
        schema_of,
    ),
    Feature(
        "JSON by a schema with open objects",
        {
            **with_config({"responseMimeType": "application/json", "responseJsonSchema": SCHEMA}),
            **_formats(SCHEMA),
        },
        schema_of,
    ),
    Feature(
        "any JSON",
        with_config(
            {"responseMimeType": "application/json"},
            chat={"response_format": {"type": "json_object"}},
            responses={"text": {"format": {"type": "json_object"}}},
        ),
        lambda request: request.output_format and request.output_format.kind,
    ),
    Feature(
        "description of the schema",
        _formats(CLOSED, description="Where it is."),
        contains("Where it is."),
    ),
    Feature(
        "one word of a list (`text/x.enum`)",
        with_config(
            {
                "responseMimeType": "text/x.enum",
                "responseSchema": {"type": "STRING", "enum": ["cat", "dog"]},
            }
        ),
        contains("text/x.enum"),
    ),
)

STATE = (
    Feature(
        "end user",
        with_members(
            anthropic={"metadata": {"user_id": "ada"}},
            chat={"user": "ada"},
            responses={"safety_identifier": "ada"},
        ),
        lambda request: request.user,
    ),
    Feature(
        "metadata",
        with_members(
            chat={"metadata": {"project": "tales"}}, responses={"metadata": {"project": "tales"}}
        ),
        contains("tales"),
    ),
    Feature(
        "key of the prompt cache",
        with_members(chat={"prompt_cache_key": "tales"}, responses={"prompt_cache_key": "tales"}),
        lambda request: request.cache_key,
    ),
    Feature(
        "cache marks",
        asking(anthropic={"type": "text", "text": "Long.", "cache_control": {"type": "ephemeral"}}),
        lambda request: any(
            isinstance(part, ir.Text) and part.extras is not None for part in request.turns[0].parts
        ),
    ),
    *(
        Feature(
            f"service tier `{asked}`",
            with_members(**{wire: {name: asked} for wire, name in fields.items()}),
            tier,
        )
        for asked, fields in (
            ("standard_only", {"anthropic": "service_tier"}),
            ("default", {"chat": "service_tier", "responses": "service_tier"}),
            (
                "flex",
                {"chat": "service_tier", "responses": "service_tier", "gemini": "serviceTier"},
            ),
            (
                "priority",
                {"chat": "service_tier", "responses": "service_tier", "gemini": "serviceTier"},
            ),
            ("scale", {"chat": "service_tier", "responses": "service_tier"}),
        )
    ),
    Feature(
        "context editing",
        with_members(
            anthropic={"context_management": {"edits": [{"type": "compact_20260112"}]}},
            responses={"context_management": [{"type": "compaction"}]},
        ),
        contains("compact"),
    ),
    Feature("truncation", with_members(responses={"truncation": "auto"}), contains("auto")),
    Feature(
        "container of code execution",
        with_members(anthropic={"container": "container_1"}),
        contains("container_1"),
    ),
    Feature(
        "conversation kept by the vendor",
        {
            "responses": {**PLAIN["responses"], "previous_response_id": "resp_1"},
        },
        contains("resp_1"),
    ),
    Feature(
        "item or content kept by the vendor",
        {
            "responses": {
                "input": [
                    {"role": "user", "content": "Look."},
                    {"type": "item_reference", "id": "msg_1"},
                ]
            },
            "gemini": {**PLAIN["gemini"], "cachedContent": "cachedContents/msg_1"},
        },
        contains("msg_1"),
    ),
    Feature(
        "prompt kept by the vendor",
        with_members(responses={"prompt": {"id": "pmpt_1"}}),
        contains("pmpt_1"),
    ),
    Feature(
        "work in the background",
        with_members(responses={"background": True}),
        contains("true"),
    ),
    Feature(
        "field that we do not know, such as `novelty`",
        with_members(
            anthropic={"novelty": "brand new"},
            chat={"novelty": "brand new"},
            responses={"novelty": "brand new"},
            gemini={"novelty": "brand new"},
        ),
        contains("brand new"),
    ),
)
