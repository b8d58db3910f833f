"""aiproxy.wire.responses.request_out and .input: what this vendor is asked."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from aiproxy import ir
from aiproxy.errors import BadRequest
from aiproxy.wire import responses

HI = ir.Turn("user", (ir.Text("hi"),))
CALL = ir.ToolCall("c1", "f", '{"z":1,"a":2}')


def request(*turns: ir.Turn, wire: str = "anthropic", **fields: Any) -> ir.Request:
    return ir.Request(wire, fields.pop("model", "m"), False, turns or (HI,), **fields)


def encoded(asked: ir.Request) -> tuple[dict[str, Any], list[str]]:
    """The body, and the features it could not carry."""
    result = responses.encode_request(asked)
    return json.loads(result.body), [loss.feature for loss in result.losses]


def items(*turns: ir.Turn) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = encoded(request(*turns))[0]["input"]
    return found


class ConversationTests(SynchronousTestCase):
    """Turns of other wires as items."""

    def test_system_texts(self) -> None:
        """Leading ones are instructions, later ones stay in place; billing marks do not."""
        body, _ = encoded(
            request(
                ir.Turn("system", (ir.Text("b"),)),
                HI,
                ir.Turn("system", (ir.Text("late"),)),
                instructions=(ir.Text("x-anthropic-billing-header: v=1"), ir.Text("a")),
            )
        )
        self.assertEqual(body["instructions"], "a\n\nb")
        self.assertEqual([item["role"] for item in body["input"]], ["user", "developer"])

    def test_order_of_calls(self) -> None:
        """Text and calls keep their order; results come first and in the order of calls."""
        second = ir.ToolCall("c2", "g", "")
        found = items(
            HI,
            ir.Turn("assistant", (ir.Text("let me"), CALL, second)),
            ir.Turn("user", (ir.Text("so?"), ir.ToolResult("c2", ()), ir.ToolResult("c1", ()))),
        )
        self.assertEqual(
            [(item["type"], item.get("call_id")) for item in found],
            [
                ("message", None),
                ("message", None),
                ("function_call", "c1"),
                ("function_call", "c2"),
                ("function_call_output", "c1"),
                ("function_call_output", "c2"),
                ("message", None),
            ],
        )
        self.assertEqual(found[2]["arguments"], '{"z":1,"a":2}')
        self.assertEqual(found[3]["arguments"], "{}")

    def test_results(self) -> None:
        """Text as a string, an error with its mark, media as parts."""
        image = ir.Media("image", ir.Inline("image/png", "aGk="), detail="high")
        for result, output in (
            (ir.ToolResult("c1", (ir.Text("a"), ir.Text("b"))), "a\nb"),
            (ir.ToolResult("c1", (ir.Text("no"),), is_error=True), "[tool error] no"),
            (
                ir.ToolResult("c1", (image,)),
                [{"type": "input_image", "image_url": "data:image/png;base64,aGk=",
                  "detail": "high"}],
            ),
        ):  # fmt: skip
            found = items(HI, ir.Turn("assistant", (CALL,)), ir.Turn("user", (result,)))
            self.assertEqual(found[2]["output"], output)

    def test_long_call_ids(self) -> None:
        """A call and its result share the digest of an id that is too long."""
        call = ir.replace(CALL, id="x" * 90)
        found = items(HI, ir.Turn("assistant", (call,)), ir.Turn("user", ()))
        self.assertEqual(found[1]["call_id"], found[2]["call_id"])
        self.assertLessEqual(len(found[1]["call_id"]), 64)

    def test_custom_calls(self) -> None:
        """Custom tools are this vendor's own invention."""
        call = ir.ToolCall("c1", "patch", "*** Begin", "custom")
        result = ir.ToolResult("c1", (ir.Text("ok"),))
        found = items(HI, ir.Turn("assistant", (call,)), ir.Turn("user", (result,)))
        self.assertEqual((found[1]["type"], found[1]["input"]), ("custom_tool_call", "*** Begin"))
        self.assertEqual(found[2]["type"], "custom_tool_call_output")

    def test_reasoning(self) -> None:
        """Its own models' reasoning goes back with its proof, anybody else's does not."""
        turn = ir.Turn(
            "assistant",
            (
                ir.Reasoning("mine", ir.Proof("openai", "e")),
                ir.Reasoning("other", ir.Proof("anthropic", "s")),
                ir.Reasoning("bare"),
                ir.Text("so"),
            ),
        )
        body, losses = encoded(request(HI, turn))
        self.assertEqual(
            body["input"][1],
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "mine"}],
             "encrypted_content": "e"},
        )  # fmt: skip
        self.assertEqual(len(body["input"]), 3)
        self.assertEqual(losses, ["reasoning"])

    def test_documents(self) -> None:
        """Files by data and by URL; a plain text under its title."""
        found = items(
            ir.Turn(
                "user",
                (
                    ir.Media("document", ir.Inline("application/pdf", "aGk=")),
                    ir.Media("document", ir.Remote("https://x/y.pdf"), "y.pdf"),
                    ir.Media("document", ir.PlainText("body"), "title"),
                ),
            )
        )
        self.assertEqual(
            found[0]["content"],
            [
                {"type": "input_file", "file_data": "data:application/pdf;base64,aGk=",
                 "filename": "file.pdf"},
                {"type": "input_file", "file_url": "https://x/y.pdf", "filename": "y.pdf"},
                {"type": "input_text", "text": "# title\n\nbody"},
            ],
        )  # fmt: skip

    def test_parts_of_other_vendors(self) -> None:
        """What they say in plain text is said by whoever said it."""
        found = ir.Opaque("anthropic", "search_result", ir.JSON(b"{}"), "Once upon a time")
        (item,) = items(ir.Turn("user", (found,)))
        content = [{"type": "input_text", "text": "Once upon a time"}]
        self.assertEqual((item["role"], item["content"]), ("user", content))
        item = items(HI, ir.Turn("assistant", (found,)))[1]
        self.assertEqual((item["role"], item["content"][0]["type"]), ("assistant", "output_text"))

    def test_names_of_images(self) -> None:
        """An image has no name here."""
        image = ir.Media("image", ir.Inline("image/png", "aGk="), name="a.png")
        self.assertEqual(encoded(request(ir.Turn("user", (image,))))[1], ["file-name"])

    def test_what_cannot_be_served(self) -> None:
        """Video, foreign files, several answers and empty conversations are refused."""
        for part in (
            ir.Media("video", ir.Remote("https://x/y.mp4")),
            ir.Media("audio", ir.Remote("https://x/y.mp3")),
            ir.Media("image", ir.Uploaded("anthropic", "f")),
        ):
            turn = ir.Turn("user", (part,))
            self.assertRaises(BadRequest, responses.encode_request, request(turn))
        for asked in (
            request(sampling=ir.Sampling(candidates=2)),
            request(ir.Turn("user", (ir.Text(""),))),
        ):
            self.assertRaises(BadRequest, responses.encode_request, asked)


class OptionTests(SynchronousTestCase):
    """Options of other wires."""

    def test_nothing_is_kept(self) -> None:
        """The vendor keeps nothing of a translated conversation."""
        self.assertIs(encoded(request())[0]["store"], False)

    def test_proofs_are_asked_for(self) -> None:
        """Where a model reasons, its proof is wanted; models that cannot reason are not asked."""
        for model, thinking, included in (
            ("gpt-5.4", None, True),
            ("openai/o4-mini", None, True),
            ("grok-4", ir.Thinking("low"), True),
            ("grok-4", ir.Thinking("none"), False),
            ("grok-4", None, False),
            ("gpt-4o", ir.Thinking("low"), False),
        ):
            body, _ = encoded(request(model=model, thinking=thinking))
            self.assertEqual("include" in body, included, model)

    def test_thinking(self) -> None:
        """Budgets become levels; who asked to think by a budget sees a summary."""
        for thinking, reasoning in (
            (ir.Thinking("low"), {"effort": "low"}),
            (ir.Thinking(budget_tokens=10_000), {"effort": "high", "summary": "auto"}),
            (ir.Thinking(budget_tokens=0), {"effort": "none"}),
            (ir.Thinking(budget_tokens=-1), {"summary": "auto"}),
            (ir.Thinking("max", adaptive=True), {"effort": "xhigh", "summary": "auto"}),
            (ir.Thinking("high", summary="none"), {"effort": "high"}),
        ):
            body, _ = encoded(request(thinking=thinking))
            self.assertEqual(body.get("reasoning"), reasoning, thinking)
        body, losses = encoded(request(model="gpt-4o", thinking=ir.Thinking("low")))
        self.assertNotIn("reasoning", body)
        self.assertEqual(losses, ["thinking"])

    def test_sampling(self) -> None:
        """What has no place is reported; reasoning models take no sampling at all."""
        sampling = ir.Sampling(0.5, 0.9, 40, 1, 0.1, 0.2)
        absent = ["top-k", "seed", "presence-penalty", "frequency-penalty", "stop"]
        body, losses = encoded(request(sampling=sampling, stop=("x",)))
        self.assertEqual((body["temperature"], body["top_p"]), (0.5, 0.9))
        self.assertEqual(losses, absent)
        body, losses = encoded(request(sampling=sampling, model="gpt-5"))
        self.assertNotIn("temperature", body)
        self.assertEqual(losses[-2:], ["temperature", "top-p"])

    def test_tools(self) -> None:
        """Functions say whether they are strict, and only if the schema allows it."""
        closed = b'{"type":"object","properties":{},"required":[],"additionalProperties":false}'
        body, losses = encoded(
            request(
                tools=(
                    ir.Tool("a"),
                    ir.Tool("b", schema=ir.JSON(closed), strict=True),
                    ir.Tool("c", schema=ir.JSON(b'{"type":"object"}'), strict=True),
                    ir.Tool("d.e", kind="custom", format=ir.JSON(b'{"type":"text"}')),
                    ir.HostedTool("anthropic", "web_search", ir.JSON(b"{}")),
                    ir.HostedTool("anthropic", "bash_20250124", ir.JSON(b"{}")),
                ),
                tool_choice=ir.ToolChoice("any", ("d.e",)),
                parallel_tool_calls=False,
            )
        )
        a, b, c, d, web = body["tools"]
        self.assertEqual(a["parameters"], {"type": "object", "properties": {}})
        self.assertEqual([tool["strict"] for tool in (a, b, c)], [False, True, False])
        self.assertEqual((d["type"], d["format"]), ("custom", {"type": "text"}))
        self.assertEqual(body["tool_choice"], {"type": "custom", "name": d["name"]})
        self.assertEqual(web, {"type": "web_search"})
        self.assertIs(body["parallel_tool_calls"], False)
        self.assertEqual(losses, ["strict", "hosted-tool", "hosted-tool"][: len(losses)])

    def test_tool_choice(self) -> None:
        """All meanings of the choice; without tools there is none."""
        tools = (ir.Tool("f"), ir.Tool("g"))
        f, g = {"type": "function", "name": "f"}, {"type": "function", "name": "g"}
        for choice, form in (
            (ir.ToolChoice("auto"), "auto"),
            (ir.ToolChoice("validated"), "auto"),
            (ir.ToolChoice("any"), "required"),
            (ir.ToolChoice("none", ("f",)), "none"),
            (ir.ToolChoice("any", ("f",)), f),
            (
                ir.ToolChoice("any", ("f", "g")),
                {"type": "allowed_tools", "mode": "required", "tools": [f, g]},
            ),
            (
                ir.ToolChoice("auto", ("f",)),
                {"type": "allowed_tools", "mode": "auto", "tools": [f]},
            ),
        ):
            body, _ = encoded(request(tools=tools, tool_choice=choice))
            self.assertEqual(body["tool_choice"], form)
        self.assertNotIn("tool_choice", encoded(request(tool_choice=ir.ToolChoice("any")))[0])

    def test_validated_calls(self) -> None:
        """The vendor has no such choice; the model may call or not."""
        choice = ir.ToolChoice("validated")
        body, losses = encoded(request(tools=(ir.Tool("f"),), tool_choice=choice))
        self.assertEqual((body["tool_choice"], losses), ("auto", ["tool-choice"]))

    def test_identity(self) -> None:
        """Ids that are too long become digests; foreign tiers are mapped or reported."""
        body, losses = encoded(
            request(
                user="u" * 100,
                cache_key="k",
                service_tier="standard_only",
                max_output_tokens=1,
                verbosity="low",
                output_format=ir.OutputFormat("json_schema", ir.JSON(b'{"type":"object"}')),
            )
        )
        self.assertEqual(len(body["safety_identifier"]), 64)
        self.assertEqual((body["prompt_cache_key"], body["service_tier"]), ("k", "default"))
        self.assertEqual(body["max_output_tokens"], 16)
        self.assertEqual(body["text"]["format"]["name"], "response")
        self.assertEqual(body["text"]["verbosity"], "low")
        self.assertEqual(losses, ["max-output-tokens"])

    def test_foreign_extras(self) -> None:
        """Fields of another wire are reported, never sent."""
        extras = ir.Extras("anthropic", (("cache_control", ir.JSON(b"{}")),))
        body, losses = encoded(request(extras=extras))
        self.assertNotIn("cache_control", body)
        self.assertEqual(losses, ["cache-control"])


class OwnRequestTests(SynchronousTestCase):
    """Requests of this very wire."""

    def test_as_it_was(self) -> None:
        """What the vendor's own state may complete is not repaired."""
        body = {
            "model": "m",
            "stream": True,
            "input": [
                {"type": "function_call_output", "call_id": "c" * 70, "output": "x"},
                {"type": "item_reference", "id": "i"},
                {"type": "additional_tools", "role": "developer",
                 "tools": [{"type": "custom", "name": "late"}]},
            ],
            "tools": [{"type": "namespace", "name": "n", "description": "d",
                       "tools": [{"type": "function", "name": "g"}]}],
            "tool_choice": {"type": "web_search"},
            "previous_response_id": "r",
        }  # fmt: skip
        asked = responses.decode_request(json.dumps(body).encode(), "/v1/responses")
        again, losses = encoded(asked)
        self.assertEqual(again, body)
        self.assertEqual(losses, [])

    def test_foreign_proofs_stay(self) -> None:
        """Reasoning of another vendor's, which the client brought along, is taken out."""
        item = {"type": "reasoning", "summary": [], "encrypted_content": "aip1.anthropic.s"}
        body = {"model": "m", "input": [item, {"role": "user", "content": "x"}]}
        asked = responses.decode_request(json.dumps(body).encode(), "/v1/responses")
        again, losses = encoded(asked)
        self.assertEqual(len(again["input"]), 1)
        self.assertEqual(losses, ["reasoning"])
