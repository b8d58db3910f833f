"""Tools that a vendor runs, asked of another vendor."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from aiproxy import ir
from aiproxy.wire import INBOUND, OUTBOUND, relay
from aiproxy.wire.hosted import scope_of
from aiproxy.wire.jsontext import raw

PLACE = {"city": "Ulm", "country": "DE"}
ASKED: dict[str, Any] = {
    "anthropic": {
        "tools": [
            {"type": "web_search_20250305", "name": "web_search", "allowed_domains": ["e.org"],
             "user_location": {"type": "approximate", **PLACE}},
        ]
    },
    "chat": {
        "web_search_options": {
            "search_context_size": "low",
            "user_location": {"type": "approximate", "approximate": PLACE},
        }
    },
    "responses": {
        "tools": [
            {"type": "web_search", "filters": {"allowed_domains": ["e.org"]},
             "user_location": {"type": "approximate", **PLACE}, "search_context_size": "low"},
        ]
    },
    "gemini": {"tools": [{"googleSearch": {}}]},
}  # fmt: skip
"""How a client of each wire asks for a web search."""

MODELS = {
    "anthropic": "claude-sonnet-4-5",
    "chat": "gpt-5-search-api",
    "responses": "gpt-5",
    "gemini": "gemini-3-pro",
}


def decoded(wire: str, **members: Any) -> ir.Request:
    hello: dict[str, Any] = {
        "anthropic": {"max_tokens": 99, "messages": [{"role": "user", "content": "hi"}]},
        "chat": {"messages": [{"role": "user", "content": "hi"}]},
        "responses": {"input": "hi"},
        "gemini": {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
    }
    path = "/v1beta/models/m:generateContent" if wire == "gemini" else INBOUND[wire].ROUTES[0]
    body = {"model": "m", **hello[wire], **members}
    return INBOUND[wire].decode_request(json.dumps(body).encode(), path)


def sent(wire: str, request: ir.Request, model: str = "") -> tuple[Any, tuple[ir.Loss, ...]]:
    asked = ir.replace(request, model=model or MODELS[wire])
    encoded = relay.encode_for(OUTBOUND[wire], asked)
    return json.loads(encoded.body), encoded.losses


class HostedTests(SynchronousTestCase):
    """Web search on all four wires, and the rest where there is any."""

    def test_web_search(self) -> None:
        """Each wire asks in its own way, with domains and place where it knows them; reported."""
        near = (ir.Loss("hosted-tool", "approximated"),)
        for source, members in ASKED.items():
            request = decoded(source, **members)
            (tool,) = request.tools
            assert isinstance(tool, ir.HostedTool)
            for target in ASKED.keys() - {source}:
                body, losses = sent(target, request)
                self.assertEqual(losses, near, (source, target))
                again = decoded(target, **{key: body[key] for key in ("tools", "web_search_options")
                                           if key in body}).tools  # fmt: skip
                (read,) = again
                assert isinstance(read, ir.HostedTool)
                self.assertEqual(read.kind, "web_search")
                if target != "gemini":
                    self.assertEqual(read.scope.location, tool.scope.location)
                if target in ("anthropic", "responses"):
                    self.assertEqual(read.scope.allowed_domains, tool.scope.allowed_domains)
                if target in ("chat", "responses"):
                    self.assertEqual(read.scope.context, tool.scope.context)
            own, losses = sent(source, request)
            self.assertEqual(losses, ())
            for name, value in members.items():
                self.assertEqual(own[name], value)

    def test_where_there_is_none(self) -> None:
        """Models that are not the vendor's, or never search, get none; nor may an index be left."""
        lost = (ir.Loss("hosted-tool"),)
        search = decoded("responses", **ASKED["responses"])
        self.assertEqual(sent("anthropic", search, "kimi-k2")[1], lost)
        self.assertEqual(sent("chat", search, "gpt-5")[1], lost)
        indexed = {"type": "web_search", "external_web_access": False}
        body, losses = sent("anthropic", decoded("responses", tools=[indexed]))
        self.assertEqual(losses, lost)
        self.assertNotIn("tools", body)

    def test_names_that_are_taken(self) -> None:
        """A function called like the vendor's tool stays the only one of that name."""
        function = {"functionDeclarations": [{"name": "web_search"}]}
        request = decoded("gemini", tools=[function, {"googleSearch": {}}])
        body, losses = sent("anthropic", request)
        self.assertEqual([tool["name"] for tool in body["tools"]], ["web_search"])
        self.assertEqual(losses, (ir.Loss("hosted-tool"),))

    def test_fetch_and_code(self) -> None:
        """Each has its like, where the vendor runs one."""
        fetch = decoded("anthropic", tools=[{"type": "web_fetch_20250910", "name": "web_fetch"}])
        self.assertEqual(sent("gemini", fetch)[0]["tools"], [{"urlContext": {}}])
        self.assertEqual(sent("responses", fetch)[1], (ir.Loss("hosted-tool"),))
        code = decoded("gemini", tools=[{"codeExecution": {}}, {"urlContext": {}}])
        self.assertEqual(
            [tool["type"] for tool in sent("anthropic", code)[0]["tools"]],
            ["code_execution_20250825", "web_fetch_20250910"],
        )
        self.assertEqual(
            [tool["type"] for tool in sent("responses", code)[0]["tools"]], ["code_interpreter"]
        )

    def test_choice(self) -> None:
        """A hosted tool is demanded where that can be said, and else the model decides."""
        request = decoded("responses", **ASKED["responses"], tool_choice={"type": "web_search"})
        self.assertEqual(
            sent("anthropic", request)[0]["tool_choice"], {"type": "tool", "name": "web_search"}
        )
        self.assertEqual(sent("responses", request)[0]["tool_choice"], {"type": "web_search"})
        functions = [{"type": "function", "name": "f"}, *ASKED["responses"]["tools"]]
        request = decoded("responses", tools=functions, tool_choice={"type": "web_search"})
        for target in ("chat", "gemini"):
            body, losses = sent(target, request)
            self.assertIn(ir.Loss("tool-choice", "approximated"), losses)
            self.assertNotIn(b"required", json.dumps(body).encode())
        asked = decoded("anthropic", **ASKED["anthropic"],
                        tool_choice={"type": "tool", "name": "web_search"})  # fmt: skip
        self.assertEqual(sent("responses", asked)[0]["tool_choice"], {"type": "web_search"})

    def test_odd_scopes(self) -> None:
        """What is no scope narrows nothing."""
        odds: tuple[Any, ...] = (3, [], {"user_location": 7}, {"allowed_domains": "x"})
        for odd in odds:
            self.assertEqual(scope_of(raw(odd)), ir.SearchScope())
