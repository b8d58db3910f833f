"""
What goes wrong, and what must follow: the one table that the tests, `make faults` and the manual
read.

Every row holds for each protocol of a client and each kind of upstream. It is tried on an upstream
that is alone with its model, first with a streamed call and then with a whole one, and on one
beside which a good upstream stands. Two counted failures open a breaker here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

Place: TypeAlias = Literal["usual", "hasty", "closed", "blackhole", "tls", "untrusted"]
"""
Where the upstream is: the simulator ("usual" with long clocks, "hasty" with short ones), a closed
port, one where nobody answers a handshake, one that does not speak TLS, or not with a certificate
that anybody knows.
"""

Breaker: TypeAlias = Literal["closed", "open", "resting"]
"""resting: not asked again for as long as it wanted, and nothing counted."""


@dataclass(frozen=True, slots=True)
class Answered:
    """The client gets a whole answer, streamed to its end where it asked for a stream."""

    attempts: int


@dataclass(frozen=True, slots=True)
class Refused:
    """The client gets an error in its dialect, with this HTTP status, instead of any answer."""

    status: int
    attempts: int = 1


@dataclass(frozen=True, slots=True)
class Broken:
    """The client gets the beginning of an answer, then its dialect's error, and no regular end."""

    attempts: int = 1


Seen: TypeAlias = Answered | Refused | Broken


@dataclass(frozen=True, slots=True)
class Unlike:
    """Where a row is another one. why: for people. wire, api_type: "" for any."""

    why: str
    streamed: Seen
    whole: Seen
    rescued: Seen
    wire: str = ""
    api_type: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """
    One fault.

    name: words for the simulator, or of a place. what: for people. streamed, whole: what a client
    sees of an upstream that is alone. rescued: what a client of a stream sees when another upstream
    could answer. breaker: what it says of the lone upstream after both calls. unlike: wires (of
    clients) or api_types for which something else is due. at_once: cells, where one is much work.
    """

    name: str
    what: str
    streamed: Seen
    whole: Seen
    rescued: Seen
    breaker: Breaker
    place: Place = "usual"
    unlike: tuple[Unlike, ...] = ()
    at_once: int = 16

    def due(self, wire: str, api_type: str) -> Row:
        """The row as it is for one client and one kind of upstream."""
        for other in self.unlike:
            if other.wire in (wire, "") and other.api_type in (api_type, ""):
                return replace(
                    self, streamed=other.streamed, whole=other.whole, rescued=other.rescued
                )
        return self


_TAKEN_OVER = Answered(2)


def _down(name: str, what: str, place: Place = "usual") -> Row:
    """A fault before any content, after which it is worth while to ask at once again."""
    return Row(name, what, Refused(502, 2), Refused(502, 2), _TAKEN_OVER, "open", place)


def _silent(name: str, what: str, place: Place = "hasty") -> Row:
    """A fault that has cost the client time already."""
    return Row(name, what, Refused(504), Refused(504), _TAKEN_OVER, "open", place)


def _cut(name: str, what: str, whole: Seen = Refused(502, 2), place: Place = "usual") -> Row:
    """A fault after content: too late for another upstream, unless the answer is whole."""
    return Row(name, what, Broken(), whole, Broken(), "open", place)


def _asked_wrong(name: str, what: str, status: int) -> Row:
    """The request's own fault: another upstream may think otherwise, none of them is to blame."""
    return Row(name, what, Refused(status), Refused(status), _TAKEN_OVER, "closed")


def _unpaid(name: str, what: str) -> Row:
    """Our credential's fault; never told as the client's."""
    return Row(name, what, Refused(502), Refused(502), _TAKEN_OVER, "open")


def _throttled(name: str, what: str, status: int) -> Row:
    """Too much at once, and nobody says for how long."""
    return Row(name, what, Refused(status), Refused(status), _TAKEN_OVER, "open")


def _recovered(name: str, what: str, rescued: Seen = _TAKEN_OVER, whole: int = 1) -> Row:
    """A fault that is over when the same upstream is asked once more."""
    return Row(name, what, Answered(2), Answered(whole), rescued, "closed")


def _harmless(name: str, what: str) -> Row:
    return Row(name, what, Answered(1), Answered(1), Answered(1), "closed")


ROWS: tuple[Row, ...] = (
    Row(
        "error-429-wait-60s",
        "429, to be asked again in a minute",
        Refused(429),
        Refused(503, 0),
        _TAKEN_OVER,
        "resting",
    ),
    _throttled("error-429-no-wait", "429 without a time", 429),
    _recovered("fail-1-429-wait-50ms", "429 once, to be asked again at once"),
    _throttled("error-529-no-wait", "overloaded (529)", 503),
    _recovered("fail-1-500", "500 once"),
    _down("error-500", "500 for ever"),
    _throttled("error-503-no-wait", "503 for ever", 503),
    _recovered("flap-500", "every other call fails", whole=2),
    _down("closed-port", "nobody listens", "closed"),
    _silent("blackhole", "no answer to the TCP handshake", "blackhole"),
    _down("no-tls", "no TLS where there should be", "tls"),
    _down("untrusted", "a certificate that nobody knows", "untrusted"),
    _down("reset", "reset before the headers"),
    _down("cut-head", "closed before the headers"),
    _silent("stall-head", "accepts, and never answers"),
    _silent("slow-start-600s", "headers, then silence"),
    _silent("pings-start", "nothing but the dialect's pings"),
    _silent("comments-start", "nothing but comments"),
    _down("cut-start", "cut before any content"),
    _cut("cut-mid", "cut in the middle of a text"),
    replace(
        _cut("tool-cut-mid", "cut in the middle of a tool's arguments"),
        unlike=(
            Unlike(
                "Gemini's calls come whole",
                Refused(502, 2),
                Refused(502, 2),
                _TAKEN_OVER,
                api_type="gemini",
            ),
        ),
    ),
    _cut("torn", "cut in the middle of a UTF-8 character"),
    _cut("stall-mid", "stalls after some text", Refused(504), "hasty"),
    _cut("pings-mid", "some text, then pings for ever", Refused(504), "hasty"),
    _cut("comments-mid", "some text, then comments for ever", Refused(504), "hasty"),
    _down("junk-head", "an event that is not JSON, then the end"),
    _cut("junk-mid", "the same after some text"),
    replace(_down("oversized-start", "an event larger than 32 MiB"), at_once=3),
    _cut("unfinished", "no reason to stop, no terminal event"),
    _harmless("unmarked", "a reason to stop, but no terminal marker"),
    _throttled("broken-head-no-wait", "an error as the first event", 503),
    _cut("broken-mid-no-wait", "an error after some text", Refused(503)),
    _throttled("error-json-no-wait", "an error as the JSON of a 200", 503),
    _down("empty", "an answer without content"),
    _down("notice", "plain text instead of an answer"),
    _down("html", "a web page with status 200"),
    _down("html-502", "a web page with status 502"),
    _down("html-302", "a redirect"),
    _harmless("untyped", "an unknown Content-Type, but a good answer"),
    _down("gzip-lie", "plain bytes, said to be gzip"),
    _asked_wrong("error-400", "400", 400),
    _asked_wrong("context-too-long", "400, the context is too long", 400),
    _asked_wrong("error-413", "413", 413),
    _asked_wrong("error-422", "422", 422),
    Row(
        "content-policy",
        "400, against the content policy",
        Refused(400),
        Refused(400),
        Refused(400),
        "closed",
    ),
    _unpaid("error-401", "401"),
    _unpaid("error-403", "403"),
    _unpaid("quota", "the credit is used up"),
    Row(
        "error-404",
        "404, an unknown model",
        Refused(404),
        Refused(404),
        _TAKEN_OVER,
        "open",
    ),
)
