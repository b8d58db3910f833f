"""
Auth files on disk: read whole, written whole.

A write replaces the file at once: whoever reads, and whatever is killed when, sees the old text or
the new one. Everything here is synchronous; `write` waits for the disk and belongs into a thread.
"""

from __future__ import annotations

import json
import os
import stat
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from aiproxy.errors import CredentialError
from aiproxy.messages import Login
from aiproxy.providers.contract import AuthFile, LoginProvider

MAX_FILE_BYTES = 1024 * 1024
"""Logins are a few kilobytes; a larger file is something else."""

_DATABASE = b"SQLite format 3\0"


class Signature(NamedTuple):
    """What tells one state of a file from another; the change time sees a `chmod`, too."""

    mtime_ns: int
    ctime_ns: int
    size: int
    inode: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One state of an auth file."""

    signature: Signature
    text: str = field(repr=False)
    file: AuthFile


def signature(path: str) -> Signature | None:
    """Of the file that `path` leads to, links followed; None when there is none."""
    try:
        return _signature(os.stat(path))
    except OSError:
        return None


def read(path: str) -> Snapshot:
    """Raises: CredentialError that says what is wrong with the file."""
    try:
        with open(path, "rb", opener=_at_once) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise CredentialError(f"{path}: is no plain file")
            state = _signature(status)
            data = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        raise CredentialError(f"{path}: there is no such file; log in to make one") from None
    except OSError as error:
        raise CredentialError(f"{path}: {error.strerror or 'cannot be read'}") from None
    if data.startswith(_DATABASE):
        raise CredentialError(
            f"{path}: is a database, where some vendors' programs keep logins; take the JSON out"
            " of it, and name a file with that"
        )
    if len(data) > MAX_FILE_BYTES:
        raise CredentialError(f"{path}: larger than {MAX_FILE_BYTES} bytes, so no auth file")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise CredentialError(f"{path}: is not UTF-8, so no auth file") from None
    return Snapshot(state, text, parsed(path, text))


def _at_once(path: str, flags: int) -> int:
    """Opens even a pipe without waiting for whoever writes into it."""
    return os.open(path, flags | os.O_NONBLOCK)


def parsed(path: str, text: str) -> AuthFile:
    """`text` as what a file at `path` says. Raises: CredentialError."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise CredentialError(f"{path}: is no JSON; {_guess(text)}") from None
    if not isinstance(document, dict):
        raise CredentialError(f"{path}: is JSON, but no object; {_guess(text)}")
    return AuthFile(path, document, _sibling(path))


def login_of(file: AuthFile, provider: LoginProvider) -> Login:
    """
    What the file says to `provider`, all of which can be sent.

    Tokens and other texts become headers and parts of bodies: line ends, other control characters
    and halves of characters can stand in neither.
    Raises: CredentialError that says what is wrong with the file.
    """
    login = provider.read_login(file)
    for name, token in (("access", login.access_token), ("refresh", login.refresh_token)):
        if not (token.reveal().isascii() and token.reveal().isprintable()):
            raise CredentialError(f"{file.path}: its {name} token is no plain text")
    for name, text in login.details.items():
        if not text.isprintable():
            raise CredentialError(f"{file.path}: its {name} has a character that cannot be sent")
    return login


def write(path: str, text: str) -> Signature:
    """
    Replace the file, links followed, so that no other state than before and after can be seen.

    The mode becomes 0600, or stays stricter than that; the owner stays where the system allows.
    Raises: OSError, and the file is as it was.
    """
    target = os.path.realpath(path)
    folder = os.path.dirname(target)
    descriptor, fresh = tempfile.mkstemp(prefix=f".{os.path.basename(target)}.", dir=folder)
    try:
        with open(descriptor, "w", encoding="utf-8", newline="") as file:
            _take_over(descriptor, target)
            file.write(text)
            file.flush()
            os.fsync(descriptor)
            os.replace(fresh, target)
            state = _signature(os.fstat(descriptor))
    except BaseException:
        with suppress(OSError):
            os.unlink(fresh)
        raise
    _sync_folder(folder)
    return state


def _take_over(descriptor: int, target: str) -> None:
    """Mode and owner of the file that is to be replaced."""
    try:
        before = os.stat(target)
    except FileNotFoundError:
        return
    if (before.st_uid, before.st_gid) != (os.geteuid(), os.getegid()):
        with suppress(OSError):
            os.fchown(descriptor, before.st_uid, before.st_gid)
    os.fchmod(descriptor, (stat.S_IMODE(before.st_mode) & 0o600) or 0o600)


def _sync_folder(folder: str) -> None:
    """The new name is to survive a crash of the machine, too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sibling(path: str) -> Callable[[str], Mapping[str, Any] | None]:
    """Reads other JSON objects in the file's folder, and nowhere else."""

    def read_sibling(name: str) -> Mapping[str, Any] | None:
        if os.path.basename(name) != name or name in ("", ".", ".."):
            return None
        try:
            return read(os.path.join(os.path.dirname(os.path.realpath(path)), name)).file.document
        except CredentialError:
            return None

    return read_sibling


def _guess(text: str) -> str:
    """What a file may be that is no auth file."""
    word = text.strip().strip('"')
    if word.startswith(("sk-", "AIza", "ksk_")) and len(word.split()) == 1:
        return "it looks like an API key, which belongs into an upstream that takes a token"
    if not word:
        return "it is empty; log in again"
    return "auth_files needs the file that the vendor's own program writes at a login"


def _signature(status: os.stat_result) -> Signature:
    return Signature(status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino)
