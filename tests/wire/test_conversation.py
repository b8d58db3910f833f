"""Histories put in order."""

from __future__ import annotations

import json

from hypothesis import given, settings
from twisted.trial.unittest import SynchronousTestCase

from aiproxy import ir
from aiproxy.wire.conversation import (
    NO_RESULT,
    joined_text,
    leading_instructions,
    plain_text,
    reasoning_for,
    session_in,
    session_of,
    settled,
)
from aiproxy.wire.losses import Losses
from tests import strategies

SESSION = "5a3c6f1e-0b52-4b1e-9d0d-8f7a6c5b4a39"


def user(*parts: ir.Part) -> ir.Turn:
    return ir.Turn("user", parts)


def assistant(*parts: ir.Part) -> ir.Turn:
    return ir.Turn("assistant", parts)


def call(call_id: str, name: str = "f") -> ir.ToolCall:
    return ir.ToolCall(call_id, name, "{}")


def result(call_id: str, text: str = "ok") -> ir.ToolResult:
    return ir.ToolResult(call_id, (ir.Text(text),))


class SettledTests(SynchronousTestCase):
    def test_results_stand_first_and_in_call_order(self) -> None:
        """Whatever order they came in, and through however many messages."""
        turns = settled(
            (assistant(call("a")), assistant(call("b", "g")), user(ir.Text("so?"), result("b")),
             user(result("a")))
        )  # fmt: skip
        self.assertEqual([turn.role for turn in turns], ["assistant", "user"])
        parts = turns[1].parts
        self.assertEqual([getattr(part, "call_id", "") for part in parts], ["a", "b", ""])
        self.assertEqual([part.name for part in parts[:2] if isinstance(part, ir.ToolResult)],
                         ["f", "g"])  # fmt: skip

    def test_many_turns(self) -> None:
        """A history of twenty thousand turns is settled like a short one."""
        count = 20_000
        note = ir.Turn("system", (ir.Text("note"),))
        calls = [turn for at in range(count) for turn in (assistant(call(str(at))), note)]
        (merged,) = settled([user(ir.Text("x"))] * count * 4)
        self.assertEqual(len(merged.parts), count * 4)
        results = user(*(result(str(at)) for at in range(count)))
        for turns, is_error in ((calls, True), ([*calls, results], False)):
            answers = [
                part
                for turn in settled(turns)
                for part in turn.parts
                if isinstance(part, ir.ToolResult)
            ]
            self.assertEqual([part.call_id for part in answers], [str(at) for at in range(count)])
            self.assertEqual({part.is_error for part in answers}, {is_error})

    def test_a_missing_result_is_made_up_as_an_error(self) -> None:
        """An interrupted call gets an answer, also at the very end."""
        for after in ((), (user(ir.Text("go on")),)):
            turns = settled((assistant(call("a")), *after))
            first = turns[1].parts[0]
            assert isinstance(first, ir.ToolResult)
            self.assertTrue(first.is_error)
            self.assertEqual(joined_text(first.content), NO_RESULT)

    def test_an_orphan_becomes_what_the_user_says(self) -> None:
        """A result without a call is text; nothing of it is lost."""
        (turn,) = settled((user(result("x", "42")),))
        self.assertEqual(plain_text(turn.parts[1:]), "42")
        self.assertFalse(any(isinstance(part, ir.ToolResult) for part in turn.parts))

    def test_extras_part_turns_only_for_their_own_wire(self) -> None:
        """Codex marks a message between two calls; to other targets that says nothing."""
        phase = ir.Extras("responses", (("phase", ir.JSON(b'"commentary"')),))
        marked = ir.Turn("assistant", (ir.Text("hm"),), phase)
        turns = (assistant(call("a")), marked, assistant(call("b")), user(result("a"), result("b")))
        self.assertEqual([turn.role for turn in settled(turns, "anthropic")], ["assistant", "user"])
        own = settled(turns, "responses")
        self.assertEqual(
            [turn.role for turn in own], ["assistant", "user", "assistant", "assistant", "user"]
        )
        self.assertFalse(any(part.is_error for turn in own for part in turn.parts
                             if isinstance(part, ir.ToolResult)))  # fmt: skip

    def test_the_last_of_two_results_counts(self) -> None:
        """A call is answered once."""
        turns = settled((assistant(call("a")), user(result("a", "1"), result("a", "2"))))
        self.assertEqual(turns[1].parts, (ir.ToolResult("a", (ir.Text("2"),), name="f"),))

    def test_system_text_never_parts_a_call_from_its_result(self) -> None:
        """It moves behind the results; elsewhere it keeps its place."""
        note = ir.Turn("developer", (ir.Text("note"),))
        turns = settled((assistant(call("a")), note, user(result("a"))))
        self.assertEqual([turn.role for turn in turns], ["assistant", "user", "developer"])

    @settings(deadline=None)
    @given(strategies.requests("chat"))
    def test_every_call_is_answered_once_directly_behind(self, request: ir.Request) -> None:
        """For any history; and settling twice changes nothing."""
        turns = settled(request.turns)
        self.assertEqual(settled(turns), turns)
        for at, turn in enumerate(turns):
            calls = [part.id for part in turn.parts if isinstance(part, ir.ToolCall)]
            if turn.role == "assistant" and calls:
                behind = turns[at + 1].parts[: len(calls)]
                self.assertEqual([getattr(part, "call_id", None) for part in behind], calls)
            elif turn.role == "user":
                before = turns[at - 1] if at else user()
                answers = sum(isinstance(part, ir.ToolResult) for part in turn.parts)
                asked = sum(isinstance(part, ir.ToolCall) for part in before.parts)
                self.assertEqual(answers, asked if before.role == "assistant" else 0)


class InstructionTests(SynchronousTestCase):
    def test_leading_system_turns_join_the_instructions(self) -> None:
        """In order; later ones stay where they are."""
        late = ir.Turn("system", (ir.Text("late"),))
        request = ir.Request(
            "chat",
            "m",
            False,
            (ir.Turn("system", (ir.Text("b"),)), ir.Turn("developer", (ir.Text("c"),)),
             user(ir.Text("hi")), late),
            instructions=(ir.Text("a"),),
        )  # fmt: skip
        parts, turns = leading_instructions(request)
        self.assertEqual(joined_text(parts), "a\n\nb\n\nc")
        self.assertEqual(turns, (user(ir.Text("hi")), late))

    def test_what_leading_turns_bear_is_reported(self) -> None:
        """A name has no place among instructions, and does not vanish unseen."""
        name = ir.Extras("chat", (("name", ir.JSON(b'"ops"')),))
        turns = (ir.Turn("system", (ir.Text("a"),), name), user(ir.Text("hi")))
        losses = Losses()
        leading_instructions(ir.Request("chat", "m", False, turns), losses)
        self.assertEqual([loss.feature for loss in losses.seen()], ["name"])

    def test_reasoning_goes_only_home(self) -> None:
        """With a proof of the family, or not at all."""
        own = ir.Reasoning("x", ir.Proof("gemini", "p"))
        self.assertIs(reasoning_for("gemini", own), own)
        self.assertIsNone(reasoning_for("openai", own))
        self.assertIsNone(reasoning_for("openai", ir.Reasoning("x")))


class SessionTests(SynchronousTestCase):
    def test_claude_code(self) -> None:
        """Its session is found in both forms of a user's id, in either case of letters."""
        for session in (SESSION, SESSION.upper()):
            for user_id in (
                f"user_{'ab' * 32}_account_{SESSION[::-1]}_session_{session}",
                f"user_ab_account__session_{session}",
                f"session_{session}",
                json.dumps(
                    {"device_id": "d", "account_uuid": SESSION[::-1], "session_id": session}
                ),
                json.dumps({"session_id": session, "more": {"session_id": "x"}}, indent=1),
            ):
                self.assertEqual(session_in(user_id), session, user_id)

    def test_no_sessions(self) -> None:
        """Users, teams and names that may be used again are no sessions."""
        for user_id in (
            "",
            "ann",
            SESSION,
            "user_ab_account_cd_session_",
            "team_session_one",
            f"mysession_{SESSION}",
            f"user_session_{SESSION}_2",
            f"user_session_{SESSION[1:]}",
            f"user_session_{'-' * 36}",
            json.dumps({"session_id": "default"}),
            json.dumps({"session_id": 5}),
            json.dumps({"user": f'"session_id": "{SESSION}"'}),
            json.dumps([{"session_id": SESSION}]),
            '{"session_id": "' + SESSION,
        ):
            self.assertEqual(session_in(user_id), "", user_id)

    def test_cache_keys(self) -> None:
        """What a client calls its cache counts more than a session."""
        asked = ir.Request(
            "anthropic", "m", stream=False, turns=(user(),), user=f"user_session_{SESSION}"
        )
        self.assertEqual(session_of(asked), SESSION)
        self.assertEqual(session_of(ir.replace(asked, cache_key="k")), "k")
        self.assertEqual(session_of(ir.replace(asked, user="")), "")
