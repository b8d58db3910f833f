"""
One upstream stream joined to one client stream.

The commit gate: nothing of an upstream reaches the client before its first content, so that until
then another upstream can take over unseen. Heartbeats may go out meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from aiproxy.errors import UpstreamError, UpstreamProtocolError, UpstreamRefused
from aiproxy.outcome import outcome
from aiproxy.translate.client import Client
from aiproxy.upstream.body import StreamBody
from aiproxy.upstream.client import UpstreamReply
from aiproxy.wire.relay import Relay

MAX_HELD_BYTES = 32 * 1024 * 1024
"""Of what comes before the first content; some vendors repeat the whole request there."""

_FAREWELL_SECONDS = 1.0
"""How long an upstream may take to end its connection after its terminal event."""


Receive: TypeAlias = Callable[[Sequence[Any]], None]
"""Takes the messages of one read."""


class Pairing:
    """
    Runs one stream.

    body: makes the body of the upstream's answer, which delivers messages that `relay` can read.
    commit: called once, just before the first bytes go to the client.
    cleaned: takes out of an upstream's error what no client may see.
    """

    def __init__(
        self,
        body: Callable[[Receive], StreamBody[Any]],
        relay: Relay,
        client: Client,
        commit: Callable[[], None],
        clock: IReactorTime,
        cleaned: Callable[[bytes], bytes] = bytes,
    ) -> None:
        self._body = body(self._deliver)
        self._relay = relay
        self._client = client
        self._commit = commit
        self._clock = clock
        self._cleaned = cleaned
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._ended: Deferred[None] = Deferred()
        self.committed = False

    async def run(self, reply: UpstreamReply) -> None:
        """
        Until the client has its whole stream.

        Raises: UpstreamError; `committed` tells whether the client has seen any of it.
        """
        running = reply.stream(self._body)
        self._client.pace(self._body)
        try:
            await _first_of(running, self._ended)
            self._send(self._relay.close())
            self._refuse_error()
        except UpstreamError:
            # What comes after the terminal event takes nothing from the answer.
            if not self._relay.finished or self._relay.error is not None:
                raise
        finally:
            self._client.pace(None)
        self._open()
        self._part_from(running)

    def _deliver(self, messages: Sequence[Any]) -> None:
        relay = self._relay
        heard = relay.heard
        data = relay.feed(messages)
        if relay.heard != heard:
            self._body.progressed()
        if not self.committed:
            # Of one that failed before the client has seen anything it sees nothing.
            relay.feed(())
        if not self.committed and relay.has_content:
            self._open()
        self._send(self._cleaned(data) if relay.error is not None else data)
        relay.feed(())
        if relay.error is not None:
            raise UpstreamRefused(relay.error)
        if relay.finished and not self._ended.called:
            self._ended.callback(None)

    def _send(self, data: bytes) -> None:
        if not data:
            return
        if self.committed:
            self._client.write(data)
            return
        self._held.append(data)
        self._held_bytes += len(data)
        if self._held_bytes > MAX_HELD_BYTES:
            raise UpstreamProtocolError(f"no content in {MAX_HELD_BYTES} bytes")

    def _open(self) -> None:
        if self.committed:
            return
        self.committed = True
        self._commit()
        if self._held:
            self._client.write(b"".join(self._held))
            self._held.clear()

    def _refuse_error(self) -> None:
        if self._relay.error is not None:
            raise UpstreamRefused(self._relay.error)

    def _part_from(self, running: Deferred[None]) -> None:
        """Let the upstream end by itself, so that its connection can be used again."""
        if running.called:
            return
        late = self._clock.callLater(_FAREWELL_SECONDS, running.cancel)

        def ended(_: object) -> None:
            if late.active():
                late.cancel()

        running.addBoth(ended)


async def _first_of(running: Deferred[None], ended: Deferred[None]) -> None:
    """Wait for either; when the caller leaves, `running` is cancelled."""
    either: Deferred[None] = Deferred(lambda _: running.cancel())

    def fire(result: Failure | None) -> None:
        if either.called:
            return
        if isinstance(result, Failure):
            either.errback(result)
        else:
            either.callback(None)

    running.addBoth(fire)
    ended.addBoth(fire)
    await outcome(either)


class Heartbeat:
    """
    Keeps an idle client stream alive, whenever `seconds` have passed with nothing written.

    beat: bytes that the client skips, b"" when it would not skip any.
    begin: opens the stream for the first beat; whatever fails after that must be said inside it.
    """

    log = Logger()

    def __init__(
        self,
        client: Client,
        beat: Callable[[], bytes],
        begin: Callable[[], None],
        clock: IReactorTime,
    ) -> None:
        self._client = client
        self._beat = beat
        self._begin = begin
        self._clock = clock
        self._loop: LoopingCall | None = None
        self._written = 0

    def start(self, seconds: float) -> None:
        if seconds > 0:
            self._loop = LoopingCall(self._tick)
            self._loop.clock = self._clock
            stopped = self._loop.start(seconds, now=False)
            stopped.addErrback(lambda failure: self.log.failure("heartbeat", failure=failure))

    def stop(self) -> None:
        loop, self._loop = self._loop, None
        if loop is not None and loop.running:
            loop.stop()

    def _tick(self) -> None:
        beat = self._beat()
        if beat and self._client.written == self._written:
            if not self._client.started:
                self._begin()
            if self._client.started:
                self._client.write(beat)
        self._written = self._client.written
