"""Clients that leave while their login is being renewed, at a service that takes its time."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, ensureDeferred

from tests.faults.test_pressure import ANSWER
from tests.integration.cases import ProgramCase, body, outside, reactor, upstream
from tests.integration.http import get, post
from tests.integration.logins import write_login
from tests.integration.program import Program
from tests.upstream.servers import Connection
from tests.web.clients import connected

ACCESS = "access-canary-new"
REFRESH = "refresh-canary-new"


class RenewalCase(ProgramCase):
    """One login, a vendor and its login service; the test answers for both."""

    def setUp(self) -> None:
        super().setUp()
        self.path = Path(self.mktemp()).absolute()
        self.vendor, self.vendor_url = self.server()
        self.service, self.service_url = self.server()

    def config(self) -> str:
        """Neither a clock of ours nor a second failure ends a call here."""
        return (
            "circuit_breaker: {failures: 1}\nkeepalive: 600\nupstreams:\n"
            "  - name: vendor\n"
            "    api_type: claudecode\n"
            f"    base_url: {self.vendor_url}\n"
            f"    token_url: {self.service_url}/token\n"
            f"    auth_files: {json.dumps([str(self.path)])}\n"
        )

    def ask(self, program: Program) -> Deferred[Any]:
        return ensureDeferred(post(program.url + "/v1/messages", body("anthropic", "m")))

    def grant(self, asked: Connection) -> None:
        """The refresh token that was shown is worth nothing from now on."""
        said = {"access_token": ACCESS, "refresh_token": REFRESH, "expires_in": 3600}
        asked.answer(json.dumps(said).encode(), b"Content-Type: application/json")

    def paid(self, connection: Connection) -> None:
        """The vendor answers a call that was paid with the new login."""
        head, _ = connection.requests[-1]
        self.assertIn(f"authorization: Bearer {ACCESS}".lower(), head.decode().lower())
        connection.answer(ANSWER, b"Content-Type: application/json")

    async def left(self, program: Program) -> None:
        """Return when the program has done with a call whose client is gone."""
        await self.says(program, "outcome=left")

    async def says(self, program: Program, words: str) -> None:
        async def is_there() -> bool:
            return words in program.output()

        await self.eventually(is_there)

    async def round_trip(self, program: Program) -> None:
        """What was sent to the program before this has been read by it after."""
        for _ in range(3):
            await get(program.url + "/healthz")

    async def leaves(self, leaving: Deferred[Any], program: Program) -> None:
        """Whoever asked goes, and the program has seen it."""
        leaving.addErrback(lambda _: None)
        leaving.cancel()
        await self.left(program)

    async def kept(self) -> None:
        """Return when the new login is in the file."""

        async def is_kept() -> bool:
            return self.tokens() == (ACCESS, REFRESH)

        await self.eventually(is_kept)

    def tokens(self) -> tuple[str, str]:
        found = json.loads(self.path.read_text("utf-8"))["claudeAiOauth"]
        return found["accessToken"], found["refreshToken"]


class LeavingTests(RenewalCase):
    @outside
    async def test_nobody_else_waits(self) -> None:
        """The call ends while the service is silent; what it says later is kept and used."""
        write_login(self.path, "claudecode")
        program = await self.start(self.config())
        leaving = self.ask(program)
        renewal = await self.service.request()
        await self.leaves(leaving, program)
        self.assertFalse(renewal.lost.called)
        self.assertEqual(self.vendor.connections, [])
        self.assertEqual((await get(program.url + "/unavailable-models")).json, [])
        self.grant(renewal)
        await self.kept()
        self.assertEqual(self.vendor.connections, [])
        asked = self.ask(program)
        self.paid(await self.vendor.request())
        self.assertEqual((await asked).status, 200)
        self.assertEqual(len(renewal.requests), 1)
        self.assertEqual(len(self.service.connections), 1)

    @outside
    async def test_somebody_else_waits(self) -> None:
        """One client leaves and one stays, for whom the same renewal goes on."""
        write_login(self.path, "claudecode")
        program = await self.start(self.config())
        leaving = self.ask(program)
        renewal = await self.service.request()
        staying = await connected(reactor, program.port)
        staying.post("/v1/messages", json.dumps(body("anthropic", "m")).encode())
        await self.round_trip(program)
        await self.leaves(leaving, program)
        self.assertFalse(renewal.lost.called)
        self.grant(renewal)
        self.paid(await self.vendor.request())
        self.assertEqual((await staying.answer()).status, 200)
        staying.close()
        self.assertEqual(len(self.vendor.connections), 1)
        self.assertEqual(len(self.service.connections), 1)
        self.assertEqual(self.tokens(), (ACCESS, REFRESH))

    @outside
    async def test_after_a_refusal(self) -> None:
        """The token was refused before the client left: that counts no more than the leaving."""
        write_login(self.path, "claudecode", access="access-canary-old")
        program = await self.start(self.config())
        leaving = self.ask(program)
        refusing = await self.vendor.request()
        refusing.write(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")
        renewal = await self.service.request()
        await self.leaves(leaving, program)
        self.assertFalse(renewal.lost.called)
        self.assertEqual((await get(program.url + "/unavailable-models")).json, [])
        self.grant(renewal)
        await self.kept()
        self.assertEqual(len(refusing.requests), 1)
        asked = self.ask(program)
        self.paid(await self.vendor.request())
        self.assertEqual((await asked).status, 200)


class UnconfiguredTests(RenewalCase):
    timeout = 45
    """Less than the time after which idle connections are closed anyway."""

    @outside
    async def test_idle_connections(self) -> None:
        """Those to the vendor and to its login service are closed once the login is gone."""
        write_login(self.path, "claudecode")
        program = await self.start(self.config())
        asked = self.ask(program)
        renewal = await self.service.request()
        self.grant(renewal)
        call = await self.vendor.request()
        self.paid(call)
        self.assertEqual((await asked).status, 200)
        self.assertFalse(renewal.lost.called or call.lost.called)
        program.write("upstreams:\n" + upstream("other", "http://127.0.0.1:1"))
        program.signal(signal.SIGHUP)
        await renewal.lost
        await call.lost

    @outside
    async def test_gone_from_the_configuration(self) -> None:
        """A reload without the login, and then a stop, wait for what the service says."""
        write_login(self.path, "claudecode")
        program = await self.start(self.config())
        leaving = self.ask(program)
        renewal = await self.service.request()
        await self.leaves(leaving, program)
        program.write("upstreams:\n" + upstream("other", self.vendor_url))
        program.signal(signal.SIGHUP)

        await self.says(program, " loaded: ")
        program.signal(signal.SIGTERM)
        await self.eventually(lambda: self.refuses(program))
        self.assertFalse(renewal.lost.called)
        self.grant(renewal)
        self.assertEqual(await program.ended(), 0)
        self.assertEqual(self.tokens(), (ACCESS, REFRESH))
