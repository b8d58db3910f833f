"""
What a provider offers: one api_type's endpoints, headers and use of a credential.

A provider says where bytes go and who pays; what they mean is the wire's business.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol

from aiproxy import ir
from aiproxy.messages import Credential, Headers, HttpRequest
from aiproxy.settings import CredentialKind, Upstream
from aiproxy.wire.contract import Head
from aiproxy.wire.conversation import without_proofs


@dataclass(frozen=True, slots=True)
class Call:
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
    headers: Headers = field(repr=False)
    body: bytes = field(repr=False)
    decode: Callable[[], ir.Request] = field(repr=False)
    may_pass: bool = True

    @property
    def query(self) -> str:
        return self.path.partition("?")[2]

    def without_proofs(self) -> Call:
        """The same call for an upstream that does not recognise a proof in it."""
        return replace(self, decode=lambda: without_proofs(self.decode()), may_pass=False)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request ready to be sent. stream: whether the upstream will answer with a stream."""

    http: HttpRequest
    stream: bool
    losses: tuple[ir.Loss, ...] = ()


class Provider(Protocol):
    """
    wire: what it speaks (a key of OUTBOUND). credentials: where its secrets come from.
    """

    @property
    def api_type(self) -> str: ...

    @property
    def wire(self) -> str: ...

    @property
    def credentials(self) -> CredentialKind: ...

    def serves(self, call: Call) -> bool:
        """Whether this upstream has the operation; if not, an estimate or an error stands in."""
        ...

    def prepare(
        self, call: Call, model: str, upstream: Upstream, credential: Credential
    ) -> Prepared:
        """
        The call as this upstream wants it. model: the mapped name.

        Raises: BadRequest when the upstream's protocol cannot carry the call.
        """
        ...
