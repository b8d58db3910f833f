"""Tests of `aiproxy.settings.expand`."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from aiproxy.settings import ApiKey
from tests.settings.samples import load, one_upstream, problems, tokens, upstream


class EnvironmentTests(SynchronousTestCase):
    """References to the environment."""

    def test_values(self) -> None:
        """Set, unset with default, empty with default, several in one text, escaped."""
        for text, value in (
            ("${TOKEN}", "canary-from-environment"),
            ("a-${HOME}-${TOKEN}", "a-/home/user-canary-from-environment"),
            ("${NOWHERE:-sk-1}", "sk-1"),
            ("${EMPTY:-sk-1}", "sk-1"),
            ("x${EMPTY}", "x"),
            ("x${NOWHERE:-}", "x"),
            ("$${TOKEN}", "${TOKEN}"),
            ("$TOKEN $$ $", "$TOKEN $$ $"),
        ):
            self.assertEqual(tokens(upstream(f"token: '{text}'")), (value,))

    def test_where(self) -> None:
        """Every text value may hold them, keys do not."""
        text = "listen: ':${PORT:-81}'\nmodel_fallback: {'${A}': '${B:-b}'}\n" + one_upstream(
            "http_headers: {X-A: '${TOKEN}'}\navailable_models: ['${M:-m}']"
        )
        found = load(text)
        self.assertEqual((found.port, dict(found.model_fallback)), (81, {"${A}": "b"}))
        self.assertEqual(found.upstreams[0].http_headers, (("X-A", "canary-from-environment"),))
        self.assertEqual(found.upstreams[0].available_models, ("m",))

    def test_unset(self) -> None:
        """A variable without value and default is a problem that names it."""
        (found,) = problems(one_upstream("token: sk-${NOWHERE}"))
        self.assertEqual(
            found,
            "config.yaml:4: upstreams[0].token: the environment variable NOWHERE is not set",
        )

    def test_malformed(self) -> None:
        """Half a reference is a problem that does not quote it."""
        for text in ("${canary", "${}", "${canary-1}", "${1a}"):
            (found,) = problems(one_upstream(f"token: '{text}'"))
            self.assertIn("upstreams[0].token: a", found)
            self.assertNotIn("canary", found)

    def test_unprintable(self) -> None:
        """A variable with a line break is refused without showing it."""
        (found,) = problems(one_upstream("token: '${V}'"), environ={"V": "canary\nx"})
        self.assertNotIn("canary", found)
        (found,) = problems(one_upstream("token: '${V}'"), environ={"V": "canary\udc80"})
        self.assertNotIn("canary", found)

    @given(st.text(), st.text(alphabet="${}:-AB_ "))
    def test_total(self, value: str, text: str) -> None:
        """Any text with any environment is a value or a problem that shows no value."""
        secret = f"canary{value}canary"
        for problem in problems(one_upstream(f"token: '{text}'"), environ={"A": secret}):
            self.assertNotIn("canary", problem)


class SecretFileTests(SynchronousTestCase):
    """Secrets in files."""

    def test_token_file(self) -> None:
        """token_file adds to token; the line break at the end is no part of a secret."""
        files = {"k/1": "one\n", "/abs": "two\r\n", "/home/user/3": " three "}
        found = upstream("token: one\ntoken_file: [k/1, /abs, ~/3]", files)
        self.assertEqual(tokens(found), ("one", "two", "three"))
        self.assertEqual(tokens(upstream("token: ''\ntoken_file: k/1", files)), ("one",))

    def test_file_entries(self) -> None:
        """file:PATH in token and api-key; relative to the configuration's folder."""
        files = {"/etc/aiproxy/k": "secret\n", "/run/x": "other"}
        text = "api-key: [file:k, 'file:${DIR:-/run}/x']\n" + one_upstream("token: file:k")
        found = load(text, files, path="/etc/aiproxy/config.yaml")
        self.assertEqual(found.api_keys, (ApiKey.of("secret"), ApiKey.of("other")))
        self.assertEqual(tokens(found.upstreams[0]), ("secret",))

    def test_unreadable(self) -> None:
        """A missing, empty or broken file is one problem, and no other follows from it."""
        files = {"empty": "\n", "two": "canary\ncanary"}
        for name, reason in (
            ("gone", "cannot read the secret file gone: No such file or directory"),
            ("empty", "the secret file empty is empty"),
            ("two", "holds a line break"),
            ("", "names no file"),
        ):
            (found,) = problems(one_upstream(f"token: 'file:{name}'"), files)
            self.assertIn(f"upstreams[0].token: {reason}", found)
            (found,) = problems(f"bind: 0.0.0.0\napi-key: ['file:{name}']", files)
            self.assertIn(f"api-key[0]: {reason}", found)
        (found,) = problems(one_upstream("token:\ntoken_file: gone"))
        self.assertIn("upstreams[0].token_file: cannot read", found)

    def test_home(self) -> None:
        """Without HOME, ~ means nothing."""
        (found,) = problems(one_upstream("token: file:~/x"), environ={})
        self.assertIn("HOME", found)
