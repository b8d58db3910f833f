"""
What a provider offers: one api_type's endpoints, headers and use of a credential.

A provider says where bytes go and who pays; what they mean is the wire's business. It is pure:
what takes time, a renewal for instance, is a `Flow` that somebody else drives.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

from aiproxy import ir
from aiproxy.errors import ErrorReply
from aiproxy.framing import sse
from aiproxy.messages import Credential, Headers, HttpReply, HttpRequest, Login, Value
from aiproxy.settings import ApiType, Upstream
from aiproxy.wire.contract import Head
from aiproxy.wire.conversation import without_proofs

Framing: TypeAlias = Literal["sse", "eventstream"]
"""How an upstream's stream is cut into messages."""


class Call(Value, frozen=True):
    """
    One client request, with all that its attempts need.

    id: unique, shown to the client. wire: the client's. path: with the query, client keys removed.
    headers: the client's, without its credentials.
    decode: body and path to the hub's request; asked only when bytes cannot pass as they are.
    may_pass: whether they can, to an upstream of the same wire.
    """

    id: str
    wire: str
    head: Head
    path: str
    headers: Headers
    body: bytes
    decode: Callable[[], ir.Request]
    may_pass: bool = True

    def __repr__(self) -> str:
        """Without what the client sent."""
        return f"Call({self.id!r}, {self.wire!r}, {self.head!r})"

    @property
    def query(self) -> str:
        return self.path.partition("?")[2]

    def without_proofs(self) -> Call:
        """The same call for an upstream that does not recognise a proof in it."""
        return ir.replace(self, decode=lambda: without_proofs(self.decode()), may_pass=False)


class Envelope(Protocol):
    """What an upstream wraps around the messages of its wire, on the way back."""

    def message(self, message: sse.Message) -> sse.Message:
        """One message of a stream, unwrapped. Raises: UpstreamProtocolError."""
        ...

    def whole(self, body: bytes) -> bytes:
        """A whole answer, unwrapped. Raises: UpstreamProtocolError."""
        ...


class Prepared(Value, frozen=True):
    """
    A request ready to be sent.

    stream: whether the upstream will answer with a stream, which the client may not have asked for.
    envelope: None when the answer is the wire's own.
    """

    http: HttpRequest
    stream: bool
    losses: tuple[ir.Loss, ...] = ()
    envelope: Envelope | None = None


class Provider(ABC):
    """
    api_type: its name in a configuration. wire: what it speaks (a key of OUTBOUND).
    settings: what a configuration may say of it. framing: of its streams.
    """

    api_type: str
    wire: str
    settings: ApiType
    framing: Framing = "sse"

    @abstractmethod
    def serves(self, call: Call) -> bool:
        """Whether this upstream has the operation; if not, an estimate or an error stands in."""

    @abstractmethod
    def prepare(
        self, call: Call, model: str, upstream: Upstream, credential: Credential
    ) -> Prepared:
        """
        The call as this upstream wants it. model: the mapped name.

        Raises: BadRequest when the upstream's protocol cannot carry the call.
        """

    def elsewhere(self, prepared: Prepared, upstream: Upstream) -> Iterable[Prepared]:
        """The same request for the upstream's further endpoints, in the order to try them."""
        return ()

    def judge(self, reply: HttpReply, said: ErrorReply, now: float) -> ErrorReply:
        """
        What an error means, where the wire alone cannot know: its kind, how long to wait, and
        whether that is for this model only.

        reply: its body is the error's own text, "" where the wire does not keep it; for an error
            inside a good answer its status is that answer's.
        said: what the wire made of it. now: Unix seconds.
        """
        return said

    def returned(self, prepared: Prepared, headers: Headers) -> Headers:
        """The headers of a good answer, as a client of the same wire may see them."""
        return headers

    def mended(self, prepared: Prepared, error: ErrorReply) -> Prepared | None:
        """The request without what the upstream refused by name; asked once. None: as it stands."""
        return None


@dataclass(frozen=True, slots=True)
class AuthFile:
    """
    One parsed file of a login.

    path: for messages. document: the JSON object.
    sibling: reads another JSON object in the same folder, by its name; None when there is none.
    """

    path: str
    document: Mapping[str, Any] = field(repr=False)
    sibling: Callable[[str], Mapping[str, Any] | None] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Change:
    """
    One value of an auth file that is to be another one.

    path: keys from the root of the document; objects that are missing are made.
    """

    path: tuple[str, ...]
    value: Any = field(repr=False)


@dataclass(frozen=True, slots=True)
class Pause:
    """A flow wants to go on only after so many seconds."""

    seconds: float


Flow: TypeAlias = Generator[HttpRequest | Pause, HttpReply, tuple[Change, ...]]
"""
A conversation with a vendor's login service; its result is what the auth file must say from then.

It is sent the reply to each request; what it is sent for a Pause means nothing.
"""


class LoginProvider(Provider):
    """A provider that is paid by auth files."""

    @abstractmethod
    def read_login(self, file: AuthFile) -> Login:
        """
        What the file says, in any of the formats that this api_type knows.

        Raises: CredentialError that says what the file is instead, and what to do.
        """

    @abstractmethod
    def is_stale(self, login: Login, now: float) -> bool:
        """Whether to renew before the next use. now: Unix seconds."""

    @abstractmethod
    def renew(self, login: Login, upstream: Upstream, now: float) -> Flow:
        """
        A new access token.

        Raises: CredentialDisabled when only a new login helps; CredentialError, with `retry_after`
        when the service named a time, for what may be better later or with other settings.
        """

    def lacks(self, login: Login, upstream: Upstream) -> bool:
        """Whether something must be found out with a valid token before the first call."""
        return False

    def discover(self, login: Login, upstream: Upstream, now: float) -> Flow:
        """Finds that out. Raises as `renew` does."""
        raise NotImplementedError
