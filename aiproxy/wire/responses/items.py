"""Items of a reply's `output`, read as parts."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from aiproxy import ir
from aiproxy.errors import UpstreamProtocolError
from aiproxy.wire import logprobs, proofs
from aiproxy.wire.jsontext import copied, read_reply, try_read
from aiproxy.wire.leftovers import Leftovers
from aiproxy.wire.names import derived_id
from aiproxy.wire.responses import shapes
from aiproxy.wire.responses.shapes import FAMILY, NAME

BORDER = "\n\n"
"""What stands between the parts of a reasoning summary when they become one text."""


OWN_ROLES = (None, "assistant")
"""Of messages that are the answer; a vendor may repeat others beside it."""


def kind_of(item: ir.JSON) -> str:
    """
    The type of an item; "" when it says none.

    Raises: UpstreamProtocolError when it is no object.
    """
    return read_reply(item, shapes.Typed).type or ""


def parts_of(item: ir.JSON, seed: str, index: int) -> tuple[ir.Part, ...]:
    """
    One output item as parts, none when it says nothing. seed, index: as in `made_call`.

    Raises: UpstreamProtocolError when a known item has the wrong shape.
    """
    match kind := kind_of(item):
        case "message":
            return tuple(_message(read_reply(item, shapes.MessageItem)))
        case "reasoning":
            thought = reasoning(read_reply(item, shapes.ReasoningItem))
            return () if thought is None else (thought,)
        case "function_call" | "custom_tool_call":
            return (named(made_call(read_reply(item, shapes.CallItem), kind, seed, index)),)
        case "image_generation_call":
            image = read_reply(item, shapes.ImageItem)
            if image.result:
                return (_image(image.result, image.output_format),)
    return (ir.Opaque(NAME, kind, copied(item)),)


def note_rest(leftovers: Leftovers, item: ir.JSON) -> None:
    """The members of an output item that nobody reads."""
    match kind_of(item):
        case "message":
            if (try_read(item, shapes.MessageItem) or shapes.MessageItem()).role not in OWN_ROLES:
                leftovers.add("message", item)
                return
            leftovers.note(item, shapes.ITEM_BOOKS | {"content"})
            content = try_read(item, shapes.RawContent)
            for part in (content and content.content) or ():
                said = (try_read(part, shapes.Typed) or shapes.Typed()).type or ""
                if said in ("output_text", "refusal"):
                    leftovers.note(part, shapes.PART_BOOKS)
                else:
                    leftovers.add(said or "content", part)
        case "reasoning":
            leftovers.note(item, shapes.ITEM_BOOKS | {"summary", "content", "encrypted_content"})
            thought = try_read(item, shapes.ReasoningItem) or shapes.ReasoningItem()
            if _joined(thought.content) and _joined(thought.summary):
                leftovers.add("reasoning_summary", item)
        case "function_call" | "custom_tool_call":
            leftovers.note(item, shapes.CALL_BOOKS)
        case "image_generation_call":
            leftovers.note(item, shapes.IMAGE_BOOKS)


def citation(annotation: ir.JSON) -> ir.Citation | None:
    """A source, without a URL when only this vendor can open it; None for what is none."""
    found = try_read(annotation, shapes.Annotation)
    if found is None:
        return None
    return ir.Citation(found.url or "", found.title or "", found.start_index, found.end_index)


def call(item: shapes.CallItem, kind: str) -> ir.ToolCall:
    custom = kind == "custom_tool_call"
    arguments = item.input if custom else item.arguments
    return ir.ToolCall(
        item.call_id or item.id or "",
        item.name or "",
        arguments or "",
        kind="custom" if custom else "function",
        namespace=item.namespace or "",
    )


def made_call(item: shapes.CallItem, kind: str, seed: str, index: int) -> ir.ToolCall:
    """A call in an answer. seed, index: the answer's id and its place, for an id if it has none."""
    made = call(item, kind)
    return made if made.id else replace(made, id=derived_id("call_", seed, index))


def named(call: ir.ToolCall) -> ir.ToolCall:
    """Raises: UpstreamProtocolError when nobody can tell which tool is called."""
    if not call.name:
        raise UpstreamProtocolError("a tool call of the upstream has no name")
    return call


def reasoning(item: shapes.ReasoningItem) -> ir.Reasoning | None:
    """What was thought, the thoughts themselves before a summary; None when nothing is shown."""
    content = _joined(item.content)
    text = content or _joined(item.summary)
    proof = proof_of(item)
    if not text and proof is None:
        return None
    return ir.Reasoning(text, proof, summary=bool(text and not content))


def proof_of(item: shapes.ReasoningItem) -> ir.Proof | None:
    if not item.encrypted_content:
        return None
    return proofs.untagged(item.encrypted_content, FAMILY)


def _joined(parts: Iterable[shapes.ReasoningText] | None) -> str:
    return BORDER.join(part.text for part in parts or () if part.text)


def _message(item: shapes.MessageItem) -> Iterable[ir.Part]:
    if item.role not in OWN_ROLES:
        return
    for part in item.content or ():
        match part.type:
            case "output_text":
                found = (citation(annotation) for annotation in part.annotations or ())
                citations = tuple(each for each in found if each is not None)
                likely = logprobs.read(part.logprobs)
                yield ir.Text(part.text or "", citations, logprobs=likely)
            case "refusal":
                yield ir.Refusal(part.refusal or "")


def _image(result: str, output_format: str | None) -> ir.Media:
    return ir.Media("image", ir.Inline(f"image/{output_format or 'png'}", result))
