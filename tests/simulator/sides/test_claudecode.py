"""Anthropic's API for subscriptions as the simulator has it."""

from __future__ import annotations

from typing import Any

from tests.integration.http import Arriving, post
from tests.simulator.sides.cases import SideCase

PREAMBLE = "You are Claude Code, Anthropic's official CLI for Claude."
GOOD: dict[str, Any] = {
    "model": "echo",
    "max_tokens": 10,
    "messages": [{"role": "user", "content": "hi"}],
}


class ClaudeCodeTests(SideCase):
    side = "claudecode"

    async def ask(
        self,
        account: str = "ann",
        *,
        betas: str = "a, oauth-2025-04-20",
        path: str = "/v1/messages?beta=true",
        **members: Any,
    ) -> Arriving:
        if account not in self.logins.accounts:
            self.logins.log_in(account)
        headers = {
            "authorization": f"Bearer {self.logins.accounts[account].access_token}",
            "anthropic-version": "2023-06-01",
            "anthropic-beta": betas,
        }
        return await post(self.url + path, {**GOOD, **members}, headers)

    async def test_preamble(self) -> None:
        """A system prompt must begin as Claude Code's, unless the model is a small one."""
        block = {"type": "text", "text": PREAMBLE}
        books = {"type": "text", "text": "x-anthropic-billing-header: v=1"}
        for system in (PREAMBLE, f"{PREAMBLE} More.", [block], [books, block]):
            self.assertEqual((await self.ask(system=system)).status, 200)
        for system in ("Hi.", [books], [{"type": "text", "text": "Hi."}, block]):
            answer = await self.ask(system=system)
            self.assertEqual(answer.json["error"]["type"], "invalid_request_error")
        self.assertEqual((await self.ask()).status, 400)
        self.assertEqual((await self.ask(model="haiku-echo")).status, 200)

    async def test_payment(self) -> None:
        """A bearer is taken with its beta only."""
        for betas in ("", "oauth", "a,b"):
            self.assertEqual((await self.ask(betas=betas, system=PREAMBLE)).status, 401)
        self.logins.run_out("ann")
        self.assertEqual((await self.ask(system=PREAMBLE)).status, 401)

    async def test_limit(self) -> None:
        """An account that has used up its share is told by headers."""
        answer = await self.ask("spent", system=PREAMBLE)
        self.assertEqual(answer.status, 429)
        self.assertEqual(answer.headers["anthropic-ratelimit-unified-status"], "rejected")

    async def test_counting(self) -> None:
        """Tokens are counted without a preamble."""
        answer = await self.ask(path="/v1/messages/count_tokens")
        self.assertGreater(answer.json["input_tokens"], 0)

    async def test_renewal(self) -> None:
        """The login service speaks as Anthropic's."""
        grant = self.logins.log_in("ann")
        asked = {
            "client_id": "9d1c250a-e61b-44d9-88ed-5944d1962f5e",
            "grant_type": "refresh_token",
            "refresh_token": grant.refresh_token,
            "scope": "user:inference",
        }
        answer = await post(self.url + "/v1/oauth/token", asked)
        self.assertTrue(answer.json["access_token"].startswith("sk-ant-oat01-"))
        again = await post(self.url + "/v1/oauth/token", asked)
        self.assertEqual((again.status, again.json["error"]), (400, "invalid_grant"))
