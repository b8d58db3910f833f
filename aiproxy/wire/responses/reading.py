"""Messages of a stream as events, the noise between them skipped."""

from __future__ import annotations

from collections.abc import Container

import msgspec

from aiproxy.errors import UpstreamProtocolError
from aiproxy.framing import sse
from aiproxy.wire.jsontext import try_read
from aiproxy.wire.responses import shapes

_MAX_JUNK = 3
"""Messages in a row that are no JSON: after these it is no such stream."""

_decode_event = msgspec.json.Decoder(shapes.StreamEvent).decode
_TROUBLE = (msgspec.MsgspecError, UnicodeError, RecursionError, ValueError)


class EventReader:
    """known: the types of events that must be what they say they are."""

    def __init__(self, known: Container[str]) -> None:
        self._known = known
        self._junk = 0

    def read(self, message: sse.Message) -> shapes.StreamEvent | None:
        """
        The event in a message, None when it tells us nothing.

        Raises: UpstreamProtocolError when part of the answer would be lost with it.
        """
        if message.data == b"[DONE]":
            return None
        try:
            event = _decode_event(message.data)
        except _TROUBLE:
            typed = try_read(message.data, shapes.Typed)
            if typed is not None and (typed.type or message.event) in self._known:
                raise UpstreamProtocolError(
                    "an event of the upstream's has a wrong shape"
                ) from None
            self._junk = 0 if typed is not None else self._junk + 1
            if self._junk >= _MAX_JUNK:
                raise UpstreamProtocolError("the upstream's stream is not JSON") from None
            return None
        self._junk = 0
        return event
