"""
The model, the action and the form of the stream: Gemini keeps them in the path.

    /v1beta/models/{model}:{action}?alt=sse

The model is percent-encoded and may hold slashes. A stream without `alt=sse` is a JSON array.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import parse_qs, quote, unquote

from aiproxy.errors import BadRequest
from aiproxy.wire.contract import Operation

ROUTES = ("/v1beta/models/<path:call>", "/v1/models/<path:call>")

_CALL = re.compile(r"/models/(?P<model>.*):(?P<action>[^:/]*)", re.DOTALL)
_ACTIONS: dict[str, tuple[Operation, bool]] = {
    "generateContent": ("generate", False),
    "streamGenerateContent": ("generate", True),
    "countTokens": ("count", False),
}


class Target(NamedTuple):
    """What a path asks for. array: the stream shall be a JSON array."""

    model: str
    operation: Operation
    stream: bool
    array: bool


def target_of(path: str) -> Target:
    """
    path: of the client's request, with its query.

    Raises: BadRequest, 404 when there is no such action, 400 when there is no model.
    """
    place, _, query = path.partition("?")
    call = _CALL.search(unquote(place, errors="replace"))
    if call is None or call["action"] not in _ACTIONS:
        raise BadRequest("there is no such method here", status=404, kind="not_found")
    if not call["model"]:
        raise BadRequest("the path names no model", param="model")
    operation, stream = _ACTIONS[call["action"]]
    return Target(call["model"], operation, stream, stream and not wants_events(query))


def wants_events(query: str) -> bool:
    """Whether a query asks for server-sent events."""
    options = parse_qs(query)
    return "sse" in (*options.get("alt", ()), *options.get("$alt", ()))


def path_for(model: str, operation: Operation, stream: bool) -> str:
    """
    The path and query at an upstream, always for server-sent events where it streams.

    A tuned model keeps its collection ("tunedModels/x"); any other slash is escaped.
    """
    if operation == "count":
        action = "countTokens"
    else:
        action = "streamGenerateContent?alt=sse" if stream else "generateContent"
    collection, slash, name = model.partition("/")
    if slash and collection in ("models", "tunedModels"):
        return f"/v1beta/{collection}/{quote(name, safe='')}:{action}"
    return f"/v1beta/models/{quote(model, safe='')}:{action}"
