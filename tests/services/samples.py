"""
Logins of a made-up vendor, paid by auth files, whose service the tests answer for.

The vendor is as small as one can be: a flat file, a renewal by JSON, Anthropic's wire.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.web.iweb import IAgent

from aiproxy import ir
from aiproxy.errors import CredentialDisabled, CredentialError
from aiproxy.messages import Credential, HttpRequest, Login, header
from aiproxy.providers.contract import (
    AuthFile,
    Call,
    Change,
    Flow,
    LoginProvider,
    Prepared,
)
from aiproxy.redaction import Secret
from aiproxy.services.logins import Logins
from aiproxy.settings import ApiType, Upstream
from aiproxy.upstream.client import UpstreamClient
from aiproxy.wire import OUTBOUND
from aiproxy.wire.relay import encode_for
from tests.routing.samples import upstream as plain_upstream

MARGIN_SECONDS = 60.0


class Acme(LoginProvider):
    """Shape of a file: {"access", "refresh", "expires" (Unix seconds), "kind"?, "disabled"?}."""

    api_type = "acme"
    wire = "anthropic"
    settings = ApiType("auth_files", affinity=True)

    def serves(self, call: Call) -> bool:
        return call.head.operation == "generate"

    def prepare(
        self, call: Call, model: str, upstream: Upstream, credential: Credential
    ) -> Prepared:
        encoded = encode_for(OUTBOUND[self.wire], ir.replace(call.decode(), model=model))
        headers = (("x-api-key", credential.secret.reveal()),)
        http = HttpRequest("POST", f"{upstream.base_url}/messages", headers, encoded.body)
        return Prepared(http, call.head.stream, encoded.losses)

    def read_login(self, file: AuthFile) -> Login:
        document = file.document
        if "key" in document:
            raise CredentialError(f"{file.path}: is an API key, use api_type anthropic")
        return Login(
            Secret(document.get("access", "")),
            Secret(document.get("refresh", "")),
            document.get("expires"),
            is_disabled=bool(document.get("disabled")),
            is_ours=document.get("kind") == "acme",
            details={"project": document.get("project", "p")},
        )

    def is_stale(self, login: Login, now: float) -> bool:
        return login.expires_at is not None and login.expires_at < now + MARGIN_SECONDS

    def renew(self, login: Login, upstream: Upstream, now: float) -> Flow:
        asked = json.dumps({"refresh_token": login.refresh_token.reveal()}).encode()
        headers = (("Content-Type", "application/json"),)
        reply = yield HttpRequest("POST", f"{upstream.token_url}/token", headers, asked)
        if reply.status in (400, 401):
            raise CredentialDisabled("the login was revoked; log in again")
        if reply.status != 200:
            wait = header(reply.headers, "retry-after")
            raise CredentialError(
                f"the login service answers {reply.status}",
                retry_after=None if wait is None else float(wait),
            )
        said = json.loads(reply.body)
        return (
            Change(("access",), said["access_token"]),
            Change(("refresh",), said["refresh_token"]),
            Change(("expires",), now + said["expires_in"]),
        )

    def lacks(self, login: Login, upstream: Upstream) -> bool:
        return not login.details["project"]

    def discover(self, login: Login, upstream: Upstream, now: float) -> Flow:
        headers = (("x-api-key", login.access_token.reveal()),)
        reply = yield HttpRequest("GET", f"{upstream.token_url}/project", headers)
        if reply.status == 403:
            raise CredentialDisabled("the account has no project")
        return (Change(("project",), reply.body.decode()),)


ACME = Acme()


def acme(name: str, *files: str | Path, **changed: Any) -> Upstream:
    """An upstream of that vendor, at http://NAME.test, its login service at http://login.test."""
    values = {
        "api_type": "acme",
        "base_url": f"http://{name}.test",
        "token_url": "http://login.test",
        "tokens": (),
        "auth_files": tuple(map(str, files)),
        **changed,
    }
    return replace(plain_upstream(name), **values)


def auth_file(path: str | Path, access: str = "a1", refresh: str = "r1", **more: Any) -> Path:
    """A file as the vendor's program writes it."""
    document = {"access": access, "refresh": refresh, **more}
    place = Path(path)
    place.write_text(json.dumps(document, indent=2) + "\n", "utf-8")
    return place


def logins(
    clock: IReactorTime, agent: IAgent | None = None, provider: LoginProvider = ACME
) -> Logins:
    """Of that vendor, its time being the clock's, with no threads."""
    return Logins(
        UpstreamClient(clock, agent=agent),
        clock,
        providers={"acme": provider},
        wall=clock.seconds,
        in_thread=_here,
    )


def _here(work: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
    return maybeDeferred(work, *arguments)


def document(path: str | Path) -> Mapping[str, Any]:
    """What a file says."""
    said: Mapping[str, Any] = json.loads(Path(path).read_text("utf-8"))
    return said
