"""Cases of `test_request_cases` about everything beside the conversation."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from tests.wire.cases_conversation import HELLO, Case, text
from tests.wire.loss_probes import CLOSED, SCHEMA, function

LONG_USER = "u" * 100
OPUS, SONNET = "anthropic:claude-opus-4-7", "anthropic:claude-sonnet-4-5"

NULLS: Mapping[str, Sequence[str]] = {
    "anthropic": ("system", "temperature", "top_p", "top_k", "stop_sequences", "tools",
                  "tool_choice", "thinking", "output_config", "metadata", "service_tier",
                  "stream", "container", "novelty"),
    "chat": ("temperature", "stop", "tools", "tool_choice", "functions", "function_call", "n",
             "response_format", "max_tokens", "seed", "logit_bias", "user", "metadata",
             "reasoning_effort", "stream_options", "web_search_options", "modalities"),
    "responses": ("instructions", "temperature", "tools", "tool_choice", "reasoning", "text",
                  "metadata", "previous_response_id", "conversation", "prompt", "background",
                  "include", "truncation", "user"),
    "gemini": ("systemInstruction", "tools", "toolConfig", "generationConfig", "safetySettings",
               "cachedContent", "serviceTier", "labels"),
}  # fmt: skip
"""By wire, fields that may be null."""


def everywhere(anthropic: Any, chat: Any, responses: Any, gemini: Any) -> dict[str, Any]:
    return {"anthropic": anthropic, "chat": chat, "responses": responses, "gemini": gemini}


CASES: Sequence[Case] = (
    Case(
        "the limit of tokens",
        everywhere({"max_tokens": 8000}, {"max_completion_tokens": 8000, "max_tokens": 1},
                   {"max_output_tokens": 8000}, {"generationConfig": {"maxOutputTokens": 8000}}),
        everywhere({"max_tokens": 8000}, {"max_completion_tokens": 8000},
                   {"max_output_tokens": 8000}, {"generationConfig.maxOutputTokens": 8000}),
    ),
    Case("no limit", {"chat": {}, "responses": {}, "gemini": {}},
         {"anthropic": {"max_tokens": 4096}}),
    Case(
        "a high temperature",
        {"chat": {"temperature": 1.7}},
        {SONNET: {"temperature": 1, "losses": ["temperature"]},
         OPUS: {"temperature": None, "losses": ["temperature"]}},
    ),
    Case(
        "two knobs that exclude one another",
        {"chat": {"temperature": 0.5, "top_p": 0.9}},
        {SONNET: {"temperature": 0.5, "top_p": None, "losses": ["top-p"]},
         OPUS: {"temperature": None, "top_p": None, "losses": ["temperature", "top-p"]},
         "anthropic:claude-3-5-haiku": {"temperature": 0.5, "top_p": 0.9}},
    ),
    Case(
        "thinking and a temperature",
        {"chat": {"reasoning_effort": "medium", "temperature": 0.5, "max_tokens": 20000}},
        {SONNET: {"thinking": {"type": "enabled", "budget_tokens": 8192}, "temperature": None}},
    ),
    Case(
        "thinking and a tool that must be called",
        {"chat": {"reasoning_effort": "medium", "tools": [function("chat")],
                  "tool_choice": "required"}},
        {SONNET: {"thinking": None, "tool_choice": {"type": "any"}, "losses": ["thinking"]}},
    ),
    Case(
        "a budget of 10 000",
        {"anthropic": {"max_tokens": 20000,
                       "thinking": {"type": "enabled", "budget_tokens": 10000}}},
        {"responses": {"reasoning": {"effort": "high", "summary": "auto"}},
         "chat": {"reasoning_effort": "high"},
         "gemini:gemini-2.5-flash": {"generationConfig.thinkingConfig":
                                     {"thinkingBudget": 10000, "includeThoughts": True}},
         "gemini": {"generationConfig.thinkingConfig":
                    {"thinkingLevel": "HIGH", "includeThoughts": True}}},
    ),
    Case(
        "the effort xhigh",
        {"chat": {"reasoning_effort": "xhigh", "max_tokens": 30000}},
        {OPUS: {"output_config.effort": "xhigh", "thinking": {"type": "adaptive"}},
         "anthropic:claude-opus-4-6": {"output_config.effort": "high"},
         SONNET: {"thinking.budget_tokens": 29999}},
    ),
    Case(
        "no effort",
        {"chat": {"reasoning_effort": "none"}},
        {"anthropic": {"thinking": {"type": "disabled"}},
         "gemini:gemini-2.5-flash": {"generationConfig.thinkingConfig": {"thinkingBudget": 0}},
         "responses": {"reasoning": {"effort": "none"}}},
    ),
    Case(
        "a budget above the limit",
        {"gemini": {"generationConfig": {"maxOutputTokens": 2000,
                                         "thinkingConfig": {"thinkingBudget": 5000}}}},
        {SONNET: {"thinking.budget_tokens": 1999, "losses": ["thinking-budget"]}},
    ),
    Case(
        "a limit too low to think",
        {"gemini": {"generationConfig": {"maxOutputTokens": 1000,
                                         "thinkingConfig": {"thinkingBudget": 5000}}}},
        {SONNET: {"thinking": None, "losses": ["thinking"]}},
    ),
    Case(
        "a level, and the thoughts shown",
        {"gemini": {"generationConfig": {"maxOutputTokens": 9000, "thinkingConfig": {
            "thinkingLevel": "LOW", "includeThoughts": True}}}},
        {OPUS: {"output_config.effort": "low", "thinking.display": "summarized"},
         "responses": {"reasoning": {"effort": "low", "summary": "auto"}}},
    ),
    Case("no word of thinking", {"chat": {}, "responses": {}},
         {"anthropic": {"thinking": None, "output_config": None},
          "gemini": {"generationConfig": None}}),
    Case(
        "six stop sequences",
        {"anthropic": {"stop_sequences": list("abcdef")}},
        {"gemini": {"generationConfig.stopSequences": list("abcde"), "losses": ["stop"]},
         "chat": {"stop": list("abcd"), "losses": ["stop"]},
         "responses": {"stop": None, "losses": ["stop"]}},
    ),
    Case(
        "JSON by a schema",
        {"chat": {"response_format": {"type": "json_schema", "json_schema": {
            "name": "n", "schema": CLOSED, "strict": True}}}},
        {"anthropic": {"output_config.format": {"type": "json_schema", "schema": CLOSED}},
         "responses": {"text.format": {"type": "json_schema", "name": "n", "schema": CLOSED,
                                       "strict": True}},
         "gemini": {"generationConfig.responseMimeType": "application/json",
                    "generationConfig.responseJsonSchema": CLOSED}},
    ),
    Case(
        "JSON by a schema without a name, open",
        {"gemini": {"generationConfig": {"responseMimeType": "application/json",
                                         "responseJsonSchema": SCHEMA}}},
        {"anthropic": {"output_config.format.schema.additionalProperties": False,
                       "losses": ["response-schema"]},
         "chat": {"response_format.json_schema.name": "response"},
         "responses": {"text.format.name": "response"}},
    ),
    Case(
        "any JSON",
        {"chat": {"response_format": {"type": "json_object"}}},
        {"anthropic": {"system": [text("Answer with one JSON object and nothing else.")]},
         "gemini": {"generationConfig": {"responseMimeType": "application/json"}},
         "responses": {"text.format": {"type": "json_object"}}},
    ),
    Case(
        "a user with a long name",
        {"anthropic": {"metadata": {"user_id": LONG_USER}}},
        {"chat": {"user": hashlib.sha256(LONG_USER.encode()).hexdigest()},
         "responses": {"safety_identifier": hashlib.sha256(LONG_USER.encode()).hexdigest()},
         "gemini": {"losses": ["user"]}},
    ),
    Case(
        "marks for the cache",
        {"anthropic": {"system": [{**text("a"), "cache_control": {"type": "ephemeral"}}]}},
        {"chat": {"messages.0": {"role": "system", "content": "a"}, "losses": ["cache-control"]},
         "responses": {"instructions": "a", "losses": ["cache-control"]},
         "gemini": {"systemInstruction.parts": [{"text": "a"}], "losses": ["cache-control"]}},
    ),
    Case("the cache of who knows no marks", {"chat": {}, "responses": {}, "gemini": {}},
         {"anthropic": {"cache_control": {"type": "ephemeral"}}}),
    Case("a conversation that the vendor keeps", {"responses": {"previous_response_id": "r"}},
         dict.fromkeys(("anthropic", "chat", "gemini", "kiro"),
                       "previous_response_id is not supported")),
    Case("work in the background", {"responses": {"background": True}},
         dict.fromkeys(("anthropic", "chat", "gemini", "kiro"), "background is not supported")),
    Case(
        "several answers",
        {"chat": {"n": 2}, "gemini": {"generationConfig": {"candidateCount": 2}}},
        {"chat": {"n": 2}, "gemini": {"generationConfig.candidateCount": 2},
         "anthropic": "this upstream gives one answer", "responses": "several answers",
         "kiro": "this upstream gives one answer"},
    ),
    Case(
        "seed and penalties",
        {"chat": {"seed": 7, "presence_penalty": 0.5, "frequency_penalty": 0.25}},
        {"gemini": {"generationConfig": {"seed": 7, "presencePenalty": 0.5,
                                         "frequencyPenalty": 0.25}},
         "anthropic": {"losses": ["seed", "presence-penalty", "frequency-penalty"]},
         "responses": {"losses": ["seed", "presence-penalty", "frequency-penalty"]}},
    ),
    Case("top-k", {"anthropic": {"top_k": 9}},
         {"gemini": {"generationConfig.topK": 9}, "chat": {"losses": ["top-k"]},
          "responses": {"losses": ["top-k"]}}),
    Case("verbosity", {"chat": {"verbosity": "low"}, "responses": {"text": {"verbosity": "low"}}},
         {"responses": {"text": {"verbosity": "low"}}, "chat": {"verbosity": "low"},
          "anthropic": {"losses": ["verbosity"]}}),
    Case("the ordinary tier", {"anthropic": {"service_tier": "standard_only"}},
         {"chat": {"service_tier": "default"}, "responses": {"service_tier": "default"},
          "gemini": {"serviceTier": "standard"}}),
    Case("large and precise numbers",
         {"chat": {"seed": 9007199254740993, "messages": [HELLO]}},
         {"gemini": {"generationConfig.seed": 9007199254740993}}),
    Case(
        "answers in audio",
        {"chat": {"modalities": ["text", "audio"], "audio": {"voice": "ash", "format": "wav"}},
         "gemini": {"generationConfig": {"responseModalities": ["AUDIO"]}}},
        dict.fromkeys(("anthropic", "chat", "responses", "gemini", "kiro"), "an answer in audio"),
    ),
    Case("a model that reasons, and knobs that it refuses",
         {"anthropic": {"temperature": 0.5, "top_p": 0.9}},
         {"chat:gpt-5": {"temperature": None, "top_p": None, "losses": ["temperature", "top-p"]},
          "responses:gpt-5": {"temperature": None, "losses": ["temperature", "top-p"]},
          "chat:gpt-4.1": {"temperature": 0.5, "top_p": 0.9}}),
)  # fmt: skip
