"""
A request's head read in one pass, when it is as nearly all are.

Everything else is left to twisted.web's own state machine, untouched. The two must agree on every
head that is taken here; `tests/web/test_fasthead.py` compares them.
"""

from __future__ import annotations

from httptools import (
    HttpParserError,
    HttpParserUpgrade,
    HttpRequestParser,
)

from aiproxy.messages import Headers, Value

_STARTS = (b"POST /", b"GET /")
_MAX_BYTES = 16 * 1024
_MAX_HEADERS = 100
_MAX_LENGTH_DIGITS = 12

# They change how the rest is to be read, or ask for more than an answer.
_UNUSUAL = frozenset(("transfer-encoding", "expect", "upgrade", "http2-settings"))


class FastHead(Value, frozen=True):
    """
    headers: names in lower case. length: of the body.

    end: where the body begins in the bytes that were read.
    """

    method: bytes
    target: bytes
    headers: Headers
    length: int
    end: int


class _Collector:
    """What the parser has found."""

    __slots__ = ("is_complete", "names", "target", "values")

    def __init__(self) -> None:
        self.target = b""
        self.names: list[bytes] = []
        self.values: list[bytes] = []
        self.is_complete = False

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.names.append(name)
        self.values.append(value)

    def on_headers_complete(self) -> None:
        self.is_complete = True

    def headers(self) -> Headers:
        """Names in lower case."""
        if not self.names:
            return ()
        # No line end can be in them: all are decoded at once.
        names = b"\n".join(self.names).lower().decode("latin-1").split("\n")
        values = b"\n".join(self.values).decode("latin-1").split("\n")
        return tuple(zip(names, [value.strip(" \t") for value in values], strict=True))


def read_head(data: bytes) -> FastHead | None:
    """
    The head at the beginning of `data`; None when it is not whole, or not of the common shape.

    The common shape: GET or POST of a path, HTTP/1.1, at most one plain Content-Length, nothing
    that changes the connection.
    """
    end = data.find(b"\r\n\r\n") + 4
    if not data.startswith(_STARTS) or not 4 <= end <= _MAX_BYTES:
        return None
    found = _Collector()
    parser = HttpRequestParser(found)
    try:
        parser.feed_data(data[:end])
    except (HttpParserError, HttpParserUpgrade):
        return None
    if not found.is_complete or parser.get_http_version() != "1.1":
        return None
    headers = found.headers()
    length = _length(headers)
    if length is None:
        return None
    return FastHead(parser.get_method(), found.target, headers, length, end)


def _length(headers: Headers) -> int | None:
    """Of the body; None when the headers are not of the common shape."""
    if len(headers) > _MAX_HEADERS:
        return None
    length = ""
    for name, value in headers:
        if name in _UNUSUAL:
            return None
        if name == "connection" and value.lower() != "keep-alive":
            return None
        if name == "content-length":
            if length or not value.isdigit() or len(value) > _MAX_LENGTH_DIGITS:
                return None
            length = value
    return int(length or "0")
