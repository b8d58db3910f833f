"""
A client's `contents` as turns.

Clients of the official SDKs keep a streamed answer as it came, one content for each chunk, so
neighbouring contents of the model are one turn and their texts are joined again. Calls and results
need no ids on this wire: they are matched by name and order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

import msgspec

from aiproxy import ir
from aiproxy.errors import BadRequest
from aiproxy.ir import JSON, Extras, Opaque, Part, Reasoning, Role, Text, ToolCall, ToolResult, Turn
from aiproxy.wire.gemini import media, shapes
from aiproxy.wire.gemini.fallback import fallback_text
from aiproxy.wire.gemini.partial import PartialArguments
from aiproxy.wire.gemini.signatures import FAMILY, proof_of
from aiproxy.wire.jsontext import extras_of, given, raw, read_request, text_of, try_read
from aiproxy.wire.names import derived_id

NAME = "gemini"

INVENTED = "gemini_call_"
"""Begins the ids of calls that came without one; they are never sent to Google."""

_ROLES: dict[str, Role] = {
    "": "user",
    "user": "user",
    "function": "user",
    "tool": "user",
    "model": "assistant",
    "assistant": "assistant",
    "system": "system",
}
_KNOWN_IN_PART = frozenset(shapes.Part.__struct_encode_fields__)
_KNOWN_IN_RESULT = frozenset(shapes.FunctionResponse.__struct_encode_fields__)
_BESIDE = frozenset(("thought", "thoughtSignature", "partMetadata"))


class ContentsReader:
    """Reads one conversation from its beginning."""

    def __init__(self) -> None:
        # What each turn is made of; its parts are joined when it is known to be complete.
        self._turns: list[tuple[Role, list[Sequence[Part]]]] = []
        self._calls = 0
        self._waiting = _Waiting()

    def turns(self, contents: Iterable[shapes.Content]) -> tuple[Turn, ...]:
        """Raises: BadRequest, naming the part at fault."""
        for at, content in enumerate(contents):
            role = _ROLES.get((content.role or "").lower())
            if role is None:
                where = f"contents[{at}].role"
                raise BadRequest(f"{where}: a role is user or model", param=where)
            parts = [
                part
                for index, value in enumerate(content.parts or ())
                for part in self._part(value, f"contents[{at}].parts[{index}]")
            ]
            self._add(role, parts)
        return tuple(Turn(role, _joined(groups)) for role, groups in self._turns)

    def _add(self, role: Role, parts: Sequence[Part]) -> None:
        """Results that stand among the model's own parts (of tools at the server) are a turn."""
        for is_result, group in groupby(parts, lambda part: isinstance(part, ToolResult)):
            self._extend("user" if is_result else role, tuple(group))

    def _extend(self, role: Role, parts: Sequence[Part]) -> None:
        if role == "assistant" and self._turns and self._turns[-1][0] == role:
            self._turns[-1][1].append(parts)
        else:
            self._turns.append((role, [parts]))

    def _part(self, value: JSON, where: str) -> Sequence[Part]:
        part = read_part(value, where)
        extras = extras_of(NAME, value, _KNOWN_IN_PART)
        detail = media.detail_of(_level(part.media_resolution))
        if given(part.media_resolution) and not detail:
            kept = ("mediaResolution", raw(part.media_resolution))
            extras = Extras(NAME, (*(extras.fields if extras else ()), kept))
        if part.function_call is not None:
            return self._call(part, part.function_call, extras, where)
        if part.function_response is not None:
            return (self._result(value, part.function_response, where),)
        if part.inline_data is not None:
            return (media.from_blob(part.inline_data, detail, extras),)
        if part.file_data is not None:
            return (media.from_file(part.file_data, detail, extras),)
        kind = opaque_kind(value)
        if part.text is None and kind:
            return (Opaque(NAME, kind, raw(value), fallback_text(value)),)
        return _text(part, extras)

    def _call(
        self, part: shapes.Part, call: shapes.FunctionCall, extras: Extras | None, where: str
    ) -> Sequence[Part]:
        if not call.name:
            raise BadRequest(f"{where}.functionCall has no name", param=f"{where}.functionCall")
        self._calls += 1
        call_id = call.id or derived_id(INVENTED, call.name, self._calls)
        proof = proof_of(part.thought_signature) if part.thought_signature else None
        made = ToolCall(call_id, call.name, _arguments(call, where), proof=proof, extras=extras)
        self._waiting.add(made)
        if proof is not None and proof.family != FAMILY:
            # Put there by our encoder, for want of a better place: see `parts_out`.
            return (Reasoning("", proof), ir.replace(made, proof=None))
        return (made,)

    def _result(self, value: JSON, result: shapes.FunctionResponse, where: str) -> ToolResult:
        call = self._answered(result)
        call_id = call.id if call else result.id or derived_id(INVENTED, result.name, "orphan")
        content, is_error = _content(result, where)
        inner = (try_read(value, dict[str, msgspec.Raw]) or {}).get("functionResponse")
        extras = None if inner is None else extras_of(NAME, inner, _KNOWN_IN_RESULT)
        return ToolResult(
            call_id,
            content,
            is_error,
            name=result.name or (call.name if call else ""),
            extras=extras,
        )

    def _answered(self, result: shapes.FunctionResponse) -> ToolCall | None:
        """The call that `result` belongs to: the one with its id, else the oldest of its name."""
        name = result.name or ""
        if not result.id:
            return self._waiting.take("name", name)
        return self._waiting.take("id", result.id) or self._waiting.take("invented", name)


@dataclass(slots=True)
class _Open:
    """A call, and whether its result has come."""

    call: ToolCall
    is_done: bool = False


class _Waiting:
    """
    Calls that have no result yet, the oldest first.

    However many there are, each is looked at only a few times.
    """

    def __init__(self) -> None:
        self._queues: dict[tuple[str, str], deque[_Open]] = {}

    def add(self, call: ToolCall) -> None:
        entry = _Open(call)
        keys = [("id", call.id), ("name", call.name)]
        if call.id.startswith(INVENTED):
            keys.append(("invented", call.name))
        for key in keys:
            self._queues.setdefault(key, deque()).append(entry)

    def take(self, kind: str, value: str) -> ToolCall | None:
        """The oldest with this id, this name, or this name and an id that we invented."""
        queue = self._queues.get((kind, value), deque())
        while queue:
            entry = queue.popleft()
            if not entry.is_done:
                entry.is_done = True
                return entry.call
        return None


def read_part(value: JSON, where: str) -> shapes.Part:
    """Raises: BadRequest, naming the place."""
    try:
        return read_request(value, shapes.Part)
    except BadRequest as error:
        inner = error.reply.param
        param = f"{where}.{inner}" if inner else where
        raise BadRequest(f"{param}: {error.reply.message}", param=param) from None


def opaque_kind(value: JSON) -> str:
    """What a part is that has no typed field: its first own key, "" when it has none."""
    members = try_read(value, dict[str, msgspec.Raw]) or {}
    return next((key for key in members if key not in _KNOWN_IN_PART | _BESIDE), "")


def _text(part: shapes.Part, extras: Extras | None) -> Sequence[Part]:
    text, signature = part.text or "", part.thought_signature
    proof = proof_of(signature) if signature else None
    if not text and proof is None:
        return ()
    if part.thought:
        return (Reasoning(text, proof, summary=True, extras=extras),)
    if proof is not None and proof.family != FAMILY:
        said = (Text(text, extras=extras),) if text else ()
        return (*said, Reasoning("", proof, summary=True))
    return (Text(text, proof=proof, extras=extras),)


def _joined(groups: Iterable[Sequence[Part]]) -> tuple[Part, ...]:
    """
    The parts of a turn, a proof that came on its own put where it belongs.

    A text that goes on at the border between two groups is one text. So are the pieces of a
    streamed thought before a foreign proof that our encoder put behind it: its vendor wants one.
    """
    parts: list[Part] = []
    texts: list[str] = []
    border = -1
    for group in groups:
        for part in group:
            if _is_foreign_proof(part):
                _complete(parts, texts)
                if _one_thought(parts):
                    border = -1
            last = parts[-1] if parts else None
            if (
                isinstance(last, Text | Reasoning)
                and isinstance(part, Text | Reasoning)
                and type(last) is type(part)
                and last.proof is None
                and (len(parts) == border or not part.text)
            ):
                parts[-1] = ir.replace(last, proof=part.proof)
                texts.append(part.text)
                continue
            _complete(parts, texts)
            parts.append(part)
        border = len(parts)
    _complete(parts, texts)
    return tuple(parts)


def _is_foreign_proof(part: Part) -> bool:
    if not isinstance(part, Reasoning) or part.text or part.proof is None:
        return False
    return part.proof.family != FAMILY


def _one_thought(parts: list[Part]) -> bool:
    """Make one of the thoughts without a proof at the end; whether there were several."""
    start = len(parts)
    while start and _unproven(parts[start - 1]):
        start -= 1
    pieces = [part for part in parts[start:] if isinstance(part, Reasoning)]
    if len(pieces) < 2:
        return False
    parts[start:] = [ir.replace(pieces[0], text="".join(piece.text for piece in pieces))]
    return True


def _unproven(part: Part) -> bool:
    return isinstance(part, Reasoning) and part.proof is None


def _complete(parts: list[Part], texts: list[str]) -> None:
    """Put what has gathered in `texts` behind the text of the last part."""
    if texts:
        last = parts[-1]
        assert isinstance(last, Text | Reasoning)
        parts[-1] = ir.replace(last, text=last.text + "".join(texts))
        texts.clear()


def _arguments(call: shapes.FunctionCall, where: str) -> str:
    if not call.partial_args:
        return text_of(call.args) if given(call.args) else "{}"
    arguments = PartialArguments(bytes(call.args))
    try:
        for piece in call.partial_args:
            arguments.add(piece)
    except ValueError as error:
        param = f"{where}.functionCall.partialArgs"
        raise BadRequest(f"{param}: {error}", param=param) from None
    return arguments.text()


def _content(result: shapes.FunctionResponse, where: str) -> tuple[tuple[Part, ...], bool]:
    """What a tool gave back, and whether it calls that an error."""
    content: list[Part] = []
    text, is_error = _response(result.response)
    if text:
        content.append(Text(text))
    for index, value in enumerate(result.parts or ()):
        part = read_part(value, f"{where}.functionResponse.parts[{index}]")
        if part.inline_data is not None:
            content.append(media.from_blob(part.inline_data))
        elif part.file_data is not None:
            content.append(media.from_file(part.file_data))
    return tuple(content), is_error


def _response(response: JSON) -> tuple[str, bool]:
    """The text in {"output": text} and {"error": text}; any other object is its own text."""
    if not given(response):
        return "", False
    members = try_read(response, dict[str, msgspec.Raw])
    if members is not None and len(members) == 1:
        ((key, value),) = members.items()
        text = try_read(value, str) if key in ("output", "error") else None
        if text is not None:
            return text, key == "error"
    return text_of(response), False


def _level(resolution: JSON) -> str | None:
    """The level of {"level": "MEDIA_RESOLUTION_HIGH"}."""
    members = try_read(resolution, dict[str, msgspec.Raw]) if given(resolution) else None
    return try_read((members or {}).get("level", msgspec.Raw(b"null")), str)
