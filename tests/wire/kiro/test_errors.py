"""Kiro's errors, and answers that should have been streams."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from aiproxy.errors import ErrorReply, Native, UpstreamProtocolError
from aiproxy.routing.faults import classify_reply
from aiproxy.wire import INBOUND, kiro
from aiproxy.wire.errortext import is_stale_proof
from tests import corpus, strategies


def error(status: int, **members: object) -> ErrorReply:
    body = json.dumps(members).encode()
    reply = kiro.decode_reply(status, body)
    assert isinstance(reply, ErrorReply)
    return reply


class ReplyTests(SynchronousTestCase):
    def test_reasons(self) -> None:
        """Reasons and exceptions tell the kind, and so what follows."""
        for status, reason, kind, fault in (
            (400, "CONTENT_LENGTH_EXCEEDS_THRESHOLD", "context_length", "request"),
            (400, "PROMPT_TOO_LONG", "context_length", "request"),
            (400, "INVALID_MODEL_ID", "model_not_found", "not_found"),
            (400, "TOOL_SCHEMA_INVALID", "invalid_request", "request"),
            (400, None, "invalid_request", "request"),
            (402, "MONTHLY_REQUEST_COUNT", "quota", "credential"),
            (402, "OVERAGE_LIMIT", "quota", "credential"),
            (403, "TEMPORARILY_SUSPENDED", "permission", "credential"),
            (401, None, "authentication", "unauthenticated"),
            (429, "INSUFFICIENT_MODEL_CAPACITY", "overloaded", "throttled"),
            (429, "DAILY_REQUEST_COUNT", "quota", "credential"),
            (429, None, "rate_limit", "throttled"),
            (500, None, "upstream", "upstream"),
            (503, "MODEL_TEMPORARILY_UNAVAILABLE", "overloaded", "throttled"),
        ):
            reply = error(status, message="it went wrong", reason=reason)
            self.assertEqual((reply.status, reply.kind, reply.code), (status, kind, reason))
            self.assertEqual(reply.message, "it went wrong")
            self.assertEqual(classify_reply(reply).name, fault, reason)

    def test_conversation_limit(self) -> None:
        """A conversation grown too long is 400, on which clients make it shorter, never 402."""
        reply = error(402, message="it went wrong", reason="CONVERSATION_LIMIT")
        self.assertEqual((reply.status, reply.kind), (400, "context_length"))

    def test_words(self) -> None:
        """Where the code says little, the words do."""
        expired = error(403, message="The security token included in the request is expired")
        self.assertEqual(expired.kind, "authentication")
        named = error(400, message="Input is too long.", __type="com.amazon#ValidationException")
        self.assertEqual((named.kind, named.code), ("context_length", "ValidationException"))

    def test_too_long_for_anthropic(self) -> None:
        """Claude Code finds the words on which it compacts."""
        reply = error(400, message="x", reason="CONTENT_LENGTH_EXCEEDS_THRESHOLD")
        encoded = INBOUND["anthropic"].encode_reply(reply, None)
        self.assertEqual(encoded.status, 400)
        self.assertIn(b"prompt is too long", encoded.body)

    def test_stale_proofs(self) -> None:
        """A signature that is not recognised is known for that."""
        self.assertTrue(
            is_stale_proof(error(400, message="x", reason="THINKING_SIGNATURE_INVALID"))
        )

    def test_corpus(self) -> None:
        """Errors that people reported."""
        kinds = {
            "field-9router-1087-400-e-4a4e": "invalid_request",
            "field-amazon-q-developer-cli-1226-400-e-1691": "quota",
            "field-kiro-4935-403-e-6751": "authentication",
        }
        found = [case for case in corpus.cases("aws-eventstream") if case.kind == "error"]
        self.assertEqual(sorted(case.id for case in found), sorted(kinds))
        for case in found:
            body = case.response or b""
            reply = kiro.decode_reply(case.meta["http"]["status"], body)
            assert isinstance(reply, ErrorReply)
            self.assertEqual(reply.kind, kinds[case.id])
            self.assertEqual(reply.native, Native("kiro", body))

    def test_errors_in_good_answers(self) -> None:
        """An error with a good status is one; anything else there is no stream."""
        reply = error(200, message="slow", __type="ThrottlingException")
        self.assertEqual((reply.status, reply.kind), (429, "rate_limit"))
        for body in (b"", b"{}", b"[]", b"<html>", b'{"message":null}'):
            self.assertRaises(UpstreamProtocolError, kiro.decode_reply, 200, body)

    @given(
        st.sampled_from((200, 400, 500)),
        st.binary(max_size=20)
        | st.dictionaries(
            st.sampled_from(("message", "reason", "__type", "error")), strategies.json_values(3)
        ).map(lambda value: json.dumps(value).encode()),
    )
    def test_any_body(self, status: int, body: bytes) -> None:
        """Whatever the body, there is an error with a message, or the documented exception."""
        try:
            reply = kiro.decode_reply(status, body)
        except UpstreamProtocolError:
            self.assertEqual(status, 200)
        else:
            assert isinstance(reply, ErrorReply)
            self.assertTrue(reply.message)
            self.assertGreaterEqual(reply.status, 400)
