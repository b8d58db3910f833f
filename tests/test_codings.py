"""Tests of aiproxy.codings."""

from __future__ import annotations

import contextlib
import gzip
import zlib

import brotli  # type: ignore[import-untyped]
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from aiproxy import codings
from tests.fakes import cut, slices

_ALL = ("gzip", "deflate", "zstd", "br")
_LISTS = st.lists(st.sampled_from(_ALL), max_size=3)
_LIMIT = 1 << 20


def raw_deflate(body: bytes) -> bytes:
    """Deflate without the zlib format around it, as some servers send it."""
    deflater = zlib.compressobj(6, zlib.DEFLATED, -15)
    return deflater.compress(body) + deflater.flush()


def encode(body: bytes, applied: list[str]) -> bytes:
    """`body` in all these codings, one after the other."""
    for coding in applied:
        body = codings.encode(body, coding)
    return body


class ParseTests(SynchronousTestCase):
    """Content-Encoding headers."""

    def test_lists(self) -> None:
        """Case, space, parameters and identity do not matter; the order is kept."""
        self.assertEqual(codings.parse("  GZip ; level=9, Br "), ("gzip", "br"))
        self.assertEqual(codings.parse("x-gzip,, x-ZSTD"), ("gzip", "zstd"))
        self.assertEqual(codings.parse("identity, none"), ())
        self.assertEqual(codings.parse(""), ())

    def test_unknown(self) -> None:
        """A coding that we cannot undo is named an error, and so is a very long list."""
        with self.assertRaises(codings.UnknownCoding):
            codings.parse("gzip, snappy")
        with self.assertRaises(codings.CodingError):
            codings.parse("gzip," * 50)

    def test_sniff(self) -> None:
        """gzip and zstd bodies show themselves; JSON does not."""
        self.assertEqual(codings.sniff(codings.encode(b"{}", "gzip")), ("gzip",))
        self.assertEqual(codings.sniff(codings.encode(b"{}", "zstd")), ("zstd",))
        self.assertEqual(codings.sniff(b"{}"), ())


class DecodeTests(SynchronousTestCase):
    """Undoing codings."""

    @given(st.binary(max_size=2000), _LISTS, st.lists(st.integers(min_value=0), max_size=6))
    def test_round_trip(self, body: bytes, applied: list[str], places: list[int]) -> None:
        """Any list of codings is undone, however the bytes are cut."""
        decoder = codings.Decoder(applied)
        pieces = [decoder.feed(piece, _LIMIT) for piece in cut(encode(body, applied), places)]
        decoder.finish()
        self.assertEqual(b"".join(pieces), body)

    @given(st.binary(max_size=200), st.sampled_from(_ALL))
    def test_junk(self, body: bytes, coding: str) -> None:
        """Bytes that are not what the header says raise CodingError and nothing else."""
        with contextlib.suppress(codings.CodingError):
            codings.decode(body, (coding,), _LIMIT)

    def test_mislabelled(self) -> None:
        """A plain body that claims a coding is an error, never an empty body."""
        for coding in _ALL:
            for body in (b'{"id":"x","choices":[]}', b'data: {"a":1}\n\n', b"{"):
                with self.assertRaises(codings.CodingError):
                    codings.decode(body, (coding,), _LIMIT)

    def test_truncated(self) -> None:
        """A body that ends too early is an error, wherever it was cut."""
        for coding in _ALL:
            packed = codings.encode(b"some text, some text", coding)
            for end in range(1, len(packed)):
                with self.assertRaises(codings.CodingError):
                    codings.decode(packed[:end], (coding,), _LIMIT)

    def test_empty(self) -> None:
        """No bytes at all decode to none, for there was nothing to encode."""
        for coding in _ALL:
            self.assertEqual(codings.decode(b"", (coding,), _LIMIT), b"")

    def test_trailing_garbage(self) -> None:
        """Bytes behind the end are an error."""
        for coding in _ALL:
            for tail in (b"x", b"garbage" * 20):
                with self.assertRaises(codings.CodingError):
                    codings.decode(codings.encode(b"text" * 50, coding) + tail, (coding,), _LIMIT)

    def test_members(self) -> None:
        """Two gzip members and two zstd frames are one body, however they are cut."""
        for coding in ("gzip", "zstd"):
            packed = codings.encode(b"one ", coding) + codings.encode(b"two", coding)
            self.assertEqual(codings.decode(packed, (coding,), _LIMIT), b"one two")
            decoder = codings.Decoder((coding,))
            pieces = [decoder.feed(piece, _LIMIT) for piece in slices(packed, 1)]
            decoder.finish()
            self.assertEqual(b"".join(pieces), b"one two")

    def test_raw_deflate(self) -> None:
        """Deflate is read with and without the zlib format, also byte by byte."""
        packed = raw_deflate(b"some text" * 9)
        self.assertEqual(codings.decode(packed, ("deflate",), _LIMIT), b"some text" * 9)
        decoder = codings.Decoder(("deflate",))
        pieces = [decoder.feed(piece, _LIMIT) for piece in slices(packed, 1)]
        decoder.finish()
        self.assertEqual(b"".join(pieces), b"some text" * 9)

    def test_flushed_parts_come_at_once(self) -> None:
        """What a server flushes can be read before it sends more."""
        gzipper = zlib.compressobj(6, zlib.DEFLATED, 31)
        deflater = zlib.compressobj(6, zlib.DEFLATED, 15)
        framer = zstandard.ZstdCompressor().compressobj()
        brotter = brotli.Compressor()
        flushed = {
            "gzip": gzipper.compress(b"first") + gzipper.flush(zlib.Z_SYNC_FLUSH),
            "deflate": deflater.compress(b"first") + deflater.flush(zlib.Z_SYNC_FLUSH),
            "zstd": framer.compress(b"first") + framer.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK),
            "br": brotter.process(b"first") + brotter.flush(),
        }
        for coding, data in flushed.items():
            self.assertEqual(codings.Decoder((coding,)).feed(data, _LIMIT), b"first", coding)

    def test_exact_limit(self) -> None:
        """The limit itself is allowed, one byte more is not."""
        for coding in _ALL:
            packed = codings.encode(b"x" * 200_000, coding)
            self.assertEqual(len(codings.decode(packed, (coding,), 200_000)), 200_000)
            with self.assertRaises(codings.TooLarge):
                codings.decode(packed, (coding,), 199_999)

    def test_bombs(self) -> None:
        """A body that would grow beyond the limit is refused before it has grown far."""
        bomb = b"\0" * (200 << 20)
        for coding in _ALL:
            packed = codings.encode(bomb, coding)
            size = 0
            for piece in codings._stage(coding).pieces(packed):
                size += len(piece)
                if size > _LIMIT:
                    break
            self.assertLess(size, _LIMIT + (65 << 20), coding)
            with self.assertRaises(codings.TooLarge):
                codings.decode(packed, (coding,), _LIMIT)

    def test_large_zstd_window(self) -> None:
        """A frame that needs more memory than HTTP allows is refused."""
        parameters = zstandard.ZstdCompressionParameters(window_log=27)
        framer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
        with self.assertRaises(codings.CodingError):
            codings.decode(framer.compress(b"x") + framer.flush(), ("zstd",), _LIMIT)


class EncodeTests(SynchronousTestCase):
    """Applying codings."""

    def test_other_readers(self) -> None:
        """Other implementations read what we write."""
        body = b"some text, some text"
        self.assertEqual(gzip.decompress(codings.encode(body, "gzip")), body)
        self.assertEqual(zlib.decompress(codings.encode(body, "deflate")), body)
        self.assertEqual(zstandard.decompress(codings.encode(body, "zstd")), body)
        self.assertEqual(brotli.decompress(codings.encode(body, "br")), body)

    def test_unknown(self) -> None:
        """A coding that we do not know is an error."""
        with self.assertRaises(codings.UnknownCoding):
            codings.encode(b"", "snappy")
