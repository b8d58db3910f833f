"""Data URLs in and out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from aiproxy.errors import BadRequest
from aiproxy.ir import Inline, Remote
from aiproxy.wire import dataurl


class SourceTests(SynchronousTestCase):
    def test_forms(self) -> None:
        """Base64 of any make, and percent form, become standard base64; other URLs stay URLs."""
        for url, expected in (
            ("https://example.org/a.png", Remote("https://example.org/a.png")),
            ("data:image/jpg;base64,aGk=", Inline("image/jpeg", "aGk=")),
            ("data:IMAGE/PNG;charset=x;Base64,aGk", Inline("image/png", "aGk=")),
            ("data:;base64,a G\nk=", Inline("image/gif", "aGk=")),
            ("data:image/png;base64,-_-_", Inline("image/png", "+/+/")),
            ("data:text/plain,h%69", Inline("text/plain", "aGk=")),
        ):
            self.assertEqual(dataurl.source(url, "image/gif"), expected)

    def test_refused(self) -> None:
        """What is no data URL after all is the client's fault."""
        for url in ("data:image/png;base64", "data:image/png;base64,ab!d", "data:;base64,abcde"):
            with self.assertRaises(BadRequest):
                dataurl.source(url, "image/png")

    @given(st.text(max_size=30))
    def test_any_text(self, text: str) -> None:
        """Any text is a source or BadRequest; what comes out is read again as the same."""
        try:
            source = dataurl.source("data:" + text, "image/png")
        except BadRequest:
            return
        assert isinstance(source, Inline)
        if ";" not in source.mime and "," not in source.mime and source.mime:
            self.assertEqual(dataurl.source(dataurl.written(source), ""), source)
