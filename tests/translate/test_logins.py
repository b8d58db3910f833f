"""Calls that auth files pay for: renewal in between, the next file, pauses, further endpoints."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from aiproxy import ir
from aiproxy.errors import ErrorReply
from aiproxy.messages import Credential, HttpReply, HttpRequest
from aiproxy.providers.contract import Call, LoginProvider, Prepared
from aiproxy.settings import Upstream
from aiproxy.wire.jsontext import with_member
from tests.services.samples import Acme, acme, auth_file, document
from tests.translate.stage import (
    ANSWER,
    BLOCK,
    DELTA,
    END,
    START,
    Stage,
    error_body,
    event,
    upstream,
)


class LoginCase(Stage):
    """Two accounts of one vendor, and calls that they pay for."""

    def begin(self, *names: str, then: Sequence[Upstream] = (), **changed: Any) -> None:
        """Files of these names (a and b), each with a token of its name, good for a day."""
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.files = [
            auth_file(self.folder / name, f"{name}1", f"r-{name}1", expires=86400)
            for name in names or ("a", "b")
        ]
        self.upstream = acme("acme", *self.files, **changed)
        self.start(self.upstream, *then)
        self.logins.startService()
        self.addCleanup(self.logins.stopService)

    def tokens(self) -> list[str]:
        """What paid for each call so far."""
        return [seen.token for seen in self.exchanges if seen.path == "/messages"]

    def grant(self, name: str) -> None:
        """The login service gives account `name` its second token."""
        self.assertEqual(self.latest.path, "/token")
        said = {"access_token": f"{name}2", "refresh_token": f"r-{name}2", "expires_in": 86400}
        self.latest.answer(200, json.dumps(said).encode())


class _Streaming(Acme):
    """Sends on what it gets, and wants a stream for any client."""

    def prepare(
        self, call: Call, model: str, upstream: Upstream, credential: Credential
    ) -> Prepared:
        headers = (("x-api-key", credential.secret.reveal()),)
        http = HttpRequest("POST", f"{upstream.base_url}/messages", headers, call.body)
        return Prepared(http, stream=True, losses=())


class UntakenTests(LoginCase):
    acme = _Streaming()

    def test_an_answer_that_nobody_takes(self) -> None:
        """When a call ends between an answer's head and body, so does the connection."""
        self.begin("a")
        running = self.ask(messages=5)
        self.latest.begin()
        self.agent.flush()
        self.assertIs(self.latest.gone, True)
        self.ended(running)
        self.assertEqual(running.client.status, 400)


class RenewalTests(LoginCase):
    def test_refused_token(self) -> None:
        """A refused token is renewed and the call repeated; the client does not notice."""
        self.begin()
        running = self.ask()
        self.refuse(401, "authentication_error")
        self.grant("a")
        self.latest.answer(200, ANSWER)
        trail = self.ended(running)
        self.assertEqual((running.client.status, self.tokens()), (200, ["a1", "a2"]))
        self.assertEqual(trail.attempts, 2)
        self.assertEqual(document(self.files[0])["refresh"], "r-a2")

    def test_refused_again(self) -> None:
        """A renewed token that is refused, too, gives way to the next file, also in later calls."""
        self.begin()
        running = self.ask()
        self.refuse(401, "authentication_error")
        self.grant("a")
        self.refuse(401, "authentication_error")
        self.latest.answer(200, ANSWER)
        self.assertEqual(self.ended(running).outcome, "ok")
        self.assertEqual(self.tokens(), ["a1", "a2", "b1"])
        for _ in range(2):
            self.ask()
            self.latest.answer(200, ANSWER)
        self.assertEqual(self.tokens()[3:], ["b1", "b1"])

    def test_revoked(self) -> None:
        """An account that is revoked is passed over, until a new login is there."""
        self.begin()
        running = self.ask()
        self.refuse(401, "authentication_error")
        self.latest.answer(400, b"{}")
        self.clock.pump([0.5] * 4)
        self.latest.answer(200, ANSWER)
        self.assertEqual(self.ended(running).outcome, "ok")
        for _ in range(2):
            self.ask()
            self.latest.answer(200, ANSWER)
        self.assertEqual(self.tokens(), ["a1", "b1", "b1", "b1"])
        auth_file(self.files[0], "a9", "r-a9", expires=86400)
        self.clock.pump([1] * 2)
        for _ in range(2):
            self.ask()
            self.latest.answer(200, ANSWER)
        self.assertIn("a9", self.tokens()[4:])

    def test_nothing_left(self) -> None:
        """A client never hears 401: its own key was fine; nor does it hear of our files."""
        self.begin()
        for path in self.files:
            path.unlink()
        self.clock.pump([1] * 3)
        for _ in range(5):
            running = self.ask()
            self.ended(running)
            self.assertEqual(running.client.status, 502)
            said = running.client.data.decode() + repr(running.client.headers)
            self.assertNotIn(str(self.folder), said)
            self.assertNotIn("auth file", said)
        self.assertEqual(self.balancer.unavailable(), ())

    def test_leaving_during_a_renewal(self) -> None:
        """Whoever leaves while its token is renewed is gone at once; the renewal is kept."""
        self.begin()
        running = self.ask()
        self.refuse(401, "authentication_error")
        running.done.cancel()
        self.failureResultOf(running.done)
        self.assertEqual(self.trails[-1].outcome, "left")
        self.grant("a")
        self.assertEqual(document(self.files[0])["refresh"], "r-a2")
        self.ask()
        self.ask()
        self.assertIn("a2", self.tokens())


class PauseTests(LoginCase):
    def test_next_file(self) -> None:
        """An account that must wait is passed over for as long as it was told, by all calls."""
        self.begin()
        running = self.ask()
        self.refuse(429, "rate_limit_error", retry_after="60")
        self.latest.answer(200, ANSWER)
        self.assertEqual(self.ended(running).outcome, "ok")
        self.ask(model="other")
        self.assertEqual(self.tokens(), ["a1", "b1", "b1"])

    def test_a_short_pause(self) -> None:
        """A pause of a moment is waited for, once, when no other account can serve meanwhile."""
        self.begin("a")
        running = self.ask()
        self.refuse(429, "rate_limit_error", retry_after="2")
        self.clock.advance(1.9)
        self.assertEqual(self.tokens(), ["a1"])
        self.clock.advance(0.1)
        self.refuse(429, "rate_limit_error", retry_after="2")
        self.ended(running)
        self.assertEqual((self.tokens(), running.client.status), (["a1", "a1"], 429))

    def test_all_wait(self) -> None:
        """When all accounts must wait, the client is told how long: 429 and the soonest."""
        self.begin()
        running = self.ask()
        self.refuse(429, "rate_limit_error", retry_after="60")
        self.refuse(429, "rate_limit_error", retry_after="20")
        self.ended(running)
        self.assertEqual((running.client.status, running.client.header("retry-after")), (429, "20"))
        self.clock.advance(5)
        resting = self.ask()
        self.ended(resting)
        self.assertEqual((resting.client.status, resting.client.header("retry-after")), (429, "15"))
        self.assertEqual(len(self.exchanges), 2)
        self.clock.advance(15)
        self.ask()
        self.assertEqual(self.tokens(), ["a1", "b1", "b1"])

    def test_used_up_and_revoked(self) -> None:
        """An account that waits and one that is dead: the client hears of the one that waits."""
        self.begin()
        self.files[1].write_text("no login", "utf-8")
        self.clock.pump([1] * 3)
        running = self.ask()
        self.refuse(429, "rate_limit_error", retry_after="60")
        self.ended(running)
        self.assertEqual(running.client.status, 429)
        resting = self.ask()
        self.ended(resting)
        self.assertEqual((resting.client.status, resting.client.header("retry-after")), (429, "60"))

    def test_a_new_login_has_its_own_quota(self) -> None:
        """A file with another login in it is tried at once."""
        self.begin("a")
        running = self.ask()
        self.refuse(429, "rate_limit_error", retry_after="600")
        self.ended(running)
        auth_file(self.files[0], "a9", "r-a9", expires=86400)
        self.clock.pump([1] * 2)
        self.ask()
        self.assertEqual(self.tokens(), ["a1", "a9"])

    def test_conversations_stay(self) -> None:
        """Each conversation keeps its account while that is usable, and moves on when it is not."""
        self.begin(affinity=True)

        def say(text: str) -> str:
            self.ask(messages=[{"role": "user", "content": text}])
            self.latest.answer(200, ANSWER)
            return self.tokens()[-1]

        first, second = say("one"), say("two")
        self.assertEqual({first, second}, {"a1", "b1"})
        for _ in range(3):
            self.assertEqual((say("one"), say("two")), (first, second))
        self.ask(messages=[{"role": "user", "content": "one"}])
        self.refuse(429, "rate_limit_error", retry_after="60")
        self.latest.answer(200, ANSWER)
        self.assertEqual((say("one"), say("two")), (second, second))


class _Branched(Acme):
    """Has a second host, knows what "busy" means, and can do without `top_k`."""

    def elsewhere(self, prepared: Prepared, upstream: Upstream) -> tuple[Prepared, ...]:
        url = prepared.http.url.replace(upstream.base_url, "http://second.test")
        return (ir.replace(prepared, http=ir.replace(prepared.http, url=url)),)

    def judge(self, reply: HttpReply, said: ErrorReply, now: float) -> ErrorReply:
        if "busy" in said.message:
            return replace(said, kind="rate_limit", retry_after=30.0, model_only=True)
        return replace(said, kind="quota", retry_after=90.0) if "spent" in said.message else said

    def mended(self, prepared: Prepared, error: ErrorReply) -> Prepared | None:
        if "top_k" not in error.message:
            return None
        body = with_member(prepared.http.body, "top_k", None)
        return ir.replace(prepared, http=ir.replace(prepared.http, body=body))


class BranchTests(LoginCase):
    acme: LoginProvider = _Branched()

    def test_where_else(self) -> None:
        """While the fault may be the endpoint's own, the next one is asked with the same token."""
        for status, said, tries in (
            (500, "x", ["acme", "second", "other"]),
            (404, "x", ["acme", "second", "other"]),
            (409, "x", ["acme", "second", "other"]),
            (429, "x", ["acme", "second", "acme", "second", "other"]),
            (429, "spent", ["acme", "acme", "other"]),
            (403, "x", ["acme", "acme", "other"]),
            (400, "x", ["acme", "other"]),
        ):
            self.begin(then=[replace(upstream("other"), weight=1)])
            running = self.ask()
            while self.latest.upstream != "other":
                self.latest.answer(status, error_body("api_error", said))
            self.latest.answer(200, ANSWER)
            self.assertEqual([seen.upstream for seen in self.exchanges], tries, (status, said))
            self.assertEqual(self.ended(running).attempts, len(tries))

    def test_no_connection(self) -> None:
        """A connection that breaks is such a fault."""
        self.begin("a")
        running = self.ask()
        self.latest.cut()
        self.assertEqual(self.latest.upstream, "second")
        self.latest.answer(200, ANSWER)
        self.assertEqual(self.ended(running).outcome, "ok")

    def test_nowhere_else_after_content(self) -> None:
        """What the client has seen part of is not asked for again."""
        self.begin("a")
        self.ask(stream=True)
        self.latest.begin()
        self.latest.write(START, BLOCK, DELTA)
        self.latest.cut()
        self.assertEqual(len(self.exchanges), 1)

    def test_for_one_model(self) -> None:
        """A pause for one model lets the account serve others."""
        self.begin("a")
        running = self.ask()
        for _ in range(2):
            self.latest.answer(500, error_body("api_error", "busy"))
        self.ended(running)
        resting = self.ask()
        self.ended(resting)
        self.assertEqual((len(self.exchanges), resting.client.status), (2, 429))
        self.ask(model="other")
        self.assertEqual(len(self.exchanges), 3)

    def test_judged_inside_a_stream(self) -> None:
        """An error in a stream that has said nothing yet is judged like a status."""
        self.begin()
        running = self.ask(stream=True)
        self.latest.begin()
        self.latest.write(event(error_body("api_error", "spent")))
        self.assertEqual(self.tokens(), ["a1", "b1"])
        self.latest.begin()
        self.latest.write(START, BLOCK, DELTA, END)
        self.assertEqual(self.ended(running).outcome, "ok")
        self.ask()
        self.assertEqual(self.tokens()[-1], "b1")

    def test_mended(self) -> None:
        """What the upstream refuses by name is left out, once."""
        self.begin("a")
        running = self.ask(top_k=5)
        for _ in range(2):
            self.latest.answer(400, error_body("invalid_request_error", "no top_k here"))
        self.ended(running)
        self.assertEqual(running.client.status, 400)
        first, second = (json.loads(seen.body) for seen in self.exchanges)
        self.assertEqual(first, {**second, "top_k": 5})
