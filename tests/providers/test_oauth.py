"""Token endpoints: what they grant, and how they refuse."""

from __future__ import annotations

import contextlib
import json

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from aiproxy.errors import CredentialDisabled, CredentialError
from aiproxy.messages import Headers, HttpReply
from aiproxy.providers.oauth import error_code, granted, json_request, lifetime
from tests.providers.samples import json_reply


def final(status: int, code: str) -> bool:
    return code == "invalid_grant"


class GrantTests(SynchronousTestCase):
    def refusal(self, reply: HttpReply) -> CredentialError:
        with self.assertRaises(CredentialError) as caught:
            granted(reply, final)
        return caught.exception

    def test_token(self) -> None:
        """A token in a good answer is what was asked for."""
        answer = granted(json_reply(200, {"access_token": "a", "expires_in": 60}), final)
        self.assertEqual(answer["access_token"], "a")
        self.assertEqual(lifetime(answer, 100.0), 160.0)
        self.assertIsNone(lifetime({}, 100.0))

    def test_senseless_lives(self) -> None:
        """A life that is none, or that no file could say, is as good as none said."""
        for seconds in (0, -1, 1e300, "inf", "nan", True, "x"):
            self.assertIsNone(lifetime({"expires_in": seconds}, 100.0))

    def test_no_token(self) -> None:
        """A good status without a token may be better next time."""
        for reply in (HttpReply(200, (), b"<html>"), json_reply(200, {}), json_reply(200, [1])):
            self.assertNotIsInstance(self.refusal(reply), CredentialDisabled)

    def test_final(self) -> None:
        """What the vendor calls final is; the code is told, its words are not."""
        error = self.refusal(
            json_reply(400, {"error": "invalid_grant", "error_description": "canary"})
        )
        self.assertIsInstance(error, CredentialDisabled)
        self.assertIn("invalid_grant", str(error))
        self.assertNotIn("canary", str(error))

    def test_page_of_a_gateway(self) -> None:
        """Who is in between does not end a login, whatever status a vendor ends it with."""
        for body, is_final in ((b"<html>log in to this network</html>", False), (b"", True)):
            with self.assertRaises(CredentialError) as caught:
                granted(HttpReply(401, (), body), lambda status, code: status == 401)
            self.assertEqual(isinstance(caught.exception, CredentialDisabled), is_final)

    def test_passing(self) -> None:
        """Anything else passes, after the pause that was asked for, within bounds."""
        for value, expected in (("7", 7.0), ("0", 5.0), ("9999", 300.0), ("nan", None), ("", None)):
            headers: Headers = (("Retry-After", value),)
            error = self.refusal(json_reply(429, {"error": "slow_down"}, headers))
            self.assertNotIsInstance(error, CredentialDisabled)
            self.assertEqual(error.reply.retry_after, expected, value)

    def test_codes(self) -> None:
        """The code is found where each vendor puts it."""
        for document, code in (
            ({"error": "invalid_grant"}, "invalid_grant"),
            ({"error": {"code": "refresh_token_reused", "type": "x"}}, "refresh_token_reused"),
            ({"error": {"type": "invalid_grant", "message": "m"}}, "invalid_grant"),
            ({"code": "token_revoked"}, "token_revoked"),
            ({"__type": "com.amazon.x#InvalidGrantException"}, "InvalidGrantException"),
            ({"message": "m"}, ""),
        ):
            self.assertEqual(error_code(document), code)

    def test_no_codes(self) -> None:
        """What is no code word may be a secret that is quoted; another place may have a word."""
        for said in ("x" * 65, "rt-canary", "the token", "1/0canary", "a/b", "r=c", "\u00e9", ""):
            self.assertEqual(error_code({"error": said}), "")
            self.assertEqual(error_code({"error": {"code": said, "type": "gone"}}), "gone")

    @given(st.integers(100, 599), st.binary() | st.text().map(lambda t: json.dumps(t).encode()))
    def test_anything(self, status: int, body: bytes) -> None:
        """Whatever comes, it is a token or a CredentialError."""
        with contextlib.suppress(CredentialError):
            self.assertIn("access_token", granted(HttpReply(status, (), body), final))

    def test_request(self) -> None:
        """JSON goes out, under a name if there is one."""
        asked = json_request("https://h.test", {"a": "b"}, "agent/1")
        self.assertEqual(json.loads(asked.body), {"a": "b"})
        self.assertIn(("User-Agent", "agent/1"), asked.headers)
        self.assertNotIn("User-Agent", dict(json_request("https://h.test", {}).headers))
