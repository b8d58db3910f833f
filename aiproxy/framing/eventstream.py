"""
AWS event stream: bytes in, messages out, and back.

    total bytes u32 | header bytes u32 | CRC-32 of these eight | headers | payload | CRC-32 of all

Integers are big endian. A header is a name (u8 length, UTF-8), a type (u8) and a value. Frames
follow one another with nothing between; there is no last frame, so the end of the stream on a
frame's border is the good end.

Not here: what headers and payloads mean. Source: Amazon Event Stream specification (Smithy 2.0).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from typing import Final, NamedTuple, TypeAlias

from aiproxy.errors import UpstreamProtocolError

MAX_MESSAGE_BYTES: Final = 16 * 1024 * 1024
MAX_HEADER_BYTES: Final = 128 * 1024
"""Both are the protocol's own limits."""

Value: TypeAlias = bool | int | bytes | str
"""Timestamps are milliseconds since 1970 as int, UUIDs their 16 bytes."""

_PRELUDE: Final = struct.Struct(">III")
_CHECKSUM: Final = struct.Struct(">I")
_OVERHEAD_BYTES: Final = _PRELUDE.size + _CHECKSUM.size
_LENGTH: Final = struct.Struct(">H")

_TRUE, _FALSE, _INT32, _INT64, _BYTES, _STRING = 0, 1, 4, 5, 6, 7
_NUMBERS: Final[Mapping[int, struct.Struct]] = {
    2: struct.Struct(">b"),
    3: struct.Struct(">h"),
    _INT32: struct.Struct(">i"),
    _INT64: struct.Struct(">q"),
    8: struct.Struct(">q"),
}
_UUID_BYTES: Final = 16


class Message(NamedTuple):
    """One frame."""

    headers: Mapping[str, Value]
    payload: bytes

    def text(self, name: str) -> str:
        """The header of this name when it is a string, else ""."""
        value = self.headers.get(name)
        return value if isinstance(value, str) else ""


class EventStreamDecoder:
    """
    Cuts a stream into messages, however its bytes are split over reads.

    Nothing can be read behind a fault: after it, every call raises the same UpstreamProtocolError.
    Its text names the fault: prelude_crc, message_crc, length, header or truncated.

    failure: that error, once it is known. When good messages came before the fault in one read,
        they are returned and the error waits for the next call.
    """

    __slots__ = ("_max_message_bytes", "_needed", "_pending", "failure")

    def __init__(self, max_message_bytes: int = MAX_MESSAGE_BYTES) -> None:
        self._max_message_bytes = max_message_bytes
        self._pending = bytearray()
        self._needed = _PRELUDE.size
        self.failure: UpstreamProtocolError | None = None

    def feed(self, data: bytes) -> list[Message]:
        """
        The messages that `data` completes.

        Raises: UpstreamProtocolError when the frames are broken.
        """
        if self.failure is not None:
            raise self.failure.anew()
        if self._pending:
            self._pending += data
            if len(self._pending) < self._needed:
                return []
            data = bytes(self._pending)
        messages: list[Message] = []
        try:
            end = self._cut(data, messages)
        except UpstreamProtocolError as error:
            self.failure = error.anew()
            self._pending = bytearray()
            if not messages:
                raise
        else:
            self._pending = bytearray(data[end:])
        return messages

    def close(self) -> list[Message]:
        """
        What the end of the stream completes: never anything.

        Raises: UpstreamProtocolError when it ends inside a frame.
        """
        if self.failure is None and self._pending:
            self.failure = _broken("truncated", f"{len(self._pending)} bytes are left over")
        if self.failure is not None:
            raise self.failure.anew()
        return []

    def _cut(self, data: bytes, messages: list[Message]) -> int:
        """Add the whole frames of `data` to `messages`; returns where the rest begins."""
        at = 0
        while True:
            left = len(data) - at
            if left < _PRELUDE.size:
                self._needed = _PRELUDE.size
                return at
            total, header_bytes = self._lengths(data, at)
            if left < total:
                self._needed = total
                return at
            messages.append(_message(data[at : at + total], header_bytes))
            at += total

    def _lengths(self, data: bytes, at: int) -> tuple[int, int]:
        """Bytes of the frame at `at` and of its headers, believed only with their checksum."""
        total, header_bytes, checksum = _PRELUDE.unpack_from(data, at)
        if zlib.crc32(data[at : at + _PRELUDE.size - _CHECKSUM.size]) != checksum:
            raise _broken("prelude_crc", "a frame's beginning is damaged")
        if not _OVERHEAD_BYTES <= total <= self._max_message_bytes:
            raise _broken("length", f"a frame of {total} bytes")
        if header_bytes > min(total - _OVERHEAD_BYTES, MAX_HEADER_BYTES):
            raise _broken("length", f"{header_bytes} bytes of headers in a frame of {total}")
        return total, header_bytes


def encode(headers: Mapping[str, Value], payload: bytes) -> bytes:
    """
    One frame. Numbers go out as 32 or 64 bits, as they need; bytes as a byte array.

    Raises: ValueError when a header or the whole does not fit.
    """
    block = b"".join(_header(name, value) for name, value in headers.items())
    total = _OVERHEAD_BYTES + len(block) + len(payload)
    if len(block) > MAX_HEADER_BYTES or total > MAX_MESSAGE_BYTES:
        raise ValueError("the message is too large")
    lengths = struct.pack(">II", total, len(block))
    frame = lengths + _CHECKSUM.pack(zlib.crc32(lengths)) + block + payload
    return frame + _CHECKSUM.pack(zlib.crc32(frame))


def _message(frame: bytes, header_bytes: int) -> Message:
    body = frame[: -_CHECKSUM.size]
    if zlib.crc32(body) != _CHECKSUM.unpack_from(frame, len(body))[0]:
        raise _broken("message_crc", "a frame is damaged")
    start = _PRELUDE.size
    headers = _headers(body[start : start + header_bytes])
    return Message(headers, body[start + header_bytes :])


def _headers(block: bytes) -> dict[str, Value]:
    """The headers in `block`. Raises: UpstreamProtocolError when they do not fill it exactly."""
    headers: dict[str, Value] = {}
    at = 0
    try:
        while at < len(block):
            start, at = at + 1, at + 1 + block[at]
            name = _exactly(block, start, at).decode()
            if not name or name in headers:
                raise _broken("header", "a header without a name, or one that comes twice")
            headers[name], at = _value(block, at + 1, block[at])
    except (IndexError, struct.error):
        raise _broken("header", "the headers are cut short") from None
    except UnicodeDecodeError:
        raise _broken("header", "a header is not UTF-8") from None
    return headers


def _value(block: bytes, at: int, kind: int) -> tuple[Value, int]:
    """The value of type `kind` at `at`, and where it ends."""
    match kind:
        case 0 | 1:
            return kind == _TRUE, at
        case 6 | 7:
            (length,) = _LENGTH.unpack_from(block, at)
            start, end = at + _LENGTH.size, at + _LENGTH.size + length
            data = _exactly(block, start, end)
            return (data if kind == _BYTES else data.decode()), end
        case 9:
            return _exactly(block, at, at + _UUID_BYTES), at + _UUID_BYTES
        case _ if kind in _NUMBERS:
            number: int = _NUMBERS[kind].unpack_from(block, at)[0]
            return number, at + _NUMBERS[kind].size
        case _:
            raise _broken("header", f"a header of the unknown type {kind}")


def _exactly(block: bytes, start: int, end: int) -> bytes:
    """A slice that must be whole."""
    if end > len(block):
        raise IndexError(end)
    return block[start:end]


def _header(name: str, value: Value) -> bytes:
    key = name.encode()
    if not 1 <= len(key) <= 255:
        raise ValueError("a header's name has 1 to 255 bytes")
    return bytes([len(key)]) + key + _written(value)


def _written(value: Value) -> bytes:
    """Type and value."""
    if isinstance(value, bool):
        return bytes([_TRUE if value else _FALSE])
    if isinstance(value, int):
        kind = _INT32 if -(2**31) <= value < 2**31 else _INT64
        try:
            return bytes([kind]) + _NUMBERS[kind].pack(value)
        except struct.error:
            raise ValueError("the number has more than 64 bits") from None
    kind, data = (_STRING, value.encode()) if isinstance(value, str) else (_BYTES, value)
    if len(data) > 0xFFFF:
        raise ValueError("the value of a header is too long")
    return bytes([kind]) + _LENGTH.pack(len(data)) + data


def _broken(reason: str, detail: str) -> UpstreamProtocolError:
    return UpstreamProtocolError(f"the upstream's event stream is broken ({reason}): {detail}")
