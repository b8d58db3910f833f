"""Auth files of Codex, and their renewal."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from aiproxy.errors import CredentialDisabled, CredentialError
from aiproxy.messages import Login
from tests.providers.samples import configured, driven, json_reply, jwt, provider, read_login

NOW = 1_800_000_000.0
DAY = 86_400.0
AUTH = "https://api.openai.com/auth"


def cli(**tokens: Any) -> dict[str, Any]:
    """A file as Codex CLI writes it."""
    usual = {
        "id_token": jwt({AUTH: {"chatgpt_account_id": "acc-id", "chatgpt_plan_type": "plus"}}),
        "access_token": jwt({"exp": NOW + 3 * DAY}),
        "refresh_token": "rt-1",
        "account_id": "acc-1",
    }
    return {
        "OPENAI_API_KEY": None,
        "tokens": {**usual, **tokens},
        "last_refresh": "2027-01-14T08:00:00.123456789Z",
        "x": {"y": 1},
    }


def own(**members: Any) -> dict[str, Any]:
    """A file as CLIProxyAPI writes it."""
    usual = {
        "type": "codex",
        "access_token": jwt({"exp": NOW + 3 * DAY}),
        "refresh_token": "rt-1",
        "id_token": jwt({}),
        "account_id": "acc-1",
        "expired": "2027-01-16T08:00:00Z",
        "last_refresh": "2027-01-14T08:00:00Z",
    }
    return {**usual, **members}


class ReadTests(SynchronousTestCase):
    def test_cli(self) -> None:
        """The CLI's own file: tokens, account, and when they were renewed."""
        login = read_login("codex", cli())
        self.assertEqual(login.access_token.reveal(), jwt({"exp": NOW + 3 * DAY}))
        self.assertEqual(login.refresh_token.reveal(), "rt-1")
        self.assertEqual(login.details["account_id"], "acc-1")
        self.assertEqual(login.expires_at, NOW + 3 * DAY)
        self.assertAlmostEqual(login.renewed_at or 0, 1_799_913_600.123, 2)
        self.assertEqual((login.is_ours, login.is_disabled), (False, False))

    def test_own(self) -> None:
        """The other format: its expiry counts, and it may be disabled."""
        login = read_login("codex", own(disabled=True))
        self.assertEqual(login.expires_at, 1_800_086_400.0)
        self.assertEqual((login.is_ours, login.is_disabled), (True, True))
        self.assertFalse(read_login("codex", own(disabled="yes")).is_disabled)

    def test_account(self) -> None:
        """Without account_id the claims tell: of the id token, else of the access token."""
        self.assertEqual(read_login("codex", cli(account_id=None)).details["account_id"], "acc-id")
        access = jwt({AUTH: {"chatgpt_account_id": "acc-2", "chatgpt_account_is_fedramp": True}})
        details = read_login("codex", cli(account_id="", id_token="", access_token=access)).details
        self.assertEqual((details["account_id"], details["fedramp"]), ("acc-2", "true"))

    def test_no_account(self) -> None:
        """Tokens that tell of no account break nothing."""
        for token in ("a.b", "a.%%%.c", jwt({}), jwt({AUTH: 1}), 5, None):
            login = read_login("codex", cli(account_id=None, id_token=token, access_token="x"))
            self.assertNotIn("account_id", login.details)

    def test_expiry(self) -> None:
        """The field, else the token's own claim, else eight days after the last renewal."""
        self.assertEqual(read_login("codex", own(expired="soon")).expires_at, NOW + 3 * DAY)
        login = read_login("codex", own(expired="", access_token="opaque"))
        self.assertEqual(login.expires_at, 1_799_913_600.0 + 8 * DAY)
        unknown = own(expired="", access_token="opaque", last_refresh="")
        self.assertIsNone(read_login("codex", unknown).expires_at)

    def test_others(self) -> None:
        """An API key, another vendor's login or half a file is refused with a hint."""
        for document, hint in (
            ({"OPENAI_API_KEY": "sk-canary", "tokens": None}, "api_type responses"),
            ({"OPENAI_API_KEY": "sk-canary"}, "api_type responses"),
            (own(access_token="sk-canary"), "API key"),
            ({"claudeAiOauth": {"accessToken": "canary"}}, "claudecode"),
            (cli(access_token="", refresh_token=None), "codex login"),
            ({"type": "codex"}, "codex login"),
            ({}, "codex login"),
            ({"access_token": "canary", "refresh_token": "canary"}, "codex login"),
        ):
            with self.assertRaises(CredentialError) as caught:
                read_login("codex", document)
            self.assertIn(hint, str(caught.exception))
            self.assertNotIn("canary", str(caught.exception))

    def test_bare_token(self) -> None:
        """A file without a type is known by OpenAI's claims in its token."""
        token = jwt({AUTH: {"chatgpt_account_id": "acc-3"}})
        login = read_login("codex", {"access_token": token})
        self.assertEqual(login.details["account_id"], "acc-3")
        self.assertTrue(login.is_ours)

    def test_secrets(self) -> None:
        """A login never prints its tokens."""
        login = read_login("codex", cli(refresh_token="rt-canary"))
        self.assertNotIn("canary", repr(login))
        self.assertNotIn(login.access_token.reveal(), repr(login))


class StaleTests(SynchronousTestCase):
    def stale(self, login: Login, now: float) -> bool:
        return provider("codex").is_stale(login, now)

    def test_margin(self) -> None:
        """Five minutes before the end, and eight days after the last renewal in any case."""
        login = read_login("codex", cli(access_token=jwt({"exp": NOW})))
        self.assertFalse(self.stale(login, NOW - 301))
        self.assertTrue(self.stale(login, NOW - 299))
        lasting = read_login("codex", cli(access_token=jwt({"exp": NOW + 90 * DAY})))
        self.assertFalse(self.stale(lasting, 1_799_913_600 + 8 * DAY))
        self.assertTrue(self.stale(lasting, 1_799_913_601 + 8 * DAY))

    def test_without_tokens(self) -> None:
        """Nothing to use must be renewed; what cannot be renewed is used."""
        self.assertTrue(self.stale(read_login("codex", cli(access_token=None)), NOW))
        ended = cli(access_token=jwt({"exp": 1}), refresh_token=None)
        self.assertFalse(self.stale(read_login("codex", ended), NOW))


class RenewTests(SynchronousTestCase):
    def renewed(self, document: dict[str, Any], *replies: Any, lines: str = "") -> Any:
        flow = provider("codex").renew(
            read_login("codex", document), configured("codex", lines), NOW
        )
        return driven(flow, *replies)

    def test_request(self) -> None:
        """JSON, the client's id, the refresh token; no secret is needed."""
        (asked,), _ = self.renewed(cli(), json_reply(200, {"access_token": "new"}))
        self.assertEqual((asked.method, asked.url), ("POST", "https://auth.openai.com/oauth/token"))
        self.assertEqual(
            json.loads(asked.body),
            {
                "client_id": "app_EMoamEEZ73f0CkXaXp7hrann",
                "grant_type": "refresh_token",
                "refresh_token": "rt-1",
            },
        )

    def test_overrides(self) -> None:
        """Address and client id are the operator's to change."""
        lines = "token_url: https://relay.test/t\nmetadata: {client_id: mine}"
        (asked,), _ = self.renewed(cli(), json_reply(200, {"access_token": "n"}), lines=lines)
        self.assertEqual(asked.url, "https://relay.test/t")
        self.assertEqual(json.loads(asked.body)["client_id"], "mine")

    def test_cli_file(self) -> None:
        """Only what came is changed, in its place; the CLI's file gets no expiry."""
        answer = {"access_token": "a2", "refresh_token": "r2", "id_token": "i2", "expires_in": 60}
        _, changes = self.renewed(cli(), json_reply(200, answer))
        self.assertEqual(
            changes,
            {
                "tokens.access_token": "a2",
                "tokens.refresh_token": "r2",
                "tokens.id_token": "i2",
                "last_refresh": "2027-01-15T08:00:00Z",
            },
        )
        _, changes = self.renewed(cli(), json_reply(200, {"access_token": "a2"}))
        self.assertEqual(sorted(changes), ["last_refresh", "tokens.access_token"])

    def test_own_file(self) -> None:
        """The other format has its expiry: the token's, else what the answer says."""
        token = jwt({"exp": NOW + 500})
        for answer, expired in (
            ({"access_token": token, "expires_in": 60}, "2027-01-15T08:08:20Z"),
            ({"access_token": "opaque", "expires_in": 60}, "2027-01-15T08:01:00Z"),
            ({"access_token": "opaque"}, "2027-01-23T08:00:00Z"),
        ):
            _, changes = self.renewed(own(), json_reply(200, answer))
            self.assertEqual(changes["expired"], expired)
            self.assertNotIn("refresh_token", changes)

    def test_ended(self) -> None:
        """A login is over by any 401, and by the vendor's words for it."""
        for status, body in (
            (401, {"error": {"code": "refresh_token_reused"}}),
            (401, {}),
            (400, {"error": "invalid_grant"}),
            (400, {"code": "refresh_token_expired"}),
            (400, {"error": {"code": "token_revoked"}}),
        ):
            with self.assertRaises(CredentialDisabled):
                self.renewed(cli(), json_reply(status, body))

    def test_trouble(self) -> None:
        """Anything else may be over soon."""
        for status, body in (
            (429, {}),
            (500, {}),
            (403, {"error": "blocked"}),
            (400, {"error": "invalid_request"}),
            (200, {"id_token": "i"}),
        ):
            with self.assertRaises(CredentialError) as caught:
                self.renewed(cli(), json_reply(status, body))
            self.assertNotIsInstance(caught.exception, CredentialDisabled)

    def test_nothing_to_renew_with(self) -> None:
        """Without a refresh token no call is made."""
        with self.assertRaises(CredentialDisabled):
            self.renewed(cli(refresh_token=None))
