"""How a stream of events and a whole answer become one another."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from aiproxy.errors import ErrorReply
from aiproxy.ir.parts import (
    Citation,
    Logprob,
    Media,
    Opaque,
    Part,
    Proof,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
)
from aiproxy.ir.reply import (
    Answer,
    ArgumentsDelta,
    BlockEvent,
    BlockStarted,
    BlockStopped,
    Broken,
    CitationAdded,
    Event,
    Finished,
    LogprobsAdded,
    Other,
    ProofAdded,
    ReasoningDelta,
    RefusalDelta,
    Reply,
    Response,
    Started,
    StopReason,
    TextDelta,
    Usage,
)


def is_content(event: Event) -> bool:
    """Whether a client would miss `event`: from here on the answer belongs to this upstream."""
    match event:
        case TextDelta() | RefusalDelta() | ReasoningDelta() | ArgumentsDelta():
            return bool(event.text)
        case BlockStarted(block=ToolCall() | Media() | Opaque()) | ProofAdded():
            return True
        case Other():
            return is_content(event.event)
        case _:
            return False


def is_empty(stop: StopReason, usage: Usage | None) -> bool:
    """
    Whether an answer without any content is no answer at all.

    A model may choose to say nothing, but then it counts a few tokens or names another reason.
    """
    return stop in ("end", "other") and (usage is None or usage.output + usage.reasoning == 0)


def settled_stop(stop: StopReason, has_tool_calls: bool) -> StopReason:
    """
    Tool calls beat a plain end (many vendors report "stop" beside calls), never a cut answer.

    A client told of calls that are not there would wait for them, or ask again for ever.
    """
    if has_tool_calls:
        return "tool_use" if stop in ("end", "other", "pause") else stop
    return "end" if stop == "tool_use" else stop


def fold(events: Iterable[Event]) -> Reply:
    """
    The whole answer that a stream amounts to.

    Raises: ValueError when they do not begin with Started or do not end in Finished or Broken.
    """
    start: Started | None = None
    first = _Parts()
    others: dict[int, _Parts] = defaultdict(_Parts)
    answers: dict[int, Answer] = {}
    for event in events:
        match event:
            case Started():
                start = event
            case Broken():
                return event.error
            case Other(number, inner):
                if isinstance(inner, Finished):
                    parts = others[number].whole()
                    answers[number] = Answer(number, parts, inner.stop, inner.stop_sequence)
                else:
                    others[number].add(inner)
            case Finished():
                if start is None:
                    break
                return Response(
                    start.id,
                    start.model,
                    first.whole(),
                    event.stop,
                    event.stop_sequence,
                    event.usage or start.usage,
                    start.created,
                    event.extras,
                    tuple(answers[number] for number in sorted(answers)),
                )
            case _:
                first.add(event)
    raise ValueError("a stream of events begins with Started and ends with Finished or Broken")


class _Parts:
    """Those of one answer, as they grow."""

    def __init__(self) -> None:
        self._parts: dict[int, Part] = {}
        self._texts: dict[int, list[str]] = {}

    def add(self, event: BlockEvent) -> None:
        parts = self._parts
        match event:
            case BlockStarted():
                parts[event.index], self._texts[event.index] = event.block, []
            case TextDelta() | RefusalDelta() | ReasoningDelta() | ArgumentsDelta():
                self._texts[event.index].append(event.text)
            case ProofAdded():
                parts[event.index] = _with_proof(parts[event.index], event.proof)
            case CitationAdded():
                parts[event.index] = _with_citation(parts[event.index], event.citation)
            case LogprobsAdded():
                parts[event.index] = _with_logprobs(parts[event.index], event.logprobs)
            case BlockStopped():
                pass

    def whole(self) -> tuple[Part, ...]:
        parts, texts = self._parts, self._texts
        return tuple(_with_text(parts[i], "".join(texts[i])) for i in sorted(parts))


def unfold(reply: Reply) -> Iterator[Event]:
    """The stream that `fold` turns back into `reply`."""
    if isinstance(reply, ErrorReply):
        yield Broken(reply)
        return
    usage = reply.usage and reply.usage.of_input()
    yield Started(reply.id, reply.model, reply.created, usage)
    yield from unfold_parts(reply.parts)
    for answer in reply.others:
        for event in unfold_parts(answer.parts):
            yield Other(answer.number, event)
        yield Other(answer.number, Finished(answer.stop, answer.stop_sequence))
    yield Finished(reply.stop, reply.stop_sequence, reply.usage, reply.extras)


def unfold_parts(parts: Iterable[Part]) -> Iterator[BlockEvent]:
    """The events of one answer, but for its end."""
    for index, part in enumerate(parts):
        yield from _unfold_part(index, part)


def _unfold_part(index: int, part: Part) -> Iterator[BlockEvent]:
    match part:
        case Text():
            empty = replace(part, text="", citations=(), proof=None, logprobs=())
            yield BlockStarted(index, empty)
            yield TextDelta(index, part.text)
            for citation in part.citations:
                yield CitationAdded(index, citation)
        case Refusal():
            yield BlockStarted(index, Refusal(""))
            yield RefusalDelta(index, part.text)
        case Reasoning():
            yield BlockStarted(index, replace(part, text="", proof=None))
            if part.text:
                yield ReasoningDelta(index, part.text)
        case ToolCall():
            # With its proof: some dialects put that in front of the call.
            yield BlockStarted(index, replace(part, arguments=""))
            if part.arguments:
                yield ArgumentsDelta(index, part.arguments)
        case Media() | Opaque() | ToolResult():
            yield BlockStarted(index, part)
    if isinstance(part, Text | Refusal) and part.logprobs:
        yield LogprobsAdded(index, part.logprobs)
    if isinstance(part, Text | Reasoning) and part.proof is not None:
        yield ProofAdded(index, part.proof)
    yield BlockStopped(index)


def _with_text(part: Part, text: str) -> Part:
    match part:
        case Text() | Refusal() | Reasoning():
            return replace(part, text=part.text + text) if text else part
        case ToolCall():
            return replace(part, arguments=part.arguments + text) if text else part
        case _:
            return part


def _with_proof(part: Part, proof: Proof) -> Part:
    return replace(part, proof=proof) if isinstance(part, Text | Reasoning | ToolCall) else part


def _with_citation(part: Part, citation: Citation) -> Part:
    if isinstance(part, Text):
        return replace(part, citations=(*part.citations, citation))
    return part


def _with_logprobs(part: Part, logprobs: tuple[Logprob, ...]) -> Part:
    if isinstance(part, Text | Refusal):
        return replace(part, logprobs=part.logprobs + logprobs)
    return part
