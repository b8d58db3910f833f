"""Codex's backend as the simulator has it: what it takes, refuses and says."""

from __future__ import annotations

from typing import Any

from tests.integration.http import Arriving, post
from tests.simulator.sides.cases import SideCase

GOOD: dict[str, Any] = {
    "model": "echo",
    "instructions": "",
    "input": [
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}
    ],
    "stream": True,
    "store": False,
}


class CodexTests(SideCase):
    side = "codex"

    async def ask(self, account: str = "ann", path: str = "/responses", **members: Any) -> Arriving:
        body = {**GOOD, **members}
        return await post(
            self.url + path,
            {name: value for name, value in body.items() if value is not None},
            self.headers(account),
        )

    def headers(self, account: str) -> dict[str, str]:
        if account not in self.logins.accounts:
            self.logins.log_in(account)
        token = self.logins.accounts[account].access_token
        return {"authorization": f"Bearer {token}", "chatgpt-account-id": f"acc-{account}"}

    async def test_good(self) -> None:
        """What Codex sends is answered with a stream that tells of the limits, too."""
        answer = await self.ask()
        self.assertEqual(answer.headers["content-type"], "text/event-stream")
        self.assertIn(b"event: codex.rate_limits", answer.data)
        self.assertIn(b"event: response.completed", answer.data)
        self.assertNotIn(b'"output":[]}', answer.data.rpartition(b"response.completed")[2])
        self.assertEqual(answer.headers["x-codex-turn-state"], "turn of ann")

    async def test_no_output(self) -> None:
        """The final response may lack its items, which came before."""
        answer = await self.ask(model="no-output")
        start, _, end = answer.data.rpartition(b"event: response.completed")
        self.assertIn(b'"output":[]', end)
        self.assertIn(b"event: response.output_item.done", start)

    async def test_refused(self) -> None:
        """The backend's rules, each in its own words."""
        cases: tuple[tuple[dict[str, Any], str], ...] = (
            ({"stream": False}, "Stream must be set to true"),
            ({"store": True}, "Store must be set to false"),
            ({"instructions": None}, "Instructions are required"),
            ({"input": "hi"}, "Input must be a list"),
            ({"input": [{"role": "system", "content": "s"}]}, "System messages are not allowed"),
            ({"input": [{"type": "x", "call_id": "c" * 65}]}, "call_id"),
            ({"tools": [{"type": "function", "name": "f" * 65}]}, "tools.name"),
            ({"temperature": 1}, "Unsupported parameter: temperature"),
            ({"service_tier": "flex"}, "Unsupported parameter: service_tier"),
        )
        for members, words in cases:
            answer = await self.ask(**members)
            self.assertEqual(answer.status, 400, members)
            self.assertIn(words, answer.json["detail"])

    async def test_compact(self) -> None:
        """A conversation is compacted as JSON, without a stream."""
        answer = await self.ask(path="/responses/compact", stream=None)
        self.assertEqual(answer.json["object"], "response.compaction")
        self.assertEqual((await self.ask(path="/responses/compact")).status, 400)

    async def test_accounts(self) -> None:
        """Token and account belong together, and an account may have used up its share."""
        self.logins.log_in("bob")
        wrong = {**self.headers("ann"), "chatgpt-account-id": "acc-bob"}
        for headers in ({}, wrong):
            self.assertEqual((await post(self.url + "/responses", GOOD, headers)).status, 401)
        spent = await self.ask("spent")
        error = spent.json["error"]
        self.assertEqual((spent.status, error["type"]), (429, "usage_limit_reached"))
        self.assertGreater(error["resets_in_seconds"], 0)

    async def test_renewal(self) -> None:
        """The login service speaks as OpenAI's: no expiry, and 401 for a token that was used."""
        grant = self.logins.log_in("ann")
        asked = {
            "client_id": "app_EMoamEEZ73f0CkXaXp7hrann",
            "grant_type": "refresh_token",
            "refresh_token": grant.refresh_token,
        }
        answer = await post(self.url + "/oauth/token", asked)
        self.assertEqual(sorted(answer.json), ["access_token", "id_token", "refresh_token"])
        again = await post(self.url + "/oauth/token", asked)
        self.assertEqual(again.json["error"]["code"], "refresh_token_reused")
        self.assertEqual(again.status, 401)
