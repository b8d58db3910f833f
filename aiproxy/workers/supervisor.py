"""The first process: starts workers, starts them again, passes on what they find out."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from aiproxy.routing.news import News
from aiproxy.workers.channel import Lines, Message, messages, written

ORDERS, LINES, ERRORS, LISTENING, REPORTS, CONFIGURATION = range(6)
"""File descriptors in a worker."""

FIRST_DELAY_SECONDS = 1.0
LAST_DELAY_SECONDS = 30.0
SETTLED_SECONDS = 60.0
"""A worker that ran for so long has not failed at its start."""

MAX_UNREAD_BYTES = 1 << 20
"""Of orders that a worker does not take: it hangs, and news do not keep."""


class Supervisor(Service):
    """
    Keeps `count` workers running.

    command: starts one; its number is appended. environ: of the workers.
    listening: what they all accept from; it stays open here, so that no connection is lost while
        one of them is started again.
    configuration: gives the text that a worker begins with.
    write: takes the workers' log lines, each with its newline.
    grace_seconds: gives how long they may take to stop.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        count: int,
        command: Sequence[str],
        environ: dict[str, str],
        listening: socket.socket,
        configuration: Callable[[], str],
        write: Callable[[str], None],
        grace_seconds: Callable[[], float],
    ) -> None:
        self._reactor = reactor
        self._command = tuple(command)
        self._environ = environ
        self._listening = listening
        self._configuration = configuration
        self._write = write
        self._grace_seconds = grace_seconds
        self._workers = [_Worker(self, number) for number in range(1, count + 1)]

    def startService(self) -> None:
        super().startService()
        for worker in self._workers:
            worker.start()

    def stopService(self) -> Deferred[Any]:
        """Fires when every worker has ended."""
        super().stopService()
        self._listening.close()
        return DeferredList([worker.stop() for worker in self._workers])

    def reload(self) -> None:
        """Every worker reads the configuration again."""
        for worker in self._workers:
            worker.order(Message("reload"))

    def kill(self) -> None:
        """No worker outlives this."""
        for worker in self._workers:
            worker.kill()

    # ── what workers ask for ──

    def spawn(self, worker: _Worker) -> None:
        command = (*self._command, str(worker.number))
        pipes = {ORDERS: "w", LINES: "r", ERRORS: 2, REPORTS: "r", CONFIGURATION: "w"}
        self._reactor.spawnProcess(
            worker,
            command[0],
            command,
            env=self._environ,
            childFDs={**pipes, LISTENING: self._listening.fileno()},
        )

    def configuration(self) -> bytes:
        return self._configuration().encode()

    def seconds(self) -> float:
        now: float = self._reactor.seconds()
        return now

    def later(self, seconds: float, what: Callable[[], None]) -> IDelayedCall:
        call: IDelayedCall = self._reactor.callLater(seconds, what)
        return call

    def grace(self) -> float:
        return self._grace_seconds()

    def write(self, text: str) -> None:
        self._write(text)

    def spread(self, news: News, origin: _Worker) -> None:
        """What one has found out spares the others the same experience."""
        for worker in self._workers:
            if worker is not origin:
                worker.order(Message("hear", news))


class _Worker(ProcessProtocol):
    """One place among the workers; its process changes when it dies."""

    log = Logger()
    transport: Any

    def __init__(self, supervisor: Supervisor, number: int) -> None:
        self.number = number
        self._supervisor = supervisor
        self._started = 0.0
        self._delay_seconds = FIRST_DELAY_SECONDS
        self._timer: IDelayedCall | None = None
        self._ended: Deferred[None] | None = None
        self._is_started = False
        self._streams: dict[int, Lines] = {}

    def start(self) -> None:
        self._timer = None
        self._started = self._supervisor.seconds()
        self._streams = {LINES: Lines(self._labelled), REPORTS: Lines(self._reported)}
        self._is_started = True
        try:
            self._supervisor.spawn(self)
        except OSError as error:
            # There is no room for a process now.
            self._is_started = False
            self._start_later(f"not started: {error.strerror}")

    def stop(self) -> Deferred[None]:
        """Fires when its process has ended; one that takes too long is killed."""
        self._ended = Deferred()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._is_started:
            self._ended.callback(None)
            return self._ended
        self.order(Message("stop"))
        self._timer = self._supervisor.later(self._supervisor.grace(), self._overdue)
        return self._ended

    def order(self, message: Message) -> None:
        pipe = self.transport.pipes.get(ORDERS) if self._is_running() else None
        if pipe is None:
            return
        if message.do == "hear" and _unread_bytes(pipe) > MAX_UNREAD_BYTES:
            return
        self.transport.writeToChild(ORDERS, written(message))

    def kill(self) -> None:
        if self._is_running():
            self.transport.signalProcess("KILL")

    # ── called by the reactor ──

    def connectionMade(self) -> None:
        self.transport.writeToChild(CONFIGURATION, self._supervisor.configuration())
        self.transport.closeChildFD(CONFIGURATION)

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        self._streams[childFD].feed(data)

    def processEnded(self, reason: Failure) -> None:
        self._is_started = False
        for stream in self._streams.values():
            stream.end()
        if self._ended is not None:
            if self._timer is not None and self._timer.active():
                self._timer.cancel()
            self._ended.callback(None)
            return
        if self._supervisor.seconds() - self._started >= SETTLED_SECONDS:
            self._delay_seconds = FIRST_DELAY_SECONDS
        self._start_later(f"ended ({reason.getErrorMessage()})")

    # ── ──

    def _start_later(self, reason: str) -> None:
        self.log.error(
            "worker {number} {reason}, another one starts in {seconds:g} seconds",
            number=self.number,
            reason=reason,
            seconds=self._delay_seconds,
        )
        self._timer = self._supervisor.later(self._delay_seconds, self.start)
        self._delay_seconds = min(2 * self._delay_seconds, LAST_DELAY_SECONDS)

    def _is_running(self) -> bool:
        return self.transport is not None and self.transport.pid is not None

    def _overdue(self) -> None:
        self.log.error("worker {number} did not stop in time, it is killed", number=self.number)
        self.kill()

    def _labelled(self, lines: bytes) -> None:
        text = lines.decode("utf-8", "backslashreplace")
        self._supervisor.write(text.replace("\n", f" worker={self.number}\n"))

    def _reported(self, lines: bytes) -> None:
        for message in messages(lines):
            if message.news is not None:
                self._supervisor.spread(message.news, self)


def _unread_bytes(pipe: Any) -> int:
    """What waits in this process; twisted.internet does not tell."""
    return len(pipe.dataBuffer) - int(pipe.offset) + int(pipe._tempDataLen)
