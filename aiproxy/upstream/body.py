"""
Bodies of answers: Protocols that a response delivers its bytes to.

A body undoes the content coding, watches for silence, and can be paused so that a slow client
slows the upstream down. Its `done` fires once: with a result at the regular end, with an
UpstreamError, or with CancelledError. From then on nothing is delivered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, Protocol, TypeVar

from twisted.internet import protocol
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss
from zope.interface import implementer

from aiproxy.errors import UpstreamProtocolError, UpstreamTimeout
from aiproxy.framing import eventstream
from aiproxy.framing.sse import Message, SSEDecoder
from aiproxy.settings import Timeouts
from aiproxy.upstream.encoding import ReplyDecoder
from aiproxy.upstream.failures import IN_MID_ANSWER, explained

M = TypeVar("M")


class Framing(Protocol[M]):
    """Bytes to messages, however the bytes are cut."""

    def feed(self, data: bytes) -> list[M]:
        """The messages that `data` completes."""

    def close(self) -> list[M]:
        """The messages that the end completes."""


class Silence:
    """
    Calls `expired` once the upstream was silent for the limit; time paused by us does not count.

    The timer is set again only when it runs out, not at each read.

    since: when it was last heard.
    """

    def __init__(self, clock: IReactorTime, expired: Callable[[float], None]) -> None:
        self._clock = clock
        self._expired = expired
        self._limit_seconds = 0.0
        self.since = 0.0
        self._paused_at: float | None = None
        self._timer: IDelayedCall | None = None

    def watch(self, limit_seconds: float) -> None:
        """Counts from now, with this limit."""
        self._limit_seconds = limit_seconds
        self.heard()
        self._stop_timer()
        self._check()

    @property
    def is_watching(self) -> bool:
        return self._limit_seconds > 0

    def heard(self) -> None:
        """Counts from now."""
        self.since = self._clock.seconds()

    def pause(self) -> None:
        if self._paused_at is None:
            self._paused_at = self._clock.seconds()

    def resume(self) -> None:
        if self._paused_at is not None:
            # What was heard while paused counts from the resumption, not from the future.
            now = self._clock.seconds()
            self.since = min(now, self.since + now - self._paused_at)
            self._paused_at = None
            if self._timer is None and self._limit_seconds:
                self._check()

    def stop(self) -> None:
        self._limit_seconds = 0.0
        self._stop_timer()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _check(self) -> None:
        self._timer = None
        if self._paused_at is not None:
            return
        rest = self.since + self._limit_seconds - self._clock.seconds()
        if rest > 0:
            self._timer = self._clock.callLater(rest, self._check)
        else:
            self._expired(self._limit_seconds)


def _nothing() -> None:
    """Done."""


def _nobody(messages: object) -> None:
    """The body is over."""


@implementer(IPushProducer)
class Body(protocol.Protocol):
    """
    What all bodies share; subclasses say what becomes of the decoded bytes.

    done: cancelling it closes the connection at once.
    """

    def __init__(self) -> None:
        self.done: Deferred[Any] = Deferred(lambda _: self._end())
        self._is_over = False
        self._is_paused = False
        self._decoder: ReplyDecoder | None = None
        self._silence: Silence | None = None
        self._patience = 0.0
        self._abort: Callable[[], None] = _nothing

    def attach(
        self,
        content_encoding: str,
        clock: IReactorTime,
        timeouts: Timeouts,
        abort: Callable[[], None],
    ) -> None:
        """
        Called once, before the response delivers.

        content_encoding: as the answer's header says, "" for none; an unknown one ends the body.
        timeouts: a stream has `first_event` and then `idle`, with signs of life alone no longer
            than `whole_answer`; anything else has `whole_answer`.
        abort: closes the connection at once.
        """
        self._abort = abort
        if self._is_over:
            return
        try:
            self._decoder = ReplyDecoder(content_encoding)
        except UpstreamProtocolError:
            self._fail(Failure())
            return
        self._silence = Silence(clock, self._fell_silent)
        if self._is_paused:
            self._silence.pause()
        self._patience = self._first_seconds(timeouts)

    def connectionMade(self) -> None:
        """The response begins to deliver, which is too late for a body that is over."""
        if self._is_over:
            self._hang_up()

    def pauseProducing(self) -> None:
        """No more reads for now."""
        self._is_paused = True
        if self._silence is not None:
            self._silence.pause()
        if self.transport is not None and not self._is_over:
            self.transport.pauseProducing()  # type: ignore[attr-defined]

    def resumeProducing(self) -> None:
        """Reads go on."""
        self._is_paused = False
        if self._silence is not None:
            self._silence.resume()
        if self.transport is not None and not self._is_over:
            self.transport.resumeProducing()  # type: ignore[attr-defined]

    def stopProducing(self) -> None:
        """The consumer is gone: like cancelling `done`."""
        if not self._is_over:
            self.done.cancel()

    def delivering(self) -> None:
        """
        Called once, after the response has begun to deliver: that ends any earlier pause.

        Most whole answers are complete by now, and need no clock.
        """
        if self._is_paused:
            self.pauseProducing()
        if self._silence is not None and not self._silence.is_watching:
            self._silence.watch(self._patience)

    def dataReceived(self, data: bytes) -> None:
        if self._is_over or self._decoder is None or self._silence is None:
            return
        try:
            self._decoded(self._decoder.feed(data), self._silence)
        except Exception:
            self._fail(Failure())

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._is_over or self._decoder is None:
            return
        # From here on the connection may be another call's.
        self._abort = _nothing
        problem = reason.value
        if problem is not None and not isinstance(problem, (ResponseDone, PotentialDataLoss)):
            self._fail(Failure(explained(problem, IN_MID_ANSWER)))
            return
        try:
            self._decoder.finish()
            result = self._finished()
        except Exception:
            self._fail(Failure())
            return
        # The last messages may have made the receiver cancel.
        if not self._is_over:
            self._is_over = True
            self._let_go()
            self.done.callback(result)

    def _first_seconds(self, timeouts: Timeouts) -> float:
        """For how long the upstream may be silent at first."""
        return timeouts.whole_answer

    def _decoded(self, data: bytes, silence: Silence) -> None:
        """Bytes of the answer, decoded; any error ends the body."""
        raise NotImplementedError

    def _finished(self) -> object:
        """The answer is complete; gives the result of `done`."""
        raise NotImplementedError

    def _fell_silent(self, seconds: float) -> None:
        raise NotImplementedError

    def _fail(self, failure: Failure) -> None:
        if not self._is_over:
            self._end()
            self.done.errback(failure)

    def _end(self) -> None:
        """No more deliveries, and no more connection."""
        self._is_over = True
        self._let_go()
        self._hang_up()

    def _hang_up(self) -> None:
        self._abort()
        if self.transport is not None:
            self.transport.loseConnection()

    def _let_go(self) -> None:
        """Of whom it holds and who holds it, which only the collector could part."""
        silence, self._silence = self._silence, None
        if silence is not None:
            silence.stop()


class WholeBody(Body):
    """
    Collects a body; `done` fires with its bytes.

    limit_bytes: of the decoded body; more fails with UpstreamProtocolError.
    """

    def __init__(self, limit_bytes: int) -> None:
        super().__init__()
        self._limit_bytes = limit_bytes
        self._pieces: list[bytes] = []
        self._size = 0

    def _decoded(self, data: bytes, silence: Silence) -> None:
        self._size += len(data)
        if self._size > self._limit_bytes:
            raise UpstreamProtocolError(f"the answer is larger than {self._limit_bytes} bytes")
        self._pieces.append(data)

    def _finished(self) -> object:
        return b"".join(self._pieces)

    def _fell_silent(self, seconds: float) -> None:
        self._fail(Failure(UpstreamTimeout(f"answer not complete within {seconds:g} seconds")))


class StreamBody(Body, Generic[M]):
    """
    Delivers messages as they come.

    deliver: called once for each read that completed a message, with all of them; what it raises
        ends the body and comes out of `done`. It calls `progressed` when there was content.
    framing: makes the framing, for each body its own.
    """

    framing: Callable[[], Framing[M]]

    def __init__(self, deliver: Callable[[list[M]], None]) -> None:
        super().__init__()
        self._deliver = deliver
        self._frames = self.framing()
        self._idle_seconds = 0.0
        self._longest_seconds = 0.0
        self._has_begun = False
        self._progress_at = 0.0

    def progressed(self) -> None:
        """
        Of what was delivered last, something was more than a sign of life.

        Until the first time nothing restarts the clock. From then on every message does, but signs
        of life alone only for so long: some upstreams go on with them when all else is dead.
        """
        if self._silence is None:
            return
        if self._has_begun:
            self._silence.heard()
        else:
            self._has_begun = True
            self._silence.watch(self._idle_seconds)
        self._progress_at = self._silence.since

    def _first_seconds(self, timeouts: Timeouts) -> float:
        self._idle_seconds = timeouts.idle
        self._longest_seconds = timeouts.whole_answer
        return timeouts.first_event

    def _let_go(self) -> None:
        super()._let_go()
        self._deliver = _nobody

    def _decoded(self, data: bytes, silence: Silence) -> None:
        messages = self._frames.feed(data)
        if messages:
            if self._has_begun and silence.since - self._progress_at < self._longest_seconds:
                silence.heard()
            self._deliver(messages)

    def _finished(self) -> object:
        messages = self._frames.close()
        if messages:
            self._deliver(messages)
        return None

    def _fell_silent(self, seconds: float) -> None:
        what = "silent for" if self._has_begun else "no content within"
        self._fail(Failure(UpstreamTimeout(f"{what} {seconds:g} seconds")))


class SSEBody(StreamBody[Message]):
    """Server-sent events."""

    framing = SSEDecoder


class KiroBody(StreamBody[eventstream.Message]):
    """An AWS event stream; a broken frame ends it at once, behind the good ones before it."""

    framing = eventstream.EventStreamDecoder

    def _decoded(self, data: bytes, silence: Silence) -> None:
        super()._decoded(data, silence)
        # The fault may be known already, and the upstream may send nothing more.
        self._frames.feed(b"")


BODIES: Mapping[str, type[StreamBody[Any]]] = {"sse": SSEBody, "eventstream": KiroBody}
"""By the name of the framing."""
