"""Chat's error words."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from aiproxy.errors import ErrorReply, Native
from aiproxy.wire.chat.errors import chunk_body, decode_error, error_body


def decoded(status: int, error: Any) -> ErrorReply:
    return decode_error(status, json.dumps({"error": error}).encode())


class DecodeTests(SynchronousTestCase):
    def test_kinds(self) -> None:
        """The code says most, then the status, then the type; a long prompt is told by its text."""
        for status, error, kind in (
            (400, {"message": "x", "code": "context_length_exceeded"}, "context_length"),
            (400, {"message": "This model's maximum context length is 8"}, "context_length"),
            (400, {"message": "x", "type": "invalid_request_error"}, "invalid_request"),
            (404, {"message": "x", "code": "model_not_found"}, "model_not_found"),
            (401, {"message": "x", "type": "invalid_request_error"}, "authentication"),
            (429, {"message": "x", "type": "insufficient_quota", "code": None}, "quota"),
            (429, {"message": "x"}, "rate_limit"),
            (200, {"message": "x", "type": "server_error"}, "upstream"),
            (200, {"message": "x", "code": 429}, "rate_limit"),
            (
                200,
                {"message": "x", "status_code": 400, "code": "tool_use_failed"},
                "invalid_request",
            ),
            (200, "something", "upstream"),
        ):
            self.assertEqual(decoded(status, error).kind, kind, error)

    def test_status_inside_a_stream(self) -> None:
        """An error in a stream has the status it names, else that of its kind."""
        self.assertEqual(decoded(200, {"message": "x", "code": 503}).status, 503)
        self.assertEqual(decoded(200, {"message": "x", "code": "invalid_api_key"}).status, 401)

    def test_error_at_the_top(self) -> None:
        """vLLM and Mistral put the fields beside `object`."""
        body = b'{"object":"error","message":"too big","type":"BadRequestError","code":400}'
        reply = decode_error(200, body)
        self.assertEqual(
            (reply.status, reply.kind, reply.message), (400, "invalid_request", "too big")
        )


class EncodeTests(SynchronousTestCase):
    def error(self, reply: ErrorReply) -> tuple[int, Any]:
        status, body = error_body(reply)
        return status, json.loads(body)["error"]

    def test_shape(self) -> None:
        """All four members are there; overloaded and quota have statuses of their own."""
        status, error = self.error(ErrorReply(529, "overloaded", "busy"))
        self.assertEqual(status, 503)
        self.assertEqual(
            error,
            {
                "message": "busy",
                "type": "server_error",
                "param": None,
                "code": "server_is_overloaded",
            },
        )
        self.assertEqual(self.error(ErrorReply(402, "quota", "pay"))[0], 429)

    def test_foreign_codes(self) -> None:
        """An upstream's own code word and the field at fault survive."""
        reply = ErrorReply(422, "invalid_request", "no", code="bad_tool", param="tools")
        status, error = self.error(reply)
        self.assertEqual((status, error["code"], error["param"]), (400, "bad_tool", "tools"))

    def test_upstream_404(self) -> None:
        """What an upstream does not find is the model; what we do not find is a path."""
        native = Native("anthropic", b"{}")
        asked = ErrorReply(404, "not_found", "no", native=native)
        self.assertEqual(self.error(asked)[1]["code"], "model_not_found")
        self.assertEqual(self.error(ErrorReply(404, "not_found", "no"))[1]["code"], "not_found")

    def test_bad_gateway(self) -> None:
        """The gateway statuses survive."""
        status, error = self.error(ErrorReply(502, "upstream", "no"))
        self.assertEqual((status, error["code"]), (502, "upstream_error"))

    def test_native_in_a_stream(self) -> None:
        """Native bytes go into a stream only when they are an error object."""
        native = b'{"error":{"message":"x"}}'
        reply = ErrorReply(500, "upstream", "tea", native=Native("chat", native))
        self.assertEqual(chunk_body(reply), native)
        html = ErrorReply(500, "upstream", "tea", native=Native("chat", b"<html>"))
        self.assertEqual(json.loads(chunk_body(html))["error"]["message"], "tea")
