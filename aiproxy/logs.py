"""
Where log lines go: one line per event, to stderr or to a file that rotates.

`LineObserver` renders twisted.logger events, `AccessLog` one line per call. Both write to a
`Sink`. No line holds a control character (nothing that a client sends can forge a line) nor
anything that looks like a credential or a URL. Prompts and bodies never get here at all.
"""

from __future__ import annotations

import gzip
import os
import re
import shutil
import sys
import threading
import time
from collections.abc import Callable
from datetime import datetime, timezone
from functools import lru_cache
from typing import NamedTuple, Protocol, TextIO

from twisted.application.service import Service
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent
from twisted.python.failure import Failure
from zope.interface import implementer

from aiproxy.redaction import redact
from aiproxy.settings import LogSettings

FLUSH_SECONDS = 0.5
FLUSH_BYTES = 65536
MAX_VALUE_CHARACTERS = 200
MAX_FRAMES = 12

_STAMP = "%Y-%m-%dT%H-%M-%S"

# C0, DEL, C1, line and paragraph separators, bidirectional controls, lone surrogates.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
# Printable ASCII without blank, quote, comma, equals sign and backslash.
_PLAIN_VALUE = re.compile(r"[!#-+\--<>-\[\]-~]+")


class Sink(Protocol):
    """Takes whole lines, each with its newline. Never raises."""

    def write(self, text: str) -> None: ...

    def reopen(self) -> None:
        """The file may have been moved away: go on in a new one."""
        ...

    def close(self) -> None: ...


class StreamSink:
    """Lines to a stream that stays open, stderr for instance."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream if stream is not None else sys.stderr

    def write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            # Nobody is left to tell: stderr itself is gone.
            return

    def reopen(self) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """The stream belongs to the process."""


def escape(text: str) -> str:
    """`text` without characters that could end a line, move the cursor or fail to encode."""
    return _UNSAFE.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    return match.group().encode("unicode_escape").decode("ascii")


def timestamp(seconds: float) -> str:
    """Local time with milliseconds and offset, such as 2026-05-04T13:37:00.250+02:00."""
    whole, milliseconds = divmod(int(seconds * 1000), 1000)
    day, offset = _to_the_second(whole)
    return f"{day}.{milliseconds:03d}{offset}"


@lru_cache(maxsize=2)
def _to_the_second(seconds: int) -> tuple[str, str]:
    """Local time and its offset."""
    text = datetime.fromtimestamp(seconds).astimezone().isoformat(timespec="seconds")
    return text[:19], text[19:]


@implementer(ILogObserver)
class LineObserver:
    """
    Renders each event of at least `minimum` level as one line.

    Shape: timestamp level namespace text [exception at file:line function < ...]
    """

    def __init__(self, sink: Sink, minimum: LogLevel = LogLevel.info) -> None:
        self._sink = sink
        self._minimum = minimum

    def __call__(self, event: LogEvent) -> None:
        level = event.get("log_level") or LogLevel.info
        if level < self._minimum:
            return
        text = formatEvent(event)
        failure = event.get("log_failure")
        if isinstance(failure, Failure):
            text = f"{text} [{summary(failure)}]"
        when = timestamp(event.get("log_time", 0.0))
        namespace = event.get("log_namespace", "-")
        self._sink.write(f"{when} {level.name} {escape(namespace)} {escape(redact(text))}\n")


def summary(failure: Failure) -> str:
    """A traceback in one line, the innermost frame first."""
    frames = [
        f"{os.path.basename(file)}:{line} {function}"
        for function, file, line, _, _ in reversed(failure.frames)
    ]
    trace = " < ".join(frames[:MAX_FRAMES])
    kind = getattr(failure.type, "__name__", str(failure.type))
    return f"{kind}: {failure.getErrorMessage()} at {trace or 'unknown place'}"


class AccessEntry(NamedTuple):
    """
    One call, as its access line tells it.

    id: request id. client: wire that the client speaks. model: as the client named it; mapped: as
    the last upstream was asked for it. upstream: the last one asked, "" for none.
    attempts: tries at upstreams. status: what the client got, 0 when it left before.
    first_event: seconds to the first content event, None when there was none.
    duration: seconds. in_tokens .. reasoning_tokens: usage, None where unknown.
    losses: what the translation could not carry.
    outcome: a word, such as "ok", "refused", "broken", "client_left".
    """

    id: str
    client: str
    model: str
    mapped: str
    upstream: str
    attempts: int
    status: int
    request_bytes: int
    response_bytes: int
    first_event: float | None
    duration: float
    in_tokens: int | None = None
    cached_tokens: int | None = None
    out_tokens: int | None = None
    reasoning_tokens: int | None = None
    stream: bool = False
    losses: tuple[str, ...] = ()
    outcome: str = "ok"


def render(entry: AccessEntry) -> str:
    """`key=value` pairs in the order of the fields; "-" where there is nothing to say."""
    return (
        f"id={entry.id} client={_text(entry.client)} model={_text(entry.model)}"
        f" mapped={_text(entry.mapped)} upstream={_text(entry.upstream)}"
        f" attempts={entry.attempts} status={entry.status}"
        f" request_bytes={entry.request_bytes} response_bytes={entry.response_bytes}"
        f" first_event={'-' if entry.first_event is None else f'{entry.first_event:.3f}'}"
        f" duration={entry.duration:.3f} in_tokens={_count(entry.in_tokens)}"
        f" cached_tokens={_count(entry.cached_tokens)} out_tokens={_count(entry.out_tokens)}"
        f" reasoning_tokens={_count(entry.reasoning_tokens)}"
        f" stream={'yes' if entry.stream else 'no'}"
        f" losses={','.join(map(_text, entry.losses)) or '-'} outcome={_text(entry.outcome)}"
    )


def _count(number: int | None) -> str:
    return "-" if number is None else str(number)


def _text(text: str) -> str:
    if len(text) > MAX_VALUE_CHARACTERS:
        text = text[:MAX_VALUE_CHARACTERS] + "..."
    return _quoted(text)


@lru_cache(maxsize=1024)
def _quoted(text: str) -> str:
    """Most values are those of the last calls."""
    if _PLAIN_VALUE.fullmatch(text):
        return text
    return '"' + escape(text.replace("\\", "\\\\").replace('"', '\\"')) + '"' if text else "-"


class AccessLog(Service):
    """
    One line per call, written in batches so that a call costs no system call.

    Lines wait at most FLUSH_SECONDS, or until about FLUSH_BYTES have gathered.
    """

    def __init__(self, sink: Sink, clock: IReactorTime) -> None:
        self._sink = sink
        self._clock = clock
        self._lines: list[str] = []
        self._size = 0
        self._timer: IDelayedCall | None = None

    def add(self, entry: AccessEntry) -> None:
        line = f"{timestamp(self._clock.seconds())} access {render(entry)}\n"
        self._lines.append(line)
        self._size += len(line)
        if self._size >= FLUSH_BYTES:
            self.flush()
        elif self._timer is None:
            self._timer = self._clock.callLater(FLUSH_SECONDS, self.flush)

    def flush(self) -> None:
        """Write what has gathered."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
        lines, self._lines, self._size = self._lines, [], 0
        if lines:
            self._sink.write("".join(lines))

    def stopService(self) -> None:
        super().stopService()
        self.flush()


class RotatingFile:
    """
    A log file, made with mode 0600, that is moved aside when it is full.

    Old files are named stem-UTCTIME.ext, such as aiproxy-2026-05-04T11-37-00.250.log, with .gz
    when compressed. A limit of 0 does not limit. A line that cannot be written goes to stderr.

    in_thread: runs work off the reactor thread, as `twisted.internet.threads.deferToThread` does.
    now: seconds since 1970.
    Raises: OSError when the file cannot be opened at first.
    """

    def __init__(
        self,
        settings: LogSettings,
        in_thread: Callable[[Callable[[], None]], object],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._in_thread = in_thread
        self._now = now
        self._tidying = threading.Lock()
        os.makedirs(os.path.dirname(os.path.abspath(settings.file)), mode=0o755, exist_ok=True)
        self._fd: int | None = None
        self._open()
        self._in_thread(self._tidy)

    def write(self, text: str) -> None:
        data = text.encode("utf-8", "backslashreplace")
        limit = self._settings.max_size_bytes
        try:
            if 0 < limit < self._size + len(data) and self._size:
                self._rotate()
            if self._fd is None:
                self._open()
            self._put(data)
        except OSError as error:
            _complain(f"cannot write the log: {error.strerror}", text)

    def reopen(self) -> None:
        try:
            self.close()
            self._open()
        except OSError as error:
            _complain(f"cannot reopen the log: {error.strerror}")

    def close(self) -> None:
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)

    def _open(self) -> None:
        self._fd = os.open(self._settings.file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._size = os.fstat(self._fd).st_size

    def _put(self, data: bytes) -> None:
        assert self._fd is not None
        while data:
            written = os.write(self._fd, data)
            self._size += written
            data = data[written:]

    def _rotate(self) -> None:
        self.close()
        try:
            os.rename(self._settings.file, self._free_name())
        except OSError as error:
            _complain(f"cannot move the full log aside: {error.strerror}")
            self._open()
            # The next attempt comes when as much again has been written.
            self._size = 0
        else:
            self._open()
            self._in_thread(self._tidy)

    def _free_name(self) -> str:
        stem, extension = os.path.splitext(self._settings.file)
        milliseconds = int(self._now() * 1000)
        while True:
            moment = datetime.fromtimestamp(milliseconds // 1000, timezone.utc)
            name = f"{stem}-{moment:{_STAMP}}.{milliseconds % 1000:03d}{extension}"
            if not (os.path.exists(name) or os.path.exists(name + ".gz")):
                return name
            milliseconds += 1

    def _tidy(self) -> None:
        """Off the reactor thread: compress old files, remove the oldest."""
        with self._tidying:
            try:
                for position, (age, path) in enumerate(self._backups()):
                    if self._is_wanted(position, age):
                        self._compress(path)
                    else:
                        os.remove(path)
            except OSError as error:
                _complain(f"cannot tidy the old logs: {error.strerror}")

    def _backups(self) -> list[tuple[float, str]]:
        """Age in seconds and path of the old files, newest first."""
        folder, name = os.path.split(os.path.abspath(self._settings.file))
        stem, extension = os.path.splitext(name)
        shape = re.compile(
            rf"{re.escape(stem)}-(\d{{4}}-\d\d-\d\dT\d\d-\d\d-\d\d)\.(\d{{3}})"
            rf"{re.escape(extension)}(?:\.gz)?"
        )
        found = []
        for candidate in os.listdir(folder):
            match = shape.fullmatch(candidate)
            if match is None:
                continue
            try:
                moment = datetime.strptime(match[1], _STAMP).replace(tzinfo=timezone.utc)
            except ValueError:
                continue
            made = moment.timestamp() + int(match[2]) / 1000
            found.append((self._now() - made, os.path.join(folder, candidate)))
        return sorted(found)

    def _is_wanted(self, position: int, age: float) -> bool:
        limits = self._settings
        return (limits.max_backups <= 0 or position < limits.max_backups) and (
            limits.max_age_seconds <= 0 or age <= limits.max_age_seconds
        )

    def _compress(self, path: str) -> None:
        if not self._settings.compress or path.endswith(".gz"):
            return
        unfinished = path + ".gz.tmp"
        fd = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(path, "rb") as source, open(fd, "wb") as raw, gzip.open(raw, "wb") as target:
            shutil.copyfileobj(source, target)
        os.replace(unfinished, path + ".gz")
        os.remove(path)


def open_sink(
    settings: LogSettings, in_thread: Callable[[Callable[[], None]], object]
) -> RotatingFile | StreamSink:
    """The sink that the configuration asks for. Raises: OSError as `RotatingFile` does."""
    return RotatingFile(settings, in_thread) if settings.file else StreamSink()


def _complain(problem: str, text: str = "") -> None:
    """The log itself is broken: what remains is the real stderr, not the one twistd logs."""
    StreamSink(sys.__stderr__).write(f"aiproxy: {problem}\n{text}")
