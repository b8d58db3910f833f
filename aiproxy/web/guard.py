"""
What is decided of a request before its body is read, and the body's own limits.

Pure in effect: nothing is written here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote_plus

from aiproxy import codings
from aiproxy.errors import BadRequest, ErrorReply
from aiproxy.messages import Headers, Value, header
from aiproxy.settings import ApiKey, Settings
from aiproxy.web.routes import Route, Routes, WrongMethod

_KEY_PARAMETERS = frozenset({"key", "access_token"})

# Credentials, what belongs to this connection alone, and what says how this very body is sent.
_KEPT_BACK = frozenset(
    {
        "authorization",
        "x-api-key",
        "x-goog-api-key",
        "api-key",
        "cookie",
        "proxy-authorization",
        "proxy-authenticate",
        "proxy-connection",
        "connection",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "expect",
        "host",
        "accept-encoding",
    }
)
_KEPT_BACK_PREFIX = "content-"


class Head(Value, frozen=True):
    """
    A request's head. target: path and query as sent. headers: names in lower case.

    length: of the body in bytes, None when it is chunked.
    """

    method: str
    target: str
    headers: Headers
    length: int | None

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        return self.target.partition("?")[2]


@dataclass(frozen=True, slots=True)
class Refusal:
    """
    Why a request is not served. dialect: name of the wire to say it in.

    The status is the error's own, whatever the dialect would make of its kind.
    """

    dialect: str
    error: ErrorReply
    headers: Headers = ()


class Guard:
    """settings: gives those in force."""

    def __init__(self, routes: Routes, settings: Callable[[], Settings]) -> None:
        self._routes = routes
        self._settings = settings

    def judge(self, head: Head) -> Route | Refusal:
        """In this order: is there such a path, may the client use it, can the body be taken."""
        try:
            route = self._routes.find(head.method, head.path)
        except WrongMethod as error:
            if _wants_websocket(head):
                return Refusal(self.dialect(head), _NO_WEBSOCKET, (("Upgrade", "HTTP/1.1"),))
            return Refusal(self.dialect(head), error.reply, (("Allow", error.allowed),))
        except BadRequest as error:
            return Refusal(self.dialect(head), error.reply)
        settings = self._settings()
        if not route.is_open and not is_authorized(head, settings.api_keys):
            challenge = (("WWW-Authenticate", "Bearer"),)
            return Refusal(self.dialect(head, route), _UNAUTHORIZED, challenge)
        limit_bytes = settings.max_request_bytes
        if head.length is not None and head.length > limit_bytes:
            return Refusal(self.dialect(head, route), too_large(limit_bytes))
        try:
            body_codings(head.headers)
        except BadRequest as error:
            return Refusal(self.dialect(head, route), error.reply)
        return route

    def dialect(self, head: Head, route: Route | None = None) -> str:
        """The name of the wire to say an error in. route: when the request has got that far."""
        own = route.wire if route is not None else ""
        return own or self._routes.dialect(head.path, head.headers)


_UNAUTHORIZED = ErrorReply(401, "authentication", "the API key is missing or not known here")

# Codex goes on with POST at once on 426, but tries again for ten seconds on anything else.
_NO_WEBSOCKET = ErrorReply(426, "method_not_allowed", "there are no WebSockets here: use POST")


def too_large(limit_bytes: int) -> ErrorReply:
    return ErrorReply(413, "too_large", f"the request is larger than {limit_bytes} bytes")


def too_slow(seconds: float) -> ErrorReply:
    return ErrorReply(408, "timeout", f"the request stood still for {seconds:g} seconds")


def is_authorized(head: Head, keys: Iterable[ApiKey]) -> bool:
    """Whether some carrier holds some key. No keys: everybody may call."""
    keys = tuple(keys)
    if not keys:
        return True
    # All are compared, so that the time tells nothing of which one fits.
    fitting = [key for key in keys for shown in _shown_keys(head) if key.matches(shown)]
    return bool(fitting)


def _shown_keys(head: Head) -> list[str]:
    shown = [header(head.headers, "x-api-key"), header(head.headers, "x-goog-api-key")]
    scheme, _, token = (header(head.headers, "authorization") or "").strip(" ").partition(" ")
    if scheme.lower() == "bearer":
        shown.append(token)
    shown += parse_qs(head.query).get("key", [])[:1]
    return [text.strip() for text in shown if text and text.strip()]


def _wants_websocket(head: Head) -> bool:
    return head.method == "GET" and (header(head.headers, "upgrade") or "").lower() == "websocket"


def body_codings(headers: Headers) -> tuple[str, ...] | None:
    """
    The body's content codings in the order in which they were applied; None when nothing is said.

    Raises: BadRequest, 415 for one that is not known.
    """
    said = [value for name, value in headers if name == "content-encoding"]
    if not any(said):
        return None
    try:
        return codings.parse(",".join(said))
    except codings.UnknownCoding:
        raise BadRequest(
            "the request's Content-Encoding is not known: use gzip, zstd, br or deflate",
            status=415,
        ) from None
    except codings.CodingError as error:
        raise BadRequest(str(error)) from None


def inflated(body: bytes, headers: Headers, limit_bytes: int) -> bytes:
    """
    The body without its codings. Without a header its first bytes may betray one.

    Raises: BadRequest, 413 when it grows beyond the limit.
    """
    applied = body_codings(headers)
    if applied is None:
        applied = codings.sniff(body)
    if not applied or not body:
        return body
    try:
        return codings.decode(body, applied, limit_bytes)
    except codings.TooLarge:
        reply = too_large(limit_bytes)
        raise BadRequest(reply.message, status=reply.status, kind=reply.kind) from None
    except codings.CodingError as error:
        raise BadRequest(f"the request's body cannot be decoded: {error}") from None


def passable_headers(headers: Headers) -> Headers:
    """The client's headers that an upstream could be allowed to see: no credentials among them."""
    listed = {
        word.strip().lower()
        for name, value in headers
        if name == "connection"
        for word in value.split(",")
    }
    return tuple(
        [
            one
            for one in headers
            if one[0] not in _KEPT_BACK
            and one[0] not in listed
            and not one[0].startswith(_KEPT_BACK_PREFIX)
        ]
    )


def passable_target(target: str) -> str:
    """Path and query without the client's key; everything else to the letter."""
    path, mark, query = target.partition("?")
    if not mark:
        return path
    kept = "&".join(
        item
        for item in query.split("&")
        if unquote_plus(item.partition("=")[0]).lower() not in _KEY_PARAMETERS
    )
    return f"{path}?{kept}" if kept else path
