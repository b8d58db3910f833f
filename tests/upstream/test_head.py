"""Where a request goes, as its URL says."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from aiproxy.upstream.head import Address, place_of, sendable


class URLTests(SynchronousTestCase):
    def test_parts(self) -> None:
        """What is sent of a URL, and to whom."""
        for url, address, target, authority in (
            ("http://a.test", ("http", "a.test", 80), b"/", b"a.test"),
            ("https://a.test:444/b?c=d#e", ("https", "a.test", 444), b"/b?c=d", b"a.test:444"),
            ("http://[::1]:8/b", ("http", "::1", 8), b"/b", b"[::1]:8"),
        ):
            scheme, host, port = address
            expected = Address(scheme.encode(), host.encode(), port), target, authority
            self.assertEqual(place_of(url.encode()), expected)

    def test_no_url_makes_a_line(self) -> None:
        """Whatever a client writes into its query: it stays one word of one line."""
        url = sendable("http://a.test/b?c=\r\nX-D: e\t\0\x85\u2028").to_text()
        self.assertEqual(len(place_of(url.encode()).target.split()), 1)

    def test_long_urls(self) -> None:
        """Short URLs are kept, long ones are not, as clients may make up any number of them."""
        for length, is_kept in ((100, True), (10_000, False)):
            url = "http://a.test/?" + "x" * length
            self.assertEqual(sendable(url) is sendable(url), is_kept)
            encoded = url.encode()
            self.assertEqual(place_of(encoded) is place_of(encoded), is_kept)
            self.assertEqual(place_of(encoded).target, encoded.removeprefix(b"http://a.test"))
