"""What Gemini clients say, as the hub's request."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from aiproxy import ir
from aiproxy.errors import BadRequest
from aiproxy.wire import OUTBOUND, gemini
from aiproxy.wire.conversation import plain_text
from aiproxy.wire.gemini.signatures import signature_for
from aiproxy.wire.relay import encode_for

PATH = "/v1beta/models/gemini-3-pro:generateContent"


def decoded(*contents: Any, **members: Any) -> ir.Request:
    body = {"contents": list(contents), **members}
    return gemini.decode_request(json.dumps(body).encode(), PATH)


def user(*parts: Any) -> dict[str, Any]:
    return {"role": "user", "parts": list(parts)}


def model(*parts: Any) -> dict[str, Any]:
    return {"role": "model", "parts": list(parts)}


def called(name: str, **members: Any) -> dict[str, Any]:
    return {"functionCall": {"name": name, **members}}


def answered(name: str, response: Any, **members: Any) -> dict[str, Any]:
    return {"functionResponse": {"name": name, "response": response, **members}}


class LongTests(SynchronousTestCase):
    """One body may hold very much; whoever may call could keep the process busy with it."""

    def test_many_of_everything(self) -> None:
        """A conversation of twenty thousand pieces is read like a short one, whatever they are."""
        count = 20_000
        text = {"jsonPath": "$.a", "stringValue": "x" * 50, "willContinue": True}
        asked, said = decoded(
            model(*[called("f")] * count), user(*[answered("f", {})] * count)
        ).turns
        self.assertEqual(
            [part.id for part in asked.parts if isinstance(part, ir.ToolCall)],
            [part.call_id for part in said.parts if isinstance(part, ir.ToolResult)],
        )
        spoken = decoded(*[model({"text": "x" * 200})] * count).turns
        self.assertEqual(len("".join(plain_text(turn.parts) for turn in spoken)), 200 * count)
        calls = decoded(*[model(called("f"))] * count).turns
        self.assertEqual(sum(len(turn.parts) for turn in calls), count)
        (turn,) = decoded(model(called("f", partialArgs=[text] * count))).turns
        (call,) = turn.parts
        assert isinstance(call, ir.ToolCall)
        self.assertEqual(json.loads(call.arguments), {"a": "x" * 50 * count})


class ContentsTests(SynchronousTestCase):
    """Contents become turns."""

    def test_roles(self) -> None:
        """user, model and function; without a role it is the user."""
        request = decoded(
            {"parts": [{"text": "a"}]},
            model({"text": "b"}),
            {"role": "function", "parts": [{"text": "c"}]},
        )
        self.assertEqual([turn.role for turn in request.turns], ["user", "assistant", "user"])

    def test_unknown_role(self) -> None:
        """Another role is refused, and named."""
        error = self.assertRaises(BadRequest, decoded, {"role": "robot", "parts": []})
        self.assertEqual(error.reply.param, "contents[0].role")

    def test_wrong_shape(self) -> None:
        """A part of the wrong shape is refused, and named."""
        error = self.assertRaises(BadRequest, decoded, user({"text": 5}))
        self.assertEqual(error.reply.param, "contents[0].parts[0].text")

    def test_a_streamed_answer_is_one_turn(self) -> None:
        """Clients keep one content per chunk: its texts are joined, its proof is put back."""
        request = decoded(
            user({"text": "hi"}),
            model({"text": "thin", "thought": True}),
            model({"text": "king", "thought": True}),
            model({"text": "", "thought": True, "thoughtSignature": "c2ln"}),
            model({"text": "Hel"}),
            model({"text": "lo"}),
            model({"text": ""}),
        )
        self.assertEqual(
            request.turns[1].parts,
            (
                ir.Reasoning("thinking", ir.Proof("gemini", "c2ln"), summary=True),
                ir.Text("Hello"),
            ),
        )

    def test_texts_of_one_content_stay_apart(self) -> None:
        """What a client sent as two parts is two parts."""
        parts = decoded(user({"text": "a"}, {"text": "b"})).turns[0].parts
        self.assertEqual(parts, (ir.Text("a"), ir.Text("b")))

    def test_results_without_ids(self) -> None:
        """Two calls of the same name get their results in order."""
        request = decoded(
            user({"text": "hi"}),
            model(called("f", args={"a": 1}), called("g"), called("f", args={"a": 2})),
            user(answered("f", {"n": 1}), answered("f", {"n": 2}), answered("g", {"n": 3})),
        )
        calls = [part for part in request.turns[1].parts if isinstance(part, ir.ToolCall)]
        results = [part for part in request.turns[2].parts if isinstance(part, ir.ToolResult)]
        self.assertEqual(len({call.id for call in calls}), 3)
        self.assertEqual([r.call_id for r in results], [calls[0].id, calls[2].id, calls[1].id])
        self.assertEqual(calls[1].arguments, "{}")

    def test_results_with_ids(self) -> None:
        """An id beats the order."""
        request = decoded(
            user({"text": "hi"}),
            model(called("f", id="one"), called("f", id="two")),
            user(answered("f", {}, id="two"), answered("f", {}, id="one")),
        )
        results = [part for part in request.turns[2].parts if isinstance(part, ir.ToolResult)]
        self.assertEqual([result.call_id for result in results], ["two", "one"])

    def test_an_id_on_the_result_alone(self) -> None:
        """The call's own id holds, made up as it is."""
        request = decoded(model(called("f")), user(answered("f", {}, id="x")))
        call, result = request.turns[0].parts[0], request.turns[1].parts[0]
        assert isinstance(call, ir.ToolCall) and isinstance(result, ir.ToolResult)  # noqa: PT018
        self.assertEqual(result.call_id, call.id)

    def test_what_results_say(self) -> None:
        """{"output": text} and {"error": text} are that text; other objects are their JSON."""
        request = decoded(
            user(
                answered("f", {"output": "fine"}),
                answered("f", {"error": "bad"}),
                answered("f", {"output": {"a": 1}}),
                answered("f", None),
            )
        )
        said = [
            (part.content, part.is_error)
            for part in request.turns[0].parts
            if isinstance(part, ir.ToolResult)
        ]
        self.assertEqual(said[0], ((ir.Text("fine"),), False))
        self.assertEqual(said[1], ((ir.Text("bad"),), True))
        self.assertEqual(said[2], ((ir.Text('{"output": {"a": 1}}'),), False))
        self.assertEqual(said[3], ((), False))

    def test_media_in_results(self) -> None:
        """A result's own parts are its content."""
        blob = {"inlineData": {"mimeType": "image/png", "data": "aGk="}}
        (part,) = decoded(user(answered("f", {}, parts=[blob]))).turns[0].parts
        assert isinstance(part, ir.ToolResult)
        self.assertEqual(part.content[1:], (ir.Media("image", ir.Inline("image/png", "aGk=")),))

    def test_files(self) -> None:
        """Web addresses are remote, Google's files are Google's; base64 gets its usual form."""
        parts = (
            decoded(
                user(
                    {"fileData": {"fileUri": "https://example.org/a.pdf"}},
                    {"fileData": {"fileUri": "gs://b/c.mp4", "mimeType": "video/mp4"}},
                    {"inlineData": {"mimeType": "IMAGE/JPG", "data": "_-8\n"}},
                )
            )
            .turns[0]
            .parts
        )
        self.assertEqual(
            parts,
            (
                ir.Media("document", ir.Remote("https://example.org/a.pdf")),
                ir.Media("video", ir.Uploaded("gemini", "gs://b/c.mp4", "video/mp4")),
                ir.Media("image", ir.Inline("image/jpeg", "/+8=")),
            ),
        )

    def test_files_without_a_type(self) -> None:
        """A file is what its address ends in; a photo from another client is named as such."""
        for ending, kind in (("png", "image"), ("MP3?x=1", "audio"), ("x", "document")):
            url = f"https://example.org/a.{ending}"
            (part,) = decoded(user({"fileData": {"fileUri": url}})).turns[0].parts
            self.assertEqual(part, ir.Media(kind, ir.Remote(url)))  # type: ignore[arg-type]
        photo = ir.Turn("user", (ir.Media("image", ir.Remote("https://example.org/a.jpg")),))
        sent = json.loads(gemini.encode_request(ir.Request("chat", "m", False, (photo,))).body)
        data = {"mimeType": "image/jpeg", "fileUri": "https://example.org/a.jpg"}
        self.assertEqual(sent["contents"][0]["parts"], [{"fileData": data}])

    def test_what_stands_beside_media(self) -> None:
        """Resolution is the detail; what the hub has no word for is carried."""
        blob = {"mimeType": "video/mp4", "data": "aGk="}
        request = decoded(
            user(
                {"inlineData": blob, "mediaResolution": {"level": "MEDIA_RESOLUTION_LOW"}},
                {"inlineData": blob, "videoMetadata": {"fps": 2}},
            )
        )
        first, second = request.turns[0].parts
        assert isinstance(first, ir.Media)
        assert isinstance(second, ir.Media)
        assert second.extras is not None
        self.assertEqual(first.detail, "low")
        self.assertEqual(bytes(second.extras.fields[0][1]), b'{"fps": 2}')

    def test_unknown_parts_are_carried(self) -> None:
        """What only Google understands is opaque."""
        (part,) = decoded(model({"executableCode": {"code": "1"}})).turns[0].parts
        assert isinstance(part, ir.Opaque)
        self.assertEqual((part.wire, part.kind), ("gemini", "executableCode"))
        self.assertEqual(bytes(part.raw), b'{"executableCode": {"code": "1"}}')

    def test_foreign_proofs_on_calls(self) -> None:
        """A foreign thought's proof that rode on a call stands before it again."""
        signature = signature_for(ir.Proof("anthropic", "x"))
        call = {**called("f", id="c"), "thoughtSignature": signature}
        request = decoded(user({"text": "a"}), model({"text": "hm", "thought": True}, call))
        self.assertEqual(
            request.turns[1].parts,
            (
                ir.Reasoning("hm", ir.Proof("anthropic", "x"), summary=True),
                ir.ToolCall("c", "f", "{}"),
            ),
        )

    def test_pieces_of_a_foreign_thought(self) -> None:
        """A thought that was streamed is one again for the vendor that proved it."""
        pieces = [{"text": text, "thought": True} for text in ("one ", "two ", "three")]
        proof = ir.Proof("anthropic", "c2ln")
        for tail in (
            {"text": "", "thought": True, "thoughtSignature": signature_for(proof)},
            {**called("f"), "thoughtSignature": signature_for(proof)},
        ):
            first = decoded(model(*pieces, tail)).turns[0].parts[0]
            self.assertEqual(first, ir.Reasoning("one two three", proof, summary=True))
        signed = {**called("f"), "thoughtSignature": "c2ln"}
        own = decoded(model(*pieces, signed)).turns[0].parts
        self.assertEqual(len(own), 4)

    def test_results_among_the_model_s_parts(self) -> None:
        """Tools that ran at the server: the result is a turn of its own."""
        request = decoded(model(called("f"), answered("f", {}), {"text": "so"}))
        self.assertEqual([turn.role for turn in request.turns], ["assistant", "user", "assistant"])

    def test_arguments_in_pieces(self) -> None:
        """Clients that stream arguments send the pieces back."""
        pieces = [
            {"jsonPath": "$.a", "stringValue": "x", "willContinue": True},
            {"jsonPath": "$.a", "stringValue": "y"},
        ]
        (call,) = decoded(model(called("f", partialArgs=pieces))).turns[0].parts
        assert isinstance(call, ir.ToolCall)
        self.assertEqual(call.arguments, '{"a":"xy"}')
        bad = model(called("f", partialArgs=[{"jsonPath": "a"}]))
        self.assertRaises(BadRequest, decoded, bad)


class ParameterTests(SynchronousTestCase):
    """Everything beside the contents."""

    def test_media_among_the_instructions(self) -> None:
        """No target takes them, and every one says so."""
        blob = {"inlineData": {"mimeType": "image/png", "data": "aGk="}}
        asked = decoded(user({"text": "hi"}), systemInstruction={"parts": [{"text": "s"}, blob]})
        image = ir.Media("image", ir.Inline("image/png", "aGk="))
        self.assertEqual(asked.instructions, (ir.Text("s"), image))
        for wire in OUTBOUND.values():
            losses = [loss.feature for loss in encode_for(wire, asked).losses]
            self.assertIn("instruction-media", losses, wire.NAME)

    def test_system_instruction(self) -> None:
        """A content of any role, a list of parts, one part or a text."""
        for value in (
            {"role": "user", "parts": [{"text": "s"}]},
            [{"text": "s"}],
            {"text": "s"},
            "s",
        ):
            request = decoded(systemInstruction=value)
            self.assertEqual(request.instructions, (ir.Text("s"),), value)

    def test_tools(self) -> None:
        """Functions in either kind of schema; the vendor's own tools by our names."""
        request = decoded(
            tools=[
                {
                    "functionDeclarations": [
                        {"name": "f", "parameters": {"type": "OBJECT", "nullable": True}},
                        {"name": "g", "parametersJsonSchema": {"type": "object"}, "behavior": "X"},
                    ]
                },
                {"googleSearch": {}, "codeExecution": {}},
            ]
        )
        first, second, *hosted = request.tools
        assert isinstance(first, ir.Tool)
        assert isinstance(second, ir.Tool)
        assert first.schema is not None
        assert second.extras is not None
        self.assertEqual(json.loads(bytes(first.schema)), {"type": ["object", "null"]})
        self.assertEqual(second.extras.fields[0][0], "behavior")
        self.assertEqual(
            [tool.kind for tool in hosted if isinstance(tool, ir.HostedTool)],
            ["web_search", "code_execution"],
        )

    def test_choice(self) -> None:
        """All modes, in any case; the rest of the configuration is carried."""
        for mode, wanted in (("any", "any"), ("NONE", "none"), ("VALIDATED", "validated")):
            config = {"functionCallingConfig": {"mode": mode, "streamFunctionCallArguments": True}}
            request = decoded(toolConfig=config)
            assert request.tool_choice is not None
            self.assertEqual(request.tool_choice.mode, wanted)
            assert request.extras is not None
            self.assertEqual(
                json.loads(bytes(request.extras.fields[0][1])),
                {"functionCallingConfig": {"streamFunctionCallArguments": True}},
            )

    def test_generation(self) -> None:
        """Numbers may have a fraction of zero; what has no field is carried by name."""
        request = decoded(
            generationConfig={
                "maxOutputTokens": 64.0,
                "topK": 3.0,
                "topP": None,
                "stopSequences": ["x"],
                "responseMimeType": "application/json",
                "responseSchema": {"type": "STRING"},
                "responseModalities": ["TEXT"],
                "speechConfig": {"a": 1},
                "novelty": 1,
            },
            safetySettings=[1],
        )
        self.assertEqual((request.max_output_tokens, request.sampling.top_k), (64, 3))
        self.assertEqual(request.stop, ("x",))
        assert request.output_format is not None
        assert request.output_format.schema is not None
        self.assertEqual(bytes(request.output_format.schema), b'{"type":"string"}')
        assert request.extras is not None
        self.assertEqual(
            [name for name, _ in request.extras.fields],
            ["safetySettings", "speechConfig", "generationConfig"],
        )

    def test_numbers_beyond_all_bounds(self) -> None:
        """A count that no count can be is refused."""
        self.assertRaises(BadRequest, decoded, generationConfig={"maxOutputTokens": 1e300})

    def test_snake_case(self) -> None:
        """Both spellings say the same; users' own keys are theirs."""
        body = {
            "contents": [user({"inline_data": {"mime_type": "image/png", "data": "aGk="}})],
            "system_instruction": {"parts": [{"text": "s"}]},
            "tools": [
                {
                    "function_declarations": [
                        {
                            "name": "f",
                            "parameters": {
                                "type": "OBJECT",
                                "properties": {"mime_type": {"type": "STRING"}},
                            },
                        }
                    ]
                }
            ],
            "generation_config": {
                "max_output_tokens": 5,
                "thinking_config": {"thinking_budget": 9},
            },
        }
        request = gemini.decode_request(json.dumps(body).encode(), PATH)
        self.assertEqual(request.max_output_tokens, 5)
        self.assertEqual(request.instructions, (ir.Text("s"),))
        self.assertEqual(
            request.turns[0].parts, (ir.Media("image", ir.Inline("image/png", "aGk=")),)
        )
        assert request.thinking is not None
        self.assertEqual(request.thinking.budget_tokens, 9)
        (tool,) = request.tools
        assert isinstance(tool, ir.Tool)
        assert tool.schema is not None
        self.assertIn("mime_type", json.loads(bytes(tool.schema))["properties"])

    def test_count(self) -> None:
        """A count may have the whole request inside."""
        body = {"generateContentRequest": {"model": "models/x", "contents": [user({"text": "a"})]}}
        path = "/v1beta/models/x:countTokens"
        request = gemini.decode_request(json.dumps(body).encode(), path)
        self.assertEqual(request.turns[0].parts, (ir.Text("a"),))
        self.assertEqual(gemini.head(b"{}", path).operation, "count")
