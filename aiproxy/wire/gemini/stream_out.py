"""
Events as the stream a Gemini client reads.

Two forms: server-sent events with nothing but `data: {...}` (Google's SDKs fail on comments, event
names and `[DONE]`), and for clients that did not ask for events one JSON array, sent in pieces.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from aiproxy.framing import sse
from aiproxy.ir import (
    AnswerEvent,
    BlockEvent,
    Broken,
    Event,
    Finished,
    Loss,
    Other,
    Request,
    Started,
    StopReason,
)
from aiproxy.wire.gemini.contents_in import NAME
from aiproxy.wire.gemini.errors import error_body
from aiproxy.wire.gemini.parts_out import PartsWriter
from aiproxy.wire.gemini.paths import wants_events
from aiproxy.wire.gemini.reply import content, counts, ending, identity, one_line
from aiproxy.wire.jsontext import try_read
from aiproxy.wire.losses import Losses

_EVENTS = "text/event-stream"
_JSON = "application/json"


class StreamEncoder:
    """See `contract.StreamEncoder`."""

    def __init__(self, request: Request) -> None:
        self.content_type = _JSON if request.array else _EVENTS
        self.losses: list[Loss] = []
        self._array = request.array
        self._noted = noted = Losses()
        self._answers = request.answers
        self._writers: defaultdict[int, PartsWriter] = defaultdict(lambda: PartsWriter(noted))
        self._identity: dict[str, Any] = {}
        self._begun = False
        self._ended = False

    def encode(self, event: Event) -> bytes:
        if self._ended:
            return b""
        match event:
            case Started():
                return self._start(event)
            case Finished():
                self._noted.extras(NAME, event.extras)
                self._ended = True
                out = self._finish(0, event.stop, counts(event.usage))
            case Broken():
                self._ended = True
                return self._framed(error_body(event.error)[1], last=True)
            case Other():
                out = self._other(event.number, event.event)
            case _:
                out = self._write(0, event)
        seen = self._noted.seen()
        if len(seen) != len(self.losses):
            self.losses = list(seen)
        return out

    def _start(self, event: Started) -> bytes:
        self._identity = identity(event.id, event.model, event.created)
        # An array is opened at once, so that whatever comes next is never its first element.
        return self._framed(one_line(self._identity)) if self._array else b""

    def _other(self, number: int, event: AnswerEvent) -> bytes:
        if number >= self._answers:
            self._noted.dropped("candidates")
            return b""
        if isinstance(event, Finished):
            return self._finish(number, event.stop, {})
        return self._write(number, event)

    def _write(self, number: int, event: BlockEvent) -> bytes:
        parts = self._writers[number].write(event)
        return self._chunk({"content": content(parts), "index": number}, {}) if parts else b""

    def _finish(self, number: int, stop: StopReason, more: dict[str, Any]) -> bytes:
        """more: what the last chunk of all says besides."""
        writer = self._writers[number]
        said = content(writer.close() or [{"text": ""}])
        candidate = {"content": said, **ending(stop, writer), "index": number}
        return self._chunk(candidate, more)

    def _chunk(self, candidate: dict[str, Any], more: dict[str, Any]) -> bytes:
        chunk = {"candidates": [candidate], **more, **self._identity}
        return self._framed(one_line(chunk), last=self._ended)

    def _framed(self, data: bytes, last: bool = False) -> bytes:
        if not self._array:
            return b"data: " + data + b"\n\n"
        before = b",\r\n" if self._begun else b"["
        self._begun = True
        return before + data + (b"]" if last else b"")


class RawStream:
    """
    An upstream's events for a client of the same wire: as they are, or as the array it wants.

    See `contract.RawStream`.
    """

    def __init__(self, path: str) -> None:
        self._events = wants_events(path.partition("?")[2])
        self.content_type = _EVENTS if self._events else _JSON
        self._begun = False

    def pass_on(self, message: sse.Message) -> bytes:
        if self._events:
            return message.raw
        # What is no JSON the decoder takes for noise; in an array it would spoil all the rest.
        if try_read(message.data, object) is None:
            return b""
        data = message.data.strip()
        if data.startswith(b"["):
            data = data[1:-1].strip()
        if not data.startswith(b"{"):
            return b""
        before = b",\r\n" if self._begun else b"["
        self._begun = True
        return before + data

    def end(self) -> bytes:
        if self._events:
            return b""
        return b"]" if self._begun else b"[]"

    def marked_end(self) -> bytes:
        """The reason to stop is the last mark."""
        return self.end()
