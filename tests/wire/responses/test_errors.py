"""aiproxy.wire.responses.errors: errors as this dialect says them."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from aiproxy.errors import ErrorKind, ErrorReply, Native
from aiproxy.wire import responses


class EncodeTests(SynchronousTestCase):
    """Errors for clients."""

    def test_table(self) -> None:
        """Status, type and code of the kinds that clients act upon."""
        table: tuple[tuple[ErrorKind, int, str, str | None], ...] = (
            ("invalid_request", 400, "invalid_request_error", None),
            ("context_length", 400, "invalid_request_error", "context_length_exceeded"),
            ("authentication", 401, "invalid_request_error", "invalid_api_key"),
            ("quota", 429, "insufficient_quota", "insufficient_quota"),
            ("model_not_found", 404, "invalid_request_error", "model_not_found"),
            ("rate_limit", 429, "rate_limit_error", "rate_limit_exceeded"),
            ("overloaded", 503, "server_error", "server_is_overloaded"),
            ("timeout", 504, "server_error", "timeout"),
            ("unreachable", 502, "server_error", "upstream_error"),
        )
        for kind, status, type_, code in table:
            encoded = responses.encode_reply(ErrorReply(418, kind, "m", param="p"), None)
            self.assertEqual(encoded.status, status)
            self.assertEqual(
                json.loads(encoded.body),
                {"error": {"message": "m", "type": type_, "param": "p", "code": code}},
            )

    def test_upstream_code(self) -> None:
        """Where this dialect has no word of its own, the upstream's is kept."""
        error = ErrorReply(400, "invalid_request", "m", code="unsupported_parameter")
        body = json.loads(responses.encode_reply(error, None).body)
        self.assertEqual(body["error"]["code"], "unsupported_parameter")

    def test_foreign_code(self) -> None:
        """Words of other vendors say nothing to OpenAI's clients."""
        native = Native("gemini", b"{}")
        for kind, status, word, code in (
            ("invalid_request", 400, "INVALID_ARGUMENT", None),
            ("not_found", 404, "NOT_FOUND", "model_not_found"),
        ):
            error = ErrorReply(status, kind, "m", code=word, native=native)  # type: ignore[arg-type]
            body = json.loads(responses.encode_reply(error, None).body)
            self.assertEqual(body["error"]["code"], code)


class DecodeTests(SynchronousTestCase):
    """Errors of upstreams."""

    def test_quota(self) -> None:
        """A used-up allowance says when it is renewed."""
        body = b'{"error":{"type":"usage_limit_reached","message":"m","resets_in_seconds":60}}'
        reply = responses.decode_reply(429, body)
        assert isinstance(reply, ErrorReply)
        self.assertEqual((reply.kind, reply.retry_after), ("quota", 60.0))
        for senseless in (b"9" * 400, b"-1", b"true", b'"60"'):
            reply = responses.decode_reply(429, body.replace(b"60", senseless))
            assert isinstance(reply, ErrorReply)
            self.assertIsNone(reply.retry_after, senseless)

    def test_codes(self) -> None:
        """The code says more than the status, the status more than a general type."""
        for status, error, kind in (
            (400, {"code": "context_length_exceeded"}, "context_length"),
            (400, {"type": "invalid_request_error", "message": "prompt is too long"},
             "context_length"),
            (404, {"type": "invalid_request_error"}, "not_found"),
            (400, {"code": "model_not_found", "type": "invalid_request_error"}, "model_not_found"),
            (503, {"type": "server_error"}, "overloaded"),
            (400, {"code": "something_new"}, "invalid_request"),
        ):  # fmt: skip
            reply = responses.decode_reply(status, json.dumps({"error": error}).encode())
            assert isinstance(reply, ErrorReply)
            self.assertEqual(reply.kind, kind)
