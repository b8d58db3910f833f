"""
Model lists, as the SDKs of each protocol expect them.

A configuration knows no more of a model than its name, so that dates are the epoch.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import msgspec

from aiproxy.errors import BadRequest
from aiproxy.messages import Headers, header

Query: TypeAlias = Mapping[str, str]


class Listing(NamedTuple):
    """
    page: the sorted names and the client's query to one page of them.
    single: one model.
    """

    page: Callable[[Sequence[str], Query], bytes]
    single: Callable[[str], bytes]


def dialect(headers: Headers) -> str:
    """
    Which protocol's list a client of `/v1/models` wants; three of them have that path.

    Anthropic's SDKs always send their version. Google's say who they are, or show a key of theirs.
    """
    if header(headers, "anthropic-version") is not None:
        return "anthropic"
    if header(headers, "x-goog-api-client") or header(headers, "x-goog-api-key"):
        return "gemini"
    return "chat"


def _anthropic_model(name: str) -> dict[str, Any]:
    return {
        "type": "model",
        "id": name,
        "display_name": name,
        "created_at": "1970-01-01T00:00:00Z",
    }


def _anthropic_page(names: Sequence[str], query: Query) -> bytes:
    limit = _size(query, "limit", default=20)
    if "before_id" in query:
        end = bisect_left(names, query["before_id"])
        start, has_more = max(0, end - limit), end > limit
    else:
        start = bisect_right(names, query["after_id"]) if "after_id" in query else 0
        end, has_more = start + limit, start + limit < len(names)
    page = names[start:end]
    return msgspec.json.encode(
        {
            "data": [_anthropic_model(name) for name in page],
            "first_id": page[0] if page else None,
            "last_id": page[-1] if page else None,
            "has_more": has_more,
        }
    )


def _openai_model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "aiproxy"}


def _openai_page(names: Sequence[str], query: Query) -> bytes:
    """All at once: this protocol has no pages here."""
    return msgspec.json.encode({"object": "list", "data": [_openai_model(name) for name in names]})


def _gemini_model(name: str) -> dict[str, Any]:
    return {
        "name": f"models/{name}",
        "version": "",
        "displayName": name,
        "supportedGenerationMethods": ["generateContent", "streamGenerateContent", "countTokens"],
    }


def _gemini_page(names: Sequence[str], query: Query) -> bytes:
    """A page's token is the last name of the page before."""
    start = bisect_right(names, query["pageToken"]) if query.get("pageToken") else 0
    end = start + _size(query, "pageSize", default=50)
    page = names[start:end]
    answer: dict[str, Any] = {"models": [_gemini_model(name) for name in page]}
    if end < len(names):
        answer["nextPageToken"] = page[-1]
    return msgspec.json.encode(answer)


def _size(query: Query, name: str, default: int) -> int:
    text = query.get(name, "")
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 9 or int(text) < 1:
        raise BadRequest(f"{name} must be a number of at least 1", param=name)
    return min(int(text), 1000)


LISTINGS: Mapping[str, Listing] = {
    "anthropic": Listing(_anthropic_page, lambda name: msgspec.json.encode(_anthropic_model(name))),
    "chat": Listing(_openai_page, lambda name: msgspec.json.encode(_openai_model(name))),
    "gemini": Listing(_gemini_page, lambda name: msgspec.json.encode(_gemini_model(name))),
}
"""By the name of the wire whose dialect it is."""
