"""One entry of `upstreams:` -> an Upstream, with everything that is wrong in it noted."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from urllib.parse import urlsplit

from aiproxy.messages import Headers
from aiproxy.redaction import Secret
from aiproxy.settings.expand import Expander
from aiproxy.settings.model import ApiType, Source, Timeouts, Upstream
from aiproxy.settings.reading import Fields, Place, nearest

UPSTREAM_KEYS = (
    "name",
    "enabled",
    "api_type",
    "base_url",
    "token_url",
    "token",
    "token_file",
    "auth_files",
    "weight",
    "model_mappings",
    "available_models",
    "request_compression",
    "http_headers",
    "oauth_client_secret",
    "metadata",
    "affinity",
    "timeouts",
)
UPSTREAM_TIMEOUTS = ("connect", "headers", "whole_answer", "first_event", "idle")
CLIENT_TIMEOUTS = ("client_header", "client_body")

IGNORED: Mapping[str, str] = MappingProxyType(
    {
        "must_stream": "whether an upstream only streams is known from its api_type",
        "heartbeat": 'heartbeats are sent as "keepalive" says',
        "heartbeat_interval": 'heartbeats are sent as "keepalive" says',
        "supports_responses": 'an upstream of api_type "responses" does',
        "auth_file": 'write "auth_files"',
        "compression": 'write "request_compression" in an upstream',
    }
)
"""Keys that the replaced program documented and did not read."""

DAY = 86_400

_COMPRESSIONS: Mapping[str, str] = MappingProxyType(
    {
        "": "",
        "none": "",
        "identity": "",
        "gzip": "gzip",
        "x-gzip": "gzip",
        "zstd": "zstd",
        "x-zstd": "zstd",
        "br": "br",
    }
)

# RFC 9110, 5.6.2.
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_URL = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True, slots=True)
class Defaults:
    """What an upstream takes from the top level."""

    timeouts: Timeouts
    affinity: bool | None


def read_upstreams(place: Place, source: Source, defaults: Defaults) -> tuple[Upstream, ...]:
    """All entries in file order."""
    upstreams = []
    lines: dict[str, int] = {}
    for item in place.items():
        fields = item.fields(UPSTREAM_KEYS, IGNORED)
        upstream = _Reader(fields, source, defaults).upstream()
        name = upstream.name.lower()
        if name and name in lines:
            fields["name"].complain(f"the upstream on line {lines[name]} has this name already")
        lines.setdefault(name, item.line)
        upstreams.append(upstream)
    return tuple(upstreams)


class _Reader:
    """
    Reads one upstream.

    A disabled one only needs a name: what it lacks is no problem, what has a wrong type is.
    """

    def __init__(self, fields: Fields, source: Source, defaults: Defaults) -> None:
        self._fields = fields
        self._source = source
        self._defaults = defaults
        self._enabled = fields["enabled"].boolean(True)
        self._expander = Expander(source, lenient=not self._enabled)

    def upstream(self) -> Upstream:
        fields, expander = self._fields, self._expander
        name, api_type = self._api_type()
        weight = fields["weight"].integer(1)
        upstream = Upstream(
            name=self._name(),
            enabled=self._enabled,
            api_type=name,
            base_url=self._url("base_url"),
            token_url=self._url("token_url"),
            tokens=self._tokens(),
            auth_files=expander.paths(fields["auth_files"]),
            weight=weight if weight > 0 else 1,
            model_mappings=self._mappings(),
            available_models=self._models(),
            request_compression=self._compression(),
            http_headers=self._headers(),
            oauth_client_secret=self._client_secret(),
            metadata=self._metadata(name, api_type),
            affinity=self._affinity(api_type),
            timeouts=read_timeouts(fields["timeouts"], self._defaults.timeouts, UPSTREAM_TIMEOUTS),
        )
        if self._enabled and api_type is not None:
            self._check_credentials(upstream, api_type)
        return upstream

    def _name(self) -> str:
        name = self._expander.trimmed(self._fields["name"])
        if name == "":
            self._fields["name"].complain("is required")
        return name or ""

    def _api_type(self) -> tuple[str, ApiType | None]:
        place = self._fields["api_type"]
        text = self._expander.text(place)
        name = text or "anthropic"
        api_type = self._source.api_types.get(name)
        if api_type is None and self._enabled and text is not None:
            place.complain("unknown api_type" + nearest(name, self._source.api_types))
        return name, api_type

    def _url(self, key: str) -> str:
        """An absolute URL without the slash at its end, which paths bring along."""
        place = self._fields[key]
        url = (self._expander.trimmed(place) or "").rstrip("/")
        wrong = _wrong_in_url(url) if url and self._enabled else ""
        if wrong:
            place.complain(wrong)
        return url

    def _tokens(self) -> tuple[Secret, ...]:
        tokens = self._expander.secrets(self._fields["token"])
        tokens += self._expander.secret_files(self._fields["token_file"])
        if not all(token.isascii() for token in tokens):
            self._fields["token"].complain("holds a character that no HTTP header can carry")
        return tuple(Secret(token) for token in dict.fromkeys(tokens))

    def _client_secret(self) -> Secret:
        secrets = self._expander.secrets(self._fields["oauth_client_secret"])
        if len(secrets) > 1:
            self._fields["oauth_client_secret"].complain("there can be only one")
        return Secret("".join(secrets[:1]))

    def _metadata(self, name: str, api_type: ApiType | None) -> Mapping[str, str]:
        known = {} if api_type is None else api_type.metadata
        configured = dict(self._fields["metadata"].pairs())
        for key, place in configured.items():
            if api_type is not None and key not in known:
                place.complain(f"api_type {name} has no such metadata" + nearest(key, known))
        return MappingProxyType({**known, **read_names(configured, self._expander)})

    def _affinity(self, api_type: ApiType | None) -> bool:
        affinity = self._fields["affinity"]
        if affinity.given:
            return affinity.boolean(True)
        if self._defaults.affinity is not None:
            return self._defaults.affinity
        return api_type is not None and api_type.affinity

    def _check_credentials(self, upstream: Upstream, api_type: ApiType) -> None:
        fields = self._fields
        needs = f"api_type {upstream.api_type}"
        if api_type.credentials == "auth_files":
            for key in ("token", "token_file"):
                if fields[key].given:
                    fields[key].warn(f"ignored: {needs} pays with auth_files")
            if not upstream.auth_files and not self._broken("auth_files"):
                fields["auth_files"].complain(f"{needs} needs at least one file")
            return
        if fields["auth_files"].given:
            fields["auth_files"].warn(f"ignored: {needs} pays with token")
        for key in ("token_url", "oauth_client_secret"):
            if fields[key].given:
                fields[key].complain(f"{needs} has no use for it: its token needs no renewal")
        if not upstream.base_url and not self._broken("base_url"):
            fields["base_url"].complain(f"{needs} needs the address of its server")
        if not upstream.tokens and not self._broken("token", "token_file"):
            fields["token"].complain(f"{needs} needs at least one token")

    def _broken(self, *keys: str) -> bool:
        """Whether a problem with one of these was noted, which explains why nothing is there."""
        return any(self._fields[key].complained for key in keys)

    def _mappings(self) -> Mapping[str, str]:
        return read_names(dict(self._fields["model_mappings"].pairs()), self._expander)

    def _models(self) -> tuple[str, ...]:
        models = (self._expander.text(item) for item in self._fields["available_models"].texts())
        return tuple(model for model in models if model is not None)

    def _compression(self) -> str:
        place = self._fields["request_compression"]
        word = (self._expander.trimmed(place) or "").lower()
        if word not in _COMPRESSIONS:
            place.warn("unknown, bodies are sent as they are" + nearest(word, _COMPRESSIONS))
        return _COMPRESSIONS.get(word, "")

    def _headers(self) -> Headers:
        headers: dict[str, str] = {}
        for key, place in self._fields["http_headers"].pairs():
            name = canonical(key.strip())
            value = self._expander.trimmed(place)
            if not _HEADER_NAME.fullmatch(name):
                place.complain("the key is no name of an HTTP header")
            elif name in headers:
                place.complain("the same header is there twice")
            headers.setdefault(name, value or "")
        return tuple(headers.items())


def canonical(name: str) -> str:
    """A header's name as Go writes it: `x-api-key` -> `X-Api-Key`."""
    return "-".join(part[:1].upper() + part[1:].lower() for part in name.split("-"))


def read_names(places: Mapping[str, Place], expander: Expander) -> Mapping[str, str]:
    """A mapping of texts to texts."""
    values = ((key, expander.text(place)) for key, place in places.items())
    return MappingProxyType({key: value for key, value in values if value is not None})


def read_timeouts(place: Place, defaults: Timeouts, keys: tuple[str, ...]) -> Timeouts:
    """`defaults` with what is written at `place`."""
    fields = place.fields(keys, {})
    return replace(
        defaults,
        **{key: fields[key].number(getattr(defaults, key), 0.001, DAY) for key in keys},
    )


def _wrong_in_url(url: str) -> str:
    """Why `url` is no address of a server, "" when it is."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "is no valid URL"
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        return "must start with https:// or http:// and a host"
    if not _URL.fullmatch(url):
        return "is no valid URL"
    if parts.username is not None or parts.password is not None:
        return "must not hold a user or password; use token or http_headers"
    if "?" in url or "#" in url:
        return "must end before any ? or #: paths are appended to it"
    return ""
