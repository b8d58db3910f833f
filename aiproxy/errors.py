"""
Everything that can go wrong, sorted by whose fault it is and what follows.

AIProxyError
├── BadRequest             the client's fault: answered at once, no attempt made
├── SettingsError          the operator's fault: start or reload refused
├── CredentialError        this credential cannot be used: next credential
│   └── CredentialDisabled     until a person acts
├── NoUpstream             nothing is left to try
└── UpstreamError          the upstream's fault: routing.faults says what follows
    ├── UpstreamUnreachable    no connection: DNS, refused, TLS, reset
    ├── UpstreamTimeout        a clock ran out
    ├── UpstreamRefused        it answered with an error, as a status or in a stream
    └── UpstreamProtocolError  it answered something that is not its protocol

Every error carries the `ErrorReply` that a client may see: no URL, no secret.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, TypeVar

ErrorKind: TypeAlias = Literal[
    "invalid_request",
    "context_length",
    "content_policy",
    "authentication",
    "permission",
    "quota",
    "not_found",
    "model_not_found",
    "method_not_allowed",
    "conflict",
    "too_large",
    "rate_limit",
    "overloaded",
    "timeout",
    "unreachable",
    "upstream",
    "unavailable",
    "internal",
]


@dataclass(frozen=True, slots=True)
class Native:
    """
    The bytes of an error as an upstream wrote them.

    wire: whose dialect they are; a client of the same wire gets them unchanged.
    """

    wire: str
    body: bytes


@dataclass(frozen=True, slots=True)
class ErrorReply:
    """
    An error as an answer, in no dialect.

    status: HTTP status as the Anthropic dialect would use it (529 exists, for instance).
    message: for a person; never a URL, a secret or a path of ours.
    code: the upstream's own code word, when it gave one.
    param: the request field at fault, when known.
    retry_after: seconds, when a wait is known to help.
    native: the upstream's own bytes, when there are some.
    model_only: it says nothing of what the same credential may get from other models.
    """

    status: int
    kind: ErrorKind
    message: str
    code: str | None = None
    param: str | None = None
    retry_after: float | None = None
    native: Native | None = None
    model_only: bool = False


E = TypeVar("E", bound="AIProxyError")


class AIProxyError(Exception):
    """Root of our exceptions."""

    def __init__(self, reply: ErrorReply) -> None:
        super().__init__(reply.message)
        self.reply = reply

    def anew(self: E) -> E:
        """
        The same error, not raised yet.

        What is kept must be raised so: an error holds the frames that it came through, and they
        what they worked on. Each raise adds to them.
        """
        fresh = type(self).__new__(type(self), *self.args)
        fresh.__dict__.update(self.__dict__)
        return fresh


class BadRequest(AIProxyError):
    """The client's request cannot be served as it stands."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        kind: ErrorKind = "invalid_request",
        param: str | None = None,
    ) -> None:
        super().__init__(ErrorReply(status, kind, message, param=param))


class SettingsError(AIProxyError):
    """
    A configuration that cannot be used.

    problems: every problem found, one line each, in file order.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__(ErrorReply(500, "internal", "\n".join(problems)))
        self.problems = tuple(problems)


class CredentialError(AIProxyError):
    """
    One credential cannot be used now.

    message: for the operator; may name a file, never a secret.
    """

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        # The status is what upstreams say of credentials. The message is not for clients.
        super().__init__(ErrorReply(403, "upstream", message, retry_after=retry_after))


class CredentialDisabled(CredentialError):
    """One credential cannot be used until a person renews it."""


class NoUpstream(AIProxyError):
    """
    No upstream could be asked.

    kind: "model_not_found" when none serves the model, "unavailable" when all that do are resting.
    """

    def __init__(
        self, message: str, *, status: int, kind: ErrorKind, retry_after: float | None = None
    ) -> None:
        super().__init__(ErrorReply(status, kind, message, retry_after=retry_after))


class UpstreamError(AIProxyError):
    """An attempt failed at the upstream."""


class UpstreamUnreachable(UpstreamError):
    """There was no connection, or it broke."""

    def __init__(self, message: str) -> None:
        super().__init__(ErrorReply(502, "unreachable", message))


class UpstreamTimeout(UpstreamError):
    """The upstream was silent for too long."""

    def __init__(self, message: str) -> None:
        super().__init__(ErrorReply(504, "timeout", message))


class UpstreamRefused(UpstreamError):
    """The upstream answered with an error of its own."""


class UpstreamProtocolError(UpstreamError):
    """The upstream's bytes are not what its protocol says."""

    def __init__(self, message: str) -> None:
        super().__init__(ErrorReply(502, "upstream", message))
