"""Google's logins: what each file says, and what is written after a renewal."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

from twisted.trial.unittest import SynchronousTestCase

from aiproxy.errors import CredentialDisabled, CredentialError
from aiproxy.messages import HttpReply, HttpRequest, Login
from aiproxy.redaction import Secret
from tests.providers.codeassist.samples import (
    FLAT,
    GRANTED,
    NESTED,
    NOW,
    SECRET,
    VENDOR,
    without,
)
from tests.providers.samples import configured, driven, json_reply, provider, read_login


def renewal(
    api_type: str, login: Login, *replies: HttpReply, lines: str = SECRET
) -> tuple[list[HttpRequest], dict[str, Any]]:
    """What is asked, and what the file must say then."""
    upstream = configured(api_type, lines)
    return driven(provider(api_type).renew(login, upstream, NOW), *replies)


class ReadingTests(SynchronousTestCase):
    def test_vendor(self) -> None:
        """Gemini CLI's file has milliseconds, no project, and no place for words of ours."""
        login = read_login("geminicli", VENDOR)
        self.assertEqual(login.access_token.reveal(), "access-canary")
        self.assertEqual(login.refresh_token.reveal(), "refresh-canary")
        self.assertEqual(login.expires_at, NOW + 3600.5)
        self.assertEqual(login.details["project"], "")
        self.assertFalse(login.is_ours)

    def test_nested(self) -> None:
        """The tokens may be an object of their own, beside project and client; Go writes times."""
        login = read_login("geminicli", NESTED)
        self.assertEqual(login.access_token.reveal(), "access-canary")
        self.assertAlmostEqual(login.expires_at or 0, NOW + 3600.123, 2)
        self.assertEqual(
            login.details,
            {
                "layout": "nested",
                "project": "project-1",
                "client_id": "client-of-the-file",
                "client_secret": "secret-of-the-file",
            },
        )
        self.assertTrue(login.is_ours)

    def test_flat(self) -> None:
        """Antigravity's says its end, or when it was made and for how long."""
        self.assertEqual(read_login("antigravity", FLAT).expires_at, NOW + 3600)
        counted = read_login("antigravity", without(FLAT, "expired"))
        self.assertEqual(counted.expires_at, NOW + 3599)
        self.assertEqual(counted.details["project"], "project-2")
        nameless = read_login("antigravity", without(FLAT, "type"))
        self.assertEqual(nameless.refresh_token.reveal(), "refresh-canary")

    def test_disabled(self) -> None:
        """Every format may say that it must not be used."""
        for api_type, document in (("geminicli", NESTED), ("antigravity", FLAT)):
            self.assertTrue(read_login(api_type, {**document, "disabled": True}).is_disabled)
            self.assertFalse(read_login(api_type, document).is_disabled)

    def test_no_secret_is_shown(self) -> None:
        """The text of a login has no token and no client secret in it."""
        for api_type, document in (("geminicli", NESTED), ("antigravity", FLAT)):
            shown = repr(read_login(api_type, document))
            self.assertNotIn("canary", shown)
            self.assertNotIn("secret-of-the-file", shown)


class StaleTests(SynchronousTestCase):
    def test_five_minutes_before_its_end(self) -> None:
        """A token is renewed from five minutes before its end on."""
        kind = provider("geminicli")
        login = read_login("geminicli", VENDOR)
        self.assertFalse(kind.is_stale(login, NOW + 3300))
        self.assertTrue(kind.is_stale(login, NOW + 3301))

    def test_unknown_end(self) -> None:
        """A token whose end nobody tells is used; one that is not there is fetched."""
        login = read_login("geminicli", without(VENDOR, "expiry_date"))
        self.assertFalse(provider("geminicli").is_stale(login, NOW + 1e9))
        login = read_login("geminicli", without(VENDOR, "access_token"))
        self.assertTrue(provider("geminicli").is_stale(login, NOW))

    def test_without_renewal(self) -> None:
        """One that cannot be renewed is used to its very end."""
        login = read_login("geminicli", without(VENDOR, "refresh_token"))
        self.assertFalse(provider("geminicli").is_stale(login, NOW + 3600))
        self.assertTrue(provider("geminicli").is_stale(login, NOW + 3601))


class RenewalTests(SynchronousTestCase):
    def test_request(self) -> None:
        """Google gets a form with the client's id and secret, and the refresh token."""
        login = read_login("geminicli", VENDOR)
        (asked,), _ = renewal("geminicli", login, json_reply(200, GRANTED))
        self.assertEqual((asked.method, asked.url), ("POST", "https://oauth2.googleapis.com/token"))
        self.assertIn(("Content-Type", "application/x-www-form-urlencoded"), asked.headers)
        self.assertEqual(
            dict(parse_qsl(asked.body.decode())),
            {
                "client_id": configured("geminicli").metadata["client_id"],
                "client_secret": "secret-canary",
                "refresh_token": "refresh-canary",
                "grant_type": "refresh_token",
            },
        )

    def test_client_of_the_file(self) -> None:
        """A file that names its client is renewed with that one; token_url may be another."""
        login = read_login("geminicli", NESTED)
        reply = json_reply(200, GRANTED)
        (asked,), _ = renewal("geminicli", login, reply, lines="token_url: http://127.0.0.1:1/t")
        form = dict(parse_qsl(asked.body.decode()))
        self.assertEqual(form["client_id"], "client-of-the-file")
        self.assertEqual(form["client_secret"], "secret-of-the-file")
        self.assertEqual(asked.url, "http://127.0.0.1:1/t")

    def test_what_is_written(self) -> None:
        """Each file gets the token and its end in its own words; the refresh token stays."""
        expected = {
            ("geminicli", "vendor"): {
                "access_token": "fresh-canary",
                "expiry_date": 1_767_229_199_000,
            },
            ("geminicli", "nested"): {
                "token.access_token": "fresh-canary",
                "token.expiry": "2026-01-01T00:59:59Z",
            },
            ("antigravity", "flat"): {
                "access_token": "fresh-canary",
                "expired": "2026-01-01T00:59:59Z",
                "expires_in": 3599,
                "timestamp": 1_767_225_600_000,
            },
        }
        documents = {"vendor": VENDOR, "nested": NESTED, "flat": FLAT}
        for (api_type, layout), changes in expected.items():
            login = read_login(api_type, documents[layout])
            _, written = renewal(api_type, login, json_reply(200, GRANTED))
            self.assertEqual(written, changes)

    def test_rotated(self) -> None:
        """Should Google give another refresh token, that one is kept."""
        more = {**GRANTED, "refresh_token": "next-canary", "id_token": "id"}
        login = read_login("geminicli", VENDOR)
        _, changes = renewal("geminicli", login, json_reply(200, more))
        self.assertEqual(changes["refresh_token"], "next-canary")
        self.assertEqual(changes["id_token"], "id")

    def test_ended(self) -> None:
        """A grant that is not valid any more ends the login; so does having no refresh token."""
        login = read_login("geminicli", VENDOR)
        gone = json_reply(400, {"error": "invalid_grant", "error_description": "revoked"})
        with self.assertRaises(CredentialDisabled):
            renewal("geminicli", login, gone)
        with self.assertRaises(CredentialDisabled):
            renewal("geminicli", replace(login, refresh_token=Secret("")))

    def test_wrong_client(self) -> None:
        """A client that Google refuses is the configuration's fault, not the login's."""
        login = read_login("geminicli", VENDOR)
        refused = json_reply(401, {"error": "invalid_client"})
        error = self.assertRaises(CredentialError, renewal, "geminicli", login, refused)
        self.assertNotIsInstance(error, CredentialDisabled)
        self.assertIn("oauth_client_secret", str(error))

    def test_no_secret(self) -> None:
        """Without a client secret nothing is asked, and the error says where to put it."""
        login = read_login("geminicli", VENDOR)
        error = self.assertRaises(CredentialError, renewal, "geminicli", login, lines="")
        self.assertIn("oauth_client_secret", str(error))

    def test_passing_trouble(self) -> None:
        """Anything else may be better later, and changes nothing."""
        login = read_login("geminicli", VENDOR)
        for reply, pause in (
            (json_reply(500, {"error": "internal_failure"}), None),
            (json_reply(429, {}, (("Retry-After", "7"),)), 7),
            (HttpReply(200, (), b"<html>"), None),
            (json_reply(200, {"expires_in": 3599}), None),
            (json_reply(400, {"error": "invalid_request"}), None),
        ):
            error = self.assertRaises(CredentialError, renewal, "geminicli", login, reply)
            self.assertNotIsInstance(error, CredentialDisabled)
            self.assertEqual(error.reply.retry_after, pause)
