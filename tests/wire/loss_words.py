"""What the words in `x-aiproxy-losses` mean, for people; and what is sent instead of a feature."""

from __future__ import annotations

from collections.abc import Mapping

MEANINGS: Mapping[str, str] = {
    "audio-output": "audio in an answer",
    "cache-key": "`prompt_cache_key`",
    "candidates": "more than one answer to a request: only the first is given",
    "citations": "sources named for a text, or the wish for them, or their exact places",
    "custom-tool": "a tool that takes free text instead of JSON",
    "document-output": "a file in an answer",
    "file-id": "a file that only its vendor can open, in an answer",
    "file-name": "the name of an image or a file",
    "frequency-penalty": "the sampling parameter",
    "hosted-tool": "a tool that the vendor runs, such as web search",
    "image-count": "the earlier of more images than a message may hold",
    "image-detail": "how closely an image shall be looked at",
    "image-output": "an image in an answer or in an assistant's earlier turn",
    "instruction-media": "an image or a file among system texts",
    "late-instructions": "a system text inside the conversation",
    "logprobs": "log probabilities of tokens",
    "max-output-tokens": "a limit of output tokens, or one that is too low for the vendor",
    "metadata": "free metadata of a request",
    "parallel-tool-calls": "the wish for one tool call at a time",
    "prefill": "that an answer shall go on from a given beginning",
    "presence-penalty": "the sampling parameter",
    "reasoning": "thoughts in the history that another vendor's model had, or without a proof",
    "reasoning-effort": "a level of thinking that the model has not got",
    "reasoning-proof": "the vendor's signature of a call or a text",
    "reasoning-summary": "the wish to see thoughts",
    "refusal": "that a text is a refusal",
    "response-format": "the wish for JSON",
    "schema-description": "the description of the schema that an answer shall follow",
    "seed": "the sampling parameter",
    "service-tier": "`service_tier`",
    "stop": "stop sequences, or those above the vendor's number",
    "strict": "`strict` of a tool or of an output format",
    "temperature": "the sampling parameter",
    "thinking": "the wish that the model thinks",
    "thinking-budget": "the exact number of thinking tokens",
    "thought-signature": "Gemini's signature of a call or a text",
    "tool-call": "a tool call in a turn that is not the assistant's",
    "tool-choice": "which tools may or must be called",
    "tool-description": "a description that is longer than the vendor takes",
    "tool-result": "a tool result in a turn that is not the user's, or in an answer",
    "tool-result-media": "an image or a file in a tool's result",
    "tool-schema": "rules of a tool's JSON Schema that the vendor refuses",
    "top-k": "the sampling parameter",
    "top-logprobs": "log probabilities of the likeliest tokens",
    "top-p": "the sampling parameter",
    "user": "the end user's name",
    "verbosity": "`verbosity`",
    "video-output": "a video in an answer",
}
"""Every word that the code names; the others are names of vendors' fields and kinds of parts."""

_AS_TEXT = "its readable text"
_LEVEL = "the nearest level"

INSTEAD: Mapping[str, str | Mapping[str, str]] = {
    "citations": "without the exact place",
    "code-execution-result": _AS_TEXT,
    "code-execution-tool-result": _AS_TEXT,
    "custom-tool": "a function with one text `input`; free-form again in the answer",
    "document": _AS_TEXT,
    "executable-code": _AS_TEXT,
    "hosted-tool": "the vendor's own tool of that kind",
    "late-instructions": {
        "anthropic": "as the user's, marked `<system-reminder>`",
        "gemini": "as the user's",
    },
    "max-output-tokens": "16",
    "reasoning-effort": _LEVEL,
    "refusal": "as text",
    "response-format": "the model is told to answer in JSON",
    "search-result": _AS_TEXT,
    "stop": {
        "chat": "the first four",
        "responses": "the answer is cut where one begins",
        "gemini": "the first five",
    },
    "strict": "`false`",
    "temperature": "1",
    "thinking-budget": {
        "anthropic": "inside the output limit",
        "chat": _LEVEL,
        "responses": _LEVEL,
        "gemini": _LEVEL,
    },
    "tool-choice": "the model may call or not",
    "tool-result-media": "in a user message behind the results",
    "web-search-tool-result": _AS_TEXT,
}
"""Loss to what is sent in its place when it is approximated, or that by the wire written to."""
