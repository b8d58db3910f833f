"""Conversations with login services, driven."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import CancelledError, Deferred

from aiproxy.errors import CredentialDisabled, CredentialError
from aiproxy.messages import HttpRequest
from aiproxy.providers.contract import Change, Flow, Pause
from aiproxy.services.flows import ANSWER_SECONDS, FLOW_SECONDS, drive
from aiproxy.upstream.client import UpstreamClient
from tests.services.samples import acme
from tests.translate.stage import Stage

DONE = (Change(("a",), 1),)
ASKED = HttpRequest("POST", "http://login.test/x", (), b"asked")


class DriveTests(Stage):
    def setUp(self) -> None:
        self.start()
        self.closed = False

    def drive(self, make: Callable[[], Flow]) -> Deferred[tuple[Change, ...]]:
        client = UpstreamClient(self.clock, agent=self.agent)
        return drive(self.watched(make), acme("a"), client, self.clock)

    def watched(self, make: Callable[[], Flow]) -> Flow:
        try:
            return (yield from make())
        finally:
            self.closed = True

    def test_requests_and_pauses(self) -> None:
        """Each request is answered with what came back, each pause takes its time."""

        def flow() -> Flow:
            first = yield ASKED
            yield Pause(2)
            second = yield HttpRequest("GET", f"http://login.test/{first.body.decode()}")
            return (Change(("status",), second.status),)

        running = self.drive(flow)
        self.assertEqual(self.latest.body, b"asked")
        self.latest.answer(200, b"next")
        self.clock.advance(1.9)
        self.assertEqual(len(self.exchanges), 1)
        self.clock.advance(0.1)
        self.assertEqual(self.latest.path, "/next")
        self.latest.answer(418, b"")
        self.assertEqual(self.successResultOf(running), (Change(("status",), 418),))

    def test_nothing_to_ask(self) -> None:
        """A flow may know the result by itself."""

        def flow() -> Flow:
            yield Pause(0)
            return DONE

        running = self.drive(flow)
        self.clock.advance(0)
        self.assertEqual(self.successResultOf(running), DONE)

    def test_what_it_raises(self) -> None:
        """What a flow raises comes out as it is."""

        def flow() -> Flow:
            yield ASKED
            raise CredentialDisabled("over")

        running = self.drive(flow)
        self.latest.answer(400, b"")
        self.failureResultOf(running, CredentialDisabled)

    def test_no_answer(self) -> None:
        """A service that cannot be reached, or is silent, may be better later."""

        def flow() -> Flow:
            yield ASKED
            return DONE

        for trouble in (
            lambda: self.latest.cut(),
            lambda: self.clock.advance(ANSWER_SECONDS),
        ):
            self.closed = False
            running = self.drive(flow)
            trouble()
            failure = self.failureResultOf(running, CredentialError)
            self.assertNotIsInstance(failure.value, CredentialDisabled)
            self.assertNotIn("login.test", str(failure.value))
            self.assertTrue(self.closed)

    def test_without_end(self) -> None:
        """A conversation that goes on and on is given up."""

        def flow() -> Flow:
            while True:
                yield Pause(10)

        running = self.drive(flow)
        self.clock.pump([10] * int(FLOW_SECONDS / 10))
        self.failureResultOf(running, CredentialError)
        self.assertTrue(self.closed)

    def test_cancelled(self) -> None:
        """Cancelling hangs up and ends the flow."""

        def flow() -> Flow:
            yield ASKED
            return DONE

        running = self.drive(flow)
        running.cancel()
        self.failureResultOf(running, CancelledError)
        self.assertTrue(self.closed)
        self.agent.flush()
        self.assertTrue(self.latest.gone)
