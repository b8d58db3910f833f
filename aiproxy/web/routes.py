"""
Which path means what, and whose dialect an error there is in.

Matching is werkzeug's, over the rules of the Klein tree, but on the path as it was sent: what is
percent-encoded is no part of a fixed path, and a doubled or trailing slash is another path.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias
from urllib.parse import unquote, unquote_to_bytes

from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import Map

from aiproxy.errors import BadRequest
from aiproxy.messages import Headers, header
from aiproxy.web import listing
from aiproxy.wire.contract import Inbound

Method: TypeAlias = Literal["GET", "POST"]

_DEFAULT = "chat"
_LISTS = "/v1/models"


@dataclass(frozen=True, slots=True)
class Route:
    """
    path: in Klein's form. name: of the Klein endpoint. wire: "" when it is no protocol's.
    is_open: needs no key.
    """

    path: str
    method: Method
    name: str
    wire: str = ""
    is_open: bool = False

    @property
    def is_exact(self) -> bool:
        """No part of the path varies."""
        return "<" not in self.path


class WrongMethod(BadRequest):
    """The path exists. allowed: for the header of that name."""

    def __init__(self, allowed: Iterable[str]) -> None:
        self.allowed = ", ".join(sorted(allowed))
        super().__init__(
            f"this path takes {self.allowed} only", status=405, kind="method_not_allowed"
        )


class Routes:
    """
    rules: of the Klein tree; its endpoints are the names of `routes`.
    wires: those that clients speak, by name.
    """

    def __init__(self, rules: Map, routes: Iterable[Route], wires: Iterable[Inbound]) -> None:
        self._matcher = rules.bind("aiproxy")
        self._by_name = {route.name: route for route in routes}
        # What the matcher would find, and most paths are.
        self._exact: dict[tuple[str, str], Route] = {
            (route.method, route.path): route for route in self._by_name.values() if route.is_exact
        }
        # The beginnings of paths, as segments, and the wires that have such routes.
        self._owners: dict[tuple[str, ...], set[str]] = {}
        for wire in wires:
            for path in wire.ROUTES:
                segments = _segments(path.partition("<")[0].rstrip("/"))
                for end in range(1, len(segments) + 1):
                    self._owners.setdefault(segments[:end], set()).add(wire.NAME)

    def find(self, method: str, path: str) -> Route:
        """
        path: as sent, without its query.

        Raises: BadRequest (404, or 400 when it cannot be decoded); WrongMethod.
        """
        exact = self._exact.get((method, path))
        if exact is not None:
            return exact
        if "//" in path or not path.startswith("/"):
            raise _missing()
        try:
            unquote_to_bytes(path).decode("utf-8")
        except UnicodeDecodeError:
            raise BadRequest("the path is not UTF-8") from None
        try:
            name, _ = self._matcher.match(path, method)
        except MethodNotAllowed as error:
            raise WrongMethod(error.valid_methods or ()) from None
        except HTTPException:
            raise _missing() from None
        if "%" in path and not self._leads_to(unquote(path), method, name):
            raise _missing()
        return self._by_name[name]

    def parts(self, method: str, path: str) -> Mapping[str, str]:
        """What the varying parts of a path say that was found, decoded."""
        _, parts = self._matcher.match(unquote(path), method)
        return parts

    def _leads_to(self, path: str, method: str, name: str) -> bool:
        """Whether Klein, which decodes the path first, finds the same."""
        try:
            found, _ = self._matcher.match(path, method)
        except HTTPException:
            return False
        return bool(found == name)

    def dialect(self, path: str, headers: Headers) -> str:
        """
        The name of the wire in whose dialect an error at `path` is said.

        The protocol that alone has paths beginning so; Chat's, the most widely read, for others.
        """
        if path == _LISTS or (path.startswith(_LISTS + "/") and ":" not in path):
            return listing.dialect(headers)
        segments = _segments(path)
        for end in range(len(segments), 0, -1):
            owners = self._owners.get(segments[:end], set())
            if len(owners) == 1:
                return next(iter(owners))
        return "anthropic" if header(headers, "anthropic-version") is not None else _DEFAULT


def _missing() -> BadRequest:
    return BadRequest("there is nothing at this path", status=404, kind="not_found")


def _segments(path: str) -> tuple[str, ...]:
    return tuple(path.strip("/").split("/"))
