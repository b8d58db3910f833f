"""
JSON text in and out, with the errors each side of the proxy promises.

Typed decoding is msgspec's: a Struct with every field a wire may carry and `Raw` for subtrees that
only travel through. `Raw` fields take `Raw()` (empty) as the default; JSON null arrives as `null`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache, reduce
from operator import or_
from typing import Any, Protocol, TypeVar

import msgspec

from aiproxy.errors import BadRequest, UpstreamProtocolError
from aiproxy.ir import JSON, Extras
from aiproxy.wire.needles import place

T = TypeVar("T")


class Reader(Protocol):
    """`read_request` or `read_reply`: whose fault it is when the JSON is wrong."""

    def __call__(self, body: bytes | JSON, shape: type[T]) -> T: ...


MAX_DEPTH = 64
"""Nesting that the recursive parts of the codecs accept."""

_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(?P<half>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
"""An escape: of a whole character beyond 16 bits, of half of one, or any other."""

_FEW = 4
"""Items of a list that are printed in one step."""

_NULL = msgspec.Raw(b"null")

_TROUBLE = (msgspec.MsgspecError, UnicodeError, RecursionError, ValueError)


def read_request(body: bytes | JSON, shape: type[T], at: str = "") -> T:
    """
    A client's JSON as `shape`.

    at: where in the request it stands, "" for all of it.
    Raises: BadRequest, with the JSON path of what is wrong.
    """
    try:
        return _read(body, shape)
    except RecursionError:
        raise BadRequest("the JSON is nested too deeply") from None
    except UnicodeDecodeError:
        raise BadRequest("the JSON is not UTF-8") from None
    except _TROUBLE as error:
        message, _, path = str(error).partition(" - at ")
        param = (at + path.strip("`").removeprefix("$")).removeprefix(".") or None
        where = f" at {param}" if param else ""
        raise BadRequest(f"invalid JSON{where}: {message}", param=param) from None


def peek(body: bytes, shape: type[T]) -> T:
    """
    The few members of a client's JSON that `shape` knows, the others unseen: not even as UTF-8.

    Raises: BadRequest.
    """
    try:
        return msgspec.json.decode(body, type=shape)
    except _TROUBLE:
        return read_request(body, shape)


def read_name(value: JSON, member: str) -> str:
    """
    The text of a client's `member`, "" when it was not there or null.

    Raises: BadRequest.
    """
    return read_request(value, str, member) if given(value) else ""


def read_reply(body: bytes | JSON, shape: type[T]) -> T:
    """
    An upstream's JSON as `shape`.

    Raises: UpstreamProtocolError. The text itself is never quoted.
    """
    try:
        return _read(body, shape)
    except _TROUBLE:
        raise UpstreamProtocolError("the upstream's answer is not its protocol's JSON") from None


def try_read(text: bytes | str | JSON, shape: type[T]) -> T | None:
    """`text` as `shape`, or None when it is not that."""
    try:
        return _read(text, shape)
    except _TROUBLE:
        return None


def _read(text: bytes | str | JSON, shape: type[T]) -> T:
    """
    Half an emoji is read as a replacement character: clients and vendors cut texts between the two
    escapes of one character, which msgspec refuses.

    Raises: _TROUBLE. What is skipped or stays `Raw` is looked at by nobody else.
    """
    if isinstance(text, bytes) and not text.isascii():
        text.decode()
    decode: Callable[[bytes | str | JSON], T] = _decoder(shape)  # type: ignore[arg-type]
    try:
        return decode(text)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        data = text.encode("utf-8", "replace") if isinstance(text, str) else bytes(text)
        mended = _mended(data)
        if mended == data:
            raise
        return decode(mended)


def _mended(data: bytes) -> bytes:
    """JSON without halves of characters, as long as it was."""
    if b"\\ud" not in data and b"\\uD" not in data:
        return data
    return _ESCAPE.sub(lambda found: rb"\ufffd" if found["half"] else found[0], data)


@cache
def _decoder(shape: Any) -> Any:
    """msgspec's own way in; to learn a shape takes longer than to read a small object."""
    return msgspec.json.Decoder(shape).decode


def read_member(members: Mapping[str, JSON], name: str, shape: type[T]) -> T | None:
    """The member `name` as `shape`, or None when it is not there or not that."""
    return try_read(members[name], shape) if name in members else None


def write(value: Any) -> bytes:
    """
    Compact JSON, keys in the order given, `Raw` embedded as it is.

    Lone surrogates, which UTF-8 cannot hold, become "?".
    """
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return msgspec.json.encode(_without_surrogates(value))


def write_members(members: Mapping[str, Any]) -> bytes:
    """
    The same for an object, each item of its lists in a step of its own.

    A thread gives way to others only between two steps, and a conversation may be megabytes long.
    A few items are one step.
    """
    lists = [value for value in members.values() if isinstance(value, list)]
    if max(map(len, lists), default=0) <= _FEW:
        return write(members)
    pieces = [b"{"]
    for name, value in members.items():
        pieces += (b"" if len(pieces) == 1 else b",", write(name), b":")
        if isinstance(value, list):
            pieces.append(b"[")
            for at, item in enumerate(value):
                pieces += (b"," if at else b"", write(item))
            pieces.append(b"]")
        else:
            pieces.append(write(value))
    pieces.append(b"}")
    return b"".join(pieces)


def raw(value: Any) -> JSON:
    """`value` as JSON text to embed."""
    return msgspec.Raw(write(value))


def text_of(value: JSON) -> str:
    """The JSON text itself."""
    return bytes(value).decode("utf-8", "replace")


def given(value: JSON) -> bool:
    """Whether a Raw field was there and not null."""
    return bool(value) and value != _NULL


def read_closely(
    wire: str, body: bytes | JSON, shape: type[T], read: Reader
) -> tuple[T, Extras | None]:
    """
    `body` as `shape`, and what `extras_of` says of the members that the shape does not know.

    Most objects have none: one parse is enough to see that.
    Raises: what `read` raises.
    """
    struct: Any = shape
    value: T | None = try_read(body, _closed(struct))
    if value is not None:
        return value, None
    value = read(body, shape)
    return value, _unknown(wire, body, frozenset(struct.__struct_encode_fields__))


@cache
def _closed(shape: Any) -> Any:
    """`shape` without tolerance for members that it does not know."""
    return msgspec.defstruct(
        shape.__name__, (), bases=(shape,), forbid_unknown_fields=True, gc=False
    )


@cache
def closed_over(names: frozenset[str], **shapes: Any) -> Any:
    """
    A type of the objects that have none but these members, as `Raw`.

    shapes: other types than that, by member.
    """
    fields = [(name, shapes.get(name, msgspec.Raw), None) for name in sorted(names)]
    return msgspec.defstruct("Closed", fields, forbid_unknown_fields=True, gc=False)


def one_of(shapes: Mapping[str, type[msgspec.Struct]], *besides: str) -> Any:
    """
    A type of the objects whose `type` is one of the keys, with the members of that key's shape.

    They may have these members besides, as `Raw`, and no others.
    """
    return reduce(or_, (_tagged(kind, shape, besides) for kind, shape in shapes.items()))


def _tagged(kind: str, shape: type[msgspec.Struct], besides: tuple[str, ...]) -> Any:
    fields = [
        (field.encode_name, field.type, msgspec.field(default=field.default))
        for field in msgspec.structs.fields(shape)
        if field.encode_name != "type"
    ]
    more = [(name, msgspec.Raw, msgspec.Raw()) for name in besides]
    return msgspec.defstruct(
        shape.__name__,
        (*fields, *more),
        tag_field="type",
        tag=kind,
        forbid_unknown_fields=True,
        gc=False,
    )


def extras_of(wire: str, body: bytes | JSON, known: frozenset[str]) -> Extras | None:
    """The members of the object `body` that are not `known` (and not null), in order."""
    if not body or try_read(body, closed_over(known)) is not None:
        return None
    return _unknown(wire, body, known)


def _unknown(wire: str, body: bytes | JSON, known: frozenset[str]) -> Extras | None:
    members = try_read(body, dict[str, msgspec.Raw]) or {}
    rest = tuple((key, copied(value)) for key, value in members.items() if key not in known)
    kept = tuple((key, value) for key, value in rest if given(value))
    return Extras(wire, kept) if kept else None


def fields_for(wire: str, extras: Extras | None) -> Mapping[str, JSON]:
    """The members of `extras` when they belong to `wire`, else none."""
    return dict(extras.fields) if extras is not None and extras.wire == wire else {}


def copied(value: JSON) -> JSON:
    """`value` without the buffer it was cut from."""
    return msgspec.Raw(bytes(value))


def arguments_object(text: str) -> JSON:
    """
    A tool call's arguments as a JSON object.

    Empty text is {}; what is no object is kept as {"_raw": text}, so that nothing is lost.
    """
    if not text.strip():
        return msgspec.Raw(b"{}")
    if try_read(text, dict[str, msgspec.Raw]) is None:
        return raw({"_raw": text})
    return msgspec.Raw(text.encode("utf-8", "replace"))


def with_member(body: bytes, name: str, value: JSON | None) -> bytes:
    """
    The object `body` with one top-level member set, or removed when `value` is None.

    All other bytes stay as they are, white space and duplicate-free order included.
    Raises: BadRequest when `body` is no JSON object.
    """
    members = read_request(body, dict[str, msgspec.Raw])
    if value is None:
        if name not in members:
            return body
        del members[name]
        return write(members)
    if name in members:
        start = place(members[name], body)
        if start is None:
            # It was read from a mended copy, in which it stands where it does in the body.
            copy = _mended(body)
            start = place(read_request(copy, dict[str, msgspec.Raw])[name], copy)
        if start is not None:
            return _exchanged(body, start, len(bytes(members[name])), bytes(value))
    members[name] = value
    return write(members)


def only_members(body: bytes, names: frozenset[str]) -> bytes:
    """The object `body` with no other top-level members than these, in their order."""
    members = read_request(body, dict[str, msgspec.Raw])
    return write({name: value for name, value in members.items() if name in names})


def spliced(body: bytes, part: JSON, value: bytes) -> bytes | None:
    """`body` with `value` in place of `part`, which was read from it; None when it was not."""
    start = place(part, body)
    return None if start is None else _exchanged(body, start, len(bytes(part)), value)


def _exchanged(body: bytes, start: int, length: int, value: bytes) -> bytes:
    view = memoryview(body)
    return b"".join((view[:start], value, view[start + length :]))


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, Mapping):
        return {_without_surrogates(k): _without_surrogates(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, msgspec.Struct):
        return _without_surrogates(msgspec.to_builtins(value))
    return value
