"""Auth files of Claude Code, and their renewal."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from aiproxy.errors import CredentialDisabled, CredentialError
from aiproxy.messages import Login
from tests.providers.samples import configured, driven, json_reply, provider, read_login

NOW = 1_800_000_000.0


def cli(**members: Any) -> dict[str, Any]:
    """A file as Claude Code writes it."""
    usual = {
        "accessToken": "sk-ant-oat01-a",
        "refreshToken": "sk-ant-ort01-r",
        "expiresAt": int(NOW * 1000) + 1500,
        "scopes": ["user:inference", "user:profile"],
        "subscriptionType": "max",
    }
    return {"claudeAiOauth": {**usual, **members}, "mcpOAuth": {}}


def own(**members: Any) -> dict[str, Any]:
    """A file as CLIProxyAPI writes it."""
    usual = {
        "type": "claude",
        "access_token": "sk-ant-oat01-a",
        "refresh_token": "sk-ant-ort01-r",
        "expired": "2027-01-15T08:00:00Z",
        "last_refresh": "2027-01-15T00:00:00Z",
        "email": "ada@example.org",
    }
    return {**usual, **members}


class ReadTests(SynchronousTestCase):
    def test_cli(self) -> None:
        """The CLI's own file, with its milliseconds."""
        login = read_login("claudecode", cli())
        self.assertEqual(login.access_token.reveal(), "sk-ant-oat01-a")
        self.assertEqual(login.refresh_token.reveal(), "sk-ant-ort01-r")
        self.assertEqual(login.expires_at, NOW + 1.5)
        self.assertFalse(login.is_ours)

    def test_own(self) -> None:
        """The other format."""
        login = read_login("claudecode", own(disabled=True))
        self.assertEqual(login.expires_at, NOW)
        self.assertEqual(login.renewed_at, NOW - 8 * 3600)
        self.assertEqual((login.is_ours, login.is_disabled), (True, True))

    def test_lasting_tokens(self) -> None:
        """A token of `claude setup-token` stands alone, in either form."""
        for document in (
            {"access_token": "sk-ant-oat01-a"},
            {"claudeAiOauth": {"accessToken": "sk-ant-oat01-a"}},
        ):
            login = read_login("claudecode", document)
            self.assertEqual(login.access_token.reveal(), "sk-ant-oat01-a")
            self.assertFalse(login.refresh_token)
            self.assertIsNone(login.expires_at)

    def test_others(self) -> None:
        """An API key, another vendor's login or half a file is refused with a hint."""
        for document, hint in (
            ({"primaryApiKey": "canary"}, "API key"),
            ({"access_token": "sk-ant-api03-canary"}, "API key"),
            (cli(accessToken="sk-ant-api03-canary"), "API key"),
            (cli(accessToken="", refreshToken=None), ".credentials.json"),
            ({"claudeAiOauth": None}, ".credentials.json"),
            ({"tokens": {"access_token": "canary"}}, "api_type codex"),
            ({"access_token": "canary"}, "setup-token"),
            ({}, "setup-token"),
        ):
            with self.assertRaises(CredentialError) as caught:
                read_login("claudecode", document)
            self.assertIn(hint, str(caught.exception))
            self.assertNotIn("canary", str(caught.exception))

    def test_odd_members(self) -> None:
        """Members of other types than theirs count as absent."""
        login = read_login("claudecode", cli(scopes=5, expiresAt="soon", refreshToken=[]))
        self.assertIsNone(login.expires_at)
        self.assertFalse(login.refresh_token)


class StaleTests(SynchronousTestCase):
    def stale(self, login: Login, now: float) -> bool:
        return provider("claudecode").is_stale(login, now)

    def test_margin(self) -> None:
        """Five minutes before the end."""
        login = read_login("claudecode", own())
        self.assertFalse(self.stale(login, NOW - 301))
        self.assertTrue(self.stale(login, NOW - 299))
        self.assertTrue(self.stale(read_login("claudecode", own(access_token="")), 0))

    def test_lasting_token(self) -> None:
        """What cannot be renewed is used until it is refused."""
        self.assertFalse(self.stale(read_login("claudecode", own(refresh_token="")), NOW * 2))


class RenewTests(SynchronousTestCase):
    def renewed(self, document: dict[str, Any], *replies: Any, lines: str = "") -> Any:
        login = read_login("claudecode", document)
        flow = provider("claudecode").renew(login, configured("claudecode", lines), NOW)
        return driven(flow, *replies)

    def test_request(self) -> None:
        """JSON, with the scope that the login has; no secret is needed."""
        (asked,), _ = self.renewed(cli(), json_reply(200, {"access_token": "new"}))
        self.assertEqual(
            (asked.method, asked.url), ("POST", "https://platform.claude.com/v1/oauth/token")
        )
        self.assertEqual(
            json.loads(asked.body),
            {
                "client_id": "9d1c250a-e61b-44d9-88ed-5944d1962f5e",
                "grant_type": "refresh_token",
                "refresh_token": "sk-ant-ort01-r",
                "scope": "user:inference user:profile",
            },
        )

    def test_usual_scope(self) -> None:
        """A file that tells of no scope asks for the usual one, which can be configured."""
        lines = "token_url: https://relay.test/t\nmetadata: {scope: mine}"
        (asked,), _ = self.renewed(own(), json_reply(200, {"access_token": "n"}), lines=lines)
        self.assertEqual(asked.url, "https://relay.test/t")
        self.assertEqual(json.loads(asked.body)["scope"], "mine")

    def test_cli_file(self) -> None:
        """Its nested members change, and nothing else."""
        answer = {"access_token": "a2", "refresh_token": "r2", "expires_in": 28800, "scope": "x"}
        _, changes = self.renewed(cli(), json_reply(200, answer))
        self.assertEqual(
            changes,
            {
                "claudeAiOauth.accessToken": "a2",
                "claudeAiOauth.refreshToken": "r2",
                "claudeAiOauth.expiresAt": int((NOW + 28800) * 1000),
            },
        )

    def test_own_file(self) -> None:
        """The refresh token stays when no other one came."""
        _, changes = self.renewed(own(), json_reply(200, {"access_token": "a2", "expires_in": 60}))
        self.assertEqual(
            changes,
            {
                "access_token": "a2",
                "expired": "2027-01-15T08:01:00Z",
                "last_refresh": "2027-01-15T08:00:00Z",
            },
        )

    def test_ended(self) -> None:
        """Only invalid_grant ends a login."""
        for status, body in (
            (400, {"error": "invalid_grant"}),
            (401, {"error": {"type": "invalid_grant"}}),
        ):
            with self.assertRaises(CredentialDisabled):
                self.renewed(cli(), json_reply(status, body))
        for status, body in ((401, {}), (403, {}), (500, {}), (400, {"error": "invalid_client"})):
            with self.assertRaises(CredentialError) as caught:
                self.renewed(cli(), json_reply(status, body))
            self.assertNotIsInstance(caught.exception, CredentialDisabled)

    def test_pause(self) -> None:
        """A service that is asked too often names its time, within bounds."""
        for asked, expected in (("7", 7.0), ("1", 5.0), ("3600", 300.0)):
            with self.assertRaises(CredentialError) as caught:
                self.renewed(cli(), json_reply(429, {}, (("retry-after", asked),)))
            self.assertEqual(caught.exception.reply.retry_after, expected)

    def test_nothing_to_renew_with(self) -> None:
        """A lasting token that was refused has ended; nobody is asked."""
        with self.assertRaises(CredentialDisabled):
            self.renewed({"access_token": "sk-ant-oat01-a"})
