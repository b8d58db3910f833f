"""Auth files with texts that no request can carry, beside others that are in order."""

from __future__ import annotations

import json
from pathlib import Path

from tests.integration import logins
from tests.integration.cases import outside
from tests.integration.test_subscriptions import LoginCase

ODD = {
    "codex": ("account_id", "acc\r\nX-Injected: 1"),
    "claudecode": ("accessToken", "access\ud800"),
    "geminicli": ("project_id", "project\r\nX-Injected: 1"),
    "antigravity": ("project_id", "project\ud800"),
    "kiro": ("profileArn", "arn:aws:codewhisperer:us-east-1:1:profile/\0A"),
}
"""The member that is odd, and how."""


class OddFileTests(LoginCase):
    def odd(self, api_type: str) -> Path:
        """A login of the simulator's with that member."""
        grant = self.accounts(api_type).log_in("odd")
        document = logins.DOCUMENTS[api_type](grant.access_token, grant.refresh_token, "odd")
        inner = document.get("tokens") or document.get("claudeAiOauth") or document
        name, text = ODD[api_type]
        inner[name] = text
        file = self.folder / f"{api_type}-odd.json"
        file.write_text(json.dumps(document), "utf-8")
        return file

    @outside
    async def test_next_one(self) -> None:
        """The other login pays for every call, and the log says what is wrong with the odd one."""
        files = {kind: [self.odd(kind), self.log_in(kind, "ann")] for kind in logins.API_TYPES}
        program = await self.upstreams(files)
        for api_type in files:
            for _ in range(2):
                answer = await self.echoed(program, api_type)
                self.assertEqual(answer.status, 200, answer.data)
        await program.stop()
        for api_type, (odd, good) in files.items():
            self.assertRegex(program.output(), rf"{odd} is not used: .*its [a-z_ ]+ (has|is) ")
            self.assertNotIn(f"{good} is not used", program.output())
            self.assertGreater(self.accounts(api_type).accounts["ann"].number, 0)
        self.assertNotIn("Traceback", program.output())
        for request in self.vendor.record.requests:
            self.assertNotIn("x-injected", json.dumps(request.headers).lower())

    @outside
    async def test_no_other(self) -> None:
        """Without another one a call fails for want of a credential, and nobody is asked."""
        files = {kind: [self.odd(kind)] for kind in logins.API_TYPES}
        program = await self.upstreams(files)
        for api_type in files:
            answer = await self.echoed(program, api_type)
            self.assertEqual(answer.status, 502, answer.data)
            self.assertIn(b"credential", answer.data)
        self.assertEqual(list(self.vendor.record.requests), [])
        self.assertNotIn("Traceback", program.output())
