"""What a Gemini answer says that nobody reads."""

from __future__ import annotations

from aiproxy.wire.gemini import shapes
from aiproxy.wire.jsontext import given, try_read
from aiproxy.wire.leftovers import Leftovers


def note_rest(leftovers: Leftovers, data: bytes) -> None:
    """data: one chunk, or a list of them."""
    chunk = try_read(data, shapes.RawChunk)
    chunks = [chunk] if chunk is not None else try_read(data, list[shapes.RawChunk]) or []
    if chunk is not None:
        leftovers.note(data, shapes.CHUNK_BOOKS)
    for one in chunks:
        leftovers.note(one.prompt_feedback, shapes.FEEDBACK_BOOKS)
        for candidate in one.candidates or ():
            leftovers.note(candidate, shapes.CANDIDATE_BOOKS)
            _note_sources(leftovers, try_read(candidate, shapes.Candidate))


def _note_sources(leftovers: Leftovers, candidate: shapes.Candidate | None) -> None:
    if candidate is None:
        return
    leftovers.note(candidate.grounding_metadata, shapes.GROUNDING_BOOKS)
    if given(candidate.grounding_metadata):
        found = try_read(candidate.grounding_metadata, shapes.GroundingMetadata)
        for support in (found and found.grounding_supports) or ():
            leftovers.add("confidence_scores", support.confidence_scores)
    if given(candidate.citation_metadata):
        sources = try_read(candidate.citation_metadata, shapes.RawCitations)
        for source in (sources and sources.citations) or ():
            leftovers.note(source, shapes.CITATION_BOOKS)
