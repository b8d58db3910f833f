"""What the requests of all providers have in common: URLs, headers, and bodies that may pass."""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import unquote_plus

from aiproxy import ir
from aiproxy.errors import BadRequest
from aiproxy.messages import Headers
from aiproxy.providers.contract import Call
from aiproxy.wire import COUNTING, OUTBOUND
from aiproxy.wire.contract import Encoded
from aiproxy.wire.jsontext import raw, read_member, spliced, with_member, write
from aiproxy.wire.proofs import may_hold_tags
from aiproxy.wire.relay import encode_for

# ── bodies ──


def passes_as_it_is(call: Call, wire: str) -> bool:
    """Whether the client's own bytes may go to an upstream of `wire`."""
    if call.wire != wire:
        return False
    if call.head.operation == "compact":
        return True
    return call.may_pass and not may_hold_tags(call.body, wire)


def with_model(call: Call, model: str) -> bytes:
    """
    The client's bytes, asking for `model`, on a wire that says so in the body.

    Raises: BadRequest when they must be written anew and cannot.
    """
    body, asked = call.body, call.head.members.get("model")
    if call.head.model == model:
        return body
    text = None if asked is None else spliced(body, asked, write(model))
    return with_member(body, "model", raw(model)) if text is None else text


def encoded(call: Call, wire: str, model: str) -> Encoded:
    """
    The call as a body for an upstream of `wire` that has the model in it.

    Raises: BadRequest when the wire cannot carry it.
    """
    if passes_as_it_is(call, wire):
        return Encoded(with_model(call, model))
    return translated(call, wire, model)


def translated(call: Call, wire: str, model: str) -> Encoded:
    """The call in the words of `wire`. Raises: BadRequest when that cannot carry it."""
    request = ir.replace(call.decode(), model=model)
    if call.head.operation == "count":
        return COUNTING[wire].encode_count_request(request)
    return encode_for(OUTBOUND[wire], request)


def lifted_betas(call: Call, body: bytes, headers: Headers) -> tuple[bytes, Headers]:
    """
    Anthropic's SDKs put `betas` into the body; the API wants them in a header.

    body: of `call`, as it is going to be sent.
    """
    betas = read_member(call.head.members, "betas", list[str])
    if betas is None:
        return body, headers
    try:
        body = with_member(body, "betas", None)
    except BadRequest:
        # The upstream will say what is wrong with it.
        return body, headers
    return body, (*headers, ("anthropic-beta", ",".join(betas)))


# ── headers ──


def passed(headers: Headers, allowed: tuple[str, ...]) -> Headers:
    """Those of the client's headers that are `allowed`: names, and prefixes ending in "-"."""
    names, prefixes = _told_apart(allowed)
    return tuple(
        [
            (name, value)
            for name, value in headers
            if (lower := name.lower()) in names or lower.startswith(prefixes)
        ]
    )


@lru_cache(maxsize=64)
def _told_apart(allowed: tuple[str, ...]) -> tuple[frozenset[str], tuple[str, ...]]:
    """Names and prefixes."""
    return frozenset(allowed), tuple(name for name in allowed if name.endswith("-"))


def with_overrides(headers: Headers, overrides: Headers) -> Headers:
    """`overrides` win over `headers`; an empty value removes a header."""
    if not overrides:
        return headers
    names = {name.lower() for name, _ in overrides}
    kept = tuple((name, value) for name, value in headers if name.lower() not in names)
    return kept + tuple((name, value) for name, value in overrides if value)


def merged_betas(headers: Headers) -> Headers:
    """All `anthropic-beta` headers as one, nothing named twice, order kept."""
    betas = [value for name, value in headers if name.lower() == "anthropic-beta"]
    if len(betas) < 2:
        return headers
    words = dict.fromkeys(word.strip() for value in betas for word in value.split(","))
    kept = tuple((name, value) for name, value in headers if name.lower() != "anthropic-beta")
    return (*kept, ("anthropic-beta", ",".join(word for word in words if word)))


# ── URLs ──


def joined(base_url: str, path: str) -> str:
    """`base_url` may or may not end in the version that `path` starts with."""
    base = base_url.rstrip("/")
    version = "/" + path.split("/", 2)[1]
    return base + (path.removeprefix(version) if base.endswith(version) else path)


def with_query(url: str, query: str, withheld: frozenset[str] = frozenset()) -> str:
    """The client's query goes on, except for the names `withheld`."""
    if not query:
        return url
    query = "&".join(
        item for item in query.split("&") if unquote_plus(item.partition("=")[0]) not in withheld
    )
    if not query:
        return url
    return f"{url}{'&' if '?' in url else '?'}{query}"
