"""Requests of other dialects, as the Messages API takes them."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from aiproxy import ir
from aiproxy.errors import BadRequest
from aiproxy.wire import anthropic
from aiproxy.wire.anthropic.request_out import PLACEHOLDER

HELLO = ir.Turn("user", (ir.Text("hello"),))


def request(**fields: Any) -> ir.Request:
    """A request of a Chat client."""
    start: dict[str, Any] = {"wire": "chat", "model": "m", "stream": False, "turns": (HELLO,)}
    return ir.Request(**{**start, **fields})


def raw(value: Any) -> ir.JSON:
    return ir.JSON(json.dumps(value).encode())


class EncodingCase(SynchronousTestCase):
    def sent(self, **fields: Any) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(anthropic.encode_request(request(**fields)).body)
        return body

    def losses(self, **fields: Any) -> set[str]:
        return {loss.feature for loss in anthropic.encode_request(request(**fields)).losses}


class MessageTests(EncodingCase):
    """Turns and their parts."""

    def test_system_texts(self) -> None:
        """Leading system texts are system blocks, a later one stays in place, marked."""
        late = ir.Turn("system", (ir.Text("late"),))
        lead = (ir.Turn("system", (ir.Text("a"),)), ir.Turn("developer", (ir.Text("b"),)))
        body = self.sent(instructions=(ir.Text("first"),), turns=(*lead, HELLO, late))
        self.assertEqual([block["text"] for block in body["system"]], ["first", "a", "b"])
        self.assertEqual(
            [block["text"] for block in body["messages"][0]["content"]],
            ["hello", "<system-reminder>\nlate\n</system-reminder>"],
        )

    def test_what_the_system_cannot_say(self) -> None:
        """Media among system texts are missed, late texts are told to be in another place."""
        image = ir.Media("image", ir.Remote("https://x/y.png"))
        early = ir.Turn("developer", (ir.Text("a"), image))
        late = ir.Turn("system", (ir.Text("late", extras=ir.Extras("chat", (("x", raw(1)),))),))
        self.assertEqual(self.losses(turns=(early, HELLO)), {"instruction-media"})
        self.assertEqual(
            [block["text"] for block in self.sent(turns=(early, HELLO))["system"]], ["a"]
        )
        self.assertEqual(self.losses(turns=(HELLO, late)), {"late-instructions", "x"})

    def test_media_of_the_assistant(self) -> None:
        """An image that the model drew is only named, and missed."""
        drawn = ir.Turn("assistant", (ir.Media("image", ir.Inline("image/png", "aGk=")),))
        body = self.sent(turns=(HELLO, drawn, HELLO))
        self.assertEqual(body["messages"][1]["content"], [{"type": "text", "text": "[image]"}])
        self.assertEqual(self.losses(turns=(HELLO, drawn, HELLO)), {"image-output"})

    def test_results_follow_calls(self) -> None:
        """Calls of a turn are one message, their results stand first in the next one."""
        calls = (ir.ToolCall("1", "f", "{}"), ir.ToolCall("2", "f", ""))
        results = (ir.ToolResult("2", (ir.Text("two"),)), ir.ToolResult("1", ()))
        turns = (
            HELLO,
            *(ir.Turn("assistant", (call,)) for call in calls),
            ir.Turn("user", (ir.Text("and"), *results)),
        )
        body = self.sent(turns=turns)
        self.assertEqual([block["id"] for block in body["messages"][1]["content"]], ["1", "2"])
        self.assertEqual([b["input"] for b in body["messages"][1]["content"]], [{}, {}])
        answers = body["messages"][2]["content"]
        self.assertEqual([b.get("tool_use_id") for b in answers], ["1", "2", None])
        self.assertEqual([b.get("content") for b in answers], ["", "two", None])

    def test_missing_result(self) -> None:
        """A call that nobody answered gets an error as its result."""
        turns = (HELLO, ir.Turn("assistant", (ir.ToolCall("1", "f", "{}"),)), HELLO)
        block = self.sent(turns=turns)["messages"][2]["content"][0]
        self.assertTrue(block["is_error"])

    def test_broken_arguments(self) -> None:
        """Arguments that are no object are kept as text."""
        turns = (HELLO, ir.Turn("assistant", (ir.ToolCall("1", "f", "[1]"),)))
        block = self.sent(turns=turns)["messages"][1]["content"][0]
        self.assertEqual(block["input"], {"_raw": "[1]"})

    def test_illegal_ids(self) -> None:
        """An id that the API refuses becomes the same other id in call and result."""
        turns = (
            HELLO,
            ir.Turn("assistant", (ir.ToolCall("a:b/c", "f", "{}"),)),
            ir.Turn("user", (ir.ToolResult("a:b/c", ()),)),
        )
        messages = self.sent(turns=turns)["messages"]
        call_id = messages[1]["content"][0]["id"]
        self.assertRegex(call_id, r"^[a-zA-Z0-9_-]+$")
        self.assertEqual(messages[2]["content"][0]["tool_use_id"], call_id)

    def test_reasoning(self) -> None:
        """Only the vendor's own proofs go back to it; other thoughts are a loss."""
        own = ir.Reasoning("t", ir.Proof("anthropic", "sig"))
        redacted = ir.Reasoning("", ir.Proof("anthropic", "data", redacted=True))
        foreign = ir.Reasoning("x", ir.Proof("openai", "enc"))
        bare = ir.Reasoning("y")
        turns = (HELLO, ir.Turn("assistant", (own, redacted, foreign, bare, ir.Text("so"))))
        self.assertEqual(
            self.sent(turns=turns)["messages"][1]["content"],
            [
                {"type": "thinking", "thinking": "t", "signature": "sig"},
                {"type": "redacted_thinking", "data": "data"},
                {"type": "text", "text": "so"},
            ],
        )
        self.assertIn("reasoning", self.losses(turns=turns))

    def test_media(self) -> None:
        """Images and documents are sent, what the API has no block for is refused."""
        parts = (
            ir.Media("image", ir.Inline("image/jpg", "aGk=")),
            ir.Media("image", ir.Remote("https://example.org/i")),
            ir.Media("document", ir.Inline("application/pdf", "aGk="), name="d"),
            ir.Media("document", ir.Inline("text/plain", "aGk=")),
        )
        body = self.sent(turns=(ir.Turn("user", parts),))
        sources = [block["source"] for block in body["messages"][0]["content"]]
        self.assertEqual(sources[0], {"type": "base64", "media_type": "image/jpeg", "data": "aGk="})
        self.assertEqual(
            [source["type"] for source in sources], ["base64", "url", "base64", "text"]
        )
        self.assertEqual(sources[3]["data"], "hi")
        for refused in (
            ir.Media("image", ir.Inline("image/bmp", "aGk=")),
            ir.Media("image", ir.Uploaded("openai", "file-1")),
            ir.Media("audio", ir.Inline("audio/wav", "aGk=")),
        ):
            with self.assertRaises(BadRequest):
                self.sent(turns=(ir.Turn("user", (refused,)),))

    def test_assistant_first(self) -> None:
        """A conversation that the assistant begins gets a user's message before it."""
        body = self.sent(turns=(ir.Turn("assistant", (ir.Text("hi"),)),))
        self.assertEqual(body["messages"][0]["content"][0]["text"], PLACEHOLDER)

    def test_nothing_to_send(self) -> None:
        """Without any message there is nothing to ask."""
        with self.assertRaises(BadRequest):
            self.sent(turns=())


class ToolTests(EncodingCase):
    """Tools and the choice among them."""

    tools = (ir.Tool("a"), ir.Tool("b"), ir.Tool("c"))

    def test_schemas(self) -> None:
        """A tool has a schema with an object at its root, closed when it is strict."""
        either = raw({"anyOf": [{"properties": {"x": {"type": "string"}}, "required": ["x"]}]})
        strict = raw({"type": "object", "properties": {"y": {"type": "object"}}})
        tools = (
            ir.Tool("a"),
            ir.Tool("b", schema=either),
            ir.Tool("c", schema=strict, strict=True),
        )
        schemas = [tool["input_schema"] for tool in self.sent(tools=tools)["tools"]]
        self.assertEqual(schemas[0], {"type": "object", "properties": {}})
        self.assertEqual(
            schemas[1],
            {"type": "object", "properties": {"x": {"type": "string"}}, "required": ["x"]},
        )
        self.assertIs(schemas[2]["properties"]["y"]["additionalProperties"], False)

    def test_deep_schema(self) -> None:
        """A schema nested beyond reason is refused, without any other error."""
        for depth in (100, 5000):
            deep = ir.JSON(b'{"type":"object","properties":' * depth + b"1" + b"}" * depth)
            with self.assertRaises(BadRequest):
                self.sent(tools=(ir.Tool("a", schema=deep),))

    def test_custom_tool(self) -> None:
        """A free-form tool is a function with one text, its grammar told in the description."""
        tool = ir.Tool("patch", "Edits.", kind="custom", format=raw({"syntax": "lark"}))
        call = ir.ToolCall("1", "patch", "+x", kind="custom")
        body = self.sent(tools=(tool,), turns=(HELLO, ir.Turn("assistant", (call,))))
        self.assertEqual(body["tools"][0]["input_schema"]["required"], ["input"])
        self.assertIn("lark", body["tools"][0]["description"])
        self.assertEqual(body["messages"][1]["content"][0]["input"], {"input": "+x"})

    def test_names(self) -> None:
        """Name spaces are joined and illegal names replaced, the same way everywhere."""
        tools = (ir.Tool("t", namespace="ns"), ir.Tool("mcp.srv/tool one"))
        call = ir.ToolCall("1", "mcp.srv/tool one", "{}")
        body = self.sent(tools=tools, turns=(HELLO, ir.Turn("assistant", (call,))))
        names = [tool["name"] for tool in body["tools"]]
        self.assertEqual(names[0], "ns__t")
        self.assertRegex(names[1], r"^[a-zA-Z0-9_-]+$")
        self.assertEqual(body["messages"][1]["content"][0]["name"], names[1])

    def test_choices(self) -> None:
        """Each choice has its form; one of several names narrows the tools."""
        for choice, shape, names in (
            (ir.ToolChoice("auto"), {"type": "auto"}, "abc"),
            (ir.ToolChoice("any"), {"type": "any"}, "abc"),
            (ir.ToolChoice("none"), {"type": "none"}, "abc"),
            (ir.ToolChoice("any", ("b",)), {"type": "tool", "name": "b"}, "abc"),
            (ir.ToolChoice("any", ("b", "c")), {"type": "any"}, "bc"),
            (ir.ToolChoice("auto", ("b",)), {"type": "auto"}, "b"),
            (ir.ToolChoice("validated"), {"type": "auto"}, "abc"),
        ):
            body = self.sent(tools=self.tools, tool_choice=choice)
            self.assertEqual(body["tool_choice"], shape)
            self.assertEqual("".join(tool["name"] for tool in body["tools"]), names)

    def test_parallel_calls(self) -> None:
        """Calls one at a time are part of the choice; no tools, no choice."""
        body = self.sent(tools=self.tools, parallel_tool_calls=False)
        self.assertEqual(body["tool_choice"], {"type": "auto", "disable_parallel_tool_use": True})
        self.assertNotIn("tool_choice", self.sent(tool_choice=ir.ToolChoice("any")))

    def test_hosted_tools(self) -> None:
        """Another vendor's hosted tools are a loss, the vendor's own pass."""
        own = ir.HostedTool("anthropic", "web_search", raw({"type": "web_search_20250305"}))
        tools = (own, ir.HostedTool("responses", "web_search", raw({"type": "web_search"})))
        self.assertEqual(self.sent(tools=tools)["tools"], [{"type": "web_search_20250305"}])
        self.assertIn("hosted-tool", self.losses(tools=tools))
        choice = ir.ToolChoice("auto", ("f",))
        narrowed = {"tools": (ir.Tool("f"), ir.Tool("g"), *tools), "tool_choice": choice}
        self.assertEqual(len(self.sent(**narrowed)["tools"]), 2)
        self.assertIn("hosted-tool", self.losses(**narrowed))


class ParameterTests(EncodingCase):
    """Limits, sampling, thinking, formats."""

    def test_output_limit(self) -> None:
        """The API insists on a limit, so there is always one."""
        self.assertEqual(self.sent(default_max_output_tokens=77)["max_tokens"], 77)
        self.assertEqual(self.sent(max_output_tokens=8000)["max_tokens"], 8000)

    def test_sampling(self) -> None:
        """Each model gets the knobs that it takes."""
        asked = ir.Sampling(temperature=1.7, top_p=0.5, top_k=3)
        for model, left in (
            ("m", {"temperature": 1.0, "top_p": 0.5, "top_k": 3}),
            ("claude-opus-4-8", {}),
            ("claude-sonnet-5-20270101", {}),
            ("claude-sonnet-4-5-20250929", {"temperature": 1.0, "top_k": 3}),
            ("anthropic/claude-3-haiku-20240307", {"temperature": 1.0, "top_p": 0.5, "top_k": 3}),
        ):
            body = self.sent(model=model, sampling=asked)
            knobs = {name: body[name] for name in ("temperature", "top_p", "top_k") if name in body}
            self.assertEqual((model, knobs), (model, left))
        self.assertIn("temperature", self.losses(model="claude-opus-4-8", sampling=asked))

    def test_sampling_while_thinking(self) -> None:
        """Thinking takes the knobs away."""
        body = self.sent(
            model="claude-sonnet-4-5",
            max_output_tokens=9000,
            thinking=ir.Thinking("low"),
            sampling=ir.Sampling(temperature=0.2, top_k=3),
        )
        self.assertEqual(body["thinking"], {"type": "enabled", "budget_tokens": 1024})
        self.assertNotIn("temperature", body)
        self.assertNotIn("top_k", body)

    def test_thinking(self) -> None:
        """Levels and budgets in the words of each model."""
        adaptive: dict[str, Any] = {"type": "adaptive"}
        for model, thinking, block, effort in (
            ("claude-opus-4-8", ir.Thinking("xhigh"), adaptive, "xhigh"),
            ("claude-opus-4-6", ir.Thinking("xhigh"), adaptive, "high"),
            ("claude-opus-4-8", ir.Thinking("minimal"), adaptive, "low"),
            ("claude-opus-4-8", ir.Thinking(budget_tokens=10_000), adaptive, "high"),
            ("claude-opus-4-8", ir.Thinking("none"), {"type": "disabled"}, None),
            ("claude-opus-4-5", ir.Thinking("high"), _budget(24576), None),
            ("claude-opus-4-5", ir.Thinking(budget_tokens=100), _budget(1024), None),
            ("claude-opus-4-5", ir.Thinking(adaptive=True), _budget(8192), None),
            ("claude-3-5-haiku-latest", ir.Thinking("high"), None, None),
            ("m", ir.Thinking("medium"), adaptive, "medium"),
            ("m", ir.Thinking(budget_tokens=5000), _budget(5000), None),
            ("m", ir.Thinking(summary="auto"), None, None),
        ):
            body = self.sent(model=model, thinking=thinking, max_output_tokens=30_000)
            got = body.get("thinking"), body.get("output_config", {}).get("effort")
            self.assertEqual((model, thinking, got), (model, thinking, (block, effort)))

    def test_least_effort(self) -> None:
        """The lowest level and the lowest budget stand for "low" too."""
        asked = ir.Thinking("minimal")
        for model in ("claude-opus-4-6", "claude-sonnet-4-5"):
            self.assertEqual(self.losses(model=model, thinking=asked), {"reasoning-effort"})

    def test_free_choice(self) -> None:
        """A model that cannot choose how much to think gets a budget, which is told."""
        asked = ir.Thinking(adaptive=True)
        for model, told in (("claude-sonnet-4-5", {"thinking-budget"}), ("claude-opus-4-8", set())):
            self.assertEqual(self.losses(model=model, thinking=asked), told)

    def test_budget_within_the_limit(self) -> None:
        """A budget leaves room for an answer; a limit of our own grows with it."""
        model, thinking = "claude-sonnet-4-5", ir.Thinking(budget_tokens=5000)
        body = self.sent(model=model, thinking=thinking, max_output_tokens=2000)
        self.assertEqual(body["thinking"], _budget(1999))
        self.assertNotIn(
            "thinking", self.sent(model=model, thinking=thinking, max_output_tokens=1024)
        )
        self.assertEqual(self.sent(model=model, thinking=thinking)["max_tokens"], 9096)

    def test_thinking_gives_way(self) -> None:
        """A forced call, and calls whose thoughts belong to another vendor, exclude thinking."""
        forced = self.sent(
            thinking=ir.Thinking("high"), tools=(ir.Tool("a"),), tool_choice=ir.ToolChoice("any")
        )
        self.assertNotIn("thinking", forced)
        self.assertEqual(forced["tool_choice"], {"type": "any"})
        turns = (HELLO, ir.Turn("assistant", (ir.ToolCall("1", "f", "{}"),)))
        thinking = ir.Thinking("high")
        self.assertNotIn(
            "thinking", self.sent(model="claude-opus-4-5", turns=turns, thinking=thinking)
        )
        self.assertIn(
            "thinking", self.sent(model="claude-opus-4-8", turns=turns, thinking=thinking)
        )

    def test_formats(self) -> None:
        """A schema is closed; plain JSON is asked for in words."""
        schema = raw({"type": "object", "properties": {"a": {"type": "number"}}})
        body = self.sent(output_format=ir.OutputFormat("json_schema", schema, "answer"))
        sent = body["output_config"]["format"]
        self.assertEqual(sent["type"], "json_schema")
        self.assertIs(sent["schema"]["additionalProperties"], False)
        self.assertIn(
            "JSON", self.sent(output_format=ir.OutputFormat("json_object"))["system"][0]["text"]
        )
        self.assertNotIn("output_config", self.sent(output_format=ir.OutputFormat("text")))

    def test_hints(self) -> None:
        """Users, tiers and stops in the API's words, and caching switched on."""
        body = self.sent(user="u", service_tier="default", stop=("a", " "), stream=True)
        self.assertEqual(body["metadata"], {"user_id": "u"})
        self.assertEqual(body["service_tier"], "standard_only")
        self.assertEqual(body["stop_sequences"], ["a"])
        self.assertEqual(body["cache_control"], {"type": "ephemeral"})
        self.assertIs(body["stream"], True)
        self.assertRegex(self.sent(user="u" * 100)["metadata"]["user_id"], r"^[0-9a-f]{64}$")

    def test_losses(self) -> None:
        """What no field stands for is told, several answers are refused."""
        self.assertEqual(
            self.losses(
                sampling=ir.Sampling(seed=1, presence_penalty=0.1, frequency_penalty=0.1),
                verbosity="low",
                service_tier="priority",
                extras=ir.Extras("chat", (("logit_bias", raw({})),)),
            ),
            {
                "seed",
                "presence-penalty",
                "frequency-penalty",
                "verbosity",
                "service-tier",
                "logit-bias",
            },
        )
        with self.assertRaises(BadRequest):
            self.sent(sampling=ir.Sampling(candidates=2))

    def test_counting(self) -> None:
        """A request for a count has no members that only generating needs."""
        counted = json.loads(anthropic.encode_count_request(request(stream=True, user="u")).body)
        self.assertEqual(set(counted), {"model", "messages", "cache_control"})


def _budget(tokens: int) -> dict[str, Any]:
    return {"type": "enabled", "budget_tokens": tokens}
