"""Parts of messages and of tool outputs, in both directions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from aiproxy import ir
from aiproxy.errors import BadRequest
from aiproxy.wire import dataurl
from aiproxy.wire.closed import assert_never
from aiproxy.wire.jsontext import copied, extras_of, raw, read_request
from aiproxy.wire.losses import Losses
from aiproxy.wire.responses import shapes
from aiproxy.wire.responses.shapes import FAMILY, NAME
from aiproxy.wire.responses.slots import url_citation

_TEXTS = frozenset({"input_text", "output_text", "text"})
_DETAILS = ("low", "high", "auto")
_AUDIO = {"wav": "audio/wav", "mp3": "audio/mpeg"}
_AUDIO_FORMATS = {mime: name for name, mime in _AUDIO.items()}

_KNOWN = {
    **dict.fromkeys(_TEXTS, frozenset({"type", "text", "annotations"})),
    "input_image": frozenset({"type", "image_url", "file_id", "detail"}),
    "input_file": frozenset({"type", "file_data", "file_url", "file_id", "filename"}),
    "input_audio": frozenset({"type", "input_audio"}),
}


# Parts of messages that we do not understand are told from items by their names.
_OTHER_PARTS = frozenset({"computer_screenshot", "encrypted_content", "reasoning_text"})


def is_content(kind: str) -> bool:
    """Whether something of this type stands inside a message rather than beside it."""
    return kind.startswith(("input_", "output_")) or kind in _OTHER_PARTS


# ── reading ──


def decode_parts(content: str | Sequence[ir.JSON] | None, where: str) -> tuple[ir.Part, ...]:
    """
    The parts of a message or a tool's output.

    where: the field's name, for errors. Raises: BadRequest.
    """
    if content is None:
        return ()
    if isinstance(content, str):
        return (ir.Text(content),)
    return tuple(_decode_part(part, f"{where}[{at}]") for at, part in enumerate(content))


def read_at(value: ir.JSON, shape: type[Any], where: str) -> Any:
    """A part of the request as `shape`; errors name the whole way to the fault."""
    try:
        return read_request(value, shape)
    except BadRequest as error:
        inner = error.reply.param
        param = f"{where}.{inner}" if inner else where
        raise BadRequest(f"{error.reply.message} (in {where})", param=param) from None


def _decode_part(value: ir.JSON, where: str) -> ir.Part:
    part: shapes.InputPart
    kind = read_at(value, shapes.Typed, where).type or ""
    if kind not in _KNOWN and kind != "refusal":
        return ir.Opaque(NAME, kind, copied(value))
    part = read_at(value, shapes.InputPart, where)
    if kind == "refusal":
        return ir.Refusal(part.refusal or part.text or "")
    extras = extras_of(NAME, value, _KNOWN[kind])
    if kind in _TEXTS:
        return _decode_text(part, value, extras)
    try:
        return ir.replace(_decode_media(kind, part, where), extras=_with_detail(kind, part, extras))
    except BadRequest as error:
        raise BadRequest(f"{where}: {error.reply.message}", param=where) from None


def _decode_text(part: shapes.InputPart, value: ir.JSON, extras: ir.Extras | None) -> ir.Text:
    """Annotations that are no URLs stay as they are, for this dialect alone."""
    citations = tuple(
        ir.Citation(found.url, found.title or "", found.start_index, found.end_index)
        for found in part.annotations or ()
        if found.url
    )
    if len(citations) != len(part.annotations or ()):
        annotations = read_request(value, dict[str, ir.JSON])["annotations"]
        rest = () if extras is None else extras.fields
        extras = ir.Extras(NAME, (("annotations", copied(annotations)), *rest))
    elif extras is not None:
        # The official SDK repeats `"logprobs": []` from the reply.
        kept = tuple(field for field in extras.fields if bytes(field[1]) != b"[]")
        extras = ir.Extras(NAME, kept) if kept else None
    return ir.Text(part.text or "", citations, extras=extras)


def _with_detail(kind: str, part: shapes.InputPart, extras: ir.Extras | None) -> ir.Extras | None:
    """A detail that only this vendor knows is kept."""
    if kind != "input_image" or part.detail is None or part.detail in _DETAILS:
        return extras
    rest = () if extras is None else extras.fields
    return ir.Extras(NAME, (("detail", raw(part.detail)), *rest))


def _decode_media(kind: str, part: shapes.InputPart, where: str) -> ir.Media:
    match kind:
        case "input_image":
            detail = part.detail if part.detail in _DETAILS else ""
            return ir.Media("image", _source(part, part.image_url, ""), detail=detail or "")
        case "input_audio" if part.input_audio is not None:
            audio = part.input_audio
            format_ = audio.format or "wav"
            mime = _AUDIO.get(format_, f"audio/{format_}")
            return ir.Media("audio", ir.Inline(mime, dataurl.standard(audio.data)))
        case "input_file":
            name = part.filename or ""
            guessed = "application/pdf" if name.lower().endswith(".pdf") else ""
            data = part.file_data
            if data is not None and not data.startswith("data:"):
                inline = ir.Inline(guessed or "application/pdf", dataurl.standard(data))
                return ir.Media("document", inline, name)
            source = _source(part, data or part.file_url, guessed)
            return ir.Media("document", source, name)
    raise BadRequest("the part lacks its data", param=where)


def _source(part: shapes.InputPart, url: str | None, mime: str) -> ir.Source:
    if part.file_id:
        return ir.Uploaded(FAMILY, part.file_id)
    if not url:
        raise BadRequest("the part has neither data, nor a URL, nor a file id")
    return dataurl.source(url, mime)


# ── writing ──


def encode_parts(
    parts: Iterable[ir.Part], losses: Losses, *, output: bool = False, keep_empty: bool = False
) -> list[Any]:
    """
    Content parts; what is no content is dropped.

    output: the assistant's own texts. keep_empty: texts too, though the vendor ignores them.
    Raises: BadRequest for a medium that the vendor cannot take at all.
    """
    found = (_encode_part(part, losses, output, keep_empty) for part in parts)
    return [part for part in found if part is not None]


def _encode_part(part: ir.Part, losses: Losses, output: bool, keep_empty: bool) -> Any:
    match part:
        case ir.Text():
            if part.proof is not None:
                losses.dropped("thought-signature")
            if not part.text and not keep_empty:
                return None
            return _encode_text(part, losses, output)
        case ir.Refusal() if output:
            return {"type": "refusal", "refusal": part.text}
        case ir.Refusal():
            return {"type": "input_text", "text": part.text}
        case ir.Opaque() if part.wire == NAME:
            return part.raw
        case ir.Media() if output:
            losses.dropped(f"{part.kind}-output")
        case ir.Media():
            return {**_encode_media(part, losses), **losses.extras(NAME, part.extras)}
        case ir.Opaque() | ir.Reasoning() | ir.ToolCall() | ir.ToolResult():
            pass
        case _:
            raise assert_never(part)
    return None


def _encode_text(part: ir.Text, losses: Losses, output: bool) -> dict[str, Any]:
    if not output:
        if part.citations:
            losses.dropped("citations")
        return {"type": "input_text", "text": part.text, **losses.extras(NAME, part.extras)}
    citations = [url_citation(found, len(part.text)) for found in part.citations if found.url]
    text = {"type": "output_text", "text": part.text, "annotations": citations}
    return {**text, **losses.extras(NAME, part.extras)}


def _encode_media(part: ir.Media, losses: Losses) -> dict[str, Any]:
    match part.kind:
        case "image":
            image: dict[str, Any] = {"type": "input_image", **_reference(part, "image_url")}
            if part.detail:
                image["detail"] = part.detail
            if part.name:
                losses.dropped("file-name")
            return image
        case "document":
            if isinstance(part.source, ir.PlainText):
                heading = f"# {part.name}\n\n" if part.name else ""
                return {"type": "input_text", "text": heading + part.source.text}
            if part.detail:
                losses.dropped("image-detail")
            return _encode_file(part)
        case "audio" if isinstance(part.source, ir.Inline):
            format_ = _AUDIO_FORMATS.get(part.source.mime)
            if format_ is not None:
                audio = {"data": part.source.data, "format": format_}
                return {"type": "input_audio", "input_audio": audio}
    raise BadRequest(f"{part.kind} of this kind is not supported by this upstream")


def _encode_file(part: ir.Media) -> dict[str, Any]:
    key = "file_data" if isinstance(part.source, ir.Inline) else "file_url"
    file: dict[str, Any] = {"type": "input_file", **_reference(part, key)}
    name = part.name
    if not name and key in file and key == "file_data":
        # The vendor insists on a name beside inline data.
        name = "file.pdf" if file[key].startswith("data:application/pdf") else "file"
    if name:
        file["filename"] = name
    return file


def _reference(part: ir.Media, key: str) -> dict[str, str]:
    """Where the data is; key: the member for a URL of either kind."""
    match part.source:
        case ir.Inline():
            return {key: dataurl.written(part.source)}
        case ir.Remote():
            return {key: part.source.url}
        case ir.Uploaded(family=family, id=id_) if family == FAMILY:
            return {"file_id": id_}
        case ir.Uploaded():
            raise BadRequest("a file uploaded to another vendor cannot be sent to this upstream")
        case ir.PlainText():
            raise BadRequest(f"{part.kind} as plain text is not supported by this upstream")
