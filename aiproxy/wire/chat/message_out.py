"""A turn of the hub as Chat messages for an upstream."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from typing import Any

from aiproxy import ir
from aiproxy.errors import BadRequest
from aiproxy.wire import dataurl, proofs
from aiproxy.wire.chat.errors import NAME
from aiproxy.wire.closed import assert_never
from aiproxy.wire.conversation import is_attribution, joined_text
from aiproxy.wire.losses import Losses, feature_name
from aiproxy.wire.names import ToolNames, legal_id

_ID_LIMIT = 64
_TOOL_ERROR = "[tool error] "
_AUDIO_FORMATS = {"audio/wav": "wav", "audio/mpeg": "mp3"}


class MessageWriter:
    """
    Writes the turns of one request.

    names: the tools' names as this upstream takes them. losses: what could not be written.
    """

    def __init__(self, request: ir.Request, names: ToolNames, losses: Losses) -> None:
        self._own = request.wire == NAME
        self._gemini = "gemini" in request.model.lower()
        self._names = names
        self._losses = losses

    # ── first: what Chat has no place for ──

    def carried(self, turn: ir.Turn) -> ir.Turn | None:
        """`turn` without what cannot be sent, None when nothing is left."""
        carried = [self._carried(part, turn.role) for part in turn.parts]
        parts = tuple([part for part in carried if part is not None])
        extras = turn.extras
        if extras is not None and not self._losses.extras(NAME, extras):
            extras = None
        return ir.Turn(turn.role, parts, extras) if parts or extras is not None else None

    def _carried(self, part: ir.Part, role: ir.Role) -> ir.Part | None:
        match part:
            case ir.Text():
                is_left_out = role in ("system", "developer") and self._is_attribution(part)
                return None if is_left_out else part
            case ir.ToolCall() if role != "assistant":
                self._losses.dropped("tool-call")
            case ir.ToolResult() if role != "user":
                self._losses.dropped("tool-result")
            case ir.Reasoning():
                own = part.extras is not None and part.extras.wire == NAME
                if own and part.proof is None:
                    return part
                self._losses.dropped("reasoning")
            case ir.Opaque() if part.wire != NAME and part.fallback:
                self._losses.approximated(feature_name(part.kind))
                return ir.Text(part.fallback)
            case ir.Opaque() if part.wire != NAME:
                self._losses.dropped(feature_name(part.kind))
            case _:
                return part
        return None

    def _is_attribution(self, part: ir.Text) -> bool:
        return not self._own and is_attribution(part)

    # ── then: messages ──

    def messages(self, turn: ir.Turn) -> Iterator[dict[str, Any]]:
        """The messages of a settled turn."""
        extras = self._losses.extras(NAME, turn.extras)
        match turn.role:
            case "system" | "developer":
                role = turn.role if self._own else "system"
                yield {"role": role, "content": self._instructions(turn.parts), **extras}
            case "user":
                yield from self._asked(turn.parts, extras)
            case "assistant":
                yield {**self._spoken(turn.parts), **extras}
            case _:
                assert_never(turn.role)

    def instructions(self, parts: Sequence[ir.Part]) -> dict[str, Any] | None:
        """The top-level instructions as the first message."""
        turn = self.carried(ir.Turn("system", tuple(parts)))
        if turn is None:
            return None
        return {"role": "system", "content": self._joined(turn.parts)}

    def _instructions(self, parts: Sequence[ir.Part]) -> Any:
        return self._content(parts) if self._own else self._joined(parts)

    def _joined(self, parts: Sequence[ir.Part]) -> str:
        """One string: few compatible vendors take more for the system."""
        texts = []
        for part in parts:
            if isinstance(part, ir.Text):
                self._losses.extras(NAME, part.extras)
                texts.append(part)
            else:
                self._losses.dropped("instruction-media")
        return joined_text(texts)

    def _asked(self, parts: Sequence[ir.Part], extras: dict[str, ir.JSON]) -> Iterator[Any]:
        """Tool messages first; what their results hold besides text goes to the user's message."""
        rest: list[ir.Part] = []
        for part in parts:
            if isinstance(part, ir.ToolResult):
                message, moved = self._result(part)
                yield message
                if moved:
                    label = part.name or part.call_id
                    rest += [ir.Text(f"[attached by the result of tool call {label}]"), *moved]
        rest += [part for part in parts if not isinstance(part, ir.ToolResult)]
        if rest or extras:
            yield {"role": "user", "content": self._content(rest), **extras}

    def _result(self, result: ir.ToolResult) -> tuple[dict[str, Any], list[ir.Part]]:
        texts: list[ir.Part] = []
        moved: list[ir.Part] = []
        for part in result.content:
            plain = _plain(part) if isinstance(part, ir.Media) else None
            if plain is not None:
                texts.append(ir.Text(plain))
            elif isinstance(part, ir.Media):
                self._losses.approximated("tool-result-media")
                moved.append(part)
            else:
                texts.append(part)
        if moved and not texts:
            texts = [ir.Text("(see the attachment below)")]
        if result.is_error:
            texts = _marked(texts)
        message = {
            "role": "tool",
            "tool_call_id": _id(result.call_id),
            "content": self._content(texts),
            **self._losses.extras(NAME, result.extras),
        }
        return message, moved

    def _spoken(self, parts: Sequence[ir.Part]) -> dict[str, Any]:
        """One assistant message with all that the turn says and calls."""
        message: dict[str, Any] = {"role": "assistant", "content": None}
        calls: list[ir.ToolCall] = []
        refusals: list[str] = []
        content: list[ir.Part] = []
        for part in parts:
            if isinstance(part, ir.ToolCall):
                calls.append(part)
            elif isinstance(part, ir.Refusal):
                refusals.append(part.text)
            elif isinstance(part, ir.Reasoning) and not _is_content(part):
                self._reasoning(part, message)
            else:
                content.append(part)
        written = self._content(content)
        if written or not (calls or refusals):
            message["content"] = written
        if refusals:
            message["refusal"] = "".join(refusals)
        if calls:
            message["tool_calls"] = [self._call(call) for call in calls]
        for part in content:
            if isinstance(part, ir.Text) and part.proof is not None:
                message.update(self._proof(part.proof))
        return message

    def _reasoning(self, part: ir.Reasoning, message: dict[str, Any]) -> None:
        """A Chat client's own reasoning fields, back where they came from."""
        for name, value in self._losses.extras(NAME, part.extras).items():
            if name in message:
                self._losses.dropped("reasoning")
            else:
                message[name] = value

    def _call(self, call: ir.ToolCall) -> dict[str, Any]:
        name = self._names.sent(call.name, call.namespace)
        kind = "custom" if call.kind == "custom" else "function"
        written: dict[str, Any] = {"id": _id(call.id), "type": kind}
        if call.kind == "custom":
            written["custom"] = {"name": name, "input": call.arguments}
        else:
            written["function"] = {"name": name, "arguments": call.arguments or "{}"}
        if call.proof is not None:
            written.update(self._proof(call.proof))
        return {**written, **self._losses.extras(NAME, call.extras)}

    def _proof(self, proof: ir.Proof) -> dict[str, Any]:
        """Only Google's compatibility layer takes proofs, and only those of its own models."""
        if proof.family == "gemini" and self._gemini:
            return google_content(proof)
        self._losses.dropped("reasoning-proof")
        return {}

    # ── content ──

    def _content(self, parts: Sequence[ir.Part]) -> str | list[Any]:
        """A plain string where one will do: every compatible vendor takes it."""
        only = parts[0] if len(parts) == 1 else None
        if isinstance(only, ir.Text) and only.extras is None and not only.citations:
            return only.text
        said = [part for part in parts if not _is_blank(part)]
        if not said:
            return ""
        items = [item for part in said for item in self._items(part)]
        if len(items) == 1 and isinstance(items[0], dict) and set(items[0]) == {"type", "text"}:
            return str(items[0]["text"])
        return items

    def _items(self, part: ir.Part) -> Iterator[Any]:
        match part:
            case ir.Text():
                if part.citations:
                    self._losses.dropped("citations")
                extras = self._losses.extras(NAME, part.extras)
                yield {"type": "text", "text": part.text, **extras}
            case ir.Media():
                yield {**self._media(part), **self._losses.extras(NAME, part.extras)}
            case ir.Refusal():
                yield {"type": "text", "text": part.text}
            case ir.Opaque():
                yield part.raw
            case ir.Reasoning():
                if _is_content(part):
                    yield self._losses.extras(NAME, part.extras)["thinking"]
            case ir.ToolCall() | ir.ToolResult():
                pass
            case _:
                assert_never(part)

    def _media(self, media: ir.Media) -> dict[str, Any]:
        plain = _plain(media)
        if plain is not None:
            return {"type": "text", "text": plain}
        match media.kind:
            case "image":
                if media.name:
                    self._losses.dropped("file-name")
                item = _image(media)
            case "document":
                if media.detail:
                    self._losses.dropped("image-detail")
                item = _file(media)
            case "audio":
                item = _audio(media)
            case "video":
                raise BadRequest("video cannot be sent to this upstream")
            case _:
                assert_never(media.kind)
        return item


def google_content(proof: ir.Proof) -> dict[str, Any]:
    """A proof where Google's compatibility layer keeps it."""
    return {"extra_content": {"google": {"thought_signature": proofs.tagged(proof, "gemini")}}}


def _image(media: ir.Media) -> dict[str, Any]:
    match media.source:
        case ir.Inline():
            url = dataurl.written(media.source)
        case ir.Remote():
            url = media.source.url
        case _:
            raise BadRequest("an uploaded image cannot be sent to this upstream")
    image = {"url": url}
    if media.detail:
        image["detail"] = media.detail
    return {"type": "image_url", "image_url": image}


def _file(media: ir.Media) -> dict[str, Any]:
    match media.source:
        case ir.Inline():
            name = media.name or "document.pdf"
            file = {"filename": name, "file_data": dataurl.written(media.source)}
        case ir.Uploaded() if media.source.family == "openai":
            file = {"file_id": media.source.id}
            if media.name:
                file["filename"] = media.name
        case ir.Remote():
            raise BadRequest("a document by URL cannot be sent to this upstream")
        case _:
            raise BadRequest("a document uploaded elsewhere cannot be sent to this upstream")
    return {"type": "file", "file": file}


def _audio(media: ir.Media) -> dict[str, Any]:
    if not isinstance(media.source, ir.Inline):
        raise BadRequest("audio must be sent to this upstream as data")
    mime = media.source.mime
    kind = _AUDIO_FORMATS.get(mime) or mime.partition("/")[2] or "wav"
    return {"type": "input_audio", "input_audio": {"data": media.source.data, "format": kind}}


def _plain(media: ir.Media) -> str | None:
    """A plain-text document as text under its title, None for anything else."""
    match media.source:
        case ir.PlainText():
            text = media.source.text
        case ir.Inline() if media.kind == "document" and media.source.mime.startswith("text/"):
            text = base64.b64decode(media.source.data).decode("utf-8", "replace")
        case _:
            return None
    return f"{media.name}\n\n{text}" if media.name else text


def _marked(texts: Sequence[ir.Part]) -> list[ir.Part]:
    """A failed tool's text, marked as such."""
    first = texts[0] if texts else ir.Text("")
    if not isinstance(first, ir.Text):
        return [ir.Text(_TOOL_ERROR), *texts]
    return [ir.replace(first, text=_TOOL_ERROR + first.text), *texts[1:]]


def _is_content(part: ir.Reasoning) -> bool:
    """Whether a Chat client wrote this reasoning among the parts of a message's content."""
    return part.extras is not None and "thinking" in dict(part.extras.fields)


def _is_blank(part: ir.Part) -> bool:
    return isinstance(part, ir.Text) and not part.text


def _id(call_id: str) -> str:
    """OpenAI limits only an id's length; some vendors' ids hold dots and colons."""
    return call_id if 0 < len(call_id) <= _ID_LIMIT else legal_id(call_id)
