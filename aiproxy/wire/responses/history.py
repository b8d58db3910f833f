"""The items of a request's `input`, read as turns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from aiproxy import ir
from aiproxy.errors import BadRequest
from aiproxy.wire.jsontext import copied, extras_of
from aiproxy.wire.responses import items, native, shapes
from aiproxy.wire.responses.content import decode_parts, read_at
from aiproxy.wire.responses.fallback import fallback_text
from aiproxy.wire.responses.shapes import FAMILY, NAME

_ROLES: tuple[ir.Role, ...] = ("user", "assistant", "system", "developer")

# What a client repeats of a finished item; it changes nothing.
_REPEATED = frozenset({"type", "id", "status", "internal_chat_message_metadata_passthrough"})
_MESSAGE = _REPEATED | {"role", "content"}
_CALL = _REPEATED | {"call_id", "name", "namespace", "arguments", "input"}
_OUTPUT = _REPEATED | {"call_id", "output"}
_REASONING = (_REPEATED - {"id"}) | {"encrypted_content"}

# Vendors that sign calls rather than thoughts: their proofs travel in an item of their own,
# directly before the call.
_SIGN_CALLS = frozenset({"gemini"})


def decode_input(value: str | Sequence[ir.JSON] | None) -> tuple[ir.Turn, ...]:
    """
    One turn for each item.

    Raises: BadRequest, naming the item at fault.
    """
    if value is None:
        return ()
    if isinstance(value, str):
        return (ir.Turn("user", (ir.Text(value),)),)
    turns = [_turn(item, f"input[{at}]") for at, item in enumerate(value)]
    return native.with_call_ids(tuple(_with_signed_calls(turns)))


def _turn(value: ir.JSON, where: str) -> ir.Turn:
    item: shapes.InputItem = read_at(value, shapes.InputItem, where)
    match kind := item.type or ("message" if item.role is not None else ""):
        case "message":
            return _message(value, where)
        case "function_call" | "custom_tool_call":
            return ir.Turn("assistant", (_call(value, kind, where),))
        case "function_call_output" | "custom_tool_call_output":
            return ir.Turn("user", (_output(value, kind, where),))
        case "reasoning":
            return ir.Turn("assistant", (_reasoning(value, where),))
        case "":
            raise BadRequest(f"{where} has neither a type nor a role", param=where)
        case _:
            return _vendors(value, kind)


def _vendors(value: ir.JSON, kind: str) -> ir.Turn:
    """An item of a tool that only this vendor has, or one that we do not understand."""
    call = native.call(kind, value)
    if call is not None:
        return ir.Turn("assistant", (call,))
    result = native.result(kind, value)
    if result is not None:
        return ir.Turn("user", (result,))
    other = ir.Opaque(NAME, kind, copied(value), fallback_text(kind, value))
    return ir.Turn(_role_of(kind), (other,))


def _role_of(kind: str) -> ir.Role:
    """Whose turn an item is that we do not understand."""
    if kind == "additional_tools":
        return "developer"
    given_by_client = kind.endswith(("_output", "_response")) or kind == "item_reference"
    return "user" if given_by_client else "assistant"


def _message(value: ir.JSON, where: str) -> ir.Turn:
    message: shapes.InputMessage = read_at(value, shapes.InputMessage, where)
    for role in _ROLES:
        if role == message.role:
            parts = decode_parts(message.content, f"{where}.content")
            return ir.Turn(role, parts, extras_of(NAME, value, _MESSAGE))
    raise BadRequest(f"{where} has an unknown role", param=f"{where}.role")


def _call(value: ir.JSON, kind: str, where: str) -> ir.ToolCall:
    item: shapes.CallItem = read_at(value, shapes.CallItem, where)
    if not item.call_id or not item.name:
        raise BadRequest(f"{where} needs a call_id and a name", param=where)
    return ir.replace(items.call(item, kind), extras=extras_of(NAME, value, _CALL))


def _output(value: ir.JSON, kind: str, where: str) -> ir.ToolResult:
    item: shapes.CallOutput = read_at(value, shapes.CallOutput, where)
    return ir.ToolResult(
        item.call_id,
        decode_parts(item.output, f"{where}.output"),
        kind="custom" if kind == "custom_tool_call_output" else "function",
        extras=extras_of(NAME, value, _OUTPUT),
    )


def _reasoning(value: ir.JSON, where: str) -> ir.Reasoning:
    """Reasoning of this vendor's keeps its members, to be given back exactly."""
    item: shapes.ReasoningItem = read_at(value, shapes.ReasoningItem, where)
    thought = items.reasoning(item) or ir.Reasoning("")
    if thought.proof is not None and thought.proof.family != FAMILY:
        return thought
    return ir.replace(thought, extras=extras_of(NAME, value, _REASONING))


def _with_signed_calls(turns: Sequence[ir.Turn]) -> Iterator[ir.Turn]:
    """The turns, with proofs that belong to a call given to the call that follows."""
    waiting: ir.Turn | None = None
    for turn in turns:
        if waiting is not None:
            signature = _signature(waiting)
            match turn.parts:
                case (ir.ToolCall(proof=None) as call,):
                    turn = ir.replace(turn, parts=(ir.replace(call, proof=signature),))
                case _:
                    yield waiting
            waiting = None
        if _signature(turn) is None:
            yield turn
        else:
            waiting = turn
    if waiting is not None:
        yield waiting


def _signature(turn: ir.Turn) -> ir.Proof | None:
    match turn.parts:
        case (ir.Reasoning(text="", proof=ir.Proof(family=family) as proof),):
            return proof if family in _SIGN_CALLS else None
    return None
