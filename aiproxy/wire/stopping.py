"""
Stop sequences for upstreams that know none: the answer is cut at the first one.

The upstream goes on to its own end, because only there it says what the answer has cost; the
client gets nothing of that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from aiproxy import ir


class StopCutter:
    """
    Cuts one answer.

    stop: none lets everything pass. What may be the beginning of one is held back.
    cuts: whether it looks at texts at all.
    """

    def __init__(self, stop: Sequence[str]) -> None:
        self._stop = tuple(sequence for sequence in stop if sequence)
        self._most = max((len(sequence) for sequence in self._stop), default=0) - 1
        self._held: dict[int, str] = {}
        self._open: set[int] = set()
        self._found = ""
        self.cuts = bool(self._stop)

    def events(self, event: ir.Event) -> Iterator[ir.Event]:
        """`event` as the client shall see it: itself, nothing, or with what was held back."""
        if not self.cuts:
            yield event
            return
        match event:
            case ir.Finished() if self._found:
                yield ir.Finished("stop_sequence", self._found, event.usage)
            case ir.Started() | ir.Finished() | ir.Broken():
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

    def response(self, response: ir.Response) -> ir.Response:
        """The same for a whole answer."""
        cut = ir.fold(seen for event in ir.unfold(response) for seen in self.events(event))
        assert isinstance(cut, ir.Response)
        return replace(cut, extras=response.extras)

    def _text(self, index: int, text: str) -> Iterator[ir.Event]:
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
