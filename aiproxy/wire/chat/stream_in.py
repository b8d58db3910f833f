"""
An upstream's Chat stream as events.

Vendors of "compatible" streams differ in all that the standard leaves open, and in some that it
does not: see `StreamDecoder` for the end, and `choice_in` for what an answer consists of.
"""

from __future__ import annotations

from collections.abc import Sequence

from aiproxy import ir
from aiproxy.errors import UpstreamProtocolError
from aiproxy.framing import sse
from aiproxy.wire import jsontext
from aiproxy.wire.answers import numbered, of_other
from aiproxy.wire.chat import beside, counting, shapes
from aiproxy.wire.chat.choice_in import ChoiceReader
from aiproxy.wire.chat.errors import NAME, decode_error
from aiproxy.wire.leftovers import Leftovers
from aiproxy.wire.refrain import Refrain

_MOST_UNREADABLE = 3
"""So many messages in a row that are not JSON are no stream of this protocol."""


class StreamDecoder:
    """
    Chunks in, events out.

    The end is `[DONE]`, or the connection's end once each answer has its finish reason. Usage may
    come in the chunk with the finish reason, in one after it, or in all of them; so `Finished`
    waits for the end.
    """

    def __init__(self) -> None:
        self._leftovers = Leftovers(NAME)
        self._first = ChoiceReader(self._leftovers)
        self._others: dict[int, ChoiceReader] = {}
        self._id = ""
        self._started = False
        self._ended = False
        self._usage = ir.JSON()
        self._x_groq = ir.JSON()
        self._unreadable = 0
        self._refrain = Refrain()

    def feed(self, message: sse.Message) -> Sequence[ir.Event]:
        again = self._refrain.again(message)
        if again:
            self._first.note(again[0])
            return again
        events = self._decode(message)
        if self._first.is_named:
            # Whose arguments these are depends on those before, too.
            self._refrain.forget()
        else:
            self._refrain.learn(message, events)
        return events

    def _decode(self, message: sse.Message) -> Sequence[ir.Event]:
        if self._ended:
            return ()
        if message.data.startswith(b"[DONE]"):
            return self._end()
        chunk = jsontext.try_read(message.data, shapes.Completion)
        if chunk is None:
            self._skip(message.data)
            return ()
        self._unreadable = 0
        if beside.is_error(chunk.error) or chunk.object == "error" or message.event == "error":
            return self._broken(message.data)
        if jsontext.given(chunk.usage):
            self._usage = chunk.usage
        if jsontext.given(chunk.x_groq):
            self._x_groq = chunk.x_groq
        choices = chunk.choices
        if not self._started or not choices or len(choices) > 1 or choices[0].finish_reason:
            # What is said of the answer as a whole stands in its first or last chunks.
            beside.note_rest(self._leftovers, message.data)
        if not choices:
            return ()
        out: list[ir.Event] = []
        if not self._started:
            out.append(self._start(chunk))
        for number, choice in numbered(choices):
            self._choice(number, choice, out)
        if not out:
            # What it says, it says in members that nobody reads.
            beside.note_rest(self._leftovers, message.data)
        return out

    def close(self) -> Sequence[ir.Event]:
        if self._ended:
            return ()
        answers = (self._first, *self._others.values())
        if any(answer.finish is None for answer in answers):
            raise UpstreamProtocolError("the upstream's stream ended without a finish reason")
        return self._end()

    # ── beginning and end ──

    def _start(self, chunk: shapes.Completion) -> ir.Started:
        self._started = True
        self._id = str(chunk.id or "")
        return ir.Started(self._id, chunk.model or "", int(chunk.created or 0))

    def _skip(self, data: bytes) -> None:
        """Noise between the chunks is skipped; a chunk of another shape is not."""
        self._unreadable += 1
        is_chunk = jsontext.try_read(data, dict[str, ir.JSON]) is not None
        if is_chunk or self._unreadable >= _MOST_UNREADABLE:
            self._ended = True
            raise UpstreamProtocolError("the upstream's stream is not its protocol's")

    def _broken(self, data: bytes) -> Sequence[ir.Event]:
        self._ended = True
        broken = ir.Broken(decode_error(200, data))
        return (broken,) if self._started else (ir.Started("", ""), broken)

    def _end(self) -> Sequence[ir.Event]:
        self._ended = True
        if not self._started:
            raise UpstreamProtocolError("the upstream's stream ended before it began")
        blocks: list[ir.BlockEvent] = []
        stop = self._first.close(blocks)
        out: list[ir.Event] = [*blocks]
        for number, answer in self._others.items():
            events: list[ir.BlockEvent] = []
            end = ir.Finished(answer.close(events))
            out += of_other(number, (*events, end))
        usage = counting.decode_usage(self._usage, self._x_groq)
        out.append(ir.Finished(stop, usage=usage, extras=self._leftovers.extras()))
        return out

    # ── the answers ──

    def _choice(self, number: int, choice: shapes.Choice, out: list[ir.Event]) -> None:
        events: list[ir.BlockEvent] = []
        if self._ended:
            return
        if number:
            beside.note_failure(self._leftovers, choice)
            answer = self._others.setdefault(number, ChoiceReader(self._leftovers))
            answer.read(choice, f"{self._id}.{number}", events)
            out += of_other(number, events)
        elif beside.is_error(choice.error) or choice.finish_reason == "error":
            said = choice.error if beside.is_error(choice.error) else "the answer failed"
            out += self._broken(jsontext.write({"error": said}))
        else:
            self._first.read(choice, self._id, events)
            out += events
