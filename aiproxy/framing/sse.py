"""
Server-sent events: bytes in, messages out, and back.

Not here: what the data means. The rules are those of the WHATWG HTML standard, "Server-sent
events", with two additions: every event has a size limit, and a last event without its blank line
counts when its data is complete (some vendors close the connection a line too early).

Three line ends are legal, also mixed in one stream. Streams that use only LF or only CRLF, which
is all that vendors send, are cut with `bytes.split`; anything else goes through a regular
expression. Both give the same messages.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from aiproxy.errors import UpstreamProtocolError

MAX_EVENT_BYTES = 32 * 1024 * 1024
"""Large enough for an image in base64 inside one event."""

_BOM = b"\xef\xbb\xbf"

# A CR is a line end of its own only when the byte after it is known not to be LF.
_LINE_END = re.compile(rb"\r\n|\n|\r(?!\n)")
_BLANK_LINE = re.compile(rb"(?:\r\n|\n|\r(?=[^\n])){2}")
_BLANK_LINE_AT_EOF = re.compile(rb"(?:\r\n|\n|\r(?!\n)){2}")

# Both shapes that vendors send, to the letter; for texts without CR. The names are kept in memory,
# so that they must not be long.
_USUAL = re.compile(rb"(?:event: (.{1,100})\n)?data: (.*)\n\n")

# How many bytes before the decisive one may belong to a blank line: CR LF CR, then LF.
_EDGE = 3


class Message(NamedTuple):
    """
    One event.

    event: the `event:` field, "" when there was none.
    data: the `data:` lines joined by LF.
    raw: the bytes of the event as they came, blank line included; where there were comments in it,
        they are left out and the lines end with LF.
    """

    event: str
    data: bytes
    raw: bytes


@lru_cache(maxsize=256)
def _name(event: bytes) -> str:
    return event.decode("utf-8", "replace")


# A message is made for each event, and a NamedTuple's own way is three times as long.
_new: Callable[[type[Message], tuple[str, bytes, bytes]], Message] = tuple.__new__


class SSEDecoder:
    """
    Cuts a stream into messages, however its bytes are split over reads.

    max_event_bytes: a longer event, finished or not, raises UpstreamProtocolError.
    """

    __slots__ = ("_edge", "_max_event_bytes", "_pending", "_pending_bytes", "_started")

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._max_event_bytes = max_event_bytes
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._edge = b""
        self._started = False

    def feed(self, data: bytes) -> list[Message]:
        """
        The messages that `data` completes.

        Raises: UpstreamProtocolError when an event is too large. Those before it come out first:
        then it is the next call that raises.
        """
        self._refuse_too_large()
        messages = self._completed(data)
        if not messages:
            self._refuse_too_large()
        return messages

    def _completed(self, data: bytes) -> list[Message]:
        if not self._started and not (data := self._without_bom(data)):
            return []
        if self._pending:
            window = self._edge + data
            if b"\n\n" not in window and not (b"\r" in window and _BLANK_LINE.search(window)):
                self._hold(data, window[-_EDGE:])
                return []
            self._pending.append(data)
            data = b"".join(self._pending)
            self._pending = []
        messages = self._usual(data)
        if messages is not None:
            return messages
        blocks, line_end = _blocks(data)
        tail = blocks.pop()
        self._pending_bytes = 0
        if tail:
            self._hold(tail, tail[-_EDGE:])
        return self._messages(blocks, line_end)

    def close(self) -> list[Message]:
        """
        What the end of the stream completes: at most the last event.

        An event without its blank line counts only if its data is a complete JSON object or array,
        or `[DONE]`; its `raw` gets the missing line ends.
        """
        self._refuse_too_large()
        rest = b"".join(self._pending)
        self._pending = []
        self._pending_bytes = 0
        if _BLANK_LINE_AT_EOF.search(rest):
            return self._messages([rest], b"")
        message = _any_message(rest, b"\n" if rest.endswith(b"\n") else b"\n\n")
        return [message] if message is not None and _is_complete(message.data) else []

    def _usual(self, data: bytes) -> list[Message] | None:
        """
        The messages in `data` where all have one of the two shapes that vendors send.

        None when one has not; then nothing is changed, and the general way is to be taken.
        """
        end = data.rfind(b"\n\n") + 2
        if not 2 <= end <= self._max_event_bytes or b"\r" in data:
            return None
        messages = []
        at = 0
        for event, text in _USUAL.findall(data, 0, end):
            start, at = at, at + len(text) + (len(event) + 16 if event else 8)
            messages.append(_new(Message, (_name(event), text, data[start:at])))
        # What the expression has skipped is missing from the sum.
        if at != end:
            return None
        self._pending_bytes = 0
        if at < len(data):
            self._hold(data[at:], data[-_EDGE:])
        return messages

    def _without_bom(self, data: bytes) -> bytes:
        data = b"".join(self._pending) + data
        self._pending = []
        if len(data) < len(_BOM) and _BOM.startswith(data):
            if data:
                self._pending = [data]
            return b""
        self._started = True
        return data[len(_BOM) :] if data.startswith(_BOM) else data

    def _hold(self, data: bytes, edge: bytes) -> None:
        self._pending.append(data)
        self._pending_bytes += len(data)
        self._edge = edge

    def _refuse_too_large(self) -> None:
        if self._pending_bytes > self._max_event_bytes:
            raise self._too_large()

    def _messages(self, blocks: list[bytes], line_end: bytes) -> list[Message]:
        max_block_bytes = self._max_event_bytes - 2 * len(line_end)
        messages = []
        for block in blocks:
            if len(block) > max_block_bytes:
                raise self._too_large()
            message = _message(block, line_end)
            if message is not None:
                messages.append(message)
        return messages

    def _too_large(self) -> UpstreamProtocolError:
        return UpstreamProtocolError(f"an event is larger than {self._max_event_bytes} bytes")


def encode(data: bytes, event: str = "") -> bytes:
    """One event. `data` may hold line ends: each of its lines becomes a `data:` line."""
    if b"\n" in data or b"\r" in data:
        data = b"\ndata: ".join(_LINE_END.split(data))
    if event:
        return b"event: %b\ndata: %b\n\n" % (event.encode(), data)
    return b"data: %b\n\n" % data


def _blocks(text: bytes) -> tuple[list[bytes], bytes]:
    """
    `text` cut at its blank lines, and the line end that was used throughout.

    The last block is the unfinished one, b"" when there is none. With line ends of several kinds
    the second value is b"", and each block but the last keeps its blank line.
    """
    carriage_returns = text.count(b"\r")
    if not carriage_returns:
        return text.split(b"\n\n"), b"\n"
    if carriage_returns == text.count(b"\n") == text.count(b"\r\n"):
        return text.split(b"\r\n\r\n"), b"\r\n"
    blocks = []
    start = 0
    for blank in _BLANK_LINE.finditer(text):
        blocks.append(text[start : blank.end()])
        start = blank.end()
    blocks.append(text[start:])
    return blocks, b""


def _message(block: bytes, line_end: bytes) -> Message | None:
    """
    The event in one of the blocks that `_blocks` gave, or None when it has no data.

    The two shapes that vendors send, `data:` alone and `event:` then `data:`, are read here.
    """
    blank = line_end + line_end
    if not line_end:
        return _any_message(block, blank)
    if block.startswith(b"data: ") and line_end not in block:
        return Message("", block[6:], block + blank)
    event = ""
    rest = block
    if block.startswith(b"event:"):
        head, _, rest = block.partition(line_end)
        event = _value(head, 6).decode("utf-8", "replace")
    if rest.startswith(b"data:") and line_end not in rest:
        return Message(event, _value(rest, 5), block + blank)
    return _any_message(block, blank)


def _any_message(block: bytes, end: bytes) -> Message | None:
    """The event in `block`, whatever its shape; `end` completes its raw bytes."""
    block = block.lstrip(b"\r\n")
    event = b""
    data: list[bytes] = []
    has_comment = False
    lines = _LINE_END.split(block)
    for line in lines:
        field, colon, value = line.partition(b":")
        if colon and not field:
            has_comment = True
        elif field == b"data":
            data.append(_value(value, 0))
        elif field == b"event":
            event = _value(value, 0)
    if not data:
        return None
    raw = block + end
    if has_comment:
        # Written anew: without the comment a CR and an LF could meet and become one line end.
        raw = b"\n".join(line for line in lines if line and not line.startswith(b":")) + b"\n\n"
    return Message(event.decode("utf-8", "replace"), b"\n".join(data), raw)


def _value(line: bytes, start: int) -> bytes:
    """What follows a colon: one leading space is not part of it."""
    return line[start + 1 :] if line.startswith(b" ", start) else line[start:]


def _is_complete(data: bytes) -> bool:
    if data == b"[DONE]":
        return True
    if not data.lstrip().startswith((b"{", b"[")):
        return False
    try:
        json.loads(data)
    except (ValueError, RecursionError):
        return False
    return True
