"""
What a wire module offers, as types.

A wire is one protocol's meaning of bytes, in both directions. A module that clients and upstreams
speak offers everything here; one that only upstreams speak offers `Outbound`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Protocol, TypeAlias, TypeVar

from msgspec import Struct

from aiproxy import ir
from aiproxy.framing import sse
from aiproxy.wire.names import NameRule

M_contra = TypeVar("M_contra", contravariant=True)
"""One message of a framing."""

Operation: TypeAlias = Literal["generate", "count", "compact"]


class Head(Struct, frozen=True, gc=False):
    """
    What routing needs to know of a request.

    stream: whether the client wants a stream.
    members: those of the body's own that an upstream may want otherwise, as they stand in it.
    """

    model: str
    stream: bool
    operation: Operation = "generate"
    members: Mapping[str, ir.JSON] = {}


class Encoded(Struct, frozen=True, gc=False):
    """A body for the other side, and what it could not carry (no feature named twice)."""

    body: bytes
    losses: tuple[ir.Loss, ...] = ()


class EncodedReply(Struct, frozen=True, gc=False):
    """A whole answer for a client. status: as this dialect has it."""

    status: int
    body: bytes
    losses: tuple[ir.Loss, ...] = ()


class StreamDecoder(Protocol[M_contra]):
    """
    Messages of one upstream stream in, events out.

    An in-band error becomes `Broken`. After `Finished` or `Broken` nothing more comes out.
    Raises: UpstreamProtocolError, and nothing else, whatever the bytes.
    """

    def feed(self, message: M_contra) -> Sequence[ir.Event]: ...

    def close(self) -> Sequence[ir.Event]:
        """
        The upstream has ended its stream.

        Returns what was held back (a final usage); raises UpstreamProtocolError when the stream
        lacks both its terminal event and the stop reason that makes up for it.
        """
        ...


class StreamEncoder(Protocol):
    """
    Events in, bytes of one client stream out; losses grows as it goes.

    Every stream it writes keeps the dialect's grammar, whatever legal order the events come in.
    """

    content_type: str
    losses: list[ir.Loss]

    def encode(self, event: ir.Event) -> bytes: ...


class RawStream(Protocol):
    """An upstream's stream on its way to a client of the same wire, as it is."""

    content_type: str

    def pass_on(self, message: sse.Message) -> bytes: ...

    def end(self) -> bytes: ...

    def marked_end(self) -> bytes:
        """The end of a stream whose upstream left out the dialect's last mark."""
        ...


class EventStreamAsIs:
    """
    Server-sent events pass byte for byte.

    path: of the client's request, with its query. mark: what must come last, b"" for nothing.
    """

    content_type = "text/event-stream"

    def __init__(self, path: str, mark: bytes = b"") -> None:
        self._mark = mark

    def pass_on(self, message: sse.Message) -> bytes:
        return message.raw

    def end(self) -> bytes:
        return b""

    def marked_end(self) -> bytes:
        return self._mark


class Outbound(Protocol):
    """
    A wire as upstreams speak it.

    NAME: key in the registry. FAMILY: whose proofs it understands. TOOL_NAMES: what it takes as a
    tool's name; `encode_request` uses it through `ToolNames`, the reply's way back is the relay's.
    TAKES_STOP: whether a request can name stop sequences; if not, the relay cuts the answer.
    """

    NAME: str
    FAMILY: str
    TOOL_NAMES: NameRule
    TAKES_STOP: bool
    StreamDecoder: Callable[[], StreamDecoder[Any]]

    def encode_request(self, request: ir.Request) -> Encoded:
        """Raises BadRequest when the target cannot serve this at all."""
        ...

    def decode_reply(self, status: int, body: bytes) -> ir.Reply:
        """
        One whole answer: a Response when status is 2xx, else an ErrorReply with `native` set.

        A 2xx body that is an error in disguise is an ErrorReply too.
        Raises: UpstreamProtocolError when a 2xx body is not this protocol.
        """
        ...


class Counting(Protocol):
    """What an outbound wire offers besides, when its upstreams can count a request's tokens."""

    def encode_count_request(self, request: ir.Request) -> Encoded:
        """Raises BadRequest as `encode_request` does."""
        ...

    def decode_count(self, body: bytes) -> int:
        """Input tokens. Raises UpstreamProtocolError."""
        ...


class Collector(Protocol[M_contra]):
    """Puts the whole answer together that a stream of the same wire amounts to."""

    def feed(self, message: M_contra) -> None: ...

    def body(self) -> bytes:
        """After the terminal event. Raises UpstreamProtocolError when there was none."""
        ...


class Collecting(Protocol):
    """What an outbound wire offers besides, when its streams hold their whole answer."""

    Collector: Callable[[], Collector[Any]]


class Inbound(Protocol):
    """
    A wire as clients speak it.

    ROUTES: paths in Klein's form, all POST. HEARTBEAT: bytes that keep an idle stream alive and
    that every client of this dialect skips, b"" when there are none. FIRST_HEARTBEAT: the same
    for a stream that has not begun. ERROR_IS_END: whether the dialect's error event is an end of
    the stream by its grammar, so that a clean end of the connection behind it hides nothing.
    """

    NAME: str
    FAMILY: str
    ROUTES: Sequence[str]
    HEARTBEAT: bytes
    FIRST_HEARTBEAT: bytes
    ERROR_IS_END: bool
    StreamEncoder: Callable[[ir.Request], StreamEncoder]
    RawStream: Callable[[str], RawStream]

    def head(self, body: bytes, path: str) -> Head:
        """
        The routing view of a request, without looking at the rest.

        path: with its query ("/v1beta/models/m:streamGenerateContent?alt=sse").
        Raises: BadRequest when the body is no JSON object or has a model that is no text.
        """
        ...

    def decode_request(self, body: bytes, path: str) -> ir.Request:
        """Raises BadRequest, naming the field at fault."""
        ...

    def encode_reply(self, reply: ir.Reply, request: ir.Request | None) -> EncodedReply:
        """request: what the client asked, None when it failed before that was known."""
        ...

    def encode_count(self, input_tokens: int) -> bytes:
        """The answer to a token-counting request."""
        ...
