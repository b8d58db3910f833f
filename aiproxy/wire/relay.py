"""
One upstream's answer on its way to one client, as pure values.

`connect` and `convert`, and `collect` in `collection`, are the only places that know whether both
sides speak the same wire: then bytes pass as they are and are only watched; otherwise they go
through the hub.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from msgspec import Struct

from aiproxy import ir
from aiproxy.errors import BadRequest, ErrorReply, UpstreamProtocolError
from aiproxy.framing import sse
from aiproxy.wire.contract import Encoded, EncodedReply, Inbound, Outbound
from aiproxy.wire.restoring import ToolRestorer
from aiproxy.wire.schemas import refuse_deep
from aiproxy.wire.stopping import StopCutter

# What a client of another dialect cannot do without: the conversation itself is kept elsewhere.
_SERVER_STATE = (
    "previous_response_id",
    "conversation",
    "prompt",
    "background",
    "item_reference",
    "cachedContent",
)

_MODALITIES = ("modalities", "responseModalities")

EMPTY = ErrorReply(502, "upstream", "the upstream gave an empty answer")


class Origin(Struct, frozen=True, gc=False):
    """
    What a reply says of itself where the upstream does not.

    model: the name the client asked for. id: of the call. now: Unix seconds.
    """

    model: str
    id: str
    now: int


class Relay(Protocol):
    """
    A stream's way to the client.

    has_content: the client would miss what `feed` gave so far. heard: how many events came, from
    the first content or thought on; mere signs of life are none. finished: the terminal event came.
    error: the upstream reported one in its stream, or it ended in an empty answer.
    """

    content_type: str
    heard: int
    finished: bool
    error: ErrorReply | None
    usage: ir.Usage | None

    @property
    def has_content(self) -> bool: ...

    def feed(self, messages: Sequence[Any]) -> bytes:
        """
        messages: of the framing in which the upstream's wire streams.

        Raises: UpstreamProtocolError when the bytes are not the upstream's protocol. What those
        before them amount to comes out first: then it is the next call that raises.
        """
        ...

    def close(self) -> bytes:
        """The upstream's stream is over. Raises UpstreamProtocolError when it was cut short."""
        ...

    def broken(self, error: ErrorReply) -> bytes:
        """The client's error event; nothing may follow it."""
        ...

    def losses(self) -> tuple[ir.Loss, ...]: ...


def encode_for(target: Outbound, request: ir.Request) -> Encoded:
    """
    `request` as the body for an upstream of another wire.

    Raises: BadRequest when the target cannot serve it at all.
    """
    if request.wire != target.NAME:
        _refuse_server_state(request)
        _refuse_audio(request)
        _refuse_deep_schemas(request)
    return target.encode_request(request)


def _refuse_server_state(request: ir.Request) -> None:
    """A wrong conversation is worse than an error."""
    for name, value in request.extras.fields if request.extras is not None else ():
        if name in _SERVER_STATE and bytes(value) != b"false":
            raise _unsupported(name)
    for turn in request.turns:
        for part in turn.parts:
            if isinstance(part, ir.Opaque) and part.kind in _SERVER_STATE:
                raise _unsupported(part.kind)


def _refuse_audio(request: ir.Request) -> None:
    """Who asked to hear the answer would wait in vain."""
    for name, value in request.extras.fields if request.extras is not None else ():
        if name in _MODALITIES and b"audio" in bytes(value).lower():
            raise BadRequest("an answer in audio is not supported by this upstream", param=name)


def _refuse_deep_schemas(request: ir.Request) -> None:
    """No vendor takes them, and not every encoder looks so deep."""
    for tool in request.tools:
        if isinstance(tool, ir.Tool) and tool.schema is not None:
            refuse_deep(tool.schema)
    if request.output_format is not None and request.output_format.schema is not None:
        refuse_deep(request.output_format.schema)


def _unsupported(what: str) -> BadRequest:
    return BadRequest(f"{what} is not supported by this upstream", param=what)


def connect(
    upstream: Outbound,
    client: Inbound,
    request: Callable[[], ir.Request],
    path: str,
    origin: Origin,
) -> Relay:
    """The way of one stream. request: decodes the client's request, asked only when needed."""
    if upstream.NAME == client.NAME:
        return _Passthrough(upstream, client, request, path)
    return _Translation(upstream, client, request(), origin)


def convert(
    upstream: Outbound,
    client: Inbound,
    request: Callable[[], ir.Request],
    origin: Origin,
    status: int,
    body: bytes,
) -> tuple[EncodedReply, ir.Reply]:
    """
    One whole answer for the client, and what it says.

    Raises: UpstreamProtocolError when the body of a good status is not the upstream's protocol.
    """
    reply = upstream.decode_reply(status, body)
    if upstream.NAME == client.NAME:
        return EncodedReply(status, body), reply
    if isinstance(reply, ir.Response):
        asked = request()
        reply = for_client(upstream, asked, reply, origin)
        return client.encode_reply(reply, asked), reply
    return client.encode_reply(reply, None), reply


def unfolded(
    upstream: Outbound, client: Inbound, request: ir.Request, origin: Origin, reply: ir.Response
) -> Encoded:
    """A whole answer as the stream that the client asked for."""
    encoder = client.StreamEncoder(request)
    whole = for_client(upstream, request, reply, origin)
    body = b"".join(encoder.encode(event) for event in ir.unfold(whole))
    return Encoded(body, () if upstream.NAME == client.NAME else tuple(encoder.losses))


def for_client(
    upstream: Outbound, request: ir.Request, reply: ir.Response, origin: Origin
) -> ir.Response:
    """A whole answer in the client's own terms."""
    restorer = ToolRestorer(request.tools, upstream.TOOL_NAMES)
    return ir.replace(
        restorer.response(_cutter(upstream, request).response(reply)),
        model=origin.model,
        id=reply.id or origin.id,
        created=reply.created or origin.now,
    )


def _cutter(upstream: Outbound, request: ir.Request) -> StopCutter:
    return StopCutter(() if upstream.TAKES_STOP else request.stop)


class Watch:
    """What every relay notices of the events that pass."""

    def __init__(self, upstream: Outbound) -> None:
        self._decoder = upstream.StreamDecoder()
        self._has_heard = False
        self._is_thinking = False
        self.heard = 0
        self.finished = False
        self.error: ErrorReply | None = None
        self.usage: ir.Usage | None = None
        self._started: ir.Started | None = None
        self._failure: UpstreamProtocolError | None = None

    @property
    def has_content(self) -> bool:
        return self._has_heard

    def _notice(self, event: ir.Event) -> None:
        match event:
            case ir.Started():
                self._started, self.usage = event, event.usage
            case ir.Finished():
                self.finished = True
                self.usage = event.usage or self.usage
                if not self._has_heard and ir.is_empty(event.stop, self.usage):
                    self.error = EMPTY
                else:
                    self._has_heard = True
            case ir.Broken():
                self.error = event.error
            case ir.BlockStarted(block=ir.Reasoning()):
                # Some vendors keep what is in it to themselves, for minutes.
                self._is_thinking = True
            case _:
                self._has_heard = self._has_heard or ir.is_content(event)
        self.heard += self._has_heard or self._is_thinking

    def _refuse_failure(self) -> None:
        if self._failure is not None:
            raise self._failure.anew()

    def _end(self) -> None:
        """After the last event. Raises UpstreamProtocolError."""
        if not self.finished and self.error is None:
            raise UpstreamProtocolError("the upstream's stream was cut short")


_PLAIN = (ir.TextDelta, ir.ArgumentsDelta, ir.ReasoningDelta, ir.RefusalDelta)
"""Events of which only their number is noticed, once there is content."""


class _Passthrough(Watch):
    """Same wire: the bytes go on as they are."""

    def __init__(
        self, upstream: Outbound, client: Inbound, request: Callable[[], ir.Request], path: str
    ) -> None:
        super().__init__(upstream)
        self._raw = client.RawStream(path)
        self._client, self._request = client, request
        self.content_type = self._raw.content_type

    def feed(self, messages: Sequence[sse.Message]) -> bytes:
        self._refuse_failure()
        decode = self._decoder.feed
        good = 0
        try:
            for message in messages:
                for event in decode(message):
                    if isinstance(event, _PLAIN) and self._has_heard:
                        self.heard += 1
                    else:
                        self._notice(event)
                good += 1
        except UpstreamProtocolError as error:
            if not good:
                raise
            self._failure = error.anew()
            messages = messages[:good]
        return b"".join([self._raw.pass_on(message) for message in messages])

    def close(self) -> bytes:
        self._refuse_failure()
        is_marked = self.finished
        for event in self._decoder.close():
            self._notice(event)
        self._end()
        return self._raw.end() if is_marked else self._raw.marked_end()

    def broken(self, error: ErrorReply) -> bytes:
        try:
            encoder = self._client.StreamEncoder(self._request())
        except BadRequest:
            return b""
        if self._started is not None:
            encoder.encode(self._started)
        return encoder.encode(ir.Broken(error))

    def losses(self) -> tuple[ir.Loss, ...]:
        return ()


class _Translation(Watch):
    """Different wires: every event is decoded, restored to the client's terms and encoded."""

    def __init__(
        self, upstream: Outbound, client: Inbound, request: ir.Request, origin: Origin
    ) -> None:
        super().__init__(upstream)
        self._encoder = client.StreamEncoder(request)
        self._restorer = ToolRestorer(request.tools, upstream.TOOL_NAMES)
        self._cutter = _cutter(upstream, request)
        self._origin = origin
        self.content_type = self._encoder.content_type

    def feed(self, messages: Sequence[Any]) -> bytes:
        self._refuse_failure()
        out: list[bytes] = []
        decode, encode = self._decoder.feed, self._encoder.encode
        held, cuts = self._restorer.held, self._cutter.cuts
        try:
            for message in messages:
                for event in decode(message):
                    if (
                        isinstance(event, _PLAIN)
                        and self._has_heard
                        # There is nothing to restore in them either, unless they wait for the rest.
                        and event.index not in held
                        and not cuts
                    ):
                        self.heard += 1
                        out.append(encode(event))
                    else:
                        out.append(self._encode(event))
        except UpstreamProtocolError as error:
            if not out:
                raise
            self._failure = error.anew()
        return b"".join(out)

    def close(self) -> bytes:
        self._refuse_failure()
        out = b"".join(self._encode(event) for event in self._decoder.close())
        self._end()
        return out

    def broken(self, error: ErrorReply) -> bytes:
        return self._encoder.encode(ir.Broken(error))

    def losses(self) -> tuple[ir.Loss, ...]:
        return tuple(self._encoder.losses)

    def _encode(self, event: ir.Event) -> bytes:
        self._notice(event)
        if isinstance(event, ir.Started):
            origin = self._origin
            event = ir.replace(
                event,
                model=origin.model,
                id=event.id or origin.id,
                created=event.created or origin.now,
            )
        encode, restored = self._encoder.encode, self._restorer.events
        if not self._cutter.cuts:
            return b"".join([encode(seen) for seen in restored(event)])
        cut = self._cutter.events(event)
        return b"".join([encode(seen) for kept in cut for seen in restored(kept)])
