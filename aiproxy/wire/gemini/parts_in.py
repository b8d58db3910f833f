"""An upstream's parts as events: which block they belong to, begin or end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from aiproxy.errors import UpstreamProtocolError
from aiproxy.ir import (
    JSON,
    ArgumentsDelta,
    BlockEvent,
    BlockStarted,
    BlockStopped,
    Citation,
    CitationAdded,
    LogprobsAdded,
    Opaque,
    Part,
    ProofAdded,
    Reasoning,
    ReasoningDelta,
    Text,
    TextDelta,
    ToolCall,
)
from aiproxy.wire.gemini import citations, logprobs, media, shapes
from aiproxy.wire.gemini.contents_in import INVENTED, NAME, opaque_kind
from aiproxy.wire.gemini.fallback import fallback_text
from aiproxy.wire.gemini.partial import PartialArguments
from aiproxy.wire.gemini.signatures import proof_of
from aiproxy.wire.jsontext import given, raw, read_reply, text_of
from aiproxy.wire.names import derived_id


class PartsReader:
    """
    Blocks of one answer. What is read is collected in `events` until it is taken.

    Texts of the same kind that follow one another are one block. At most one block is open.
    Sources that arrive when no text is open belong to the next one, if there is any.

    has_calls: a tool call was seen.
    """

    def __init__(self) -> None:
        self.has_calls = False
        self._events: list[BlockEvent] = []
        self._count = 0
        self._open: Text | Reasoning | None = None
        self._proven = False
        self._texts: list[str] = []
        self._text_bytes = 0
        self._grounding: list[JSON] = []
        self._citations: list[JSON] = []
        self._unlikely: list[JSON] = []
        self._logprobs: JSON = shapes.ABSENT
        self._arguments: PartialArguments | None = None
        self._seed = ""

    def take(self) -> list[BlockEvent]:
        """The events since the last time."""
        events, self._events = self._events, []
        return events

    def read(self, candidate: shapes.Candidate, seed: str) -> None:
        """
        One candidate of one chunk.

        seed: what the ids of calls are derived from where the upstream gives none.
        Raises: UpstreamProtocolError when a part is not one.
        """
        self._seed = seed
        parts = candidate.content.parts if candidate.content is not None else None
        for value in parts or ():
            self._part(value)
        if given(candidate.grounding_metadata):
            self._grounding.append(candidate.grounding_metadata)
        if given(candidate.citation_metadata):
            self._citations.append(candidate.citation_metadata)
        if candidate.logprobs_result is not shapes.ABSENT:
            if given(self._logprobs):
                self._unlikely.append(self._logprobs)
            self._logprobs = candidate.logprobs_result
            if isinstance(self._open, Text):
                self._likely()

    def unplaced(self) -> Iterator[tuple[str, JSON]]:
        """What is left when the answer is over because no text was open for it, by its name."""
        for sources in self._grounding:
            if any(citations.from_grounding(sources, "", 0)):
                yield "citations", sources
        for sources in self._citations:
            if any(citations.from_citations(sources, "", 0)):
                yield "citations", sources
        for likely in (*self._unlikely, self._logprobs):
            if given(likely):
                yield "logprobs", likely

    def close(self) -> None:
        """The answer is over: ends whatever is open."""
        self._finish_call()
        self._stop()

    def _part(self, value: JSON) -> None:
        part = read_reply(value, shapes.Part)
        if part.function_call is not None:
            self._call(part.function_call, part.thought_signature)
            return
        if part.text is not None:
            if part.text:
                self._text(part.text, bool(part.thought))
            self._sign(part.thought_signature)
            return
        kind = opaque_kind(value)
        if part.inline_data is not None:
            self._whole(media.from_blob(part.inline_data))
        elif part.file_data is not None:
            self._whole(media.from_file(part.file_data))
        elif part.function_response is not None:
            self._whole(Opaque(NAME, "functionResponse", raw(value)))
        elif kind:
            self._whole(Opaque(NAME, kind, raw(value), fallback_text(value)))
            return
        self._sign(part.thought_signature)

    # ── texts ──

    def _text(self, text: str, thought: bool) -> None:
        self._enter(thought)
        at = self._count - 1
        if thought:
            self._events.append(ReasoningDelta(at, text))
        else:
            self._texts.append(text)
            self._events.append(TextDelta(at, text))

    def _sign(self, signature: str | None) -> None:
        """A proof belongs to the open text that has none yet, else it is a thought of its own."""
        if not signature:
            return
        if self._open is None or self._proven:
            self._finish_call()
            self._stop()
            self._enter(thought=True)
        self._events.append(ProofAdded(self._count - 1, proof_of(signature)))
        self._proven = True

    def _enter(self, thought: bool) -> None:
        """Makes the open block one for thoughts, or for text."""
        self._finish_call()
        if self._open is not None and isinstance(self._open, Reasoning) == thought:
            return
        self._stop()
        self._open = Reasoning("", summary=True) if thought else Text("")
        self._start(self._open)

    def _stop(self) -> None:
        if self._open is None:
            return
        at = self._count - 1
        if isinstance(self._open, Text):
            self._likely()
            self._events += (CitationAdded(at, citation) for citation in self._cited())
            self._text_bytes += len("".join(self._texts).encode("utf-8", "replace"))
        self._events.append(BlockStopped(at))
        self._open, self._proven, self._texts = None, False, []

    def _likely(self) -> None:
        """Log probabilities are those of the open text, which is all that most answers have."""
        found = logprobs.read(self._logprobs)
        if found:
            self._events.append(LogprobsAdded(self._count - 1, found))
            self._logprobs = shapes.ABSENT

    def _cited(self) -> Iterable[Citation]:
        """
        The sources of the open text, each once.

        Some chunks repeat those before them, others have only their own.
        """
        if not self._grounding and not self._citations:
            return ()
        text, base = "".join(self._texts), self._text_bytes
        found: list[Citation] = []
        for one in self._grounding:
            found = _with_later(found, [*citations.from_grounding(one, text, base)])
        for one in self._citations:
            found += citations.from_citations(one, text, base)
        self._grounding, self._citations = [], []
        return dict.fromkeys(found)

    # ── calls ──

    def _call(self, call: shapes.FunctionCall, signature: str | None) -> None:
        if call.name:
            self._finish_call()
            self._stop()
            self._begin_call(call, call.name, signature)
        elif self._arguments is None:
            if given(call.args) or call.partial_args:
                raise UpstreamProtocolError("a tool call of the upstream has no name")
            self._sign(signature)
        elif signature:
            self._events.append(ProofAdded(self._count - 1, proof_of(signature)))
        if self._arguments is None:
            return
        try:
            if not call.name and given(call.args):
                self._arguments.update(call.args)
            for piece in call.partial_args or ():
                self._arguments.add(piece)
        except ValueError:
            raise UpstreamProtocolError("a call's arguments cannot be put together") from None
        if not call.will_continue:
            self._finish_call()

    def _begin_call(self, call: shapes.FunctionCall, name: str, signature: str | None) -> None:
        self.has_calls = True
        arguments = text_of(call.args) if given(call.args) else ""
        call_id = call.id or derived_id(INVENTED, self._seed, self._count, name, arguments)
        # The proof comes with the beginning: other dialects have to write it before the call.
        proof = proof_of(signature) if signature else None
        self._start(ToolCall(call_id, name, "", proof=proof))
        at = self._count - 1
        if call.will_continue or call.partial_args:
            self._arguments = PartialArguments(arguments.encode())
            return
        self._events.append(ArgumentsDelta(at, arguments or "{}"))
        self._events.append(BlockStopped(at))

    def _finish_call(self) -> None:
        """Ends a call whose arguments came in pieces; only now they are JSON."""
        if self._arguments is None:
            return
        at = self._count - 1
        self._events.append(ArgumentsDelta(at, self._arguments.text()))
        self._events.append(BlockStopped(at))
        self._arguments = None

    # ── blocks ──

    def _whole(self, part: Part) -> None:
        self._finish_call()
        self._stop()
        self._start(part)
        self._events.append(BlockStopped(self._count - 1))

    def _start(self, part: Part) -> None:
        self._events.append(BlockStarted(self._count, part))
        self._count += 1


def _with_later(found: list[Citation], later: list[Citation]) -> list[Citation]:
    """A source without a place is left to a later chunk that names it again, maybe with one."""
    again = {(source.url, source.title) for source in later}
    kept = (c for c in found if c.end is not None or (c.url, c.title) not in again)
    return [*kept, *later]
