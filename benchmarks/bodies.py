"""
What clients ask and what the upstream answers: fixed bytes for every kind of call.

A kind is a name that stands in the upstream's path ("/plain/v1/messages") and in the model
("plain-anthropic"), so that neither a proxy nor the upstream has to look into a body to find it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import pairwise
from typing import Any, NamedTuple

PATHS = {"anthropic": "/v1/messages", "chat": "/v1/chat/completions"}
"""By wire: what clients ask for, and the end of what the upstream is asked for."""

DELTAS = 200
AGENT_DELTAS = 100
AGENT_PIECES = 60
PACED_DELTAS = 100
PACE_SECONDS = 0.02

_WORDS = " the proxy answers as it should,"
_CODE = 'def f(x):\n\treturn {"value": x, "text": "caf\\u00e9 \\"quoted\\""}  # naïve\n'


class Answer(NamedTuple):
    """
    content_type: of the answer. pieces: of its body, one event each in a stream.

    pace_seconds: between two pieces, 0 for all at once. is_endless: after the last piece the
    stream stays open.
    """

    content_type: str
    pieces: tuple[bytes, ...]
    pace_seconds: float = 0.0
    is_endless: bool = False


def answers() -> dict[str, Answer]:
    """Every answer, by the path at which the upstream gives it."""
    found = {}
    for wire, path in PATHS.items():
        text = _EVENTS[wire](DELTAS, 0)
        found[f"/plain{path}"] = Answer("application/json", (_WHOLE[wire],))
        found[f"/stream{path}"] = Answer("text/event-stream", text)
        found[f"/agent{path}"] = Answer(
            "text/event-stream", _EVENTS[wire](AGENT_DELTAS, AGENT_PIECES)
        )
        paced = _EVENTS[wire](PACED_DELTAS, 0)
        found[f"/paced{path}"] = Answer("text/event-stream", paced, PACE_SECONDS)
        # What stands before the first delta comes with it, as vendors send it.
        first = b"".join(paced[:3])
        found[f"/first{path}"] = Answer(
            "text/event-stream", (first, *paced[3:5], b"".join(paced[-4:])), 0.005
        )
        found[f"/held{path}"] = Answer("text/event-stream", (first,), 0.0, is_endless=True)
    return found


def request(kind: str, client: str, upstream: str) -> bytes:
    """A request of this kind in the client's wire, for a model of the upstream's."""
    model = f"{kind.partition('-')[0]}-{upstream}"
    match kind:
        case "agent":
            return _dumped(_AGENT[client](model))
        case "plain-1m":
            return _dumped(_large(model, 1024 * 1024))
        case "plain-8m":
            return _dumped(_large(model, 8 * 1024 * 1024))
        case _:
            asked = {
                "model": model,
                "max_tokens": 1024,
                "messages": [{"role": "user", "content": "How does a proxy work? " * 8}],
                "temperature": 0.5,
                "stream": kind != "plain",
            }
            if client == "chat" and kind != "plain":
                asked["stream_options"] = {"include_usage": True}
            return _dumped(asked)


def _large(model: str, size_bytes: int) -> dict[str, Any]:
    """A conversation in turns of 32 KiB: source code, with all that JSON must escape."""
    turn = _CODE * (32768 // len(json.dumps(_CODE)))
    turns = size_bytes // len(json.dumps(turn)) // 2 * 2 + 1
    roles = ("user", "assistant")
    return {
        "model": model,
        "max_tokens": 1024,
        "messages": [{"role": roles[n % 2], "content": turn} for n in range(turns)],
    }


def _dumped(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def _schema(number: int) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            "path": {"type": "string", "description": f"File {number}: absolute, must exist."},
            "limit": {"type": "integer", "minimum": 1, "description": "At most so many lines."},
            "mode": {"type": "string", "enum": ["read", "write", "append"]},
            "options": {
                "type": "object",
                "properties": {"follow": {"type": "boolean"}, "depth": {"type": "integer"}},
                "additionalProperties": False,
            },
        },
        "required": ["path"],
    }


_TOOLS = 16
_TURNS = 12
_RESULT = _CODE * 44
_DESCRIPTION = "Reads a file from the local disk and gives its lines with numbers. " * 6
_SYSTEM = "You are a careful programmer. " * 200


def _agent_anthropic(model: str) -> dict[str, Any]:
    messages: list[dict[str, Any]] = [{"role": "user", "content": "Find the bug and mend it."}]
    for n in range(_TURNS):
        use = {"type": "tool_use", "id": f"toolu_{n:04}", "name": f"tool_{n}"}
        said = {"type": "text", "text": f"Step {n}: I look at the next file."}
        result = {"type": "tool_result", "tool_use_id": f"toolu_{n:04}", "content": _RESULT}
        messages.append({"role": "assistant", "content": [said, {**use, "input": {"path": "/a"}}]})
        messages.append({"role": "user", "content": [result]})
    return {
        "model": model,
        "max_tokens": 4096,
        "stream": True,
        "system": [{"type": "text", "text": _SYSTEM, "cache_control": {"type": "ephemeral"}}],
        "messages": messages,
        "tools": [
            {"name": f"tool_{n}", "description": _DESCRIPTION, "input_schema": _schema(n)}
            for n in range(_TOOLS)
        ],
    }


def _agent_chat(model: str) -> dict[str, Any]:
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": _SYSTEM},
        {"role": "user", "content": "Find the bug and mend it."},
    ]
    for n in range(_TURNS):
        call = {"name": f"tool_{n}", "arguments": '{"path": "/a"}'}
        use = {"id": f"call_{n:04}", "type": "function", "function": call}
        said = f"Step {n}: I look at the next file."
        messages.append({"role": "assistant", "content": said, "tool_calls": [use]})
        messages.append({"role": "tool", "tool_call_id": f"call_{n:04}", "content": _RESULT})
    functions = [
        {"name": f"tool_{n}", "description": _DESCRIPTION, "parameters": _schema(n)}
        for n in range(_TOOLS)
    ]
    return {
        "model": model,
        "stream": True,
        "stream_options": {"include_usage": True},
        "messages": messages,
        "tools": [{"type": "function", "function": function} for function in functions],
    }


_AGENT = {"anthropic": _agent_anthropic, "chat": _agent_chat}


_WHOLE = {
    "anthropic": _dumped(
        {
            "id": "msg_01",
            "type": "message",
            "role": "assistant",
            "model": "upstream-model",
            "content": [{"type": "text", "text": _WORDS * 20}],
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": {"input_tokens": 64, "output_tokens": 120},
        }
    ),
    "chat": _dumped(
        {
            "id": "chatcmpl-01",
            "object": "chat.completion",
            "created": 1700000000,
            "model": "upstream-model",
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": _WORDS * 20, "refusal": None},
                    "logprobs": None,
                    "finish_reason": "stop",
                }
            ],
            "usage": {"prompt_tokens": 64, "completion_tokens": 120, "total_tokens": 184},
            "system_fingerprint": "fp_01",
        }
    ),
}


def _pieces(count: int) -> Iterable[str]:
    """A tool call's arguments in so many pieces."""
    text = json.dumps({"path": "/src/main.py", "text": _CODE * 5})
    cuts = [len(text) * number // count for number in range(count + 1)]
    return (text[start:end] for start, end in pairwise(cuts))


def _anthropic_events(deltas: int, pieces: int) -> tuple[bytes, ...]:
    usage = {"input_tokens": 64, "output_tokens": 1}
    message: dict[str, Any] = {"id": "msg_01", "type": "message", "role": "assistant"}
    message |= {"model": "upstream-model"}
    message |= {"content": [], "stop_reason": None, "stop_sequence": None, "usage": usage}
    block: dict[str, Any] = {"type": "text", "text": ""}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": block},
    ]
    delta = {"type": "text_delta", "text": _WORDS}
    events += [{"type": "content_block_delta", "index": 0, "delta": delta}] * deltas
    events.append({"type": "content_block_stop", "index": 0})
    if pieces:
        block = {"type": "tool_use", "id": "toolu_99", "name": "tool_1", "input": {}}
        events.append({"type": "content_block_start", "index": 1, "content_block": block})
        for piece in _pieces(pieces):
            delta = {"type": "input_json_delta", "partial_json": piece}
            events.append({"type": "content_block_delta", "index": 1, "delta": delta})
        events.append({"type": "content_block_stop", "index": 1})
    stop = {"stop_reason": "tool_use" if pieces else "end_turn", "stop_sequence": None}
    events.append({"type": "message_delta", "delta": stop, "usage": {"output_tokens": 230}})
    events.append({"type": "message_stop"})
    return tuple(
        b"event: %b\ndata: %b\n\n" % (event["type"].encode(), _dumped(event)) for event in events
    )


def _chat_events(deltas: int, pieces: int) -> tuple[bytes, ...]:
    def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return _chunk([choice], None)

    chunks = [chunk({"role": "assistant", "content": "", "refusal": None})]
    chunks += [chunk({"content": _WORDS})] * deltas
    if pieces:
        function = {"name": "tool_1", "arguments": ""}
        call = {"index": 0, "id": "call_99", "type": "function", "function": function}
        chunks.append(chunk({"tool_calls": [call]}))
        for piece in _pieces(pieces):
            call = {"index": 0, "function": {"arguments": piece}}
            chunks.append(chunk({"tool_calls": [call]}))
    chunks.append(chunk({}, "tool_calls" if pieces else "stop"))
    usage = {"prompt_tokens": 64, "completion_tokens": 230, "total_tokens": 294}
    return (*chunks, _chunk([], usage), b"data: [DONE]\n\n")


def _chunk(choices: list[Any], usage: dict[str, int] | None) -> bytes:
    head = {"id": "chatcmpl-01", "object": "chat.completion.chunk", "created": 1700000000}
    head |= {"model": "upstream-model", "service_tier": "default", "system_fingerprint": "fp_01"}
    return b"data: %b\n\n" % _dumped({**head, "choices": choices, "usage": usage})


_EVENTS = {"anthropic": _anthropic_events, "chat": _chat_events}
