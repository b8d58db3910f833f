"""
An upstream's answer, in chunks or whole, as events.

Every message is a GenerateContentResponse with a further piece of the answer. Older models name a
finish reason in every chunk, so only the end of the stream is the end of the answer; usage counts
up, so the last one holds.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timezone

from aiproxy.errors import ErrorReply, UpstreamProtocolError
from aiproxy.framing import sse
from aiproxy.ir import (
    BlockEvent,
    Broken,
    Event,
    Finished,
    Started,
    StopReason,
    Usage,
    settled_stop,
)
from aiproxy.redaction import redact
from aiproxy.wire.answers import numbered, of_other
from aiproxy.wire.gemini import shapes
from aiproxy.wire.gemini.contents_in import NAME
from aiproxy.wire.gemini.errors import error_in_band
from aiproxy.wire.gemini.parts_in import PartsReader
from aiproxy.wire.gemini.rest import note_rest
from aiproxy.wire.jsontext import given, raw, try_read
from aiproxy.wire.leftovers import Leftovers

_MAX_JUNK = 3
"""Messages in a row that are no JSON at all, before the stream is given up."""

_NUMBERED = (
    "",
    "STOP",
    "MAX_TOKENS",
    "SAFETY",
    "RECITATION",
    "OTHER",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
    "MALFORMED_FUNCTION_CALL",
)
"""Finish reasons by the number that some Vertex AI endpoints send."""

_STOPS: dict[str, StopReason] = {
    "STOP": "end",
    "MAX_TOKENS": "max_tokens",
    "SAFETY": "filtered",
    "RECITATION": "filtered",
    "LANGUAGE": "filtered",
    "BLOCKLIST": "filtered",
    "PROHIBITED_CONTENT": "filtered",
    "SPII": "filtered",
    "IMAGE_SAFETY": "filtered",
    "IMAGE_PROHIBITED_CONTENT": "filtered",
    "IMAGE_RECITATION": "filtered",
    "IMAGE_OTHER": "filtered",
    "NO_IMAGE": "filtered",
    "MODEL_ARMOR": "filtered",
    "ESCALATION": "filtered",
    "PUP_LIMITED_DISABLED": "filtered",
    "CONTINUATION": "pause",
}
_FAULTS = frozenset(
    (
        "MALFORMED_FUNCTION_CALL",
        "UNEXPECTED_TOOL_CALL",
        "TOO_MANY_TOOL_CALLS",
        "MISSING_THOUGHT_SIGNATURE",
        "MALFORMED_RESPONSE",
    )
)
"""Finish reasons that mean the model failed: the answer is worth nothing."""

_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?=[.Z])")


class _Answer:
    """One candidate. finish: the last reason it named."""

    def __init__(self) -> None:
        self.parts = PartsReader()
        self.finish = ""

    def close(self) -> tuple[list[BlockEvent], StopReason]:
        """What is left of it, and why it is over: without a reason the prompt was refused."""
        self.parts.close()
        stop = _STOPS.get(self.finish, "other") if self.finish else "filtered"
        return self.parts.take(), settled_stop(stop, self.parts.has_calls)


class StreamDecoder:
    """See `contract.StreamDecoder`."""

    def __init__(self) -> None:
        self._first = _Answer()
        self._others: dict[int, _Answer] = {}
        self._started = False
        self._ended = False
        self._junk = 0
        self._blocked = False
        self._usage: Usage | None = None
        self._response_id = ""
        self._leftovers = Leftovers(NAME)

    def feed(self, message: sse.Message) -> Sequence[Event]:
        if self._ended:
            return ()
        chunk = try_read(message.data, shapes.Chunk)
        if chunk is not None:
            self._junk = 0
            if not self._started or _is_notable(chunk):
                note_rest(self._leftovers, message.data)
            return self._chunk(chunk)
        chunks = try_read(message.data, list[shapes.Chunk])
        if chunks is not None:
            self._junk = 0
            note_rest(self._leftovers, message.data)
            return [event for one in chunks for event in self._chunk(one)]
        if message.data.strip() != b"[DONE]":
            self._refuse(message.data)
        return ()

    def close(self) -> Sequence[Event]:
        if self._ended:
            return ()
        self._ended = True
        answers = (self._first, *self._others.values())
        if not self._started or not (self._blocked or all(answer.finish for answer in answers)):
            raise UpstreamProtocolError("the upstream's answer ends without a finish reason")
        rest, stop = self._first.close()
        events: list[Event] = [*rest]
        for number, answer in self._others.items():
            rest, its_stop = answer.close()
            events += of_other(number, (*rest, Finished(its_stop)))
        for answer in answers:
            for name, value in answer.parts.unplaced():
                self._leftovers.add(name, value)
        events.append(Finished(stop, "", self._usage, self._leftovers.extras()))
        return events

    def _refuse(self, data: bytes) -> None:
        self._junk += 1
        if try_read(data, object) is not None or self._junk >= _MAX_JUNK:
            raise UpstreamProtocolError("the upstream's answer is not its protocol's JSON")

    def _chunk(self, chunk: shapes.Chunk) -> Sequence[Event]:
        if self._ended:
            return ()
        if given(chunk.error):
            return self._break(error_in_band(chunk.error))
        usage = usage_of(chunk.usage_metadata)
        self._usage = usage or self._usage
        feedback = chunk.prompt_feedback
        if feedback is not None and feedback.block_reason:
            self._blocked = True
        if not chunk.candidates and usage is None and feedback is None:
            return ()
        events: list[Event] = []
        if not self._started:
            events.append(self._start(chunk))
        for number, candidate in numbered(chunk.candidates or ()):
            self._candidate(number, candidate, events)
        return events

    def _candidate(self, number: int, candidate: shapes.Candidate, events: list[Event]) -> None:
        if self._ended:
            return
        if number:
            answer = self._others.setdefault(number, _Answer())
            answer.parts.read(candidate, f"{self._response_id}.{number}")
            events += of_other(number, answer.parts.take())
        else:
            answer = self._first
            answer.parts.read(candidate, self._response_id)
            events += answer.parts.take()
        reason = _reason(candidate.finish_reason)
        if reason in _FAULTS and number:
            # The others are none the worse for it.
            self._leftovers.add("finishReason", raw(reason))
        elif reason in _FAULTS:
            events += self._break(_fault(reason, candidate.finish_message))
        answer.finish = reason or answer.finish

    def _start(self, chunk: shapes.Chunk) -> Started:
        self._started = True
        self._response_id = chunk.response_id or ""
        created = seconds_of(chunk.create_time)
        usage = self._usage and self._usage.of_input()
        return Started(self._response_id, chunk.model_version or "", created, usage)

    def _break(self, error: ErrorReply) -> Sequence[Event]:
        self._ended = True
        if self._started:
            return [Broken(error)]
        self._started = True
        return [Started("", ""), Broken(error)]


def _is_notable(chunk: shapes.Chunk) -> bool:
    """What is said of the answer as a whole stands in its first chunk or beside its end."""
    return not chunk.candidates or any(
        one.finish_reason is not None
        or one.grounding_metadata is not shapes.ABSENT
        or one.citation_metadata is not shapes.ABSENT
        for one in chunk.candidates
    )


def usage_of(usage: shapes.UsageMetadata | None) -> Usage | None:
    """The disjoint counts; None when it has none, as in most chunks of Vertex AI."""
    if usage is None or (usage.prompt_token_count is None and usage.candidates_token_count is None):
        return None
    cached = max(usage.cached_content_token_count or 0, 0)
    prompt = (usage.prompt_token_count or 0) + (usage.tool_use_prompt_token_count or 0)
    return Usage(
        input=max(prompt - cached, 0),
        cache_read=cached,
        output=max(usage.candidates_token_count or 0, 0),
        reasoning=max(usage.thoughts_token_count or 0, 0),
    )


def seconds_of(instant: str | None) -> int:
    """Unix seconds of "2026-08-19T14:38:15.050708Z", 0 for anything else."""
    found = _INSTANT.match(instant or "")
    if found is None:
        return 0
    try:
        parsed = datetime.fromisoformat(found[0]).replace(tzinfo=timezone.utc)
    except ValueError:
        return 0
    return max(int(parsed.timestamp()), 0)


def _reason(reason: str | int | None) -> str:
    if isinstance(reason, int):
        return _NUMBERED[reason] if 0 <= reason < len(_NUMBERED) else "OTHER"
    return "" if reason == "FINISH_REASON_UNSPECIFIED" else reason or ""


def _fault(reason: str, message: str | None) -> ErrorReply:
    text = f"the model's answer failed: {reason}"
    told = f"{text} ({redact(message)})" if message else text
    return ErrorReply(502, "upstream", told, code=reason)
