"""A client's Messages request, read."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from aiproxy import ir
from aiproxy.errors import BadRequest
from aiproxy.wire import anthropic
from aiproxy.wire.contract import Head
from aiproxy.wire.jsontext import raw

PATH = "/v1/messages?beta=true"


def decode(**fields: Any) -> ir.Request:
    messages = [{"role": "user", "content": "hello"}]
    body = {"model": "m", "max_tokens": 9, "messages": messages, **fields}
    return anthropic.decode_request(json.dumps(body).encode(), PATH)


def blocks(*content: Any, role: str = "assistant") -> tuple[ir.Part, ...]:
    return decode(messages=[{"role": role, "content": list(content)}]).turns[0].parts


class HeadTests(SynchronousTestCase):
    """The routing view."""

    def test_heads(self) -> None:
        """Model, stream and operation are found without reading the rest."""
        body = b'{"model": "m", "stream": true, "messages": 7}'
        model = {"model": raw("m")}
        self.assertEqual(anthropic.head(body, PATH), Head("m", True, members=model))
        count = anthropic.head(b'{"model": "m"}', "/v1/messages/count_tokens?beta=true")
        self.assertEqual(count, Head("m", False, "count", model))
        # A count is never a stream, whatever the body of the call to be counted says.
        self.assertEqual(
            anthropic.head(body, "/v1/messages/count_tokens"), Head("m", False, "count", model)
        )
        betas = anthropic.head(b'{"model": "m", "betas": ["b"]}', PATH)
        self.assertEqual(betas.members, {**model, "betas": raw(["b"])})

    def test_refused(self) -> None:
        """No object, no model, or a model that is no text."""
        for body in (b"", b"[]", b"{}", b'{"model": 3}', b'{"model": null}', b'{"model": ""}'):
            with self.assertRaises(BadRequest):
                anthropic.head(body, PATH)


class RequestTests(SynchronousTestCase):
    """Fields of the whole request."""

    def test_system(self) -> None:
        """A system text and a list of one block are the same."""
        self.assertEqual(
            decode(system="be").instructions,
            decode(system=[{"type": "text", "text": "be"}]).instructions,
        )

    def test_late_system(self) -> None:
        """A system message keeps its place, also on the way back to the same wire."""
        late = {"role": "system", "content": "late"}
        request = decode(messages=[{"role": "user", "content": "hello"}, late])
        self.assertEqual([turn.role for turn in request.turns], ["user", "system"])
        again = json.loads(anthropic.encode_request(request).body)
        self.assertEqual(again["messages"][1]["role"], "system")

    def test_thinking(self) -> None:
        """Budgets, levels and what shows of the thoughts."""
        for fields, wanted in (
            ({"thinking": {"type": "disabled"}}, ir.Thinking("none")),
            (
                {"thinking": {"type": "enabled", "budget_tokens": 5}},
                ir.Thinking(budget_tokens=5),
            ),
            (
                {
                    "thinking": {"type": "adaptive", "display": "omitted"},
                    "output_config": {"effort": "max"},
                },
                ir.Thinking("max", adaptive=True, summary="none"),
            ),
            ({"output_config": {"effort": "low"}}, ir.Thinking("low")),
        ):
            self.assertEqual(decode(**fields).thinking, wanted)

    def test_choice(self) -> None:
        """A tool's name, and one call at a time."""
        request = decode(
            tool_choice={"type": "tool", "name": "t", "disable_parallel_tool_use": True},
            tools=[{"name": "t", "input_schema": {"type": "object"}}],
        )
        self.assertEqual(request.tool_choice, ir.ToolChoice("any", ("t",)))
        self.assertIs(request.parallel_tool_calls, False)

    def test_hosted_tools(self) -> None:
        """Hosted tools go by our word, others by the vendor's."""
        tools = decode(
            tools=[
                {"type": "web_search_20250305", "name": "web_search"},
                {"type": "bash_20250124", "name": "bash"},
            ]
        ).tools
        kinds = [tool.kind for tool in tools]
        self.assertEqual(kinds, ["web_search", "function"])

    def test_extras(self) -> None:
        """Fields that no vendor shares are kept, and so are unread parts of those that are read."""
        fields = {
            "container": "c",
            "output_config": {"effort": "unheard-of", "task_budget": 1},
            "metadata": {"user_id": "u", "team": "t"},
        }
        request = decode(**fields)
        self.assertEqual(request.user, "u")
        again = json.loads(anthropic.encode_request(request).body)
        self.assertEqual({name: again[name] for name in fields}, fields)

    def test_complaints_name_the_field(self) -> None:
        """The client is told where the fault is."""
        for fields, param in (
            ({"messages": 3}, "messages"),
            ({"messages": []}, "messages"),
            ({"messages": [{"role": "king", "content": ""}]}, "messages[0].role"),
            ({"messages": [{"role": "user", "content": 3}]}, "messages[0].content"),
            ({"messages": [{"role": "user"}]}, "messages[0]"),
            ({"tools": [{"name": 3}]}, "tools[0].name"),
            ({"max_tokens": "x"}, "max_tokens"),
            ({"tool_choice": {"type": "x"}}, "tool_choice.type"),
        ):
            with self.assertRaises(BadRequest) as caught:
                decode(**fields)
            self.assertEqual(caught.exception.reply.param, param)


class BlockTests(SynchronousTestCase):
    """Content blocks."""

    def test_images(self) -> None:
        """Each source of an image has a value of its own."""
        sources = (
            {"type": "base64", "media_type": "image/JPG", "data": "aG\nk="},
            {"type": "url", "url": "https://example.org/i"},
            {"type": "file", "file_id": "f"},
        )
        parts = blocks(*({"type": "image", "source": source} for source in sources), role="user")
        self.assertEqual(
            [part.source for part in parts if isinstance(part, ir.Media)],
            [
                ir.Inline("image/jpeg", "aGk="),
                ir.Remote("https://example.org/i"),
                ir.Uploaded("anthropic", "f"),
            ],
        )

    def test_unknown_blocks(self) -> None:
        """A block that no other vendor has is kept whole, with what it says in plain text."""
        found = {
            "type": "web_search_tool_result",
            "tool_use_id": "s",
            "content": [{"type": "web_search_result", "url": "https://e.org", "title": "T"}],
        }
        (part,) = blocks(found)
        assert isinstance(part, ir.Opaque)
        self.assertEqual(json.loads(bytes(part.raw)), found)
        self.assertEqual(part.fallback, "T https://e.org")
        (part,) = blocks({"type": "server_tool_use", "id": "s", "name": "n", "input": {}})
        assert isinstance(part, ir.Opaque)
        self.assertEqual(part.fallback, "")

    def test_search_result_in_a_result(self) -> None:
        """What is neither text nor medium in a result is shown as text and kept for the vendor."""
        inner = {
            "type": "search_result",
            "source": "s",
            "title": "T",
            "content": [{"type": "text", "text": "x"}],
        }
        result = {"type": "tool_result", "tool_use_id": "1", "content": [inner]}
        (part,) = blocks(result, role="user")
        assert isinstance(part, ir.ToolResult)
        self.assertEqual(part.content, (ir.Text("T s\nx"),))
        request = decode(messages=[{"role": "user", "content": [result]}])
        again = json.loads(anthropic.encode_request(request).body)
        self.assertEqual(again["messages"][0]["content"], [result])

    def test_proofs(self) -> None:
        """Tagged proofs get their family back, an unproven thought has none."""
        parts = blocks(
            {"type": "thinking", "thinking": "a", "signature": "genuine"},
            {"type": "thinking", "thinking": "b", "signature": "aip1.openai.enc"},
            {"type": "thinking", "thinking": "c", "signature": "aip1.none."},
            {"type": "redacted_thinking", "data": "d"},
        )
        self.assertEqual(
            [part.proof for part in parts if isinstance(part, ir.Reasoning)],
            [
                ir.Proof("anthropic", "genuine"),
                ir.Proof("openai", "enc"),
                None,
                ir.Proof("anthropic", "d", redacted=True),
            ],
        )

    def test_proofs_of_calls(self) -> None:
        """Gemini's empty thought before a call, or marked as late behind it, is the call's."""
        early = {"type": "thinking", "thinking": "", "signature": "aip1.gemini.s"}
        late = {"type": "thinking", "thinking": "", "signature": "aip1.gemini-redacted.s"}
        one, two = ({"type": "tool_use", "id": i, "name": "f", "input": {}} for i in "12")
        proof = ir.Proof("gemini", "s")
        for content, proofs in (
            ((early, one, two), [proof, None]),
            ((one, late, two), [proof, None]),
            ((one, early, two), [None, proof]),
            ((one, two, late), [None, proof]),
        ):
            calls = [part for part in blocks(*content) if isinstance(part, ir.ToolCall)]
            self.assertEqual([call.proof for call in calls], proofs)
            self.assertEqual(len(blocks(*content)), 2)

    def test_scrubbing(self) -> None:
        """Foreign proofs and citations that we passed on never reach the vendor."""
        content = [
            {"type": "thinking", "thinking": "b", "signature": "aip1.openai.enc"},
            {
                "type": "text",
                "text": "x",
                "citations": [
                    {"type": "char_location", "document_index": 0},
                    {"type": "web_search_result_location", "encrypted_index": "aip1.citation"},
                ],
            },
        ]
        request = decode(messages=[{"role": "assistant", "content": content}])
        body = anthropic.encode_request(request).body
        self.assertNotIn(b"aip1.", body)
        (text,) = json.loads(body)["messages"][0]["content"]
        self.assertEqual(text["citations"], [{"type": "char_location", "document_index": 0}])
