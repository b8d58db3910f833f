"""
Upstreams paid by API key: four rows of data, one way to use them.

Sources: the API references of Anthropic, OpenAI and Google; `anthropic-version` values as the
vendor documents them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from aiproxy.messages import Credential, Headers, HttpRequest, header
from aiproxy.providers.contract import Call, Prepared, Provider
from aiproxy.providers.outgoing import (
    encoded,
    joined,
    lifted_betas,
    merged_betas,
    passed,
    passes_as_it_is,
    with_overrides,
    with_query,
)
from aiproxy.settings import ApiType, Upstream
from aiproxy.wire.contract import Encoded, Operation
from aiproxy.wire.gemini import path_for

_ALWAYS_PASSED = ("user-agent",)
_ANTHROPIC_VERSION = "2023-06-01"
_OAUTH_TOKEN = "sk-ant-oat"
_OAUTH_BETA = "oauth-2025-04-20"
_BY_TOKEN = ApiType("tokens")


def _unchanged(call: Call, body: bytes, headers: Headers) -> tuple[bytes, Headers]:
    return body, headers


@dataclass(frozen=True, slots=True)
class ApiKeyProvider(Provider):
    """
    path: where an operation lives, given the mapped model and whether to stream.
    operations: what it has; "compact" only for a client of its own wire.
    authorize: the headers that carry the key.
    passed: client headers, and prefixes ending in "-", that a client of the same wire may send on.
    headers: sent unless the client's own passed.
    model_in_body: else it stands in the path.
    withheld: query parameters that a client may not choose.
    adapt: last changes to a body that passes as it is, and to its headers.
    """

    api_type: str
    wire: str
    path: Callable[[str, Operation, bool], str]
    operations: frozenset[Operation]
    authorize: Callable[[str], Headers]
    passed: tuple[str, ...] = ()
    headers: Headers = ()
    model_in_body: bool = True
    withheld: frozenset[str] = frozenset()
    adapt: Callable[[Call, bytes, Headers], tuple[bytes, Headers]] = _unchanged
    settings: ApiType = _BY_TOKEN

    def serves(self, call: Call) -> bool:
        if call.wire != self.wire and call.head.operation == "compact":
            return False
        return call.head.operation in self.operations

    def prepare(
        self, call: Call, model: str, upstream: Upstream, credential: Credential
    ) -> Prepared:
        native = call.wire == self.wire
        path = self.path(model, call.head.operation, call.head.stream)
        url = joined(upstream.base_url, path)
        headers = self._headers(call, native) + self.authorize(credential.secret.reveal())
        worded = self._encoded(call, model)
        body = worded.body
        if native:
            body, headers = self.adapt(call, body, headers)
            url = with_query(url, call.query, self.withheld)
        headers = with_overrides(merged_betas(headers), upstream.http_headers)
        http = HttpRequest("POST", url, headers, body)
        return Prepared(http, call.head.stream, worded.losses)

    def _encoded(self, call: Call, model: str) -> Encoded:
        if not self.model_in_body and passes_as_it_is(call, self.wire):
            return Encoded(call.body)
        return encoded(call, self.wire, model)

    def _headers(self, call: Call, native: bool) -> Headers:
        kept = passed(call.headers, (*_ALWAYS_PASSED, *(self.passed if native else ())))
        fixed = tuple([one for one in self.headers if header(kept, one[0]) is None])
        accept = "text/event-stream" if call.head.stream else "application/json"
        return (("Content-Type", "application/json"), ("Accept", accept), *fixed, *kept)


def _anthropic_key(token: str) -> Headers:
    if token.startswith(_OAUTH_TOKEN):
        return (("Authorization", f"Bearer {token}"), ("anthropic-beta", _OAUTH_BETA))
    return (("x-api-key", token),)


def _bearer(token: str) -> Headers:
    return (("Authorization", f"Bearer {token}"),)


def _google_key(token: str) -> Headers:
    return (("x-goog-api-key", token),)


def _fixed(paths: Mapping[Operation, str]) -> Callable[[str, Operation, bool], str]:
    def path(model: str, operation: Operation, stream: bool) -> str:
        return paths[operation]

    return path


_ANTHROPIC_PATHS: Mapping[Operation, str] = {
    "generate": "/v1/messages",
    "count": "/v1/messages/count_tokens",
}
_CHAT_PATHS: Mapping[Operation, str] = {"generate": "/v1/chat/completions"}
_RESPONSES_PATHS: Mapping[Operation, str] = {
    "generate": "/v1/responses",
    "compact": "/v1/responses/compact",
    "count": "/v1/responses/input_tokens",
}
# What says whose account is asked, such as openai-organization and x-goog-user-project, belongs to
# the client's own key, and would be refused together with ours.
_OPENAI_PASSED = (
    "openai-beta",
    "x-stainless-",
    "x-client-request-id",
    "idempotency-key",
)

ROWS = (
    ApiKeyProvider(
        api_type="anthropic",
        wire="anthropic",
        path=_fixed(_ANTHROPIC_PATHS),
        operations=frozenset(_ANTHROPIC_PATHS),
        authorize=_anthropic_key,
        passed=(
            "anthropic-",
            "x-stainless-",
            "x-app",
            "x-claude-code-session-id",
            "idempotency-key",
        ),
        headers=(("anthropic-version", _ANTHROPIC_VERSION),),
        adapt=lifted_betas,
    ),
    ApiKeyProvider(
        api_type="openai",
        wire="chat",
        path=_fixed(_CHAT_PATHS),
        operations=frozenset(_CHAT_PATHS),
        authorize=_bearer,
        passed=_OPENAI_PASSED,
    ),
    ApiKeyProvider(
        api_type="responses",
        wire="responses",
        path=_fixed(_RESPONSES_PATHS),
        operations=frozenset(_RESPONSES_PATHS),
        authorize=_bearer,
        passed=(*_OPENAI_PASSED, "x-codex-", "session-id", "thread-id", "originator", "version"),
    ),
    ApiKeyProvider(
        api_type="gemini",
        wire="gemini",
        path=path_for,
        operations=frozenset({"generate", "count"}),
        authorize=_google_key,
        passed=("x-goog-api-client", "x-server-timeout"),
        model_in_body=False,
        # They change the form of the answer; without them it is what the wire can read.
        withheld=frozenset({"alt", "$alt", "callback", "$callback", "fields", "$fields"}),
    ),
)
