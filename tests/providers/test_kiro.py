"""Tests of aiproxy.providers.kiro: endpoints, headers, profiles, and what its errors mean."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar
from uuid import UUID

from twisted.trial.unittest import SynchronousTestCase

from aiproxy import ir
from aiproxy.errors import CredentialError, ErrorReply
from aiproxy.messages import Credential, Headers, header
from aiproxy.providers.contract import Prepared
from aiproxy.providers.kiro import KIRO, METADATA
from aiproxy.redaction import Secret
from aiproxy.wire import kiro
from tests.provider_contract import CANARY, ProviderContract
from tests.providers.kiro_samples import (
    ARN,
    EXTERNAL,
    IDC,
    NOW,
    OURS,
    SOCIAL,
    auth_file,
    credential,
    login,
    upstream,
    without,
)
from tests.providers.kiro_samples import reply as http_reply
from tests.providers.samples import call

HOUR = 3600.0

ROUND: dict[str, Any] = {
    "model": "m",
    "max_tokens": 10,
    "tools": [{"name": "f", "description": "d", "input_schema": {"type": "object"}}],
    "messages": [
        {"role": "user", "content": 'say "origin":"AI_EDITOR"'},
        {
            "role": "assistant",
            "content": [
                {"type": "tool_use", "id": "t1", "name": "f", "input": {"origin": "AI_EDITOR"}}
            ],
        },
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "r"}],
        },
    ],
}


def prepared(
    document: Mapping[str, Any] = OURS,
    lines: str = "",
    body: Mapping[str, Any] | None = None,
    wire: str = "anthropic",
    id: str = "id-1",
) -> Prepared:
    sent = None if body is None else json.dumps(body).encode()
    of = call(wire, sent, id=id)
    return KIRO.prepare(of, "claude-opus-4.8", upstream(lines), credential(document))


def elsewhere(first: Prepared, lines: str = "") -> list[Prepared]:
    return list(KIRO.elsewhere(first, upstream(lines)))


def body(of: Prepared) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(of.http.body)
    return read


def origins(of: Prepared) -> list[str]:
    """What the user's messages say of their origin."""
    state = body(of)["conversationState"]
    messages = [*state["history"], state["currentMessage"]]
    return [m["userInputMessage"]["origin"] for m in messages if "userInputMessage" in m]


def judged(
    status: int, document: object, *headers: tuple[str, str], now: float = NOW
) -> ErrorReply:
    answer = http_reply(status, document, *headers)
    said = kiro.decode_reply(status, answer.body)
    assert isinstance(said, ErrorReply)
    return KIRO.judge(answer, said, now)


class ContractTests(ProviderContract, SynchronousTestCase):
    api_type = "kiro"
    document: ClassVar = {**SOCIAL, "accessToken": CANARY, "refreshToken": CANARY}


class EndpointTests(SynchronousTestCase):
    def test_in_turn(self) -> None:
        """Two endpoints in the profile's region take the same request, but for its origin."""
        first = prepared()
        (second,) = elsewhere(first)
        self.assertEqual(
            [each.http.url for each in (first, second)],
            [
                "https://runtime.eu-central-1.kiro.dev/generateAssistantResponse",
                "https://q.eu-central-1.amazonaws.com/generateAssistantResponse",
            ],
        )
        self.assertEqual([origins(first), origins(second)], [["AI_EDITOR"], ["CLI"]])
        self.assertEqual(first.http.headers, second.http.headers)
        self.assertTrue(first.stream and second.stream)
        self.assertEqual(elsewhere(second), [])

    def test_origin_alone_changes(self) -> None:
        """What a message or a tool's input says is left alone, and so is all else."""
        first = prepared(body=ROUND)
        (second,) = elsewhere(first)
        self.assertEqual(origins(second), ["CLI", "CLI"])
        expected = body(first)
        state = expected["conversationState"]
        for message in (state["history"][0], state["currentMessage"]):
            message["userInputMessage"]["origin"] = "CLI"
        self.assertEqual(body(second), expected)

    def test_without_a_profile(self) -> None:
        """The endpoint that needs a profile is left out where there is none."""
        first = prepared(IDC)
        self.assertEqual(
            first.http.url, "https://q.us-east-1.amazonaws.com/generateAssistantResponse"
        )
        self.assertEqual(origins(first), ["CLI"])
        self.assertNotIn("profileArn", body(first))
        self.assertEqual(elsewhere(first), [])

    def test_configured(self) -> None:
        """The list can be another one; a base URL is the only place."""
        lines = "metadata: {endpoints: 'http://a.test/x ONE, http://b.{region}.test/y TWO,'}"
        first = prepared(lines=lines)
        (second,) = elsewhere(first, lines)
        self.assertEqual(
            [first.http.url, second.http.url], ["http://a.test/x", "http://b.eu-central-1.test/y"]
        )
        self.assertEqual(origins(first) + origins(second), ["ONE", "TWO"])
        only = prepared(lines="base_url: http://127.0.0.1:1/k")
        self.assertEqual(only.http.url, "http://127.0.0.1:1/k/generateAssistantResponse")
        self.assertEqual(elsewhere(only), [])
        bare = "metadata: {endpoints: 'https://needs.test/ AI_EDITOR profile'}"
        self.assertEqual(prepared(IDC, bare).http.url, "https://needs.test/")
        self.assertRaises(CredentialError, prepared, OURS, "metadata: {endpoints: ' '}")

    def test_operations(self) -> None:
        """Only answers are generated; tokens are not counted there."""
        self.assertTrue(KIRO.serves(call("chat")))
        counting = call("anthropic", path="/v1/messages/count_tokens")
        self.assertFalse(KIRO.serves(counting))


class HeaderTests(SynchronousTestCase):
    def headers(self, document: Mapping[str, Any] = OURS, lines: str = "") -> Headers:
        return prepared(document, lines).http.headers

    def test_the_vendors_own(self) -> None:
        """The token, and all that the vendor's own client says of itself."""
        found = dict(self.headers())
        machine = "ab" * 32
        ide = f"KiroIDE-{METADATA['kiro_version']}-{machine}"
        sdk = METADATA["sdk_version"]
        self.assertEqual(found["Authorization"], "Bearer access-canary")
        self.assertEqual(found["Content-Type"], "application/json")
        self.assertEqual(found["x-amz-user-agent"], f"aws-sdk-js/{sdk} {ide}")
        self.assertTrue(found["User-Agent"].startswith(f"aws-sdk-js/{sdk} ua/2.1 os/"))
        self.assertTrue(found["User-Agent"].endswith(f" m/E {ide}"))
        self.assertNotIn("{", found["User-Agent"])
        self.assertEqual(found["x-amzn-kiro-agent-mode"], "vibe")
        self.assertEqual(found["x-amzn-codewhisperer-optout"], "true")
        self.assertNotIn("TokenType", found)

    def test_invocation(self) -> None:
        """Each call has its own UUID, made of the call's id alone."""
        ids = [
            header(prepared(id=id).http.headers, "amz-sdk-invocation-id") or ""
            for id in ("one", "one", "two")
        ]
        self.assertEqual(ids[0], ids[1])
        self.assertNotEqual(ids[0], ids[2])
        self.assertEqual(UUID(ids[0]).version, 4)

    def test_external(self) -> None:
        """A company's login says so."""
        self.assertEqual(header(self.headers(EXTERNAL), "tokentype"), "EXTERNAL_IDP")

    def test_configured(self) -> None:
        """Versions come from the metadata; the operator's headers win over all, or remove one."""
        found = self.headers(lines="metadata: {kiro_version: 9.9.9}")
        self.assertIn("KiroIDE-9.9.9-", header(found, "user-agent") or "")
        found = self.headers(lines="http_headers: {User-Agent: mine, x-amz-user-agent: ''}")
        self.assertEqual(header(found, "user-agent"), "mine")
        self.assertIsNone(header(found, "x-amz-user-agent"))

    def test_client_headers_stay(self) -> None:
        """Nothing that a client says of itself goes there."""
        of = call("anthropic", headers=(("User-Agent", "theirs"), ("anthropic-beta", "b")))
        sent = KIRO.prepare(of, "m", upstream(), credential())
        self.assertNotIn("theirs", str(sent.http.headers))
        self.assertIsNone(header(sent.http.headers, "anthropic-beta"))

    def test_without_a_login(self) -> None:
        """A bare token is no credential."""
        bare = Credential("token 1", Secret("x"))
        self.assertRaises(CredentialError, KIRO.prepare, call("chat"), "m", upstream(), bare)


class BodyTests(SynchronousTestCase):
    def test_request(self) -> None:
        """The mapped model, the profile, and what could not be carried."""
        sent = prepared(body={**ROUND, "temperature": 0.5})
        found = body(sent)
        current = found["conversationState"]["currentMessage"]["userInputMessage"]
        self.assertEqual(current["modelId"], "claude-opus-4.8")
        self.assertEqual(found["profileArn"], ARN)
        self.assertIn(ir.Loss("temperature"), sent.losses)
        self.assertNotIn("inferenceConfig", found)

    def test_conversation(self) -> None:
        """All turns of a conversation have its id; another session of the client has another."""
        turns = ROUND["messages"]
        sessions = [{"user_id": f"user_1_session_{UUID(int=n)}"} for n in (1, 2)]
        ids = [
            body(prepared(body={**ROUND, **more}))["conversationState"]["conversationId"]
            for more in (
                {"messages": turns[:1]},
                {},
                {"messages": turns[:1], "metadata": sessions[0]},
                {"metadata": sessions[0]},
                {"metadata": sessions[1]},
            )
        ]
        self.assertEqual((ids[0], ids[2]), (ids[1], ids[3]))
        self.assertEqual(len({*ids}), 3)
        self.assertEqual({str(UUID(each)) for each in ids}, {*ids})

    def test_configured_profile(self) -> None:
        """The operator's profile stands in where the file has none."""
        mine = "arn:aws:codewhisperer:eu-west-1:1:profile/mine"
        lines = f"metadata: {{profile_arn: '{mine}'}}"
        sent = prepared(IDC, lines)
        self.assertEqual(body(sent)["profileArn"], mine)
        self.assertIn("//runtime.eu-west-1.", sent.http.url)
        self.assertEqual(body(prepared(OURS, lines))["profileArn"], ARN)


class MendingTests(SynchronousTestCase):
    refusal = ErrorReply(400, "invalid_request", "profileArn is required for this request")

    def test_toggle(self) -> None:
        """What named a profile names none; what named none names the service's own."""
        with_one = prepared(body=ROUND)
        mended = KIRO.mended(with_one, self.refusal)
        assert mended is not None
        self.assertNotIn("profileArn", body(mended))
        self.assertIn("//q.eu-central-1.", mended.http.url)
        self.assertEqual(origins(mended), ["CLI", "CLI"])
        self.assertEqual(elsewhere(mended), [])
        for document, key in ((IDC, "builder_id"), (without(SOCIAL, "profileArn"), "social")):
            mended = KIRO.mended(prepared(document), replace(self.refusal, status=403))
            assert mended is not None
            self.assertEqual(body(mended)["profileArn"], METADATA[f"{key}_profile_arn"])

    def test_other_errors(self) -> None:
        """Anything else is left as it is."""
        for error in (
            ErrorReply(400, "invalid_request", "tools: bad"),
            replace(self.refusal, status=500),
        ):
            self.assertIsNone(KIRO.mended(prepared(), error))
        lines = "metadata: {builder_id_profile_arn: ''}"
        self.assertIsNone(KIRO.mended(prepared(IDC, lines), self.refusal))


class JudgementTests(SynchronousTestCase):
    def test_kinds(self) -> None:
        """Status, exception and reason tell what follows."""
        for status, document, kind in (
            (400, {"reason": "CONTENT_LENGTH_EXCEEDS_THRESHOLD"}, "context_length"),
            (400, {"reason": "PROMPT_TOO_LONG"}, "context_length"),
            (400, {"reason": "INVALID_MODEL_ID"}, "model_not_found"),
            (400, {"reason": "TOOL_USE_INVALID"}, "invalid_request"),
            (400, {"reason": "IMAGE_TOO_LARGE"}, "invalid_request"),
            (401, {"message": "no"}, "authentication"),
            (402, {"reason": "MONTHLY_REQUEST_COUNT"}, "rate_limit"),
            (402, {"reason": "OVERAGE_REQUEST_LIMIT_EXCEEDED"}, "rate_limit"),
            (402, {"__type": "ServiceQuotaExceededException"}, "rate_limit"),
            (402, {"reason": "CONVERSATION_LIMIT"}, "context_length"),
            (
                403,
                {"message": "The bearer token included in the request is invalid."},
                "authentication",
            ),
            (403, {"Message": "The security token is expired"}, "authentication"),
            (403, {"reason": "FEATURE_NOT_SUPPORTED"}, "permission"),
            (404, {"__type": "ResourceNotFoundException"}, "not_found"),
            (409, {"__type": "ConflictException"}, "conflict"),
            (429, {"reason": "DAILY_REQUEST_COUNT"}, "rate_limit"),
            (429, {"reason": "INSUFFICIENT_MODEL_CAPACITY"}, "overloaded"),
            (429, {"message": "slow"}, "rate_limit"),
            (500, {"reason": "MODEL_TEMPORARILY_UNAVAILABLE"}, "overloaded"),
            (503, {}, "overloaded"),
        ):
            self.assertEqual(judged(status, document).kind, kind, document)

    def test_conversation_limit(self) -> None:
        """A conversation that has grown too long is the request's fault, whatever the status."""
        self.assertEqual(judged(402, {"reason": "CONVERSATION_LIMIT"}).status, 400)

    def test_named_in_a_header(self) -> None:
        """A body that names no exception leaves that to a header."""
        named = ("x-amzn-ErrorType", "com.amazon.x#ServiceQuotaExceededException:http://x/")
        said = judged(400, {"message": "enough"}, named)
        self.assertEqual((said.kind, said.code), ("rate_limit", "ServiceQuotaExceededException"))
        said = judged(400, {"message": "m", "reason": "INVALID_MODEL_ID"}, named)
        self.assertEqual(said.code, "INVALID_MODEL_ID")

    def test_pauses(self) -> None:
        """An account that is used up rests until it is filled, but is tried again in between."""
        month = {"reason": "MONTHLY_REQUEST_COUNT"}
        day = {"reason": "DAILY_REQUEST_COUNT"}
        for document, now, pause in (
            (month, NOW, 6 * HOUR),
            (month, NOW - 2 * HOUR, 2 * HOUR),
            (month, NOW + 31 * 24 * HOUR - 60, 60),
            (day, NOW, 6 * HOUR),
            (day, NOW + 23 * HOUR, HOUR),
        ):
            self.assertEqual(judged(429, document, now=now).retry_after, pause)
        said = ErrorReply(429, "quota", "m", retry_after=5.0)
        self.assertEqual(KIRO.judge(http_reply(429, {}), said, NOW).retry_after, 5.0)

    def test_suspended(self) -> None:
        """A suspended account rests for a day."""
        said = judged(403, {"message": "m", "reason": "TEMPORARILY_SUSPENDED"})
        self.assertEqual((said.kind, said.retry_after), ("permission", 24 * HOUR))

    def test_of_one_model(self) -> None:
        """A model that is overrun says nothing of the others."""
        self.assertTrue(judged(429, {"reason": "INSUFFICIENT_MODEL_CAPACITY"}).model_only)
        self.assertTrue(judged(500, {"reason": "MODEL_TEMPORARILY_UNAVAILABLE"}).model_only)
        self.assertFalse(judged(429, {"message": "slow"}).model_only)

    def test_others_need_no_pause(self) -> None:
        """Nothing is made up for the others."""
        self.assertIsNone(judged(429, {"reason": "INSUFFICIENT_MODEL_CAPACITY"}).retry_after)
        self.assertIsNone(judged(500, {}).retry_after)


class LoginTests(SynchronousTestCase):
    def test_contract(self) -> None:
        """A login is read, found stale, renewed and completed through the provider."""
        read = KIRO.read_login(auth_file(without(OURS, "machine_id")))
        self.assertTrue(KIRO.lacks(read, upstream()))
        self.assertFalse(KIRO.lacks(login(), upstream()))
        self.assertFalse(KIRO.is_stale(read, NOW))
        self.assertRaises(StopIteration, next, KIRO.discover(read, upstream(), NOW))
        self.assertIn("oidc", next(KIRO.renew(read, upstream(), NOW)).url)  # type: ignore[union-attr]

    def test_affinity(self) -> None:
        """A conversation stays with its account, for the sake of its caches."""
        self.assertTrue(upstream().affinity)
