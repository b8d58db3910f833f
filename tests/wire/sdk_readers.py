"""
What the official SDKs make of an answer, as JSON that a wire's own decoder can read.

One client for each dialect, offline: its HTTP library's hook answers with the bytes at hand. What
an SDK puts together from a stream (or parses from a whole answer) is printed as the dialect's
whole answer, so that a field the SDK did not understand or lost is missing from it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import anthropic
import openai
from google import genai
from google.genai import types

from tests.sdk_http import http_of

_MESSAGES: Any = [{"role": "user", "content": "hello"}]


class _Answer:
    """What the next request of every SDK will be answered with."""

    body = b""
    content_type = ""

    def transport(self, package: str) -> Any:
        """For the SDK of this name."""
        http = http_of(package)

        def answer(_: Any) -> Any:
            headers = {"content-type": self.content_type}
            return http.Response(200, headers=headers, content=self.body)

        return http.MockTransport(answer)

    def sender(self, package: str) -> Any:
        """The same as a whole HTTP client."""
        return http_of(package).Client(transport=self.transport(package))


_answer = _Answer()


@cache
def _anthropic() -> anthropic.Anthropic:
    return anthropic.Anthropic(
        api_key="k",
        base_url="http://proxy.invalid",
        http_client=_answer.sender("anthropic"),
        max_retries=0,
    )


@cache
def _openai() -> openai.OpenAI:
    return openai.OpenAI(
        api_key="k",
        base_url="http://proxy.invalid/v1",
        http_client=_answer.sender("openai"),
        max_retries=0,
    )


@cache
def _google() -> genai.Client:
    options = types.HttpOptions(
        base_url="http://proxy.invalid",
        client_args={"transport": _answer.transport("google-genai")},
    )
    return genai.Client(api_key="k", http_options=options)


def _anthropic_stream() -> Any:
    asking = _anthropic().messages.stream(model="m", max_tokens=9, messages=_MESSAGES)
    with asking as stream:
        return _plain(stream.get_final_message())


def _anthropic_whole() -> Any:
    return _plain(_anthropic().messages.create(model="m", max_tokens=9, messages=_MESSAGES))


def _chat_stream() -> Any:
    """The accumulator's snapshot: its last step refuses answers that were cut or filtered."""
    asking = _openai().chat.completions.stream(
        model="m", messages=_MESSAGES, stream_options={"include_usage": True}
    )
    with asking as stream:
        for _ in stream:
            pass
        return _plain(stream.current_completion_snapshot)


def _chat_whole() -> Any:
    return _plain(_openai().chat.completions.create(model="m", messages=_MESSAGES))


def _responses_stream() -> Any:
    with _openai().responses.stream(model="m", input="x") as stream:
        for event in stream:
            if event.type == "response.incomplete":
                return _plain(event.response)
        return _plain(stream.get_final_response())


def _responses_whole() -> Any:
    return _plain(_openai().responses.create(model="m", input="x"))


def _gemini_stream() -> Any:
    chunks = _google().models.generate_content_stream(model="m", contents="x")
    return [_google_plain(chunk) for chunk in chunks]


def _gemini_whole() -> Any:
    return _google_plain(_google().models.generate_content(model="m", contents="x"))


def _plain(model: Any) -> Any:
    return model.model_dump(mode="json", exclude_none=True, warnings=False)


def _google_plain(chunk: Any) -> Any:
    fields = chunk.model_dump(mode="json", by_alias=True, exclude_none=True)
    return {name: value for name, value in fields.items() if name != "sdkHttpResponse"}


_READERS: Mapping[tuple[str, str], Callable[[], Any]] = {
    ("anthropic", "stream"): _anthropic_stream,
    ("anthropic", "unary"): _anthropic_whole,
    ("chat", "stream"): _chat_stream,
    ("chat", "unary"): _chat_whole,
    ("responses", "stream"): _responses_stream,
    ("responses", "unary"): _responses_whole,
    ("gemini", "stream"): _gemini_stream,
    ("gemini", "unary"): _gemini_whole,
}


def read_by_sdk(wire: str, kind: str, data: bytes) -> bytes:
    """
    `data`, a "stream" or a "unary" answer, as the SDK of `wire` has it.

    Raises: whatever the SDK does when it cannot read it.
    """
    _answer.body = data
    _answer.content_type = "text/event-stream" if kind == "stream" else "application/json"
    return json.dumps(_READERS[wire, kind]()).encode()
