"""aiproxy.wire.responses.request_in, .history and .content: what clients send, read."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from aiproxy import ir
from aiproxy.errors import BadRequest
from aiproxy.wire import responses

PATH = "/v1/responses"


def decoded(**body: Any) -> ir.Request:
    return responses.decode_request(json.dumps({"model": "m", **body}).encode(), PATH)


def parts(*items: Any) -> list[ir.Part]:
    """All parts of the turns that these input items become."""
    return [part for turn in decoded(input=list(items)).turns for part in turn.parts]


def user(*content: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(content)}


class HeadTests(SynchronousTestCase):
    """What routing learns of a request."""

    def test_operation(self) -> None:
        """The path tells the operation; only generating can stream."""
        body = b'{"model":"m","stream":true}'
        for path, stream, operation in (
            ("/v1/responses?x=1", True, "generate"),
            ("/v1/responses/", True, "generate"),
            ("/v1/responses/compact", False, "compact"),
            ("/v1/responses/input_tokens", False, "count"),
        ):
            head = responses.head(body, path)
            self.assertEqual((head.model, head.stream, head.operation), ("m", stream, operation))

    def test_model(self) -> None:
        """Without a model that is text there is nothing to route by."""
        for body in (b"{}", b'{"model":null}', b'{"model":7}', b"[]", b"{"):
            self.assertRaises(BadRequest, responses.head, body, PATH)


class MessageTests(SynchronousTestCase):
    """Messages and their parts."""

    def test_text_input(self) -> None:
        """A text as input is what the user says."""
        self.assertEqual(decoded(input="hi").turns, (ir.Turn("user", (ir.Text("hi"),)),))

    def test_easy_messages(self) -> None:
        """Messages need no type, and their content may be a text."""
        turns = decoded(
            instructions="be brief",
            input=[
                {"role": "developer", "content": "d"},
                {"type": "message", "role": "assistant", "content": "a", "phase": "commentary"},
            ],
        )
        self.assertEqual(turns.instructions, (ir.Text("be brief"),))
        developer, assistant = turns.turns
        self.assertEqual(developer, ir.Turn("developer", (ir.Text("d"),)))
        self.assertEqual(assistant.parts, (ir.Text("a"),))
        assert assistant.extras is not None
        self.assertEqual([name for name, _ in assistant.extras.fields], ["phase"])

    def test_images(self) -> None:
        """Images come as data URLs, elsewhere on the net, or uploaded."""
        self.assertEqual(
            parts(
                user(
                    {"type": "input_image", "image_url": "data:image/jpg;base64,aG k"},
                    {"type": "input_image", "image_url": "https://x/y.png", "detail": "low"},
                    {"type": "input_image", "file_id": "file-1"},
                )
            ),
            [
                ir.Media("image", ir.Inline("image/jpeg", "aGk=")),
                ir.Media("image", ir.Remote("https://x/y.png"), detail="low"),
                ir.Media("image", ir.Uploaded("openai", "file-1")),
            ],
        )

    def test_files_and_audio(self) -> None:
        """Files keep their names; bare base64 of a PDF is understood."""
        self.assertEqual(
            parts(
                user(
                    {"type": "input_file", "file_data": "aGk=", "filename": "a.pdf"},
                    {"type": "input_file", "file_url": "https://x/b.pdf"},
                    {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "mp3"}},
                )
            ),
            [
                ir.Media("document", ir.Inline("application/pdf", "aGk="), "a.pdf"),
                ir.Media("document", ir.Remote("https://x/b.pdf")),
                ir.Media("audio", ir.Inline("audio/mpeg", "aGk=")),
            ],
        )

    def test_unknown_things(self) -> None:
        """Parts and items that nobody knows travel whole."""
        part = {"type": "input_hologram", "x": 1}
        item = {"type": "mcp_call", "id": "m1"}
        found = parts(user(part), item, {"type": "item_reference", "id": "i"})
        for opaque, kind in zip(
            found, ("input_hologram", "mcp_call", "item_reference"), strict=True
        ):
            assert isinstance(opaque, ir.Opaque)
            self.assertEqual((opaque.wire, opaque.kind), ("responses", kind))

    def test_citations(self) -> None:
        """URL citations are sources; other annotations stay for this vendor."""
        url = {"type": "url_citation", "url": "u", "title": "t", "start_index": 0, "end_index": 1}
        file = {"type": "file_citation", "file_id": "f"}
        said = {"type": "output_text", "text": "x", "annotations": [url]}
        also = {"type": "output_text", "text": "y", "annotations": [url, file]}
        one, two = parts({"role": "assistant", "content": [said, also]})
        self.assertEqual(one, ir.Text("x", (ir.Citation("u", "t", 0, 1),)))
        assert isinstance(two, ir.Text)
        assert two.extras is not None
        self.assertEqual(two.extras.fields[0][0], "annotations")

    def test_faults_are_named(self) -> None:
        """A wrong shape is refused with the place where it stands."""
        for items, place in (
            ([user({"type": "input_text", "text": 5})], "input[0].content[0].text"),
            ([user({"type": "input_image"})], "input[0].content[0]"),
            ([user(), {"role": "tool", "content": "x"}], "input[1].role"),
            ([{"type": "function_call", "name": "f"}], "input[0]"),
            ([{"x": 1}], "input[0]"),
            ([7], "input[0]"),
        ):
            error = self.assertRaises(BadRequest, decoded, input=items)
            self.assertEqual(error.reply.param, place)


class CallTests(SynchronousTestCase):
    """Calls, their results, and reasoning."""

    def test_calls_and_results(self) -> None:
        """Calls belong to the assistant, results to the user; custom tools are told apart."""
        turns = decoded(
            input=[
                {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}",
                 "namespace": "n", "id": "fc_1", "status": "completed"},
                {"type": "function_call_output", "call_id": "c", "output": "ok"},
                {"type": "custom_tool_call", "call_id": "d", "name": "p", "input": "text"},
                {"type": "custom_tool_call_output", "call_id": "d",
                 "output": [{"type": "input_text", "text": "a"},
                            {"type": "input_image", "image_url": "data:image/png;base64,aGk="}]},
            ]
        ).turns  # fmt: skip
        self.assertEqual(
            turns,
            (
                ir.Turn("assistant", (ir.ToolCall("c", "f", "{}", namespace="n"),)),
                ir.Turn("user", (ir.ToolResult("c", (ir.Text("ok"),)),)),
                ir.Turn("assistant", (ir.ToolCall("d", "p", "text", "custom"),)),
                ir.Turn(
                    "user",
                    (
                        ir.ToolResult(
                            "d",
                            (ir.Text("a"), ir.Media("image", ir.Inline("image/png", "aGk="))),
                            kind="custom",
                        ),
                    ),
                ),
            ),
        )

    def test_reasoning(self) -> None:
        """An untagged proof is this vendor's own, a tagged one its maker's."""
        own, foreign = parts(
            {"type": "reasoning", "id": "r", "encrypted_content": "e", "content": None,
             "summary": [{"type": "summary_text", "text": "a"},
                         {"type": "summary_text", "text": "b"}]},
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "t"}],
             "encrypted_content": "aip1.anthropic.sig"},
        )  # fmt: skip
        assert isinstance(own, ir.Reasoning)
        self.assertEqual((own.text, own.proof), ("a\n\nb", ir.Proof("openai", "e")))
        self.assertEqual(foreign, ir.Reasoning("t", ir.Proof("anthropic", "sig"), summary=True))

    def test_signed_calls(self) -> None:
        """A proof of Gemini's in an item of its own belongs to the call behind it."""
        proof = {"type": "reasoning", "summary": [], "encrypted_content": "aip1.gemini.sig"}
        call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
        (found,) = parts(proof, call)
        self.assertEqual(found, ir.ToolCall("c", "f", "{}", proof=ir.Proof("gemini", "sig")))
        self.assertEqual(len(parts(call, proof)), 2)
        self.assertEqual(len(parts(proof, user({"type": "input_text", "text": "x"}))), 2)


class OptionTests(SynchronousTestCase):
    """Everything beside the conversation."""

    def test_tools(self) -> None:
        """Functions, custom tools, name spaces and hosted tools, also those in the input."""
        function = {"type": "function", "name": "f", "parameters": {}, "defer_loading": True}
        request = decoded(
            tools=[
                function,
                {"type": "custom", "name": "c", "format": {"type": "text"}},
                {"type": "namespace", "name": "n", "description": "d",
                 "tools": [{"type": "function", "name": "g"}]},
                {"type": "web_search_preview_2025_03_11"},
                {"type": "mcp", "server_label": "s"},
            ],
            input=[{"type": "additional_tools", "role": "developer",
                    "tools": [function, {"type": "custom", "name": "late"}]}],
        )  # fmt: skip
        found = [
            (tool.kind, tool.name if isinstance(tool, ir.Tool) else "") for tool in request.tools
        ]
        self.assertEqual(
            found,
            [("function", "f"), ("custom", "c"), ("function", "g"), ("web_search", ""),
             ("mcp", ""), ("custom", "late")],
        )  # fmt: skip
        self.assertRaises(BadRequest, decoded, tools=[{"type": "function"}])

    def test_tool_choice(self) -> None:
        """All forms of the choice."""
        f, g = {"type": "function", "name": "f"}, {"type": "custom", "name": "g"}
        for form, choice in (
            ("auto", ir.ToolChoice("auto")),
            ("required", ir.ToolChoice("any")),
            ("none", ir.ToolChoice("none")),
            (f, ir.ToolChoice("any", ("f",))),
            (
                {"type": "allowed_tools", "mode": "auto", "tools": [f, g]},
                ir.ToolChoice("auto", ("f", "g")),
            ),
            ({"type": "web_search"}, ir.ToolChoice("auto")),
            (None, None),
        ):
            self.assertEqual(decoded(tool_choice=form).tool_choice, choice)
        for wrong in ("sometimes", 7, {"type": "function"}):
            self.assertRaises(BadRequest, decoded, tool_choice=wrong)

    def test_reasoning_and_text(self) -> None:
        """Effort, summary, format and verbosity; the rest of both objects stays."""
        request = decoded(
            reasoning={"effort": "high", "summary": "auto", "context": "all_turns"},
            text={"verbosity": "low", "format": {"type": "json_schema", "name": "n",
                                                 "schema": {"type": "object"}, "strict": True}},
            include=["message.output_text.logprobs"],
            top_logprobs=2,
        )  # fmt: skip
        self.assertEqual(request.thinking, ir.Thinking("high", summary="auto"))
        assert request.output_format is not None
        self.assertEqual((request.output_format.kind, request.output_format.strict),
                         ("json_schema", True))  # fmt: skip
        self.assertEqual(request.verbosity, "low")
        self.assertEqual((request.sampling.logprobs, request.sampling.top_logprobs), (True, 2))
        assert request.extras is not None
        self.assertEqual(
            next((name, bytes(value)) for name, value in request.extras.fields),
            ("reasoning", b'{"context":"all_turns"}'),
        )
        self.assertRaises(BadRequest, decoded, text={"format": {"type": "xml"}})

    def test_extras(self) -> None:
        """What refers to the vendor's own state, and what nobody knows, is kept by name."""
        request = decoded(
            input="x", previous_response_id="r", conversation={"id": "c"}, store=True,
            background=True, truncation="auto", prompt={"id": "p"}, new_field=[1], user=None,
        )  # fmt: skip
        assert request.extras is not None
        self.assertEqual(
            [name for name, _ in request.extras.fields],
            ["previous_response_id", "conversation", "store", "background", "truncation",
             "prompt", "new_field"],
        )  # fmt: skip
