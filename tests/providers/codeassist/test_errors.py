"""What Code Assist's errors say of limits, and for how long."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from aiproxy.errors import ErrorReply
from aiproxy.messages import HttpReply
from aiproxy.providers.codeassist.errors import details_of, duration
from aiproxy.wire import OUTBOUND
from tests import corpus
from tests.providers.codeassist.samples import NOW
from tests.providers.samples import provider

INFO = "type.googleapis.com/google.rpc.ErrorInfo"
RETRY = "type.googleapis.com/google.rpc.RetryInfo"
QUOTA = "type.googleapis.com/google.rpc.QuotaFailure"
HELP = "type.googleapis.com/google.rpc.Help"


def info(reason: str, **metadata: str) -> dict[str, Any]:
    return {"@type": INFO, "reason": reason, "domain": "d", "metadata": metadata}


def judged(status: int, body: bytes) -> ErrorReply:
    said = OUTBOUND["gemini"].decode_reply(status, body)
    assert isinstance(said, ErrorReply)
    judgements = {
        provider(api_type).judge(HttpReply(status, (), body), said, NOW)
        for api_type in ("geminicli", "antigravity")
    }
    (one,) = judgements
    return one


def refused(*details: object, status: int = 429, message: str = "no") -> ErrorReply:
    error = {"code": status, "message": message, "details": details}
    return judged(status, json.dumps({"error": error}).encode())


class JudgingTests(SynchronousTestCase):
    def test_rate_limit(self) -> None:
        """A rate limit rests as long as Google says, to the fraction of a second."""
        error = refused(info("RATE_LIMIT_EXCEEDED"), {"@type": RETRY, "retryDelay": "2.5s"})
        self.assertEqual((error.kind, error.retry_after), ("rate_limit", 2.5))

    def test_quota(self) -> None:
        """A quota that is used up rests until it is full again, else for an hour."""
        for metadata, pause in (
            ({"quotaResetTimeStamp": "2026-01-01T05:00:00Z"}, 5 * 3600),
            ({"quotaResetDelay": "161h39m41.3s"}, 581981.3),
            ({"quotaResetTimeStamp": "2025-12-31T05:00:00Z"}, 3600),
            ({}, 3600),
        ):
            error = refused(info("QUOTA_EXHAUSTED", **metadata))
            self.assertEqual(error.kind, "rate_limit")
            self.assertAlmostEqual(error.retry_after or 0, pause, msg=str(metadata))
            self.assertFalse(error.model_only)
        said = "Your quota will reset after 1h2m3s."
        self.assertEqual(refused(info("QUOTA_EXHAUSTED"), message=said).retry_after, 3723)

    def test_quota_of_one_model(self) -> None:
        """A quota that names its model leaves the others to the same account."""
        self.assertTrue(refused(info("QUOTA_EXHAUSTED", model="claude-opus")).model_only)

    def test_quota_ids(self) -> None:
        """Without a reason, the names of the quotas tell of days and minutes."""
        for name in ("GenerateRequestsPerDayPerProject", "DailyTokens"):
            error = refused({"@type": QUOTA, "violations": [{"quotaId": name}]})
            self.assertEqual((error.kind, error.retry_after), ("rate_limit", 3600))
        minute = {"@type": QUOTA, "violations": [{"quotaId": "TokensPerModelPerMinute"}]}
        error = refused(minute)
        self.assertEqual((error.kind, error.retry_after), ("rate_limit", 60))
        error = refused(minute, {"@type": RETRY, "retryDelay": "9s"})
        self.assertEqual(error.retry_after, 9)

    def test_capacity(self) -> None:
        """A model without capacity rests alone, for thirty seconds to five minutes."""
        for delay, pause in (("1s", 30), ("77s", 77), ("900s", 300)):
            error = refused(
                info("MODEL_CAPACITY_EXHAUSTED"), {"@type": RETRY, "retryDelay": delay}, status=503
            )
            self.assertEqual((error.kind, error.retry_after), ("overloaded", pause))
            self.assertTrue(error.model_only)
        self.assertEqual(refused(info("MODEL_CAPACITY_EXHAUSTED")).retry_after, 30)
        self.assertTrue(refused(status=503).model_only)

    def test_no_credits(self) -> None:
        """Credits that are used up do not come back by waiting a little."""
        error = refused(info("INSUFFICIENT_G1_CREDITS_BALANCE"))
        self.assertEqual((error.kind, error.retry_after), ("quota", 86400))

    def test_words(self) -> None:
        """Where there are no details, the message may name the wait."""
        self.assertEqual(refused(message="Please retry in 12.5s.").retry_after, 12.5)
        self.assertEqual(refused(message="Please retry in 700ms.").retry_after, 0.7)
        self.assertEqual(refused(message="Slow down.").retry_after, None)

    def test_verification(self) -> None:
        """An account that must be verified rests for an hour; the log gets the address."""
        link = {"@type": HELP, "links": [{"description": "go", "url": "https://g.test/verify"}]}
        for details in (
            (info("VALIDATION_REQUIRED"), link),
            (info("VALIDATION_REQUIRED", validation_url="https://g.test/verify"),),
        ):
            error = refused(*details, status=403, message="Verify your account.")
            self.assertEqual((error.kind, error.retry_after), ("permission", 3600))
            self.assertIn(" g.test/verify", error.message)

    def test_others_stay(self) -> None:
        """What has nothing to do with limits is as the wire read it."""
        for status, kind in (
            (400, "invalid_request"),
            (401, "authentication"),
            (403, "permission"),
        ):
            self.assertEqual(refused(status=status).kind, kind)
        self.assertEqual(judged(500, b"<html>").retry_after, None)
        self.assertEqual(judged(429, b'[{"error": {"code": 429}}]').kind, "rate_limit")

    def test_malformed_details(self) -> None:
        """Details of any shape are read as far as they can be."""
        for details in (None, "x", [1, None, {}, {"@type": 3}, {"@type": INFO, "metadata": 1}]):
            body = json.dumps({"error": {"code": 429, "details": details}}).encode()
            self.assertEqual(judged(429, body).kind, "rate_limit")
        self.assertEqual(details_of(b"\xff").reason, "")

    def test_reported_error(self) -> None:
        """A quota error that a user of antigravity reported is read in full."""
        (case,) = corpus.cases("gemini", "cloudcode", "errors")
        assert case.response is not None
        error = judged(429, case.response)
        self.assertEqual(error.kind, "rate_limit")
        self.assertAlmostEqual(error.retry_after or 0, 581981.3, 1)
        self.assertTrue(error.model_only)


class DurationTests(SynchronousTestCase):
    def test_durations(self) -> None:
        """Durations are written as Go and as protocol buffers write them."""
        for text, seconds in (
            ("2.5s", 2.5),
            ("161h39m41.300432511s", 581981.300432511),
            ("500ms", 0.5),
            ("1m", 60),
            ("", None),
            ("soon", None),
            (None, None),
            (5, None),
            ("-1s", None),
        ):
            self.assertEqual(duration(text), seconds, text)
