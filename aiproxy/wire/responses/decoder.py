"""
An upstream's stream, read event by event.

Vendors differ: some send a text only in its `.done` event or only in the finished item, some leave
out `content_part` events or the items of the final response. So each block remembers how much of it
came, every later form of the same text adds what is missing, and items that were never streamed, or
never ended, are taken from the final response.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from aiproxy import ir
from aiproxy.errors import ErrorReply, UpstreamProtocolError
from aiproxy.framing import sse
from aiproxy.wire import logprobs
from aiproxy.wire.jsontext import copied, given, read_reply, try_read
from aiproxy.wire.leftovers import Leftovers
from aiproxy.wire.responses import errors, items, outcome, shapes
from aiproxy.wire.responses.progress import Block, Blocks, Item, Items
from aiproxy.wire.responses.reading import EventReader
from aiproxy.wire.responses.shapes import NAME, StreamEvent


class StreamDecoder:
    """Messages of one stream in, events out (see `contract.StreamDecoder`)."""

    def __init__(self) -> None:
        self._items = Items()
        self._seed = ""
        self._started = False
        self._ended = False
        self._has_calls = False
        self._has_refusal = False
        self._reader = EventReader(_READERS)
        self._leftovers = Leftovers(NAME)
        self._blocks = Blocks(self._leftovers)

    def feed(self, message: sse.Message) -> Sequence[ir.Event]:
        if self._ended:
            return ()
        event = self._reader.read(message)
        if event is None:
            return ()
        reader = _READERS.get(event.type or message.event)
        if reader is None:
            return ()
        out: list[ir.Event] = []
        self._blocks.out = out
        reader(self, event)
        return out

    def close(self) -> Sequence[ir.Event]:
        if not self._ended:
            raise UpstreamProtocolError("the upstream's stream ended without a final event")
        return ()

    # ── the response as a whole ──

    def _begun(self, event: StreamEvent) -> None:
        self._begin(_response(event))

    def _begin(self, response: shapes.ResponseObject | None = None) -> None:
        if self._started:
            return
        self._started = True
        response = response or shapes.ResponseObject()
        self._seed = response.id or ""
        created = int(response.created_at or 0)
        self._blocks.out.append(ir.Started(response.id or "", response.model or "", created))

    def _completed(self, event: StreamEvent) -> None:
        self._leftovers.note(event.response, shapes.RESPONSE_BOOKS)
        self._finish(_response(event), event.type)

    def _finish(self, response: shapes.ResponseObject, type_: str | None) -> None:
        if type_ == "response.incomplete":
            response.status = "incomplete"
        failed = outcome.failure_of(response)
        if failed is not None:
            self._break(failed)
            return
        self._begin(response)
        for index, item in enumerate(response.output or ()):
            self._item_ended(self._items.place(index, item), item)
        for index, known in self._items.all():
            self._give_up(index, known)
        if response.status in ("queued", "in_progress"):
            response.status = None
        stop = outcome.stop_of(response, has_calls=self._has_calls, has_refusal=self._has_refusal)
        usage, extras = outcome.usage_of(response.usage), self._leftovers.extras()
        self._blocks.out.append(ir.Finished(stop, usage=usage, extras=extras))
        self._ended = True

    def _failed(self, event: StreamEvent) -> None:
        response = _response(event)
        response.status = "failed"
        failed = outcome.failure_of(response)
        assert failed is not None
        self._break(failed)

    def _error(self, event: StreamEvent) -> None:
        """Both forms: the error in a member `error`, or in the event itself."""
        if given(event.error):
            self._break(errors.decode_failure(try_read(event.error, object)))
        else:
            self._break(errors.decode_failure({"code": event.code, "message": event.message}))

    def _break(self, error: ErrorReply) -> None:
        self._begin()
        self._blocks.out.append(ir.Broken(error))
        self._ended = True

    # ── items ──

    def _item(self, index: int) -> Item:
        self._begin()
        return self._items.at(index)

    def _item_added(self, event: StreamEvent) -> None:
        index = event.output_index
        if not given(event.item) or index in self._items:
            return
        item = self._item(index)
        self._items.note(index, event.item)
        if item.kind != "reasoning":
            item.announced = copied(event.item)
        if item.kind in ("function_call", "custom_tool_call"):
            shape = read_reply(event.item, shapes.CallItem)
            call = items.made_call(shape, item.kind, self._seed, index)
            if call.name:
                self._start_call(item, call)

    def _give_up(self, index: int, item: Item) -> None:
        """
        The stream is over: an item that is not will be no more than it was when announced.

        Raises: UpstreamProtocolError when that is a call without a name.
        """
        if item.announced is not None:
            self._item_ended(index, item.announced)
        if item.is_unnamed and item.call is None:
            raise UpstreamProtocolError("the upstream's stream calls a tool without a name")
        self._stop(item)

    def _item_done(self, event: StreamEvent) -> None:
        if given(event.item):
            self._item_ended(self._items.place_of_done(event.output_index, event.item), event.item)

    def _item_ended(self, index: int, raw: ir.JSON) -> None:
        item = self._item(index)
        if item.done:
            return
        item.done = True
        self._items.note(index, raw)
        items.note_rest(self._leftovers, raw)
        match kind := item.kind:
            case "message":
                self._message_ended(item, read_reply(raw, shapes.MessageItem))
            case "reasoning":
                self._thought_ended(item, read_reply(raw, shapes.ReasoningItem))
            case "function_call" | "custom_tool_call":
                call = items.made_call(read_reply(raw, shapes.CallItem), kind, self._seed, index)
                if item.call is None:
                    self._start_call(item, items.named(call))
                self._blocks.rest(item.call, call.arguments)
            case _:
                for part in items.parts_of(raw, self._seed, index):
                    self._blocks.stop(self._blocks.start(part, ir.TextDelta))
        self._stop(item)

    def _stop(self, item: Item) -> None:
        for block in item.blocks():
            self._blocks.stop(block)

    # ── messages ──

    def _text_of(self, event: StreamEvent, *, refusal: bool = False) -> Block | None:
        """The text block that an event is about, started now if need be."""
        item = self._item(event.output_index)
        return None if item.done else self._text_block(item, event.content_index, refusal)

    def _text_block(self, item: Item, index: int, refusal: bool) -> Block:
        block = item.texts.get((index, refusal))
        if block is None and refusal:
            block = self._blocks.start(ir.Refusal(""), ir.RefusalDelta)
        elif block is None:
            block = self._blocks.start(ir.Text(""), ir.TextDelta)
        item.texts[index, refusal] = block
        return block

    def _part_added(self, event: StreamEvent) -> None:
        match self._part_type(event):
            case "output_text":
                self._text_of(event)
            case "refusal":
                self._text_of(event, refusal=True)
            case "reasoning_text":
                self._thought(event.output_index, "content", event.content_index)

    def _part_type(self, event: StreamEvent) -> str | None:
        return read_reply(event.part, shapes.Typed).type if given(event.part) else None

    def _part_done(self, event: StreamEvent) -> None:
        type_ = self._part_type(event)
        if type_ in ("output_text", "refusal"):
            part = read_reply(event.part, shapes.OutputPart)
            block = self._text_of(event, refusal=type_ == "refusal")
            self._part_ended(block, part)

    def _part_ended(self, block: Block | None, part: shapes.OutputPart) -> None:
        if block is None:
            return
        is_refusal = block.make is ir.RefusalDelta
        self._has_refusal = self._has_refusal or (is_refusal and bool(part.refusal))
        self._blocks.rest(block, part.refusal if is_refusal else part.text)
        self._blocks.likely_rest(block, part.logprobs)
        for annotation in (part.annotations or ())[block.annotations :]:
            self._blocks.annotate(block, annotation)
        self._blocks.stop(block)

    def _message_ended(self, item: Item, message: shapes.MessageItem) -> None:
        if message.role not in items.OWN_ROLES:
            return
        for index, part in enumerate(message.content or ()):
            if part.type in ("output_text", "refusal"):
                self._part_ended(self._text_block(item, index, part.type == "refusal"), part)

    def _text_delta(self, event: StreamEvent) -> None:
        block = self._text_of(event)
        self._blocks.more(block, event.delta)
        if event.logprobs is not shapes.ABSENT and bytes(event.logprobs) != b"[]":
            self._blocks.likely(block, logprobs.read(event.logprobs))

    def _text_done(self, event: StreamEvent) -> None:
        block = self._text_of(event)
        self._blocks.rest(block, event.text)
        self._blocks.likely_rest(block, event.logprobs)

    def _refusal_delta(self, event: StreamEvent) -> None:
        self._has_refusal = self._has_refusal or bool(event.delta)
        self._blocks.more(self._text_of(event, refusal=True), event.delta)

    def _refusal_done(self, event: StreamEvent) -> None:
        self._has_refusal = self._has_refusal or bool(event.refusal)
        self._blocks.rest(self._text_of(event, refusal=True), event.refusal)

    def _annotation_added(self, event: StreamEvent) -> None:
        block = self._text_of(event)
        if block is not None and given(event.annotation):
            self._blocks.annotate(block, event.annotation)

    # ── reasoning ──

    def _thought(self, index: int, source: str, part: int) -> Item | None:
        """The reasoning item `index`, if it shows its `source`; its block started if need be."""
        item = self._item(index)
        if item.done:
            return None
        if item.thought_from not in ("", source):
            self._leftovers.add("reasoning_summary", ir.JSON(b"true"))
            return None
        if item.thought is None:
            item.thought = self._blocks.start(
                ir.Reasoning("", summary=source == "summary"), ir.ReasoningDelta
            )
            item.thought_from, item.thought_part = source, part
        if item.thought_part != part:
            item.thought_part, item.thought_length = part, 0
        return item

    def _think(self, item: Item | None, text: str | None) -> None:
        if item is None or item.thought is None or not text:
            return
        if not item.thought_length and item.thought.length:
            self._blocks.more(item.thought, items.BORDER)
        item.thought_length += len(text)
        self._blocks.more(item.thought, text)

    def _summary_added(self, event: StreamEvent) -> None:
        self._thought(event.output_index, "summary", event.summary_index)

    def _summary_delta(self, event: StreamEvent) -> None:
        self._think(self._thought(event.output_index, "summary", event.summary_index), event.delta)

    def _summary_done(self, event: StreamEvent) -> None:
        self._think_rest(
            self._thought(event.output_index, "summary", event.summary_index), event.text
        )

    def _thought_delta(self, event: StreamEvent) -> None:
        self._think(self._thought(event.output_index, "content", event.content_index), event.delta)

    def _thought_done(self, event: StreamEvent) -> None:
        self._think_rest(
            self._thought(event.output_index, "content", event.content_index), event.text
        )

    def _think_rest(self, item: Item | None, whole: str | None) -> None:
        if item is not None and whole:
            self._think(item, whole[item.thought_length :])

    def _thought_ended(self, item: Item, thought: shapes.ReasoningItem) -> None:
        if item.thought_from == "summary":
            thought.content = None
        elif item.thought_from == "content":
            thought.summary = None
        found = items.reasoning(thought)
        if found is None:
            return
        if item.thought is None:
            item.thought = self._blocks.start(
                ir.Reasoning("", summary=found.summary), ir.ReasoningDelta
            )
        self._blocks.rest(item.thought, found.text)
        if found.proof is not None:
            self._blocks.out.append(ir.ProofAdded(item.thought.index, found.proof))

    # ── calls ──

    def _start_call(self, item: Item, call: ir.ToolCall) -> None:
        self._has_calls = True
        item.call = self._blocks.start(ir.replace(call, arguments=""), ir.ArgumentsDelta)

    def _call_of(self, event: StreamEvent) -> Block | None:
        """The call that an event is about, None when it is over or still lacks its name."""
        item = self._item(event.output_index)
        if item.done:
            return None
        item.is_unnamed = item.call is None
        return item.call

    def _call_delta(self, event: StreamEvent) -> None:
        self._blocks.more(self._call_of(event), event.delta)

    def _call_done(self, event: StreamEvent) -> None:
        self._blocks.rest(self._call_of(event), event.arguments or event.input)


def _response(event: StreamEvent) -> shapes.ResponseObject:
    if not given(event.response):
        return shapes.ResponseObject()
    return read_reply(event.response, shapes.ResponseObject)


_READERS: Mapping[str, Callable[[StreamDecoder, StreamEvent], None]] = {
    "response.output_text.delta": StreamDecoder._text_delta,
    "response.function_call_arguments.delta": StreamDecoder._call_delta,
    "response.custom_tool_call_input.delta": StreamDecoder._call_delta,
    "response.reasoning_summary_text.delta": StreamDecoder._summary_delta,
    "response.reasoning_text.delta": StreamDecoder._thought_delta,
    "response.refusal.delta": StreamDecoder._refusal_delta,
    "response.created": StreamDecoder._begun,
    "response.queued": StreamDecoder._begun,
    "response.in_progress": StreamDecoder._begun,
    "response.output_item.added": StreamDecoder._item_added,
    "response.output_item.done": StreamDecoder._item_done,
    "response.content_part.added": StreamDecoder._part_added,
    "response.content_part.done": StreamDecoder._part_done,
    "response.output_text.done": StreamDecoder._text_done,
    "response.output_text.annotation.added": StreamDecoder._annotation_added,
    "response.refusal.done": StreamDecoder._refusal_done,
    "response.reasoning_summary_part.added": StreamDecoder._summary_added,
    "response.reasoning_summary_text.done": StreamDecoder._summary_done,
    "response.reasoning_text.done": StreamDecoder._thought_done,
    "response.function_call_arguments.done": StreamDecoder._call_done,
    "response.custom_tool_call_input.done": StreamDecoder._call_done,
    "response.completed": StreamDecoder._completed,
    "response.incomplete": StreamDecoder._completed,
    "response.failed": StreamDecoder._failed,
    "error": StreamDecoder._error,
}
