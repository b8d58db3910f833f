"""What error bodies of any make tell."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from aiproxy.errors import ErrorReply
from aiproxy.wire.errortext import is_stale_proof, kind_of, message_of
from tests import strategies


class MessageTests(SynchronousTestCase):
    def test_every_shape_that_vendors_use(self) -> None:
        """The text for a person is found, wherever it stands."""
        for body in (
            b'{"type":"error","error":{"type":"api_error","message":"no luck"}}',
            b'{"error":{"code":400,"message":"no luck","status":"INVALID_ARGUMENT"}}',
            b'[{"error":{"message":"no luck"}}]',
            b'{"error":"no luck"}',
            b'{"error":"invalid_grant","error_description":"no luck"}',
            b'{"detail":"no luck"}',
            b'{"detail":[{"msg":"no luck","loc":["body"]}]}',
            b'{"message":"no luck","__type":"X"}',
            b'{"Message":"no luck"}',
            b"no luck",
            b"<html><head><title>no\n luck</title></head><body>...</body></html>",
        ):
            self.assertEqual(message_of(body, 500), "no luck")

    @given(st.binary(max_size=60), st.integers(100, 999))
    def test_never_empty_never_long(self, body: bytes, status: int) -> None:
        """Any bytes give one to five hundred characters."""
        self.assertTrue(0 < len(message_of(body, status)) <= 500)

    def test_nested(self) -> None:
        """Nesting without end is not followed to its end."""
        for levels in (5, 500, 5000):
            body = b'{"error":' * levels + b'"no luck"' + b"}" * levels
            expected = "no luck" if levels == 5 else "the upstream answered 500"
            self.assertIn(expected, message_of(body, 500))

    @given(strategies.raw_json())
    def test_any_json(self, value: object) -> None:
        """Any JSON does, too."""
        self.assertTrue(message_of(bytes(value), 500))  # type: ignore[call-overload]

    def test_secrets_and_addresses_stay_here(self) -> None:
        """Upstreams like to quote the key."""
        text = message_of(b'{"error":"bad key sk-abcdefgh1234 at https://inner/v1"}', 401)
        self.assertEqual(text, "bad key [redacted] at [redacted]")


class KindTests(SynchronousTestCase):
    def test_the_code_word_tells_more_than_the_status(self) -> None:
        """Vendors use few statuses and many words."""
        self.assertEqual(kind_of(429, "insufficient_quota"), "quota")
        self.assertEqual(kind_of(200, "RESOURCE_EXHAUSTED"), "rate_limit")
        self.assertEqual(kind_of(503), "overloaded")
        self.assertEqual(kind_of(418), "invalid_request")
        self.assertEqual(kind_of(599, "unheard_of"), "upstream")

    def test_a_proof_that_the_vendor_does_not_know(self) -> None:
        """Told apart from other bad requests, so that the call can be sent without it."""
        for message, code in (
            ("messages.1.content.0: Invalid `signature` in `thinking` block", None),
            ("The encrypted content gAAA... could not be verified", "invalid_encrypted_content"),
            ("Thought signature is not valid.", "INVALID_ARGUMENT"),
        ):
            self.assertTrue(is_stale_proof(ErrorReply(400, "invalid_request", message, code=code)))
        for reply in (
            ErrorReply(500, "upstream", "invalid signature"),
            ErrorReply(400, "invalid_request", "max_tokens: 0 is too small"),
        ):
            self.assertFalse(is_stale_proof(reply))

    def test_a_prompt_too_long_hides_behind_general_codes(self) -> None:
        """Agents compact their history on it, so it must be told apart."""
        for message in (
            "prompt is too long: 210000 tokens > 200000 maximum",
            "This model's maximum context length is 8192 tokens",
            "The input token count (1200000) exceeds the maximum number of tokens allowed",
        ):
            self.assertEqual(kind_of(400, "invalid_request_error", message), "context_length")
        self.assertEqual(kind_of(429, "", "maximum context"), "rate_limit")
