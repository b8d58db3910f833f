"""
Values that cross the I/O line: what is sent upstream, and with whose credential.

Pure data; `upstream.client` turns an `HttpRequest` into bytes on a socket.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

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


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """
    One request as it goes to an upstream.

    headers: without Host (unless overridden), Content-Length, Accept-Encoding, Content-Encoding.
    body: plain bytes; compression happens on the way out.
    """

    method: str
    url: str = field(repr=False)
    headers: Headers = field(default=(), repr=False)
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Credential:
    """
    What pays for an attempt.

    label: names it in logs without showing it, such as "token 2 of 3".
    """

    label: str
    secret: Secret
