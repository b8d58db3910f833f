"""
How one call is answered, as values: a list of steps that `player` plays on a connection.

The same steps make a stream and a whole answer: a whole one takes all pauses first, then says
everything at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from aiproxy import ir
from aiproxy.errors import ErrorReply


@dataclass(frozen=True, slots=True)
class Question:
    """
    What a behaviour answers.

    wire, family: of the protocol that the call speaks. count: earlier calls for the same model.
    """

    request: ir.Request
    wire: str
    family: str
    count: int = 0


@dataclass(frozen=True, slots=True)
class Pause:
    seconds: float


@dataclass(frozen=True, slots=True)
class Opened:
    """A stream's headers go out now rather than with its first event."""


@dataclass(frozen=True, slots=True)
class Junk:
    """Bytes that are no event of any wire; as a whole answer they are the body."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Cut:
    """The connection breaks."""


@dataclass(frozen=True, slots=True)
class Stall:
    """Nothing more comes, and the connection stays open."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """An error in the wire's own shape instead of an answer. status: of HTTP."""

    error: ErrorReply
    status: int


@dataclass(frozen=True, slots=True)
class Page:
    """A web page instead of an answer, as gateways in front of vendors give."""

    status: int
    html: str


Step: TypeAlias = ir.Event | Pause | Opened | Junk | Cut | Stall | Refuse | Page


@dataclass(frozen=True, slots=True)
class Script:
    """
    steps: in order; when they end without a terminal event, so does the stream.
    coding: of the body, "" for none. whole: even if a stream was asked for.
    """

    steps: tuple[Step, ...]
    coding: str = ""
    whole: bool = False
