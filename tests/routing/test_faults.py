"""The fault table: what follows from each error, and what the client hears of it."""

from __future__ import annotations

from dataclasses import replace
from typing import cast, get_args

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from aiproxy import errors
from aiproxy.errors import ErrorKind, ErrorReply, Native
from aiproxy.routing import faults

KINDS: tuple[ErrorKind, ...] = get_args(ErrorKind)
COOLDOWN = 1800.0

replies = st.builds(
    ErrorReply,
    status=st.sampled_from([200, 302, 400, 401, 402, 403, 404, 408, 413, 418, 422, 429, 500, 503])
    | st.integers(100, 599),
    kind=st.sampled_from(KINDS),
    message=st.just("upstream's words"),
    retry_after=st.none() | st.floats(0, 100),
    native=st.none() | st.just(Native("chat", b"{}")),
)


def reply(status: int, kind: ErrorKind, retry_after: float | None = None) -> ErrorReply:
    """An upstream's error with bytes of its own."""
    return ErrorReply(
        status, kind, "upstream's words", retry_after=retry_after, native=Native("chat", b"{}")
    )


class ClassifyTests(SynchronousTestCase):
    def name(self, status: int, kind: ErrorKind) -> str:
        return faults.classify(errors.UpstreamRefused(reply(status, kind))).name

    def test_by_kind(self) -> None:
        """A clear kind decides, whatever status an upstream chose for it."""
        self.assertEqual(self.name(400, "context_length"), "request")
        self.assertEqual(self.name(400, "content_policy"), "policy")
        self.assertEqual(self.name(400, "authentication"), "unauthenticated")
        self.assertEqual(self.name(429, "quota"), "credential")
        self.assertEqual(self.name(403, "permission"), "credential")
        self.assertEqual(self.name(404, "model_not_found"), "not_found")
        self.assertEqual(self.name(529, "overloaded"), "throttled")
        self.assertEqual(self.name(403, "rate_limit"), "throttled")
        self.assertEqual(self.name(413, "too_large"), "request")

    def test_by_status(self) -> None:
        """A vague kind leaves it to the status."""
        for status, name in (
            (400, "request"),
            (413, "request"),
            (415, "request"),
            (422, "request"),
            (418, "request"),
            (401, "unauthenticated"),
            (402, "credential"),
            (403, "credential"),
            (404, "not_found"),
            (408, "upstream"),
            (409, "upstream"),
            (429, "throttled"),
            (499, "upstream"),
            (500, "upstream"),
            (503, "upstream"),
            (529, "throttled"),
        ):
            self.assertEqual(self.name(status, "invalid_request"), name, status)
            self.assertEqual(self.name(status, "upstream"), name, status)
        self.assertEqual(self.name(302, "upstream"), "upstream")

    def test_by_class(self) -> None:
        """Our own exceptions say whose fault it was."""
        for error, name in (
            (errors.UpstreamTimeout("silent"), "upstream"),
            (errors.UpstreamUnreachable("refused"), "upstream"),
            (errors.UpstreamProtocolError("not JSON"), "upstream"),
            (errors.CredentialError("expired"), "credential"),
            (errors.CredentialDisabled("revoked"), "credential"),
            (errors.BadRequest("no audio there"), "request"),
        ):
            self.assertEqual(faults.classify(error).name, name)

    def test_table(self) -> None:
        """Only what tells of the upstream counts; a refusal on principle goes nowhere else."""
        table = {fault.name: fault for fault in faults.TABLE}
        self.assertEqual(len(table), len(faults.TABLE))
        counted = {name for name, fault in table.items() if fault.counted(None, COOLDOWN)}
        self.assertEqual(
            counted, {"not_found", "unauthenticated", "credential", "throttled", "upstream"}
        )
        self.assertEqual(
            {name for name, fault in table.items() if fault.other_credential},
            {"unauthenticated", "credential", "throttled"},
        )
        self.assertEqual(
            {name for name, fault in table.items() if not fault.next_upstream}, {"policy"}
        )
        self.assertEqual({n for n, fault in table.items() if fault.refresh}, {"unauthenticated"})
        self.assertEqual(
            {name for name, fault in table.items() if fault.repeat != "never"},
            {"throttled", "upstream"},
        )

    def test_patience(self) -> None:
        """A second try needs a fault that may be over, at once or after a short pause it named."""
        for fault, kind, pause, patience in (
            (faults.UPSTREAM, "upstream", None, 0.0),
            (faults.UPSTREAM, "upstream", 2.0, 2.0),
            (faults.UPSTREAM, "upstream", 4.0, None),
            (faults.UPSTREAM, "timeout", None, None),
            (faults.THROTTLED, "rate_limit", None, None),
            (faults.THROTTLED, "rate_limit", 0.0, 0.0),
            (faults.THROTTLED, "rate_limit", 3.0, 3.0),
            (faults.THROTTLED, "rate_limit", 3.1, None),
            (faults.REQUEST, "invalid_request", 1.0, None),
            (faults.CREDENTIAL, "quota", 1.0, None),
        ):
            said = ErrorReply(500, cast(ErrorKind, kind), "", retry_after=pause)
            self.assertEqual(fault.patience(said), patience, (fault.name, kind, pause))

    def test_pause_instead_of_count(self) -> None:
        """A throttled upstream that says a pause shorter than the breaker's is not counted."""
        throttled = faults.THROTTLED
        self.assertFalse(throttled.counted(7.0, COOLDOWN))
        self.assertTrue(throttled.counted(COOLDOWN, COOLDOWN))
        self.assertTrue(throttled.counted(0.0, COOLDOWN))
        self.assertTrue(faults.UPSTREAM.counted(7.0, COOLDOWN))

    @given(replies)
    def test_total(self, error: ErrorReply) -> None:
        """Every error has a row."""
        self.assertIn(faults.classify_reply(error), faults.TABLE)


class ClientReplyTests(SynchronousTestCase):
    def status(self, status: int, kind: ErrorKind) -> int:
        return faults.client_reply(reply(status, kind)).status

    def test_request_fault_as_it_is(self) -> None:
        """The client's own mistake reaches it in the upstream's words, status and bytes."""
        for error in (
            reply(400, "invalid_request"),
            reply(413, "too_large"),
            reply(422, "context_length"),
            reply(403, "content_policy"),
        ):
            self.assertEqual(faults.client_reply(error), error)

    def test_credential_fault(self) -> None:
        """The client's key was fine: 502 in our words, nothing of the upstream's."""
        for refusal in (
            reply(401, "authentication"),
            reply(403, "permission"),
            reply(402, "quota"),
        ):
            answer = faults.client_reply(refusal)
            self.assertEqual((answer.status, answer.kind), (502, "upstream"))
            self.assertNotIn("upstream's words", answer.message)
            self.assertIsNone(answer.native)

    def test_throttled(self) -> None:
        """429 stays, overload is 503, and the pause and the words are kept."""
        answer = faults.client_reply(reply(429, "rate_limit", 7.0))
        self.assertEqual((answer.status, answer.retry_after), (429, 7.0))
        self.assertEqual(answer.message, "upstream's words")
        self.assertIsNotNone(answer.native)
        self.assertEqual(self.status(529, "overloaded"), 503)
        self.assertEqual(self.status(403, "rate_limit"), 429)

    def test_not_found(self) -> None:
        """An unknown model is 404 under a kind that says so."""
        answer = faults.client_reply(reply(404, "invalid_request"))
        self.assertEqual((answer.status, answer.kind), (404, "not_found"))
        self.assertEqual(faults.client_reply(reply(404, "model_not_found")).kind, "model_not_found")

    def test_upstream_fault(self) -> None:
        """A broken upstream is a bad gateway, by what is known of it."""
        self.assertEqual(self.status(500, "upstream"), 502)
        self.assertEqual(self.status(502, "upstream"), 502)
        self.assertEqual(self.status(503, "upstream"), 503)
        self.assertEqual(self.status(408, "timeout"), 504)
        self.assertEqual(self.status(409, "conflict"), 502)
        self.assertEqual(self.status(302, "upstream"), 502)
        timeout = faults.client_reply(errors.UpstreamTimeout("silent").reply)
        self.assertEqual((timeout.status, timeout.kind), (504, "timeout"))
        unreachable = faults.client_reply(errors.UpstreamUnreachable("refused").reply)
        self.assertEqual((unreachable.status, unreachable.kind), (502, "unreachable"))
        self.assertIsNone(faults.client_reply(reply(500, "upstream")).native)

    @given(replies)
    def test_never_blames_the_client_for_our_key(self, error: ErrorReply) -> None:
        """Every answer is an error, and 401 is never one."""
        answer = faults.client_reply(error)
        self.assertTrue(400 <= answer.status <= 599)
        if faults.classify_reply(error).name in ("credential", "unauthenticated"):
            self.assertEqual(answer.status, 502)


class MostTellingTests(SynchronousTestCase):
    def test_order(self) -> None:
        """Request fault, pause, unknown model, credential, upstream's answer, silence."""
        ranked = [
            reply(400, "invalid_request"),
            reply(429, "rate_limit"),
            reply(404, "model_not_found"),
            reply(401, "authentication"),
            reply(500, "upstream"),
            errors.UpstreamUnreachable("refused").reply,
        ]
        for position, telling in enumerate(ranked):
            self.assertEqual(faults.most_telling([*ranked[:position:-1], telling]), telling)

    def test_first_among_equals(self) -> None:
        """Of two request faults the client hears of the first."""
        first, second = reply(400, "invalid_request"), reply(422, "invalid_request")
        self.assertIs(faults.most_telling([first, second]), first)

    def test_soonest_pause(self) -> None:
        """The client may come back as soon as any upstream is ready."""
        told = [
            reply(429, "rate_limit", 30.0),
            reply(529, "overloaded", 5.0),
            reply(500, "upstream", 1.0),
        ]
        self.assertEqual(faults.most_telling(told), replace(told[0], retry_after=5.0))

    def test_final_reply(self) -> None:
        """All failed: the most telling error, as the client may see it."""
        told = [reply(401, "authentication"), reply(429, "rate_limit", 7.0)]
        answer = faults.final_reply(told)
        self.assertEqual((answer.status, answer.retry_after), (429, 7.0))
        self.assertRaises(ValueError, faults.final_reply, [])
