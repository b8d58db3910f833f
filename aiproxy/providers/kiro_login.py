"""
Logins of Kiro: what their files say.

There are three ways to log in. `social` (Google, GitHub) is renewed by Kiro's own service, `idc`
(AWS Builder ID, IAM Identity Center) by AWS with the client that was registered for the login,
`external` by a company's identity provider. Two layouts hold them: the vendor's own file, whose
names are in camel case, and ours in snake case.

Details of a login, all texts, "" when unknown: layout ("vendor" or "ours"), method, region (where
it was made), api_region (where models are), profile_arn, client_id, client_secret,
token_endpoint, scopes, machine_id, and lacks (words: what is to be found out or kept).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from aiproxy.errors import CredentialError
from aiproxy.messages import Login
from aiproxy.providers.contract import AuthFile
from aiproxy.providers.logins import mistaken, moment, text_at
from aiproxy.redaction import Secret

_REGION = re.compile(r"[a-z]{2}(?:-[a-z]+)+-\d{1,2}")
_HASH = re.compile(r"[0-9A-Za-z_-]{1,128}")

_FOREIGN = frozenset({"id_token", "expiry_date", "claudeAiOauth"})
"""Members of other vendors' files, which have tokens of the same names."""

WANTED = "kiro-auth-token.json of Kiro, in ~/.aws/sso/cache"


@dataclass(frozen=True, slots=True)
class Members:
    """The texts of an object by one name, however its layout writes that."""

    layout: str
    document: Mapping[str, Any] = field(repr=False)

    def text(self, name: str) -> str:
        return text_at(self.document, member(self.layout, name))


def member(layout: str, name: str) -> str:
    """How a layout writes `name`: `access_token`, or `accessToken` in the vendor's."""
    if layout == "ours":
        return name
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)


# ── reading ──


def read_login(file: AuthFile) -> Login:
    """See `LoginProvider.read_login`."""
    members = Members(_layout(file.document), file.document)
    details = _details(file, members)
    return Login(
        access_token=Secret(members.text("access_token")),
        refresh_token=Secret(members.text("refresh_token")),
        expires_at=moment(members.text("expires_at")),
        is_disabled=file.document.get("disabled") is True,
        is_ours=members.layout == "ours",
        details=details,
    )


def _layout(document: Mapping[str, Any]) -> str:
    """Raises: CredentialError that says what the file is instead."""
    kind = text_at(document, "type")
    if kind in ("", "kiro") and not _FOREIGN & document.keys():
        for layout in ("ours", "vendor"):
            members = Members(layout, document)
            if members.text("access_token") or members.text("refresh_token"):
                return layout
    raise mistaken(document, "kiro", WANTED)


def _details(file: AuthFile, members: Members) -> Mapping[str, str]:
    method = _method(members)
    client_id, client_secret = _client(file, members, method)
    profile = members.text("profile_arn")
    region = _region(members.text("region"))
    details = {
        "layout": members.layout,
        "method": method,
        "region": region,
        "api_region": region_of(profile) or _region(members.text("api_region")) or region,
        "profile_arn": profile,
        "client_id": client_id,
        "client_secret": client_secret,
        "token_endpoint": _endpoint(members) if method == "external" else "",
        "scopes": _scopes(members),
        "machine_id": members.text("machine_id") or _machine_id(file, members),
    }
    return {**details, "lacks": " ".join(_lacks(members))}


def _method(members: Members) -> str:
    word = members.text("auth_method").lower().replace("-", "_")
    if word == "social":
        return "social"
    if word == "external_idp" or (not word and members.text("token_endpoint")):
        return "external"
    has_client = members.text("client_id") or members.text("client_id_hash")
    return "idc" if word or has_client else "social"


def _client(file: AuthFile, members: Members, method: str) -> tuple[str, str]:
    """
    Id and secret of the client that the login was made with, from the file or the one beside it.

    Raises: CredentialError when an `idc` login has none: it could never be renewed.
    """
    client_id, secret = members.text("client_id"), members.text("client_secret")
    name = members.text("client_id_hash")
    if method == "idc" and not (client_id and secret) and _HASH.fullmatch(name):
        beside = Members("vendor", file.sibling(f"{name}.json") or {})
        client_id, secret = beside.text("client_id"), beside.text("client_secret")
    if method == "idc" and not (client_id and secret):
        where = f"{name}.json beside it" if name else "the file"
        raise CredentialError(
            f"this login cannot be renewed: {where} has no registration of its client (clientId"
            " and clientSecret); log in with Kiro again"
        )
    return client_id, secret


def _endpoint(members: Members) -> str:
    """Raises: CredentialError when renewals would go elsewhere than to who made the login."""
    endpoint, issuer = members.text("token_endpoint"), members.text("issuer_url")
    to, of = _host(endpoint), _host(issuer)
    if not to or to != of:
        raise CredentialError(
            "tokenEndpoint of this login must be an https address on the host of its issuerUrl"
        )
    return endpoint


def _host(url: str) -> str:
    """Host and port of an https URL, "" for any other text."""
    try:
        parts = urlsplit(url)
        return f"{parts.hostname}:{parts.port or 443}" if parts.scheme == "https" else ""
    except ValueError:
        return ""


def _scopes(members: Members) -> str:
    value = members.document.get("scopes")
    if isinstance(value, list):
        return " ".join(scope for scope in value if isinstance(scope, str))
    return members.text("scopes")


def _machine_id(file: AuthFile, members: Members) -> str:
    """
    64 hex digits that stay as long as the login does.

    Ours are kept in the file, so a token may be in them; in the vendor's nothing may be added,
    and its tokens change.
    """
    names = ("client_id_hash", "provider", "start_url", "profile_arn", "client_id")
    sources = [file.path, *map(members.text, names)]
    if members.layout == "ours":
        sources.append(members.text("refresh_token") or members.text("access_token"))
    return hashlib.sha256("\0".join(sources).encode("utf-8", "replace")).hexdigest()


def _lacks(members: Members) -> Iterator[str]:
    if members.layout == "ours" and not members.text("machine_id"):
        yield "machine_id"
    was_asked = members.document.get(member(members.layout, "profile_arn_checked")) is True
    # Its accounts have no profile of their own.
    is_builder_id = members.text("provider").lower().replace(" ", "") == "builderid"
    if not (members.text("profile_arn") or was_asked or is_builder_id):
        yield "profile_arn"


def region_of(profile_arn: str) -> str:
    """Where a profile lives, "" when that is no ARN: arn:aws:codewhisperer:REGION:..."""
    return _region(profile_arn.split(":")[3]) if profile_arn.count(":") >= 3 else ""


def _region(text: str) -> str:
    """It becomes part of a host's name."""
    return text if _REGION.fullmatch(text) else ""


def lacking(login: Login) -> frozenset[str]:
    """What is to be found out, or kept, before the first call."""
    return frozenset(login.details["lacks"].split())
