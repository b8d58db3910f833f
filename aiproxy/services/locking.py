"""
A lock between processes for one auth file.

It is an advisory lock of the kernel on a file beside the auth file, which is replaced at each write
and so cannot hold one itself. The kernel frees it when its process ends, however that happens, so
that no lock is ever stale; the empty lock file stays.
"""

from __future__ import annotations

import errno
import fcntl
import os

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from aiproxy.errors import CredentialError

POLL_SECONDS = 0.05
PATIENCE_SECONDS = 120.0

_HELD_BY_ANOTHER = frozenset({errno.EAGAIN, errno.EACCES})


class FileLock:
    """Held from `acquire` until `release`, at most once at a time."""

    def __init__(self, path: str, clock: IReactorTime) -> None:
        """path: of the auth file, links followed."""
        target = os.path.realpath(path)
        self._path = os.path.join(
            os.path.dirname(target), f".{os.path.basename(target)}.aiproxy.lock"
        )
        self._clock = clock
        self._descriptor: int | None = None

    async def acquire(self) -> None:
        """
        Waits without blocking.

        Raises: CredentialError when somebody else holds the lock for too long.
        Raises: OSError when the place has no room for locks, or is read-only.
        """
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            patience = self._clock.seconds() + PATIENCE_SECONDS
            while not _locked(descriptor):
                if self._clock.seconds() >= patience:
                    raise CredentialError("another program has been renewing it for too long")
                await deferLater(self._clock, POLL_SECONDS)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor

    def release(self) -> None:
        """Harmless when it is not held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _HELD_BY_ANOTHER:
            return False
        raise
    return True
