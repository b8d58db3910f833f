"""
Every field that recorded answers hold is read, kept to be reported as lost, or listed here.

How it is found out: a field's value is changed, in a few of the recordings that have it. If the
hub's value of the answer stays the same each time, nobody looks at that field.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from aiproxy import ir
from aiproxy.errors import UpstreamProtocolError
from aiproxy.framing import sse
from tests import corpus
from tests.wire import exchanges
from tests.wire.exchanges import WIRES

MOST_RECORDINGS = 4
"""Of one field, which are looked at before it is called ignored."""

_ECHOED = (
    "background",
    "frequency_penalty",
    "instructions",
    "max_output_tokens",
    "metadata",
    "parallel_tool_calls",
    "presence_penalty",
    "previous",
    "prompt_cache",
    "reasoning.",
    "service_tier",
    "store",
    "temperature",
    "text.",
    "tool_choice",
    "tools.",
    "top_",
    "truncation",
)
_COUNTS = "how counts divide, who served, what it cost: the vendor's books"
_SERVED = "how the vendor served it"
_ECHO = "what the client asked, repeated"
_KIND = "what kind of thing it is follows from its place"
_AGAIN = "said before"
_PROGRESS = "how far an item has come, which its end says again"
_NO_URL = "of a source that only the vendor can open: reported as `citations`"

IGNORED: Mapping[str, Mapping[str, str]] = {
    "anthropic": {
        "*usage.cache_creation.*": _COUNTS,
        "*usage.iterations.*": _COUNTS,
        "*usage.server_tool_use.*": _COUNTS,
        "*usage.inference_geo": _COUNTS,
        "*usage.service_tier": _COUNTS,
        "*usage.prompt_tokens_details.*": _COUNTS,
        "message_start:message.usage.*_tokens": "message_delta counts up from there",
        "*role": _KIND,
        "message_start:message.type": _KIND,
        "message_stop:type": "the end of the connection ends it, too, once there is a stop reason",
        "ping:type": "an event of no meaning",
        "content_block_delta:delta.type": _KIND,
        "*citation.encrypted_index": "the vendor's handle of what `url` names",
        "*citation.document_*": _NO_URL,
        "*citation.*_char_index": _NO_URL,
        "*citation.type": _KIND,
    },
    "chat": {
        "usage.*": _COUNTS,
        "x_groq.*": "the same, and how it was served",
        "object": _KIND,
        "*.type": _KIND,
        "*.role": _KIND,
        "*.name": "of the assistant, or of the file of an annotation",
        "choices.message.annotations.file.*": _NO_URL,
        "choices.*.content.closed": _PROGRESS,
        "choices.*.tool_calls.index": "calls also tell their ids",
        "choices.delta.channel": "Groq's: thoughts stand in `reasoning`, too",
        "choices.delta.token_id": _SERVED,
        "choices.delta.reasoning_details.provider": _SERVED,
        "choices.message.extra_content.google.thought": "that there are thoughts",
        "choices.message.thought_signature": "the same as in extra_content",
        "choices.native_finish_reason": "the same as finish_reason, in another vendor's words",
        "choices.stop_reason": "vLLM's: the number of a token",
        "choices.seed": _SERVED,
        "choices.text": "the same as the message's, for older clients",
        "latency_checkpoint.*": _SERVED,
        "metadata.*": _SERVED,
        "obfuscation": "noise against listeners",
        "p": "the same",
        "provider": _SERVED,
        "request_id": _SERVED,
        "service_tier": _SERVED,
        "sla_metrics.*": _SERVED,
        "system_fingerprint": _SERVED,
        "time_info.*": _SERVED,
    },
    "responses": {
        **{f"{name}*": _ECHO for name in _ECHOED},
        **{f"response.*:response.{name}*": _ECHO for name in _ECHOED if name != "previous"},
        "*usage.*": _COUNTS,
        "billing.payer": _SERVED,
        "*completed_at": _SERVED,
        "*object": _KIND,
        "output_text": "the same as the items' texts",
        "*:type": _KIND,
        "*.type": _KIND,
        "*role": _KIND,
        "*:sequence_number": "events come in order",
        "*:*_index": "of what is open; what is not is passed over",
        "*:item_id": "items also tell their place",
        "*:obfuscation": "noise against listeners",
        "*annotations.index": _NO_URL,
        "*annotations.file*": _NO_URL,
        "*annotation.index": _NO_URL,
        "*annotation.file*": _NO_URL,
        "response.created:response.*": _PROGRESS,
        "response.in_progress:response.*": _PROGRESS,
        "response.queued:response.*": _PROGRESS,
        "response.output_item.added:item.*": _PROGRESS,
        "response.output_item.done:item.*": _AGAIN,
        "response.content_part.done:part.*": _AGAIN,
        "response.reasoning_summary_part.done:part.*": _AGAIN,
        "response.output_text.done:logprobs.*": _AGAIN,
        "response.function_call_arguments.done:name": _AGAIN,
        "response.completed:response.output.*": _AGAIN,
        "response.incomplete:response.output.*": _AGAIN,
        "response.*:response.created_at": _AGAIN,
        "response.*:response.id": _AGAIN,
        "response.*:response.model": _AGAIN,
        "response.*:response.status": "the event says it",
        "response.image_generation_call.partial_image:*": _PROGRESS,
        "response.apply_patch_call_operation_diff.*": _PROGRESS,
        "response.code_interpreter_call_code.*": _PROGRESS,
        "response.mcp_call_arguments.*": _PROGRESS,
        "response.shell_call_*": _PROGRESS,
    },
    "gemini": {
        "usageMetadata.*": _COUNTS,
        "candidates.content.role": _KIND,
        "createTime": "seconds are enough",
        "turnToken": _SERVED,
        "candidates.finishMessage": "what finishReason says, in words",
        "candidates.avgLogprobs": "a mean that nobody asked for",
        "candidates.score": "the same",
        "candidates.logprobsResult.*.tokenID": "the token's text says it",
        "candidates.groundingMetadata.groundingChunks.retrievedContext.*": _NO_URL,
        "candidates.groundingMetadata.groundingSupports.segment.text": "its place in the text",
        "promptFeedback.blockReason": "that there is one makes the prompt blocked",
    },
}
"""By wire: a pattern of fields, and why a client of another dialect needs to be told of none."""


class FieldTests(SynchronousTestCase):
    """Fields are named by their path, list positions left out; in streams behind the event."""

    def test_nothing_is_dropped_silently(self) -> None:
        """A field that nobody reads is in the list, and the list has no other."""
        complaints: list[str] = []
        for wire in WIRES:
            listed = IGNORED.get(wire, {})
            unread = ignored(wire)
            complaints += (
                f"{wire}: nobody reads {place}"
                for place in sorted(unread)
                if not any(fnmatchcase(place, pattern) for pattern in listed)
            )
            complaints += (
                f"{wire}: nothing is ignored by {pattern}"
                for pattern in listed
                if not any(fnmatchcase(place, pattern) for place in unread)
            )
        self.assertEqual(complaints, [], "\n" + "\n".join(complaints))


def ignored(wire: str) -> set[str]:
    """The fields of a wire's answers whose values make no difference."""
    tried: dict[str, int] = {}
    read: set[str] = set()
    for kind in ("unary", "stream"):
        for case in exchanges.answers(wire, kind):
            bodies = list(bodies_of(case))
            told = understood(wire, kind, bodies)
            if not isinstance(told, ir.Response):
                continue
            for place in dict.fromkeys(p for body in bodies for p in places(body)):
                if place in read or tried.get(place, 0) >= MOST_RECORDINGS:
                    continue
                tried[place] = tried.get(place, 0) + 1
                changed = [with_change(body, place) for body in bodies]
                if plain(understood(wire, kind, changed)) != plain(told):
                    read.add(place)
    return tried.keys() - read


def bodies_of(case: corpus.Case) -> Iterator[Any]:
    """The JSON of a whole answer, or of each message of a stream."""
    texts = [case.response or b""]
    if case.kind == "stream":
        texts = [message.data for message in exchanges.messages_of(case)]
    for text in texts:
        try:
            yield json.loads(text)
        except ValueError:
            yield text.decode("utf-8", "replace")


def understood(wire: str, kind: str, bodies: list[Any]) -> ir.Reply | None:
    """What the wire's decoder makes of them, None when it refuses them."""
    texts = [body if isinstance(body, str) else json.dumps(body) for body in bodies]
    try:
        if kind == "unary":
            return WIRES[wire].decode_reply(200, texts[0].encode())
        decoder = WIRES[wire].StreamDecoder()
        messages = (sse.Message("", text.encode(), b"") for text in texts)
        events = [event for message in messages for event in decoder.feed(message)]
        return ir.fold([*events, *decoder.close()])
    except UpstreamProtocolError:
        return None


def plain(reply: ir.Reply | None) -> Any:
    """For comparing: JSON that travels unread as its bytes."""
    if not isinstance(reply, ir.Response):
        return reply
    parts = tuple(
        (part.kind, part.fallback, bytes(part.raw)) if isinstance(part, ir.Opaque) else _bare(part)
        for part in reply.parts
    )
    return ir.replace(reply, parts=(), extras=None), parts, _fields(reply.extras)


def _bare(part: ir.Part) -> Any:
    if isinstance(part, ir.Text | ir.Reasoning | ir.ToolCall | ir.Media):
        return ir.replace(part, extras=None), _fields(part.extras)
    return part


def _fields(extras: ir.Extras | None) -> list[tuple[str, bytes]]:
    return [] if extras is None else [(name, bytes(value)) for name, value in extras.fields]


def places(body: Any) -> Iterator[str]:
    """The paths of all texts, numbers and truths in a parsed body."""
    for path in _paths(body, ()) if isinstance(body, dict | list) else ():
        yield f"{_event(body)}{'.'.join(path)}"


def _event(body: Any) -> str:
    """A stream's event, for those dialects whose events say what they are."""
    kind = body.get("type") if isinstance(body, dict) else None
    return f"{kind}:" if isinstance(kind, str) and kind != "message" else ""


def _paths(value: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    match value:
        case dict():
            for name, inner in value.items():
                yield from _paths(inner, (*path, name))
        case list():
            for inner in value:
                yield from _paths(inner, path)
        case None | "" | False:
            pass
        case _:
            yield path


def with_change(body: Any, place: str) -> Any:
    """`body` with another value wherever `place` leads."""
    event = _event(body)
    if not place.startswith(event) or (not event and ":" in place.partition(".")[0]):
        return body
    return _changed(body, tuple(place[len(event) :].split(".")))


def _changed(value: Any, path: tuple[str, ...]) -> Any:
    if isinstance(value, list):
        return [_changed(inner, path) for inner in value]
    if isinstance(value, dict):
        if not path:
            return value
        return {
            name: _changed(inner, path[1:]) if name == path[0] else inner
            for name, inner in value.items()
        }
    if path:
        return value
    match value:
        case bool():
            return not value
        case int() | float():
            return value + 1
        case str():
            return value + "~"
    return value
