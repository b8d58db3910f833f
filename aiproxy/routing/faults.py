"""
What follows from each way in which an attempt can fail: one table, data not code.

`classify` finds the row of an error; the attempt loop and the balancer obey the row. After all
attempts `final_reply` says what the client gets. A client that leaves is no fault and never
reaches this table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from aiproxy.errors import AIProxyError, BadRequest, CredentialError, ErrorKind, ErrorReply

FaultName: TypeAlias = Literal[
    "request", "policy", "not_found", "unauthenticated", "credential", "throttled", "upstream"
]

Counts: TypeAlias = Literal["never", "once", "unless_paused"]
Repeat: TypeAlias = Literal["never", "at_once", "after_pause"]

MAX_PATIENCE_SECONDS = 3.0
"""A client that could have an answer elsewhere, or an error now, waits no longer than this."""


@dataclass(frozen=True, slots=True)
class Fault:
    """
    One row.

    other_credential: try another credential of the same upstream, each at most once.
    elsewhere: before that, try the upstream's other endpoints with this one, each at most once.
    refresh: renew this credential and try it once more before another one.
    next_upstream: try the other upstreams, each at most once.
    repeat: when no other upstream is free, try this one once more, see `patience`.
    counts: for the breaker, once per upstream and call, however many credentials were tried;
        "unless_paused" when a Retry-After pause will do instead.
    rank: of several faults in one call the client hears of the lowest.
    passes: upstream statuses that the client gets as they are, None for all errors.
    statuses: what it gets for the others, by kind.
    status: what it gets for the rest.
    kinds: what the client may hear of, the first standing in for others; () for all.
    keeps_words: the client sees the upstream's own message and bytes.
    """

    name: FaultName
    other_credential: bool
    next_upstream: bool
    counts: Counts
    rank: int
    elsewhere: bool = False
    refresh: bool = False
    repeat: Repeat = "never"
    passes: frozenset[int] | None = frozenset()
    statuses: tuple[tuple[ErrorKind, int], ...] = ()
    status: int = 502
    kinds: tuple[ErrorKind, ...] = ("upstream",)
    keeps_words: bool = True

    def counted(self, retry_after: float | None, cooldown_seconds: float) -> bool:
        """
        Whether the breaker counts it.

        retry_after: seconds that the upstream asked for. cooldown_seconds: of the breaker.
        """
        if self.counts == "unless_paused":
            return not (retry_after and retry_after < cooldown_seconds)
        return self.counts == "once"

    def patience(self, reply: ErrorReply) -> float | None:
        """
        Seconds until the same upstream may be tried once more; None when it may not.

        What it asked for, if that is not long. A silent upstream has cost enough time already.
        """
        pause = reply.retry_after
        if self.repeat == "never" or reply.kind == "timeout":
            return None
        if pause is None:
            return 0.0 if self.repeat == "at_once" else None
        return pause if pause <= MAX_PATIENCE_SECONDS else None


POLICY = Fault(
    "policy",
    other_credential=False,
    next_upstream=False,
    counts="never",
    rank=0,
    passes=None,
    status=400,
    kinds=(),
)
REQUEST = replace(POLICY, name="request", next_upstream=True, rank=1)
THROTTLED = Fault(
    "throttled",
    other_credential=True,
    elsewhere=True,
    next_upstream=True,
    counts="unless_paused",
    rank=2,
    repeat="after_pause",
    passes=frozenset({429, 503}),
    statuses=(("rate_limit", 429),),
    status=503,
    kinds=("rate_limit", "overloaded"),
)
NOT_FOUND = Fault(
    "not_found",
    other_credential=False,
    elsewhere=True,
    next_upstream=True,
    counts="once",
    rank=3,
    status=404,
    kinds=("not_found", "model_not_found"),
)
CREDENTIAL = Fault(
    "credential",
    other_credential=True,
    next_upstream=True,
    counts="once",
    rank=4,
    keeps_words=False,
)
UNAUTHENTICATED = replace(CREDENTIAL, name="unauthenticated", refresh=True)
UPSTREAM = Fault(
    "upstream",
    other_credential=False,
    elsewhere=True,
    next_upstream=True,
    counts="once",
    rank=5,
    repeat="at_once",
    passes=frozenset({502, 503, 504}),
    statuses=(("timeout", 504), ("unavailable", 503)),
    kinds=("upstream", "timeout", "unreachable", "unavailable"),
)

TABLE: tuple[Fault, ...] = (
    REQUEST,
    POLICY,
    NOT_FOUND,
    UNAUTHENTICATED,
    CREDENTIAL,
    THROTTLED,
    UPSTREAM,
)

_BY_KIND: Mapping[ErrorKind, Fault] = {
    "invalid_request": REQUEST,
    "context_length": REQUEST,
    "too_large": REQUEST,
    "content_policy": POLICY,
    "not_found": NOT_FOUND,
    "model_not_found": NOT_FOUND,
    "authentication": UNAUTHENTICATED,
    "permission": CREDENTIAL,
    "quota": CREDENTIAL,
    "rate_limit": THROTTLED,
    "overloaded": THROTTLED,
    "method_not_allowed": UPSTREAM,
    "conflict": UPSTREAM,
    "timeout": UPSTREAM,
    "unreachable": UPSTREAM,
    "upstream": UPSTREAM,
    "unavailable": UPSTREAM,
    "internal": UPSTREAM,
}

_VAGUE: frozenset[ErrorKind] = frozenset({"invalid_request", "upstream", "internal"})
"""Kinds that vendors use for anything, so that the status knows more."""

_BY_STATUS: Mapping[int, Fault] = {
    401: UNAUTHENTICATED,
    402: CREDENTIAL,
    403: CREDENTIAL,
    404: NOT_FOUND,
    # Not the request's shape: another try may succeed.
    405: UPSTREAM,
    407: UPSTREAM,
    408: UPSTREAM,
    409: UPSTREAM,
    421: UPSTREAM,
    425: UPSTREAM,
    429: THROTTLED,
    499: UPSTREAM,
    529: THROTTLED,
}

_OUR_WORDS: Mapping[ErrorKind, str] = {
    "authentication": "The upstream did not accept the credential that aiproxy has for it.",
    "permission": "The upstream does not allow this with the credential that aiproxy has for it.",
    "quota": "The quota or balance that aiproxy has at the upstream is used up.",
}
_OTHER_WORDS = "No credential that aiproxy has for the upstream can be used now."


def classify(error: AIProxyError) -> Fault:
    """The row of what went wrong in one attempt."""
    if isinstance(error, BadRequest):
        return REQUEST
    if isinstance(error, CredentialError):
        return CREDENTIAL
    return classify_reply(error.reply)


def classify_reply(reply: ErrorReply) -> Fault:
    """The row of an upstream's answer: by its kind, or by its status where the kind is vague."""
    if reply.kind in _VAGUE:
        fault = _BY_STATUS.get(reply.status)
        if fault is not None:
            return fault
        if 400 <= reply.status < 500:
            return REQUEST
        if reply.status >= 500:
            return UPSTREAM
    return _BY_KIND[reply.kind]


def most_telling(replies: Sequence[ErrorReply]) -> ErrorReply:
    """
    Of all that went wrong in a call, what helps the client most; the first among equals.

    When that is a pause, it is the shortest that any upstream asked for.
    Raises: ValueError when there are none.
    """
    chosen = min(replies, key=_rank)
    if classify_reply(chosen) is not THROTTLED:
        return chosen
    pauses = [
        reply.retry_after
        for reply in replies
        if reply.retry_after is not None and classify_reply(reply) is THROTTLED
    ]
    return replace(chosen, retry_after=min(pauses, default=None))


def client_reply(reply: ErrorReply) -> ErrorReply:
    """
    An upstream's error as the client may see it.

    A fault of our credential never looks like one of the client's: 502, in our words.
    """
    fault = classify_reply(reply)
    if not fault.keeps_words:
        words = _OUR_WORDS.get(reply.kind, _OTHER_WORDS)
        return ErrorReply(fault.status, fault.kinds[0], words, retry_after=reply.retry_after)
    return replace(
        reply,
        status=_client_status(fault, reply),
        kind=reply.kind if reply.kind in fault.kinds or not fault.kinds else fault.kinds[0],
        native=None if fault is UPSTREAM else reply.native,
    )


def final_reply(replies: Sequence[ErrorReply]) -> ErrorReply:
    """What the client gets when every attempt failed. Raises: ValueError when there was none."""
    return client_reply(most_telling(replies))


def _client_status(fault: Fault, reply: ErrorReply) -> int:
    passes = reply.status >= 400 if fault.passes is None else reply.status in fault.passes
    if passes:
        return reply.status
    return dict(fault.statuses).get(reply.kind, fault.status)


def _rank(reply: ErrorReply) -> tuple[int, bool]:
    fault = classify_reply(reply)
    # Among upstream faults an answer tells more than a silence.
    return fault.rank, reply.kind in ("unreachable", "timeout")
