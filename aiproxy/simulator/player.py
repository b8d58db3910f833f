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
from aiproxy.simulator.script import Cut, Junk, Opened, Page, Pause, Refuse, Script, Stall
from aiproxy.wire.closed import assert_never
from aiproxy.wire.contract import Inbound, StreamEncoder

_GZIP_WBITS = 31


def refuse(
    http: Request, wire: Inbound, error: ErrorReply, status: int | None = None, coding: str = ""
) -> None:
    """An error as a whole answer. status: None for what the dialect has."""
    encoded = wire.encode_reply(error, None)
    if error.retry_after is not None:
        http.setHeader("Retry-After", str(math.ceil(error.retry_after)))
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
                case Pause() | Cut() | Stall():
                    await self._pass(step)
                case Refuse():
                    refuse(self._http, self._wire, step.error, step.status, script.coding)
                    return
                case Page():
                    self._show(step)
                    return
                case _:
                    self._open(encoder.content_type, script.coding)
                    if not isinstance(step, Opened):
                        self._send(pack(_bytes_of(step, encoder)))
        self._open(encoder.content_type, script.coding)
        self._send(pack(None))

    def _open(self, content_type: str, coding: str) -> None:
        """The headers go out."""
        if not self._http.startedWriting:
            self._http.setHeader("Content-Type", content_type)
            self._http.setHeader("Cache-Control", "no-cache")
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
                case Cut():
                    await self._cut_whole(events)
                case Pause() | Stall():
                    await self._pass(step)
                case Opened():
                    pass
                case Junk():
                    answer(self._http, 200, step.data)
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
                case ir.Finished():
                    answer(self._http, 200, self._body([*events, step]), coding=script.coding)
                    return
                case _:
                    events.append(step)
        answer(self._http, 200, b"")

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

    async def _pass(self, step: Pause | Cut | Stall) -> None:
        match step:
            case Pause():
                await deferLater(self._clock, step.seconds)
            case Cut():
                self._has_cut = True
                channel: Any = self._http.channel
                channel.loseConnection()
                await _never()
            case Stall():
                await _never()
            case _:
                assert_never(step)

    def _show(self, page: Page) -> None:
        answer(self._http, page.status, page.html.encode(), "text/html; charset=utf-8")


def _bytes_of(step: ir.Event | Junk, encoder: StreamEncoder) -> bytes:
    return step.data if isinstance(step, Junk) else encoder.encode(step)


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
