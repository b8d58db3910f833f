"""Tokens take turns, and rest when they were asked to."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from aiproxy.messages import Credential
from aiproxy.routing.news import News
from aiproxy.services.credentials import Credentials
from aiproxy.settings import Upstream
from tests.providers.samples import call
from tests.routing.samples import upstream
from tests.services.samples import logins


class CredentialsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.credentials = Credentials(logins(self.clock), self.clock)
        self.upstream = upstream("a", tokens=("x", "y", "z"))

    def next(self, of: Upstream, tried: Sequence[Credential] = ()) -> Deferred[Credential | None]:
        return self.credentials.next_credential(of, call("anthropic"), "m", tried)

    def call(self, of: Upstream | None = None) -> str:
        """The tokens that one upstream call tries when all are refused."""
        tried: list[Credential] = []
        while True:
            answer = self.next(of or self.upstream, tried)
            credential = self.successResultOf(answer)
            if credential is None:
                return "".join(used.secret.reveal() for used in tried)
            tried.append(credential)

    def token(self, position: int) -> Credential:
        return Credential("", self.upstream.tokens[position])

    def test_each_once(self) -> None:
        """A call goes round all tokens; the next call starts one further."""
        self.assertEqual([self.call() for _ in range(4)], ["xyz", "yzx", "zxy", "xyz"])

    def test_each_leads_equally(self) -> None:
        """Over nine calls each of three tokens leads three times, reload or not."""
        leaders = ""
        for number in range(9):
            if number == 4:
                self.upstream = upstream("a", tokens=("x", "y", "z"), weight=7)
            leaders += self.call()[0]
        self.assertEqual(leaders, "xyzxyzxyz")

    def test_one_token(self) -> None:
        """A single token is tried once."""
        self.assertEqual(self.call(upstream("b", tokens=("only",))), "only")

    def test_no_tokens(self) -> None:
        """Without tokens there is no credential."""
        self.assertEqual(self.call(upstream("b", tokens=())), "")
        self.assertEqual(self.credentials.soonest(upstream("b", tokens=()), "m"), 0)

    def test_calls_at_the_same_time(self) -> None:
        """Each call keeps to its own round while others begin."""
        first = self.successResultOf(self.next(self.upstream))
        assert first is not None
        self.call()
        second = self.successResultOf(self.next(self.upstream, [first]))
        assert second is not None
        self.assertEqual((first.secret.reveal(), second.secret.reveal()), ("x", "y"))

    def test_label(self) -> None:
        """The label tells the position and nothing else."""
        credential = self.successResultOf(self.next(self.upstream))
        assert credential is not None
        self.assertEqual(credential.label, "token 1 of 3")
        self.assertNotIn("x", repr(credential.secret))

    def test_pause(self) -> None:
        """A resting token is passed over until its time; others are not affected."""
        self.credentials.cooled(self.upstream, self.token(0), 10)
        self.assertEqual([self.call() for _ in range(3)], ["yz", "yz", "zy"])
        self.assertEqual(self.call(upstream("b", tokens=("x",))), "x")
        self.clock.advance(10)
        self.assertEqual(self.call(), "xyz")

    def test_pauses_are_told(self) -> None:
        """The log says which credential rests, by its label, and for how long at most."""
        with capturedLogs() as events:
            first = self.successResultOf(self.next(self.upstream))
            assert first is not None
            self.credentials.cooled(self.upstream, first, 1e9, "m")
        [line] = [formatEvent(event) for event in events]
        self.assertEqual(line, "a/m: token 1 of 3 rests for 21600s")

    def test_soonest(self) -> None:
        """The time until the first token is usable, 0 while one is."""
        for position, seconds in ((0, 10), (1, 4)):
            self.credentials.cooled(self.upstream, self.token(position), seconds)
            self.assertEqual(self.credentials.soonest(self.upstream, "m"), 0)
        self.credentials.cooled(self.upstream, self.token(2), 7)
        self.assertEqual(self.credentials.soonest(self.upstream, "m"), 4)
        self.assertEqual(self.call(), "")

    def test_other_processes(self) -> None:
        """A pause that one process was asked for holds in the others, and shows no token."""
        told: list[News] = []
        self.credentials.tell = told.append
        self.credentials.cooled(self.upstream, self.token(1), 10, "m")
        [news] = told
        self.assertEqual((news.upstream, news.model, news.seconds), ("a", "m", 10))
        self.assertNotIn(news.credential, ("x", "y", "z"))
        other = Credentials(logins(self.clock), self.clock)
        other.hear(self.upstream, news)
        self.credentials = other
        self.assertEqual(self.call(), "xz")

    def test_tokens_changed_during_a_call(self) -> None:
        """A call whose list was replaced goes on with the new one, none twice."""
        first = self.successResultOf(self.next(self.upstream))
        assert first is not None
        changed = upstream("a", tokens=("n", "x"))
        answer = self.successResultOf(self.next(changed, [first]))
        assert answer is not None
        self.assertEqual(answer.secret.reveal(), "n")
        gone = upstream("a", tokens=("n",))
        answer = self.successResultOf(self.next(gone, [first]))
        assert answer is not None
        self.assertEqual(answer.secret.reveal(), "n")
