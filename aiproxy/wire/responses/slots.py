"""
Output items under construction: the events that announce each and its final form.

An event is its type and its fields, without `type` and `sequence_number`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

from aiproxy import ir
from aiproxy.wire.jsontext import raw, try_read, write
from aiproxy.wire.logprobs import written
from aiproxy.wire.names import derived_id
from aiproxy.wire.responses import native
from aiproxy.wire.responses.shapes import Typed

Event: TypeAlias = tuple[str, dict[str, Any]]


class Growing:
    """
    A text that grows, within an item.

    delta_type: of the event that adds to it. place: what names the text in its events.
    """

    delta_type: str
    done_type: str
    done_field = "text"

    def __init__(self, place: dict[str, Any]) -> None:
        self.place = place
        self.is_open = True
        self._pieces: list[str] = []
        head = write({"type": self.delta_type, **place})[:-1] + b',"delta":'
        self._head = b"event: %b\ndata: %b" % (self.delta_type.encode(), head)

    @property
    def text(self) -> str:
        return "".join(self._pieces)

    def delta(self, text: str, sequence_number: int) -> bytes:
        """The event that adds `text`, ready to send: by far the most frequent of all."""
        self._pieces.append(text)
        return b'%b%b%b"sequence_number":%d}\n\n' % (
            self._head,
            write(text),
            self.delta_tail,
            sequence_number,
        )

    delta_tail = b","

    def opened(self) -> Iterator[Event]:
        yield from ()

    def closed(self) -> Iterator[Event]:
        self.is_open = False
        yield self.done_type, {**self.place, self.done_field: self.text}


class Slot:
    """One item of the output, at a fixed place."""

    prefix: str

    def __init__(self, response_id: str, index: int) -> None:
        self.index = index
        self.id = derived_id(self.prefix, response_id, index)
        self.is_done = False

    @property
    def place(self) -> dict[str, Any]:
        return {"item_id": self.id, "output_index": self.index}

    def item(self, status: str) -> Any:
        raise NotImplementedError

    def added(self) -> Iterator[Event]:
        item = self.item("in_progress")
        yield "response.output_item.added", {"output_index": self.index, "item": item}

    def done(self) -> Iterator[Event]:
        self.is_done = True
        item = self.item("completed")
        yield "response.output_item.done", {"output_index": self.index, "item": item}


# ── messages ──


class TextPart(Growing):
    """logprobs: told with the whole text, where the vendor repeats them."""

    delta_type = "response.output_text.delta"
    done_type = "response.output_text.done"
    delta_tail = b',"logprobs":[],'

    def __init__(self, place: dict[str, Any]) -> None:
        super().__init__(place)
        self._annotations: list[dict[str, Any]] = []
        self._unplaced: list[ir.Citation] = []
        self.logprobs: list[ir.Logprob] = []

    def object(self) -> dict[str, Any]:
        annotations = list(self._annotations)
        text = {"type": "output_text", "text": self.text, "annotations": annotations}
        return {**text, "logprobs": written(self.logprobs)} if self.logprobs else text

    def opened(self) -> Iterator[Event]:
        yield "response.content_part.added", {**self.place, "part": self.object()}

    def closed(self) -> Iterator[Event]:
        self.is_open = False
        for citation in self._unplaced:
            yield self._annotated(citation)
        likely = written(self.logprobs)
        yield self.done_type, {**self.place, "text": self.text, "logprobs": likely}
        yield "response.content_part.done", {**self.place, "part": self.object()}

    def cited(self, citation: ir.Citation) -> Iterator[Event]:
        """A source without a place is one for the whole text, and waits for its end."""
        if citation.start is None or citation.end is None:
            self._unplaced.append(citation)
        else:
            yield self._annotated(citation)

    def _annotated(self, citation: ir.Citation) -> Event:
        annotation = url_citation(citation, len(self.text))
        fields = {"annotation_index": len(self._annotations), "annotation": annotation}
        self._annotations.append(annotation)
        return "response.output_text.annotation.added", {**self.place, **fields}


class RefusalPart(Growing):
    delta_type = "response.refusal.delta"
    done_type = "response.refusal.done"
    done_field = "refusal"

    def object(self) -> dict[str, Any]:
        return {"type": "refusal", "refusal": self.text}

    def opened(self) -> Iterator[Event]:
        yield "response.content_part.added", {**self.place, "part": self.object()}

    def closed(self) -> Iterator[Event]:
        yield from super().closed()
        yield "response.content_part.done", {**self.place, "part": self.object()}


class MessageSlot(Slot):
    prefix = "msg_"

    def __init__(self, response_id: str, index: int) -> None:
        super().__init__(response_id, index)
        self.parts: list[TextPart | RefusalPart] = []

    def part(self, kind: type[TextPart] | type[RefusalPart]) -> TextPart | RefusalPart:
        """A new part at the end."""
        part = kind({**self.place, "content_index": len(self.parts)})
        self.parts.append(part)
        return part

    @property
    def is_idle(self) -> bool:
        return not any(part.is_open for part in self.parts)

    def item(self, status: str) -> dict[str, Any]:
        return {
            "id": self.id,
            "type": "message",
            "status": status,
            "role": "assistant",
            "content": [part.object() for part in self.parts],
        }


# ── reasoning ──


class _Summary(Growing):
    delta_type = "response.reasoning_summary_text.delta"
    done_type = "response.reasoning_summary_text.done"


class ThoughtSlot(Slot):
    """
    A reasoning item.

    All that models think is shown as a summary, the only form that every client displays.
    """

    prefix = "rs_"

    def __init__(self, response_id: str, index: int, encrypted: str | None) -> None:
        super().__init__(response_id, index)
        self.encrypted = encrypted
        self.summary: _Summary | None = None

    def open_summary(self) -> Iterator[Event]:
        if self.summary is None:
            self.summary = _Summary({**self.place, "summary_index": 0})
            part = {"type": "summary_text", "text": ""}
            yield "response.reasoning_summary_part.added", {**self.summary.place, "part": part}

    def close_summary(self) -> Iterator[Event]:
        if self.summary is not None:
            yield from self.summary.closed()
            part = {"type": "summary_text", "text": self.summary.text}
            yield "response.reasoning_summary_part.done", {**self.summary.place, "part": part}

    def item(self, status: str) -> dict[str, Any]:
        item: dict[str, Any] = {"id": self.id, "type": "reasoning", "summary": []}
        if status == "completed":
            if self.summary is not None:
                item["summary"] = [{"type": "summary_text", "text": self.summary.text}]
            if self.encrypted is not None:
                item["encrypted_content"] = self.encrypted
        return item


# ── calls ──


class _Arguments(Growing):
    delta_type = "response.function_call_arguments.delta"
    done_type = "response.function_call_arguments.done"
    done_field = "arguments"


class _Input(Growing):
    delta_type = "response.custom_tool_call_input.delta"
    done_type = "response.custom_tool_call_input.done"
    done_field = "input"


class CallSlot(Slot):
    """A function call or a custom tool's call."""

    def __init__(self, response_id: str, index: int, call: ir.ToolCall) -> None:
        self._call = call
        self.is_custom = call.kind == "custom"
        self.prefix = "ctc_" if self.is_custom else "fc_"
        super().__init__(response_id, index)
        self._call_id = call.id or derived_id("call_", response_id, index)
        self.arguments: Growing = (_Input if self.is_custom else _Arguments)(self.place)

    def item(self, status: str) -> dict[str, Any]:
        item: dict[str, Any] = {
            "id": self.id,
            "type": "custom_tool_call" if self.is_custom else "function_call",
            "status": status,
            "call_id": self._call_id,
            "name": self._call.name,
            self.arguments.done_field: self.arguments.text,
        }
        if self._call.namespace:
            item["namespace"] = self._call.namespace
        return item


class NativeSlot(CallSlot):
    """A call of a tool with items of its own kind, which show no arguments before the end."""

    def __init__(self, response_id: str, index: int, call: ir.ToolCall) -> None:
        super().__init__(response_id, index, call)
        self.id = derived_id(native.prefix_of(call.kind), response_id, index)
        self.pieces: list[str] = []

    def item(self, status: str) -> dict[str, Any]:
        said = native.item(self._call.kind, "".join(self.pieces))
        return {"id": self.id, "status": status, "call_id": self._call_id, **said}


# ── items that come whole ──


class ImageSlot(Slot):
    """An image made by the model, as the vendor's own image tool gives it."""

    prefix = "ig_"

    def __init__(self, response_id: str, index: int, image: ir.Inline) -> None:
        super().__init__(response_id, index)
        self._image = image

    def item(self, status: str) -> dict[str, Any]:
        item: dict[str, Any] = {"id": self.id, "type": "image_generation_call", "status": status}
        if status == "completed":
            item["result"] = self._image.data
            item["output_format"] = self._image.mime.partition("/")[2]
        return item


class OpaqueSlot(Slot):
    """An item of this dialect that we do not understand."""

    prefix = "item_"

    def __init__(self, response_id: str, index: int, item: ir.Opaque) -> None:
        super().__init__(response_id, index)
        self._raw = whole_item(item)

    def item(self, status: str) -> ir.JSON:
        return self._raw


def whole_item(part: ir.Opaque) -> ir.JSON:
    """The item's own JSON, which must at least say its type."""
    typed = try_read(part.raw, Typed)
    if typed is not None and typed.type:
        return part.raw
    members = try_read(part.raw, dict[str, ir.JSON]) or {}
    return raw({**members, "type": part.kind})


def url_citation(citation: ir.Citation, length: int) -> dict[str, Any]:
    """A citation of a text of `length` characters."""
    return {
        "type": "url_citation",
        "url": citation.url,
        "title": citation.title,
        "start_index": 0 if citation.start is None else citation.start,
        "end_index": length if citation.end is None else citation.end,
    }
