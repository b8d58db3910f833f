"""Images and documents out: only as data, and only so many."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any

from aiproxy import ir
from aiproxy.errors import BadRequest
from aiproxy.wire.losses import Losses

MOST_IMAGES = 4
"""Per message."""

LARGEST_IMAGE_BYTES = 3_750_000

_IMAGES: Mapping[str, str] = {
    "image/png": "png",
    "image/jpeg": "jpeg",
    "image/jpg": "jpeg",
    "image/gif": "gif",
    "image/webp": "webp",
}
_WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
_SHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_DOCUMENTS: Mapping[str, str] = {
    "application/pdf": "pdf",
    "text/csv": "csv",
    "text/html": "html",
    "text/markdown": "md",
    "text/plain": "txt",
    "application/json": "txt",
    "application/msword": "doc",
    _WORD: "docx",
    "application/vnd.ms-excel": "xls",
    _SHEET: "xlsx",
}
_BAD_IN_NAME = re.compile(r"[^A-Za-z0-9 ()\[\]-]+")
_LONGEST_NAME = 200


def image(media: ir.Media, losses: Losses) -> dict[str, Any]:
    """An entry for `images`. Raises: BadRequest when the service cannot take it."""
    data = _data(media)
    kind = _IMAGES.get(data.mime)
    if kind is None:
        raise BadRequest(f"this upstream takes no images of type {data.mime or 'unknown'}")
    if len(data.data) * 3 // 4 > LARGEST_IMAGE_BYTES:
        raise BadRequest("an image is larger than the 3.75 MB that this upstream takes")
    if media.detail:
        losses.dropped("image-detail")
    if media.name:
        losses.dropped("file-name")
    return {"format": kind, "source": {"bytes": data.data}}


def document(media: ir.Media, number: int, losses: Losses) -> dict[str, Any]:
    """
    An entry for `documents`, the `number`th of its message.

    Raises: BadRequest when the service cannot take it.
    """
    if isinstance(media.source, ir.PlainText):
        text = media.source.text.encode("utf-8", "replace")
        data = ir.Inline("text/plain", base64.b64encode(text).decode())
    else:
        data = _data(media)
    kind = _DOCUMENTS.get(data.mime)
    if kind is None and data.mime.startswith("text/"):
        kind = "txt"
    if kind is None:
        raise BadRequest(f"this upstream takes no documents of type {data.mime or 'unknown'}")
    if media.detail:
        losses.dropped("image-detail")
    name = _name(media.name, number)
    if media.name and name != media.name:
        losses.approximated("file-name")
    return {"name": name, "format": kind, "source": {"bytes": data.data}}


def _data(media: ir.Media) -> ir.Inline:
    if isinstance(media.source, ir.Inline):
        return media.source
    if isinstance(media.source, ir.Remote):
        what = f"this upstream cannot fetch the {media.kind} at a URL; send its data instead"
        raise BadRequest(what, param=media.kind)
    raise BadRequest(f"this upstream takes the data of a {media.kind}, not a reference to it")


def _name(name: str, number: int) -> str:
    """Few characters are legal, and each name may stand only once in a message."""
    stem = name.rpartition(".")[0] or name
    legal = " ".join(_BAD_IN_NAME.sub("-", stem).split()).strip("-")[:_LONGEST_NAME]
    return f"{legal or 'document'} {number}" if number > 1 or not legal else legal
