"""Tests of aiproxy.upstream.failures."""

from __future__ import annotations

from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet import error
from twisted.internet.defer import CancelledError
from twisted.logger import capturedLogs
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import RequestTransmissionFailed, ResponseFailed, ResponseNeverReceived
from twisted.web.error import SchemeNotSupported

from aiproxy.errors import NoUpstream, UpstreamProtocolError, UpstreamTimeout, UpstreamUnreachable
from aiproxy.upstream.failures import explained, is_lost_before_answer

_SECRET = "https://user:secret@host.example/?key=secret"


def bundle(kind: type[ResponseFailed], *reasons: BaseException) -> ResponseFailed:
    return kind([Failure(reason) for reason in reasons])


class ExplainedTests(SynchronousTestCase):
    """The table of library errors."""

    def test_table(self) -> None:
        """Each error becomes one of ours, with a message that holds nothing of the library's."""
        table: list[tuple[BaseException, type[Exception], str]] = [
            (error.DNSLookupError(_SECRET), UpstreamUnreachable, "DNS lookup failed"),
            (error.ConnectionRefusedError(_SECRET), UpstreamUnreachable, "connection refused"),
            (error.NoRouteError(_SECRET), UpstreamUnreachable, "no route to the host"),
            (error.ConnectError(string=_SECRET), UpstreamUnreachable, "connection failed"),
            (
                error.ConnectBindError(24, _SECRET),
                NoUpstream,
                "aiproxy has no connection left",
            ),
            (error.TimeoutError(_SECRET), UpstreamTimeout, "no connection in time"),
            (error.TCPTimedOutError(_SECRET), UpstreamTimeout, "no connection in time"),
            (error.ConnectionLost(_SECRET), UpstreamUnreachable, "lost"),
            (OSError(_SECRET), UpstreamUnreachable, "lost"),
            (
                SSL.Error([("SSL routines", "", "certificate verify failed")]),
                UpstreamUnreachable,
                "TLS certificate not trusted: certificate verify failed",
            ),
            (SSL.Error([]), UpstreamUnreachable, "TLS failed: handshake failed"),
            (SSL.SysCallError(-1, _SECRET), UpstreamUnreachable, "TLS failed: handshake failed"),
            (
                VerificationError(errors=[]),
                UpstreamUnreachable,
                "TLS certificate not trusted: it is for another host",
            ),
            (UpstreamTimeout("ours"), UpstreamTimeout, "ours"),
        ]
        for problem, kind, message in table:
            for wrapped in (problem, bundle(ResponseNeverReceived, problem)):
                found = explained(wrapped, "lost")
                self.assertIsInstance(found, kind)
                self.assertEqual(str(found), message)

    def test_cancelled(self) -> None:
        """A cancelled caller stays one, however deep that is buried."""
        for problem in (
            CancelledError(),
            error.ConnectingCancelledError(None),
            bundle(ResponseNeverReceived, CancelledError()),
            bundle(
                ResponseFailed, error.ConnectionLost(), bundle(ResponseFailed, CancelledError())
            ),
        ):
            self.assertIsInstance(explained(problem, "lost"), CancelledError)

    def test_not_http(self) -> None:
        """A bundle without any known reason is an answer that could not be parsed."""
        self.assertIsInstance(
            explained(bundle(ResponseFailed, KeyError("gopher")), "lost"), UpstreamProtocolError
        )

    def test_unknown(self) -> None:
        """Other errors are logged by kind, without their text."""
        with capturedLogs() as logs:
            found = explained(SchemeNotSupported(_SECRET), "lost")
        self.assertIsInstance(found, UpstreamUnreachable)
        self.assertNotIn("secret", str(found) + repr(logs))
        self.assertIn("SchemeNotSupported", repr(logs))


class LostBeforeAnswerTests(SynchronousTestCase):
    """When a request may be sent again."""

    def test_table(self) -> None:
        """Only a connection that broke by itself before the first byte of an answer counts."""
        lost = error.ConnectionDone()
        self.assertTrue(is_lost_before_answer(bundle(ResponseNeverReceived, lost)))
        self.assertTrue(is_lost_before_answer(RequestTransmissionFailed([Failure(lost)])))
        for problem in (
            lost,
            bundle(ResponseFailed, lost),
            bundle(ResponseNeverReceived, lost, CancelledError()),
            bundle(ResponseNeverReceived, VerificationError(errors=[])),
            error.ConnectionRefusedError(),
        ):
            self.assertFalse(is_lost_before_answer(problem))
