"""Auth files while programs run: shared by several, revoked, replaced, put in order again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, ensureDeferred, gatherResults
from twisted.internet.task import deferLater

from aiproxy.simulator import Simulator
from aiproxy.simulator.sides.oauth import Account, TokenService
from tests.integration.cases import ProgramCase, body, outside, reactor
from tests.integration.http import Arriving, post
from tests.integration.logins import upstream_lines, write_login
from tests.integration.program import Program

EXPIRIES = 200
QUESTION = body("responses", "echo")


class LoginsCase(ProgramCase):
    """Accounts of one simulated vendor, in files that programs share."""

    timeout = 120

    def setUp(self) -> None:
        super().setUp()
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        simulator, self.url = self.simulator()
        self.seen = simulator.record
        self.logins: TokenService = _codex(simulator)

    def log_in(self, name: str) -> Path:
        """A new login of account `name` in the file of that name."""
        grant = self.logins.log_in(name)
        path = self.folder / f"{name}.json"
        fresh = path.with_suffix(".new")
        write_login(
            fresh,
            "codex",
            access=grant.access_token,
            refresh=grant.refresh_token,
            account=name,
        )
        fresh.replace(path)
        return path

    def config(self, *files: Path, more: str = "") -> str:
        lines = upstream_lines("codex", self.url, *files)
        return "upstreams:\n  - name: one\n" + "".join(f"    {line}\n" for line in lines) + more

    async def ask(self, program: Program) -> Arriving:
        answer = await post(program.url + "/v1/responses", QUESTION)
        self.assertEqual(answer.status, 200, answer.data)
        return answer

    def payers(self) -> list[str]:
        """Who paid for the calls that the vendor has seen, in order."""
        headers = (dict(request.headers) for request in self.seen.requests)
        found = ({name.lower(): value for name, value in each.items()} for each in headers)
        return [each["chatgpt-account-id"] for each in found if "chatgpt-account-id" in each]


def _codex(simulator: Simulator) -> TokenService:
    logins: TokenService = simulator.sides["codex"].logins
    return logins


class VendorProgram:
    """
    The vendor's own program at the same file: it knows no locks, and writes in place.

    Source: how Codex CLI renews; it looks at the file again when its refresh token is used up.
    """

    def __init__(self, path: Path, url: str, logins: TokenService) -> None:
        self._path = path
        self._url = url
        self._logins = logins

    async def work(self) -> None:
        """A call; renews before it when the token in the file has run out."""
        while True:
            document = json.loads(self._path.read_text("utf-8") or "null")
            if document and self._logins.owner(document["tokens"]["access_token"]) is not None:
                return
            if document and await self._renew(document):
                return
            # Somebody else is at it.
            await deferLater(reactor, 0.02)

    async def _renew(self, document: dict[str, Any]) -> bool:
        asked = {
            "client_id": "app_EMoamEEZ73f0CkXaXp7hrann",
            "grant_type": "refresh_token",
            "refresh_token": document["tokens"]["refresh_token"],
        }
        answer = await post(self._url, asked)
        if answer.status != 200:
            return False
        document["tokens"].update(answer.json)
        self._path.write_text(json.dumps(document, indent=2), "utf-8")
        return True


class SharedFileTests(LoginsCase):
    @outside
    async def test_one_renewal_for_each_expiry(self) -> None:
        """Two programs and the vendor's own share a file: no token is lost, none is used twice."""
        path = self.log_in("ann")
        programs = [await self.start(self.config(path)) for _ in range(2)]
        vendors = VendorProgram(path, self.url + "/codex/oauth/token", self.logins)
        account: Account = self.logins.accounts["ann"]
        for expiry in range(1, EXPIRIES + 1):
            self.logins.run_out("ann")
            calls: list[Deferred[Any]] = [ensureDeferred(self.ask(each)) for each in programs]
            if expiry > EXPIRIES // 2:
                calls.append(ensureDeferred(vendors.work()))
            await gatherResults(calls)
            self.assertEqual(account.rotations, expiry)
            if expiry == EXPIRIES // 2:
                # Those who lock have never shown a used token to the vendor.
                self.assertEqual(account.refusals, 0)
        tokens = json.loads(path.read_text("utf-8"))["tokens"]
        self.assertEqual(tokens["refresh_token"], account.refresh_token)
        self.assertEqual(tokens["access_token"], account.access_token)
        self.assertEqual(path.stat().st_mode & 0o077, 0)

    @outside
    async def test_killed_while_renewing(self) -> None:
        """A program that is killed in a renewal blocks nobody else."""
        path = self.log_in("ann")
        doomed = await self.start(self.config(path))
        other = await self.start(self.config(path))
        self.logins.run_out("ann")
        self.logins.delay_seconds = 60.0
        asked = ensureDeferred(post(doomed.url + "/v1/responses", QUESTION))
        await self.seen.until(
            lambda: any(seen.path.endswith("/oauth/token") for seen in self.seen.requests)
        )
        doomed.kill()
        await asked.addErrback(lambda _: None)
        self.logins.delay_seconds = 0.0
        await self.ask(other)


class RevokedTests(LoginsCase):
    @outside
    async def test_revoked_and_back(self) -> None:
        """A revoked account gives way to the next one unseen, and a new login brings it back."""
        files = [self.log_in("ann"), self.log_in("bob")]
        program = await self.start(self.config(*files, more="    affinity: false\n"))
        for _ in range(4):
            await self.ask(program)
        self.assertEqual(set(self.payers()), {"acc-ann", "acc-bob"})
        self.logins.revoke("ann")
        for _ in range(4):
            await self.ask(program)
        self.seen.requests.clear()
        for _ in range(4):
            await self.ask(program)
        self.assertEqual(set(self.payers()), {"acc-bob"})
        self.log_in("ann")

        async def is_back() -> bool:
            await self.ask(program)
            return "acc-ann" in self.payers()

        await self.eventually(is_back)
        self.assertIn("ann.json is used again", program.output())

    @outside
    async def test_files_come_and_go(self) -> None:
        """Files that are missing or no login stop nothing, and are used when they are in order."""
        path = self.folder / "ann.json"
        program = await self.start(self.config(path))
        refused = await post(program.url + "/v1/responses", QUESTION)
        self.assertEqual(refused.status, 502)
        self.assertNotIn("ann.json", refused.data.decode())
        self.assertIn("no such file", program.output())
        path.write_text("sk-canary-0123456789", "utf-8")
        await self.eventually(lambda: _says(program, "looks like an API key"))
        self.log_in("ann")

        async def works() -> bool:
            return (await post(program.url + "/v1/responses", QUESTION)).status == 200

        await self.eventually(works)


async def _says(program: Program, words: str) -> bool:
    return words in program.output()
