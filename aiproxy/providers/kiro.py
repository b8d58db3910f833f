"""
Kiro (Amazon Q Developer): two endpoints that take the same request, paid by a login of Kiro's.

The endpoints differ in their host and in what a message must say of its origin. An account of a
company has a profile, which must be named; others have none, and may have to name none.

Sources: public gateways to Kiro, and AWS's streaming client; `METADATA` holds what drifts.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Final

from aiproxy import ir
from aiproxy.errors import CredentialError, ErrorReply
from aiproxy.messages import Credential, Headers, HttpReply, HttpRequest, Login, header
from aiproxy.providers import kiro_flows
from aiproxy.providers.contract import AuthFile, Call, Flow, LoginProvider, Prepared
from aiproxy.providers.kiro_flows import filled
from aiproxy.providers.kiro_login import lacking, read_login, region_of
from aiproxy.providers.outgoing import translated, with_overrides
from aiproxy.settings import ApiType, Upstream
from aiproxy.wire import kiro
from aiproxy.wire.jsontext import raw, with_member

METADATA: Final[Mapping[str, str]] = {
    # URL, origin and, where it is so, "profile" for an endpoint that a profile must be named to;
    # separated by commas, in the order to try them.
    "endpoints": (
        "https://runtime.{region}.kiro.dev/generateAssistantResponse AI_EDITOR profile,"
        " https://q.{region}.amazonaws.com/generateAssistantResponse CLI"
    ),
    "profiles_url": "https://q.{region}.amazonaws.com/ListAvailableProfiles",
    "social_token_url": "https://prod.{region}.auth.desktop.kiro.dev/refreshToken",
    "idc_token_url": "https://oidc.{region}.amazonaws.com/token",
    "region": "us-east-1",
    "profile_arn": "",
    # The service's own, for accounts without a profile, where it insists on one.
    "builder_id_profile_arn": "arn:aws:codewhisperer:us-east-1:638616132270:profile/AAAACCCCXXXX",
    "social_profile_arn": "arn:aws:codewhisperer:us-east-1:699475941385:profile/EHGA3GRVQMUK",
    "sdk_version": "1.0.34",
    "kiro_version": "0.12.155",
    "os": "linux",
    "node_version": "22.21.1",
    "agent_mode": "vibe",
    "user_agent": (
        "aws-sdk-js/{sdk_version} ua/2.1 os/{os} lang/js md/nodejs#{node_version}"
        " api/codewhispererstreaming#{sdk_version} m/E KiroIDE-{kiro_version}-{machine_id}"
    ),
    "amz_user_agent": "aws-sdk-js/{sdk_version} KiroIDE-{kiro_version}-{machine_id}",
    "renewal_user_agent": "KiroIDE-{kiro_version}-{machine_id}",
}

_PATH = "/generateAssistantResponse"
_ASKED_AGAIN_SECONDS = 6 * 3600.0
"""An account whose month is used up is tried this often: its owner may have paid."""

_SUSPENDED_SECONDS = 24 * 3600.0
_SUSPENDED = "TEMPORARILY_SUSPENDED"
_DAILY = "DAILY_REQUEST_COUNT"
_MODEL_ONLY = frozenset({"INSUFFICIENT_MODEL_CAPACITY", "MODEL_TEMPORARILY_UNAVAILABLE"})
_ABOUT_PROFILE = re.compile(r"profile[ _]?arn", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Endpoint:
    """needs_profile: it refuses requests that name no profile."""

    url: str
    origin: str = kiro.ORIGIN
    needs_profile: bool = False


class _Prepared(Prepared, frozen=True):
    """
    endpoints: this one, and those for `elsewhere`. origin: that its messages name.
    profile: that the request names. spare: to name when the service insists on one.
    """

    endpoints: tuple[_Endpoint, ...] = ()
    origin: str = kiro.ORIGIN
    profile: str = ""
    spare: str = ""


class Kiro(LoginProvider):
    api_type = "kiro"
    wire = "kiro"
    framing = "eventstream"
    settings = ApiType("auth_files", affinity=True, metadata=METADATA)

    def serves(self, call: Call) -> bool:
        return call.head.operation == "generate"

    def prepare(
        self, call: Call, model: str, upstream: Upstream, credential: Credential
    ) -> Prepared:
        login = credential.login
        if login is None:
            raise CredentialError("kiro is paid by auth files")
        encoded = translated(call, self.wire, model)
        profile = login.details["profile_arn"] or upstream.metadata["profile_arn"]
        headers = with_overrides(_headers(call, login, upstream), upstream.http_headers)
        prepared = _Prepared(
            HttpRequest("POST", "", headers, encoded.body),
            stream=True,
            losses=encoded.losses,
            endpoints=_endpoints(login, upstream, profile),
            spare=_spare(login, upstream),
        )
        return _naming(prepared, profile)

    def elsewhere(self, prepared: Prepared, upstream: Upstream) -> Iterator[Prepared]:
        if isinstance(prepared, _Prepared):
            # Each is made when it is asked for: a body can be large.
            yield from (_at(prepared, (endpoint,)) for endpoint in prepared.endpoints[1:])

    def mended(self, prepared: Prepared, error: ErrorReply) -> Prepared | None:
        """What names a profile names none, and the other way round: accounts differ in this."""
        if error.status not in (400, 403) or not _ABOUT_PROFILE.search(error.message):
            return None
        if not isinstance(prepared, _Prepared) or not (prepared.profile or prepared.spare):
            return None
        return _naming(prepared, "" if prepared.profile else prepared.spare)

    def judge(self, reply: HttpReply, said: ErrorReply, now: float) -> ErrorReply:
        name = header(reply.headers, "x-amzn-errortype")
        if name and said.code is None:
            named = kiro.error_of(reply.status, reply.body, name)
            said = replace(said, status=named.status, kind=named.kind, code=named.code)
        if said.code == _SUSPENDED:
            return replace(said, retry_after=_SUSPENDED_SECONDS)
        if said.code in _MODEL_ONLY:
            return replace(said, model_only=True)
        if said.kind != "quota":
            return said
        # It is given back with time, unlike a balance.
        pause = _until_next("day" if said.code == _DAILY else "month", now)
        given_back = said.retry_after or min(pause, _ASKED_AGAIN_SECONDS)
        return replace(said, kind="rate_limit", retry_after=given_back)

    # ── logins ──

    def read_login(self, file: AuthFile) -> Login:
        return read_login(file)

    def is_stale(self, login: Login, now: float) -> bool:
        return kiro_flows.is_stale(login, now)

    def renew(self, login: Login, upstream: Upstream, now: float) -> Flow:
        return kiro_flows.renew(login, upstream, now)

    def lacks(self, login: Login, upstream: Upstream) -> bool:
        return bool(lacking(login))

    def discover(self, login: Login, upstream: Upstream, now: float) -> Flow:
        return kiro_flows.discover(login, upstream, now)


def _endpoints(login: Login, upstream: Upstream, profile: str) -> tuple[_Endpoint, ...]:
    """All that the table has, in the region of the models."""
    if upstream.base_url:
        return (_Endpoint(upstream.base_url + _PATH),)
    region = region_of(profile) or login.details["api_region"]
    table = kiro_flows.place(upstream, login, "endpoints", region)
    entries = [entry.split() for entry in table.split(",")]
    endpoints = tuple(
        _Endpoint(url, origin or kiro.ORIGIN, "profile" in needs)
        for url, origin, *needs in ([*entry, "", ""] for entry in entries if entry)
    )
    if not endpoints:
        raise CredentialError("the upstream's metadata names no endpoints")
    return endpoints


def _headers(call: Call, login: Login, upstream: Upstream) -> Headers:
    table = upstream.metadata
    external = login.details["method"] == "external"
    return (
        ("Content-Type", "application/json"),
        ("Accept", "*/*"),
        ("Authorization", f"Bearer {login.access_token.reveal()}"),
        *((("TokenType", "EXTERNAL_IDP"),) if external else ()),
        ("User-Agent", filled(table["user_agent"], upstream, login)),
        ("x-amz-user-agent", filled(table["amz_user_agent"], upstream, login)),
        ("x-amzn-kiro-agent-mode", table["agent_mode"]),
        ("x-amzn-codewhisperer-optout", "true"),
        ("amz-sdk-invocation-id", _uuid_of(call.id)),
        ("amz-sdk-request", "attempt=1; max=3"),
    )


def _spare(login: Login, upstream: Upstream) -> str:
    key = "social" if login.details["method"] == "social" else "builder_id"
    return upstream.metadata[f"{key}_profile_arn"]


def _at(prepared: _Prepared, endpoints: tuple[_Endpoint, ...]) -> _Prepared:
    """The request for the first of these."""
    body, origin = prepared.http.body, endpoints[0].origin
    if origin != prepared.origin:
        body = kiro.with_origin(body, origin)
    http = ir.replace(prepared.http, url=endpoints[0].url, body=body)
    return ir.replace(prepared, http=http, origin=origin, endpoints=endpoints)


def _naming(prepared: _Prepared, profile: str) -> _Prepared:
    """The request with that profile, "" for none, where that will do."""
    value = raw(profile) if profile else None
    http = ir.replace(prepared.http, body=with_member(prepared.http.body, "profileArn", value))
    known = prepared.endpoints
    serving = tuple(each for each in known if profile or not each.needs_profile)
    return _at(ir.replace(prepared, http=http, profile=profile), serving or known)


def _uuid_of(text: str) -> str:
    """A UUID in the form of random ones that is the same for the same text."""
    return str(uuid.UUID(bytes=hashlib.sha256(text.encode()).digest()[:16], version=4))


def _until_next(period: str, now: float) -> float:
    """Seconds until the next day or month in UTC begins."""
    start = datetime.fromtimestamp(now, timezone.utc).replace(
        hour=0, minute=0, second=0, microsecond=0
    )
    if period == "day":
        return start.timestamp() + 86_400 - now
    year, month = divmod(start.year * 12 + start.month, 12)
    return start.replace(year=year, month=month + 1, day=1).timestamp() - now


KIRO = Kiro()
