"""
The grammar of each dialect's stream, as state machines that read what a client gets.

They share no code with the codecs: bytes are split as the standard says, and every event is
checked against what may come next. `check(wire, data)` raises `Ungrammatical`, with the place and
the reason.

anthropic   message_start { content_block_start delta* content_block_stop }* message_delta
            message_stop; ping anywhere behind the first
chat        per choice { role chunk, deltas*, finish chunk } (choices may come in turns, the first
            one begins), [usage chunk], [DONE]
responses   created, in_progress, per item { added, its parts and deltas, done } (items may be open
            together), completed | incomplete | failed; sequence numbers from 0
gemini      per candidate chunk* with parts, the last one with finishReason (candidates may come in
            turns); the last chunk of all is the first candidate's, with usageMetadata

A stream may end in the dialect's error event instead, and then nothing follows it. Gemini's may
also be the elements of a JSON array.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tests.wire.grammar import Machine, Ungrammatical, must
from tests.wire.grammar_responses import ResponsesMachine

__all__ = ["Ungrammatical", "check"]

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def check(wire: str, data: bytes) -> None:
    """Raises: Ungrammatical."""
    if data.startswith(b"["):
        events = [("", value) for value in json.loads(data)]
        machine: Machine = _GeminiArray()
    else:
        events = list(_events(data))
        machine = _MACHINES[wire]()
    for at, (name, value) in enumerate(events):
        try:
            must(not machine.ended, "something follows the end")
            machine.read(name, value)
        except (Ungrammatical, KeyError, TypeError, ValueError, IndexError) as error:
            shown = json.dumps(value)[:300]
            raise Ungrammatical(f"event {at}: {error!r} in {name} {shown}") from None
    must(machine.ended, "the end is missing")


def _events(data: bytes) -> Iterator[tuple[str, Any]]:
    """(event name, parsed data) of each; "[DONE]" as it is. Comments are not events."""
    text = data.decode()
    must(text.endswith("\n\n"), "the last event is not ended")
    for event in text[:-2].split("\n\n"):
        lines = event.split("\n")
        if lines[0].startswith(":"):
            continue
        name = ""
        if lines[0].startswith("event: "):
            name = lines.pop(0)[len("event: ") :]
        must(len(lines) == 1 and lines[0].startswith("data: "), f"no single data line: {lines}")
        body = lines[0][len("data: ") :]
        yield name, body if body == "[DONE]" else json.loads(body)


# ── Anthropic ──


class _Anthropic(Machine):
    _DELTAS: Mapping[str, Mapping[str, str]] = {
        "text": {"text_delta": "text", "citations_delta": "citation"},
        "thinking": {"thinking_delta": "thinking", "signature_delta": "signature"},
        "tool_use": {"input_json_delta": "partial_json"},
        "redacted_thinking": {},
    }

    def __init__(self) -> None:
        self._started = False
        self._block: Any = None
        self._said = ""
        self._signed = False
        self._count = 0
        self._calls = 0
        self._open_arguments = False
        self._usage: Any = None
        self._has_end = False

    def read(self, name: str, value: Any) -> None:
        kind = value["type"]
        must(name == kind, "event name and type differ")
        if kind == "error":
            must(value["error"]["type"] and value["error"]["message"], "an empty error")
            self.ended = True
            return
        must(self._started or kind == "message_start", "message_start is not the first")
        if kind != "ping":
            getattr(self, f"_{kind}")(value)

    def _message_start(self, value: Any) -> None:
        must(not self._started, "a second start")
        message = value["message"]
        must(message["type"] == "message" and message["role"] == "assistant", "no message")
        must(message["content"] == [] and message["stop_reason"] is None, "not empty")
        must(message["id"].startswith("msg_") and message["model"], "id or model")
        self._usage = self._counts(message["usage"])
        self._started = True

    def _content_block_start(self, value: Any) -> None:
        must(self._block is None and not self._has_end, "a block inside another, or too late")
        must(value["index"] == self._count, "a gap in the indexes")
        self._block, self._said, self._signed = value["content_block"], "", False
        match self._block["type"]:
            case "text":
                must(self._block["text"] == "", "text in the start")
            case "thinking":
                must(self._block["thinking"] == self._block["signature"] == "", "not empty")
            case "tool_use":
                must(self._block["input"] == {} and self._block["name"], "input or name")
                must(_ID.fullmatch(self._block["id"]), "an id that the API refuses")
                self._calls += 1
            case "redacted_thinking":
                must(self._block["data"], "no data")
            case kind:
                raise Ungrammatical(f"a block {kind} that only the vendor has")

    def _content_block_delta(self, value: Any) -> None:
        must(self._block is not None and value["index"] == self._count, "outside its block")
        delta = value["delta"]
        field = self._DELTAS[self._block["type"]][delta["type"]]
        must(not self._signed, "something behind the signature")
        must(delta[field], "an empty delta")
        if field == "signature":
            self._signed = True
        elif field != "citation":
            self._said += delta[field]

    def _content_block_stop(self, value: Any) -> None:
        must(self._block is not None and value["index"] == self._count, "stops no open block")
        match self._block["type"]:
            case "text":
                must(self._said, "an empty text, which clients send back and the API refuses")
            case "thinking":
                must(self._signed, "a thought without a signature")
            case "tool_use":
                self._open_arguments = not _is_object(self._said or "{}")
        self._block = None
        self._count += 1

    def _message_delta(self, value: Any) -> None:
        must(self._block is None and not self._has_end, "inside a block, or twice")
        self._has_end = True
        stop = value["delta"]["stop_reason"]
        must(stop in ("end_turn", "tool_use", "max_tokens", "stop_sequence", "refusal",
                       "pause_turn", "model_context_window_exceeded"), "stop reason")  # fmt: skip
        must(stop != "tool_use" or self._calls, "a tool is to be used, but there is no call")
        must(stop != "end_turn" or not self._calls, "calls, but a plain end")
        must(not self._open_arguments or stop != "tool_use", "a call's input is no object")
        usage = self._counts(value["usage"])
        # Counts of the input may be corrected: Google's first ones are estimates.
        must(usage["output_tokens"] >= self._usage["output_tokens"], "not cumulative")

    def _message_stop(self, _: Any) -> None:
        must(self._has_end, "no message_delta")
        self.ended = True

    def _counts(self, usage: Any) -> dict[str, int]:
        names = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens",
                 "output_tokens")  # fmt: skip
        counts = {name: usage[name] for name in names}
        must(all(isinstance(n, int) and n >= 0 for n in counts.values()), "counts")
        return counts


# ── Chat ──


class _Chat(Machine):
    def __init__(self) -> None:
        self._shared: Any = None
        self._choices: dict[int, _Choice] = {}
        self._usage: Any = None

    def read(self, name: str, value: Any) -> None:
        must(name == "", "an event has a name")
        if value == "[DONE]":
            must(self._is_finished(), "[DONE] without a finish reason")
            self.ended = True
            return
        if "error" in value:
            must(value["error"]["message"], "an empty error")
            self.ended = True
            return
        shared = tuple(value[field] for field in ("id", "object", "created", "model"))
        first = self._shared is None
        must(first or shared == self._shared, "id, created or model change")
        must(shared[0] and shared[1] == "chat.completion.chunk" and shared[3], "head")
        self._shared = shared
        if value["choices"]:
            must(value.get("usage") is None, "usage beside a choice")
            must(self._usage is None, "a choice behind the usage")
            (choice,) = value["choices"]
            must(choice["index"] >= 0 and first == (not self._choices), "a choice's number")
            must(not first or choice["index"] == 0, "another choice is the first")
            self._choices.setdefault(choice["index"], _Choice()).read(choice)
        else:
            self._counts(value["usage"])

    def _is_finished(self) -> bool:
        return bool(self._choices) and all(one.finish for one in self._choices.values())

    def _counts(self, usage: Any) -> None:
        must(self._is_finished() and self._usage is None, "usage too early, or twice")
        self._usage = usage
        must(usage["prompt_tokens"] + usage["completion_tokens"] == usage["total_tokens"], "total")
        details = usage["prompt_tokens_details"]
        must(
            details["cached_tokens"] + details["cache_write_tokens"] <= usage["prompt_tokens"],
            "more was cached than there is",
        )
        reasoning = usage["completion_tokens_details"]["reasoning_tokens"]
        must(reasoning <= usage["completion_tokens"], "more reasoning than output")


class _Choice:
    """One of Chat's answers."""

    def __init__(self) -> None:
        self.finish: str | None = None
        self._begun = False
        self._calls: list[str] = []

    def read(self, choice: Any) -> None:
        must(self.finish is None, "too late")
        first, self._begun = not self._begun, True
        delta = choice["delta"]
        must(("role" in delta) == first, "the role is told first and once")
        if first:
            must(delta == {"role": "assistant", "content": ""}, "the first chunk")
        self.finish = choice["finish_reason"]
        if self.finish is not None:
            must(delta == {}, "the finish chunk says something")
            must(self.finish in ("stop", "length", "tool_calls", "content_filter"), "finish")
            must((self.finish == "tool_calls") <= bool(self._calls), "no call to wait for")
            must(self.finish != "stop" or not self._calls, "calls, but a plain end")
            return
        must(first or delta or choice.get("logprobs"), "a chunk says nothing")
        for field in ("content", "reasoning_content", "refusal"):
            must(first or delta.get(field) != "", f"an empty {field}")
        for call in delta.get("tool_calls", ()):
            self._call(call)

    def _call(self, call: Any) -> None:
        if call["index"] == len(self._calls):
            must(call["id"] and call["type"] in ("function", "custom"), "the start of a call")
            must(call[call["type"]]["name"], "a call without a name")
            self._calls.append(call["type"])
        else:
            must(0 <= call["index"] < len(self._calls), "a gap in the indexes")
            must("id" not in call and "type" not in call, "a call begins twice")
        kind = self._calls[call["index"]]
        field = {"function": "arguments", "custom": "input"}[kind]
        must(isinstance(call[kind][field], str), "arguments are text")


# ── Gemini ──


class _Gemini(Machine):
    def __init__(self) -> None:
        self._identity: Any = None
        self._finished: dict[int, bool] = {}

    def read(self, name: str, value: Any) -> None:
        must(name == "", "an event has a name")
        must(isinstance(value, dict), "a chunk is an object")
        if "error" in value:
            must(value["error"]["code"] and value["error"]["status"], "an empty error")
            self.ended = True
            return
        identity = (value["modelVersion"], value["responseId"], value.get("createTime"))
        must(self._identity in (None, identity) and all(identity[:2]), "id or model change")
        self._identity = identity
        (candidate,) = value["candidates"]
        number, last = candidate["index"], "finishReason" in candidate
        must(number >= 0 and candidate["content"]["role"] == "model", "candidate")
        must(not self._finished.get(number), "a candidate goes on behind its end")
        self._finished[number] = last
        self.ended = last and number == 0
        must(self.ended or "usageMetadata" not in value, "usage before the end")
        must(last or "groundingMetadata" not in candidate, "sources before the end")
        parts = candidate["content"]["parts"]
        must(parts, "no parts")
        for part in parts:
            self._part(part, last)
        if self.ended:
            must(all(self._finished.values()), "a candidate has no end")
            usage = value.get("usageMetadata")
            if usage is not None:
                self._counts(usage)

    def _part(self, part: Any, last: bool) -> None:
        signature = part.get("thoughtSignature")
        if signature is not None:
            try:
                base64.b64decode(signature, validate=True)
            except binascii.Error:
                raise Ungrammatical("a signature that the SDKs refuse") from None
        if "functionCall" in part:
            call = part["functionCall"]
            must(call["name"] and call["id"] and isinstance(call["args"], dict), "a call")
        elif "text" in part:
            must(part["text"] or signature or last, "an empty text")
        else:
            must("inlineData" in part or "fileData" in part, "a part that only the vendor has")

    def _counts(self, usage: Any) -> None:
        reasoning = usage.get("thoughtsTokenCount", 0)
        total = usage["promptTokenCount"] + usage["candidatesTokenCount"] + reasoning
        must(total == usage["totalTokenCount"], "total")
        cached = usage.get("cachedContentTokenCount", 0)
        must(cached <= usage["promptTokenCount"], "more was cached than there is")


class _GeminiArray(_Gemini):
    """The same as one JSON array, whose first element may only say whose answer it is."""

    def read(self, name: str, value: Any) -> None:
        if self._identity is None and value.keys() <= {"modelVersion", "responseId", "createTime"}:
            self._identity = (value["modelVersion"], value["responseId"], value.get("createTime"))
        else:
            super().read(name, value)


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


_MACHINES: Mapping[str, Callable[[], Machine]] = {
    "anthropic": _Anthropic,
    "chat": _Chat,
    "responses": ResponsesMachine,
    "gemini": _Gemini,
}
