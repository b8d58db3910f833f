"""Tools that only OpenAI's models know, and that the client runs, in front of other vendors."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from aiproxy import ir
from aiproxy.wire import INBOUND, OUTBOUND, relay, responses
from tests.wire import exchanges

ORIGIN = relay.Origin("m", "call_1", 1)
DOT = "data:image/png;base64,iVBORw0KGgo="

CLICK = {"type": "click", "button": "left", "x": 1, "y": 2}
EXEC = {"type": "exec", "command": ["ls"], "env": {}, "timeout_ms": 5}
PATCH = {"type": "update_file", "path": "a.py", "diff": "@@\n-a\n+b\n"}

SAMPLES: Sequence[tuple[Any, Any, Any, Any]] = (
    (
        {"type": "local_shell"},
        {"type": "local_shell_call", "id": "lsh_1", "status": "completed", "action": EXEC},
        {"command": ["ls"], "env": {}, "timeout_ms": 5},
        {"type": "local_shell_call_output", "id": "lsh_1", "output": '{"output":"a.py"}'},
    ),
    (
        {"type": "shell", "environment": {"type": "local"}},
        {"type": "shell_call", "status": "completed", "action": {"commands": ["ls"]}},
        {"commands": ["ls"]},
        {"type": "shell_call_output",
         "output": [{"stdout": "a.py", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}]},
    ),
    (
        {"type": "apply_patch"},
        {"type": "apply_patch_call", "status": "completed", "operation": PATCH},
        PATCH,
        {"type": "apply_patch_call_output", "status": "failed", "output": "no a.py"},
    ),
    (
        {"type": "computer"},
        {"type": "computer_call", "status": "completed", "actions": [CLICK],
         "pending_safety_checks": []},
        {"actions": [CLICK]},
        {"type": "computer_call_output",
         "output": {"type": "computer_screenshot", "image_url": DOT}},
    ),
    (
        {"type": "computer_use_preview", "display_width": 800, "display_height": 600,
         "environment": "browser"},
        {"type": "computer_call", "status": "completed", "action": CLICK,
         "pending_safety_checks": []},
        {"action": CLICK},
        {"type": "computer_call_output",
         "output": {"type": "computer_screenshot", "image_url": DOT}},
    ),
    (
        {"type": "tool_search", "execution": "client", "description": "Finds tools.",
         "parameters": {"type": "object", "properties": {"query": {"type": "string"}}}},
        {"type": "tool_search_call", "execution": "client", "status": "completed",
         "arguments": {"query": "mail"}},
        {"query": "mail"},
        {"type": "tool_search_output", "execution": "client",
         "tools": [{"type": "function", "name": "send_mail", "parameters": {"type": "object"}}]},
    ),
)  # fmt: skip
"""Definition, call, the call's arguments as a function has them, output."""


def body(tool: Any, *items: Any, **more: Any) -> bytes:
    asked = {"model": "m", "tools": [tool], "input": [{"role": "user", "content": "hi"}, *items]}
    return json.dumps({**asked, **more}).encode()


def _same(request: ir.Request) -> ir.Request:
    return request


def _called(use: Any) -> ir.Response:
    """An answer with one call, as an upstream of Anthropic's gives it."""
    call = ir.ToolCall(use["id"], use["name"], json.dumps(use["input"]))
    return ir.Response("a", "m", (call,), "tool_use", usage=ir.Usage(1, output=1))


def decoded(tool: Any, *items: Any, **more: Any) -> ir.Request:
    return responses.decode_request(body(tool, *items, **more), "/v1/responses")


def sent(wire: str, request: ir.Request) -> Any:
    return json.loads(relay.encode_for(OUTBOUND[wire], request).body)


class NativeTests(SynchronousTestCase):
    """Definitions, history, choice and answers."""

    def test_definitions(self) -> None:
        """Each is a function whose schema names the arguments that calls of it have."""
        for tool, _, arguments, _ in SAMPLES:
            (found,) = sent("anthropic", decoded(tool))["tools"]
            self.assertTrue(found["description"])
            self.assertLessEqual(set(arguments), set(found["input_schema"]["properties"]), tool)
            for wire in ("chat", "gemini", "kiro"):
                self.assertIn(found["name"].encode(), OUTBOUND[wire].encode_request(
                    decoded(tool)).body)  # fmt: skip
        self.assertIn("800 x 600", decoded(SAMPLES[4][0]).tools[0].description)  # type: ignore[union-attr]

    def test_what_the_vendor_runs(self) -> None:
        """A shell in the vendor's container, and a search on its servers, are hosted tools."""
        for tool in (
            {"type": "shell", "environment": {"type": "container_auto"}},
            {"type": "tool_search"},
        ):
            self.assertIsInstance(decoded(tool).tools[0], ir.HostedTool)

    def test_history(self) -> None:
        """Calls and results are a function's for others, and go home as they came."""
        for tool, call, arguments, output in SAMPLES:
            items = {"call_id": "c1", **call}, {"call_id": "c1", **output}
            request = decoded(tool, *items)
            messages = sent("anthropic", request)["messages"]
            (use,) = messages[1]["content"]
            self.assertEqual((use["id"], use["name"]), ("c1", request.tools[0].name))  # type: ignore[union-attr]
            self.assertEqual(use["input"], arguments)
            (result,) = messages[2]["content"]
            self.assertEqual(result["tool_use_id"], "c1")
            self.assertEqual(bool(result.get("is_error")), output.get("status") == "failed")
            self.assertTrue(result["content"])
            again = json.loads(responses.encode_request(request).body)
            self.assertEqual(tuple(again["input"][1:]), items)
            self.assertEqual(again["tools"], [tool])

    def test_calls_that_say_nothing(self) -> None:
        """A call without its action is one without arguments."""
        for tool, call, _, _ in SAMPLES:
            bare = {"type": call["type"], "call_id": "c1", "execution": "client"}
            use = sent("anthropic", decoded(tool, bare))["messages"][1]["content"][0]
            self.assertEqual(use["input"], {})

    def test_outputs_that_name_the_item(self) -> None:
        """A local shell's output may name its call by the id of the call's item."""
        tool, call, _, output = SAMPLES[0]
        request = decoded(tool, {"call_id": "c1", **call}, output)
        self.assertEqual(sent("chat", request)["messages"][2]["tool_call_id"], "c1")

    def test_items_that_are_odd(self) -> None:
        """An item that is not quite this is its vendor's affair."""
        for tool, call, _, output in SAMPLES:
            for item in (call, {key: value for key, value in output.items() if key != "id"}):
                request = decoded(tool, item)
                self.assertIsInstance(request.turns[1].parts[0], ir.Opaque, item)
                self.assertEqual(json.loads(responses.encode_request(request).body)["input"][1:],
                                 [item])  # fmt: skip

    def test_tools_that_a_search_found(self) -> None:
        """They can be called; what is declared besides, though deferred, is sent once."""
        tool, call, _, output = SAMPLES[5]
        items = {"call_id": "c1", **call}, {"call_id": "c1", **output}
        deferred = {**output["tools"][0], "defer_loading": True}
        for tools, names in (
            ([tool], ["tool_search", "send_mail"]),
            ([deferred, tool], ["send_mail", "tool_search"]),
        ):
            request = decoded(tool, *items, tools=tools)
            found = sent("chat", request)["tools"]
            self.assertEqual([each["function"]["name"] for each in found], names)
            self.assertEqual(json.loads(responses.encode_request(request).body)["tools"], tools)

    def test_choice(self) -> None:
        """Such a tool may be demanded, or be one of those allowed."""
        function = {"type": "function", "name": "f"}
        for tool, _, _, _ in SAMPLES[:-1]:
            chosen = {"type": tool["type"]}
            request = decoded(tool, tool_choice=chosen)
            name = request.tools[0].name  # type: ignore[union-attr]
            self.assertEqual(sent("anthropic", request)["tool_choice"],
                             {"type": "tool", "name": name})  # fmt: skip
            self.assertEqual(json.loads(responses.encode_request(request).body)["tool_choice"],
                             chosen)  # fmt: skip
            allowed = {"type": "allowed_tools", "mode": "auto", "tools": [chosen]}
            request = decoded(tool, tools=[tool, function], tool_choice=allowed)
            self.assertEqual([each["name"] for each in sent("anthropic", request)["tools"]], [name])
            self.assertEqual(json.loads(responses.encode_request(request).body)["tool_choice"],
                             allowed)  # fmt: skip

    def test_answers(self) -> None:
        """The function's call is the tool's own item, streamed and whole, with all its members."""
        for tool, call, arguments, _ in SAMPLES:
            request = decoded(tool, stream=True)
            name = request.tools[0].name  # type: ignore[union-attr]
            use = {"type": "tool_use", "id": "c1", "name": name, "input": arguments}
            whole = {"id": "a", "model": "m", "content": [use], "stop_reason": "tool_use"}
            encoded, _ = relay.convert(
                OUTBOUND["anthropic"], INBOUND["responses"], partial(_same, request), ORIGIN, 200,
                json.dumps(whole).encode(),
            )  # fmt: skip
            self.assertEqual(encoded.losses, ())
            expected = {"call_id": "c1", **call}
            (item,) = json.loads(encoded.body)["output"]
            self.assertRegex(item.pop("id"), r"^(lsh|sh|apc|cu|tsc)_[0-9a-f]{24}$")
            expected.pop("id", None)
            self.assertEqual(item, expected)
            encoder = INBOUND["anthropic"].StreamEncoder(request)
            stream = b"".join(encoder.encode(event) for event in ir.unfold(_called(use)))
            way = relay.connect(
                OUTBOUND["anthropic"],
                INBOUND["responses"],
                partial(_same, request),
                "",
                ORIGIN,
            )
            data = way.feed(exchanges.framed(stream)) + way.close()
            messages = [json.loads(message.data) for message in exchanges.framed(data)]
            done = [each["item"] for each in messages if each["type"].endswith("item.done")]
            del done[0]["id"]
            self.assertEqual(done, [expected])
            numbers = [each["sequence_number"] for each in messages]
            self.assertEqual(numbers, list(range(len(messages))))

    def test_hosted_items_in_words(self) -> None:
        """What a hosted tool found is read by other vendors' models; a bare call is not."""
        code = {"type": "code_interpreter_call", "id": "ci", "code": "print(6*7)",
                "outputs": [{"type": "logs", "logs": "42"}], "status": "completed"}  # fmt: skip
        mcp = {"type": "mcp_call", "id": "m", "name": "look", "arguments": '{"a":1}', "output": "x"}
        search = {"type": "web_search_call", "id": "ws", "status": "completed"}
        drawn = {"type": "image_generation_call", "id": "ig", "status": "completed",
                 "result": "aGk=", "revised_prompt": "a cat"}  # fmt: skip
        request = decoded({"type": "code_interpreter"}, code, mcp, search, drawn)
        (turn,) = sent("chat", request)["messages"][1:]
        text = "".join(part["text"] for part in turn["content"])
        self.assertEqual(text, '```\nprint(6*7)\n```\n```\n42\n```look({"a":1})\nx[image: a cat]')
