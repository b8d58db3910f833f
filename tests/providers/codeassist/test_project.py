"""Finding an account's project: known, made while we wait, or refused with reasons."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from aiproxy.errors import CredentialDisabled, CredentialError
from aiproxy.messages import HttpReply, HttpRequest
from aiproxy.providers.contract import Flow, Pause
from tests.providers.codeassist.samples import FLAT, NESTED, NOW, VENDOR, without
from tests.providers.samples import configured, driven, json_reply, provider, read_login

DONE = {"done": True, "response": {"cloudaicompanionProject": {"id": "made-1", "name": "made"}}}
HOSTS = {
    "geminicli": (
        "https://cloudcode-pa.googleapis.com/v1internal",
        "https://cloudcode-pa.googleapis.com/v1internal",
    ),
    "antigravity": (
        "https://cloudcode-pa.googleapis.com/v1internal",
        "https://daily-cloudcode-pa.googleapis.com/v1internal",
    ),
}
FILES: Mapping[str, Mapping[str, Any]] = {
    "geminicli": VENDOR,
    "antigravity": without(FLAT, "project_id"),
}


def discovery(api_type: str, lines: str = "") -> Flow:
    login = read_login(api_type, FILES[api_type])
    return provider(api_type).discover(login, configured(api_type, lines), NOW)


def found(api_type: str, *answers: object) -> tuple[list[HttpRequest], dict[str, Any]]:
    return driven(discovery(api_type), *(json_reply(200, answer) for answer in answers))


class KnownTests(SynchronousTestCase):
    def test_lacks(self) -> None:
        """A project is looked for only where neither the file nor the configuration names one."""
        kind = provider("geminicli")
        self.assertTrue(kind.lacks(read_login("geminicli", VENDOR), configured("geminicli")))
        self.assertFalse(kind.lacks(read_login("geminicli", NESTED), configured("geminicli")))
        configured_one = configured("geminicli", "metadata: {project_id: p}")
        self.assertFalse(kind.lacks(read_login("geminicli", VENDOR), configured_one))

    def test_text_or_object(self) -> None:
        """The project is a text, or an object with an id; the file is to keep it."""
        for project in ("known-1", {"id": "known-1"}):
            for api_type, (load_url, _) in HOSTS.items():
                (asked,), changes = found(api_type, {"cloudaicompanionProject": project})
                self.assertEqual(changes, {"project_id": "known-1"})
                self.assertEqual((asked.method, asked.url), ("POST", f"{load_url}:loadCodeAssist"))
                self.assertIn(("Authorization", "Bearer access-canary"), asked.headers)

    def test_what_the_program_says_of_itself(self) -> None:
        """Each api_type asks in its own words, and as its own version."""
        (asked,), _ = found("geminicli", {"cloudaicompanionProject": "p"})
        self.assertEqual(
            json.loads(asked.body)["metadata"],
            {
                "ideType": "IDE_UNSPECIFIED",
                "platform": "PLATFORM_UNSPECIFIED",
                "pluginType": "GEMINI",
            },
        )
        self.assertIn(("User-Agent", "GeminiCLI/0.61.0 (linux; x64; terminal)"), asked.headers)
        (asked,), _ = found("antigravity", {"cloudaicompanionProject": "p"})
        self.assertEqual(json.loads(asked.body), {"metadata": {"ideType": "ANTIGRAVITY"}})
        self.assertIn(("User-Agent", "antigravity/hub/2.9.1 darwin/arm64"), asked.headers)

    def test_another_address(self) -> None:
        """A configured base_url is asked for the project, too, with the configured headers."""
        flow = discovery("antigravity", "base_url: http://127.0.0.1:9/v1internal")
        asked = next(flow)
        assert isinstance(asked, HttpRequest)
        self.assertEqual(asked.url, "http://127.0.0.1:9/v1internal:loadCodeAssist")
        flow = discovery("geminicli", "http_headers: {user-agent: mine}")
        asked = next(flow)
        assert isinstance(asked, HttpRequest)
        self.assertIn(("User-Agent", "mine"), asked.headers)


class OnboardingTests(SynchronousTestCase):
    def test_tier(self) -> None:
        """A new account is taken on in the default tier, else in the oldest one."""
        tiers = [{"id": "free-tier"}, {"id": "standard-tier", "isDefault": True}]
        for known, tier in (({"allowedTiers": tiers}, "standard-tier"), ({}, "legacy-tier")):
            for api_type, key in (("geminicli", "tierId"), ("antigravity", "tier_id")):
                (_, asked), changes = found(api_type, known, DONE)
                self.assertEqual(asked.url, f"{HOSTS[api_type][1]}:onboardUser")
                self.assertEqual(json.loads(asked.body)[key], tier)
                self.assertNotIn("cloudaicompanionProject", json.loads(asked.body))
                self.assertEqual(changes, {"project_id": "made-1"})

    def test_operation(self) -> None:
        """While it is not done, its operation is asked for by name, every five seconds."""
        flow = discovery("geminicli")
        next(flow)
        flow.send(json_reply(200, {}))
        waiting = json_reply(200, {"name": "operations/a1", "done": False})
        for _ in range(2):
            pause = flow.send(waiting)
            self.assertEqual(pause, Pause(5.0))
            asked = flow.send(HttpReply(0))
            assert isinstance(asked, HttpRequest)
            self.assertEqual(asked.method, "GET")
            self.assertEqual(asked.url, f"{HOSTS['geminicli'][1]}/operations/a1")
            self.assertIn(("Authorization", "Bearer access-canary"), asked.headers)
        with self.assertRaises(StopIteration) as end:
            flow.send(json_reply(200, DONE))
        self.assertEqual(end.exception.value[0].value, "made-1")

    def test_nameless_operation(self) -> None:
        """An operation without a name is asked for as it began."""
        asked, changes = found("antigravity", {}, {"done": False}, {}, DONE)
        self.assertEqual([one.url.partition(":onboard")[1] for one in asked[1:]], [":onboard"] * 3)
        self.assertEqual(changes, {"project_id": "made-1"})

    def test_patience(self) -> None:
        """After a minute it is given up, not for good."""
        for api_type, seconds in (("geminicli", 60.0), ("antigravity", 10.0)):
            flow = discovery(api_type)
            next(flow)
            flow.send(json_reply(200, {}))
            waited = 0.0
            try:
                while True:
                    step = flow.send(json_reply(200, {"name": "operations/a1"}))
                    assert isinstance(step, Pause)
                    waited += step.seconds
                    flow.send(HttpReply(0))
            except CredentialError as error:
                self.assertNotIsInstance(error, CredentialDisabled)
            self.assertEqual(waited, seconds)

    def test_done_without_project(self) -> None:
        """An account that needs a project of its own is told where to name it."""
        failed = {"done": True, "error": {"code": 7, "message": "no licence"}}
        for done in ({"done": True, "response": {}}, failed):
            error = self.assertRaises(CredentialError, found, "geminicli", {}, done)
            self.assertIn("project_id", str(error))
        self.assertIn("no licence", str(error))


class RefusedTests(SynchronousTestCase):
    def refusal(self, known: object, status: int = 200) -> CredentialError:
        error = self.assertRaises(
            CredentialError, driven, discovery("geminicli"), json_reply(status, known)
        )
        self.assertNotIsInstance(error, CredentialDisabled)
        return error

    def test_unsupported_client(self) -> None:
        """An account that is not served here hears Google's reason, whatever else it may have."""
        reason = {"reasonCode": "UNSUPPORTED_CLIENT", "reasonMessage": "Use the new one."}
        for more in ({}, {"allowedTiers": [{"id": "standard-tier", "isDefault": True}]}):
            error = self.refusal({"ineligibleTiers": [reason], **more})
            self.assertIn("UNSUPPORTED_CLIENT (Use the new one.)", str(error))

    def test_verification(self) -> None:
        """An account that must be verified is left alone for an hour; the address is told."""
        reason = {
            "reasonCode": "VALIDATION_REQUIRED",
            "validationUrl": "https://accounts.google.com/v",
        }
        error = self.refusal({"ineligibleTiers": [reason]})
        self.assertEqual(error.reply.retry_after, 3600)
        self.assertIn(" accounts.google.com/v", str(error))

    def test_one_tier_less(self) -> None:
        """A tier that does not take the account is nothing to stumble over if another one does."""
        known = {
            "allowedTiers": [{"id": "standard-tier", "isDefault": True}],
            "ineligibleTiers": [{"reasonCode": "RESTRICTED_AGE", "tierId": "free-tier"}],
        }
        _, changes = found("geminicli", known, DONE)
        self.assertEqual(changes, {"project_id": "made-1"})

    def test_own_project_needed(self) -> None:
        """So is an account that has a tier, but no project."""
        error = self.refusal({"currentTier": {"id": "standard-tier"}})
        self.assertIn("project_id", str(error))

    def test_security_perimeter(self) -> None:
        """Where a perimeter hides the project, it must be configured."""
        details = [
            {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "SECURITY_POLICY_VIOLATED",
            }
        ]
        error = self.refusal({"error": {"code": 403, "message": "no", "details": details}}, 403)
        self.assertIn("project_id", str(error))

    def test_trouble(self) -> None:
        """Any other answer is an error that says what it was, and no secret."""
        error = self.refusal({"error": {"code": 500, "message": "backend down"}}, 500)
        self.assertIn("backend down", str(error))
        error = self.refusal(["nothing"])
        self.assertNotIn("canary", str(error))
