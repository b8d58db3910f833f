"""The balancer: turns, breaker, pauses and reloads as the attempt loop sees them."""

from __future__ import annotations

from collections.abc import Collection

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from aiproxy.messages import Credential
from aiproxy.routing import faults
from aiproxy.routing.breaker import OpenPair
from aiproxy.routing.news import News
from aiproxy.services.balancer import Balancer, Pick
from aiproxy.services.credentials import Credentials
from aiproxy.settings import Upstream
from tests.routing.samples import settings, upstream
from tests.services.samples import logins


class BalancerCase(SynchronousTestCase):
    """A balancer over given upstreams, and calls through it."""

    def start(self, *upstreams: Upstream) -> None:
        self.clock = Clock()
        self.credentials = Credentials(logins(self.clock), self.clock)
        self.balancer = Balancer(settings(*upstreams), self.credentials, self.clock)
        self.names = {upstream.name for upstream in upstreams}

    def pick(self, model: str = "m", tried: Collection[str] = ()) -> Pick:
        pick = self.balancer.pick(model, tried)
        assert pick is not None
        return pick

    def call(
        self, failing: str = "", model: str = "m", fault: faults.Fault = faults.UPSTREAM
    ) -> str:
        """The upstreams that one call asks, "!" when all failed."""
        tried = ""
        while (pick := self.balancer.pick(model, tried)) is not None:
            tried += pick.upstream.name
            if pick.upstream.name not in failing:
                self.balancer.succeeded(pick)
                return tried
            self.balancer.failed(pick, fault)
        return tried + "!"

    def open(self, name: str, model: str = "m") -> None:
        """Open one pair by three failures, passing over the others."""
        for _ in range(3):
            self.balancer.failed(self.pick(model, self.names - {name}), faults.UPSTREAM)


class NewsTests(BalancerCase):
    """Several processes in front of the same upstreams."""

    def start_two(self, *upstreams: Upstream) -> None:
        """`balancer` finds things out, `other` hears of them."""
        self.start(*upstreams)
        self.other = Balancer(settings(*upstreams), self.credentials, self.clock)
        self.balancer.tell = self.other.hear

    def test_breaker(self) -> None:
        """What opens or closes in one opens and closes in the other, and is not told twice."""
        self.start_two(upstream("a"), upstream("b"))
        self.other.tell = lambda news: self.fail(f"told again: {news}")
        self.open("a")
        self.assertEqual([pair[:2] for pair in self.other.unavailable()], [("a", "m")])
        self.clock.advance(settings().circuit_breaker.probe_after_seconds)
        self.balancer.succeeded(self.pick(tried="b"))
        self.assertEqual(self.other.unavailable(), ())

    def test_pause(self) -> None:
        """A pause is kept by all, and ends for all with a reset."""
        self.start_two(upstream("a"))
        self.balancer.failed(self.pick(), faults.THROTTLED, retry_after=60)
        self.assertIsNone(self.other.pick("m"))
        self.clock.advance(60)
        self.assertIsNotNone(self.other.pick("m"))

    def test_credentials(self) -> None:
        """News of a credential rest that one; the upstream rests when there is no other."""
        one = upstream("a", tokens=("x", "y"))
        self.start(one)
        elsewhere = Credentials(logins(self.clock), self.clock)
        elsewhere.tell = self.balancer.hear
        elsewhere.cooled(one, Credential("", one.tokens[0]), 30)
        self.assertIsNotNone(self.balancer.pick("m"))
        elsewhere.cooled(one, Credential("", one.tokens[1]), 20)
        self.assertIsNone(self.balancer.pick("m"))
        why = self.balancer.why_none("m").reply
        self.assertEqual((why.status, why.kind, why.retry_after), (429, "rate_limit", 20))

    def test_reset(self) -> None:
        """A reset by hand is everybody's."""
        self.start_two(upstream("a"))
        self.open("a")
        self.assertTrue(self.balancer.reset("a", "m"))
        self.assertEqual(self.other.unavailable(), ())

    def test_unknown(self) -> None:
        """News of what is not configured here leave nothing behind."""
        self.start(upstream("a", "m"))
        for found in ("opened", "closed", "paused"):
            self.balancer.hear(News(found, "nobody", "m", seconds=60))
            self.balancer.hear(News(found, "a", "x" * 10_000, seconds=60))
        self.assertEqual(self.balancer.unavailable(), ())


class PickTests(BalancerCase):
    def test_turns(self) -> None:
        """Successful calls go round in the configured order."""
        self.start(upstream("a"), upstream("b"), upstream("c"))
        self.assertEqual([self.call() for _ in range(6)], list("abcabc"))

    def test_model(self) -> None:
        """Only upstreams that serve the model have turns for it."""
        self.start(upstream("a", "m"), upstream("b", "k"), upstream("c", "m"))
        self.assertEqual([self.call() for _ in range(6)], list("acacac"))
        self.assertIsNone(self.balancer.pick("nobody-serves-this"))

    def test_disabled(self) -> None:
        """A disabled upstream is never picked nor listed."""
        self.start(upstream("a", "m", enabled=False), upstream("b", "k"))
        self.assertIsNone(self.balancer.pick("m"))
        self.assertEqual(self.balancer.models(), ("k",))

    def test_failover(self) -> None:
        """A call asks each upstream once; the next call goes on after the one that answered."""
        self.start(*(upstream(name) for name in "abcde"))
        self.assertEqual(
            [self.call("ab"), self.call(), self.call(), self.call()], ["abc", "d", "e", "a"]
        )

    def test_heavy_one_fails(self) -> None:
        """When all fail, the heaviest is asked first and each once."""
        self.start(upstream("a", weight=5), upstream("b"), upstream("c"))
        self.assertEqual(self.call("abc"), "abc!")

    def test_open_breaker_is_passed_over(self) -> None:
        """An open upstream has no turn; the calls after a total failure work elsewhere."""
        self.start(upstream("a", weight=5), upstream("b"), upstream("c"))
        self.open("a")
        self.assertEqual(sorted(self.call("bc")[:2]), ["b", "c"])
        self.assertIn(self.call(), ("b", "c"))

    def test_no_upstreams(self) -> None:
        """Nothing to pick from."""
        self.start()
        self.assertIsNone(self.balancer.pick("m"))


class BreakerTests(BalancerCase):
    def test_uncounted_faults(self) -> None:
        """Ten malformed requests open nothing."""
        self.start(upstream("a"), upstream("b"))
        for _ in range(10):
            self.assertIn(self.call("ab", fault=faults.REQUEST), ("ab!", "ba!"))
        self.assertEqual(self.balancer.unavailable(), ())

    def test_opens_with_one_line(self) -> None:
        """The third counted failure opens the pair, and the log says so once."""
        self.start(upstream("a", "m", "k"))
        with capturedLogs() as events:
            self.open("a")
        self.assertEqual([event["fault"] for event in events], ["upstream"])
        self.assertEqual(self.balancer.unavailable(), (OpenPair("a", "m", 1800.0),))
        self.assertEqual(self.balancer.models(), ("k",))
        self.assertEqual(self.call(model="k"), "a")

    def test_two_names_of_one_model(self) -> None:
        """The client's name is what counts, not the one it is mapped to."""
        self.start(upstream("a", mappings={"m": "vendor", "k": "vendor"}))
        self.open("a", "m")
        self.assertEqual(self.call(model="k"), "a")

    def test_probe(self) -> None:
        """After a while one call at a time tries the open upstream; success closes it."""
        self.start(upstream("a"))
        self.open("a")
        self.assertIsNone(self.balancer.pick("m"))
        self.clock.advance(15)
        probe = self.pick()
        self.assertIsNotNone(probe.probe)
        self.assertIsNone(self.balancer.pick("m"))
        self.balancer.released(probe)
        self.balancer.succeeded(self.pick())
        self.assertEqual(self.balancer.unavailable(), ())

    def test_failed_probe(self) -> None:
        """A failed probe makes the next one wait twice as long."""
        self.start(upstream("a"))
        self.open("a")
        self.clock.advance(15)
        self.balancer.failed(self.pick(), faults.UPSTREAM)
        self.clock.advance(29)
        self.assertIsNone(self.balancer.pick("m"))
        self.clock.advance(1)
        self.pick()

    def test_probe_with_a_bad_request(self) -> None:
        """A probe that met a request fault shows nothing and frees its place."""
        self.start(upstream("a"))
        self.open("a")
        self.clock.advance(15)
        self.balancer.failed(self.pick(), faults.REQUEST)
        self.pick()

    def test_client_left(self) -> None:
        """Calls whose client left count for nothing."""
        self.start(upstream("a"))
        for _ in range(5):
            self.balancer.released(self.pick())
        self.assertEqual(self.call(), "a")

    def test_reset(self) -> None:
        """An open pair is reset by hand, with its pause; others are not open."""
        self.start(upstream("a"))
        self.assertFalse(self.balancer.reset("a", "m"))
        self.assertFalse(self.balancer.reset("nobody", "m"))
        picks = [self.pick() for _ in range(3)]
        for pick in picks:
            self.balancer.failed(pick, faults.UPSTREAM, retry_after=60)
        self.assertTrue(self.balancer.reset("a", "m"))
        self.assertEqual(self.call(), "a")


class PauseTests(BalancerCase):
    def test_pause_of_a_pair(self) -> None:
        """A throttled pair rests as long as it asked, without counting; other models go on."""
        self.start(upstream("a"))
        for _ in range(3):
            self.balancer.failed(self.pick(), faults.THROTTLED, retry_after=7)
            self.assertIsNone(self.balancer.pick("m"))
            self.assertEqual(self.call(model="k"), "a")
            self.clock.advance(7)
        self.assertEqual(self.balancer.unavailable(), ())
        self.assertEqual(self.call(), "a")

    def test_throttled_without_a_pause(self) -> None:
        """An upstream that only says 429 is counted like any other failing one."""
        self.start(upstream("a"))
        for _ in range(3):
            self.balancer.failed(self.pick(), faults.THROTTLED)
        self.assertEqual(len(self.balancer.unavailable()), 1)

    def test_resting_credentials(self) -> None:
        """An upstream whose every credential rests is not picked for any model."""
        one = upstream("a", tokens=("x", "y"))
        self.start(one)
        for token, seconds in zip(one.tokens, (5, 9), strict=True):
            self.assertEqual(self.call(), "a")
            self.credentials.cooled(one, Credential("", token), seconds)
        self.assertIsNone(self.balancer.pick("m"))
        self.assertEqual(self.balancer.why_none("k").reply.retry_after, 5)
        self.clock.advance(5)
        self.assertEqual(self.call(), "a")


class WhyNoneTests(BalancerCase):
    def test_unknown_model(self) -> None:
        """Nobody serves it: 404, the model named."""
        self.start(upstream("a", "m"))
        reply = self.balancer.why_none("gpt-x").reply
        self.assertEqual((reply.status, reply.kind), (404, "model_not_found"))
        self.assertIn("gpt-x", reply.message)
        self.assertLess(len(self.balancer.why_none("x" * 100_000).reply.message), 1000)

    def test_all_resting(self) -> None:
        """Somebody serves it, but rests: 503 and the time of the soonest."""
        self.start(upstream("a", "m"), upstream("b", "m"))
        self.open("a")
        self.open("b")
        self.clock.advance(5)
        reply = self.balancer.why_none("m").reply
        self.assertEqual((reply.status, reply.kind, reply.retry_after), (503, "unavailable", 10))

    def test_resting_because_nobody_has_it(self) -> None:
        """A mistyped model is none, also while the breaker spares the upstreams the question."""
        self.start(upstream("a"), upstream("b"))
        for _ in range(3):
            self.call("ab", "typo", faults.NOT_FOUND)
        self.assertIsNone(self.balancer.pick("typo"))
        reply = self.balancer.why_none("typo").reply
        self.assertEqual((reply.status, reply.kind), (404, "model_not_found"))
        self.clock.advance(15)
        self.balancer.failed(self.pick("typo"), faults.UPSTREAM)
        reply = self.balancer.why_none("typo").reply
        self.assertEqual((reply.status, reply.kind), (503, "unavailable"))

    def test_nothing_configured(self) -> None:
        """Without upstreams the service is unavailable, whatever the model."""
        self.start(upstream("a", enabled=False))
        reply = self.balancer.why_none("m").reply
        self.assertEqual((reply.status, reply.kind), (503, "unavailable"))


class ReloadTests(BalancerCase):
    def test_same_list(self) -> None:
        """The same list keeps turns, open pairs and pauses."""
        self.start(upstream("a"), upstream("b"), upstream("c"))
        self.assertEqual(self.call(), "a")
        self.open("b")
        self.balancer.apply(settings(upstream("a"), upstream("b"), upstream("c")))
        self.assertEqual([pair.upstream for pair in self.balancer.unavailable()], ["b"])
        self.assertEqual(self.call(), "c")

    def test_removed_and_back(self) -> None:
        """An upstream that was gone comes back closed; the one that stayed is still open."""
        self.start(upstream("a"), upstream("b"))
        self.open("a")
        self.open("b")
        self.balancer.apply(settings(upstream("b")))
        self.balancer.apply(settings(upstream("a"), upstream("b")))
        self.assertEqual([pair.upstream for pair in self.balancer.unavailable()], ["b"])

    def test_all_disabled_and_back(self) -> None:
        """Nothing is remembered of upstreams that were all switched off."""
        self.start(upstream("a"))
        self.open("a")
        self.balancer.apply(settings(upstream("a", enabled=False)))
        self.balancer.apply(settings(upstream("a")))
        self.assertEqual(self.call(), "a")

    def test_another_machine(self) -> None:
        """A changed address or key closes the breaker and ends the pause."""
        self.start(upstream("a"))
        for _ in range(3):
            self.balancer.failed(self.pick(), faults.THROTTLED, retry_after=3600)
            self.balancer.apply(settings(upstream("a", base_url="http://other.invalid")))
            self.assertEqual(self.call(), "a")
            self.balancer.apply(settings(upstream("a")))

    def test_late_report(self) -> None:
        """What a call says of an upstream that is another one by now changes nothing."""
        self.start(upstream("a"))
        picks = [self.pick() for _ in range(4)]
        self.balancer.apply(settings(upstream("a", tokens=("new",))))
        for pick in picks:
            self.balancer.failed(pick, faults.UPSTREAM, retry_after=60)
        self.assertEqual(self.call(), "a")
        self.open("a")
        self.balancer.succeeded(picks[0])
        self.assertEqual(len(self.balancer.unavailable()), 1)

    def test_removed_while_failing_over(self) -> None:
        """A call's next pick sees the new list."""
        self.start(upstream("a"), upstream("b"))
        pick = self.pick()
        self.balancer.apply(settings(upstream("a")))
        self.balancer.failed(pick, faults.UPSTREAM)
        self.assertIsNone(self.balancer.pick("m", {"a"}))

    def test_models(self) -> None:
        """The listings follow the configuration, and a model taken off the list is not open."""
        self.start(upstream("a", "m", "k"))
        self.open("a")
        self.balancer.apply(settings(upstream("a", "k", "z", mappings={"x": "y"})))
        self.assertEqual(self.balancer.models(), ("k", "z"))
        self.assertEqual(self.balancer.advertised_models(), ("k", "z"))
        self.assertEqual(self.balancer.unavailable(), ())


class ServiceTests(BalancerCase):
    def test_service(self) -> None:
        """It starts and stops like any service, with nothing to wait for."""
        self.start(upstream("a"))
        self.balancer.startService()
        stopped = self.balancer.stopService()
        self.assertNotIsInstance(stopped, Deferred)
        self.assertEqual(self.clock.getDelayedCalls(), [])
