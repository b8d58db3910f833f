"""
Hosted web searches: how they are narrowed, in the form that Anthropic and OpenAI share.

Which of its own tools stands for which of ours each wire knows itself.
"""

from __future__ import annotations

from typing import Any

import msgspec

from aiproxy import ir
from aiproxy.wire.jsontext import try_read

_PLACES = ("city", "region", "country", "timezone")


class _Place(msgspec.Struct, gc=False):
    """The user's location; Chat has it one level further down."""

    city: str | None = None
    region: str | None = None
    country: str | None = None
    timezone: str | None = None
    approximate: _Place | None = None


class _Filters(msgspec.Struct, gc=False):
    allowed_domains: list[str] | None = None
    blocked_domains: list[str] | None = None


class _Search(_Filters, gc=False):
    filters: _Filters | None = None
    user_location: _Place | None = None
    search_context_size: str | None = None


def scope_of(search: ir.JSON) -> ir.SearchScope:
    """What narrows a search that one of the three wires asks for; nothing when it is odd."""
    read = try_read(search, _Search) or _Search()
    filters = read.filters or read
    place = read.user_location or _Place()
    place = place.approximate or place
    found = ((name, getattr(place, name)) for name in _PLACES)
    return ir.SearchScope(
        tuple(filters.allowed_domains or ()),
        tuple(filters.blocked_domains or ()),
        tuple((name, text) for name, text in found if text),
        read.search_context_size or "",
    )


def domains(scope: ir.SearchScope) -> dict[str, Any]:
    """`allowed_domains` and `blocked_domains`, as far as there are any."""
    lists = {"allowed_domains": scope.allowed_domains, "blocked_domains": scope.blocked_domains}
    return {name: list(found) for name, found in lists.items() if found}


def location(scope: ir.SearchScope) -> dict[str, str]:
    """The user's location, empty when it is not known."""
    return {"type": "approximate", **dict(scope.location)} if scope.location else {}
