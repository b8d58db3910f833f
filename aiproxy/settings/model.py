"""
What a configuration says, as frozen values: no YAML, no defaults still to be filled in.

Seconds are floats, sizes are bytes, paths are resolved, secrets never print.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from aiproxy.messages import Headers
from aiproxy.redaction import Secret

CredentialKind: TypeAlias = Literal["tokens", "auth_files"]
"""What an api_type pays with: `token` and `base_url`, or files of a vendor's login."""

Home: TypeAlias = tuple[str, ...]
"""All that is configured of where an upstream and its login service are."""


@dataclass(frozen=True, slots=True)
class ApiType:
    """
    What the upstreams of one api_type have in common, as far as a configuration can tell.

    affinity: whether a conversation stays with one credential when nothing is configured.
    metadata: what drifts with the vendor's releases, such as versions, user agents and client ids:
        every key that `metadata` of an upstream may replace, with its default.
    """

    credentials: CredentialKind
    affinity: bool = False
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Source:
    """
    Where a configuration comes from, and all that it may ask of the world.

    path: of the file; begins every problem, and relative paths start from its folder.
    environ: for `${NAME}` and `~`.
    read_file: path -> text; raises OSError or ValueError. Only for files that hold secrets.
    api_types: every known api_type.
    """

    path: str
    environ: Mapping[str, str] = field(repr=False)
    read_file: Callable[[str], str]
    api_types: Mapping[str, ApiType]


@dataclass(frozen=True, slots=True)
class ApiKey:
    """
    One key that clients may show. Only its SHA-256 is kept.

    digest: 32 bytes.
    """

    digest: bytes = field(repr=False)

    @classmethod
    def of(cls, plain: str) -> ApiKey:
        """The key whose text is `plain`."""
        return cls(_digest(plain))

    def matches(self, candidate: str) -> bool:
        """Whether a client's text is this key; takes the same time wherever they differ."""
        return hmac.compare_digest(self.digest, _digest(candidate))


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


@dataclass(frozen=True, slots=True)
class Timeouts:
    """
    How long to wait, in seconds.

    connect: for TCP and TLS. headers: from the connection to the answer's headers.
    whole_answer: for an answer that is not streamed, and how long a stream lives on pings alone.
    first_event: from headers to the first content of a stream. idle: between two of its events.
    client_header, client_body: for a client to send its request.
    """

    connect: float
    headers: float
    whole_answer: float
    first_event: float
    idle: float
    client_header: float
    client_body: float


@dataclass(frozen=True, slots=True)
class BreakerSettings:
    """
    When an upstream rests for a model.

    failures: in a row until it rests. cooldown_seconds: the longest rest.
    probe_after_seconds: until one live request may try it again.
    """

    failures: int
    cooldown_seconds: float
    probe_after_seconds: float


@dataclass(frozen=True, slots=True)
class LogSettings:
    """
    Where log lines go.

    file: "" for stderr. max_size_bytes, max_backups, max_age_seconds: when files rotate, and
    which rotated ones are kept. compress: rotated files with gzip.
    """

    file: str
    max_size_bytes: int
    max_backups: int
    max_age_seconds: float
    compress: bool


@dataclass(frozen=True, slots=True)
class Upstream:
    """
    One upstream as configured.

    name: unique without regard to case. base_url: "" for the vendor's own, never ends in "/".
    token_url: "" for the vendor's own. tokens or auth_files: what it pays with; a disabled
    upstream may have neither. auth_files: resolved paths, each once.
    available_models: names as clients write them; none means any.
    request_compression: "", "gzip", "zstd" or "br".
    oauth_client_secret: for renewals, where neither the vendor nor the file makes it known.
    metadata: all of the api_type's, those configured in place of the defaults.
    affinity: whether a conversation stays with one credential.
    """

    name: str
    enabled: bool
    api_type: str
    base_url: str
    token_url: str
    tokens: tuple[Secret, ...]
    auth_files: tuple[str, ...]
    weight: int
    model_mappings: Mapping[str, str]
    available_models: tuple[str, ...]
    request_compression: str
    http_headers: Headers = field(repr=False)
    oauth_client_secret: Secret
    metadata: Mapping[str, str]
    affinity: bool
    timeouts: Timeouts

    @property
    def home(self) -> Home:
        """Equal for upstreams that are in the same place, whatever else is different."""
        return (self.base_url, self.token_url, *self.metadata.values())

    def serves(self, model: str) -> bool:
        """Whether a client may ask it for `model`; says nothing of `enabled`."""
        return not self.available_models or model in self.available_models

    def mapped(self, model: str) -> str:
        """The upstream's own name for a client's `model`."""
        return self.model_mappings.get(model, model)


@dataclass(frozen=True, slots=True)
class Settings:
    """
    A whole configuration.

    bind: an address without brackets, or a host name. port: 0 for any free one.
    socket_activation: systemd hands over the socket, `bind` and `port` say nothing.
    api_keys: none means that everybody may call. model_fallback: free of cycles.
    workers: processes that serve; 0 for one on each processor.
    warnings: what was accepted but is worth a look, one line each, in file order.
    """

    bind: str
    port: int
    socket_activation: bool
    api_keys: tuple[ApiKey, ...]
    default_max_tokens: int
    upstreams: tuple[Upstream, ...]
    model_fallback: Mapping[str, str]
    log: LogSettings
    circuit_breaker: BreakerSettings
    timeouts: Timeouts
    keepalive_seconds: float
    max_request_bytes: int
    max_concurrent_requests: int
    drain_timeout_seconds: float
    workers: int
    allow_unauthenticated: bool
    warnings: tuple[str, ...]
