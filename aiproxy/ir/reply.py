"""What comes back: one whole answer, or a stream of events."""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from aiproxy.errors import ErrorReply
from aiproxy.ir.parts import Citation, Extras, Logprob, Part, Proof

StopReason: TypeAlias = Literal[
    "end", "stop_sequence", "tool_use", "max_tokens", "context_full", "filtered", "pause", "other"
]


class Usage(Struct, frozen=True, gc=False):
    """
    Tokens, disjoint: input was neither read from nor written to a cache, output is not reasoning.
    """

    input: int = 0
    cache_read: int = 0
    cache_write: int = 0
    output: int = 0
    reasoning: int = 0

    def of_input(self) -> Usage:
        """Of these, what is known for good before the answer has begun."""
        return replace(self, output=0, reasoning=0)


class Answer(Struct, frozen=True, gc=False):
    """One of several answers to a request. number: from 0, that of a response's own parts."""

    number: int
    parts: tuple[Part, ...]
    stop: StopReason
    stop_sequence: str = ""


class Response(Struct, frozen=True, gc=False):
    """
    created: Unix seconds, 0 when the upstream does not say. usage: None when unknown.
    extras: what else it says of the answer, which an encoder for another wire reports as lost.
    others: further answers, by rising number; id, model, usage and extras are those of all.
    """

    id: str
    model: str
    parts: tuple[Part, ...]
    stop: StopReason
    stop_sequence: str = ""
    usage: Usage | None = None
    created: int = 0
    extras: Extras | None = None
    others: tuple[Answer, ...] = ()


Reply: TypeAlias = Response | ErrorReply


class Started(Struct, frozen=True, gc=False):
    """First event. usage: what is known of the input so far."""

    id: str
    model: str
    created: int = 0
    usage: Usage | None = None


class BlockStarted(Struct, frozen=True, gc=False):
    """
    index: block position in the reply, from 0, in order of start, never reused.
    block: its first state: an empty Text, Reasoning or Refusal, a ToolCall with no arguments yet;
    Media and Opaque arrive whole. Several blocks may be open at once.
    """

    index: int
    block: Part


class TextDelta(Struct, frozen=True, gc=False):
    """More text for a Text block, any length, never splitting a code point."""

    index: int
    text: str


class RefusalDelta(Struct, frozen=True, gc=False):
    index: int
    text: str


class ReasoningDelta(Struct, frozen=True, gc=False):
    index: int
    text: str


class ArgumentsDelta(Struct, frozen=True, gc=False):
    """More of a tool call's arguments, as text."""

    index: int
    text: str


class ProofAdded(Struct, frozen=True, gc=False):
    """The proof of a Text, Reasoning or ToolCall block, whole."""

    index: int
    proof: Proof


class CitationAdded(Struct, frozen=True, gc=False):
    index: int
    citation: Citation


class LogprobsAdded(Struct, frozen=True, gc=False):
    """Those of the next tokens of a Text or Refusal; how deltas are cut says nothing of tokens."""

    index: int
    logprobs: tuple[Logprob, ...]


class BlockStopped(Struct, frozen=True, gc=False):
    index: int


class Finished(Struct, frozen=True, gc=False):
    """
    Last event of a good stream; every block is stopped before it. extras: as in Response.

    That of a further answer has neither usage nor extras, and comes before the first answer's.
    """

    stop: StopReason
    stop_sequence: str = ""
    usage: Usage | None = None
    extras: Extras | None = None


class Broken(Struct, frozen=True, gc=False):
    """Last event of a stream that ended in an error."""

    error: ErrorReply


BlockEvent: TypeAlias = (
    BlockStarted
    | TextDelta
    | RefusalDelta
    | ReasoningDelta
    | ArgumentsDelta
    | ProofAdded
    | CitationAdded
    | LogprobsAdded
    | BlockStopped
)
"""What happens inside one answer."""

AnswerEvent: TypeAlias = BlockEvent | Finished
"""What one answer consists of."""


class Other(Struct, frozen=True, gc=False):
    """An event of a further answer, which counts its own blocks. number: as in Answer."""

    number: int
    event: AnswerEvent


Event: TypeAlias = Started | AnswerEvent | Other | Broken
