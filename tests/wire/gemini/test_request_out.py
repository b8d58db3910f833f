"""What Gemini is asked on behalf of other clients."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from aiproxy import ir
from aiproxy.errors import BadRequest
from aiproxy.wire import gemini
from aiproxy.wire.gemini.contents_in import NAME
from aiproxy.wire.gemini.shapes import ThinkingConfig
from aiproxy.wire.gemini.signatures import BYPASS
from aiproxy.wire.gemini.thinking import read, written
from aiproxy.wire.jsontext import raw
from aiproxy.wire.losses import Losses

HELLO = ir.Turn("user", (ir.Text("hello"),))
PNG = ir.Media("image", ir.Inline("image/png", "aGk="))


def request(*turns: ir.Turn, model: str = "gemini-2.5-flash", **members: Any) -> ir.Request:
    return ir.Request("anthropic", model, False, turns or (HELLO,), **members)


def body(asked: ir.Request) -> dict[str, Any]:
    encoded: dict[str, Any] = json.loads(gemini.encode_request(asked).body)
    return encoded


def losses(asked: ir.Request) -> list[str]:
    return [loss.feature for loss in gemini.encode_request(asked).losses]


def said(role: ir.Role, *parts: ir.Part) -> ir.Turn:
    return ir.Turn(role, parts)


class ContentsTests(SynchronousTestCase):
    """Turns become contents."""

    def test_a_conversation(self) -> None:
        """Roles are user and model; equal ones are merged; empty texts are left out."""
        sent = body(
            request(
                HELLO,
                said("user", ir.Text(""), PNG),
                said("assistant", ir.Text("yes")),
                said("system", ir.Text("be brief")),
            )
        )
        self.assertEqual(
            sent["contents"],
            [
                {
                    "role": "user",
                    "parts": [
                        {"text": "hello"},
                        {"inlineData": {"mimeType": "image/png", "data": "aGk="}},
                    ],
                },
                {"role": "model", "parts": [{"text": "yes"}]},
                {"role": "user", "parts": [{"text": "be brief"}]},
            ],
        )

    def test_instructions(self) -> None:
        """All leading ones are paragraphs; Claude Code's book-keeping is none of Google's."""
        sent = body(
            request(
                said("system", ir.Text("three")),
                HELLO,
                instructions=(ir.Text("x-anthropic-billing-header: a"), ir.Text("one")),
            )
        )
        self.assertEqual(sent["systemInstruction"], {"parts": [{"text": "one\n\nthree"}]})

    def test_the_model_first(self) -> None:
        """A conversation begins with the user."""
        roles = [
            c["role"] for c in body(request(said("assistant", ir.Text("a")), HELLO))["contents"]
        ]
        self.assertEqual(roles, ["user", "model", "user"])

    def test_nothing_to_say(self) -> None:
        """A request without messages is refused."""
        self.assertRaises(BadRequest, gemini.encode_request, ir.replace(request(), turns=()))

    def test_foreign_files(self) -> None:
        """A file that another vendor keeps is refused."""
        file = ir.Media("image", ir.Uploaded("anthropic", "file_1"))
        self.assertRaises(BadRequest, gemini.encode_request, request(said("user", file)))

    def test_calls_and_results(self) -> None:
        """Arguments are objects, results too; errors are told; order is that of the calls."""
        sent = body(
            request(
                HELLO,
                said(
                    "assistant",
                    ir.ToolCall("a", "f", ""),
                    ir.ToolCall("b", "g", "[1]"),
                    ir.ToolCall("c", "h", "broken", kind="custom"),
                ),
                said(
                    "user",
                    ir.Text("so?"),
                    ir.ToolResult("c", (ir.Text("plain"),)),
                    ir.ToolResult("b", (ir.Text("no"),), is_error=True),
                    ir.ToolResult("a", (ir.Text('{"z":1,"a":2}'), PNG)),
                ),
            )
        )
        self.assertEqual(
            [part["functionCall"] for part in sent["contents"][1]["parts"]],
            [
                {"id": "a", "name": "f", "args": {}},
                {"id": "b", "name": "g", "args": {"_raw": "[1]"}},
                {"id": "c", "name": "h", "args": {"input": "broken"}},
            ],
        )
        answers = sent["contents"][2]["parts"]
        self.assertEqual(
            [part["functionResponse"]["response"] for part in answers[:2]],
            [{"z": 1, "a": 2}, {"error": "no"}],
        )
        self.assertEqual(answers[2]["functionResponse"]["response"], {"output": "plain"})
        self.assertEqual(answers[3], {"text": "[attached by the result of tool call f]"})
        self.assertIn("inlineData", answers[4])
        self.assertEqual(answers[5], {"text": "so?"})

    def test_results_that_are_images_alone(self) -> None:
        """Older models get them behind the results, with words that tie each to its call."""
        url = ir.Media("image", ir.Remote("https://example.org/a.png"))
        asked = request(
            HELLO,
            said("assistant", ir.ToolCall("a", "f", ""), ir.ToolCall("b", "g", "")),
            said("user", ir.ToolResult("a", (PNG,)), ir.ToolResult("b", (url,), is_error=True)),
        )
        answers = body(ir.replace(asked, model="gemini-2.5-flash"))["contents"][2]["parts"]
        see = "(see the attachment below)"
        self.assertEqual(
            [part["functionResponse"]["response"] for part in answers[:2]],
            [{"output": see}, {"error": see}],
        )
        texts = [part.get("text") for part in answers[2:]]
        mark = "[attached by the result of tool call {}]"
        self.assertEqual(texts, [mark.format("f"), None, mark.format("g"), None])
        newer = body(ir.replace(asked, model="gemini-3-pro"))["contents"]
        self.assertEqual(newer[1]["parts"][0]["thoughtSignature"], BYPASS)
        self.assertEqual(
            [list(part) for part in newer[2]["parts"]],
            [["functionResponse"], ["functionResponse"], ["text"], ["fileData"]],
        )

    def test_media_in_results_of_gemini_3(self) -> None:
        """Newer models take media inside the result."""
        sent = body(
            request(
                HELLO,
                said("assistant", ir.ToolCall("a", "f", "{}")),
                said("user", ir.ToolResult("a", (PNG,))),
                model="gemini-3-pro",
            )
        )
        (answer,) = sent["contents"][2]["parts"]
        self.assertEqual(answer["functionResponse"]["response"], {"output": ""})
        self.assertIn("inlineData", answer["functionResponse"]["parts"][0])

    def test_made_up_ids_stay_here(self) -> None:
        """Google never sees an id that we gave to a call of its own."""
        contents = [
            {"role": "user", "parts": [{"text": "a"}]},
            {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {}}}]},
            {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {}}}]},
        ]
        path = "/v1beta/models/gemini-2.5-pro:generateContent"
        asked = gemini.decode_request(json.dumps({"contents": contents}).encode(), path)
        self.assertEqual(body(asked)["contents"], contents)


class ProofTests(SynchronousTestCase):
    """Thoughts and their signatures."""

    def steps(self, *parts: ir.Part, model: str = "gemini-3-pro") -> Any:
        calls = [part for part in parts if isinstance(part, ir.ToolCall)]
        results = [ir.ToolResult(call.id, (ir.Text("ok"),)) for call in calls]
        asked = request(HELLO, said("assistant", *parts), said("user", *results), model=model)
        return body(asked)["contents"][1]["parts"]

    def test_own_proofs(self) -> None:
        """They go back to the part they came with."""
        parts = self.steps(
            ir.Reasoning("hm", ir.Proof("gemini", "r")),
            ir.Text("a", proof=ir.Proof("gemini", "t")),
            ir.ToolCall("c", "f", "{}", proof=ir.Proof("gemini", "s")),
        )
        self.assertEqual([part["thoughtSignature"] for part in parts], ["r", "t", "s"])
        self.assertTrue(parts[0]["thought"])

    def test_a_proof_kept_before_the_call(self) -> None:
        """Other dialects keep it in a thought of its own; it is the call's."""
        parts = self.steps(
            ir.Reasoning("", ir.Proof("gemini", "s")), ir.ToolCall("c", "f", "{}"), model="m"
        )
        self.assertEqual(len(parts), 1)
        self.assertEqual(parts[0]["thoughtSignature"], "s")

    def test_foreign_thoughts(self) -> None:
        """They are not sent, and missed."""
        thought = ir.Reasoning("hm", ir.Proof("anthropic", "x"))
        asked = request(HELLO, said("assistant", thought, ir.Text("a")))
        self.assertEqual(body(asked)["contents"][1]["parts"], [{"text": "a"}])
        self.assertEqual(losses(asked), ["reasoning"])

    def test_calls_that_nobody_signed(self) -> None:
        """Gemini 3 gets the documented stand-in on each step's first call of this turn."""
        one, two = ir.ToolCall("a", "f", "{}"), ir.ToolCall("b", "f", "{}")
        parts = self.steps(one, two)
        self.assertEqual(parts[0]["thoughtSignature"], BYPASS)
        self.assertNotIn("thoughtSignature", parts[1])
        self.assertNotIn("thoughtSignature", self.steps(one, model="gemini-2.5-pro")[0])

    def test_earlier_turns(self) -> None:
        """What was before the user spoke again needs no signature."""
        asked = request(
            HELLO,
            said("assistant", ir.ToolCall("a", "f", "{}")),
            said("user", ir.ToolResult("a", ()), ir.Text("go on")),
            said("assistant", ir.ToolCall("b", "f", "{}")),
            said("user", ir.ToolResult("b", ())),
            model="gemini-3-flash",
        )
        contents = body(asked)["contents"]
        self.assertNotIn("thoughtSignature", contents[1]["parts"][0])
        self.assertEqual(contents[3]["parts"][0]["thoughtSignature"], BYPASS)


class ToolTests(SynchronousTestCase):
    """Tools and the choice among them."""

    F = ir.Tool("f", "does", raw({"$schema": "x", "type": "object", "properties": {"$id": {}}}))
    G = ir.Tool("g")

    def test_definitions(self) -> None:
        """All functions are in one entry; schemas lose what Gemini refuses, and only that."""
        sent = body(request(tools=(self.F, self.G)))
        self.assertEqual(
            sent["tools"],
            [
                {
                    "functionDeclarations": [
                        {
                            "name": "f",
                            "description": "does",
                            "parametersJsonSchema": {"type": "object", "properties": {"$id": {}}},
                        },
                        {"name": "g"},
                    ]
                }
            ],
        )

    def test_custom_and_named(self) -> None:
        """Free-form tools take one text; illegal names become legal, the same everywhere."""
        custom = ir.Tool("1/a b", "does", kind="custom", format=raw("G"), namespace="n")
        asked = request(
            HELLO,
            said("assistant", ir.ToolCall("c", "1/a b", "t", kind="custom", namespace="n")),
            tools=(custom,),
            tool_choice=ir.ToolChoice("any", ("1/a b",)),
        )
        sent = body(asked)
        (tool,) = sent["tools"][0]["functionDeclarations"]
        self.assertRegex(tool["name"], r"\A[A-Za-z_][A-Za-z0-9_.:-]{0,63}\Z")
        self.assertEqual(tool["parametersJsonSchema"]["required"], ["input"])
        self.assertEqual(tool["description"], 'does\n\n"G"')
        self.assertEqual(sent["contents"][1]["parts"][0]["functionCall"]["name"], tool["name"])
        calling = sent["toolConfig"]["functionCallingConfig"]
        self.assertEqual(calling, {"mode": "ANY", "allowedFunctionNames": [tool["name"]]})

    def test_choices(self) -> None:
        """AUTO takes no names: then only those tools are offered."""
        for mode, names, wanted, offered in (
            ("auto", (), {"mode": "AUTO"}, 2),
            ("auto", ("f",), {"mode": "AUTO"}, 1),
            ("any", ("f",), {"mode": "ANY", "allowedFunctionNames": ["f"]}, 2),
            ("none", (), {"mode": "NONE"}, 2),
            ("validated", (), {"mode": "VALIDATED"}, 2),
        ):
            choice = ir.ToolChoice(mode, names)  # type: ignore[arg-type]
            sent = body(request(tools=(self.F, self.G), tool_choice=choice))
            self.assertEqual(sent["toolConfig"], {"functionCallingConfig": wanted})
            self.assertEqual(len(sent["tools"][0]["functionDeclarations"]), offered)

    def test_impossible_choices(self) -> None:
        """Gemini can demand only functions that there are; anything else is declared."""
        hosted = ir.HostedTool("gemini", "web_search", raw({"googleSearch": {}}))
        for tools, choice in (
            ((self.F, self.G), ir.ToolChoice("any", ("h",))),
            ((hosted,), ir.ToolChoice("any")),
        ):
            self.assertEqual(losses(request(tools=tools, tool_choice=choice)), ["tool-choice"])

    def test_no_tools(self) -> None:
        """A choice among nothing is not sent."""
        sent = body(request(tool_choice=ir.ToolChoice("any")))
        self.assertEqual(sent.keys(), {"contents"})

    def test_hosted_tools(self) -> None:
        """Google's own go back to Google; those of others have their like, but after functions."""
        own = ir.HostedTool("gemini", "web_search", raw({"googleSearch": {}}))
        other = ir.HostedTool("anthropic", "web_search", raw({"type": "web_search_20250305"}))
        asked = request(tools=(own, other))
        self.assertEqual(body(asked)["tools"], [{"googleSearch": {}}])
        self.assertEqual(losses(asked), ["hosted-tool"])
        self.assertEqual(body(request(tools=(other,)))["tools"], [{"googleSearch": {}}])
        for kind, sent in (
            ("web_fetch", [{"urlContext": {}}]),
            ("code_execution", [{"codeExecution": {}}]),
            ("image_generation", None),
        ):
            asked = request(tools=(ir.HostedTool("responses", kind, raw({})),))
            self.assertEqual(body(asked).get("tools"), sent)
        both = request(tools=(ir.Tool("f"), other))
        self.assertEqual(body(both)["tools"], [{"functionDeclarations": [{"name": "f"}]}])
        self.assertEqual(losses(both), ["hosted-tool"])


class ParameterTests(SynchronousTestCase):
    """Settings."""

    def test_generation(self) -> None:
        """Every setting has its field; five stop sequences are the most."""
        asked = request(
            max_output_tokens=8000,
            sampling=ir.Sampling(1.7, 0.5, 3, 7, 0.1, 0.2, True, 2, 2),
            stop=tuple("abcdef"),
            output_format=ir.OutputFormat("json_schema", raw({"$id": "x", "type": "object"})),
            parallel_tool_calls=False,
            verbosity="low",
            user="u",
            metadata=raw({}),
            service_tier="scale",
            cache_key="k",
        )
        self.assertEqual(
            body(asked)["generationConfig"],
            {
                "maxOutputTokens": 8000,
                "temperature": 1.7,
                "topP": 0.5,
                "topK": 3,
                "seed": 7,
                "presencePenalty": 0.1,
                "frequencyPenalty": 0.2,
                "stopSequences": ["a", "b", "c", "d", "e"],
                "responseLogprobs": True,
                "logprobs": 2,
                "candidateCount": 2,
                "responseMimeType": "application/json",
                "responseJsonSchema": {"type": "object"},
            },
        )
        self.assertEqual(
            set(losses(asked)),
            {"stop", "service-tier", "parallel-tool-calls", "verbosity", "user"}
            | {"metadata", "cache-key"},
        )

    def test_own_generation(self) -> None:
        """What Gemini's own clients say goes on as it is, a count of one too."""
        own = ir.replace(
            request(sampling=ir.Sampling(None, logprobs=True, candidates=2)), wire=NAME
        )
        self.assertEqual(
            body(own)["generationConfig"], {"responseLogprobs": True, "candidateCount": 2}
        )
        self.assertEqual(losses(own), [])
        single = ir.replace(own, sampling=ir.Sampling(candidates=1))
        self.assertEqual(body(single)["generationConfig"], {"candidateCount": 1})
        foreign = ir.replace(single, wire="chat")
        self.assertNotIn("generationConfig", body(foreign))

    def test_extras(self) -> None:
        """A Gemini client's own fields go where they came from, another's are missed."""
        sent = {
            "contents": [{"role": "user", "parts": [{"text": "a"}]}],
            "toolConfig": {"retrievalConfig": {"x": 1}},
            "generationConfig": {"speechConfig": {"a": 1}, "novelty": 2},
            "serviceTier": "flex",
            "safetySettings": [{"x": 1}],
        }
        path = "/v1beta/models/m:generateContent"
        self.assertEqual(body(gemini.decode_request(json.dumps(sent).encode(), path)), sent)
        foreign = ir.Extras("anthropic", (("context_management", raw({})),))
        self.assertEqual(losses(request(extras=foreign)), ["context-management"])

    def test_levels_and_budgets(self) -> None:
        """Gemini 2.5 counts tokens, Gemini 3 has levels."""
        for thinking, model, wanted in (
            (ir.Thinking("none"), "gemini-2.5-flash", {"thinkingBudget": 0}),
            (ir.Thinking("none"), "gemini-2.5-pro", {"thinkingBudget": 128}),
            (ir.Thinking("none"), "gemini-3-flash", {"thinkingLevel": "MINIMAL"}),
            (ir.Thinking("none"), "gemini-3-pro", {"thinkingLevel": "LOW"}),
            (ir.Thinking("medium"), "gemini-3-pro", {"thinkingLevel": "LOW"}),
            (ir.Thinking("medium"), "gemini-3.1-pro", {"thinkingLevel": "MEDIUM"}),
            (ir.Thinking("max"), "gemini-flash-latest", {"thinkingLevel": "HIGH"}),
            (ir.Thinking("xhigh"), "gemini-2.5-pro", {"thinkingBudget": 32768}),
            (ir.Thinking("xhigh"), "gemini-2.5-flash", {"thinkingBudget": 24576}),
            (ir.Thinking("high"), "unheard-of", {"thinkingLevel": "HIGH"}),
            (ir.Thinking(adaptive=True, summary="none"), "gemini-2.5-pro", {"thinkingBudget": -1}),
            (ir.Thinking(adaptive=True, summary="none"), "gemini-3-pro", {}),
            (
                ir.Thinking(budget_tokens=10000),
                "gemini-2.5-pro",
                {"thinkingBudget": 10000, "includeThoughts": True},
            ),
            (
                ir.Thinking(budget_tokens=10000),
                "gemini-3-pro",
                {"thinkingLevel": "HIGH", "includeThoughts": True},
            ),
            (
                ir.Thinking("low", summary="auto"),
                "gemini-3-pro",
                {"thinkingLevel": "LOW", "includeThoughts": True},
            ),
        ):
            self.assertEqual(written(thinking, model, Losses()), wanted, (thinking, model))

    def test_thinking_that_is_not_quite_what_was_asked(self) -> None:
        """A budget told as a level, a level or a budget that the model has not got: all told."""
        for thinking, model, missed in (
            (ir.Thinking("low"), "gemini-3-flash", []),
            (ir.Thinking("none"), "gemini-3-flash", ["reasoning-effort"]),
            (ir.Thinking("xhigh"), "gemini-3-flash", ["reasoning-effort"]),
            (ir.Thinking("medium"), "gemini-3-pro", ["reasoning-effort"]),
            (ir.Thinking("max"), "m", ["reasoning-effort"]),
            (ir.Thinking(budget_tokens=3000), "gemini-3-flash", ["thinking-budget"]),
            (ir.Thinking(adaptive=True), "gemini-3-flash", []),
            (ir.Thinking(budget_tokens=3000), "gemini-2.5-flash", []),
            (ir.Thinking("low"), "gemini-2.5-flash", []),
            (ir.Thinking("none"), "gemini-2.5-flash", []),
            (ir.Thinking("none"), "gemini-2.5-pro", ["thinking-budget"]),
            (ir.Thinking(budget_tokens=99999), "gemini-2.5-pro", ["thinking-budget"]),
        ):
            found = losses(request(model=model, thinking=thinking))
            self.assertEqual(found, missed, (thinking, model))

    def test_description_of_a_schema(self) -> None:
        """Gemini's formats have no description."""
        wanted = ir.OutputFormat("json_schema", raw({}), description="Where it is.")
        self.assertEqual(losses(request(output_format=wanted)), ["schema-description"])

    def test_thinking_read(self) -> None:
        """A budget of 0 is none, -1 the model's choice; thoughts are hidden unless asked for."""
        for config, wanted in (
            (ThinkingConfig(thinking_budget=0), ir.Thinking("none", summary="none")),
            (ThinkingConfig(thinking_budget=-1), ir.Thinking(adaptive=True, summary="none")),
            (
                ThinkingConfig(True, 5000),
                ir.Thinking(budget_tokens=5000, summary="auto"),
            ),
            (ThinkingConfig(True, None, "low"), ir.Thinking("low", summary="auto")),
        ):
            self.assertEqual(read(config), wanted)

    def test_count(self) -> None:
        """A count takes the whole request."""
        sent = json.loads(
            gemini.encode_count_request(request(tools=(ir.Tool("f"),), model="m")).body
        )
        inner = sent["generateContentRequest"]
        self.assertEqual(inner["model"], "models/m")
        self.assertEqual(inner.keys(), {"model", "contents", "tools"})
