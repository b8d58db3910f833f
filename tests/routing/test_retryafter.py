"""Every form of Retry-After, and nothing but a usable number out of it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from aiproxy.routing.retryafter import MAX_SECONDS, credible, pause_of_limit, retry_after

NOW = 1_445_412_470.0
"""Wed, 21 Oct 2015 07:27:50 GMT"""


class RetryAfterTests(SynchronousTestCase):
    def test_forms(self) -> None:
        """Seconds, milliseconds, an HTTP date and a hint of the body."""
        for headers, hint, expected in (
            ([("Retry-After", "7")], None, 7.0),
            ([("retry-after", " 1.5 ")], None, 1.5),
            ([("retry-after-ms", "2500")], None, 2.5),
            ([("Retry-After", "Wed, 21 Oct 2015 07:28:00 GMT")], None, 10.0),
            ([("Retry-After", "Wed, 21 Oct 2015 09:28:00 +0200")], None, 10.0),
            ([], 12.5, 12.5),
            ([], None, None),
        ):
            self.assertEqual(retry_after(headers, hint, NOW), expected, headers)

    def test_used_up_limits(self) -> None:
        """The last of the limits that are used up tells, in every vendor's form."""
        anthropic = "anthropic-ratelimit-"
        for headers, expected in (
            (
                [
                    (f"{anthropic}requests-remaining", "0"),
                    (f"{anthropic}requests-reset", "2015-10-21T07:28:00Z"),
                    (f"{anthropic}tokens-remaining", "5"),
                    (f"{anthropic}tokens-reset", "2015-10-21T07:29:00Z"),
                ],
                10.0,
            ),
            (
                [
                    ("x-ratelimit-remaining-requests", "0"),
                    ("x-ratelimit-reset-requests", "250ms"),
                    ("x-ratelimit-remaining-tokens", "0"),
                    ("x-ratelimit-reset-tokens", "1m30.5s"),
                ],
                90.5,
            ),
            (
                [
                    (f"{anthropic}unified-status", "rejected"),
                    (f"{anthropic}unified-reset", str(int(NOW) + 600)),
                ],
                600.0,
            ),
            ([("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "12")], 12.0),
            ([("x-ratelimit-remaining-tokens", "9"), ("x-ratelimit-reset-tokens", "1s")], None),
            ([(f"{anthropic}unified-status", "allowed"), (f"{anthropic}unified-reset", "9")], None),
            ([("x-ratelimit-remaining-tokens", "0"), ("x-ratelimit-reset-tokens", "1 day")], None),
            ([("x-ratelimit-remaining-tokens", "0")], None),
        ):
            self.assertEqual(pause_of_limit(headers, "", NOW), expected, headers)
            self.assertIsNone(retry_after(headers, None, NOW), headers)

    def test_words(self) -> None:
        """Some tell it only to people."""
        for text, expected in (
            ("Limit 3. Please try again in 1.5s. Visit", 1.5),
            ("Please try again in 20ms.", 0.02),
            ("Please try again in 6m0.5s.", 360.5),
            ("Try again in 2 hours.", MAX_SECONDS),
            ("retry after 7 seconds", 7.0),
            ("please retry in 3 minutes", 180.0),
            ("try again in a minute", None),
            ("try again in 5 pieces", None),
            ("", None),
        ):
            self.assertEqual(pause_of_limit([], text, NOW), expected, text)

    def test_order(self) -> None:
        """The finer header wins, then the other, then the body; the first line of a name counts."""
        headers = [("Retry-After", "3"), ("Retry-After-Ms", "2500"), ("retry-after", "9")]
        self.assertEqual(retry_after(headers, 20.0, NOW), 2.5)
        self.assertEqual(retry_after([headers[0], headers[2]], 20.0, NOW), 3.0)

    def test_bounds(self) -> None:
        """The past is now, and nobody asks for more than the cap."""
        self.assertEqual(retry_after([("Retry-After", "-5")], None, NOW), 0.0)
        past = "Wed, 21 Oct 2015 07:00:00 GMT"
        self.assertEqual(retry_after([("Retry-After", past)], None, NOW), 0.0)
        self.assertEqual(retry_after([("Retry-After", "86400")], None, NOW), MAX_SECONDS)
        self.assertEqual(retry_after([], 1e9, NOW), MAX_SECONDS)

    def test_junk(self) -> None:
        """What cannot be read is as if it were not there."""
        for junk in ("soon", "", "nan", "inf", "1e999", "Wed, 99 Foo 2015 07:28:00 GMT"):
            self.assertEqual(retry_after([("Retry-After", junk)], 4.0, NOW), 4.0, junk)
            self.assertIsNone(retry_after([("retry-after-ms", junk)], None, NOW), junk)
        self.assertIsNone(retry_after([], float("nan"), NOW))

    def test_credible(self) -> None:
        """Any pause that a client can be told stays, also one that aiproxy would not obey."""
        for said, expected in (
            (None, None),
            (0.0, 0.0),
            (86_400.0, 86_400.0),
            (1e300, 366 * 86_400.0),
            (float("inf"), 366 * 86_400.0),
            (float("nan"), None),
            (-1.0, None),
        ):
            self.assertEqual(credible(said), expected)

    @given(st.text(), st.text(), st.text(), st.none() | st.floats())
    def test_total(self, milliseconds: str, seconds: str, reset: str, hint: float | None) -> None:
        """Whatever an upstream writes, the answer is None or within the bounds."""
        headers = [
            ("retry-after-ms", milliseconds),
            ("retry-after", seconds),
            ("x-ratelimit-remaining-tokens", "0"),
            ("x-ratelimit-reset-tokens", reset),
        ]
        for answer in (retry_after(headers, hint, NOW), pause_of_limit(headers, reset, NOW)):
            self.assertTrue(answer is None or 0 <= answer <= MAX_SECONDS)
