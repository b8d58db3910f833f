"""Requests of the hub as Chat upstreams get them."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from aiproxy import ir
from aiproxy.errors import BadRequest
from aiproxy.wire import chat

HI = ir.Turn("user", (ir.Text("hi"),))
OPEN = ir.JSON(b'{"type":"object","properties":{"a":{"type":"string"}}}')


def asked(*turns: ir.Turn, wire: str = "anthropic", **more: Any) -> ir.Request:
    return ir.Request(wire=wire, model="m", stream=False, turns=turns or (HI,), **more)


def encoded(request: ir.Request) -> tuple[Any, dict[str, str]]:
    """The body parsed, and feature to how it was lost."""
    written = chat.encode_request(request)
    return json.loads(written.body), {loss.feature: loss.how for loss in written.losses}


def messages(*turns: ir.Turn, **more: Any) -> Any:
    return encoded(asked(*turns, **more))[0]["messages"]


def user(*parts: ir.Part) -> ir.Turn:
    return ir.Turn("user", parts)


def assistant(*parts: ir.Part) -> ir.Turn:
    return ir.Turn("assistant", parts)


class SystemTests(SynchronousTestCase):
    def test_instructions(self) -> None:
        """Blocks become one string with blank lines, without Claude Code's billing line."""
        blocks = (ir.Text("x-anthropic-billing-header: cc"), ir.Text("a"), ir.Text("b"))
        self.assertEqual(
            messages(instructions=blocks),
            [{"role": "system", "content": "a\n\nb"}, {"role": "user", "content": "hi"}],
        )

    def test_late_turns(self) -> None:
        """Later system texts keep their place; a Chat client's roles are its own."""
        late = ir.Turn("developer", (ir.Text("a"),))
        self.assertEqual(messages(HI, late)[1], {"role": "system", "content": "a"})
        self.assertEqual(messages(HI, late, wire="chat")[1], {"role": "developer", "content": "a"})


class ToolHistoryTests(SynchronousTestCase):
    def test_calls_and_results(self) -> None:
        """One message with all calls, their results directly behind it, then the user."""
        turns = (
            assistant(
                ir.Text("t"), ir.ToolCall("c1", "f", '{"z":1,"a":2}'), ir.ToolCall("c2", "g", "")
            ),
            user(
                ir.Text("then"),
                ir.ToolResult("c2", (ir.Text("r2"),), is_error=True),
                ir.ToolResult("c1", ()),
            ),
        )
        self.assertEqual(
            messages(*turns),
            [
                {
                    "role": "assistant",
                    "content": "t",
                    "tool_calls": [
                        {
                            "id": "c1",
                            "type": "function",
                            "function": {"name": "f", "arguments": '{"z":1,"a":2}'},
                        },
                        {
                            "id": "c2",
                            "type": "function",
                            "function": {"name": "g", "arguments": "{}"},
                        },
                    ],
                },
                {"role": "tool", "tool_call_id": "c1", "content": ""},
                {"role": "tool", "tool_call_id": "c2", "content": "[tool error] r2"},
                {"role": "user", "content": "then"},
            ],
        )

    def test_images_of_results(self) -> None:
        """They go to the user's message behind all results, each under its call's name."""
        image = ir.Media("image", ir.Inline("image/png", "aGk="))
        request = asked(
            assistant(ir.ToolCall("c1", "shot", "{}"), ir.ToolCall("c2", "f", "{}")),
            user(
                ir.ToolResult("c1", (image,)), ir.ToolResult("c2", (ir.Text("r"),)), ir.Text("so?")
            ),
        )
        body, losses = encoded(request)
        self.assertEqual(
            [m["role"] for m in body["messages"]], ["assistant", "tool", "tool", "user"]
        )
        self.assertEqual(body["messages"][1]["content"], "(see the attachment below)")
        self.assertEqual(
            body["messages"][3]["content"],
            [
                {"type": "text", "text": "[attached by the result of tool call shot]"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}},
                {"type": "text", "text": "so?"},
            ],
        )
        self.assertEqual(losses, {"tool-result-media": "approximated"})

    def test_missing_and_orphan_results(self) -> None:
        """A call without a result gets one; a result without a call becomes text."""
        said = messages(
            assistant(ir.ToolCall("c1", "f", "{}")), user(ir.ToolResult("x", (ir.Text("r"),)))
        )
        self.assertEqual(said[1]["content"], "[tool error] no result recorded")
        self.assertEqual([m["role"] for m in said], ["assistant", "tool", "user"])

    def test_ids(self) -> None:
        """A long id becomes a short one that call and result share; dots and colons stay."""
        long_id = "x" * 65
        for call_id in (long_id, "functions.f:0"):
            said = messages(
                assistant(ir.ToolCall(call_id, "f", "{}")), user(ir.ToolResult(call_id, ()))
            )
            sent = said[0]["tool_calls"][0]["id"]
            self.assertLessEqual(len(sent), 64)
            self.assertEqual(said[1]["tool_call_id"], sent)
            self.assertEqual(sent == call_id, call_id != long_id)

    def test_names(self) -> None:
        """Long and name-spaced names are shortened the same way in tools, choice and history."""
        tool = ir.Tool("t" * 80, namespace="mcp")
        request = asked(
            assistant(ir.ToolCall("c", "t" * 80, "{}", namespace="mcp")),
            user(ir.ToolResult("c", ())),
            tools=(tool,),
            tool_choice=ir.ToolChoice("any", ("t" * 80,)),
        )
        body, _ = encoded(request)
        name = body["tools"][0]["function"]["name"]
        self.assertLessEqual(len(name), 64)
        self.assertEqual(body["messages"][0]["tool_calls"][0]["function"]["name"], name)
        self.assertEqual(body["tool_choice"], {"type": "function", "function": {"name": name}})


class PartTests(SynchronousTestCase):
    def test_documents(self) -> None:
        """A PDF goes as a data URL, plain text as text under its title."""
        pdf = ir.Media("document", ir.Inline("application/pdf", "aGk="), "a.pdf")
        plain = ir.Media("document", ir.PlainText("body"), "Title")
        inline = ir.Media("document", ir.Inline("text/plain", "aGk="))
        self.assertEqual(
            messages(user(pdf, plain, inline))[0]["content"],
            [
                {
                    "type": "file",
                    "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,aGk="},
                },
                {"type": "text", "text": "Title\n\nbody"},
                {"type": "text", "text": "hi"},
            ],
        )

    def test_audio(self) -> None:
        """Audio by its format's name."""
        audio = ir.Media("audio", ir.Inline("audio/mpeg", "aGk="))
        self.assertEqual(
            messages(user(audio))[0]["content"],
            [{"type": "input_audio", "input_audio": {"data": "aGk=", "format": "mp3"}}],
        )

    def test_refused_media(self) -> None:
        """What Chat has no form for is refused rather than left out."""
        for media in (
            ir.Media("document", ir.Remote("https://example.org/a.pdf")),
            ir.Media("document", ir.Uploaded("anthropic", "f")),
            ir.Media("image", ir.Uploaded("openai", "f")),
            ir.Media("video", ir.Inline("video/mp4", "aGk=")),
            ir.Media("audio", ir.Remote("https://example.org/a.wav")),
        ):
            with self.assertRaises(BadRequest):
                chat.encode_request(asked(user(media)))

    def test_dropped_parts(self) -> None:
        """Foreign reasoning, opaque parts, citations and extras are reported."""
        cache = ir.Extras("anthropic", (("cache_control", ir.JSON(b"{}")),))
        body, losses = encoded(
            asked(
                user(ir.Text("a", extras=cache)),
                assistant(
                    ir.Reasoning("hm", ir.Proof("anthropic", "S")),
                    ir.Opaque("anthropic", "server_tool_use", ir.JSON(b"{}")),
                    ir.Opaque("anthropic", "web_result", ir.JSON(b"{}"), "found it"),
                    ir.Text("b", (ir.Citation("https://example.org"),)),
                ),
            )
        )
        self.assertEqual(
            body["messages"],
            [
                {"role": "user", "content": "a"},
                {
                    "role": "assistant",
                    "content": [
                        {"type": "text", "text": "found it"},
                        {"type": "text", "text": "b"},
                    ],
                },
            ],
        )
        self.assertEqual(
            losses,
            {
                "cache-control": "dropped",
                "reasoning": "dropped",
                "server-tool-use": "dropped",
                "web-result": "approximated",
                "citations": "dropped",
            },
        )

    def test_what_media_cannot_say(self) -> None:
        """An image has no name, a document no detail, instructions hold only texts."""
        image = ir.Media("image", ir.Inline("image/png", "aGk="), name="a.png")
        paper = ir.Media("document", ir.Inline("application/pdf", "aGk="), detail="high")
        self.assertEqual(encoded(asked(user(image)))[1], {"file-name": "dropped"})
        self.assertEqual(encoded(asked(user(paper)))[1], {"image-detail": "dropped"})
        request = asked(instructions=(ir.Text("a"), image))
        self.assertEqual(encoded(request)[1], {"instruction-media": "dropped"})

    def test_empty_turns(self) -> None:
        """A turn of which nothing is left is left out, and its neighbours are one message."""
        said = messages(user(ir.Text("a")), assistant(ir.Reasoning("hm")), user(ir.Text("b")))
        self.assertEqual([m["role"] for m in said], ["user"])

    def test_nothing_to_send(self) -> None:
        """A request without any message is the client's fault."""
        with self.assertRaises(BadRequest):
            chat.encode_request(asked(assistant(ir.Reasoning("hm"))))

    def test_google_proofs(self) -> None:
        """A Gemini model gets its own proofs back, no other model does."""
        call = ir.ToolCall("c", "f", "{}", proof=ir.Proof("gemini", "SIG"))
        request = asked(assistant(call))
        google = encoded(ir.replace(request, model="google/gemini-3-pro"))[0]
        self.assertEqual(
            google["messages"][0]["tool_calls"][0]["extra_content"],
            {"google": {"thought_signature": "SIG"}},
        )
        body, losses = encoded(request)
        self.assertNotIn("extra_content", body["messages"][0]["tool_calls"][0])
        self.assertEqual(losses, {"reasoning-proof": "dropped"})


class ToolTests(SynchronousTestCase):
    def test_definitions(self) -> None:
        """Functions with their schemas; custom tools stay custom; hosted ones are dropped."""
        grammar = ir.JSON(b'{"type":"grammar","syntax":"lark","definition":"d"}')
        body, losses = encoded(
            asked(
                tools=(
                    ir.Tool("f", "does", OPEN, strict=True),
                    ir.Tool("g", schema=ir.JSON(b"{}")),
                    ir.Tool("c", kind="custom", format=grammar),
                    ir.HostedTool("anthropic", "web_search", ir.JSON(b"{}")),
                )
            )
        )
        self.assertEqual(
            body["tools"],
            [
                {
                    "type": "function",
                    "function": {
                        "name": "f",
                        "description": "does",
                        "parameters": json.loads(bytes(OPEN)),
                        "strict": False,
                    },
                },
                {
                    "type": "function",
                    "function": {"name": "g", "parameters": {"type": "object", "properties": {}}},
                },
                {
                    "type": "custom",
                    "custom": {
                        "name": "c",
                        "format": {
                            "type": "grammar",
                            "grammar": {"syntax": "lark", "definition": "d"},
                        },
                    },
                },
            ],
        )
        self.assertEqual(losses, {"strict": "approximated", "hosted-tool": "dropped"})

    def test_choices(self) -> None:
        """All meanings of tool_choice."""
        tools = (ir.Tool("f"), ir.Tool("c", kind="custom"))
        function = {"type": "function", "function": {"name": "f"}}
        custom = {"type": "custom", "custom": {"name": "c"}}
        for choice, expected in (
            (ir.ToolChoice("auto"), "auto"),
            (ir.ToolChoice("any"), "required"),
            (ir.ToolChoice("none"), "none"),
            (ir.ToolChoice("validated"), "auto"),
            (ir.ToolChoice("any", ("c",)), custom),
            (
                ir.ToolChoice("any", ("f", "c")),
                {
                    "type": "allowed_tools",
                    "allowed_tools": {"mode": "required", "tools": [function, custom]},
                },
            ),
            (
                ir.ToolChoice("auto", ("f",)),
                {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [function]}},
            ),
        ):
            body, _ = encoded(asked(tools=tools, tool_choice=choice, parallel_tool_calls=False))
            self.assertEqual(body["tool_choice"], expected)
            self.assertIs(body["parallel_tool_calls"], False)

    def test_no_tools(self) -> None:
        """Without tools nothing speaks of them."""
        body, _ = encoded(asked(tool_choice=ir.ToolChoice("auto"), parallel_tool_calls=True))
        self.assertEqual(set(body), {"model", "messages"})


class ParameterTests(SynchronousTestCase):
    def test_stream(self) -> None:
        """A stream always asks for its usage."""
        body, _ = encoded(ir.replace(asked(), stream=True))
        self.assertEqual((body["stream"], body["stream_options"]), (True, {"include_usage": True}))

    def test_limits(self) -> None:
        """The output limit by its new name, four stops at most, no top_k."""
        sampling = ir.Sampling(0.5, 0.9, 40, 7, candidates=2, logprobs=True)
        body, losses = encoded(
            asked(max_output_tokens=9, sampling=sampling, stop=("a", "b", "c", "d", "e"))
        )
        del body["messages"]
        self.assertEqual(
            body,
            {
                "model": "m",
                "max_completion_tokens": 9,
                "temperature": 0.5,
                "top_p": 0.9,
                "seed": 7,
                "logprobs": True,
                "n": 2,
                "stop": ["a", "b", "c", "d"],
            },
        )
        self.assertEqual(losses, {"top-k": "dropped", "stop": "approximated"})

    def test_a_single_answer(self) -> None:
        """Vendors that have no `n` are not told what they do anyway."""
        for candidates in (None, 0, 1):
            body, losses = encoded(asked(sampling=ir.Sampling(candidates=candidates)))
            self.assertEqual((set(body), losses), ({"model", "messages"}, {}))

    def test_reasoning_models(self) -> None:
        """OpenAI's reasoning models get no temperature, unless they shall not reason."""
        likely = asked(sampling=ir.Sampling(logprobs=True, top_logprobs=2))
        self.assertEqual(encoded(likely)[0]["top_logprobs"], 2)
        self.assertEqual(encoded(ir.replace(likely, model="gpt-5.1"))[1], {"logprobs": "dropped"})
        request = ir.replace(asked(sampling=ir.Sampling(0.5, 1.0)), model="gpt-5.1")
        body, losses = encoded(request)
        self.assertNotIn("temperature", body)
        self.assertEqual(losses, {"temperature": "dropped"})
        for free in (
            ir.replace(request, thinking=ir.Thinking("none")),
            ir.replace(request, wire="chat"),
            ir.replace(request, model="gpt-5-chat-latest"),
        ):
            self.assertEqual(encoded(free)[0]["temperature"], 0.5)

    def test_effort(self) -> None:
        """Levels as they are; budgets as the nearest level; "the model decides" as nothing."""
        for thinking, expected in (
            (ir.Thinking("low"), "low"),
            (ir.Thinking("none"), "none"),
            (ir.Thinking("max"), "xhigh"),
            (ir.Thinking("low", 10_000), "low"),
            (ir.Thinking(None, 0), "none"),
            (ir.Thinking(None, 512), "minimal"),
            (ir.Thinking(None, 10_000), "high"),
            (ir.Thinking(None, 31_999), "xhigh"),
            (ir.Thinking(None, -1), None),
            (ir.Thinking(adaptive=True), None),
        ):
            body, _ = encoded(asked(thinking=thinking))
            self.assertEqual(body.get("reasoning_effort"), expected, thinking)

    def test_output_format(self) -> None:
        """A schema without a name is called response; strict only where it can be enforced."""
        wanted = ir.OutputFormat("json_schema", OPEN, strict=True)
        body, losses = encoded(asked(output_format=wanted))
        self.assertEqual(
            body["response_format"],
            {
                "type": "json_schema",
                "json_schema": {
                    "name": "response",
                    "schema": json.loads(bytes(OPEN)),
                    "strict": False,
                },
            },
        )
        self.assertEqual(losses, {"strict": "approximated"})

    def test_identity(self) -> None:
        """A long user becomes a digest, Anthropic's tier the default one."""
        body, _ = encoded(asked(user="u" * 100, service_tier="standard_only", cache_key="k"))
        self.assertEqual(body["user"], hashlib.sha256(b"u" * 100).hexdigest())
        self.assertEqual((body["service_tier"], body["prompt_cache_key"]), ("default", "k"))
        self.assertEqual(encoded(asked(service_tier="odd"))[1], {"service-tier": "dropped"})

    def test_extras(self) -> None:
        """A Chat client's own fields go back; those of another wire are reported."""
        bias = (("logit_bias", ir.JSON(b'{"1":2}')),)
        own, _ = encoded(asked(wire="chat", extras=ir.Extras("chat", bias)))
        self.assertEqual(own["logit_bias"], {"1": 2})
        body, losses = encoded(
            asked(extras=ir.Extras("gemini", (("safetySettings", ir.JSON(b"[]")),)))
        )
        self.assertEqual(losses, {"safety-settings": "dropped"})
        self.assertEqual(set(body), {"model", "messages"})

    def test_lone_surrogates(self) -> None:
        """Text that no UTF-8 can hold does not break the body."""
        self.assertEqual(messages(user(ir.Text("a\ud800b")))[0]["content"], "a?b")
