"""
HTTP content codings: gzip, deflate, zstd, br, and lists of them.

Pure: bytes in, bytes out, bounded. A compressed body can grow a thousandfold and more, so every
call has a limit, and no library is given so much input at once that it could run far past it.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from typing import Protocol

import brotli  # type: ignore[import-untyped]
import zstandard

_NAMES = {
    "gzip": "gzip",
    "x-gzip": "gzip",
    "deflate": "deflate",
    "zstd": "zstd",
    "x-zstd": "zstd",
    "br": "br",
}

# More than two are never seen; each one may multiply the work.
_MAX_CODINGS = 4

_PIECE_BYTES = 64 * 1024

# Neither library can limit its output in all versions that we support. The shortest zstd block
# takes 4 bytes and gives 128 KiB, the shortest brotli meta-block about 12 bytes and 16 MiB.
_ZSTD_SLICE_BYTES = 512
_BROTLI_SLICE_BYTES = 32

# RFC 9659: a zstd body sent over HTTP must not need a larger window.
_ZSTD_WINDOW_BYTES = 8 * 1024 * 1024

_GZIP_WBITS = 31
_ZLIB_WBITS = 15
_RAW_WBITS = -15


class CodingError(ValueError):
    """The bytes are not what their content coding says; the message is safe to show."""


class UnknownCoding(CodingError):
    """A content coding that we cannot undo."""


class TooLarge(CodingError):
    """The decoded bytes are more than the caller wants."""


class Decoder:
    """
    Undoes content codings while the bytes arrive.

    codings: as `parse` gives them, in the order in which they were applied.
    """

    __slots__ = ("_stages",)

    def __init__(self, codings: Sequence[str]) -> None:
        self._stages = [_stage(coding) for coding in reversed(codings)]

    def feed(self, data: bytes, limit_bytes: int) -> bytes:
        """
        All that can be decoded so far.

        limit_bytes: for this call alone, each coding of a list by itself.
        Raises: CodingError, TooLarge.
        """
        for stage in self._stages:
            data = _bounded(stage.pieces(data), limit_bytes)
        return data

    def finish(self) -> None:
        """
        Call at the end of the input, of which nothing is left to decode.

        Raises: CodingError when the end comes too early. No input at all is no error.
        """
        for stage in self._stages:
            stage.finish()


def parse(value: str) -> tuple[str, ...]:
    """
    The codings of a Content-Encoding header, in the order in which they were applied.

    Case, space, parameters, "identity" and "none" do not matter; x-gzip is gzip.
    Raises: UnknownCoding; CodingError when the list is absurdly long.
    """
    codings = []
    for item in value.split(","):
        name = item.partition(";")[0].strip().lower()
        if name in ("", "identity", "none"):
            continue
        if name not in _NAMES:
            raise UnknownCoding("unknown content coding")
        codings.append(_NAMES[name])
    if len(codings) > _MAX_CODINGS:
        raise CodingError("too many content codings")
    return tuple(codings)


def sniff(body: bytes) -> tuple[str, ...]:
    """The coding that the first bytes of `body` betray, for a body without a header."""
    if body.startswith(b"\x1f\x8b"):
        return ("gzip",)
    if body.startswith(b"\x28\xb5\x2f\xfd"):
        return ("zstd",)
    return ()


def decode(body: bytes, codings: Sequence[str], limit_bytes: int) -> bytes:
    """
    A whole body without its codings.

    Raises: CodingError, TooLarge.
    """
    decoder = Decoder(codings)
    plain = decoder.feed(body, limit_bytes)
    decoder.finish()
    return plain


def encode(body: bytes, coding: str) -> bytes:
    """
    A whole body in one coding: "gzip", "deflate", "zstd" or "br".

    The levels are those at which a request costs less time than its smaller size saves.
    """
    match coding:
        case "gzip":
            return _zlib(body, _GZIP_WBITS)
        case "deflate":
            return _zlib(body, _ZLIB_WBITS)
        case "zstd":
            return zstandard.ZstdCompressor(level=3).compress(body)
        case "br":
            packed: bytes = brotli.compress(body, quality=5)
            return packed
        case _:
            raise UnknownCoding("unknown content coding")


def _zlib(body: bytes, wbits: int) -> bytes:
    deflater = zlib.compressobj(6, zlib.DEFLATED, wbits)
    return deflater.compress(body) + deflater.flush()


def _bounded(pieces: Iterator[bytes], limit_bytes: int) -> bytes:
    collected: list[bytes] = []
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > limit_bytes:
            # The error's traceback leads here, and may live on for a while.
            collected.clear()
            raise TooLarge(f"the decoded body is larger than {limit_bytes} bytes")
        collected.append(piece)
    return b"".join(collected)


class _Stage(Protocol):
    """One coding being undone."""

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """What `data` decodes to, in pieces of bounded size."""

    def finish(self) -> None:
        """Raises CodingError when more input should have come."""


def _stage(coding: str) -> _Stage:
    match coding:
        case "gzip":
            return _Gzip()
        case "deflate":
            return _Deflate()
        case "zstd":
            return _Zstd()
        case "br":
            return _Brotli()
        case _:
            raise UnknownCoding("unknown content coding")


class _Gzip:
    """RFC 1952: one member after the other, and nothing else behind the last."""

    def __init__(self) -> None:
        self._inflater = zlib.decompressobj(_GZIP_WBITS)
        self._begun = False

    def pieces(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._inflater.eof:
                self._inflater = zlib.decompressobj(_GZIP_WBITS)
            self._begun = True
            yield from _inflated(self._inflater, data, "gzip")
            data = self._inflater.unused_data

    def finish(self) -> None:
        if self._begun and not self._inflater.eof:
            raise CodingError("the gzip data ends too early")


class _Deflate:
    """RFC 9110 means the zlib format; some servers send the bare data, so both are read."""

    def __init__(self) -> None:
        self._head = b""
        self._inflater: zlib._Decompress | None = None

    def pieces(self, data: bytes) -> Iterator[bytes]:
        if self._inflater is None:
            data = self._head = self._head + data
            if len(data) < 2:
                return
            is_zlib = data[0] & 0x0F == 8 and int.from_bytes(data[:2], "big") % 31 == 0
            self._inflater = zlib.decompressobj(_ZLIB_WBITS if is_zlib else _RAW_WBITS)
        if data:
            yield from _inflated(self._inflater, data, "deflate")
            if self._inflater.unused_data:
                raise CodingError("there is more behind the end of the deflate data")

    def finish(self) -> None:
        if self._head and not (self._inflater and self._inflater.eof):
            raise CodingError("the deflate data ends too early")


def _inflated(inflater: zlib._Decompress, data: bytes, coding: str) -> Iterator[bytes]:
    """All of `data` through `inflater`, up to the end that it finds itself."""
    try:
        while True:
            piece = inflater.decompress(data, _PIECE_BYTES)
            data = inflater.unconsumed_tail
            yield piece
            # A full piece may have left output behind even though all input is consumed.
            if inflater.eof or not (data or len(piece) == _PIECE_BYTES):
                return
    except zlib.error:
        raise CodingError(f"the data is not {coding}") from None


class _Zstd:
    """RFC 8878: one frame after the other."""

    def __init__(self) -> None:
        self._context = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES)
        self._frame = self._context.decompressobj()
        self._begun = False

    def pieces(self, data: bytes) -> Iterator[bytes]:
        for start in range(0, len(data), _ZSTD_SLICE_BYTES):
            rest = data[start : start + _ZSTD_SLICE_BYTES]
            while rest:
                if self._frame.eof:
                    self._frame = self._context.decompressobj()
                self._begun = True
                try:
                    piece = self._frame.decompress(rest)
                except zstandard.ZstdError:
                    raise CodingError("the data is not zstd") from None
                yield piece
                rest = self._frame.unused_data if self._frame.eof else b""

    def finish(self) -> None:
        if self._begun and not self._frame.eof:
            raise CodingError("the zstd data ends too early")


class _Brotli:
    """RFC 7932: one stream."""

    def __init__(self) -> None:
        self._decompressor = brotli.Decompressor()
        self._begun = False

    def pieces(self, data: bytes) -> Iterator[bytes]:
        for start in range(0, len(data), _BROTLI_SLICE_BYTES):
            part = data[start : start + _BROTLI_SLICE_BYTES]
            if self._decompressor.is_finished():
                raise CodingError("there is more behind the end of the br data")
            self._begun = True
            try:
                piece = self._decompressor.process(part)
            except brotli.error:
                raise CodingError("the data is not br") from None
            yield piece

    def finish(self) -> None:
        if self._begun and not self._decompressor.is_finished():
            raise CodingError("the br data ends too early")
