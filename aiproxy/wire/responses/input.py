"""Turns, written as the items of a request's `input`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from aiproxy import ir
from aiproxy.wire.closed import assert_never
from aiproxy.wire.jsontext import fields_for
from aiproxy.wire.losses import Losses, feature_name
from aiproxy.wire.names import ToolNames, legal_id
from aiproxy.wire.responses.content import encode_parts, is_content
from aiproxy.wire.responses.shapes import FAMILY, NAME
from aiproxy.wire.responses.slots import whole_item

_ERROR = "[tool error] "


class InputWriter:
    """
    Writes one request's turns.

    names: for a request of another wire; None when the client speaks this one, whose items are
    written as they were read.
    """

    def __init__(self, names: ToolNames | None, losses: Losses) -> None:
        self._names = names
        self._losses = losses

    def items(self, turn: ir.Turn) -> Iterator[Any]:
        """
        The items of a turn in order; texts and media that follow one another are one message.

        Raises: BadRequest for a medium that the vendor cannot take.
        """
        message: list[ir.Part] = []
        for part in turn.parts:
            is_opaque_part = (
                isinstance(part, ir.Opaque) and part.wire == NAME and is_content(part.kind)
            )
            if is_opaque_part or isinstance(part, ir.Text | ir.Media | ir.Refusal):
                message.append(part)
            else:
                yield from self._message(turn, message)
                message = []
                yield from self._item(part, turn.role)
        yield from self._message(turn, message, last=True)

    def _message(
        self, turn: ir.Turn, parts: list[ir.Part], *, last: bool = False
    ) -> Iterator[dict[str, Any]]:
        own = self._names is None
        extras = fields_for(NAME, turn.extras)
        empty_message = own and last and not turn.parts
        if not parts and not empty_message:
            return
        content = encode_parts(parts, self._losses, output=turn.role == "assistant", keep_empty=own)
        if content or empty_message:
            role = "developer" if turn.role == "system" and not own else turn.role
            self._losses.extras(NAME, turn.extras)
            yield {"type": "message", "role": role, "content": content, **extras}

    def _item(
        self, part: ir.ToolCall | ir.ToolResult | ir.Reasoning | ir.Opaque, role: ir.Role
    ) -> Iterator[Any]:
        match part:
            case ir.ToolCall():
                yield self._call(part)
            case ir.ToolResult():
                yield self._result(part)
            case ir.Reasoning():
                yield from self._reasoning(part)
            case ir.Opaque() if part.wire == NAME:
                yield whole_item(part)
            case ir.Opaque() if part.fallback:
                self._losses.approximated(feature_name(part.kind))
                shown = [ir.Text(part.fallback)]
                content = encode_parts(shown, self._losses, output=role == "assistant")
                yield {"type": "message", "role": role, "content": content}
            case ir.Opaque():
                self._losses.dropped(feature_name(part.kind))
            case _:
                raise assert_never(part)

    def _call(self, call: ir.ToolCall) -> dict[str, Any] | ir.JSON:
        if call.proof is not None:
            self._losses.dropped("thought-signature")
        if self._names is None and call.native is not None:
            return call.native
        custom = call.kind == "custom"
        name = call.name
        if self._names is not None:
            name = self._names.sent(call.name, call.namespace)
        item: dict[str, Any] = {
            "type": "custom_tool_call" if custom else "function_call",
            "call_id": self._id(call.id),
            "name": name,
        }
        if call.namespace:
            item["namespace"] = call.namespace
        if custom:
            item["input"] = call.arguments
        else:
            item["arguments"] = call.arguments or "{}"
        return {**item, **self._losses.extras(NAME, call.extras)}

    def _result(self, result: ir.ToolResult) -> dict[str, Any] | ir.JSON:
        if self._names is None and result.native is not None:
            return result.native
        custom = result.kind == "custom"
        return {
            "type": "custom_tool_call_output" if custom else "function_call_output",
            "call_id": self._id(result.call_id),
            "output": self._output(result),
            **self._losses.extras(NAME, result.extras),
        }

    def _output(self, result: ir.ToolResult) -> str | list[Any]:
        """Text as a string, which every vendor takes; media as parts."""
        texts = [part for part in result.content if isinstance(part, ir.Text)]
        mark = _ERROR if result.is_error else ""
        plain = len(texts) == len(result.content)
        if plain and (self._names is not None or len(texts) <= 1):
            for text in texts:
                self._losses.extras(NAME, text.extras)
            return mark + "\n".join(text.text for text in texts)
        content = encode_parts(result.content, self._losses, keep_empty=self._names is None)
        return [{"type": "input_text", "text": mark.rstrip()}, *content] if mark else content

    def _reasoning(self, part: ir.Reasoning) -> Iterator[dict[str, Any]]:
        """Only what this vendor's models thought, or what its client said without a proof."""
        is_own = part.proof.family == FAMILY if part.proof else self._names is None
        fields = fields_for(NAME, part.extras)
        if not is_own or (part.proof is None and not part.text and not fields):
            self._losses.dropped("reasoning")
            return
        summary = [{"type": "summary_text", "text": part.text}] if part.text else []
        item: dict[str, Any] = {"type": "reasoning", "summary": summary, **fields}
        if part.proof is not None:
            item["encrypted_content"] = part.proof.data
        yield item

    def _id(self, call_id: str) -> str:
        return call_id if self._names is None else legal_id(call_id)
