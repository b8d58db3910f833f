"""Locks between processes: one holder at a time, nobody blocked, nothing stale."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from aiproxy.errors import CredentialError
from aiproxy.services.locking import PATIENCE_SECONDS, POLL_SECONDS, FileLock

_HOLDER = """
import fcntl, os, sys
descriptor = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
fcntl.flock(descriptor, fcntl.LOCK_EX)
print("locked", flush=True)
sys.stdin.read()
"""


class LockTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.path = self.folder / "auth.json"
        self.clock = Clock()

    def acquire(self, path: Path | None = None) -> tuple[FileLock, Deferred[None]]:
        lock = FileLock(str(path or self.path), self.clock)
        self.addCleanup(lock.release)
        return lock, Deferred.fromCoroutine(lock.acquire())

    def test_one_holder(self) -> None:
        """The second one gets it when the first lets go."""
        first, held = self.acquire()
        self.successResultOf(held)
        _, waiting = self.acquire()
        self.clock.advance(POLL_SECONDS)
        self.assertNoResult(waiting)
        first.release()
        self.clock.advance(POLL_SECONDS)
        self.successResultOf(waiting)

    def test_links(self) -> None:
        """Two names of one file have one lock, whether or not the file is there yet."""
        link = self.folder / "link.json"
        link.symlink_to(self.path)
        self.successResultOf(self.acquire()[1])
        self.assertNoResult(self.acquire(link)[1])

    def test_patience(self) -> None:
        """Nobody waits for ever."""
        self.successResultOf(self.acquire()[1])
        _, waiting = self.acquire()
        self.clock.pump([POLL_SECONDS] * int(PATIENCE_SECONDS / POLL_SECONDS + 2))
        self.failureResultOf(waiting, CredentialError)

    def test_leaving(self) -> None:
        """Who gives up waiting takes nothing along."""
        first, held = self.acquire()
        self.successResultOf(held)
        _, waiting = self.acquire()
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        first.release()
        self.successResultOf(self.acquire()[1])

    def test_a_killed_holder(self) -> None:
        """A process that is killed leaves no lock behind."""
        lock_file = self.folder / ".auth.json.aiproxy.lock"
        holder = subprocess.Popen(
            [sys.executable, "-c", _HOLDER, str(lock_file)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert holder.stdout is not None
        self.assertEqual(holder.stdout.readline(), b"locked\n")
        _, waiting = self.acquire()
        self.clock.advance(POLL_SECONDS)
        self.assertNoResult(waiting)
        holder.send_signal(signal.SIGKILL)
        holder.communicate()
        self.clock.advance(POLL_SECONDS)
        self.successResultOf(waiting)

    def test_no_place(self) -> None:
        """Where there can be no lock, that is said."""
        _, waiting = self.acquire(self.folder / "nowhere" / "auth.json")
        self.failureResultOf(waiting, OSError)

    def test_mode(self) -> None:
        """The lock file is nobody else's business."""
        self.successResultOf(self.acquire()[1])
        status = os.stat(self.folder / ".auth.json.aiproxy.lock")
        self.assertEqual(status.st_mode & 0o777, 0o600)
