"""The Gemini wire under the contract that all wires keep, and under the corpus."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from aiproxy import ir
from aiproxy.errors import ErrorKind
from aiproxy.wire import gemini
from aiproxy.wire.gemini import shapes
from aiproxy.wire.gemini.stream_in import usage_of
from aiproxy.wire.jsontext import read_reply, write
from tests import corpus
from tests.wire.gemini.comparing import comparable
from tests.wire_contract import WireContract

_STOPS: Mapping[str, ir.StopReason] = {
    "STOP": "end",
    "1": "end",
    "MAX_TOKENS": "max_tokens",
    "SAFETY": "filtered",
    "MODEL_ARMOR": "filtered",
}

_ERROR_KINDS: Mapping[bytes, ErrorKind] = {
    b"API_KEY_INVALID": "authentication",
    b"QUOTA_EXHAUSTED": "quota",
    b"RATE_LIMIT_EXCEEDED": "rate_limit",
    b"RESOURCE_EXHAUSTED": "rate_limit",
    b"PERMISSION_DENIED": "permission",
    b"UNAVAILABLE": "overloaded",
    b"exceeds the maximum number of tokens": "context_length",
    b"is not found for API version": "model_not_found",
    b"NOT_FOUND": "not_found",
    b"INVALID_ARGUMENT": "invalid_request",
    b"FAILED_PRECONDITION": "invalid_request",
}
"""What recorded error bodies contain, and what that must be taken for; the first one counts."""


def _escaped(text: str) -> str:
    """JSON as it goes out: what some clients take for a line end is escaped."""
    for end in "\x85\u2028\u2029":
        text = text.replace(end, f"\\u{ord(end):04x}")
    return text


class GeminiContractTests(WireContract, SynchronousTestCase):
    """
    The codec as a whole.

    Corpus cases in a Cloud Code envelope are not read here: the providers take the envelope off.
    """

    wire = gemini
    corpus_format = "gemini"
    gives_several = True

    error_kinds = {
        "unreachable": "upstream",
        "unavailable": "overloaded",
        "internal": "upstream",
        "too_large": "invalid_request",
    }
    error_statuses = {"quota": 429, "overloaded": 503}

    exempt_requests = {
        **dict.fromkeys(
            (
                "derived-cut-mirascope-strict-mode-with-streamed-thinking-goo-s-b3cf",
                "mirascope-strict-mode-with-streamed-thinking-google-gemini-3-pro-preview-e732",
                "mirascope-strict-mode-with-thinking-google-gemini-3-pro-preview-u-3524",
            ),
            "Gemini 3 is told a level of thinking in place of a budget",
        ),
        **dict.fromkeys(
            (
                "js-genai-chats-tests-chats-function-calling-google-ai-with-function-call-128e",
                "js-genai-chats-tests-chats-function-calling-google-ai-with-function-call-ea08",
            ),
            "a call that was never answered gets a result",
        ),
        **dict.fromkeys(
            (
                "js-genai-chats-tests-sendmessage-multiple-messages-with-server-side-mcp-4b68",
                "js-genai-chats-tests-sendmessage-multiple-messages-with-server-side-mcp-dc1f",
            ),
            "results among the model's parts go to a content of the user",
        ),
        **dict.fromkeys(
            (
                "js-genai-chats-tests-chats-function-calling-vertex-ai-with-streaming-fun-5946",
                "lingua-toolchoicerequiredwithreasoningparam-followup-s-6be8",
            ),
            "only the call, or only its result, has an id: both get it or neither",
        ),
    }

    exempt_answers = {
        "pydantic-ai-google-model-armor-prompt-template-text-gets-blocked-1-u-1f85": (
            "its usage holds no counts: unknown rather than zero"
        )
    }

    def normalised(self, response: ir.Response) -> ir.Response:
        """Neighbouring texts are one; stop sequences, pauses and cache writes have no name."""
        parts: list[ir.Part] = []
        for part in response.parts:
            last = parts[-1] if parts else None
            if isinstance(part, ir.Text) and isinstance(last, ir.Text):
                parts[-1] = ir.replace(last, text=last.text + part.text)
            elif isinstance(part, ir.Reasoning):
                parts.append(ir.replace(part, summary=True))
            elif isinstance(part, ir.ToolCall):
                parts.append(ir.replace(part, arguments=_escaped(part.arguments)))
            else:
                parts.append(part)
        usage = response.usage
        if usage is not None:
            usage = ir.replace(usage, input=usage.input + usage.cache_write, cache_write=0)
        stop = "end" if response.stop in ("stop_sequence", "pause") else response.stop
        return ir.replace(response, parts=tuple(parts), stop=stop, stop_sequence="", usage=usage)

    def path(self, request: ir.Request) -> str:
        return gemini.path_for(request.model, "generate", request.stream)

    def is_generation(self, case: corpus.Case) -> bool:
        return super().is_generation(case) and "cloudcode" not in case.features

    def stop_of(self, digest: Mapping[str, Any]) -> ir.StopReason:
        if digest.get("blocked"):
            return "filtered"
        return ir.settled_stop(
            _STOPS.get(str(digest["finish"]), "other"), bool(digest["tool_calls"])
        )

    def usage_of(self, usage: Mapping[str, Any]) -> ir.Usage:
        return usage_of(read_reply(write(usage), shapes.UsageMetadata)) or ir.Usage()

    def error_of(self, case: corpus.Case) -> ErrorKind | None:
        body = case.response or b""
        for text, kind in _ERROR_KINDS.items():
            if text in body:
                return kind
        return None

    def comparable_request(self, body: Any) -> Any:
        return comparable(body)

    def _same_call(self, call: ir.ToolCall, expected: Mapping[str, Any]) -> None:
        """Digests do not put arguments together that came in pieces."""
        if expected.get("arguments_streamed_as_partialArgs"):
            self.assertIsInstance(json.loads(call.arguments), dict)
        else:
            super()._same_call(call, expected)
