"""Pieces of an answer that a whole message and a stream's deltas have in common."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec.structs import replace

from aiproxy import ir
from aiproxy.errors import BadRequest
from aiproxy.wire import dataurl, jsontext, proofs
from aiproxy.wire.chat import shapes
from aiproxy.wire.chat.message_in import thinking_text
from aiproxy.wire.losses import Losses

# ── decoding ──


def thoughts(delta: shapes.Delta) -> str:
    """The reasoning text, which vendors name in three ways, sometimes in two of them at once."""
    if delta.reasoning_content or delta.reasoning:
        return delta.reasoning_content or delta.reasoning or ""
    if not jsontext.given(delta.reasoning_details):
        return ""
    details = jsontext.try_read(delta.reasoning_details, list[shapes.Detail]) or ()
    return "".join(detail.text or detail.summary or "" for detail in details if not is_own(detail))


def is_own(detail: shapes.Detail) -> bool:
    """Whether a proxy like this one wrote the detail, to repeat a thought beside its proof."""
    return (detail.signature or detail.data or "").startswith(proofs.MARK)


def content(delta: shapes.Delta) -> Iterator[tuple[bool, str]]:
    """The pieces of content in order: whether one is reasoning, and its text."""
    if isinstance(delta.content, str):
        yield False, delta.content
        return
    for body in delta.content or ():
        part = jsontext.try_read(body, shapes.Part)
        if part is None:
            continue
        if part.type == "thinking":
            yield True, thinking_text(part.thinking)
        elif part.text:
            yield False, part.text


def citations(annotations: ir.JSON) -> Iterator[ir.Citation]:
    """The sources; those that are not on the web, which only the vendor can open, have no URL."""
    if not jsontext.given(annotations):
        return
    for annotation in jsontext.try_read(annotations, list[shapes.Annotation]) or ():
        cited = annotation.url_citation or shapes.URLCitation()
        yield ir.Citation(cited.url or "", cited.title or "", cited.start_index, cited.end_index)


def placed(citation: ir.Citation, before: int) -> ir.Citation:
    """
    A source in a message as one of its last text, which `before` characters of others precede.

    One for a text before it, which is over, has no place in it.
    """
    start, end = citation.start, citation.end
    if not before or start is None or end is None:
        return citation
    if start < before:
        return replace(citation, start=None, end=None)
    return replace(citation, start=start - before, end=end - before)


def images(value: ir.JSON) -> Iterator[ir.Media]:
    """Images that a model drew, as OpenRouter has them: image_url parts."""
    if not jsontext.given(value):
        return
    for part in jsontext.try_read(value, list[shapes.Part]) or ():
        url = part.image_url.url if isinstance(part.image_url, shapes.URL) else part.image_url
        if url:
            try:
                yield ir.Media("image", dataurl.source(url, "image/png"))
            except BadRequest:
                continue


# ── encoding ──


def citation_entry(
    citation: ir.Citation, offset: int, length: int, losses: Losses
) -> dict[str, Any] | None:
    """
    One annotation, None when there is no URL to name.

    offset: code points of the texts before the cited one. length: of that, for which all of it a
    source without a place stands.
    """
    if not citation.url:
        losses.dropped("citations")
        return None
    if citation.quote:
        losses.dropped("citations")
    start = 0 if citation.start is None else citation.start
    end = length if citation.end is None else citation.end
    cited: dict[str, Any] = {
        "url": citation.url,
        "title": citation.title,
        "start_index": start + offset,
        "end_index": end + offset,
    }
    return {"type": "url_citation", "url_citation": cited}


def image_entry(media: ir.Media) -> dict[str, Any] | None:
    """A drawn image, None when it is none that a client could show."""
    if media.kind != "image":
        return None
    match media.source:
        case ir.Inline():
            url = dataurl.written(media.source)
        case ir.Remote():
            url = media.source.url
        case _:
            return None
    return {"type": "image_url", "image_url": {"url": url}}


def detail_entry(text: str, proof: ir.Proof, at: int) -> dict[str, Any]:
    """
    A thought with its proof, tagged so that only its own vendor will see it again.

    The text stands here too: vendors check that it is unchanged, and a message's
    `reasoning_content` runs all its thoughts together.
    """
    tag = proofs.tagged(proof, "")
    if text:
        return {"index": at, "type": "reasoning.text", "text": text, "signature": tag}
    return {"index": at, "type": "reasoning.encrypted", "data": tag}


def call_entry(call: ir.ToolCall, arguments: str) -> dict[str, Any]:
    """One of `tool_calls`, whole, or its beginning in a stream."""
    kind = "custom" if call.kind == "custom" else "function"
    entry: dict[str, Any] = {"id": call.id, "type": kind}
    name = f"{call.namespace}__{call.name}" if call.namespace else call.name
    if call.kind == "custom":
        entry["custom"] = {"name": name, "input": arguments}
    else:
        entry["function"] = {"name": name, "arguments": arguments}
    return entry
