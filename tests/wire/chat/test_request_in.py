"""Chat requests as the hub reads them."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from aiproxy import ir
from aiproxy.errors import BadRequest
from aiproxy.wire import chat


def decoded(*messages: Any, **more: Any) -> ir.Request:
    said = messages or ({"role": "user", "content": "hi"},)
    body = {"model": "m", "messages": said, **more}
    return chat.decode_request(json.dumps(body).encode(), "")


def parts(*content: Any) -> tuple[ir.Part, ...]:
    return decoded({"role": "user", "content": content}).turns[0].parts


def extras(**fields: bytes) -> ir.Extras:
    return ir.Extras("chat", tuple((key, ir.JSON(value)) for key, value in fields.items()))


class MessageTests(SynchronousTestCase):
    def test_roles(self) -> None:
        """Each role has its turn; tool and function messages are results of the user's turn."""
        request = decoded(
            {"role": "system", "content": "a"},
            {"role": "developer", "content": [{"type": "text", "text": "b"}]},
            {"role": "user", "content": "c", "name": "eve"},
            {"role": "tool", "tool_call_id": "t1", "content": "d", "name": "f"},
            {"role": "function", "name": "g", "content": "e"},
        )
        self.assertEqual(
            request.turns,
            (
                ir.Turn("system", (ir.Text("a"),)),
                ir.Turn("developer", (ir.Text("b"),)),
                ir.Turn("user", (ir.Text("c"),), extras(name=b'"eve"')),
                ir.Turn("user", (ir.ToolResult("t1", (ir.Text("d"),)),)),
                ir.Turn("user", (ir.ToolResult("g", (ir.Text("e"),)),)),
            ),
        )

    def test_assistant(self) -> None:
        """Content, refusal and calls of an earlier answer, with Google's proof of a call."""
        signed = {"google": {"thought_signature": "SIG"}}
        request = decoded(
            {
                "role": "assistant",
                "content": None,
                "refusal": "no",
                "annotations": [],
                "tool_calls": [
                    {
                        "id": "c1",
                        "type": "function",
                        "function": {"name": "f", "arguments": "{}"},
                        "extra_content": signed,
                    },
                    {"id": "c2", "type": "custom", "custom": {"name": "p", "input": "x y"}},
                ],
            },
            {"role": "assistant", "function_call": {"name": "g", "arguments": "{}"}},
        )
        self.assertEqual(
            request.turns[0],
            ir.Turn(
                "assistant",
                (
                    ir.Refusal("no"),
                    ir.ToolCall("c1", "f", "{}", proof=ir.Proof("gemini", "SIG")),
                    ir.ToolCall("c2", "p", "x y", "custom"),
                ),
            ),
        )
        self.assertEqual(request.turns[1].parts, (ir.ToolCall("g", "g", "{}"),))

    def test_google_proof_beside_a_message(self) -> None:
        """It belongs to the text, and without one to the first call."""
        signed = {"extra_content": {"google": {"thought_signature": "SIG"}}}
        call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
        proof = ir.Proof("gemini", "SIG")
        text = decoded({"role": "assistant", "content": "a", "tool_calls": [call], **signed})
        self.assertEqual(text.turns[0].parts[0], ir.Text("a", proof=proof))
        plain = decoded({"role": "assistant", "content": None, "tool_calls": [call], **signed})
        self.assertEqual(plain.turns[0].parts, (ir.ToolCall("c", "f", "{}", proof=proof),))

    def test_own_reasoning(self) -> None:
        """Thoughts that we told a client of come back with their proofs, each for itself."""
        details = [
            {"type": "reasoning.text", "text": "hm", "signature": "aip1.anthropic.S1", "index": 0},
            {"type": "reasoning.encrypted", "data": "aip1.openai.S2", "index": 1},
            {"type": "reasoning.encrypted", "data": "aip1.anthropic-redacted.S3", "index": 2},
        ]
        message = {
            "role": "assistant",
            "content": "a",
            "reasoning_content": "hm",
            "reasoning_details": details,
        }
        self.assertEqual(
            decoded(message).turns[0].parts,
            (
                ir.Reasoning("hm", ir.Proof("anthropic", "S1")),
                ir.Reasoning("", ir.Proof("openai", "S2"), summary=True),
                ir.Reasoning("", ir.Proof("anthropic", "S3", redacted=True)),
                ir.Text("a"),
            ),
        )

    def test_foreign_reasoning(self) -> None:
        """Thoughts without a proof of ours keep the fields they came in."""
        message = {"role": "assistant", "content": "a", "reasoning": "hm", "reasoning_details": [1]}
        kept = extras(reasoning=b'"hm"', reasoning_details=b"[1]")
        self.assertEqual(decoded(message).turns[0].parts[0], ir.Reasoning("hm", extras=kept))


class PartTests(SynchronousTestCase):
    def test_media(self) -> None:
        """Images, audio and files, inline, by URL and by id."""
        self.assertEqual(
            parts(
                {
                    "type": "image_url",
                    "image_url": {"url": "data:image/jpg;base64,aGk=", "detail": "low"},
                },
                {"type": "image_url", "image_url": "https://example.org/a.png"},
                {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "mp3"}},
                {
                    "type": "file",
                    "file": {"file_data": "data:application/pdf;base64,aGk=", "filename": "a"},
                },
                {"type": "file", "file": {"file_id": "file-1"}},
                {"type": "file", "file": {"file_data": "https://example.org/a.pdf"}},
            ),
            (
                ir.Media("image", ir.Inline("image/jpeg", "aGk="), detail="low"),
                ir.Media("image", ir.Remote("https://example.org/a.png")),
                ir.Media("audio", ir.Inline("audio/mpeg", "aGk=")),
                ir.Media("document", ir.Inline("application/pdf", "aGk="), "a"),
                ir.Media("document", ir.Uploaded("openai", "file-1")),
                ir.Media("document", ir.Remote("https://example.org/a.pdf")),
            ),
        )

    def test_extras(self) -> None:
        """What a part says besides travels with it; unknown parts travel whole."""
        self.assertEqual(
            parts({"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}),
            (ir.Text("a", extras=extras(cache_control=b'{"type": "ephemeral"}')),),
        )
        video = {"type": "video_url", "video_url": {"url": "u"}}
        raw = ir.JSON(json.dumps(video).encode())
        self.assertEqual(parts(video), (ir.Opaque("chat", "video_url", raw),))

    def test_thinking_part(self) -> None:
        """Mistral's thinking parts are reasoning that keeps its form."""
        part = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}
        kept = extras(thinking=json.dumps(part).encode())
        self.assertEqual(parts(part), (ir.Reasoning("hm", extras=kept),))


class ParameterTests(SynchronousTestCase):
    def test_all(self) -> None:
        """Every parameter that has a place in the hub gets there."""
        request = decoded(
            stream=True,
            stream_options={"include_usage": True},
            max_tokens=5,
            max_completion_tokens=7,
            temperature=1,
            top_p=0.5,
            seed=3,
            n=2,
            presence_penalty=0.1,
            frequency_penalty=0.2,
            logprobs=True,
            top_logprobs=2,
            stop="x",
            reasoning_effort="high",
            verbosity="low",
            user="u",
            metadata={"a": "b"},
            service_tier="flex",
            prompt_cache_key="k",
            parallel_tool_calls=False,
        )
        self.assertEqual(
            request,
            ir.Request(
                wire="chat",
                model="m",
                stream=True,
                turns=(ir.Turn("user", (ir.Text("hi"),)),),
                parallel_tool_calls=False,
                max_output_tokens=7,
                sampling=ir.Sampling(1, 0.5, None, 3, 0.1, 0.2, True, 2, 2),
                stop=("x",),
                thinking=ir.Thinking("high"),
                verbosity="low",
                user="u",
                metadata=ir.JSON(b'{"a": "b"}'),
                service_tier="flex",
                cache_key="k",
                include_usage=True,
            ),
        )

    def test_extras(self) -> None:
        """Everything else travels on, also values that only some vendor knows."""
        request = decoded(
            logit_bias={"1": 2},
            reasoning_effort="default",
            response_format={"type": "grammar"},
            user="u",
            safety_identifier="s",
            store=None,
        )
        assert request.extras is not None
        names = {name for name, _ in request.extras.fields}
        self.assertEqual(
            names, {"logit_bias", "reasoning_effort", "response_format", "safety_identifier"}
        )
        self.assertEqual(decoded(safety_identifier="s").user, "s")

    def test_null_is_absent(self) -> None:
        """Null anywhere equals leaving out."""
        names = (
            "tools",
            "tool_choice",
            "stop",
            "stream",
            "temperature",
            "metadata",
            "response_format",
        )
        self.assertEqual(decoded(**dict.fromkeys(names)), decoded())

    def test_output_format(self) -> None:
        """A JSON schema with its name."""
        schema = {"name": "n", "schema": {"a": 1}, "strict": True}
        request = decoded(response_format={"type": "json_schema", "json_schema": schema})
        raw = ir.JSON(b'{"a": 1}')
        self.assertEqual(request.output_format, ir.OutputFormat("json_schema", raw, "n", "", True))


class ToolTests(SynchronousTestCase):
    def test_definitions(self) -> None:
        """Functions, legacy functions, custom tools and those of the vendor."""
        grammar = {"type": "grammar", "grammar": {"syntax": "lark", "definition": "d"}}
        hosted = {"type": "openrouter:web_search"}
        request = decoded(
            tools=[
                {"type": "function", "function": {"name": "f", "parameters": {}, "strict": True}},
                {"type": "custom", "custom": {"name": "c", "format": grammar}},
                hosted,
            ],
            functions=[{"name": "g", "description": "d"}],
        )
        flat = ir.JSON(b'{"type":"grammar","syntax":"lark","definition":"d"}')
        self.assertEqual(
            request.tools,
            (
                ir.Tool("f", schema=ir.JSON(b"{}"), strict=True),
                ir.Tool("c", kind="custom", format=flat),
                ir.HostedTool("chat", hosted["type"], ir.JSON(json.dumps(hosted).encode())),
                ir.Tool("g", "d"),
            ),
        )

    def test_choices(self) -> None:
        """All forms of tool_choice, and the legacy function_call."""
        function = {"type": "function", "function": {"name": "f"}}
        allowed = {
            "mode": "required",
            "tools": [function, {"type": "custom", "custom": {"name": "c"}}],
        }
        for choice, expected in (
            ("auto", ir.ToolChoice("auto")),
            ("none", ir.ToolChoice("none")),
            ("required", ir.ToolChoice("any")),
            (function, ir.ToolChoice("any", ("f",))),
            ({"type": "custom", "custom": {"name": "c"}}, ir.ToolChoice("any", ("c",))),
            ({"type": "allowed_tools", "allowed_tools": allowed}, ir.ToolChoice("any", ("f", "c"))),
        ):
            self.assertEqual(decoded(tool_choice=choice).tool_choice, expected)
        self.assertEqual(
            decoded(function_call={"name": "f"}).tool_choice, ir.ToolChoice("any", ("f",))
        )


class RefusalTests(SynchronousTestCase):
    def test_bad_requests(self) -> None:
        """Wrong requests are refused by the name of the field."""
        user = {"role": "user", "content": "hi"}
        for body, param in (
            ({"model": "m"}, "messages"),
            ({"model": "m", "messages": []}, "messages"),
            ({"model": "m", "messages": {}}, "messages"),
            ({"messages": [user]}, "model"),
            ({"model": 3, "messages": [user]}, "model"),
            ({"model": "m", "messages": [{"role": "king", "content": "x"}]}, "messages[0].role"),
            ({"model": "m", "messages": [{"role": "user", "content": 5}]}, "content"),
            ({"model": "m", "messages": [user], "tool_choice": "perhaps"}, "tool_choice"),
            ({"model": "m", "messages": [user], "tools": [{"type": "function"}]}, "tools.function"),
            ({"model": "m", "messages": [user], "temperature": "hot"}, "temperature"),
        ):
            with self.assertRaises(BadRequest) as caught:
                chat.decode_request(json.dumps(body).encode(), "")
            self.assertEqual(caught.exception.reply.param, param)

    def test_numbers_out_of_range(self) -> None:
        """A number that no float holds is refused, not made infinite."""
        body = b'{"model":"m","messages":[{"role":"user","content":"x"}],"temperature":1e400}'
        with self.assertRaises(BadRequest):
            chat.decode_request(body, "")
