"""
Turns as `contents` for Gemini.

Roles are user and model, in turn. Results follow their calls, in the calls' order. A proof of
Gemini's own goes back to the part it came with; when another dialect had to keep it apart, it was
directly before the call, and returns to that call.

Source: Gemini API documentation, "Function calling" and "Thought signatures".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

from aiproxy.errors import BadRequest
from aiproxy.ir import (
    JSON,
    Media,
    Opaque,
    Part,
    Proof,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
    Turn,
)
from aiproxy.wire.closed import assert_never
from aiproxy.wire.conversation import joined_text, reasoning_for
from aiproxy.wire.gemini import media
from aiproxy.wire.gemini.contents_in import INVENTED, NAME, opaque_kind
from aiproxy.wire.gemini.signatures import BYPASS, FAMILY
from aiproxy.wire.gemini.thinking import is_third
from aiproxy.wire.jsontext import arguments_object, raw, try_read
from aiproxy.wire.losses import Losses, feature_name
from aiproxy.wire.names import ToolNames, legal_id

JSONPart: TypeAlias = dict[str, Any]

OPENING = "(the conversation goes on)"
"""Put before a model's turn that comes first, which Gemini takes only from a user."""

ATTACHED = "[attached by the result of tool call {}]"
"""Put before media that a result has no place for."""

_OURS = ATTACHED.partition("{")[0]

BELOW = "(see the attachment below)"
"""What such a result says when it says nothing else."""

NOTHING = "(no content)"
"""What is left of a turn all of whose parts were dropped."""


class ContentsWriter:
    """Writes one conversation."""

    def __init__(self, model: str, names: ToolNames, losses: Losses) -> None:
        self._third = is_third(model)
        self._names, self._losses = names, losses
        self._sent: dict[str, str] = {}

    def contents(self, turns: Iterable[Turn]) -> list[dict[str, Any]]:
        """
        turns: settled (see `wire.conversation`).

        Raises: BadRequest for a file of another vendor.
        """
        out: list[dict[str, Any]] = []
        for turn in turns:
            self._losses.extras(NAME, turn.extras)
            if turn.role in ("system", "developer"):
                self._losses.approximated("late-instructions")
            role = "model" if turn.role == "assistant" else "user"
            parts = self._parts(turn)
            if not parts:
                continue
            if out and out[-1]["role"] == role:
                out[-1]["parts"] += parts
            else:
                out.append({"role": role, "parts": parts})
        if out and out[0]["role"] == "model":
            out.insert(0, {"role": "user", "parts": [{"text": OPENING}]})
        if self._third:
            _bypass_missing_signatures(out)
        return out

    def _parts(self, turn: Turn) -> list[JSONPart]:
        parts: list[JSONPart] = []
        behind: list[JSONPart] = []
        moved: Proof | None = None
        for part, next_part in zip(turn.parts, (*turn.parts[1:], None), strict=False):
            match part:
                case Reasoning():
                    moved = self._reasoning(part, next_part, parts)
                case ToolCall():
                    parts.append(self._call(part, moved))
                    moved = None
                case ToolResult():
                    parts.append(self._result(part, behind))
                case Text():
                    _add_text(parts, self._text(part))
                case Refusal(text):
                    self._losses.approximated("refusal")
                    _add_text(parts, {"text": text})
                case Media():
                    parts.append(self._media(part))
                case Opaque():
                    _add_text(parts, self._opaque(part))
                case _:
                    raise assert_never(part)
        # Media of results stands behind all results; plain texts of the turn behind both.
        at = sum("functionResponse" in part for part in parts)
        parts[at:at] = behind
        said = any(not isinstance(part, Text) for part in turn.parts)
        return parts or ([{"text": NOTHING}] if said else [])

    def _text(self, part: Text) -> JSONPart:
        if part.citations:
            self._losses.dropped("citations")
        out: JSONPart = {"text": part.text, **self._losses.extras(NAME, part.extras)}
        if part.proof is not None and part.proof.family == FAMILY:
            out["thoughtSignature"] = part.proof.data
        return out

    def _reasoning(
        self, part: Reasoning, next_part: Part | None, parts: list[JSONPart]
    ) -> Proof | None:
        """Adds a thought of Gemini's own, or gives its proof for the call behind it."""
        own = reasoning_for(FAMILY, part)
        if own is None or own.proof is None:
            self._losses.dropped("reasoning")
            return None
        if isinstance(next_part, ToolCall) and next_part.proof is None:
            return own.proof
        extras = self._losses.extras(NAME, part.extras)
        parts.append({"text": own.text, "thought": True, **extras})
        parts[-1]["thoughtSignature"] = own.proof.data
        return None

    def _call(self, call: ToolCall, moved: Proof | None) -> JSONPart:
        name = self._names.sent(call.name, call.namespace)
        self._sent[call.id] = name
        if call.kind == "custom":
            arguments: JSON = raw({"input": call.arguments})
        else:
            arguments = arguments_object(call.arguments)
        out: JSONPart = {"functionCall": {**_id(call.id), "name": name, "args": arguments}}
        out.update(self._losses.extras(NAME, call.extras))
        proof = call.proof or moved
        if proof is not None and proof.family == FAMILY:
            out["thoughtSignature"] = proof.data
        elif proof is not None:
            self._losses.dropped("reasoning")
        return out

    def _result(self, result: ToolResult, behind: list[JSONPart]) -> JSONPart:
        name = self._sent.get(result.call_id) or self._names.sent(result.name)
        text = joined_text(result.content)
        response: JSONPart = {
            **_id(result.call_id),
            "name": name,
            "response": _response(text, result.is_error),
        }
        files = [self._media(part) for part in result.content if isinstance(part, Media)]
        inline = [part for part in files if self._third and "inlineData" in part]
        if inline:
            response["parts"] = inline
        moved = [part for part in files if part not in inline]
        if moved:
            behind += ({"text": ATTACHED.format(name)}, *moved)
            response["response"] = _response(text or BELOW, result.is_error)
        response.update(self._losses.extras(NAME, result.extras))
        return {"functionResponse": response}

    def _media(self, part: Media) -> JSONPart:
        out = media.part_of(part)
        if out is None:
            raise BadRequest("a file uploaded to another vendor cannot be sent to this upstream")
        if part.name and "text" not in out:
            self._losses.dropped("file-name")
        resolution = media.resolution_of(part)
        if resolution is not None and self._third and "text" not in out:
            out["mediaResolution"] = resolution
        elif part.detail not in ("", "auto"):
            self._losses.dropped("image-detail")
        out.update(self._losses.extras(NAME, part.extras))
        return out

    def _opaque(self, part: Opaque) -> JSONPart:
        if part.wire == NAME and opaque_kind(part.raw) == part.kind:
            return try_read(part.raw, dict[str, msgspec.Raw]) or {}
        if part.fallback:
            self._losses.approximated(feature_name(part.kind))
        else:
            self._losses.dropped(feature_name(part.kind))
        return {"text": part.fallback}


def _add_text(parts: list[JSONPart], part: JSONPart) -> None:
    """`part`, unless it is an empty text; an empty one with a proof may join the text before it."""
    if part.get("text") != "":
        parts.append(part)
    elif "thoughtSignature" in part:
        last = parts[-1] if parts else {}
        if "text" in last and "thought" not in last and "thoughtSignature" not in last:
            last["thoughtSignature"] = part["thoughtSignature"]
        else:
            parts.append(part)


def _id(call_id: str) -> JSONPart:
    """Ids are optional here: one that we made up ourselves is left out."""
    return {} if call_id.startswith(INVENTED) else {"id": legal_id(call_id)}


def _response(text: str, is_error: bool) -> JSON:
    """A JSON object as it is, unless it could be taken for one of the two wrappings."""
    if is_error:
        return raw({"error": text})
    members = try_read(text, dict[str, msgspec.Raw])
    if members is None or _is_wrapping(members):
        return raw({"output": text})
    return msgspec.Raw(text.strip().encode("utf-8", "replace"))


def _is_wrapping(members: Mapping[str, JSON]) -> bool:
    return any(
        members.keys() == {key} and try_read(members[key], str) is not None
        for key in ("output", "error")
    )


def _bypass_missing_signatures(contents: Sequence[dict[str, Any]]) -> None:
    """
    Gives the first call of each step of the current turn the signature that it lacks.

    The current turn begins with the last content of the user's that says something. Gemini 3 and
    newer refuse the request otherwise.
    """
    for content in reversed(contents):
        parts = content["parts"]
        if content["role"] == "user":
            if any("text" in part and not part["text"].startswith(_OURS) for part in parts):
                return
            continue
        first = next((part for part in parts if "functionCall" in part), None)
        if first is not None:
            first.setdefault("thoughtSignature", BYPASS)
