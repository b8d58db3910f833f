"""What the auth files of a configuration amount to, for a person. No secret is shown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timezone

from aiproxy.errors import CredentialError
from aiproxy.messages import Login
from aiproxy.providers import PROVIDERS
from aiproxy.providers.contract import LoginProvider, Provider
from aiproxy.services import authfiles
from aiproxy.settings import Upstream


def described(
    upstreams: Iterable[Upstream], wall: float, providers: Mapping[str, Provider] = PROVIDERS
) -> Iterator[str]:
    """One line for each file of the enabled ones. wall: Unix seconds."""
    for upstream in upstreams:
        provider = providers.get(upstream.api_type)
        if not upstream.enabled or not isinstance(provider, LoginProvider):
            continue
        for path in upstream.auth_files:
            try:
                login = authfiles.login_of(authfiles.read(path).file, provider)
            except CredentialError as error:
                problem = str(error).removeprefix(f"{path}: ")
                yield f"{upstream.name}: not usable: {path}: {problem}"
            else:
                yield f"{upstream.name}: {path}: {_login(login, wall)}"


def _login(login: Login, wall: float) -> str:
    shape = "written by a proxy" if login.is_ours else "written by the vendor's program"
    renewable = "can be renewed" if login.refresh_token else "cannot be renewed"
    disabled = ("disabled",) if login.is_disabled else ()
    return ", ".join((shape, *disabled, _expiry(login, wall), renewable))


def _expiry(login: Login, wall: float) -> str:
    if not login.access_token:
        return "has no token yet"
    if login.expires_at is None:
        return "does not say how long it is good"
    try:
        moment = datetime.fromtimestamp(login.expires_at, timezone.utc)
    except (OverflowError, OSError, ValueError):
        return "good for ever"
    verb = "was" if login.expires_at <= wall else "is"
    return f"{verb} good until {moment:%Y-%m-%d %H:%M} UTC"
