"""
Events as a client's Chat stream.

Every chunk has the same id, created and model; of each choice the first names the role, exactly one
has a finish reason, and `[DONE]` ends a good stream, never a broken one.
"""

from __future__ import annotations

from aiproxy import ir
from aiproxy.framing import sse
from aiproxy.wire import jsontext
from aiproxy.wire.chat import counting
from aiproxy.wire.chat.choice_out import ChoiceWriter
from aiproxy.wire.chat.errors import NAME, chunk_body
from aiproxy.wire.losses import Losses

DONE = b"data: [DONE]\n\n"


class StreamEncoder:
    """
    The client's stream.

    request: says whether the client wants the usage, and how many answers. losses: grows as it
    goes.
    """

    content_type = "text/event-stream"

    def __init__(self, request: ir.Request) -> None:
        self._usage_wanted = request.include_usage
        self._answers = request.answers
        self._losses = Losses()
        self.losses: list[ir.Loss] = []
        self._shared = b""
        self._first = self._choice(0)
        self._others: dict[int, ChoiceWriter] = {}

    def encode(self, event: ir.Event) -> bytes:
        first = self._first
        if isinstance(event, first.kind) and event.index == first.saying and event.text:
            return first.more(event.text)
        match event:
            case ir.ReasoningDelta() | ir.ArgumentsDelta():
                return first.write(event)
            case ir.Started():
                out = self._start(event)
            case ir.Finished():
                out = self._finish(event)
            case ir.Broken():
                out = sse.encode(chunk_body(event.error))
            case ir.Other():
                out = self._other(event.number, event.event)
            case _:
                out = first.write(event)
        if isinstance(event, ir.BlockStarted | ir.ProofAdded | ir.Finished | ir.Other):
            self.losses = list(self._losses.seen())
        return out

    def _choice(self, number: int) -> ChoiceWriter:
        head = b'%s,"choices":[{"index":%d,"delta":' % (self._shared, number)
        usage = b',"usage":null' if self._usage_wanted else b""
        tail = b',"finish_reason":null}]' + usage + b"}\n\n"
        return ChoiceWriter(head, tail, self._losses)

    def _start(self, event: ir.Started) -> bytes:
        shared = {
            "id": event.id,
            "object": "chat.completion.chunk",
            "created": event.created,
            "model": event.model,
        }
        self._shared = b"data: " + jsontext.write(shared)[:-1]
        self._first = self._choice(0)
        return self._first.begin()

    def _other(self, number: int, event: ir.AnswerEvent) -> bytes:
        """A further answer begins with its first event."""
        if number >= self._answers:
            self._losses.dropped("candidates")
            return b""
        out = b""
        if number not in self._others:
            self._others[number] = self._choice(number)
            out = self._others[number].begin()
        if isinstance(event, ir.Finished):
            return out + self._others[number].end(event.stop)
        return out + self._others[number].write(event)

    def _finish(self, event: ir.Finished) -> bytes:
        self._losses.extras(NAME, event.extras)
        out = [self._first.end(event.stop)]
        if self._usage_wanted:
            usage = jsontext.write(counting.encode_usage(event.usage))
            out.append(self._shared + b',"choices":[],"usage":' + usage + b"}\n\n")
        out.append(DONE)
        return b"".join(out)
