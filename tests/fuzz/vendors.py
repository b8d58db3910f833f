"""
What must hold of auth files, of what login services say, of errors, and of envelopes.

A dialogue with a vendor is one reply a line: its status, a blank, its body.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache

from aiproxy.errors import CredentialError, ErrorReply, UpstreamProtocolError
from aiproxy.messages import HttpReply, HttpRequest, Login
from aiproxy.providers.codeassist.answers import Unwrapping
from aiproxy.providers.codex import Restoring
from aiproxy.providers.contract import AuthFile, Envelope, LoginProvider
from aiproxy.settings import Upstream
from aiproxy.wire import OUTBOUND
from tests.providers import samples
from tests.wire import exchanges

_NOW = 1_800_000_000.0

FILES: Mapping[str, object] = {
    "codex": {"tokens": {"access_token": "a.b.c", "refresh_token": "r"}, "last_refresh": "2026"},
    "claudecode": {"claudeAiOauth": {"accessToken": "a", "refreshToken": "r", "expiresAt": 1}},
    "geminicli": {"access_token": "a", "refresh_token": "r", "expiry_date": 1, "scope": "s"},
    "antigravity": {"access_token": "a", "refresh_token": "r", "type": "antigravity"},
    "kiro": {"accessToken": "a", "refreshToken": "r", "authMethod": "social", "provider": "Google"},
}
_MORE_FILES: Sequence[object] = (
    {"accessToken": "a", "refreshToken": "r", "expiresAt": "2026", "clientIdHash": "h"},
    {"token": {"access_token": "a", "expiry": "2026-01-01T00:00:00Z"}, "project_id": "p"},
    {"access_token": "a", "expired": "2026-01-01T00:00:00Z", "auth_method": "IdC"},
)


def auth_file(provider: LoginProvider, data: bytes) -> None:
    """A login, or refused in words."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return
    if isinstance(document, dict):
        login = _login(provider, document)
        if login is not None:
            provider.is_stale(login, 0.0)


def _login(provider: LoginProvider, document: Mapping[str, object]) -> Login | None:
    try:
        return provider.read_login(AuthFile("a.json", document, lambda _: document))
    except CredentialError:
        return None


def auth_files() -> Iterable[bytes]:
    for document in (*FILES.values(), *_MORE_FILES):
        yield json.dumps(document).encode()


# ── what a vendor says ──


def dialogue(provider: LoginProvider, data: bytes) -> None:
    """Whatever comes back: a login is renewed or not, what it lacks is found, errors are judged."""
    replies = [_reply(line) for line in data.split(b"\n")]
    login, upstream = _prepared(provider)
    for begin in (provider.renew, provider.discover):
        try:
            flow = begin(login, upstream, _NOW)
            step = next(flow)
            for reply in replies:
                step = flow.send(reply if isinstance(step, HttpRequest) else HttpReply(0))
        except StopIteration as ended:
            assert all(change.path for change in ended.value)
            json.dumps([change.value for change in ended.value])
        except (CredentialError, NotImplementedError):
            continue
    for reply in replies:
        if reply.status >= 400:
            _judge(provider, reply, login)


@cache
def _prepared(provider: LoginProvider) -> tuple[Login, Upstream]:
    document = FILES[provider.api_type]
    assert isinstance(document, dict)
    login = _login(provider, document)
    assert login is not None
    return login, samples.configured(provider.api_type, "oauth_client_secret: s")


def _judge(provider: LoginProvider, reply: HttpReply, login: Login) -> None:
    said = OUTBOUND[provider.wire].decode_reply(reply.status, reply.body)
    assert isinstance(said, ErrorReply)
    judged = provider.judge(reply, said, _NOW)
    assert judged.retry_after is None or judged.retry_after >= 0, "a pause before now"
    sent = samples.prepared(provider.api_type, samples.call("chat"), login=login)
    provider.mended(sent, judged)


def _reply(line: bytes) -> HttpReply:
    status, _, body = line.partition(b" ")
    is_status = len(status) == 3 and status.isdigit() and int(status) >= 100
    return HttpReply(int(status) if is_status else 200, (), body)


def dialogues() -> Iterable[bytes]:
    token = {"access_token": "a", "refresh_token": "r", "expires_in": 3600, "id_token": "a.b.c"}
    kiro = {"accessToken": "a", "refreshToken": "r", "expiresIn": 3600, "profileArn": "arn:x"}
    project = {"cloudaicompanionProject": "p", "currentTier": {"id": "free-tier"}}
    operation = {"name": "operations/1", "done": True, "response": project}
    limits = [
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "3.5s"},
        {
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": "QUOTA_EXHAUSTED",
            "metadata": {"model": "m", "quotaResetTimeStamp": "2027-01-01T00:00:00Z"},
        },
    ]
    google = {"error": {"code": 429, "message": "reset after 1h2m3s", "details": limits}}
    codex = {"error": {"type": "usage_limit_reached", "resets_at": 1, "resets_in_seconds": 2}}
    refused = {"error": "invalid_grant", "error_description": "revoked"}
    pending = {"message": "x", "reason": "MONTHLY_REQUEST_COUNT", "__type": "ThrottlingException"}
    for replies in (
        (200, token, 200, project, 200, operation),
        (200, kiro, 200, {"profiles": [{"arn": "arn:aws:x", "profileName": "n"}]}),
        (400, refused, 401, refused),
        (429, google, 503, google),
        (429, codex, 403, {"detail": "Unsupported parameter: metadata"}),
        (429, pending, 402, pending),
    ):
        lines = [
            b"%d %b" % (status, json.dumps(body).encode())
            for status, body in zip(replies[::2], replies[1::2], strict=True)
        ]
        yield b"\n".join(lines)


# ── envelopes ──


def envelope(kind: str, data: bytes) -> None:
    """What is taken out is one message, in bytes that are read as the same, or is refused."""
    opened = _envelope(kind)
    for message in exchanges.framed(data):
        try:
            inner = opened.message(message)
        except UpstreamProtocolError:
            continue
        (again,) = exchanges.framed(inner.raw)
        assert (again.event, again.data) == (inner.event, inner.data), "another message"
    try:
        opened.whole(data)
    except UpstreamProtocolError:
        return


def _envelope(kind: str) -> Envelope:
    if kind == "codex":
        return Restoring({"get_weather": "weather", "second_tool": "t" * 70})
    return Unwrapping()
