"""Plays a script on one HTTP request, as a stream or as a whole answer of one wire."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.web.server import Request

from aiproxy import codings, ir
from aiproxy.errors import ErrorReply
from aiproxy.simulator.record import Record
from aiproxy.simulator.script import (
    Breaking,
    Cut,
    Junk,
    Opened,
    Page,
    Pause,
    Pings,
    Refuse,
    Reset,
    Script,
    Stall,
    Torn,
    Unmarked,
)
from aiproxy.wire.closed import assert_never
from aiproxy.wire.contract import Inbound, StreamEncoder

_GZIP_WBITS = 31

_COMMENT = b": alive\n\n"
_MARKERS = (b"event: message_stop\n", b"data: [DONE]\n")


def refuse(
    http: Request, wire: Inbound, error: ErrorReply, status: int | None = None, coding: str = ""
) -> None:
    """An error as a whole answer. status: None for what the dialect has."""
    encoded = wire.encode_reply(error, None)
    if error.retry_after is not None:
        http.setHeader("Retry-After", str(math.ceil(error.retry_after)))
        if error.retry_after % 1:
            http.setHeader("Retry-After-Ms", str(round(error.retry_after * 1000)))
    answer(http, encoded.status if status is None else status, encoded.body, coding=coding)


def answer(
    http: Request,
    status: int,
    body: bytes,
    content_type: str = "application/json",
    coding: str = "",
) -> None:
    """A whole answer; the caller ends it."""
    http.setResponseCode(status)
    http.setHeader("Content-Type", content_type)
    if coding:
        http.setHeader("Content-Encoding", coding)
        body = codings.encode(body, coding)
    http.setHeader("Content-Length", str(len(body)))
    http.write(body)


class Player:
    """
    One answer.

    request: says whether it is a stream.
    """

    def __init__(
        self,
        clock: IReactorTime,
        record: Record,
        http: Request,
        wire: Inbound,
        request: ir.Request,
    ) -> None:
        self._clock = clock
        self._record = record
        self._http = http
        self._wire = wire
        self._request = request
        self._has_cut = False

    async def play(self, script: Script) -> None:
        """Ends with CancelledError when the client leaves, or the script cuts the connection."""
        is_stream = self._request.stream and not script.whole
        self._record.streams += is_stream
        self._record.changed()
        try:
            if is_stream:
                await self._stream(script)
            else:
                await self._whole(script)
        except CancelledError:
            self._record.aborted += not self._has_cut
            raise
        finally:
            self._record.streams -= is_stream
            self._record.changed()

    # ── a stream ──

    async def _stream(self, script: Script) -> None:
        encoder = self._wire.StreamEncoder(self._request)
        pack = _packer(script.coding)
        for step in script.steps:
            match step:
                case Pause() | Cut() | Reset() | Stall() | Pings():
                    await self._pass(step)
                case Refuse():
                    refuse(self._http, self._wire, step.error, step.status, script.coding)
                    return
                case Page():
                    self._show(step)
                    return
                case _:
                    self._open(encoder.content_type, script)
                    if not isinstance(step, Opened):
                        self._send(pack(_bytes_of(step, encoder)))
                    if isinstance(step, Torn):
                        await self._pass(Cut())
        self._open(encoder.content_type, script)
        self._send(pack(None))

    def _open(self, content_type: str, script: Script) -> None:
        """The headers go out."""
        if not self._http.startedWriting:
            self._http.setHeader("Content-Type", script.content_type or content_type)
            self._http.setHeader("Cache-Control", "no-cache")
            coding = script.claimed or script.coding
            if coding:
                self._http.setHeader("Content-Encoding", coding)
            self._http.write(b"")

    def _send(self, data: bytes) -> None:
        if data:
            self._http.write(data)

    # ── a whole answer ──

    async def _whole(self, script: Script) -> None:
        events: list[ir.Event] = []
        for step in script.steps:
            match step:
                case Cut() | Torn():
                    await self._cut_whole(events)
                case Pings():
                    await self._pass(Stall())
                case Pause() | Reset() | Stall():
                    await self._pass(step)
                case Opened():
                    pass
                case Junk():
                    answer(self._http, 200, step.data, coding=script.coding)
                    return
                case Refuse():
                    refuse(self._http, self._wire, step.error, step.status, script.coding)
                    return
                case Page():
                    self._show(step)
                    return
                case ir.Broken():
                    refuse(self._http, self._wire, step.error, 200, script.coding)
                    return
                case ir.Finished() | Unmarked():
                    self._say_all(
                        [*events, step if isinstance(step, ir.Finished) else step.event], script
                    )
                    return
                case _:
                    events.append(step)
        answer(self._http, 200, b"")

    def _say_all(self, events: Sequence[ir.Event], script: Script) -> None:
        body = self._body(events)
        kind = script.content_type or "application/json"
        if script.claimed:
            self._http.setHeader("Content-Encoding", script.claimed)
        answer(self._http, 200, body, kind, coding=script.coding)

    async def _cut_whole(self, events: Sequence[ir.Event]) -> None:
        """Half of what there is, under headers that promise all of it."""
        if events:
            body = self._body([*events, ir.Finished("end")])
            self._http.setHeader("Content-Type", "application/json")
            self._http.setHeader("Content-Length", str(len(body)))
            self._http.write(body[: len(body) // 2])
        await self._pass(Cut())

    def _body(self, events: Sequence[ir.Event]) -> bytes:
        return self._wire.encode_reply(ir.fold(events), self._request).body

    # ── both ──

    async def _pass(self, step: Breaking) -> None:
        channel: Any = self._http.channel
        match step:
            case Pause():
                await deferLater(self._clock, step.seconds)
            case Pings():
                self._open(self._wire.StreamEncoder(self._request).content_type, Script(()))
                while True:
                    self._http.write(step.data or self._wire.HEARTBEAT or _COMMENT)
                    await deferLater(self._clock, step.seconds)
            case Cut():
                self._has_cut = True
                channel.loseConnection()
                await _never()
            case Reset():
                self._has_cut = True
                channel.transport.abortConnection()
                await _never()
            case Stall():
                await _never()
            case _:
                assert_never(step)

    def _show(self, page: Page) -> None:
        answer(self._http, page.status, page.text.encode(), page.content_type)


def _bytes_of(step: ir.Event | Junk | Torn | Unmarked, encoder: StreamEncoder) -> bytes:
    match step:
        case Junk():
            return step.data
        case Torn():
            data = encoder.encode(step.event)
            middle = next(at for at, byte in enumerate(data) if byte >= 0xC0)
            return data[: middle + 1]
        case Unmarked():
            data = encoder.encode(step.event)
            ends = [data.find(marker) for marker in _MARKERS if marker in data]
            return data[: ends[0]] if ends else data
        case _:
            return encoder.encode(step)


def _packer(coding: str) -> Callable[[bytes | None], bytes]:
    """
    Packs one stream, piece by piece, each complete when it goes out; None is the end.

    A gzip stream is flushed as servers do; any other coding has a frame for each piece.
    """
    if coding == "gzip":
        deflater = zlib.compressobj(6, zlib.DEFLATED, _GZIP_WBITS)
        return lambda data: (
            deflater.flush()
            if data is None
            else deflater.compress(data) + deflater.flush(zlib.Z_SYNC_FLUSH)
        )
    if coding:
        return lambda data: codings.encode(data, coding) if data else b""
    return lambda data: data or b""


def _never() -> Deferred[None]:
    """Ends by being cancelled, when the connection is gone."""
    return Deferred()
