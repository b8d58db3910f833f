"""The response object that a stream ends with, for clients that did not ask for a stream."""

from __future__ import annotations

from aiproxy import ir
from aiproxy.errors import UpstreamProtocolError
from aiproxy.framing import sse
from aiproxy.wire.jsontext import copied, given, raw, try_read, with_member
from aiproxy.wire.responses.shapes import ResponseObject, StreamEvent

_LAST = frozenset({"response.completed", "response.incomplete"})


class Collector:
    """
    See `contract.Collector`.

    Codex's backend leaves `output` of the last event empty: then the finished items make it up.
    Source: Codex CLI 0.169, which reads items from `response.output_item.done` only.
    """

    def __init__(self) -> None:
        self._items: dict[int, ir.JSON] = {}
        self._response: ir.JSON | None = None

    def feed(self, message: sse.Message) -> None:
        event = try_read(message.data, StreamEvent)
        if event is None:
            return
        kind = event.type or message.event
        if kind == "response.output_item.done" and given(event.item):
            self._items[event.output_index] = copied(event.item)
        elif kind in _LAST and given(event.response):
            self._response = copied(event.response)

    def body(self) -> bytes:
        if self._response is None:
            raise UpstreamProtocolError("the upstream's stream ended without a final response")
        whole = try_read(self._response, ResponseObject)
        if whole is not None and not whole.output and self._items:
            items = [self._items[index] for index in sorted(self._items)]
            return with_member(bytes(self._response), "output", raw(items))
        return bytes(self._response)
