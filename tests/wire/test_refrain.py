"""Messages that repeat the one before but for one text."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from aiproxy import ir
from aiproxy.framing import sse
from aiproxy.wire import OUTBOUND
from aiproxy.wire.refrain import Refrain
from tests import strategies


def message(value: Any, *, spread: bool = False, escaped: bool = False) -> sse.Message:
    """`value` as one message. spread: with blanks. escaped: nothing beyond ASCII."""
    separators = (" , ", " : ") if spread else (",", ":")
    data = json.dumps(value, separators=separators, ensure_ascii=escaped)
    return sse.Message("", data.encode("utf-8", "replace"), b"")


def chat(text: str) -> dict[str, Any]:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    return {"id": "c", "object": "chat.completion.chunk", "model": "m", "choices": [choice]}


def anthropic(text: str) -> dict[str, Any]:
    delta = {"type": "text_delta", "text": text}
    return {"type": "content_block_delta", "index": 0, "delta": delta}


def chat_call(text: str, **named: str) -> dict[str, Any]:
    """A fragment of a call. named: its id, and its name."""
    function = {"arguments": text, **({"name": named["name"]} if "name" in named else {})}
    call = {"index": 0, **({"id": named["id"]} if "id" in named else {}), "function": function}
    return {"id": "c", "choices": [{"index": 0, "delta": {"tool_calls": [call]}}]}


def anthropic_call(text: str) -> dict[str, Any]:
    delta = {"type": "input_json_delta", "partial_json": text}
    return {"type": "content_block_delta", "index": 1, "delta": delta}


OPENINGS: dict[str, list[dict[str, Any]]] = {
    "chat": [],
    "chat call": [chat_call("", id="1", name="look")],
    "anthropic": [
        {"type": "message_start", "message": {"id": "m", "model": "m"}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    ],
    "anthropic call": [
        {"type": "message_start", "message": {"id": "m", "model": "m"}},
        {
            "type": "content_block_start",
            "index": 1,
            "content_block": {"type": "tool_use", "id": "1", "name": "look", "input": {}},
        },
    ],
}
AWKWARD = ("m", "c", "text", '"', "\\", "", ",", ":", '{"path": "', '\\"}', "{}")
MAKERS = {
    "chat": chat,
    "anthropic": anthropic,
    "chat call": chat_call,
    "anthropic call": anthropic_call,
}


class DecoderTests(SynchronousTestCase):
    """What decoders make of streams of deltas."""

    def events(self, wire: str, messages: Sequence[sse.Message]) -> list[ir.Event]:
        decoder = OUTBOUND[wire.partition(" ")[0]].StreamDecoder()
        for opening in OPENINGS[wire]:
            decoder.feed(message(opening))
        return [event for one in messages for event in decoder.feed(one)]

    @given(
        st.sampled_from(sorted(MAKERS)),
        st.lists(strategies.texts() | st.sampled_from(AWKWARD), max_size=9),
        st.booleans(),
    )
    def test_same_events(self, wire: str, texts: list[str], escaped: bool) -> None:
        """The same events come out as of messages whose bytes never repeat."""
        make = MAKERS[wire]
        alike = [message(make(text), escaped=escaped) for text in texts]
        unlike = [message(make(text), spread=at % 2 == 0) for at, text in enumerate(texts)]
        self.assertEqual(self.events(wire, alike), self.events(wire, unlike))

    @given(st.sampled_from(sorted(MAKERS)), st.binary(max_size=12))
    def test_junk_in_the_frame(self, wire: str, junk: bytes) -> None:
        """Bytes that are no JSON string make the message what it would be on its own."""
        first = message(MAKERS[wire]("hello"))
        odd = first._replace(data=first.data.replace(b"hello", junk))
        after = self.outcome(wire, [first, first, odd])
        spread = message(MAKERS[wire]("hello"), spread=True)
        self.assertEqual(after, self.outcome(wire, [first, spread, odd]))

    def outcome(self, wire: str, messages: Sequence[sse.Message]) -> object:
        try:
            return self.events(wire, messages)
        except Exception as error:
            return type(error)

    def test_complete_calls(self) -> None:
        """A fragment that names its call begins another one when the last has all arguments."""
        first = chat_call("{", id="0", name="look")
        rest = [chat_call(text, id="1", name="look") for text in ('"a":', "1}", "{}")]
        fragments = [first, *rest]
        alike = [message(fragment) for fragment in fragments]
        unlike = [message(fragment, spread=at % 2 == 0) for at, fragment in enumerate(fragments)]
        events = self.events("chat", alike)
        self.assertEqual(events, self.events("chat", unlike))
        self.assertEqual(sum(isinstance(event, ir.BlockStarted) for event in events), 2)

    def test_calls_end_with_their_arguments(self) -> None:
        """All pieces count, when what comes behind them needs to know whether they are all."""
        pieces = [chat_call("{", id="1", name="look"), *map(chat_call, ('"a":', "1", "}"))]
        events = self.events("chat", [message(piece) for piece in (*pieces, chat("done"))])
        self.assertEqual(events[-3], ir.BlockStopped(0))


class RefrainTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.refrain = Refrain()

    def learn(self, data: bytes, *events: ir.Event, name: str = "") -> None:
        self.refrain.learn(sse.Message(name, data, b""), events)

    def again(self, data: bytes, name: str = "") -> Sequence[ir.Event]:
        return self.refrain.again(sse.Message(name, data, b""))

    def test_again(self) -> None:
        """Another text in the same frame is the same delta with that text, escapes undone."""
        self.learn(b'{"t":"one","i":3}', ir.ReasoningDelta(3, "one"))
        self.assertEqual(
            self.again(b'{"t":"a \\"b\\"\\u00e9\\n","i":3}'), (ir.ReasoningDelta(3, 'a "b"é\n'),)
        )

    def test_another_frame(self) -> None:
        """Anything else around it is read the long way: bytes, name, an empty or a second text."""
        self.learn(b'{"t":"one","i":3}', ir.TextDelta(3, "one"), name="x")
        for data in (b'{"t":"one","i":4}', b'{"t":"","i":3}', b'{"t":"a","u":"b","i":3}', b""):
            self.assertEqual(self.again(data, "x"), ())
        self.assertEqual(self.again(b'{"t":"two","i":3}', "y"), ())
        self.assertEqual(self.again(b'{"t":"two","i":3}', "x"), (ir.TextDelta(3, "two"),))

    def test_unclear_place(self) -> None:
        """Where the text stands must be beyond doubt."""
        for data in (b'{"t":"one","u":"one"}', b'{"one":"one"}', b'{"t":"one","u":"\\n"}'):
            self.learn(data, ir.TextDelta(0, "one"))
            self.assertEqual(self.again(data), (), data)
        for text in (",", ":"):
            data = b'{"t":"%b","u":[","]}' % text.encode()
            self.learn(data, ir.TextDelta(0, text))
            self.assertEqual(self.again(data), (), data)

    def test_escapes(self) -> None:
        """A text with escapes is found where all others have none."""
        event = ir.ArgumentsDelta(1, '{"a')
        self.learn(b'{"t":"{\\"a","i":3}', event)
        self.assertEqual(self.again(b'{"t":"\\": 1}","i":3}'), (ir.ArgumentsDelta(1, '": 1}'),))
        self.learn(b'{"t":"{\\u0022a","i":3}', event)
        self.assertEqual(self.again(b'{"t":"x","i":3}'), ())

    def test_other_events(self) -> None:
        """A message that gave anything else ends it."""
        for events in (
            (),
            (ir.BlockStopped(0),),
            (ir.CitationAdded(0, ir.Citation("one")),),
            (ir.TextDelta(0, "one"), ir.BlockStopped(0)),
        ):
            self.learn(b'{"t":"one"}', ir.TextDelta(0, "one"))
            self.learn(b'{"t":"one"}', *events)
            self.assertEqual(self.again(b'{"t":"one"}'), ())
