"""
`docs/faults.md`, made from the table and the code: `python -m tests.faults.page > docs/faults.md`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from aiproxy.framing.sse import MAX_EVENT_BYTES
from aiproxy.routing.budget import BURST, PER_SECOND
from aiproxy.routing.faults import MAX_PATIENCE_SECONDS
from aiproxy.routing.retryafter import MAX_SECONDS
from aiproxy.translate.answering import MAX_ANSWER_BYTES
from aiproxy.translate.attempt import MAX_ERROR_BYTES, MAX_ERROR_SECONDS
from aiproxy.web.channel import IDLE_SECONDS, MAX_HEAD_BYTES, STALLED_SECONDS
from aiproxy.wire.closed import assert_never
from aiproxy.wire.jsontext import MAX_DEPTH
from tests.faults.table import ROWS, Answered, Broken, Refused, Row, Seen

_MIB = 1024 * 1024

INTRO = f"""\
# When things go wrong

<!-- Written by `make docs` from the code; a test fails when it is not up to date. -->

Until an upstream has given its first content, nothing of it has reached the client: whatever goes
wrong before that is hidden by the next upstream, while heartbeats keep the client waiting. After
that nobody can take over: the client gets its dialect's error event and no regular end.

An upstream that is alone with its model is asked a second time after a fault that may be over, but
never after a silence. When it names a pause of at most {MAX_PATIENCE_SECONDS:g} seconds, that is
waited for. Each upstream gives {BURST:g} such second chances at once and {PER_SECOND:g} more each
second, so that its trouble is not multiplied. A pause that an upstream asks for, by `Retry-After`,
by its rate limits or in words, is kept up to {MAX_SECONDS / 60:g} minutes.

`make faults` tries each row with four kinds of client on four kinds of upstream.

| fault | streamed | whole | with another upstream | breaker |
|---|---|---|---|---|
"""

KEY = """\

| | |
|---|---|
| answer | the complete answer |
| 502 … | an error in the client's dialect with this status |
| cut | the beginning of an answer, the dialect's error event, and no regular end |
| ×2 | that many attempts, the answer's `x-aiproxy-attempts` |
| counts | a failure; `circuit_breaker.failures` of them in a row let the upstream rest |
| rests | it is not asked for as long as it wanted, and nothing is counted |

A dialect that lacks a status says the nearest. An overloaded upstream (529) is told as 503.
"""

CLOCKS = f"""
## Clocks

| clock | of `timeouts` | what it limits |
|---|---|---|
| connecting | `connect` | name lookup, TCP and TLS |
| headers | `headers` | from the connection to the head of a streamed answer |
| whole answer | `whole_answer` | an answer that is not streamed, head and body each |
| first content | `first_event` | from a stream's head to its first content or thought, not pings |
| silence | `idle` | between two events of a stream; comments do not help |
| pings only | `whole_answer` | how long a begun stream lives on pings without content |
| error body | | {MAX_ERROR_SECONDS:g} seconds, then the status tells enough |
| client's head | `client_header` | for all of a request's headers |
| client's body | `client_body` | for each KiB of progress |
| slow client | | {STALLED_SECONDS:g} seconds without taking a byte of what waits for it |
| idle client | | {IDLE_SECONDS:g} seconds between two requests on one connection |

All but the last four can be set for each upstream. Time in which aiproxy itself has stopped
reading, because the client is slow, does not count.
"""

LIMITS = f"""
## Limits

| what | limit | beyond it |
|---|---|---|
| head of a request | {MAX_HEAD_BYTES // 1024} KiB | 431 |
| body of a request, sent and inflated | `max_request_bytes` | 413 |
| nesting of JSON | {MAX_DEPTH} levels where it is translated | 400 |
| calls at a time | `max_concurrent_requests` | 503 with `Retry-After` |
| connections of clients | as the limit of open files allows | idle ones end, or new ones wait |
| whole answer of an upstream, inflated | {MAX_ANSWER_BYTES // _MIB} MiB | a fault |
| one event of an upstream | {MAX_EVENT_BYTES // _MIB} MiB | a fault |
| error body of an upstream | {MAX_ERROR_BYTES // 1024} KiB | only its status counts |
"""


def page() -> str:
    return INTRO + "".join(_lines()) + KEY + CLOCKS + LIMITS


def _lines() -> Iterator[str]:
    for row in ROWS:
        cells = (row.what, shown(row.streamed), shown(row.whole), shown(row.rescued), _verdict(row))
        yield f"| {' | '.join(cells)} |\n"
        for other in row.unlike:
            seen = (other.streamed, other.whole, other.rescued)
            yield f"| – {other.why} | {' | '.join(map(shown, seen))} | |\n"


def shown(seen: Seen) -> str:
    """What a client sees, and after how many attempts."""
    match seen:
        case Answered():
            what = "answer"
        case Refused():
            what = str(seen.status)
        case Broken():
            what = "cut"
        case _:
            assert_never(seen)
    return f"{what} ×{seen.attempts}" if seen.attempts > 1 else what


def _verdict(row: Row) -> str:
    return {"open": "counts", "closed": "–", "resting": "rests"}[row.breaker]


if __name__ == "__main__":
    sys.stdout.write(page())
