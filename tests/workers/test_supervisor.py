"""The first process, in front of a reactor that starts no processes."""

from __future__ import annotations

import errno
import socket
from types import SimpleNamespace
from typing import Any

from twisted.internet.error import ProcessDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from aiproxy.routing.news import News
from aiproxy.workers.channel import Message, written
from aiproxy.workers.supervisor import (
    CONFIGURATION,
    FIRST_DELAY_SECONDS,
    MAX_UNREAD_BYTES,
    ORDERS,
    REPORTS,
    Supervisor,
)


class _Process:
    """A running process that reads none of its orders."""

    pid: int | None = 1

    def __init__(self) -> None:
        self.pipes: dict[int, Any] = {
            descriptor: SimpleNamespace(dataBuffer=b"", offset=0, _tempDataLen=0)
            for descriptor in (ORDERS, CONFIGURATION)
        }

    def writeToChild(self, descriptor: int, data: bytes) -> None:
        self.pipes[descriptor]._tempDataLen += len(data)

    def closeChildFD(self, descriptor: int) -> None:
        del self.pipes[descriptor]

    def signalProcess(self, name: str) -> None:
        """Nothing shows of it before the process has ended."""


class _Reactor(Clock):
    """
    has_room: whether a process can be started. started: their protocols.
    """

    def __init__(self) -> None:
        super().__init__()
        self.has_room = True
        self.started: list[Any] = []

    def spawnProcess(self, protocol: Any, *command: Any, **rest: Any) -> None:
        if not self.has_room:
            raise OSError(errno.EAGAIN, "Resource temporarily unavailable")
        self.started.append(protocol)
        protocol.makeConnection(_Process())


class SupervisorTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = _Reactor()
        listening = socket.socket()
        self.addCleanup(listening.close)
        self.supervisor = Supervisor(
            self.reactor,
            2,
            ("aiproxy",),
            {},
            listening,
            lambda: "workers: 2",
            lambda text: None,
            lambda: 30.0,
        )

    def end(self, worker: Any) -> None:
        worker.transport.pid = None
        worker.processEnded(Failure(ProcessDone(0)))

    def test_no_room(self) -> None:
        """A worker that cannot be started now is started later, at growing distances."""
        self.reactor.has_room = False
        self.supervisor.startService()
        self.reactor.advance(FIRST_DELAY_SECONDS)
        self.reactor.has_room = True
        self.reactor.advance(2 * FIRST_DELAY_SECONDS - 0.1)
        self.assertEqual(self.reactor.started, [])
        self.reactor.advance(0.1)
        self.assertEqual(len(self.reactor.started), 2)

    def test_stop_without_processes(self) -> None:
        """A stop waits for no process that could not be started, and none is started after it."""
        self.reactor.has_room = False
        self.supervisor.startService()
        self.successResultOf(self.supervisor.stopService())
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_stop_of_one_that_is_ending(self) -> None:
        """A worker that has ended, but whose last words are still to be read, is waited for."""
        self.supervisor.startService()
        for worker in self.reactor.started:
            worker.transport.pid = None
        stopped = self.supervisor.stopService()
        self.assertNoResult(stopped)
        for worker in self.reactor.started:
            self.end(worker)
        self.successResultOf(stopped)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_unread_orders(self) -> None:
        """News for a worker that hangs are dropped, not kept for ever; orders are not."""
        self.supervisor.startService()
        first, second = self.reactor.started
        report = written(Message("hear", News("opened", "a" * 1000, "m", reason="upstream")))
        pipe = second.transport.pipes[ORDERS]
        for _ in range(2 * MAX_UNREAD_BYTES // len(report)):
            first.childDataReceived(REPORTS, report)
        unread = pipe._tempDataLen
        self.assertLess(unread, MAX_UNREAD_BYTES + 2 * len(report))
        self.supervisor.reload()
        self.assertGreater(pipe._tempDataLen, unread)
