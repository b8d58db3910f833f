"""
Follows the configuration file and publishes what it says.

The file is looked at each second. A change is loaded once it has been the same for two looks,
validated whole and published at once; what cannot be used is refused and the old configuration
stays. This is also the place where configuration files are read.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import NamedTuple

from twisted.application.service import Service
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from aiproxy.errors import SettingsError
from aiproxy.settings import ApiType, Settings, Source, check_reload, diff, parse

POLL_SECONDS = 1.0
MAX_FILE_BYTES = 16 * 1024 * 1024
"""A configuration larger than this is some other file."""


class Signature(NamedTuple):
    """What tells one state of a file from another."""

    mtime_ns: int
    size: int
    inode: int


def load(path: str, environ: Mapping[str, str], api_types: Mapping[str, ApiType]) -> Settings:
    """
    Read and check a configuration.

    Raises: SettingsError, also when the file cannot be read.
    """
    return understood(written(path), path, environ, api_types)


def written(path: str) -> str:
    """The text of a configuration. Raises: SettingsError when it cannot be read."""
    try:
        return read_text(path)
    except (OSError, ValueError) as error:
        raise SettingsError([f"{path}: {_reason(error)}"]) from error


def understood(
    text: str, path: str, environ: Mapping[str, str], api_types: Mapping[str, ApiType]
) -> Settings:
    """What the text of the file at `path` says. Raises: SettingsError."""
    return parse(text, Source(os.path.abspath(path), environ, read_text, api_types))


def read_text(path: str) -> str:
    """A small text file. Raises: OSError; ValueError when it is too large or not UTF-8."""
    with open(path, "rb") as file:
        data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise ValueError(f"larger than {MAX_FILE_BYTES} bytes")
    return data.decode("utf-8-sig")


def _reason(error: OSError | ValueError) -> str:
    match error:
        case OSError():
            return error.strerror or "cannot be read"
        case UnicodeDecodeError():
            return "is not UTF-8"
    return str(error)


class Reloader(Service):
    """
    Keeps the published settings equal to the file.

    load: reads and checks the file; raises SettingsError.
    publish: swaps the settings everywhere; calls under way keep theirs.
    settings: those published already. The first look compares the file with them, so that a
        change between their loading and the start of this service is not missed.
    """

    log = Logger()

    def __init__(
        self,
        path: str,
        load: Callable[[], Settings],
        publish: Callable[[Settings], None],
        settings: Settings,
        clock: IReactorTime,
    ) -> None:
        self._path = path
        self._load = load
        self._publish = publish
        self._settings = settings
        self._loaded: Signature | None = None
        self._seen: Signature | None = None
        self._missing = False
        self._poller = LoopingCall(self._poll)
        self._poller.clock = clock

    def startService(self) -> None:
        super().startService()
        self._poller.start(POLL_SECONDS)

    def stopService(self) -> None:
        if self._poller.running:
            self._poller.stop()
        super().stopService()

    def reload_now(self) -> None:
        """Load the file as it is, changed or not."""
        signature = self._signature()
        if signature is not None:
            self._reload(signature)

    def _poll(self) -> None:
        """One look; must not raise, or it would be the last."""
        try:
            signature = self._signature()
            stable = signature is not None and signature == self._seen
            self._seen = signature
            if signature is not None and stable and signature != self._loaded:
                self._reload(signature)
        except Exception:
            self.log.failure("cannot follow {path}", path=self._path)

    def _signature(self) -> Signature | None:
        """Of the file that the path leads to, links followed; None when there is none."""
        try:
            status = os.stat(self._path)
        except OSError as error:
            if not self._missing:
                self._missing = True
                self.log.warn(  # noqa: G010 (Twisted's name)
                    "{path}: {reason}; the configuration stays as it is",
                    path=self._path,
                    reason=error.strerror,
                )
            self._loaded = None
            return None
        self._missing = False
        return Signature(status.st_mtime_ns, status.st_size, status.st_ino)

    def _reload(self, signature: Signature) -> None:
        # Noted first: what cannot be loaded is not tried again before it changes.
        self._loaded = signature
        before = self._settings
        try:
            settings = self._load()
            if settings == before:
                self.log.debug("{path} says what it said before", path=self._path)
                return
            reasons = check_reload(before, settings)
            if reasons:
                raise SettingsError(reasons)
            self._publish(settings)
        except SettingsError as error:
            self.log.error(
                "{path} refused, the configuration stays as it is: {problems}",
                path=self._path,
                problems="; ".join(error.problems),
            )
        except Exception:
            self.log.failure("{path} could not be applied", path=self._path)
        else:
            self._settings = settings
            self._tell(before, settings)

    def _tell(self, before: Settings, settings: Settings) -> None:
        self.log.info(
            "{path} loaded: {changes}",
            path=self._path,
            changes="; ".join(diff(before, settings)) or "nothing that matters changed",
        )
        for warning in settings.warnings:
            if warning not in before.warnings:
                # Not as "warning": Twisted takes such an event for one of Python's own.
                self.log.warn("{problem}", problem=warning)  # noqa: G010 (Twisted's name)
