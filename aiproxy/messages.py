"""
Values that cross the I/O line: what is sent upstream, what comes back, and with whose credential.

Pure data; `upstream.client` turns an `HttpRequest` into bytes on a socket.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from msgspec import Struct

from aiproxy.redaction import Secret

Headers: TypeAlias = tuple[tuple[str, str], ...]
"""Name and value pairs in order; names in any case, compared without case."""


def header(headers: Headers, name: str) -> str | None:
    """The first value of `name`, or None."""
    wanted = name.lower()
    for key, value in headers:
        if key.lower() == wanted:
            return value
    return None


class Value(Struct, frozen=True):
    """What is made anew for each call. To make a frozen dataclass takes five times as long."""


class HttpRequest(Value, frozen=True):
    """
    One request as it goes to an upstream.

    headers: without Host (unless overridden), Content-Length, Accept-Encoding, Content-Encoding.
    body: plain bytes; compression happens on the way out.
    """

    method: str
    url: str
    headers: Headers = ()
    body: bytes = b""

    def __repr__(self) -> str:
        """Without what may be secret."""
        return f"HttpRequest({self.method!r})"


@dataclass(frozen=True, slots=True)
class HttpReply:
    """A whole small answer, its body decoded: what a vendor's login service says, for instance."""

    status: int
    headers: Headers = field(default=(), repr=False)
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Login:
    """
    What an auth file says, in one form for all vendors.

    access_token: "" when there is none yet, so that a renewal must come first.
    refresh_token: "" for a login that cannot be renewed.
    expires_at, renewed_at: Unix seconds; None when nothing tells.
    is_disabled: the file says that it must not be used.
    is_ours: it has a place for `disabled` that no vendor's own program would stumble over.
    details: what else the provider needs of it: account, project, region, client id and secret...
    """

    access_token: Secret
    refresh_token: Secret
    expires_at: float | None = None
    renewed_at: float | None = None
    is_disabled: bool = False
    is_ours: bool = False
    details: Mapping[str, str] = field(default_factory=dict, repr=False)


class Credential(Value, frozen=True):
    """
    What pays for an attempt.

    label: names it in logs without showing it, such as "token 2 of 3".
    login: what an auth file says, when it comes from one; `secret` is its access token then.
    path: of that file, "" for a token.
    """

    label: str
    secret: Secret
    login: Login | None = None
    path: str = ""
