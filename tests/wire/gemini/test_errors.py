"""Errors in Google's form, both ways."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from aiproxy.errors import ErrorReply
from aiproxy.wire import gemini
from tests import corpus


def decoded(status: int, body: Any) -> ErrorReply:
    reply = gemini.decode_reply(status, json.dumps(body).encode())
    assert isinstance(reply, ErrorReply)
    return reply


def error(message: str = "m", status: str = "", *details: Any) -> dict[str, Any]:
    return {"error": {"code": 400, "message": message, "status": status, "details": details}}


def info(reason: str) -> dict[str, Any]:
    return {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason}


def retry(delay: Any) -> dict[str, Any]:
    return {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}


class ErrorTests(SynchronousTestCase):
    """Reading and writing errors."""

    def test_kinds(self) -> None:
        """The reason tells more than the status word, that more than the number."""
        for status, body, wanted in (
            (
                400,
                error("API key not valid", "INVALID_ARGUMENT", info("API_KEY_INVALID")),
                "authentication",
            ),
            (429, error("q", "RESOURCE_EXHAUSTED", info("QUOTA_EXHAUSTED")), "quota"),
            (
                429,
                error("q", "RESOURCE_EXHAUSTED", {"violations": [{"quotaId": "XPerDayY"}]}),
                "quota",
            ),
            (429, error("q", "RESOURCE_EXHAUSTED"), "rate_limit"),
            (503, error("q", "UNAVAILABLE", info("MODEL_CAPACITY_EXHAUSTED")), "overloaded"),
            (
                404,
                error("models/x is not found for API version v1beta", "NOT_FOUND"),
                "model_not_found",
            ),
            (404, error("Not found: cache", "NOT_FOUND"), "not_found"),
            (
                400,
                error("The input token count (12) exceeds the maximum number of tokens", "X"),
                "context_length",
            ),
            (499, error("cancelled", "CANCELLED"), "upstream"),
            (500, {"error": "text"}, "upstream"),
        ):
            self.assertEqual(decoded(status, body).kind, wanted, body)

    def test_retry_after(self) -> None:
        """From the details, else from the message; nonsense is nothing."""
        for body, wanted in (
            (error("m", "X", retry("2.5s")), 2.5),
            (error("Please retry in 48.9s.", "X"), 48.9),
            (error("m", "X", retry("soon")), None),
            (error("m", "X", retry({"seconds": 1})), None),
            (error("m", "X", 5), None),
        ):
            self.assertEqual(decoded(429, body).retry_after, wanted, body)

    def test_written(self) -> None:
        """Status, word and details; a pause is a RetryInfo."""
        reply = ErrorReply(429, "rate_limit", "slow down", retry_after=9)
        encoded = gemini.encode_reply(reply, None)
        self.assertEqual(encoded.status, 429)
        self.assertEqual(
            json.loads(encoded.body),
            {
                "error": {
                    "code": 429,
                    "message": "slow down",
                    "status": "RESOURCE_EXHAUSTED",
                    "details": [retry("9s")],
                }
            },
        )
        self.assertEqual(decoded(429, json.loads(encoded.body)).retry_after, 9)

    def test_pauses_round_trip(self) -> None:
        """Long and short pauses survive to the second."""
        for seconds in (0.5, 1, 61, 581981, 12345678):
            reply = ErrorReply(429, "rate_limit", "m", retry_after=seconds)
            body = gemini.encode_reply(reply, None).body
            self.assertEqual(decoded(429, json.loads(body)).retry_after, seconds)

    def test_an_error_as_an_event(self) -> None:
        """Some SDKs record the error of a stream with its `data:`."""
        (case,) = (c for c in corpus.cases("gemini", "http-404") if "send-message-stream" in c.id)
        reply = gemini.decode_reply(404, case.response or b"")
        assert isinstance(reply, ErrorReply)
        self.assertEqual(reply.kind, "model_not_found")
        self.assertNotIn("{", reply.message)
