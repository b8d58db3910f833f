"""A side's token endpoint, as the login of a vendor sees it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from twisted.internet import reactor as _reactor
from twisted.internet.defer import maybeDeferred
from twisted.trial.unittest import TestCase

from aiproxy.simulator import Simulator
from aiproxy.simulator.sides import Stage, Visit
from aiproxy.simulator.sides.contract import Handler
from aiproxy.simulator.sides.oauth import Dialect, TokenService
from aiproxy.wire import INBOUND
from tests.integration.cases import body
from tests.integration.http import Arriving, post

reactor: Any = _reactor

FORM = Dialect(
    body="form",
    fields={"grant_type": "refresh_token", "client_id": None},
    used_up=(401, "refresh_token_reused"),
)


class Acme:
    """A vendor that checks tokens, and speaks Anthropic's wire at an address of its own."""

    def __init__(self, stage: Stage, dialect: Dialect | None = None) -> None:
        self.logins = TokenService(stage, dialect)
        self.routes: Mapping[tuple[str, str], Handler] = {
            ("POST", "/acme/token"): self.logins.token,
            ("POST", "/acme/<word>/messages"): self._messages,
        }

    async def _messages(self, visit: Visit) -> None:
        if self.logins.bearer(visit) is None or visit.words["word"] != "v9":
            visit.say(401, {"error": {"type": "authentication_error", "message": "no"}})
            return
        await visit.call(INBOUND["anthropic"], path="/v1/messages")


class OAuthCase(TestCase):
    timeout = 30
    dialect: Dialect | None = None

    def setUp(self) -> None:
        self.simulator = Simulator(reactor, sides={"acme": lambda stage: Acme(stage, self.dialect)})
        port = reactor.listenTCP(0, self.simulator.site(), interface="127.0.0.1")
        self.addCleanup(maybeDeferred, port.stopListening)
        self.url = f"http://127.0.0.1:{port.getHost().port}/acme"
        self.logins: TokenService = self.simulator.sides["acme"].logins


class TokenTests(OAuthCase):
    async def renew(self, refresh: str) -> Arriving:
        return await post(
            self.url + "/token", {"grant_type": "refresh_token", "refresh_token": refresh}
        )

    async def ask(self, access: str, word: str = "v9") -> Arriving:
        headers = {"Authorization": f"Bearer {access}", "anthropic-version": "2023-06-01"}
        return await post(f"{self.url}/{word}/messages", body("anthropic", "echo"), headers)

    async def test_rotation(self) -> None:
        """A refresh token is good for one renewal, an access token until the next one."""
        first = self.logins.log_in()
        self.assertEqual((await self.ask(first.access_token)).status, 200)
        renewed = await self.renew(first.refresh_token)
        self.assertEqual((renewed.status, renewed.json["expires_in"]), (200, 3600))
        self.assertEqual((await self.ask(renewed.json["access_token"])).status, 200)
        self.assertEqual((await self.ask(first.access_token)).status, 401)
        again = await self.renew(first.refresh_token)
        self.assertEqual((again.status, again.json["error"]), (400, "invalid_grant"))
        account = self.logins.accounts["ann"]
        self.assertEqual((account.rotations, account.refusals), (1, 1))

    async def test_run_out(self) -> None:
        """An access token that has run out is refused, its refresh token is not."""
        grant = self.logins.log_in()
        self.logins.run_out()
        self.assertEqual((await self.ask(grant.access_token)).status, 401)
        self.assertEqual((await self.renew(grant.refresh_token)).status, 200)

    async def test_revoked(self) -> None:
        """Nothing of a revoked login is worth anything; a new login is."""
        grant = self.logins.log_in()
        self.logins.revoke()
        self.assertEqual((await self.ask(grant.access_token)).status, 401)
        self.assertEqual((await self.renew(grant.refresh_token)).status, 400)
        self.assertEqual((await self.ask(self.logins.log_in().access_token)).status, 200)

    async def test_trouble(self) -> None:
        """It can fail as told, and answer late."""
        grant = self.logins.log_in()
        self.logins.failures.append((503, (("Retry-After", "7"),)))
        self.logins.delay_seconds = 0.01
        failed = await self.renew(grant.refresh_token)
        self.assertEqual((failed.status, failed.headers["retry-after"]), (503, "7"))
        self.assertEqual((await self.renew(grant.refresh_token)).status, 200)

    async def test_what_it_does_not_take(self) -> None:
        """A request of the wrong form is refused and costs nothing."""
        grant = self.logins.log_in()
        answer = await post(self.url + "/token", {"refresh_token": grant.refresh_token})
        self.assertEqual((answer.status, answer.json["error"]), (400, "invalid_request"))
        self.assertEqual((await self.renew(grant.refresh_token)).status, 200)

    async def test_words(self) -> None:
        """A route's variable parts reach its handler."""
        grant = self.logins.log_in()
        self.assertEqual((await self.ask(grant.access_token, "v8")).status, 401)


class FormTests(OAuthCase):
    dialect = FORM

    async def test_form(self) -> None:
        """Forms, and a vendor's own words for a used token."""
        grant = self.logins.log_in()
        asked = {
            "grant_type": "refresh_token",
            "client_id": "c",
            "refresh_token": grant.refresh_token,
        }
        headers = {"content-type": "application/x-www-form-urlencoded"}
        for status in (200, 401):
            answer = await post(self.url + "/token", urlencode(asked).encode(), headers)
            self.assertEqual(answer.status, status)
        self.assertEqual(answer.json["error"], "refresh_token_reused")
