"""Requests as conversations for Kiro."""

from __future__ import annotations

import json
import uuid

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from aiproxy import ir
from aiproxy.errors import BadRequest
from aiproxy.wire import kiro, relay
from aiproxy.wire.conversation import NO_RESULT
from aiproxy.wire.kiro.request import CONTINUE, JSON_ONLY
from aiproxy.wire.kiro.turns import ONLY_RESULTS, PLACEHOLDER
from tests import strategies
from tests.wire import exchanges
from tests.wire.kiro.samples import (
    Object,
    assistant,
    body,
    call,
    image,
    losses,
    messages,
    request,
    result,
    results,
    state,
    tools,
    user,
)


class ShapeTests(SynchronousTestCase):
    def test_whole(self) -> None:
        """A plain request has this very shape, and no parameters that the service lacks."""
        asked = request(user("a"), assistant("b"), user("c"), max_output_tokens=9)
        found = body(asked)
        conversation = found["conversationState"].pop("conversationId")
        self.assertEqual(str(uuid.UUID(conversation)), conversation)

        def said(text: str) -> Object:
            message = {"content": text, "modelId": "claude-opus-4.8", "origin": "AI_EDITOR"}
            return {"userInputMessage": message}

        self.assertEqual(
            found,
            {
                "conversationState": {
                    "chatTriggerType": "MANUAL",
                    "agentTaskType": "vibe",
                    "history": [said("a"), {"assistantResponseMessage": {"content": "b"}}],
                    "currentMessage": said("c"),
                }
            },
        )
        self.assertEqual(losses(asked), {"max-output-tokens": "dropped"})

    def test_system(self) -> None:
        """Instructions of all kinds stand in front of the first user turn, and only there."""
        asked = request(
            ir.Turn("developer", (ir.Text("three"),)),
            user("a"),
            assistant("b"),
            ir.Turn("system", (ir.Text("late"),)),
            user("c"),
            instructions=(
                ir.Text("x-anthropic-billing-header: x"),
                ir.Text("one"),
                ir.Text("two"),
            ),
        )
        contents = [message["content"] for message in messages(asked)]
        late = "<system-reminder>\nlate\n</system-reminder>\n\nc"
        self.assertEqual(contents, ["one\n\ntwo\n\nthree\n\na", "b", late])
        self.assertEqual(losses(asked), {"late-instructions": "approximated"})
        only_image = request(user(image()), instructions=(ir.Text("one"),))
        self.assertEqual(messages(only_image)[0]["content"], "one")

    def test_alternation(self) -> None:
        """Neighbours are merged; what the service wants at both ends is put there."""
        self.assertEqual(messages(request(user("a"), user("b")))[0]["content"], "a\n\nb")
        ends = request(assistant("a"), ir.Turn("user", ()), assistant(""))
        found = [(message["role"], message["content"]) for message in messages(ends)]
        self.assertEqual(found, [("user", CONTINUE), ("assistant", "a"), ("user", CONTINUE)])
        self.assertEqual(losses(ends), {"prefill": "approximated"})
        empty = messages(request(user("a"), assistant(""), user("")))
        self.assertEqual([m["content"] for m in empty], ["a", PLACEHOLDER, PLACEHOLDER])

    def test_nothing_to_send(self) -> None:
        """Instructions alone are no conversation."""
        for asked in (request(), request(ir.Turn("system", (ir.Text("a"),)))):
            self.assertRaises(BadRequest, kiro.encode_request, asked)

    def test_conversation_id(self) -> None:
        """The next turn has the same id; another beginning or session has another."""
        first = request(user("a"))
        later = request(user("a"), assistant("b"), user("c"), model="other")
        one = state(first)["conversationId"]
        self.assertEqual(state(later)["conversationId"], one)
        session = "5a3c6f1e-0b52-4b1e-9d0d-8f7a6c5b4a39"
        others = (
            request(user("b")),
            request(user("a"), cache_key="k"),
            request(user("a"), user=f"user_1_account__session_{session}"),
            request(user("a"), user=f'{{"session_id":"{session[:-1]}0"}}'),
            request(user("a", image())),
        )
        self.assertEqual(len({one, *(state(other)["conversationId"] for other in others)}), 6)
        self.assertEqual(state(request(user("a"), user="me"))["conversationId"], one)

    def test_output_formats(self) -> None:
        """JSON is asked for in words."""
        schema = ir.JSON(b'{"type":"object"}')
        for wanted, text in (
            (ir.OutputFormat("json_object"), JSON_ONLY),
            (ir.OutputFormat("json_schema", schema), '{"type":"object"}'),
        ):
            asked = request(user("a"), output_format=wanted)
            self.assertIn(text, messages(asked)[0]["content"])
            self.assertEqual(losses(asked), {"response-format": "approximated"})
        plain = request(user("a"), output_format=ir.OutputFormat("text"))
        self.assertEqual((messages(plain)[0]["content"], losses(plain)), ("a", {}))

    def test_losses(self) -> None:
        """What the service cannot be told is reported; several answers are refused."""
        sampling = ir.Sampling(0.5, 0.5, 1, 1, 0.5, 0.5, True, 1, 1)
        asked = request(
            user(ir.Text("a", extras=ir.Extras("anthropic", (("cache_control", ir.JSON(b"1")),)))),
            sampling=sampling,
            stop=("x",),
            parallel_tool_calls=False,
            verbosity="low",
            user="u",
            metadata=ir.JSON(b"{}"),
            service_tier="priority",
        )
        self.assertEqual(
            losses(asked),
            {
                "cache-control": "dropped",
                "temperature": "dropped",
                "top-p": "dropped",
                "top-k": "dropped",
                "seed": "dropped",
                "presence-penalty": "dropped",
                "frequency-penalty": "dropped",
                "logprobs": "dropped",
                "top-logprobs": "dropped",
                "parallel-tool-calls": "dropped",
                "verbosity": "dropped",
                "user": "dropped",
                "metadata": "dropped",
                "service-tier": "dropped",
                "stop": "approximated",
            },
        )
        several = request(user("a"), sampling=ir.Sampling(candidates=2))
        self.assertRaises(BadRequest, kiro.encode_request, several)


class HistoryTests(SynchronousTestCase):
    def test_results(self) -> None:
        """Each result stands in the turn behind its call, text beside it."""
        asked = request(
            user("a"),
            assistant("b", call("c1", arguments='{"x": 1}')),
            user(result("c1", "r1")),
            assistant(call("c2")),
            user(result("c2", "r2", is_error=True), "and"),
        )
        found = messages(asked)
        self.assertEqual([m["role"] for m in found], ["user", "assistant"] * 2 + ["user"])
        use = {"toolUseId": "c1", "name": "f", "input": {"x": 1}}
        self.assertEqual((found[1]["content"], found[1]["toolUses"]), ("b", [use]))
        answer = {"toolUseId": "c1", "content": [{"text": "r1"}], "status": "success"}
        self.assertEqual((found[2]["content"], results(found[2])), (ONLY_RESULTS, [answer]))
        self.assertEqual(found[3]["content"], PLACEHOLDER)
        answer = {"toolUseId": "c2", "content": [{"text": "r2"}], "status": "error"}
        self.assertEqual((found[4]["content"], results(found[4])), ("and", [answer]))

    def test_parallel(self) -> None:
        """Several calls in one turn, their results in one turn, in the calls' order."""
        asked = request(
            user("a"),
            assistant(call("c1"), call("c2")),
            assistant(call("c3")),
            user(result("c3"), result("c1")),
            user(result("c2")),
        )
        found = messages(asked)
        self.assertEqual(len(found), 3)
        self.assertEqual([use["toolUseId"] for use in found[1]["toolUses"]], ["c1", "c2", "c3"])
        self.assertEqual([one["toolUseId"] for one in results(found[2])], ["c1", "c2", "c3"])

    def test_repairs(self) -> None:
        """A result without a call becomes text, a call without a result gets one."""
        orphan = messages(request(user("a", result("c9", "lost"))))[0]
        self.assertEqual(orphan["content"], "a\n\n[result of tool call c9]\n\nlost")
        self.assertEqual(results(orphan), [])
        found = messages(request(user("a"), assistant(call("c1")), user("go on")))
        answer = {"toolUseId": "c1", "content": [{"text": NO_RESULT}], "status": "error"}
        self.assertEqual((found[2]["content"], results(found[2])), ("go on", [answer]))

    def test_ids_and_arguments(self) -> None:
        """Odd ids are replaced alike on both sides; arguments are always objects."""
        found = messages(
            request(user("a"), assistant(call("a:b/c", arguments="[1]")), user(result("a:b/c", "")))
        )
        (use,) = found[1]["toolUses"]
        self.assertEqual(use["input"], {"_raw": "[1]"})
        self.assertRegex(use["toolUseId"], "^[A-Za-z0-9_-]+$")
        self.assertEqual(results(found[2])[0]["toolUseId"], use["toolUseId"])
        self.assertEqual(results(found[2])[0]["content"], [{"text": PLACEHOLDER}])
        custom = ir.ToolCall("c", "patch", "text", "custom")
        (use,) = messages(request(user("a"), assistant(custom)))[1]["toolUses"]
        self.assertEqual(use["input"], {"input": "text"})

    def test_reasoning(self) -> None:
        """Its own proofs go back, one to a message; foreign reasoning does not."""
        own = ir.Reasoning("hm", ir.Proof("kiro", "s"))
        hidden = ir.Reasoning("", ir.Proof("kiro", "d", redacted=True))
        for part, shape in (
            (own, {"reasoningText": {"text": "hm", "signature": "s"}}),
            (hidden, {"redactedContent": "d"}),
        ):
            asked = request(user("a"), assistant(part, "b"), user("c"))
            self.assertEqual(messages(asked)[1]["reasoningContent"], shape)
            self.assertEqual(losses(asked), {})
        for parts in ((ir.Reasoning("x", ir.Proof("anthropic", "s")),), (ir.Reasoning("x"),)):
            asked = request(user("a"), assistant(*parts, "b"), user("c"))
            self.assertNotIn("reasoningContent", messages(asked)[1])
            self.assertEqual(losses(asked), {"reasoning": "dropped"})
        twice = request(user("a"), assistant(own, "b", hidden), user("c"))
        self.assertIn("reasoningText", messages(twice)[1]["reasoningContent"])
        self.assertEqual(losses(twice), {"reasoning": "dropped"})

    def test_text_in_pieces(self) -> None:
        """What the model said in pieces, as a stream's client may keep it, is said as one."""
        asked = request(user("a"), assistant("one ", "two"), user("b"))
        self.assertEqual(messages(asked)[1]["content"], "one two")

    def test_what_else_was_said(self) -> None:
        """Refusals are text, drawn images are named, opaque parts show their fallback."""
        asked = request(
            user("a"),
            assistant(
                ir.Refusal("no"),
                image(),
                ir.Opaque("kiro", "web_search_call", ir.JSON(b"{}"), "found"),
                ir.Opaque("chat", "odd_thing", ir.JSON(b"{}")),
                ir.replace(call("c"), proof=ir.Proof("gemini", "p")),
                ir.Text("t", (ir.Citation("u"),)),
            ),
            user("b"),
        )
        self.assertEqual(messages(asked)[1]["content"], "no\n\n[image]\n\nfound\n\nt")
        self.assertEqual(
            losses(asked),
            {
                "image-output": "dropped",
                "web-search-call": "approximated",
                "odd-thing": "dropped",
                "thought-signature": "dropped",
                "citations": "dropped",
            },
        )


class TotalityTests(SynchronousTestCase):
    @settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(
        st.sampled_from(("anthropic", "chat", "responses", "gemini")).flatmap(strategies.requests)
    )
    def test_any_request(self, asked: ir.Request) -> None:
        """Any request alternates, answers each call, and gives the same bytes each time."""
        try:
            first = kiro.encode_request(asked)
        except BadRequest as error:
            self.assertTrue(error.reply.message)
            return
        self.assertEqual(kiro.encode_request(asked), first)
        self.assertEqual(len(set(first.losses)), len(first.losses))
        self.check(asked)

    def check(self, asked: ir.Request) -> None:
        """What the service insists on."""
        found = messages(asked)
        roles = [message["role"] for message in found]
        self.assertEqual(roles, ["user", "assistant"] * (len(found) // 2) + ["user"])
        specified = {tool["name"] for tool in tools(asked)}
        called: list[str] = []
        for message in found:
            self.assertTrue(message["content"])
            self.assertLessEqual(len(message.get("images", [])), 4)
            self.assertEqual([one["toolUseId"] for one in results(message)], called)
            uses = message.get("toolUses", [])
            called = [use["toolUseId"] for use in uses]
            for use in uses:
                self.assertIn(use["name"], specified)
                self.assertIsInstance(use["input"], dict)
        for tool in tools(asked):
            self.assertRegex(tool["name"], "^[a-zA-Z0-9_-]{1,64}$")
            self.assertTrue(1 <= len(tool["description"]) <= 9000)

    def test_corpus(self) -> None:
        """Requests of all wires' clients are served, or refused with a reason."""
        refused: dict[str, int] = {}
        for wire in exchanges.WIRES:
            for case, asked in exchanges.requests(wire).items():
                try:
                    encoded = relay.encode_for(kiro, asked)
                except BadRequest as error:
                    refused[str(error)] = refused.get(str(error), 0) + 1
                    continue
                json.loads(encoded.body)
                self.assertNotIn(b"aip1.", encoded.body, case)
                self.check(asked)
        cannot = (
            "at a URL",
            "not a reference",
            "takes no",
            "one answer at a time",
            "is not supported by this upstream",
            "no message to send",
        )
        for reason in refused:
            self.assertTrue(any(words in reason for words in cannot), reason)
        self.assertLess(sum(refused.values()), 80)
