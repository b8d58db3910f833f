"""
Stop sequences for upstreams that know none: the answer is cut at the first one.

The upstream goes on to its own end, because only there it says what the answer has cost; the
client gets nothing of that.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from aiproxy import ir
from aiproxy.wire.answers import of_other


class StopCutter:
    """
    Cuts one reply, each of its answers for itself.

    stop: none lets everything pass. cuts: whether it looks at texts at all.
    """

    def __init__(self, stop: Sequence[str]) -> None:
        known = tuple([sequence for sequence in stop if sequence])
        self._answers: defaultdict[int, _Cut] = defaultdict(lambda: _Cut(known))
        self.cuts = bool(known)

    def events(self, event: ir.Event) -> Iterable[ir.Event]:
        """`event` as the client shall see it: itself, nothing, or with what was held back."""
        if not self.cuts:
            return (event,)
        match event:
            case ir.Started() | ir.Broken():
                return (event,)
            case ir.Other(number, inner):
                return of_other(number, self._answers[number].events(inner))
            case _:
                return self._answers[0].events(event)

    def response(self, response: ir.Response) -> ir.Response:
        """The same for a whole answer."""
        if not self.cuts:
            return response
        cut = ir.fold(seen for event in ir.unfold(response) for seen in self.events(event))
        assert isinstance(cut, ir.Response)
        return ir.replace(cut, extras=response.extras)


class _Cut:
    """One answer. What may be the beginning of a stop sequence is held back."""

    def __init__(self, stop: Sequence[str]) -> None:
        self._stop = stop
        self._most = max(len(sequence) for sequence in stop) - 1
        self._held: dict[int, str] = {}
        self._open: set[int] = set()
        self._found = ""

    def events(self, event: ir.AnswerEvent) -> Iterator[ir.AnswerEvent]:
        match event:
            case ir.Finished() if self._found:
                yield ir.Finished("stop_sequence", self._found, event.usage)
            case ir.Finished():
                yield event
            case _ if self._found:
                return
            case ir.TextDelta():
                yield from self._text(event.index, event.text)
            case ir.BlockStopped():
                self._open.discard(event.index)
                if held := self._held.pop(event.index, ""):
                    yield ir.TextDelta(event.index, held)
                yield event
            case _:
                if isinstance(event, ir.BlockStarted):
                    self._open.add(event.index)
                yield event

    def _text(self, index: int, text: str) -> Iterator[ir.BlockEvent]:
        whole = self._held.pop(index, "") + text
        at, found = self._first(whole)
        if not found:
            held = self._may_begin(whole)
            if held:
                self._held[index] = whole[len(whole) - held :]
            if shown := whole[: len(whole) - held]:
                yield ir.TextDelta(index, shown)
            return
        self._found = found
        if at:
            yield ir.TextDelta(index, whole[:at])
        for block in sorted(self._open):
            if block != index and (held_text := self._held.get(block)):
                yield ir.TextDelta(block, held_text)
            yield ir.BlockStopped(block)

    def _first(self, text: str) -> tuple[int, str]:
        """Where the first stop sequence stands, and which; the longer of two at one place."""
        places = [(text.find(sequence), -len(sequence), sequence) for sequence in self._stop]
        found = min((place for place in places if place[0] >= 0), default=None)
        return (found[0], found[2]) if found is not None else (-1, "")

    def _may_begin(self, text: str) -> int:
        """How many characters at the end of `text` may be the beginning of a stop sequence."""
        for size in range(min(self._most, len(text)), 0, -1):
            if any(sequence.startswith(text[-size:]) for sequence in self._stop):
                return size
        return 0
