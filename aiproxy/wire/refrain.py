"""
Messages that repeat the one before but for one text, read without looking at the rest.

Most messages of a stream are such: the same frame around a few more words. When all bytes around
one JSON string are those of a message that gave nothing but a delta with that string, the new
message gives the same delta with its own string. That holds for a decoder whose events depend on
its state and the message alone, and in which such a delta leaves no trace but what it notes itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import msgspec

from aiproxy import ir
from aiproxy.framing import sse
from aiproxy.wire.jsontext import write

_Delta: TypeAlias = ir.TextDelta | ir.ArgumentsDelta | ir.ReasoningDelta | ir.RefusalDelta

_NEVER = 1 << 62
"""No message is so long."""

_read_text = msgspec.json.Decoder(str).decode


class Refrain:
    """What stood around the last message's text, nothing when it was no such message."""

    __slots__ = ("_after", "_before", "_end", "_index", "_kind", "_name", "_shortest", "_start")

    _kind: type[_Delta]
    _end: int | None

    def __init__(self) -> None:
        self._before = self._after = b'"'
        self._kind = ir.TextDelta
        self._index = self._start = 0
        self._end = None
        self._name = ""
        self.forget()

    def again(self, message: sse.Message) -> Sequence[_Delta]:
        """The delta, when nothing but its text is new; else nothing."""
        data = message.data
        if (
            len(data) < self._shortest
            or not data.startswith(self._before)
            or not data.endswith(self._after)
            or message.event != self._name
        ):
            return ()
        try:
            # With the quotes around it: one that ends the string too early is an error.
            text = _read_text(data[self._start : self._end])
        except (msgspec.MsgspecError, UnicodeError):
            return ()
        return (self._kind(self._index, text),)

    def learn(self, message: sse.Message, events: Sequence[ir.Event]) -> Sequence[ir.Event]:
        """The events that a message gave, noted for the next one; they are handed back."""
        if len(events) == 1 and isinstance(event := events[0], _Delta):
            self._note(message, event)
        else:
            self.forget()
        return events

    def _note(self, message: sse.Message, event: _Delta) -> None:
        data = message.data
        text = write(event.text)
        at = data.find(text)
        before, after = data[: at + 1], data[at + len(text) - 1 :]
        # Without escapes each string stands there as it is: what occurs once is the text.
        if at < 0 or data.find(text, at + 1) >= 0 or b"\\" in before or b"\\" in after:
            self.forget()
            return
        self._before, self._after = before, after
        self._shortest = len(before) + 1 + len(after)
        self._start, self._end = len(before) - 1, 1 - len(after) or None
        self._kind, self._index, self._name = type(event), event.index, message.event

    def forget(self) -> None:
        """The next message is read the long way."""
        self._shortest = _NEVER
