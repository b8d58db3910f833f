"""Login services and vendors that repeat the secrets they were shown, wherever they can."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias
from urllib.parse import unquote_plus

from twisted.web.resource import Resource
from twisted.web.server import Request

from tests.integration.logins import DOCUMENTS
from tests.providers import kiro_samples

_SECRET = re.compile(r"[\w-]*canary[\w-]*")
_LASTING: Mapping[str, Mapping[str, Any]] = {
    "geminicli": {"expiry_date": 4e12},
    "antigravity": {"expired": "2099-01-01T00:00:00Z"},
}
"""What keeps a login from being renewed first."""

Phase: TypeAlias = Literal["renewal", "discovery", "call"]
Shape: TypeAlias = Callable[[str], Any]

_KINDS = ("google.rpc.ErrorInfo", "google.rpc.Help")
SHAPES: tuple[Shape, ...] = (
    lambda secret: {"error": secret, "error_description": f"not {secret}"},
    lambda secret: {"error": {"code": secret, "message": f"not {secret}", "param": secret}},
    lambda secret: {"type": "error", "error": {"type": secret, "message": f"not {secret}"}},
    lambda secret: {"code": secret, "message": f"not {secret}", "reason": secret},
    lambda secret: {"__type": f"com.amazon#{secret}", "message": secret},
    lambda secret: {
        "error": {
            "status": secret,
            "message": "long " * 95 + secret,
            "details": [
                {"@type": kind, "reason": secret, "links": [{"url": f"https://x.test/{secret}"}]}
                for kind in _KINDS
            ],
        }
    },
    lambda secret: [{"access_token": [secret], "detail": secret}],
    lambda secret: f"<title>{secret}</title> no {secret}",
)

GRANTS: tuple[Shape, ...] = (
    lambda secret: {"access_token": {secret: secret}},
    lambda secret: {"access_token": f"a\n{secret}", "accessToken": f"a\n{secret}"},
)
"""Of good answers to a renewal, which give no token that could be used."""

FINDINGS: tuple[Shape, ...] = (
    lambda secret: {"ineligibleTiers": [{"reasonCode": secret, "reasonMessage": secret}]},
    lambda secret: {
        "ineligibleTiers": [
            {"reasonCode": "VALIDATION_REQUIRED", "validationUrl": f"https://x.test/?t={secret}"}
        ]
    },
    lambda secret: {"currentTier": {"id": secret}, "profiles": [{"arn": f"a\n{secret}"}]},
    lambda secret: {"cloudaicompanionProject": f"a\n{secret}"},
)
"""Of good answers that name no project, and no profile."""


@dataclass(frozen=True, slots=True)
class Quote:
    """
    One upstream with one login, and how everybody it asks will answer.

    phase: in which the secrets are first shown. document: of its auth file.
    """

    number: int
    api_type: str
    phase: Phase
    document: Mapping[str, Any]
    status: int
    shape: Shape

    @property
    def model(self) -> str:
        return f"m{self.number}"

    def lines(self, url: str, file: str) -> str:
        """It in a configuration. url: of a `Quoting` server."""
        place = f"{url}/{self.number}"
        return (
            f"  - name: u{self.number}\n"
            f"    api_type: {self.api_type}\n"
            f"    base_url: {place}\n"
            f"    token_url: {place}/token\n"
            f"    auth_files: {json.dumps([file])}\n"
            f"    oauth_client_secret: client-secret-canary\n"
            f"    available_models: [{self.model}]\n"
        )


class Quoting(Resource):
    """Answers each request as its quote says, with the secrets found in it."""

    isLeaf = True

    def __init__(self, quotes: list[Quote]) -> None:
        super().__init__()
        self._quotes = quotes
        self.seen: set[int] = set()

    def render(self, request: Request) -> bytes:
        quote = self._quotes[int(request.path.split(b"/")[1])]
        self.seen.add(quote.number)
        content: Any = request.content
        shown = f"{request.requestHeaders!r} {unquote_plus(content.read().decode())}"
        secret = max(_SECRET.findall(shown), key=len)
        request.setResponseCode(quote.status)
        request.setHeader("x-amzn-errortype", secret)
        request.setHeader("x-request-id", secret)
        said = quote.shape(secret)
        if isinstance(said, str):
            request.setHeader("content-type", "text/html")
            return said.encode()
        request.setHeader("content-type", "application/json")
        return json.dumps(said).encode()


def quotes() -> list[Quote]:
    """Each vendor, each phase, each status and each shape."""
    found: list[Quote] = []
    for phase, statuses in _STATUSES.items():
        for api_type, document in _documents(phase):
            for status in statuses:
                for shape in _GOOD[phase] if status == 200 else SHAPES:
                    # Some are longer than any word of a code may be.
                    login = _renamed(document, "x" * 90 if len(found) % 2 else "x")
                    found.append(Quote(len(found), api_type, phase, login, status, shape))
    return found


_GOOD: Mapping[Phase, tuple[Shape, ...]] = {"renewal": GRANTS, "discovery": FINDINGS}

_STATUSES: Mapping[Phase, tuple[int, ...]] = {
    "renewal": (400, 401, 200),
    "discovery": (403, 200),
    "call": (400, 401, 500),
}


def _documents(phase: Phase) -> Iterator[tuple[str, dict[str, Any]]]:
    if phase == "renewal":
        for api_type, make in DOCUMENTS.items():
            yield api_type, make("", "refresh-canary", "demo")
        client = {"clientId": "client-1", "clientSecret": "client-secret-canary-of-the-file"}
        yield "kiro", kiro_samples.without({**kiro_samples.IDC, **client}, "accessToken")
        yield "kiro", {**kiro_samples.EXTERNAL, "expiresAt": "2020-01-01T00:00:00Z"}
        return
    for api_type, make in DOCUMENTS.items():
        ready = {**make("access-canary", "refresh-canary", "demo"), **_LASTING.get(api_type, {})}
        if phase == "call":
            yield api_type, {**ready, "project_id": "project-1"}
        elif api_type in ("geminicli", "antigravity", "kiro"):
            yield api_type, kiro_samples.without(ready, "profileArn")


def _renamed(document: Mapping[str, Any], end: str) -> Mapping[str, Any]:
    """The same with other secrets: their ends are longer."""
    text = json.dumps(document)
    renamed: Mapping[str, Any] = json.loads(re.sub(r'canary(?=[\w-]*")', f"canary-{end}", text))
    return renamed
