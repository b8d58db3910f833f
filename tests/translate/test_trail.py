"""The headers that tell what happened to a call."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from aiproxy import ir
from aiproxy.messages import Headers
from aiproxy.translate import Trail
from tests.providers.samples import call

UPSTREAM: Headers = (
    ("Request-Id", "req_1"),
    ("Anthropic-RateLimit-Requests-Remaining", "4"),
    ("x-ratelimit-limit", "9"),
    ("openai-processing-ms", "5"),
    ("retry-after", "3"),
    ("Set-Cookie", "canary"),
    ("Server", "canary"),
    ("x-request-ids", "canary"),
    ("content-length", "7"),
)


class TrailTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.trail = Trail(call("chat"), 0.0)

    def test_before_any_attempt(self) -> None:
        """Every answer has the call's id, even one that no upstream was asked for."""
        self.assertEqual(self.trail.headers(), (("x-request-id", "id-1"),))

    def test_attempts(self) -> None:
        """The latest upstream and model are named, with the number of attempts up to then."""
        self.trail.attempt("a", "m1")
        self.trail.attempt("b", "m2")
        self.assertEqual(
            self.trail.headers()[1:],
            (
                ("x-aiproxy-upstream", "b"),
                ("x-aiproxy-model", "m2"),
                ("x-aiproxy-attempts", "2"),
            ),
        )

    def test_losses(self) -> None:
        """Losses are those of the latest attempt, each once, in order."""
        self.trail.attempt("a", "m")
        self.trail.lost([ir.Loss("seed")])
        self.trail.attempt("b", "m")
        self.trail.lost([ir.Loss("top-k"), ir.Loss("stop")])
        self.trail.lost([ir.Loss("top-k", "approximated")])
        self.assertIn(("x-aiproxy-losses", "top-k, stop"), self.trail.headers())
        self.assertEqual(len(self.trail.losses), 2)

    def test_losses_that_a_client_makes_up(self) -> None:
        """Names of unknown fields cannot make the header long, end it or add to the list."""
        self.trail.attempt("a", "m" * 5000)
        self.trail.lost(ir.Loss(f"{at}, x\r\ny: \u6a21" + "z" * 5000) for at in range(5000))
        headers = self.trail.headers((("request-id", "a\x00\r\nb"),), native=True)
        self.assertIn(("request-id", "a???b"), headers)
        features = dict(headers)["x-aiproxy-losses"].split(", ")
        self.assertEqual(len(features), len(self.trail.losses))
        self.assertEqual(features[0][:12], "0? x??y: ?zz")
        self.assertLess(sum(len(value) for _, value in headers), 8000)

    def test_upstream_headers(self) -> None:
        """A client of the same wire sees the vendor's limits and ids, and nothing else."""
        self.assertEqual(self.trail.headers(UPSTREAM)[1:], ())
        native = self.trail.headers(UPSTREAM, native=True)[1:]
        self.assertEqual(native, UPSTREAM[:5])

    def test_names_are_made_printable(self) -> None:
        """No configured name can end a header or start another one."""
        self.trail.attempt("ü\r\nx: 1", "模型")
        self.assertIn(("x-aiproxy-upstream", "???x: 1"), self.trail.headers())
        self.assertIn(("x-aiproxy-model", "??"), self.trail.headers())
