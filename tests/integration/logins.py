"""Logins that the simulator knows, as files and as upstreams that are paid by them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from aiproxy.providers import API_TYPES as KINDS
from aiproxy.providers import PROVIDERS
from aiproxy.simulator.sides.kiro import PROFILE

API_TYPES = tuple(name for name in PROVIDERS if KINDS[name].credentials == "auth_files")

TOKEN_PATHS = {
    "codex": "/oauth/token",
    "claudecode": "/v1/oauth/token",
    "geminicli": "/token",
    "antigravity": "/token",
    "kiro": "/refreshToken",
}
"""Where each simulated vendor renews logins, behind its base URL."""

_BESIDE = (*TOKEN_PATHS.values(), ":loadCodeAssist", "/ListAvailableProfiles")
"""How the paths end that programs ask for on a login's behalf, whenever they like."""


def _codex(access: str, refresh: str, account: str) -> dict[str, Any]:
    tokens = {"id_token": "", "access_token": access, "refresh_token": refresh}
    return {"OPENAI_API_KEY": None, "tokens": {**tokens, "account_id": f"acc-{account}"}}


def _claudecode(access: str, refresh: str, account: str) -> dict[str, Any]:
    return {"claudeAiOauth": {"accessToken": access, "refreshToken": refresh, "scopes": ["a"]}}


def _geminicli(access: str, refresh: str, account: str) -> dict[str, Any]:
    return {"access_token": access, "refresh_token": refresh, "scope": "a", "expiry_date": 1}


def _antigravity(access: str, refresh: str, account: str) -> dict[str, Any]:
    tokens = {"access_token": access, "refresh_token": refresh}
    return {"type": "antigravity", **tokens, "expires_in": 3599, "timestamp": 1}


def _kiro(access: str, refresh: str, account: str) -> dict[str, Any]:
    tokens = {"accessToken": access, "refreshToken": refresh}
    return {**tokens, "authMethod": "social", "provider": "Google", "profileArn": PROFILE}


DOCUMENTS: Mapping[str, Callable[[str, str, str], dict[str, Any]]] = {
    "codex": _codex,
    "claudecode": _claudecode,
    "geminicli": _geminicli,
    "antigravity": _antigravity,
    "kiro": _kiro,
}
"""A vendor's own file, from access token, refresh token and account."""


def is_call(path: str) -> bool:
    """Whether a client's call is behind a request, rather than a login's upkeep."""
    return not path.partition("?")[0].endswith(_BESIDE)


def inner_call(api_type: str, body: bytes) -> tuple[bytes, str]:
    """What a call to a side would be at the vendor's own API: body, and path "" for the usual."""
    if api_type not in ("geminicli", "antigravity"):
        return body, ""
    document = json.loads(body)
    model = quote(document["model"], safe="")
    return json.dumps(document["request"]).encode(), f"/v1beta/models/{model}:generateContent"


def write_login(
    path: Path, api_type: str, *, access: str = "", refresh: str = "", account: str = "demo"
) -> None:
    """
    An auth file.

    Without tokens it is that of the account that each simulator has from the start, to be renewed
    before its first use.
    """
    document = DOCUMENTS[api_type](access, refresh or f"refresh-canary-{account}-1", account)
    path.write_text(json.dumps(document), "utf-8")


def upstream_lines(api_type: str, simulator: str, *files: Path) -> list[str]:
    """What an upstream says of its place and its logins."""
    base = f"{simulator}/{api_type}"
    return [
        f"api_type: {api_type}",
        f"base_url: {base}",
        f"token_url: {base}{TOKEN_PATHS[api_type]}",
        f"auth_files: {json.dumps([str(file) for file in files])}",
        "oauth_client_secret: client-secret-canary",
    ]


def place(api_type: str, simulator: str, folder: Path) -> list[str]:
    """What a simulated upstream of any api_type says of its place and of what it is paid with."""
    if api_type not in API_TYPES:
        return [f"api_type: {api_type}", f"base_url: {simulator}", "token: upstream-key-canary"]
    file = folder / f"{api_type}.json"
    write_login(file, api_type)
    return upstream_lines(api_type, simulator, file)
