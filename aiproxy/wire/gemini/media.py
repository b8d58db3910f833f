"""Files and images: `inlineData` and `fileData`."""

from __future__ import annotations

import re
from typing import Any

from aiproxy.ir import (
    Extras,
    Inline,
    Media,
    MediaKind,
    PlainText,
    Remote,
    Source,
    Uploaded,
)
from aiproxy.wire.gemini.shapes import Blob, FileData
from aiproxy.wire.gemini.signatures import FAMILY

_BLANK = re.compile(r"\s+")
_ALPHABET = str.maketrans("-_", "+/")

_GUESSES: dict[MediaKind, str] = {
    "image": "image/jpeg",
    "document": "application/pdf",
    "audio": "audio/wav",
    "video": "video/mp4",
}
_BY_ENDING = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
    "heic": "image/heic",
    "pdf": "application/pdf",
    "txt": "text/plain",
    "csv": "text/csv",
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "mp4": "video/mp4",
    "mov": "video/quicktime",
    "webm": "video/webm",
}
_LEVELS = {"MEDIA_RESOLUTION_LOW": "low", "MEDIA_RESOLUTION_HIGH": "high"}
_LEVEL_OF = {detail: level for level, detail in _LEVELS.items()}


def from_blob(blob: Blob, detail: str = "", extras: Extras | None = None) -> Media:
    """`inlineData`; both alphabets of base64 are taken, with or without padding."""
    data = _BLANK.sub("", blob.data or "").translate(_ALPHABET).rstrip("=")
    mime = _mime(blob.mime_type)
    source = Inline(mime, data + "=" * (-len(data) % 4))
    return Media(_kind(mime), source, blob.display_name or "", detail, extras)


def from_file(file: FileData, detail: str = "", extras: Extras | None = None) -> Media:
    """`fileData`: a public web address, or a file that only Google can open."""
    uri, mime = file.file_uri or "", _mime(file.mime_type)
    source: Source
    if uri.startswith(("https://", "http://")) and "googleapis.com/" not in uri:
        source = Remote(uri, mime)
    else:
        source = Uploaded(FAMILY, uri, mime)
    return Media(_kind(mime or _guessed(uri)), source, file.display_name or "", detail, extras)


def part_of(media: Media) -> dict[str, Any] | None:
    """The part for `media`; None for a file that was uploaded to another vendor."""
    match media.source:
        case Inline(mime, data):
            return {"inlineData": {"mimeType": mime or _GUESSES[media.kind], "data": data}}
        case Remote(url, mime):
            return {"fileData": _file(mime or _guessed(url), url)}
        case Uploaded(family, file_id, mime):
            return {"fileData": _file(mime, file_id)} if family == FAMILY else None
        case PlainText(text):
            return {"text": f"{media.name}\n{text}" if media.name else text}


def detail_of(level: str | None) -> str:
    """Our word for a `mediaResolution` level, "" for one we have none for."""
    return _LEVELS.get((level or "").upper(), "")


def resolution_of(media: Media) -> dict[str, str] | None:
    """The `mediaResolution` of a part, None when it is the model's choice."""
    level = _LEVEL_OF.get(media.detail)
    return None if level is None else {"level": level}


def _file(mime: str, uri: str) -> dict[str, str]:
    return {"mimeType": mime, "fileUri": uri} if mime else {"fileUri": uri}


def _mime(text: str | None) -> str:
    mime = (text or "").partition(";")[0].strip().lower()
    return "image/jpeg" if mime == "image/jpg" else mime


def _guessed(url: str) -> str:
    """The media type that a URL's ending stands for, "" when it tells nothing."""
    path = url.partition("?")[0].partition("#")[0]
    return _BY_ENDING.get(path.rpartition(".")[2].lower(), "")


def _kind(mime: str) -> MediaKind:
    match mime.partition("/")[0]:
        case "image":
            return "image"
        case "audio":
            return "audio"
        case "video":
            return "video"
        case _:
            return "document"
