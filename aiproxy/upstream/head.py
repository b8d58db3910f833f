"""
The head of a request to an upstream: where it goes, and its header lines as bytes.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, AnyStr, NamedTuple

from hyperlink import EncodedURL
from twisted.web.client import URI
from twisted.web.error import SchemeNotSupported
from twisted.web.http_headers import Headers as TwistedHeaders

from aiproxy.http1 import header_lines
from aiproxy.messages import Headers, Value
from aiproxy.upstream.encoding import ACCEPT_ENCODING

# How a request is framed and coded is decided here and nowhere else.
_OURS = frozenset(
    ("accept-encoding", "connection", "content-encoding", "content-length", "transfer-encoding")
)


class Address(NamedTuple):
    """Whose connections may be shared. scheme: b"http" or b"https"."""

    scheme: bytes
    host: bytes
    port: int


class Place(NamedTuple):
    """
    What a URL says.

    target: path and query. authority: for the Host header.
    """

    address: Address
    target: bytes
    authority: bytes


class SendableURL(EncodedURL):
    """
    A URL that is as it will be sent.

    treq makes every URL sendable, each time; this one is what it makes of itself.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        super().__init__()

    def to_uri(self) -> SendableURL:
        return self

    def to_text(self, with_password: bool = False) -> str:
        return self._text


class _NoHeaders(TwistedHeaders):
    """
    What treq gets for headers: neither those that are sent nor those that came.

    It would look for cookies and codings, and add its own. Cookies it leaves alone where a header
    is there already; therefore any is said to be.
    """

    def copy(self) -> _NoHeaders:
        return self

    def hasHeader(self, name: AnyStr) -> bool:
        return True

    def getRawHeaders(self, name: Any, default: Any = None) -> Any:
        return default

    def addRawHeader(self, name: Any, value: Any) -> None:
        """It is not sent."""

    def setRawHeaders(self, name: Any, values: Any) -> None:
        """Nobody reads it."""


NO_HEADERS = _NoHeaders()

_KEPT_LENGTH = 512
"""Clients may make up queries as long as they like: longer URLs are taken apart each time."""


def sendable(url: str) -> SendableURL:
    """Raises: ValueError when it is no URL."""
    return _kept_sendable(url) if len(url) <= _KEPT_LENGTH else _sendable(url)


def place_of(url: bytes) -> Place:
    """Raises: ValueError or SchemeNotSupported when nothing can be sent there."""
    return _kept_place(url) if len(url) <= _KEPT_LENGTH else _place_of(url)


def _sendable(url: str) -> SendableURL:
    return SendableURL(EncodedURL.from_text(url).to_uri().to_text())


def _place_of(url: bytes) -> Place:
    uri = URI.fromBytes(url)
    if uri.scheme not in (b"http", b"https"):
        raise SchemeNotSupported(uri.scheme)
    is_usual = uri.port == (443 if uri.scheme == b"https" else 80)
    host = b"[%b]" % uri.host if b":" in uri.host else uri.host
    authority = host if is_usual else b"%b:%d" % (host, uri.port)
    return Place(Address(uri.scheme, uri.host, uri.port), uri.originForm, authority)


_kept_sendable = lru_cache(maxsize=1024)(_sendable)
_kept_place = lru_cache(maxsize=1024)(_place_of)


class Fields(Value, frozen=True):
    """
    The header lines of a request but those that depend on its place and length.

    host: instead of the place's own, None when there is none.
    """

    lines: bytes
    host: bytes | None

    def head(self, method: bytes, place: Place, length: int) -> bytes:
        """The whole head of a request. length: of the body in bytes."""
        host = place.authority if self.host is None else self.host
        framed = b"" if not length and method == b"GET" else b"Content-Length: %d\r\n" % length
        return b"%b %b HTTP/1.1\r\nHost: %b\r\n%b%b\r\n" % (
            method,
            place.target,
            host,
            self.lines,
            framed,
        )


def fields(headers: Headers, coding: str) -> Fields:
    """
    `headers` without those that we decide, Host at most once (the last), and our coding.

    Raises: ValueError when a name cannot be sent; what cannot stand in a value becomes a blank.
    """
    host: str | None = None
    kept = [("Accept-Encoding", ACCEPT_ENCODING)]
    for name, value in headers:
        lower = name.lower()
        if lower == "host":
            host = value
        elif lower not in _OURS:
            kept.append((name, value))
    if coding:
        kept.append(("Content-Encoding", coding))
    if host is None:
        return Fields(header_lines(kept), None)
    return Fields(header_lines(kept), header_lines([("Host", host)])[len("Host: ") : -2])
