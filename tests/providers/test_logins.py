"""Auth files of any vendor: moments, tokens, and what a file is taken for."""

from __future__ import annotations

import base64
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from aiproxy.errors import CredentialError
from aiproxy.providers.logins import (
    claims,
    expiry,
    is_api_key,
    mistaken,
    moment,
    number_at,
    rfc3339,
    text_at,
)
from tests.providers.samples import jwt

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


class MomentTests(SynchronousTestCase):
    def test_forms(self) -> None:
        """Zones and fractions of any length are understood, as Go, Rust and Python write them."""
        for text, expected in (
            ("1970-01-01T00:00:10Z", 10.0),
            ("1970-01-01T00:00:10.5Z", 10.5),
            ("1970-01-01T00:00:10.500000000Z", 10.5),
            ("1970-01-01T01:00:10+01:00", 10.0),
            ("1969-12-31T23:30:10-0030", 10.0),
            ("1970-01-01 00:00:10", 10.0),
        ):
            self.assertEqual(moment(text), expected, text)

    def test_others(self) -> None:
        """What is no moment is none, whatever it is."""
        for text in ("", "10", "yesterday", "1970-13-01T00:00:00Z", "1970-01-01"):
            self.assertIsNone(moment(text), text)

    @given(st.integers(0, 4_000_000_000))
    def test_round_trip(self, seconds: int) -> None:
        """What is written is read."""
        self.assertEqual(moment(rfc3339(seconds)), seconds)


class ValueTests(SynchronousTestCase):
    def test_texts(self) -> None:
        """A text is found behind its keys, without white space; anything else is none."""
        document = {"a": {"b": " x\n"}, "c": 1, "d": None}
        self.assertEqual(text_at(document, "a", "b"), "x")
        for path in (("a",), ("a", "b", "c"), ("c",), ("d",), ("e", "f")):
            self.assertEqual(text_at(document, *path), "")

    def test_numbers(self) -> None:
        """A number may be written as a text."""
        document = {"a": 1, "b": "2.5", "c": True, "d": "x", "e": None}
        found = [number_at(document, name) for name in "abcdef"]
        self.assertEqual(found, [1.0, 2.5, None, None, None, None])


class TokenTests(SynchronousTestCase):
    def test_claims(self) -> None:
        """The middle part is read, however much padding it would need."""
        for name in ("a", "ab", "abc", "abcd"):
            self.assertEqual(claims(jwt({"sub": name, "é": "漢"})), {"sub": name, "é": "漢"})
        self.assertEqual(expiry(jwt({"exp": 123})), 123.0)
        for senseless in (0, 1e300, "nan"):
            self.assertIsNone(expiry(jwt({"exp": senseless})))

    def test_no_tokens(self) -> None:
        """What is no token says nothing, and breaks nothing."""
        array = base64.urlsafe_b64encode(b"[1]").decode()
        for text in (
            "",
            "a.b",
            "a.b.c.d",
            "a.!.c",
            "a.\xe9.c",
            f"a.{array}.c",
            "a.e30=.c.",
            "x.A.y",
        ):
            self.assertEqual(claims(text), {}, text)
            self.assertIsNone(expiry(text))


class MistakenTests(SynchronousTestCase):
    def test_kinds(self) -> None:
        """Each known file is called what it is, with what to use instead."""
        files: tuple[tuple[dict[str, Any], str, str], ...] = (
            ({"OPENAI_API_KEY": "sk-canary", "tokens": None}, "API key", "api_type responses"),
            ({"ANTHROPIC_API_KEY": "canary"}, "API key", "token"),
            ({"access_token": "sk-canary"}, "API key", "token"),
            ({"claudeAiOauth": {"accessToken": "x"}}, "Claude Code", "claudecode"),
            ({"type": "claude", "access_token": "x"}, "Claude", "claudecode"),
            ({"OPENAI_API_KEY": None, "tokens": {"access_token": "x"}}, "Codex CLI", "codex"),
            ({"type": "codex"}, "Codex", "codex"),
            ({"access_token": "x", "expiry_date": 1}, "Gemini CLI", "geminicli"),
            ({"type": "gemini", "token": {}}, "Gemini CLI", "geminicli"),
            ({"type": "antigravity"}, "Antigravity", "antigravity"),
            ({"accessToken": "x", "refreshToken": "y"}, "Kiro", "kiro"),
            ({"refresh_token": "x", "auth_method": "social"}, "Kiro", "kiro"),
            ({"clientId": "x", "clientSecret": "y"}, "registration", "beside"),
            ({"type": "service_account", "private_key": "x", "client_email": "y"}, "service", "no"),
            ({"installed": {"client_id": "x"}}, "OAuth client", "oauth_client_secret"),
            ({}, "no login that aiproxy knows", "wanted"),
        )
        for document, what, instead in files:
            said = str(mistaken(document, "kind", "wanted file"))
            self.assertIn(what, said, document)
            self.assertIn(instead, said, document)
            self.assertIn("kind needs wanted file", said)
            self.assertNotIn("canary", said)

    @given(
        st.dictionaries(st.text() | st.sampled_from(["tokens", "type", "web", "key"]), JSON_VALUES)
    )
    def test_anything(self, document: dict[str, Any]) -> None:
        """Any JSON object is taken for something."""
        self.assertIsInstance(mistaken(document, "kind", "a file"), CredentialError)

    def test_keys(self) -> None:
        """A login's token of Anthropic's is no key, though it looks like one."""
        found = [is_api_key(t) for t in ("sk-proj-1", "sk-ant-api03-1", "sk-ant-oat01-1", "eyJ.a")]
        self.assertEqual(found, [True, True, False, False])
        self.assertNotIn("sk-", json.dumps(jwt({})))
