"""Keys, codings, and what of a request may go on to an upstream."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from aiproxy import codings
from aiproxy.errors import BadRequest
from aiproxy.messages import Headers
from aiproxy.settings import ApiKey
from aiproxy.web.guard import (
    Head,
    inflated,
    is_authorized,
    passable_headers,
    passable_target,
)

LIMIT = 1 << 20


def shows(*headers: tuple[str, str], target: str = "/v1/messages") -> bool:
    """Whether a request with these headers has one of the keys "first" and "second"."""
    keys = (ApiKey.of("first"), ApiKey.of("second"))
    return is_authorized(Head("POST", target, headers, 0), keys)


class KeyTests(SynchronousTestCase):
    """Client authentication."""

    def test_carriers(self) -> None:
        """Each of the four carriers is enough, with any of the keys."""
        for key in ("first", "second"):
            self.assertTrue(shows(("authorization", f"Bearer {key}")))
            self.assertTrue(shows(("x-api-key", key)))
            self.assertTrue(shows(("x-goog-api-key", key)))
            self.assertTrue(shows(target=f"/v1/messages?a=b&key={key}"))
            self.assertTrue(shows(("authorization", "Bearer other"), ("x-api-key", key)))

    def test_bearer(self) -> None:
        """The scheme has no case and blanks do not matter; anything else does."""
        for value in ("bearer first", "BeArEr first", "  Bearer   first  "):
            self.assertTrue(shows(("authorization", value)), value)
        for value in ("first", "Bearer", "Bearer  ", "Bearer\tfirst", "Basic first", "", "Bearer"):
            self.assertFalse(shows(("authorization", value)), value)

    def test_wrong(self) -> None:
        """Other keys, parts of one, and none at all are refused."""
        for headers in ((), (("x-api-key", "firs"),), (("x-api-key", "firstt"),)):
            self.assertFalse(shows(*headers))
        self.assertFalse(shows(target="/v1/messages?key="))
        self.assertFalse(shows(target="/v1/messages?keys=first"))

    def test_percent_encoded(self) -> None:
        """A key in the query is decoded."""
        self.assertTrue(shows(target="/x?key=%66irst"))

    def test_no_keys(self) -> None:
        """Without keys everybody may call."""
        self.assertTrue(is_authorized(Head("POST", "/", (), 0), ()))


class BodyTests(SynchronousTestCase):
    """Content codings of requests."""

    def test_codings(self) -> None:
        """Each coding is undone, and lists from right to left, whatever their spelling."""
        plain = b'{"model": "m"}'
        for coding in ("gzip", "zstd", "br", "deflate"):
            packed = codings.encode(plain, coding)
            self.assertEqual(inflated(packed, (("content-encoding", coding),), LIMIT), plain)
        twice = codings.encode(codings.encode(plain, "gzip"), "br")
        for headers in (
            (("content-encoding", "  GZip ; level=9, Br "),),
            (("content-encoding", "x-gzip"), ("content-encoding", "br")),
        ):
            self.assertEqual(inflated(twice, headers, LIMIT), plain)

    def test_sniffing(self) -> None:
        """Without a header gzip and zstd are recognised; with "identity" nothing is."""
        for coding in ("gzip", "zstd"):
            packed = codings.encode(b"{}", coding)
            self.assertEqual(inflated(packed, (), LIMIT), b"{}")
            self.assertEqual(inflated(packed, (("content-encoding", "identity"),), LIMIT), packed)

    def test_refused(self) -> None:
        """Unknown codings are a 415, wrong bytes a 400, and too much is a 413."""
        packed = codings.encode(b"x" * (LIMIT + 1), "gzip")
        for body, coding, status in (
            (b"{}", "snappy", 415),
            (b"{}", "gzip", 400),
            (packed[:-9], "gzip", 413),
            (codings.encode(b"{}", "gzip")[:-1], "gzip", 400),
            (codings.encode(b"{}", "gzip") + b"x", "gzip", 400),
            (b"{}", "gzip, gzip, gzip, gzip, gzip", 400),
            (packed, "gzip", 413),
            (codings.encode(b"x" * (LIMIT + 1), "zstd"), "zstd", 413),
            (codings.encode(b"x" * (LIMIT + 1), "br"), "br", 413),
            (codings.encode(b"x" * (LIMIT + 1), "deflate"), "deflate", 413),
        ):
            error = self.assertRaises(
                BadRequest, inflated, body, (("content-encoding", coding),), LIMIT
            )
            self.assertEqual(error.reply.status, status, coding)

    @given(st.binary(max_size=200), st.text("gzipbrdeflate,; -", max_size=20))
    def test_total(self, body: bytes, coding: str) -> None:
        """Any body with any header is decoded or refused with a BadRequest."""
        try:
            inflated(body, (("content-encoding", coding),), LIMIT)
        except BadRequest as error:
            self.assertIn(error.reply.status, (400, 413, 415))


class PassableTests(SynchronousTestCase):
    """What an upstream could be allowed to see."""

    def test_headers(self) -> None:
        """Credentials, hop-by-hop headers and those of the body stay; the rest goes on in order."""
        kept: Headers = (("user-agent", "u"), ("anthropic-beta", "a"), ("anthropic-beta", "b"))
        dropped = tuple(
            (name, "x")
            for name in (
                "authorization",
                "x-api-key",
                "x-goog-api-key",
                "cookie",
                "proxy-authorization",
                "host",
                "content-length",
                "content-encoding",
                "content-type",
                "transfer-encoding",
                "accept-encoding",
                "keep-alive",
                "te",
                "upgrade",
                "expect",
                "x-listed",
                "x-other",
            )
        )
        lines = (("connection", "x-listed, close"), ("connection", "X-Other"))
        self.assertEqual(passable_headers((*dropped, *kept, *lines)), kept)

    def test_target(self) -> None:
        """Keys leave the query, everything else stays to the letter."""
        for target, expected in (
            ("/p", "/p"),
            ("/p?", "/p"),
            ("/p?key=k", "/p"),
            ("/p?a=%20b&key=k&alt=sse&ACCESS_TOKEN=t", "/p?a=%20b&alt=sse"),
            ("/p?%6bey=k&b", "/p?b"),
            ("/m%2Fx:go?keys=1", "/m%2Fx:go?keys=1"),
        ):
            self.assertEqual(passable_target(target), expected)
