"""
Errors of the libraries, mapped once to ours.

The messages go to clients and logs: they never hold a URL, a host name or an address.
"""

from __future__ import annotations

from collections.abc import Iterator

from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet import error
from twisted.internet.defer import CancelledError
from twisted.logger import Logger
from twisted.web.client import (
    RequestGenerationFailed,
    RequestTransmissionFailed,
    ResponseFailed,
    ResponseNeverReceived,
)

from aiproxy.errors import (
    AIProxyError,
    NoUpstream,
    UpstreamProtocolError,
    UpstreamTimeout,
    UpstreamUnreachable,
)

_log = Logger()

BEFORE_THE_ANSWER = "connection lost before the answer"
IN_MID_ANSWER = "connection lost in mid-answer"

_BUNDLES = (ResponseFailed, RequestGenerationFailed, RequestTransmissionFailed)
_CANCELLED = (CancelledError, error.ConnectingCancelledError)
_LOST = (error.ConnectionClosed, OSError)


def explained(problem: BaseException, lost: str) -> Exception:
    """
    The error of ours that says what `problem` says.

    lost: the message for a connection that broke, which depends on when it did.
    Gives CancelledError when the caller had cancelled, however deep that is buried; errors of ours
    stay as they are.
    """
    causes = tuple(_causes(problem))
    if any(isinstance(cause, _CANCELLED) for cause in causes):
        return CancelledError()
    for cause in causes:
        known = _known(cause, lost)
        if known is not None:
            return known
    if isinstance(problem, ResponseFailed):
        return UpstreamProtocolError("the answer is not HTTP")
    # Its text may hold anything, so the log gets only its kind.
    kinds = ", ".join(type(cause).__qualname__ for cause in causes)
    _log.error("the HTTP client could not send a request: {kinds}", kinds=kinds)
    return UpstreamUnreachable("the request could not be sent")


def is_lost_before_answer(problem: BaseException) -> bool:
    """Whether the connection broke, by itself, before the first byte of an answer."""
    if not isinstance(problem, (ResponseNeverReceived, RequestTransmissionFailed)):
        return False
    causes = tuple(_causes(problem))
    return any(isinstance(cause, _LOST) for cause in causes) and not any(
        isinstance(cause, _CANCELLED) for cause in causes
    )


def _causes(problem: BaseException) -> Iterator[BaseException]:
    """`problem` itself, or all that a bundle of failures holds."""
    if isinstance(problem, _BUNDLES):
        for reason in problem.reasons:
            yield from _causes(reason.value)
    else:
        yield problem


def _known(cause: BaseException, lost: str) -> Exception | None:
    match cause:
        case AIProxyError():
            return cause
        case VerificationError():
            return UpstreamUnreachable("TLS certificate not trusted: it is for another host")
        case SSL.Error():
            return UpstreamUnreachable(_tls_message(cause))
        case error.DNSLookupError():
            return UpstreamUnreachable("DNS lookup failed")
        case error.ConnectionRefusedError():
            return UpstreamUnreachable("connection refused")
        case error.TimeoutError() | error.TCPTimedOutError():
            return UpstreamTimeout("no connection in time")
        case error.NoRouteError():
            return UpstreamUnreachable("no route to the host")
        case error.ConnectBindError():
            # No descriptor was left, for instance: no upstream is to blame.
            message = "aiproxy has no connection left"
            return NoUpstream(message, status=503, kind="unavailable", retry_after=1.0)
        case error.ConnectError():
            return UpstreamUnreachable("connection failed")
        case error.ConnectionClosed() | OSError():
            return UpstreamUnreachable(lost)
        case _:
            return None


def _tls_message(problem: SSL.Error) -> str:
    """OpenSSL's reasons, such as "certificate verify failed": fixed texts, no data."""
    entries = problem.args[0] if problem.args and isinstance(problem.args[0], list) else []
    reasons = ", ".join(entry[2] for entry in entries) or "handshake failed"
    if "certificate verify failed" in reasons:
        return f"TLS certificate not trusted: {reasons}"
    return f"TLS failed: {reasons}"
