"""The key of a conversation: the client's own where it has one, else made of its beginning."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from aiproxy.messages import Headers
from aiproxy.providers.conversation import conversation_key
from tests.providers.samples import BODIES, call

SESSION = "5a3c6f1e-0b52-4b1e-9d0d-8f7a6c5b4a39"
SHAPE = r"[A-Za-z0-9._:-]{1,64}"


def key(wire: str, headers: Headers = (), **members: Any) -> str:
    """Of a minimal call with these members."""
    body = json.dumps({**BODIES[wire], **members}).encode()
    return conversation_key(call(wire, body, headers=headers))


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


class NamedTests(SynchronousTestCase):
    def test_the_clients_own(self) -> None:
        """Each client's own name for its conversation is taken as it is."""
        session = {"user_id": f"user_ab_account_cd_session_{SESSION}"}
        written = {"user_id": json.dumps({"device_id": "d", "session_id": SESSION})}
        self.assertEqual(key("anthropic", metadata=session), SESSION)
        self.assertEqual(key("anthropic", metadata=written), SESSION)
        for found in (
            key("anthropic", (("X-Claude-Code-Session-Id", "5f0e-77"),)),
            key("responses", prompt_cache_key="5f0e-77"),
            key("chat", prompt_cache_key="5f0e-77"),
            key("responses", (("session_id", "5f0e-77"),)),
        ):
            self.assertEqual(found, "5f0e-77")

    def test_users_are_no_conversations(self) -> None:
        """A name of the user alone does not join his conversations."""
        for name in ("ann", "team_session_one", '{"session_id": "default"}', None):
            metadata = {"user_id": name}
            self.assertNotEqual(
                key("anthropic", metadata=metadata, messages=[user("one")]),
                key("anthropic", metadata=metadata, messages=[user("two")]),
            )

    @given(st.text(min_size=1))
    def test_any_name(self, name: str) -> None:
        """Whatever a client calls it, the key is short and plain, and the same each time."""
        found = key("responses", prompt_cache_key=name)
        self.assertRegex(found, f"^{SHAPE}$")
        self.assertEqual(found, key("responses", prompt_cache_key=name, input="later"))


class DerivedTests(SynchronousTestCase):
    def test_stable_over_turns(self) -> None:
        """Later turns of a conversation have the key of the first one."""
        first = key("anthropic", system="be brief", messages=[user("hi")])
        later = [user("hi"), {"role": "assistant", "content": "yes?"}, user("go on")]
        self.assertEqual(first, key("anthropic", system="be brief", messages=later))
        self.assertRegex(first, f"^{SHAPE}$")

    def test_what_makes_another_one(self) -> None:
        """Another model, other instructions or another first text are another conversation."""
        keys = {
            key("anthropic", messages=[user("hi")]),
            key("anthropic", messages=[user("hello")]),
            key("anthropic", system="s", messages=[user("hi")]),
            key("anthropic", model="other", messages=[user("hi")]),
        }
        self.assertEqual(len(keys), 4)

    def test_billing_marks(self) -> None:
        """What Claude Code writes among the instructions for each turn anew does not count."""
        marks = [f"x-anthropic-billing-header: cch={turn}" for turn in (1, 2)]
        keys = {
            key("anthropic", system=[{"type": "text", "text": mark}], messages=[user("hi")])
            for mark in marks
        }
        self.assertEqual(len(keys), 1)
