"""
Content blocks in: JSON of one block to one part.

Requests and replies hold the same blocks. What a part cannot hold goes into its extras, what no
part stands for becomes `Opaque`; both come out again unchanged when the target is this wire.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

from aiproxy import ir
from aiproxy.wire import proofs
from aiproxy.wire.anthropic import shapes
from aiproxy.wire.anthropic.fallback import fallback_text
from aiproxy.wire.anthropic.shapes import FAMILY, NAME
from aiproxy.wire.jsontext import Reader, copied, given, read_closely, text_of, try_read

NO_PROOF = proofs.tagged(ir.Proof("none", ""), FAMILY)
"""
Signature of thoughts that came without one.

Clients send it back; the mark tells that the block must never reach the vendor.
"""

MARKED_CITATION = proofs.MARK + "citation"
"""The `encrypted_index` of a citation that another vendor made, marked for the same reason."""

_CALLED_BY_MODEL = {"type": "direct"}
"""A `caller` that says no more than if it were not there; any other is a hosted tool's program."""

_SIGNS_CALLS = "gemini"
"""The only vendor whose proofs belong to tool calls; on this wire they come as empty thoughts."""


Content: TypeAlias = str | list[Any]
"""What `shapes.PlainMessage` makes of a message's content."""


def parts_of(blocks: Sequence[ir.JSON], read: Reader) -> tuple[ir.Part, ...]:
    """The parts of one message. Raises: what `read` raises."""
    return _with_call_proofs([part_of(block, read) for block in blocks])


def content_of(content: ir.JSON | Content, read: Reader) -> tuple[ir.Part, ...]:
    """The parts of a string or a list of blocks. Raises: what `read` raises."""
    if isinstance(content, str):
        return (ir.Text(content),) if content else ()
    if isinstance(content, list):
        return _with_call_proofs([_plain_part(block, read) for block in content])
    if not given(content):
        return ()
    if bytes(content).lstrip()[:1] == b'"':
        return content_of(read(content, str), read)
    return parts_of(read(content, list[msgspec.Raw]), read)


def part_of(block: ir.JSON, read: Reader) -> ir.Part:
    """One block. Raises: what `read` raises."""
    kind = read(block, shapes.Typed).type or ""
    if kind == "redacted_thinking":
        data = read(block, shapes.RedactedBlock).data
        return ir.Reasoning("", proofs.untagged(data, FAMILY, redacted=True))
    known = _READERS.get(kind)
    if known is None:
        return opaque(kind, block)
    shape, reading = known
    part = reading(*read_closely(NAME, block, shape, read), read)
    return part if part is not None else opaque(kind, block)


def _plain_part(block: Any, read: Reader) -> ir.Part:
    """The same for a block of a `shapes.PlainMessage` or `shapes.PlainSystem`."""
    _, reading = _READERS[block.__struct_config__.tag or block.type]
    marked = block.cache_control
    extras = _extras({"cache_control": copied(marked)}) if given(marked) else None
    part = reading(block, extras, read)
    assert part is not None
    return part


def opaque(kind: str, block: ir.JSON) -> ir.Opaque:
    return ir.Opaque(NAME, kind, copied(block), fallback_text(kind, block))


def proof_of(signature: str | None) -> ir.Proof | None:
    """The proof in a signature field, None when there is none in it."""
    if not signature or signature == NO_PROOF:
        return None
    return proofs.untagged(signature, FAMILY)


def web_citation(cited: shapes.Cited | None) -> ir.Citation | None:
    """A citation that other vendors understand; those into documents of the prompt are not."""
    if cited is None or not cited.url:
        return None
    return ir.Citation(cited.url, cited.title or "", quote=cited.cited_text or "")


def _text(shape: shapes.TextBlock, extras: ir.Extras | None, read: Reader) -> ir.Part:
    if extras is None and not given(shape.citations):
        return ir.Text(shape.text)
    fields = _fields(extras)
    cited: list[ir.Citation] = []
    if given(shape.citations):
        fields["citations"] = copied(shape.citations)
        entries = try_read(shape.citations, list[shapes.Cited]) or []
        cited = [citation for entry in entries if (citation := web_citation(entry)) is not None]
    return ir.Text(shape.text, tuple(cited), extras=_extras(fields))


def _image(shape: shapes.ImageBlock, extras: ir.Extras | None, read: Reader) -> ir.Part | None:
    source = _source(shape.source, read)
    if source is None or isinstance(source, ir.PlainText):
        return None
    return ir.Media("image", source, extras=extras)


def _document(
    shape: shapes.DocumentBlock, extras: ir.Extras | None, read: Reader
) -> ir.Part | None:
    source = _source(shape.source, read)
    if source is None:
        return None
    return ir.Media("document", source, name=shape.title or "", extras=extras)


def _source(value: ir.JSON, read: Reader) -> ir.Source | None:
    """None for a source that no `ir.Source` stands for, such as one made of blocks."""
    shape = read(value, shapes.MediaSource)
    mime = (shape.media_type or "").lower()
    match shape.type:
        case "base64" if shape.data is not None:
            return ir.Inline(mime.replace("image/jpg", "image/jpeg"), "".join(shape.data.split()))
        case "text" if shape.data is not None:
            return ir.PlainText(shape.data)
        case "url" if shape.url is not None:
            return ir.Remote(shape.url)
        case "file" if shape.file_id is not None:
            return ir.Uploaded(FAMILY, shape.file_id)
        case _:
            return None


def _thinking(shape: shapes.ThinkingBlock, extras: ir.Extras | None, read: Reader) -> ir.Part:
    return ir.Reasoning(shape.thinking or "", proof_of(shape.signature), extras=extras)


def _tool_use(shape: shapes.ToolUseBlock, extras: ir.Extras | None, read: Reader) -> ir.Part:
    arguments = text_of(shape.input) if given(shape.input) else "{}"
    if extras is None:
        return ir.ToolCall(shape.id, shape.name, arguments)
    fields = _fields(extras)
    if "caller" in fields and try_read(fields["caller"], dict[str, object]) == _CALLED_BY_MODEL:
        del fields["caller"]
    return ir.ToolCall(shape.id, shape.name, arguments, extras=_extras(fields))


def _tool_result(shape: shapes.ToolResultBlock, extras: ir.Extras | None, read: Reader) -> ir.Part:
    """What is neither text nor medium in a result is shown as text, and kept in the extras."""
    fields = _fields(extras)
    content: list[ir.Part] = []
    for part in content_of(shape.content, read):
        if isinstance(part, ir.Text | ir.Media):
            content.append(part)
            continue
        fields["content"] = copied(shape.content)
        if isinstance(part, ir.Opaque) and part.fallback:
            content.append(ir.Text(part.fallback))
    return ir.ToolResult(
        shape.tool_use_id, tuple(content), shape.is_error is True, extras=_extras(fields)
    )


_READERS: Mapping[str, tuple[Any, Callable[[Any, ir.Extras | None, Reader], ir.Part | None]]] = {
    "text": (shapes.TextBlock, _text),
    "image": (shapes.ImageBlock, _image),
    "document": (shapes.DocumentBlock, _document),
    "thinking": (shapes.ThinkingBlock, _thinking),
    "tool_use": (shapes.ToolUseBlock, _tool_use),
    "tool_result": (shapes.ToolResultBlock, _tool_result),
}
"""By kind: the shape of a block, and what makes a part of it and of what it has besides."""


def _with_call_proofs(parts: Sequence[ir.Part]) -> tuple[ir.Part, ...]:
    """
    Give tool calls back the proofs that our replies showed as empty thoughts.

    Such a thought stands directly before its call, or behind it when marked as late.
    """
    if not any(isinstance(part, ir.Reasoning) for part in parts):
        return tuple(parts)
    out: list[ir.Part] = []
    for part in parts:
        before = out[-1] if out else None
        late = _proof_of_call(part, late=True)
        early = _proof_of_call(before, late=False)
        if late is not None and isinstance(before, ir.ToolCall):
            out[-1] = ir.replace(before, proof=ir.replace(late, redacted=False))
        elif early is not None and isinstance(part, ir.ToolCall):
            out[-1] = ir.replace(part, proof=early)
        else:
            out.append(part)
    return tuple(out)


def _proof_of_call(part: ir.Part | None, late: bool) -> ir.Proof | None:
    if not isinstance(part, ir.Reasoning) or part.text or part.proof is None:
        return None
    is_meant = part.proof.family == _SIGNS_CALLS and part.proof.redacted == late
    return part.proof if is_meant else None


def _fields(extras: ir.Extras | None) -> dict[str, ir.JSON]:
    return {} if extras is None else dict(extras.fields)


def _extras(fields: Any) -> ir.Extras | None:
    pairs = tuple(dict(fields).items())
    return ir.Extras(NAME, pairs) if pairs else None
