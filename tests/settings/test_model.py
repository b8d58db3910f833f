"""Tests of `aiproxy.settings.model`."""

from __future__ import annotations

import hashlib

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from aiproxy.settings import ApiKey
from tests.settings.samples import upstream


class ApiKeyTests(SynchronousTestCase):
    """Keys of clients."""

    @given(st.text(), st.text())
    def test_matches(self, key: str, candidate: str) -> None:
        """A key matches its own text and no other, whatever the characters."""
        self.assertTrue(ApiKey.of(key).matches(key))
        self.assertEqual(ApiKey.of(key).matches(candidate), key == candidate)

    def test_digest(self) -> None:
        """A key that is only known by its SHA-256 matches the text with that digest."""
        key = ApiKey(hashlib.sha256(b"secret").digest())
        self.assertTrue(key.matches("secret"))
        self.assertFalse(key.matches(hashlib.sha256(b"secret").hexdigest()))

    def test_odd_candidates(self) -> None:
        """A client's text that no encoding can carry is no match and no error."""
        self.assertFalse(ApiKey.of("k").matches("\ud800"))

    def test_never_shown(self) -> None:
        """Not even the digest prints."""
        self.assertEqual(repr(ApiKey.of("k")), "ApiKey()")


class UpstreamTests(SynchronousTestCase):
    """What an upstream does with a model's name."""

    def test_mapped(self) -> None:
        """T040: a mapping's name is replaced, any other stays."""
        found = upstream("model_mappings: {fast: haiku, none: ''}")
        self.assertEqual([found.mapped(m) for m in ("fast", "slow", "none")], ["haiku", "slow", ""])
        self.assertEqual(upstream().mapped("fast"), "fast")

    def test_serves(self) -> None:
        """T041: no list serves anything, a list only what it holds, by the client's names."""
        self.assertTrue(upstream().serves("anything"))
        listed = upstream("available_models: [a, b]\nmodel_mappings: {a: c}")
        self.assertEqual([listed.serves(m) for m in "abc"], [True, True, False])
        self.assertTrue(upstream("available_models: solo").serves("solo"))

    def test_home(self) -> None:
        """An upstream is where its addresses say, whatever its name, key or models are."""
        here = upstream("base_url: https://here.test")
        same = "base_url: https://here.test/\nname: b\ntoken: u\nweight: 3\navailable_models: m"
        self.assertEqual(upstream(same).home, here.home)
        self.assertNotEqual(upstream("base_url: https://there.test").home, here.home)
        login = "api_type: codex\nauth_files: f\ntoken: ''\nbase_url: ''\n"
        homes = {
            upstream(login + more).home
            for more in ("", "token_url: https://t.test", "metadata: {version: '3'}")
        }
        self.assertEqual(len(homes), 3)
