"""URLs, headers and bodies of upstream requests, whoever the provider is."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from aiproxy import ir
from aiproxy.errors import BadRequest
from aiproxy.messages import Headers
from aiproxy.providers.outgoing import (
    joined,
    lifted_betas,
    merged_betas,
    passed,
    with_model,
    with_overrides,
    with_query,
)
from tests.providers.samples import call


class HeaderTests(SynchronousTestCase):
    def test_an_empty_header_is_deleted(self) -> None:
        """An override without a value takes a header away, whatever its case."""
        headers: Headers = (("X-App", "cli"), ("a", "1"))
        self.assertEqual(with_overrides(headers, (("x-app", ""),)), (("a", "1"),))

    def test_merged_betas(self) -> None:
        """Several beta headers become one without repetitions; one stays as it is."""
        headers: Headers = (("Anthropic-Beta", "a, b"), ("x", "1"), ("anthropic-beta", "b,,c"))
        self.assertEqual(merged_betas(headers), (("x", "1"), ("anthropic-beta", "a,b,c")))
        single: Headers = (("anthropic-beta", "a, a"),)
        self.assertEqual(merged_betas(single), single)

    def test_passed(self) -> None:
        """Names and prefixes let a header pass, whatever its case; order is kept."""
        headers: Headers = (("X-App", "cli"), ("x-codex-a", "1"), ("x-application", "2"))
        self.assertEqual(passed(headers, ("x-codex-", "x-app")), headers[:2])


class ModelTests(SynchronousTestCase):
    """The client's bytes for another model."""

    def test_only_the_model_changes(self) -> None:
        """Wherever it stands, in small bodies and in large ones, on each wire that has it."""
        for wire in ("anthropic", "chat", "responses"):
            for text in ("é", "\\u0065 é" * 10_000):
                for body in (
                    b'{"model": "m", "x": "%b"}' % text.encode(),
                    b'{"x": "%b", "y": {"model": 1.0}, "model":"m", "n": 1e2}' % text.encode(),
                    b'{"x": "%b", "mod\\u0065l":"m"}' % text.encode(),
                ):
                    changed = with_model(call(wire, body), "other")
                    self.assertEqual(json.loads(changed), {**json.loads(body), "model": "other"})

    def test_what_is_not_utf_8(self) -> None:
        """It is left to the upstream."""
        asked = call("anthropic", b'{"model": "m", "x": "\xff"}')
        self.assertEqual(with_model(asked, "m"), asked.body)
        self.assertEqual(with_model(asked, "other"), b'{"model": "other", "x": "\xff"}')

    def test_half_characters(self) -> None:
        """Half an emoji, which no reader takes, changes nothing of the rest."""
        body = b'{ "x": "\\ud83d", "model": "m", "n": 1e2,"y":"\\ud83d\\ude00" }'
        changed = with_model(call("anthropic", body), "other")
        self.assertEqual(changed, body.replace(b'"m"', b'"other"'))

    def test_head_of_another_body(self) -> None:
        """Where the head was not read from these very bytes, the member is set all the same."""
        asked = call("anthropic", b'{"model": "m", "n": 1e2}')
        copy = ir.replace(asked, body=b'{"n": 1e2, "model": "m"}')
        self.assertEqual(json.loads(with_model(copy, "other")), {"n": 100, "model": "other"})
        broken = ir.replace(asked, body=b'{"model": "m", "x": "\xff"}')
        self.assertRaises(BadRequest, with_model, broken, "other")


class BetasTests(SynchronousTestCase):
    """`betas` in the body of a request to Anthropic."""

    def test_lifted(self) -> None:
        """They become a header, and the body goes without them."""
        body = b'{"model":"m","betas":["a","b"],"n":1.0}'
        asked = call("anthropic", body)
        lifted, headers = lifted_betas(asked, body, (("x", "y"),))
        self.assertEqual(lifted, b'{"model":"m","n":1.0}')
        self.assertEqual(headers, (("x", "y"), ("anthropic-beta", "a,b")))

    def test_left(self) -> None:
        """What is no list of texts, or not there, or in no UTF-8, is left to the upstream."""
        for body in (
            b'{"model":"m"}',
            b'{"model":"m","betas":null}',
            b'{"model":"m","betas":[1]}',
            b'{"model":"m","x":{"betas":["a"]}}',
            b'{"model":"m","betas":["a"],"x":"\xff"}',
        ):
            self.assertEqual(lifted_betas(call("anthropic", body), body, ()), (body, ()))


class PlaceTests(SynchronousTestCase):
    def test_joined(self) -> None:
        """A version at the end of a base URL is not doubled."""
        for base in ("https://h.test/v1", "https://h.test/v1/", "https://h.test"):
            self.assertEqual(joined(base, "/v1/messages"), "https://h.test/v1/messages")

    def test_query(self) -> None:
        """The client's parameters follow ours, without those that it may not choose."""
        self.assertEqual(with_query("https://h.test/x", ""), "https://h.test/x")
        self.assertEqual(
            with_query("https://h.test/x?a=1", "b=2&beta=true", frozenset({"beta"})),
            "https://h.test/x?a=1&b=2",
        )
