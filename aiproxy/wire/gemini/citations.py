"""
Sources: `groundingMetadata` and `citationMetadata` as citations, and back.

Google counts UTF-8 bytes from the beginning of the answer's text, the hub counts code points in one
text. A place that does not fit is left out rather than guessed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from aiproxy.ir import JSON, Citation
from aiproxy.wire.gemini import shapes
from aiproxy.wire.jsontext import try_read


def from_grounding(metadata: JSON, text: str, base: int) -> Iterator[Citation]:
    """
    The web pages and documents that a `groundingMetadata` names, each once for every place.

    text: the text they stand in. base: bytes of the answer's text before it.
    """
    read = try_read(metadata, shapes.GroundingMetadata)
    if read is None:
        return
    sources = [chunk.web or chunk.retrieved_context for chunk in read.grounding_chunks or ()]
    placed = False
    for support in read.grounding_supports or ():
        segment = support.segment or shapes.Segment()
        for at in support.grounding_chunk_indices or ():
            source = sources[at] if 0 <= at < len(sources) else None
            if source is not None:
                placed = True
                start, end = _place(segment.start_index, segment.end_index, text, base)
                yield Citation(source.uri or "", source.title or "", start, end)
    if not placed:
        for source in sources:
            if source is not None:
                yield Citation(source.uri or "", source.title or "")


def from_citations(metadata: JSON, text: str, base: int) -> Iterator[Citation]:
    """The sources of a `citationMetadata`."""
    read = try_read(metadata, shapes.CitationMetadata)
    if read is None:
        return
    for source in (*(read.citations or ()), *(read.citation_sources or ())):
        start, end = _place(source.start_index, source.end_index, text, base)
        yield Citation(source.uri or "", source.title or "", start, end)


def grounding(cited: Sequence[tuple[Citation, str, int]]) -> dict[str, Any]:
    """
    A `groundingMetadata`.

    cited: each citation with the text it stands in and the bytes of the answer's text before that.
    A source without a place is one for the whole text.
    """
    sources: dict[tuple[str, str], int] = {}
    supports: list[dict[str, Any]] = []
    for citation, text, base in cited:
        at = sources.setdefault((citation.url, citation.title), len(sources))
        start = 0 if citation.start is None else citation.start
        end = len(text) if citation.end is None else citation.end
        segment = {
            "startIndex": base + len(text[:start].encode("utf-8", "replace")),
            "endIndex": base + len(text[:end].encode("utf-8", "replace")),
            "text": text[start:end],
        }
        supports.append({"segment": segment, "groundingChunkIndices": [at]})
    chunks = [{"web": {"uri": url, "title": title}} for url, title in sources]
    return {"groundingChunks": chunks, "groundingSupports": supports}


def _place(
    start: int | None, end: int | None, text: str, base: int
) -> tuple[int | None, int | None]:
    """Code points of a place given in bytes, (None, None) when it is not inside `text`."""
    data = text.encode("utf-8", "replace")
    first, last = (start or 0) - base, (end or 0) - base
    if end is None or not 0 <= first <= last <= len(data):
        return None, None
    return (
        len(data[:first].decode("utf-8", "ignore")),
        len(data[:last].decode("utf-8", "ignore")),
    )
