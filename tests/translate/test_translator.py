"""The attempt loop: what is tried after which failure, and what the client gets in the end."""

from __future__ import annotations

import json

from msgspec.structs import replace
from twisted.internet.defer import CancelledError

from aiproxy.providers.contract import Call
from aiproxy.routing.budget import BURST
from aiproxy.settings import BreakerSettings, Upstream
from tests.providers.samples import BODIES, call
from tests.translate.stage import ANSWER, BLOCK, DELTA, START, Stage, error_body, upstream


class GoodTests(Stage):
    def test_whole(self) -> None:
        """An upstream's answer reaches a client of its wire byte for byte, with our headers."""
        self.start(upstream("a", model_mappings={"m": "up"}))
        running = self.ask()
        self.assertEqual(json.loads(self.latest.body)["model"], "up")
        self.latest.answer(200, ANSWER)
        trail = self.ended(running)
        self.assertEqual((running.client.status, running.client.data), (200, ANSWER))
        self.assertEqual(
            dict(running.client.headers),
            {
                "x-request-id": "id-1",
                "x-aiproxy-upstream": "a",
                "x-aiproxy-model": "up",
                "x-aiproxy-attempts": "1",
            },
        )
        self.assertEqual((trail.outcome, trail.attempts), ("ok", 1))
        self.assertEqual((trail.usage.input, trail.usage.output), (3, 2))  # type: ignore[union-attr]

    def test_round_robin(self) -> None:
        """Calls take turns among the upstreams, and each token has its turn in its upstream."""
        self.start(upstream("a", tokens=("1", "2")), upstream("b"))
        for _ in range(5):
            running = self.ask()
            self.latest.answer(200, ANSWER)
            self.ended(running)
        self.assertEqual(self.asked, "ababa")
        self.assertEqual([e.token for e in self.exchanges if e.upstream == "a"], ["1", "2", "1"])


class FailoverTests(Stage):
    def test_next_upstream(self) -> None:
        """After an upstream's failure the next one answers; the client sees only that."""
        self.start(upstream("a"), upstream("b"))
        running = self.ask()
        self.refuse(500)
        self.assertFalse(running.client.started)
        self.latest.answer(200, ANSWER)
        trail = self.ended(running)
        self.assertEqual(running.client.status, 200)
        self.assertEqual(running.client.header("x-aiproxy-upstream"), "b")
        self.assertEqual(running.client.header("x-aiproxy-attempts"), "2")
        self.assertEqual([reply.status for reply in trail.errors], [500])

    def test_repeat(self) -> None:
        """An upstream that is alone is asked once more, and that counts as one failure."""
        self.start(breaker=BreakerSettings(1, 100, 15))
        running = self.ask()
        self.refuse(500)
        self.assertEqual(self.asked, "aa")
        self.assertEqual(self.balancer.unavailable(), ())
        self.refuse(500)
        self.ended(running)
        self.assertEqual(self.asked, "aa")
        self.assertEqual(len(self.balancer.unavailable()), 1)
        self.assertEqual(running.client.status, 502)
        self.assertEqual(running.client.header("x-aiproxy-attempts"), "2")

    def test_repeat_succeeds(self) -> None:
        """A second try that succeeds leaves nothing on record."""
        self.start(breaker=BreakerSettings(1, 100, 15))
        running = self.ask()
        self.refuse(502)
        self.latest.answer(200, ANSWER)
        self.assertEqual(self.ended(running).outcome, "ok")
        self.assertEqual(self.balancer.unavailable(), ())

    def test_repeat_is_the_last_resort(self) -> None:
        """Only the last of several upstreams is asked twice."""
        self.start(upstream("a"), upstream("b"))
        running = self.ask()
        for _ in range(3):
            self.refuse(500)
        self.ended(running)
        self.assertEqual(self.asked, "abb")

    def test_no_repeat_after_silence(self) -> None:
        """An upstream that let a clock run out is not given the same time again."""
        self.start()
        running = self.ask(stream=True)
        self.clock.advance(60)
        self.agent.flush()
        self.ended(running)
        self.assertEqual(self.asked, "a")
        self.assertTrue(self.latest.gone)

    def test_short_wait(self) -> None:
        """An upstream that is alone and asks for a short pause is asked again after it, once."""
        self.start()
        running = self.ask()
        self.refuse(429, "rate_limit_error", retry_after="2")
        self.clock.advance(1.9)
        self.assertEqual(self.asked, "a")
        self.clock.advance(0.1)
        self.assertEqual(self.asked, "aa")
        self.refuse(429, "rate_limit_error", retry_after="2")
        self.ended(running)
        self.assertEqual(self.asked, "aa")
        self.assertEqual((running.client.status, running.client.header("retry-after")), (429, "2"))
        self.assertEqual(self.balancer.unavailable(), ())

    def test_short_wait_of_several_credentials(self) -> None:
        """With several, the first one that is free again pays for the second try."""
        self.start(upstream("a", tokens=("t1", "t2")))
        running = self.ask()
        self.refuse(429, "rate_limit_error", retry_after="3")
        self.refuse(429, "rate_limit_error", retry_after="1")
        self.clock.advance(1)
        self.latest.answer(200, ANSWER)
        self.assertEqual(self.ended(running).attempts, 3)

    def test_nobody_else_disturbs_a_short_wait(self) -> None:
        """While one call waits, others do not ask the upstream that wanted to be left alone."""
        self.start()
        self.ask()
        self.refuse(429, "rate_limit_error", retry_after="2")
        other = self.ask()
        self.ended(other)
        self.assertEqual((self.asked, other.client.status), ("a", 503))

    def test_no_wait_where_another_is_free(self) -> None:
        """Another upstream's answer is better than a wait; a longer pause is not waited for."""
        self.start(upstream("a"), upstream("b"))
        running = self.ask()
        self.refuse(429, "rate_limit_error", retry_after="1")
        self.assertEqual(self.asked, "ab")
        self.refuse(429, "rate_limit_error", retry_after="4")
        self.ended(running)

    def test_one_wait_only(self) -> None:
        """An upstream that has become free meanwhile is asked at once when the wait was in vain."""
        self.start(upstream("a"), upstream("b"))
        other = self.ask()
        self.refuse(429, "rate_limit_error", retry_after="1")
        running = self.ask()
        self.assertEqual(self.asked, "abb")
        self.exchanges[1].answer(200, ANSWER)
        self.ended(other)
        self.refuse(429, "rate_limit_error", retry_after="2")
        self.clock.advance(2)
        self.assertEqual(self.asked, "abbb")
        self.refuse(429, "rate_limit_error", retry_after="2")
        self.assertEqual(self.asked, "abbba")
        self.latest.answer(200, ANSWER)
        self.assertEqual(self.ended(running).attempts, 3)

    def test_leaving_during_a_short_wait(self) -> None:
        """A client that leaves meanwhile ends the call, and its probe is another call's again."""
        self.start(breaker=BreakerSettings(1, 100, 15))
        running = self.ask()
        self.refuse(403)
        self.ended(running)
        self.clock.advance(15)
        running = self.ask()
        self.refuse(429, "rate_limit_error", retry_after="2")
        running.done.cancel()
        self.failureResultOf(running.done, CancelledError)
        self.assertEqual(self.trails[-1].outcome, "left")
        self.clock.advance(2)
        self.assertEqual(self.asked, "aa")
        self.ask()
        self.assertEqual(self.asked, "aaa")

    def test_storm(self) -> None:
        """When all calls fail at once, only some of them ask a second time."""
        self.start(breaker=BreakerSettings(1000, 100, 15))
        calls = [self.ask() for _ in range(100)]
        for exchange in tuple(self.exchanges):
            exchange.answer(500, error_body("api_error"))
        for exchange in self.exchanges[100:]:
            exchange.answer(500, error_body("api_error"))
        for running in calls:
            self.ended(running)
        self.assertEqual(len(self.exchanges), 100 + BURST)

    def test_empty_answer(self) -> None:
        """An answer without content, tokens and reason is none: the next upstream is asked."""
        self.start(upstream("a"), upstream("b"))
        running = self.ask()
        empty = json.loads(ANSWER)
        empty["content"], empty["usage"]["output_tokens"] = [], 0
        self.latest.answer(200, json.dumps(empty).encode())
        self.latest.answer(200, ANSWER)
        self.assertEqual(self.ended(running).attempts, 2)

    def test_not_the_protocol(self) -> None:
        """A web page or broken JSON under a good status fails over."""
        for body, kind in ((b"<html>", "text/html"), (b'{"a"', "application/json")):
            self.start(upstream("a"), upstream("b"))
            running = self.ask()
            self.latest.answer(200, body, content_type=kind)
            self.latest.answer(200, ANSWER)
            self.assertEqual(self.ended(running).attempts, 2)

    def test_error_in_disguise(self) -> None:
        """An error under a good status is an error."""
        self.start(upstream("a"), upstream("b"))
        running = self.ask()
        self.refuse(200, "overloaded_error")
        self.latest.answer(200, ANSWER)
        self.assertEqual(self.ended(running).attempts, 2)

    def test_redirect(self) -> None:
        """A redirect is a failure and leads nowhere."""
        self.start(upstream("a"), upstream("b"))
        running = self.ask()
        self.latest.answer(307, b"", location="http://elsewhere.test/")
        self.latest.answer(200, ANSWER)
        self.ended(running)
        self.assertEqual(self.asked, "ab")


class FaultTests(Stage):
    """What follows from each class of failure."""

    def everything_fails(self, status: int, type: str, *upstreams: Upstream) -> None:
        """Start anew, and let all attempts of one call fail alike."""
        self.start(*(upstreams or (upstream("a"), upstream("b"))), breaker=BreakerSettings(1, 9, 9))
        self.running = self.ask()
        answered = 0
        while len(self.exchanges) > answered:
            answered = len(self.exchanges)
            self.refuse(status, type)
        self.ended(self.running)

    def opened(self) -> str:
        return "".join(pair.upstream for pair in self.balancer.unavailable())

    def test_table(self) -> None:
        """Who is asked, whom the breaker opens, and what the client gets."""
        two = ("1", "2")
        for status, type, asked, opened, expected in (
            (400, "invalid_request_error", "ab", "", 400),
            (413, "request_too_large", "ab", "", 413),
            (422, "invalid_request_error", "ab", "", 422),
            (404, "not_found_error", "ab", "ab", 404),
            (401, "authentication_error", "aabb", "ab", 502),
            (403, "permission_error", "aabb", "ab", 502),
            (402, "billing_error", "aabb", "ab", 502),
            (429, "rate_limit_error", "aabb", "ab", 429),
            (529, "overloaded_error", "aabb", "ab", 503),
            (500, "api_error", "abb", "ab", 502),
            (503, "api_error", "abb", "ab", 503),
        ):
            self.everything_fails(
                status, type, upstream("a", tokens=two), upstream("b", tokens=two)
            )
            self.assertEqual(
                (self.asked, self.opened(), self.running.client.status),
                (asked, opened, expected),
                f"{status} {type}",
            )
            self.assertEqual(self.running.client.ending, "whole")

    def test_words_of_the_upstream(self) -> None:
        """A fault of the request reaches a client of the same wire in the upstream's bytes."""
        self.everything_fails(400, "invalid_request_error")
        self.assertEqual(
            json.loads(self.running.client.data)["error"]["message"], "as the vendor says"
        )

    def test_our_credential_is_not_the_clients(self) -> None:
        """A refused credential never looks like the client's, in status or in words."""
        self.everything_fails(401, "authentication_error")
        self.assertNotIn(b"as the vendor says", self.running.client.data)
        self.assertNotIn(b"authentication", self.running.client.data)

    def test_policy(self) -> None:
        """What one vendor's policy refuses is not taken to another one."""
        self.start(upstream("a", tokens=("1", "2")), upstream("b"))
        running = self.ask()
        body = error_body("invalid_request_error", "blocked by content policy")
        self.latest.answer(400, body)
        self.ended(running)
        self.assertEqual(self.asked, "a")
        self.assertEqual((running.client.status, running.client.data), (400, body))

    def test_credentials_take_turns(self) -> None:
        """After a refused token the others are tried in order, each once."""
        self.start(upstream("a", tokens=("1", "2", "3")))
        running = self.ask()
        self.refuse(401, "authentication_error")
        self.refuse(429, "rate_limit_error")
        self.latest.answer(200, ANSWER)
        trail = self.ended(running)
        self.assertEqual([exchange.token for exchange in self.exchanges], ["1", "2", "3"])
        self.assertEqual((trail.outcome, trail.attempts), ("ok", 3))
        self.assertEqual(self.balancer.unavailable(), ())

    def test_the_most_telling_error(self) -> None:
        """Of several failures the client hears of the one that helps it."""
        self.start(upstream("a"), upstream("b"), upstream("c"))
        running = self.ask()
        self.refuse(500)
        self.refuse(400, "invalid_request_error")
        self.refuse(429, "rate_limit_error")
        self.ended(running)
        self.assertEqual(running.client.status, 400)

    def test_ten_bad_requests(self) -> None:
        """A client's faulty requests never take an upstream away from others."""
        self.start()
        for _ in range(10):
            running = self.ask()
            self.refuse(400, "invalid_request_error")
            self.ended(running)
        self.assertEqual(self.asked, "a" * 10)
        self.assertEqual(self.balancer.unavailable(), ())


class PauseTests(Stage):
    def test_retry_after(self) -> None:
        """A throttled upstream rests for as long as it says, and the client hears it."""
        self.start()
        running = self.ask()
        self.refuse(429, "rate_limit_error", retry_after="7")
        self.ended(running)
        self.assertEqual((running.client.status, running.client.header("retry-after")), (429, "7"))
        self.assertEqual(self.balancer.unavailable(), ())
        resting = self.ask()
        self.ended(resting)
        self.assertEqual(self.asked, "a")
        self.assertEqual((resting.client.status, resting.client.header("retry-after")), (503, "7"))
        self.clock.advance(7)
        self.ask()
        self.assertEqual(self.asked, "aa")

    def test_a_pause_is_the_credentials(self) -> None:
        """A throttled token rests alone; the others go on."""
        self.start(upstream("a", tokens=("1", "2")))
        for _ in range(3):
            running = self.ask()
            if self.latest.token == "1":
                self.refuse(429, "rate_limit_error", retry_after="60")
            self.latest.answer(200, ANSWER)
            self.ended(running)
        self.assertEqual([exchange.token for exchange in self.exchanges], ["1", "2", "2", "2"])
        self.clock.advance(60)
        self.ask()
        self.ask()
        self.assertIn("1", [exchange.token for exchange in self.exchanges[-2:]])

    def test_the_soonest_credential_counts(self) -> None:
        """When all tokens were told to wait, the upstream rests until the first is free again."""
        for pauses in (("5", "60"), ("60", "5")):
            self.start(upstream("a", tokens=("1", "2")))
            running = self.ask()
            for pause in pauses:
                self.refuse(429, "rate_limit_error", retry_after=pause)
            self.ended(running)
            self.assertEqual(running.client.header("retry-after"), "5")
            self.clock.advance(4.5)
            resting = self.ask()
            self.ended(resting)
            self.assertEqual((self.asked, resting.client.status), ("aa", 429))
            self.clock.advance(0.5)
            self.ask()
            self.assertEqual(self.asked, "aaa", pauses)
            free = str(pauses.index("5") + 1)
            self.assertEqual(self.latest.token, free)

    def test_the_last_failure_is_no_pause(self) -> None:
        """While some token may be used, the other tokens' pauses do not stop the upstream."""
        self.start(upstream("a", tokens=("1", "2")))
        running = self.ask()
        self.refuse(429, "rate_limit_error", retry_after="60")
        self.refuse(401, "authentication_error")
        self.ended(running)
        self.ask()
        self.assertEqual(self.latest.token, "2")


class FallbackTests(Stage):
    def test_chain(self) -> None:
        """The models that stand in are asked in order, each under its own mapping."""
        self.start(
            upstream("a", available_models=("m1",)),
            upstream("b", available_models=("m3",)),
            upstream("c", available_models=("m4",), model_mappings={"m4": "up4"}),
            fallback={"m1": "m2", "m2": "m3", "m3": "m4"},
        )
        running = self.ask(model="m1")
        self.refuse(404, "not_found_error")
        self.refuse(418, "api_error")
        self.latest.answer(200, ANSWER)
        self.ended(running)
        self.assertEqual(
            [json.loads(exchange.body)["model"] for exchange in self.exchanges],
            ["m1", "m3", "up4"],
        )
        self.assertEqual(running.client.header("x-aiproxy-model"), "up4")

    def test_the_same_upstream_may_serve_it(self) -> None:
        """An upstream that failed for one model is asked again for what stands in."""
        self.start(fallback={"m": "k"})
        running = self.ask()
        self.refuse(404, "not_found_error")
        self.latest.answer(200, ANSWER)
        self.ended(running)
        self.assertEqual(
            [json.loads(exchange.body)["model"] for exchange in self.exchanges], ["m", "k"]
        )

    def test_unknown_model(self) -> None:
        """A model that nobody serves is not found, in the client's dialect."""
        self.start(upstream("a", available_models=("k",)))
        running = self.ask("chat", model="nobody-knows")
        self.ended(running)
        self.assertEqual(self.exchanges, [])
        self.assertEqual(running.client.status, 404)
        self.assertIn("nobody-knows", json.loads(running.client.data)["error"]["message"])
        self.assertIsNone(running.client.header("x-aiproxy-upstream"))

    def test_all_open(self) -> None:
        """When all that serve a model rest, the client is told when to come again."""
        self.start(breaker=BreakerSettings(1, 1800, 15))
        self.balancer_opens()
        running = self.ask()
        self.ended(running)
        self.assertEqual((running.client.status, running.client.header("retry-after")), (503, "15"))

    def balancer_opens(self) -> None:
        running = self.ask()
        self.refuse(403, "permission_error")
        self.ended(running)


class ProbeTests(Stage):
    def test_a_probe_fails_over(self) -> None:
        """One live call tries a resting upstream; when it fails, another one answers."""
        self.start(upstream("a"), upstream("b"), breaker=BreakerSettings(1, 1800, 15))
        running = self.ask()
        self.refuse(500)
        self.latest.answer(200, ANSWER)
        self.ended(running)
        for _ in range(2):
            running = self.ask()
            self.latest.answer(200, ANSWER)
        self.assertEqual(self.asked, "abbb")
        self.clock.advance(15)
        calls = [self.ask() for _ in range(3)]
        self.assertEqual(sorted(self.asked[4:]), ["a", "b", "b"])
        probe = next(e for e in self.exchanges[4:] if e.upstream == "a")
        probe.answer(500, b"")
        for exchange in [e for e in self.exchanges[4:] if e is not probe]:
            exchange.answer(200, ANSWER)
        for running in calls:
            self.assertEqual(self.ended(running).outcome, "ok")
            self.assertEqual(running.client.status, 200)

    def test_a_probe_whose_client_leaves(self) -> None:
        """A probe that ends early shows nothing: the next call may probe."""
        self.start(breaker=BreakerSettings(1, 1800, 15))
        first = self.ask()
        self.refuse(404, "not_found_error")
        self.ended(first)
        self.clock.advance(15)
        probe = self.ask()
        self.assertEqual(self.asked, "aa")
        probe.done.cancel()
        self.failureResultOf(probe.done, CancelledError)
        again = self.ask()
        self.assertEqual(self.asked, "aaa")
        self.latest.answer(200, ANSWER)
        self.ended(again)
        self.assertEqual(self.balancer.unavailable(), ())


class LeavingTests(Stage):
    def test_client_leaves(self) -> None:
        """When the client leaves, its attempt is torn down, and nobody is blamed."""
        for stream, begun in ((False, False), (True, False), (True, True)):
            self.start(upstream("a"), upstream("b"), breaker=BreakerSettings(1, 9, 9))
            running = self.ask(stream=stream)
            if begun:
                self.latest.begin()
                self.latest.write(START, BLOCK, DELTA)
            running.done.cancel()
            self.agent.flush()
            self.failureResultOf(running.done, CancelledError)
            self.assertTrue(self.latest.gone)
            self.assertEqual(self.asked, "a")
            self.assertEqual(self.trails[-1].outcome, "left")
            self.assertEqual(self.balancer.unavailable(), ())
            self.assert_no_clock_runs()


class CountTests(Stage):
    def count(self, wire: str = "anthropic") -> Call:
        body = json.dumps({**BODIES[wire], "model": "m"}).encode()
        return call(wire, body, "/v1/messages/count_tokens")

    def test_native(self) -> None:
        """The vendor's own count passes as it is."""
        self.start()
        running = self.ask(of=self.count())
        self.assertEqual(self.latest.path, "/v1/messages/count_tokens")
        self.latest.answer(200, b'{"input_tokens": 17}')
        self.ended(running)
        self.assertEqual(running.client.data, b'{"input_tokens": 17}')
        self.assertIsNone(running.client.header("x-aiproxy-estimated"))

    def test_estimate(self) -> None:
        """Where the upstream cannot count, aiproxy estimates and says so."""
        self.start(upstream("a", api_type="openai"))
        running = self.ask(of=self.count())
        self.ended(running)
        self.assertEqual(self.exchanges, [])
        self.assertEqual(running.client.header("x-aiproxy-estimated"), "true")
        self.assertGreater(json.loads(running.client.data)["input_tokens"], 0)

    def test_counting_says_nothing_of_health(self) -> None:
        """Failures of counting do not open a breaker."""
        self.start(breaker=BreakerSettings(1, 9, 9))
        running = self.ask(of=self.count())
        while not running.done.called:
            self.refuse(404, "not_found_error")
        self.ended(running)
        self.assertEqual(self.balancer.unavailable(), ())
        self.assertEqual(running.client.status, 404)

    def test_compact(self) -> None:
        """What no upstream of the model can do is not found."""
        self.start()
        made = call("responses", path="/v1/responses/compact")
        running = self.ask(of=made)
        self.ended(running)
        self.assertEqual((self.exchanges, running.client.status), ([], 404))


class OwnFaultTests(Stage):
    def test_bad_request_of_one_target(self) -> None:
        """What one upstream's protocol cannot carry is tried at the next one, blaming nobody."""
        self.start(
            upstream("a"),
            upstream("b", api_type="responses"),
            breaker=BreakerSettings(1, 9, 9),
        )
        running = self.ask("responses", previous_response_id="resp_1")
        self.assertEqual(self.asked, "b")
        self.latest.answer(
            400, b'{"error":{"message":"no such response","type":"invalid_request_error"}}'
        )
        self.ended(running)
        self.assertEqual(running.client.status, 400)
        self.assertEqual(self.balancer.unavailable(), ())

    def test_unreadable_request(self) -> None:
        """A request that makes no sense is the client's fault, whoever would have served it."""
        self.start(upstream("a", api_type="openai"))
        running = self.ask(messages=7)
        self.ended(running)
        self.assertEqual((self.exchanges, running.client.status), ([], 400))
        self.assertEqual(json.loads(running.client.data)["type"], "error")

    def test_our_own_bug(self) -> None:
        """An unforeseen exception is logged, and the client gets the call's id and no more."""
        self.start(upstream("a", api_type="openai"))

        def decode() -> None:
            raise RuntimeError("canary")

        made = replace(call("anthropic"), decode=decode)
        running = self.ask(of=made)
        self.ended(running)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertEqual(running.client.status, 500)
        self.assertIn(b"id-1", running.client.data)
        self.assertNotIn(b"canary", running.client.data)

    def test_secrets(self) -> None:
        """No token shows in what a client gets, even when the upstream repeats it."""
        self.start(upstream("a", tokens=("sk-canary-12345678",)))
        running = self.ask("chat")
        said = "your key sk-canary-12345678 is bad at http://canary.test/x"
        self.latest.answer(
            400, json.dumps({"error": {"type": "invalid_request_error", "message": said}}).encode()
        )
        self.ended(running)
        self.assertEqual(running.client.status, 400)
        self.assertNotIn(b"canary", running.client.data)
