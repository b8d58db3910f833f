"""Auth files of Google's logins, and what its services say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NOW = 1_767_225_600.0
"""2026-01-01T00:00:00Z."""

VENDOR: Mapping[str, Any] = {
    "access_token": "access-canary",
    "refresh_token": "refresh-canary",
    "scope": "https://www.googleapis.com/auth/cloud-platform",
    "token_type": "Bearer",
    "id_token": "id-canary",
    "expiry_date": 1_767_229_200_500,
}
"""Gemini CLI's own file, good for an hour and half a second from NOW."""

NESTED: Mapping[str, Any] = {
    "type": "gemini",
    "project_id": "project-1",
    "email": "ada@example.com",
    "auto": True,
    "token": {
        "access_token": "access-canary",
        "refresh_token": "refresh-canary",
        "token_type": "Bearer",
        "expiry": "2026-01-01T02:00:00.123456789+01:00",
        "client_id": "client-of-the-file",
        "client_secret": "secret-of-the-file",
    },
}
FLAT: Mapping[str, Any] = {
    "type": "antigravity",
    "access_token": "access-canary",
    "refresh_token": "refresh-canary",
    "email": "ada@example.com",
    "expires_in": 3599,
    "timestamp": 1_767_225_600_000,
    "expired": "2026-01-01T01:00:00Z",
    "project_id": "project-2",
}

GRANTED: Mapping[str, Any] = {
    "access_token": "fresh-canary",
    "expires_in": 3599,
    "scope": "https://www.googleapis.com/auth/cloud-platform",
    "token_type": "Bearer",
}
"""What Google gives for a refresh token: no other refresh token."""

SECRET = "oauth_client_secret: secret-canary"


def without(document: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name not in names}
