"""
The vendors' own SDKs behind one face.

Each class speaks one protocol, as a program written for that vendor would, and tells what came in
terms that can be compared between protocols, streamed or not. All of them block: call them in
threads.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import anthropic
import openai
from google import genai
from google.genai import errors as genai_errors

SECONDS = 30.0


@dataclass(frozen=True)
class Picture:
    """An image in a question."""

    mime: str
    data: bytes


@dataclass(frozen=True)
class Function:
    """A tool. schema: JSON Schema of its arguments."""

    name: str
    description: str
    schema: Mapping[str, Any]


@dataclass(frozen=True)
class Asked:
    """
    One question.

    messages: in the SDK's own form, from `begin` and `go_on`. thinking: wanted and shown.
    """

    model: str
    messages: Sequence[Any]
    stream: bool
    tools: tuple[Function, ...] = ()
    schema: Mapping[str, Any] | None = None
    thinking: bool = False
    max_tokens: int = 4000


@dataclass(frozen=True)
class Tokens:
    """input: all of them, cached ones among them. output: all of them, thoughts among them."""

    input: int
    cached: int
    output: int


@dataclass(frozen=True)
class Answer:
    """
    What came back.

    calls: (name, arguments) in order. stop: "end", "tool_use", "max_tokens" or the SDK's own word.
    native: in the SDK's own form, to go on with. call_ids: of the calls, in order.
    """

    text: str
    thinking: str
    calls: tuple[tuple[str, Any], ...]
    stop: str
    usage: Tokens
    native: Any = field(compare=False, repr=False)
    call_ids: tuple[str, ...] = field(compare=False, default=(), repr=False)


@dataclass(frozen=True)
class Problem:
    """An SDK's exception. kind: its class's name. retry_after: seconds, "" when it says none."""

    kind: str
    status: int
    message: str
    retry_after: str


class Sdk(Protocol):
    wire: ClassVar[str]

    def begin(self, text: str, pictures: Sequence[Picture] = ()) -> list[Any]:
        """A conversation's first message."""

    def go_on(self, messages: Sequence[Any], answer: Answer, text: str) -> list[Any]:
        """The conversation with the answer in it, and what the user says next."""

    def results(
        self,
        messages: Sequence[Any],
        answer: Answer,
        texts: Sequence[str],
        picture: Picture | None = None,
    ) -> list[Any]:
        """The conversation with the answer in it, and its calls' results; a picture in the last."""

    def ask(self, asked: Asked) -> Answer: ...

    def problem(self, error: Exception) -> Problem | None:
        """None when it is none of the SDK's errors that an HTTP answer makes."""

    def models(self) -> list[str]: ...

    def count(self, model: str, text: str) -> int: ...

    def close(self) -> None: ...


def sdks(url: str, key: str) -> dict[str, Sdk]:
    """One of each, towards `url` without a version."""
    made: tuple[Sdk, ...] = (
        AnthropicSdk(url, key),
        ChatSdk(url, key),
        ResponsesSdk(url, key),
        GeminiSdk(url, key),
    )
    return {sdk.wire: sdk for sdk in made}


def encoded(picture: Picture) -> str:
    return base64.b64encode(picture.data).decode()


class AnthropicSdk:
    wire: ClassVar[str] = "anthropic"
    _stops: ClassVar = {"end_turn": "end"}

    def __init__(self, url: str, key: str) -> None:
        self._client = anthropic.Anthropic(
            base_url=url, api_key=key, max_retries=0, timeout=SECONDS
        )

    def begin(self, text: str, pictures: Sequence[Picture] = ()) -> list[Any]:
        images = [self._image(picture) for picture in pictures]
        return [{"role": "user", "content": [*images, {"type": "text", "text": text}]}]

    def _image(self, picture: Picture) -> dict[str, Any]:
        source = {"type": "base64", "media_type": picture.mime, "data": encoded(picture)}
        return {"type": "image", "source": source}

    def go_on(self, messages: Sequence[Any], answer: Answer, text: str) -> list[Any]:
        said = {"role": "assistant", "content": answer.native}
        return [*messages, said, {"role": "user", "content": text}]

    def results(
        self,
        messages: Sequence[Any],
        answer: Answer,
        texts: Sequence[str],
        picture: Picture | None = None,
    ) -> list[Any]:
        blocks: list[dict[str, Any]] = [
            {"type": "tool_result", "tool_use_id": call_id, "content": text}
            for call_id, text in zip(answer.call_ids, texts, strict=True)
        ]
        if picture is not None:
            said = {"type": "text", "text": blocks[-1]["content"]}
            blocks[-1]["content"] = [said, self._image(picture)]
        said = {"role": "assistant", "content": answer.native}
        return [*messages, said, {"role": "user", "content": blocks}]

    def ask(self, asked: Asked) -> Answer:
        options: dict[str, Any] = {
            "model": asked.model,
            "messages": asked.messages,
            "max_tokens": asked.max_tokens,
        }
        if asked.tools:
            options["tools"] = [
                {"name": t.name, "description": t.description, "input_schema": t.schema}
                for t in asked.tools
            ]
        if asked.schema is not None:
            options["output_config"] = {"format": {"type": "json_schema", "schema": asked.schema}}
        if asked.thinking:
            options["thinking"] = {"type": "enabled", "budget_tokens": 1024}
        if asked.stream:
            with self._client.messages.stream(**options) as stream:
                message = stream.get_final_message()
        else:
            message = self._client.messages.create(**options)
        return self._answer(message)

    def _answer(self, message: Any) -> Answer:
        calls = [block for block in message.content if block.type == "tool_use"]
        usage = message.usage
        cached = usage.cache_read_input_tokens or 0
        return Answer(
            "".join(block.text for block in message.content if block.type == "text"),
            "".join(block.thinking for block in message.content if block.type == "thinking"),
            tuple((call.name, call.input) for call in calls),
            self._stops.get(message.stop_reason, message.stop_reason),
            Tokens(
                usage.input_tokens + cached + (usage.cache_creation_input_tokens or 0),
                cached,
                usage.output_tokens,
            ),
            [block.model_dump(exclude_none=True, by_alias=True) for block in message.content],
            tuple(call.id for call in calls),
        )

    def problem(self, error: Exception) -> Problem | None:
        if not isinstance(error, anthropic.APIStatusError):
            return None
        body: Any = error.body
        return Problem(
            type(error).__name__,
            error.status_code,
            body["error"]["message"],
            error.response.headers.get("retry-after", ""),
        )

    def models(self) -> list[str]:
        return [model.id for model in self._client.models.list(limit=3)]

    def count(self, model: str, text: str) -> int:
        return self._client.messages.count_tokens(
            model=model, messages=[{"role": "user", "content": text}]
        ).input_tokens

    def close(self) -> None:
        self._client.close()


class _OpenAISdk:
    def __init__(self, url: str, key: str) -> None:
        self._client = openai.OpenAI(
            base_url=f"{url}/v1", api_key=key, max_retries=0, timeout=SECONDS
        )

    def problem(self, error: Exception) -> Problem | None:
        if not isinstance(error, openai.APIStatusError):
            return None
        body: Any = error.body
        return Problem(
            type(error).__name__,
            error.status_code,
            body["message"],
            error.response.headers.get("retry-after", ""),
        )

    def models(self) -> list[str]:
        return [model.id for model in self._client.models.list()]

    def close(self) -> None:
        self._client.close()


class ChatSdk(_OpenAISdk):
    wire: ClassVar[str] = "chat"
    _stops: ClassVar = {"stop": "end", "tool_calls": "tool_use", "length": "max_tokens"}

    def begin(self, text: str, pictures: Sequence[Picture] = ()) -> list[Any]:
        images = [self._image(picture) for picture in pictures]
        return [{"role": "user", "content": [*images, {"type": "text", "text": text}]}]

    def go_on(self, messages: Sequence[Any], answer: Answer, text: str) -> list[Any]:
        return [*messages, answer.native, {"role": "user", "content": text}]

    def results(
        self,
        messages: Sequence[Any],
        answer: Answer,
        texts: Sequence[str],
        picture: Picture | None = None,
    ) -> list[Any]:
        told = [
            {"role": "tool", "tool_call_id": call_id, "content": text}
            for call_id, text in zip(answer.call_ids, texts, strict=True)
        ]
        # The protocol's results are text: agents show pictures in a message behind them.
        shown = [] if picture is None else [{"role": "user", "content": [self._image(picture)]}]
        return [*messages, answer.native, *told, *shown]

    def _image(self, picture: Picture) -> dict[str, Any]:
        url = f"data:{picture.mime};base64,{encoded(picture)}"
        return {"type": "image_url", "image_url": {"url": url}}

    def ask(self, asked: Asked) -> Answer:
        options: dict[str, Any] = {
            "model": asked.model,
            "messages": asked.messages,
            "max_completion_tokens": asked.max_tokens,
        }
        if asked.tools:
            options["tools"] = [
                {
                    "type": "function",
                    "function": {
                        "name": t.name,
                        "description": t.description,
                        "parameters": t.schema,
                    },
                }
                for t in asked.tools
            ]
        if asked.schema is not None:
            options["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": "wanted", "schema": asked.schema, "strict": True},
            }
        if asked.thinking:
            options["reasoning_effort"] = "high"
        if not asked.stream:
            done = self._client.chat.completions.create(**options)
            choice = done.choices[0]
            message = choice.message.model_dump(exclude_none=True)
            return self._answer(message, choice.finish_reason, done.usage)
        message, finish, usage = _Gathered(), "", None
        chunks = self._client.chat.completions.create(
            **options, stream=True, stream_options={"include_usage": True}
        )
        for chunk in chunks:
            usage = chunk.usage or usage
            for choice in chunk.choices:
                message.add(choice.delta.model_dump(exclude_none=True))
                finish = choice.finish_reason or finish
        return self._answer(message.whole, finish, usage)

    def _answer(self, message: dict[str, Any], finish: str, usage: Any) -> Answer:
        calls = message.get("tool_calls") or []
        cached = usage.prompt_tokens_details.cached_tokens if usage.prompt_tokens_details else 0
        return Answer(
            message.get("content") or "",
            message.get("reasoning_content") or "",
            tuple(
                (call["function"]["name"], json.loads(call["function"]["arguments"]))
                for call in calls
            ),
            self._stops.get(finish, finish),
            Tokens(usage.prompt_tokens, cached or 0, usage.completion_tokens),
            message,
            tuple(call["id"] for call in calls),
        )

    def count(self, model: str, text: str) -> int:
        raise NotImplementedError("the protocol has none")


class _Gathered:
    """A streamed Chat message, put together as agents do it."""

    def __init__(self) -> None:
        self.whole: dict[str, Any] = {"role": "assistant"}

    def add(self, delta: Mapping[str, Any]) -> None:
        for key, value in delta.items():
            if key == "tool_calls":
                for fragment in value:
                    self._call(fragment)
            elif key in ("content", "reasoning_content"):
                self.whole[key] = self.whole.get(key, "") + value
            elif isinstance(value, list):
                self.whole.setdefault(key, []).extend(value)
            else:
                self.whole[key] = value

    def _call(self, fragment: Mapping[str, Any]) -> None:
        calls = self.whole.setdefault("tool_calls", [])
        if fragment["index"] == len(calls):
            calls.append({"type": "function", "function": {"name": "", "arguments": ""}})
        call = calls[fragment["index"]]
        function = fragment.get("function") or {}
        call["function"]["name"] += function.get("name") or ""
        call["function"]["arguments"] += function.get("arguments") or ""
        rest = {k: v for k, v in fragment.items() if k not in ("index", "function")}
        call.update(rest)


class ResponsesSdk(_OpenAISdk):
    wire: ClassVar[str] = "responses"
    _stops: ClassVar = {"max_output_tokens": "max_tokens"}

    def begin(self, text: str, pictures: Sequence[Picture] = ()) -> list[Any]:
        images = [self._image(picture) for picture in pictures]
        return [{"role": "user", "content": [*images, {"type": "input_text", "text": text}]}]

    def go_on(self, messages: Sequence[Any], answer: Answer, text: str) -> list[Any]:
        return [*messages, *answer.native, {"role": "user", "content": text}]

    def results(
        self,
        messages: Sequence[Any],
        answer: Answer,
        texts: Sequence[str],
        picture: Picture | None = None,
    ) -> list[Any]:
        told: list[dict[str, Any]] = [
            {"type": "function_call_output", "call_id": call_id, "output": text}
            for call_id, text in zip(answer.call_ids, texts, strict=True)
        ]
        if picture is not None:
            said = {"type": "input_text", "text": told[-1]["output"]}
            told[-1]["output"] = [said, self._image(picture)]
        return [*messages, *answer.native, *told]

    def _image(self, picture: Picture) -> dict[str, Any]:
        url = f"data:{picture.mime};base64,{encoded(picture)}"
        return {"type": "input_image", "detail": "auto", "image_url": url}

    def ask(self, asked: Asked) -> Answer:
        options: dict[str, Any] = {
            "model": asked.model,
            "input": asked.messages,
            "max_output_tokens": asked.max_tokens,
            "store": False,
        }
        if asked.tools:
            options["tools"] = [
                {
                    "type": "function",
                    "name": t.name,
                    "description": t.description,
                    "parameters": t.schema,
                    "strict": False,
                }
                for t in asked.tools
            ]
        if asked.schema is not None:
            wanted = {"type": "json_schema", "name": "wanted", "schema": asked.schema}
            options["text"] = {"format": {**wanted, "strict": True}}
        if asked.thinking:
            options["reasoning"] = {"effort": "high", "summary": "auto"}
            options["include"] = ["reasoning.encrypted_content"]
        if not asked.stream:
            return self._answer(self._client.responses.create(**options))
        whole = None
        for event in self._client.responses.create(**options, stream=True):
            if event.type in ("response.completed", "response.incomplete", "response.failed"):
                whole = event.response
        assert whole is not None, "no terminal event"
        if whole.status == "failed":
            raise RuntimeError(whole.error.message)
        return self._answer(whole)

    def _answer(self, response: Any) -> Answer:
        calls = [item for item in response.output if item.type == "function_call"]
        thoughts = [item for item in response.output if item.type == "reasoning"]
        usage = response.usage
        reason = response.incomplete_details.reason if response.incomplete_details else ""
        stop = "tool_use" if calls else "end"
        return Answer(
            response.output_text,
            "".join(part.text for item in thoughts for part in item.summary),
            tuple((call.name, json.loads(call.arguments)) for call in calls),
            stop if response.status == "completed" else self._stops.get(reason, reason),
            Tokens(
                usage.input_tokens, usage.input_tokens_details.cached_tokens, usage.output_tokens
            ),
            [item.model_dump(exclude_none=True) for item in response.output],
            tuple(call.call_id for call in calls),
        )

    def count(self, model: str, text: str) -> int:
        return self._client.responses.input_tokens.count(model=model, input=text).input_tokens


class GeminiSdk:
    wire: ClassVar[str] = "gemini"
    _stops: ClassVar = {"STOP": "end", "MAX_TOKENS": "max_tokens"}

    def __init__(self, url: str, key: str) -> None:
        self._client = genai.Client(
            api_key=key,
            http_options={"base_url": url, "timeout": int(SECONDS * 1000)},
        )

    def begin(self, text: str, pictures: Sequence[Picture] = ()) -> list[Any]:
        images = [
            genai.types.Part.from_bytes(data=picture.data, mime_type=picture.mime)
            for picture in pictures
        ]
        return [_user([*images, genai.types.Part(text=text)])]

    def go_on(self, messages: Sequence[Any], answer: Answer, text: str) -> list[Any]:
        return [*messages, answer.native, _user([genai.types.Part(text=text)])]

    def results(
        self,
        messages: Sequence[Any],
        answer: Answer,
        texts: Sequence[str],
        picture: Picture | None = None,
    ) -> list[Any]:
        parts = [
            genai.types.Part(
                function_response=genai.types.FunctionResponse(
                    id=call_id or None, name=name, response={"output": text}
                )
            )
            for call_id, (name, _), text in zip(answer.call_ids, answer.calls, texts, strict=True)
        ]
        if picture is not None:
            blob = genai.types.FunctionResponseBlob(mime_type=picture.mime, data=picture.data)
            part = genai.types.FunctionResponsePart(inline_data=blob)
            assert parts[-1].function_response is not None
            parts[-1].function_response.parts = [part]
        return [*messages, answer.native, _user(parts)]

    def ask(self, asked: Asked) -> Answer:
        options: dict[str, Any] = {"max_output_tokens": asked.max_tokens}
        if asked.tools:
            declared = [
                {
                    "name": t.name,
                    "description": t.description,
                    "parameters_json_schema": t.schema,
                }
                for t in asked.tools
            ]
            options["tools"] = [{"function_declarations": declared}]
            options["automatic_function_calling"] = {"disable": True}
        if asked.schema is not None:
            options["response_mime_type"] = "application/json"
            options["response_json_schema"] = asked.schema
        if asked.thinking:
            options["thinking_config"] = {"include_thoughts": True}
        named: dict[str, Any] = {
            "model": asked.model,
            "contents": asked.messages,
            "config": options,
        }
        if asked.stream:
            return self._answer(list(self._client.models.generate_content_stream(**named)))
        return self._answer([self._client.models.generate_content(**named)])

    def _answer(self, chunks: Sequence[Any]) -> Answer:
        parts: list[Any] = []
        finish = usage = None
        for chunk in chunks:
            for candidate in chunk.candidates or ():
                parts += (candidate.content.parts if candidate.content else None) or ()
                finish = candidate.finish_reason or finish
            usage = chunk.usage_metadata or usage
        calls = [part.function_call for part in parts if part.function_call]
        texts = [part for part in parts if part.text]
        word = finish.name if finish else ""
        assert usage is not None
        return Answer(
            "".join(part.text for part in texts if not part.thought),
            "".join(part.text for part in texts if part.thought),
            tuple((call.name, call.args) for call in calls),
            "tool_use" if calls and word == "STOP" else self._stops.get(word, word),
            Tokens(
                usage.prompt_token_count or 0,
                usage.cached_content_token_count or 0,
                (usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0),
            ),
            genai.types.Content(role="model", parts=parts),
            tuple(call.id or "" for call in calls),
        )

    def problem(self, error: Exception) -> Problem | None:
        if not isinstance(error, genai_errors.APIError):
            return None
        details: Any = error.details
        waits = [
            item["retryDelay"].removesuffix("s")
            for item in details["error"].get("details", ())
            if "retryDelay" in item
        ]
        return Problem(
            type(error).__name__, error.code, error.message or "", waits[0] if waits else ""
        )

    def models(self) -> list[str]:
        named = self._client.models.list(config={"page_size": 3})
        return [(model.name or "").removeprefix("models/") for model in named]

    def count(self, model: str, text: str) -> int:
        counted = self._client.models.count_tokens(model=model, contents=text)
        return counted.total_tokens or 0

    def close(self) -> None:
        self._client.close()


def _user(parts: Sequence[Any]) -> Any:
    return genai.types.Content(role="user", parts=list(parts))
