"""Data URLs (RFC 2397): how images and files travel inside JSON."""

from __future__ import annotations

import base64
import re
from urllib.parse import unquote_to_bytes

from aiproxy.errors import BadRequest
from aiproxy.ir import Inline, Remote

_BASE64 = re.compile(r"[A-Za-z0-9+/]*")
_BLANKS = re.compile(r"\s+")
_URLSAFE = str.maketrans("-_", "+/")
_ALIASES = {"image/jpg": "image/jpeg", "audio/mp3": "audio/mpeg", "audio/x-wav": "audio/wav"}


def source(url: str, mime: str) -> Inline | Remote:
    """
    What `url` points to: the data inside it, or something elsewhere.

    mime: when a data URL does not say. Raises: BadRequest when its data is not base64.
    """
    if url[:5].lower() != "data:":
        return Remote(url)
    head, comma, data = url[5:].partition(",")
    if not comma:
        raise BadRequest("a data URL without a comma")
    kind, *options = head.split(";")
    named = normal_mime(kind) or mime
    if "base64" in (option.strip().lower() for option in options):
        return Inline(named, standard(data))
    return Inline(named, base64.b64encode(unquote_to_bytes(data)).decode())


def standard(data: str) -> str:
    """`data` as standard base64 with padding and no white space. Raises: BadRequest."""
    if not data.isascii() or any(blank in data for blank in " \r\n\t"):
        data = _BLANKS.sub("", data)
    data = data.rstrip("=")
    if not _BASE64.fullmatch(data):
        data = data.translate(_URLSAFE)
        if not _BASE64.fullmatch(data):
            raise BadRequest("the data is not base64")
    if len(data) % 4 == 1:
        raise BadRequest("the data is not base64")
    return data + "=" * (-len(data) % 4)


def normal_mime(mime: str) -> str:
    """One spelling for each media type."""
    lower = mime.strip().lower()
    return _ALIASES.get(lower, lower)


def written(inline: Inline) -> str:
    return f"data:{inline.mime};base64,{inline.data}"
