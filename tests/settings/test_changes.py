"""Tests of `aiproxy.settings.changes`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from aiproxy.settings import check_reload, diff
from tests.settings.samples import load, one_upstream, upstream_text


class CheckReloadTests(SynchronousTestCase):
    """Valid configurations that a running program had better not take."""

    def reasons(self, old: str, new: str) -> tuple[str, ...]:
        """Why `new` is refused after `old`."""
        return check_reload(load(old), load(new))

    def test_empty(self) -> None:
        """T061: an empty file drops every upstream and every key."""
        first, second = self.reasons("api-key: k\n" + one_upstream(), "")
        self.assertIn("every upstream", first)
        self.assertIn("authentication off", second)

    def test_authentication(self) -> None:
        """Keys may go only with a clear word."""
        old, new = "api-key: k\n" + one_upstream(), one_upstream()
        self.assertEqual(len(self.reasons(old, new)), 1)
        self.assertEqual(self.reasons(old, "allow_unauthenticated: true\n" + new), ())

    def test_fine(self) -> None:
        """Other changes are nobody's mistake: all disabled, other keys, empty from the start."""
        for old, new in (
            (one_upstream(), one_upstream("enabled: no")),
            ("api-key: k\n" + one_upstream(), "api-key: j\n" + one_upstream()),
            ("", ""),
            ("", one_upstream()),
        ):
            self.assertEqual(self.reasons(old, new), ())


class DiffTests(SynchronousTestCase):
    """What a reload changed."""

    def lines(self, old: str, new: str) -> list[str]:
        """The difference."""
        return list(diff(load(old), load(new)))

    def test_nothing(self) -> None:
        """Equal settings differ in nothing, however they are written."""
        self.assertEqual(self.lines(one_upstream(), "listen: 8080\n" + one_upstream()), [])

    def test_restart(self) -> None:
        """T074: what only a restart changes says so."""
        self.assertEqual(
            self.lines("", 'bind: "::1"\nlisten: :1\nlog: {file: /x, compress: yes}'),
            [
                "bind: 127.0.0.1 -> ::1 (needs restart)",
                "listen: 8080 -> 1 (needs restart)",
                "log.file: none -> /x (needs restart)",
                "log.compress: false -> true (needs restart)",
            ],
        )

    def test_top_level(self) -> None:
        """Numbers, timeouts, breaker and fallbacks by key; keys of clients are only counted."""
        new = "api-key: [canary, k]\nkeepalive: 2.5\ntimeouts: {idle: 7}\n"
        new += "circuit_breaker: {cooldown: 60}\nmodel_fallback: {a: b, c: d}\n"
        self.assertEqual(
            self.lines("model_fallback: {a: x, q: r}\n" + one_upstream(), new + one_upstream()),
            [
                "api-key changed, 2 keys now",
                "keepalive: 10 -> 2.5",
                "timeouts.idle: 120 -> 7",
                "circuit_breaker.cooldown: 1800 -> 60",
                "model_fallback of a: x -> b",
                "model_fallback of q: r -> none",
                "model_fallback of c: none -> d",
            ],
        )

    def test_upstreams(self) -> None:
        """Added, removed, moved; changed ones by key, secrets and long lists without values."""
        old = "upstreams:\n" + "".join(upstream_text(name=name) for name in "abc")
        new = "upstreams:\n" + upstream_text(name="d") + upstream_text(name="b")
        new += upstream_text(
            "token: canary\nweight: 4\nhttp_headers: {authorization: canary}\n"
            "model_mappings: {m: n}\ntimeouts: {idle: 1}\nbase_url: https://other.test",
            "a",
        )
        self.assertEqual(
            self.lines(old, new),
            [
                "upstream c removed",
                "upstream d added",
                "upstream a: base_url: https://host.test -> https://other.test",
                "upstream a: weight: 1 -> 4",
                "upstream a: token changed",
                "upstream a: http_headers changed",
                "upstream a: model_mappings changed",
                "upstream a: timeouts changed",
                "order of upstreams changed",
            ],
        )
