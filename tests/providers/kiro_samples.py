"""Auth files of Kiro, as its own program and as ours write them, and upstreams paid by them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiproxy.messages import Credential, HttpReply, HttpRequest, Login
from aiproxy.providers.contract import AuthFile, Flow, Pause
from aiproxy.providers.kiro import KIRO
from aiproxy.settings import Upstream
from tests.providers.samples import configured, driven

NOW = 1_767_225_600.0
"""2026-01-01T00:00:00Z."""

ARN = "arn:aws:codewhisperer:eu-central-1:123456789012:profile/ABC"

SOCIAL: Mapping[str, Any] = {
    "accessToken": "access-canary",
    "refreshToken": "refresh-canary",
    "expiresAt": "2026-01-01T01:00:00.000Z",
    "authMethod": "social",
    "provider": "Google",
    "profileArn": ARN,
}
IDC: Mapping[str, Any] = {
    "accessToken": "access-canary",
    "refreshToken": "refresh-canary",
    "expiresAt": "2026-01-01T01:00:00.000Z",
    "authMethod": "IdC",
    "provider": "BuilderId",
    "region": "us-east-1",
    "clientIdHash": "e909a0580879b06ece1aa964ec0c2c1a",
}
REGISTRATION: Mapping[str, Any] = {
    "clientId": "client-1",
    "clientSecret": "client-secret-canary",
    "expiresAt": "2026-03-01T00:00:00.000Z",
}
EXTERNAL: Mapping[str, Any] = {
    "accessToken": "access-canary",
    "refreshToken": "refresh-canary",
    "expiresAt": "2026-01-01T01:00:00.000Z",
    "authMethod": "external_idp",
    "tokenEndpoint": "https://login.example.com/oauth2/token",
    "issuerUrl": "https://login.example.com/tenant",
    "clientId": "client-2",
    "scopes": ["openid", "offline_access"],
    "profileArn": ARN,
}
OURS: Mapping[str, Any] = {
    "access_token": "access-canary",
    "refresh_token": "refresh-canary",
    "client_id": "client-1",
    "client_secret": "client-secret-canary",
    "auth_method": "IdC",
    "region": "us-east-1",
    "expires_at": "2026-01-01T01:00:00Z",
    "machine_id": "ab" * 32,
    "profile_arn": ARN,
}


@dataclass(frozen=True)
class Folder:
    """Files beside an auth file; `asked` are the names that were looked for."""

    files: Mapping[str, Mapping[str, Any]]
    asked: list[str]

    def read(self, name: str) -> Mapping[str, Any] | None:
        self.asked.append(name)
        return self.files.get(name)


def folder() -> Folder:
    return Folder({f"{IDC['clientIdHash']}.json": REGISTRATION}, [])


def auth_file(
    document: Mapping[str, Any], beside: Folder | None = None, path: str = "/k/login.json"
) -> AuthFile:
    return AuthFile(path, document, (beside or folder()).read)


def without(document: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name not in names}


def login(document: Mapping[str, Any] = OURS, path: str = "/k/login.json") -> Login:
    return KIRO.read_login(auth_file(document, path=path))


def credential(document: Mapping[str, Any] = OURS) -> Credential:
    read = login(document)
    return Credential("file 1 of 1", read.access_token, read)


def upstream(lines: str = "") -> Upstream:
    """An upstream of this api_type; lines: more of its configuration."""
    return configured("kiro", lines)


def reply(status: int, body: Any = None, *headers: tuple[str, str]) -> HttpReply:
    data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    return HttpReply(status, headers, data)


def first_request(flow: Flow) -> HttpRequest:
    """What a flow asks first."""
    asked = next(flow)
    assert not isinstance(asked, Pause)
    return asked


def outcome(flow: Flow, *answers: HttpReply) -> dict[str, Any]:
    """What the file is to say after these answers, by member. Raises: as the flow does."""
    return driven(flow, *answers)[1]
