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
class Pings:
    """Signs of life for ever, and nothing else. data: of each, b"" for the dialect's own."""

    seconds: float
    data: bytes = b""


@dataclass(frozen=True, slots=True)
class Cut:
    """The connection breaks."""


@dataclass(frozen=True, slots=True)
class Reset:
    """The connection breaks rudely: the client's system gets a reset."""


@dataclass(frozen=True, slots=True)
class Torn:
    """The connection breaks inside this event, in the middle of a character."""

    event: ir.TextDelta


@dataclass(frozen=True, slots=True)
class Unmarked:
    """The end with its reason and usage, but without what marks the end of the stream itself."""

    event: ir.Finished


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
    """A web page or a line of text instead of an answer, as gateways in front of vendors give."""

    status: int
    text: str
    content_type: str = "text/html; charset=utf-8"


Breaking: TypeAlias = Pause | Pings | Cut | Reset | Stall
"""Steps in which nothing of an answer goes out."""

Step: TypeAlias = ir.Event | Breaking | Opened | Junk | Torn | Unmarked | Refuse | Page


@dataclass(frozen=True, slots=True)
class Script:
    """
    steps: in order; when they end without a terminal event, so does the stream.
    coding: of the body, "" for none. claimed: the coding that the header tells, if another one.
    content_type: "" for the dialect's own. whole: even if a stream was asked for.
    """

    steps: tuple[Step, ...]
    coding: str = ""
    claimed: str = ""
    content_type: str = ""
    whole: bool = False
