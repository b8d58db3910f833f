"""Answers of Code Assist as those of the Gemini API: the envelope taken off, the rest untouched."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from aiproxy.framing import sse
from aiproxy.ir import JSON
from aiproxy.wire.gemini.reply import one_line
from aiproxy.wire.jsontext import read_reply, try_read


def _as_it_is(response: bytes) -> bytes:
    return response


@dataclass(frozen=True, slots=True)
class Unwrapping:
    """
    Shape: {"response": {...}, "traceId": "..."}; see `contract.Envelope`.

    The id of the trace stands in for a `responseId` that is missing. What is not wrapped, an error
    for instance, passes.
    mend: what else is to be undone in a response.
    """

    mend: Callable[[bytes], bytes] = _as_it_is

    def message(self, message: sse.Message) -> sse.Message:
        members = try_read(message.data, dict[str, JSON])
        if members is None:
            # Not for us to judge: the wire knows which junk it takes.
            return message
        if _is_bare(members):
            return message
        inner = self._unwrapped(members)
        return sse.Message("", inner, sse.encode(inner))

    def whole(self, body: bytes) -> bytes:
        members = read_reply(body, dict[str, JSON])
        return body if _is_bare(members) else self._unwrapped(members)

    def _unwrapped(self, members: dict[str, JSON]) -> bytes:
        # Google's SDKs take each line of an event for an event.
        response = one_line(members.get("response", _NOTHING))
        return self.mend(_identified(response, members.get("traceId")))


_NOTHING = JSON(b"{}")


def _is_bare(members: dict[str, JSON]) -> bool:
    return "response" not in members and bool(members.keys() & {"candidates", "error"})


def _identified(response: bytes, trace: JSON | None) -> bytes:
    """`response` with the id that every answer of the Gemini API has."""
    if trace is None or not bytes(trace).startswith(b'"') or not response.startswith(b"{"):
        return response
    if b'"responseId"' in response and "responseId" in (try_read(response, dict[str, JSON]) or {}):
        return response
    rest = response[1:].lstrip()
    comma = b"" if rest.startswith(b"}") else b","
    return b'{"responseId":' + bytes(trace) + comma + rest
