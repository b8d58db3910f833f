"""Tests of aiproxy.providers.kiro_flows: how logins are renewed, and what is asked about them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from aiproxy.errors import CredentialDisabled, CredentialError
from aiproxy.messages import HttpReply, HttpRequest, header
from aiproxy.providers.contract import Flow
from aiproxy.providers.kiro_flows import discover, is_stale, renew
from tests.providers.kiro_samples import (
    ARN,
    EXTERNAL,
    IDC,
    NOW,
    OURS,
    SOCIAL,
    auth_file,
    first_request,
    login,
    outcome,
    reply,
    upstream,
    without,
)

TOKENS = {"accessToken": "new-access", "refreshToken": "new-refresh", "expiresIn": 3600}


def renewal(document: Mapping[str, Any], lines: str = "") -> HttpRequest:
    return first_request(renew(login(document), upstream(lines), NOW))


def renewed(document: Mapping[str, Any], answer: HttpReply) -> dict[str, Any]:
    return outcome(renew(login(document), upstream(), NOW), answer)


class StaleTests(SynchronousTestCase):
    def test_margin(self) -> None:
        """A token is renewed five minutes before its end; one without an end lasts."""
        read = login(SOCIAL)
        ends = read.expires_at or 0
        self.assertFalse(is_stale(read, ends - 301))
        self.assertTrue(is_stale(read, ends - 300))
        self.assertFalse(is_stale(login(without(SOCIAL, "expiresAt")), ends + 10**9))
        self.assertTrue(is_stale(login(without(SOCIAL, "accessToken")), 0))


class RenewalTests(SynchronousTestCase):
    def test_social(self) -> None:
        """Kiro's own service is asked in the login's region, under the vendor's agent."""
        asked = renewal({**SOCIAL, "region": "eu-west-1"})
        self.assertEqual(asked.url, "https://prod.eu-west-1.auth.desktop.kiro.dev/refreshToken")
        self.assertEqual(json.loads(asked.body), {"refreshToken": "refresh-canary"})
        agent = header(asked.headers, "user-agent") or ""
        self.assertRegex(agent, r"^KiroIDE-[0-9.]+-[0-9a-f]{64}$")

    def test_idc(self) -> None:
        """AWS is asked in the region of the login, not of the profile, with the client."""
        asked = renewal(OURS)
        self.assertEqual(asked.url, "https://oidc.us-east-1.amazonaws.com/token")
        self.assertEqual(
            json.loads(asked.body),
            {
                "clientId": "client-1",
                "clientSecret": "client-secret-canary",
                "refreshToken": "refresh-canary",
                "grantType": "refresh_token",
            },
        )
        beside = renewal(without(IDC, "region"))
        self.assertEqual(beside.url, "https://oidc.us-east-1.amazonaws.com/token")
        self.assertEqual(json.loads(beside.body)["clientId"], "client-1")

    def test_external(self) -> None:
        """A company's provider gets a form."""
        asked = renewal(EXTERNAL)
        self.assertEqual(asked.url, "https://login.example.com/oauth2/token")
        self.assertEqual(header(asked.headers, "content-type"), "application/x-www-form-urlencoded")
        self.assertEqual(
            parse_qs(asked.body.decode()),
            {
                "grant_type": ["refresh_token"],
                "client_id": ["client-2"],
                "refresh_token": ["refresh-canary"],
                "scope": ["openid offline_access"],
            },
        )

    def test_other_place(self) -> None:
        """`token_url` takes the place of the address, whichever service it is."""
        for document in (SOCIAL, IDC, EXTERNAL):
            asked = renewal(document, "token_url: http://127.0.0.1:1/token")
            self.assertEqual(asked.url, "http://127.0.0.1:1/token")
        asked = renewal(SOCIAL, "metadata: {social_token_url: 'https://{region}.example/r'}")
        self.assertEqual(asked.url, "https://us-east-1.example/r")

    def test_vendors_file(self) -> None:
        """What the vendor's file says from then, under its own names."""
        self.assertEqual(
            renewed(SOCIAL, reply(200, {**TOKENS, "profileArn": "arn:new"})),
            {
                "accessToken": "new-access",
                "refreshToken": "new-refresh",
                "expiresAt": "2026-01-01T01:00:00Z",
                "profileArn": "arn:new",
            },
        )

    def test_our_file(self) -> None:
        """What ours says; a refresh token and a profile that did not come stay as they are."""
        self.assertEqual(
            renewed(OURS, reply(200, {"accessToken": "new", "expiresIn": 60})),
            {"access_token": "new", "expires_at": "2026-01-01T00:01:00Z"},
        )
        bare = without(OURS, "machine_id")
        self.assertEqual(
            renewed(bare, reply(200, {"access_token": "new"})),
            {
                "access_token": "new",
                "expires_at": "2026-01-01T01:00:00Z",
                "machine_id": login(bare).details["machine_id"],
            },
        )

    def test_without_refresh_token(self) -> None:
        """What cannot be renewed needs a new login, and nobody is asked."""
        flow = renew(login(without(OURS, "refresh_token")), upstream(), NOW)
        self.assertRaises(CredentialDisabled, next, flow)


class RefusedRenewalTests(SynchronousTestCase):
    def test_final(self) -> None:
        """Only a new login helps when the token, or the client's registration, has ended."""
        for answer in (
            reply(401, {"message": "Bad credentials"}),
            reply(403, {"message": "no"}),
            reply(401),
            reply(400, {"error": "invalid_grant", "error_description": "refresh-canary"}),
            reply(400, {"__type": "com.amazon.ssooidc#InvalidGrantException"}),
            reply(400, {"message": "x"}, ("x-amzn-ErrorType", "InvalidClientException:http://x/")),
            reply(401, {"error": "invalid_client"}),
        ):
            error = self.assertRaises(CredentialDisabled, renewed, SOCIAL, answer)
            self.assertNotIn("canary", str(error))

    def test_for_now(self) -> None:
        """Anything else may be better later, at a time that the service named."""
        for answer, pause in (
            (reply(500, {"error": "invalid_grant"}), None),
            (reply(503, b"<html>"), None),
            (reply(403, b"<html>a gateway's page</html>"), None),
            (reply(429, {}, ("Retry-After", "7")), 7.0),
            (reply(429, {}, ("Retry-After", "nan")), None),
            (reply(400, {"error": "slow_down"}), None),
            (reply(200, b"<html>"), None),
            (reply(200, {"accessToken": ""}), None),
            (reply(200, {"refreshToken": "x"}), None),
            (reply(302), None),
        ):
            error = self.assertRaises(CredentialError, renewed, SOCIAL, answer)
            self.assertNotIsInstance(error, CredentialDisabled)
            self.assertEqual(error.reply.retry_after, pause)

    @given(st.integers(200, 599), st.binary(max_size=30), st.sampled_from([SOCIAL, IDC, EXTERNAL]))
    def test_any_answer(self, status: int, body: bytes, document: Mapping[str, Any]) -> None:
        """Whatever comes back is an error that is documented, or tokens."""
        self.assertRaises(CredentialError, renewed, document, HttpReply(status, (), body))

    @given(st.one_of(st.floats(), st.integers(), st.text(max_size=5), st.booleans()))
    def test_any_life(self, life: object) -> None:
        """However long a token is said to live, the file gets a moment."""
        answer = HttpReply(200, (), json.dumps({"accessToken": "x", "expiresIn": life}).encode())
        try:
            says = renewed(OURS, answer)
        except CredentialError:
            return
        self.assertIsNotNone(login({**OURS, **says}).expires_at)


class DiscoveryTests(SynchronousTestCase):
    bare = without(SOCIAL, "profileArn")

    def flow(self, document: Mapping[str, Any], lines: str = "") -> Flow:
        return discover(login(document), upstream(lines), NOW)

    def found(self, document: Mapping[str, Any], answer: HttpReply) -> dict[str, Any]:
        return outcome(self.flow(document), answer)

    def test_request(self) -> None:
        """The profiles of the login's region are asked for with its token."""
        asked = first_request(self.flow({**self.bare, "region": "eu-west-1"}))
        self.assertEqual(asked.url, "https://q.eu-west-1.amazonaws.com/ListAvailableProfiles")
        self.assertEqual(header(asked.headers, "authorization"), "Bearer access-canary")
        asked = first_request(self.flow(self.bare, "base_url: http://127.0.0.1:1/k"))
        self.assertEqual(asked.url, "http://127.0.0.1:1/k/ListAvailableProfiles")

    def test_first_profile(self) -> None:
        """The first profile is kept."""
        answer = reply(200, {"profiles": [{"profileName": "x"}, {"arn": ARN}, {"arn": "other"}]})
        self.assertEqual(self.found(self.bare, answer), {"profileArn": ARN})

    def test_no_profile(self) -> None:
        """That there is none is kept, too, so that nobody asks again."""
        for answer in (reply(200, {"profiles": []}), reply(403, {}), reply(404), reply(200, {})):
            says = self.found(self.bare, answer)
            self.assertEqual(says, {"profileArnChecked": True})
            self.assertEqual(login({**self.bare, **says}).details["lacks"], "")

    def test_trouble(self) -> None:
        """A token that is refused, or trouble at the service, proves nothing and stops nobody."""
        invalid = {"message": "The bearer token included in the request is invalid."}
        for answer in (
            reply(401),
            reply(403, invalid),
            reply(429, {"message": "slow"}),
            reply(500),
            reply(200, b"<html>"),
        ):
            self.assertEqual(self.found(self.bare, answer), {})

    def test_machine_only(self) -> None:
        """The id of the machine is kept without asking anybody."""
        bare = without(OURS, "machine_id")
        self.assertEqual(
            outcome(self.flow(bare)), {"machine_id": login(bare).details["machine_id"]}
        )

    def test_both(self) -> None:
        """A new file of ours gets both."""
        says = self.found(
            without(OURS, "machine_id", "profile_arn"), reply(200, {"profiles": [{"arn": ARN}]})
        )
        self.assertEqual(says.keys(), {"machine_id", "profile_arn"})
        self.assertEqual(auth_file({**OURS, **says}).document["profile_arn"], ARN)
