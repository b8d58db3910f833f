"""The side of Kiro, as a client of its API sees it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.defer import maybeDeferred
from twisted.trial.unittest import TestCase

from aiproxy.framing.eventstream import EventStreamDecoder
from aiproxy.simulator import Simulator
from aiproxy.simulator.sides.kiro import PROFILE, REGISTRATION, Kiro
from aiproxy.wire import kiro
from tests.integration.http import Arriving, post
from tests.wire.kiro.samples import body, request, user

reactor: Any = _reactor


class SideTests(TestCase):
    timeout = 30

    def setUp(self) -> None:
        simulator = Simulator(reactor)
        port = reactor.listenTCP(0, simulator.site(), interface="127.0.0.1")
        self.addCleanup(maybeDeferred, port.stopListening)
        self.url = f"http://127.0.0.1:{port.getHost().port}/kiro"
        self.side: Kiro = simulator.sides["kiro"]

    async def ask(self, token: str, place: str = "", **more: Any) -> Arriving:
        asked = {**body(request(user("hi there"), model="echo")), **more}
        headers = {"Authorization": f"Bearer {token}"}
        return await post(f"{self.url}{place}/generateAssistantResponse", asked, headers)

    async def test_answer(self) -> None:
        """A valid token gets a stream, anything else the service's own refusal."""
        answer = await self.ask(self.side.logins.log_in().access_token)
        self.assertEqual(answer.headers["content-type"], "application/vnd.amazon.eventstream")
        decoder = kiro.StreamDecoder()
        events = [e for m in EventStreamDecoder().feed(answer.data) for e in decoder.feed(m)]
        self.assertTrue(events)
        refused = await self.ask("nonsense")
        self.assertEqual(
            (refused.status, refused.headers["x-amzn-errortype"]), (403, "AccessDeniedException")
        )
        self.assertIn("invalid", refused.json["message"])

    async def test_refusal(self) -> None:
        """What the service does not take is a ValidationException."""
        token = self.side.logins.log_in().access_token
        refused = await self.ask(token, inferenceConfig={"maxTokens": 1})
        self.assertEqual((refused.status, refused.json["__type"]), (400, "ValidationException"))

    async def test_places(self) -> None:
        """Endpoints may want a profile named, or none."""
        token = self.side.logins.log_in().access_token
        for place, more, status in (
            ("/profile", {}, 400),
            ("/profile", {"profileArn": PROFILE}, 200),
            ("/plain", {"profileArn": PROFILE}, 400),
            ("/plain", {}, 200),
            ("/any", {"profileArn": PROFILE}, 200),
        ):
            self.assertEqual((await self.ask(token, place, **more)).status, status, place)

    async def test_accounts(self) -> None:
        """An account that may not call, or has used up its month, is told so."""
        for name, status, reason in (
            ("suspended", 403, "TEMPORARILY_SUSPENDED"),
            ("spent", 402, "MONTHLY_REQUEST_COUNT"),
        ):
            refused = await self.ask(self.side.logins.log_in(name).access_token)
            self.assertEqual((refused.status, refused.json["reason"]), (status, reason))

    async def test_renewals(self) -> None:
        """Each kind of login has its own service, whose tokens are good for calls."""
        social, idc = self.side.logins.log_in(), self.side.idc.log_in()
        asked: tuple[tuple[str, Mapping[str, Any], int], ...] = (
            ("refreshToken", {"refreshToken": social.refresh_token}, 200),
            ("refreshToken", {"refreshToken": "nonsense"}, 401),
            ("token", {"refreshToken": idc.refresh_token}, 400),
            (
                "token",
                {
                    "refreshToken": idc.refresh_token,
                    "grantType": "refresh_token",
                    **REGISTRATION,
                },
                200,
            ),
        )
        for path, members, status in asked:
            answer = await post(f"{self.url}/{path}", members)
            self.assertEqual(answer.status, status, path)
            if status == 200:
                self.assertEqual((await self.ask(answer.json["accessToken"])).status, 200)
