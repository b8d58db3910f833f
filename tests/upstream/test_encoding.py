"""Tests of aiproxy.upstream.encoding."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from aiproxy import codings
from aiproxy.errors import UpstreamProtocolError
from aiproxy.upstream.encoding import ACCEPT_ENCODING, ReplyDecoder, compressed


class CompressedTests(SynchronousTestCase):
    """Request bodies."""

    def test_compressed(self) -> None:
        """A body that shrinks is compressed and named so."""
        for coding in ("gzip", "zstd", "br"):
            packed, name = compressed(b"text " * 100, coding)
            self.assertEqual(name, coding)
            self.assertEqual(codings.decode(packed, (name,), 1000), b"text " * 100)

    def test_plain(self) -> None:
        """Without compression, and where it would not help, the body stays."""
        self.assertEqual(compressed(b"text " * 100, ""), (b"text " * 100, ""))
        for coding in ("gzip", "zstd", "br"):
            self.assertEqual(compressed(b"{}", coding), (b"{}", ""))
            self.assertEqual(compressed(b"", coding), (b"", ""))


class ReplyDecoderTests(SynchronousTestCase):
    """Answers."""

    def test_all_that_is_advertised(self) -> None:
        """Whatever Accept-Encoding offers can be decoded."""
        for coding in ACCEPT_ENCODING.split(", "):
            decoder = ReplyDecoder(coding)
            self.assertEqual(decoder.feed(codings.encode(b"text", coding)), b"text")
            decoder.finish()

    def test_plain(self) -> None:
        """Without coding the bytes pass."""
        for name in ("", "identity"):
            decoder = ReplyDecoder(name)
            self.assertEqual(decoder.feed(b"text"), b"text")
            decoder.finish()

    def test_errors(self) -> None:
        """Wrong bytes, a missing end, an unknown coding: the upstream's fault."""
        with self.assertRaises(UpstreamProtocolError):
            ReplyDecoder("snappy")
        with self.assertRaises(UpstreamProtocolError):
            ReplyDecoder("gzip").feed(b"plain text")
        decoder = ReplyDecoder("gzip")
        decoder.feed(codings.encode(b"text", "gzip")[:-1])
        with self.assertRaises(UpstreamProtocolError):
            decoder.finish()

    def test_bomb(self) -> None:
        """One read that would grow without bound is the upstream's fault too."""
        bomb = codings.encode(b"\0" * (65 << 20), "zstd")
        with self.assertRaises(UpstreamProtocolError):
            ReplyDecoder("zstd").feed(bomb)
