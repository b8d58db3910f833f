"""What the simulator refuses, as vendors do."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from aiproxy.errors import BadRequest
from aiproxy.messages import Headers
from aiproxy.simulator.checks import check, refused_key
from aiproxy.wire import INBOUND, OUTBOUND
from tests.simulator.cases import WIRES, question

_PATHS = {
    "anthropic": "/v1/messages",
    "chat": "/v1/chat/completions",
    "responses": "/v1/responses",
    "gemini": "/v1beta/models/m:generateContent",
}
_VERSION: Headers = (("anthropic-version", "2023-06-01"),)

_USER = {"role": "user", "content": "hi"}
_STRICT = {"type": "object", "properties": {"a": {}}}
_ANTHROPIC = {"model": "m", "max_tokens": 2000, "messages": [_USER]}
_CHAT = {"model": "m", "messages": [_USER]}
_RESPONSES = {"model": "m", "input": "hi"}
_GEMINI = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}


def checked(wire: str, body: Mapping[str, Any] | bytes, headers: Headers = _VERSION) -> None:
    """Raises BadRequest where the simulator refuses `body`."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = INBOUND[wire].decode_request(data, _PATHS[wire])
    check(INBOUND[wire], "generate", headers, data, request)


class CheckTests(SynchronousTestCase):
    """check()"""

    def refuses(self, wire: str, body: Mapping[str, Any], headers: Headers = _VERSION) -> None:
        self.assertRaises(BadRequest, checked, wire, body, headers)

    def test_good(self) -> None:
        """What our own encoders write for a plain question passes."""
        for wire in WIRES:
            checked(wire, OUTBOUND[wire].encode_request(question("m")).body)

    def test_foreign_fields(self) -> None:
        """Another vendor's fields are refused, unknown ones are not."""
        for wire, body, foreign in (
            ("anthropic", _ANTHROPIC, "seed"),
            ("chat", _CHAT, "top_k"),
            ("responses", _RESPONSES, "max_tokens"),
            ("gemini", _GEMINI, "temperature"),
        ):
            checked(wire, {**body, "brand_new": 1})
            self.refuses(wire, {**body, foreign: 1})

    def test_anthropic(self) -> None:
        """Messages: limit, version, empty texts, budget, sampling, place of results."""
        checked("anthropic", _ANTHROPIC)
        self.refuses("anthropic", {"model": "m", "messages": [_USER]})
        self.refuses("anthropic", {**_ANTHROPIC, "messages": []})
        self.refuses("anthropic", _ANTHROPIC, ())
        empty = {"role": "user", "content": [{"type": "text", "text": ""}]}
        self.refuses("anthropic", {**_ANTHROPIC, "messages": [empty]})
        for budget, temperature, is_good in ((1024, 1, True), (2000, 1, False), (1024, 0, False)):
            thinking = {"type": "enabled", "budget_tokens": budget}
            body = {**_ANTHROPIC, "thinking": thinking, "temperature": temperature}
            if is_good:
                checked("anthropic", body)
            else:
                self.refuses("anthropic", body)
        newer = (("anthropic-version", "2026-10-21"),)
        checked("anthropic", _ANTHROPIC, newer)
        self.refuses("anthropic", {**_ANTHROPIC, "temperature": 1}, newer)

    def test_results(self) -> None:
        """Every result has its call, every call its result, in the next message if Anthropic's."""
        use = {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {}}],
        }
        result = {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": "t", "content": "x"}],
        }
        checked("anthropic", {**_ANTHROPIC, "messages": [_USER, use, result]})
        broken: list[Any] = [[result], [_USER, use], [_USER, use, _USER, result]]
        for messages in broken:
            self.refuses("anthropic", {**_ANTHROPIC, "messages": messages})
        call = {"id": "t", "type": "function", "function": {"name": "f", "arguments": "{}"}}
        asking = {"role": "assistant", "content": None, "tool_calls": [call]}
        told = {"role": "tool", "tool_call_id": "t", "content": "x"}
        checked("chat", {**_CHAT, "messages": [_USER, asking, told]})
        wrong: list[Any] = [[_USER, told], [_USER, asking], [_USER, asking, told, told]]
        for messages in wrong:
            self.refuses("chat", {**_CHAT, "messages": messages})

    def test_openai(self) -> None:
        """Chat and Responses: strict schemas, empty lists, the least limit."""
        function = {"name": "f", "strict": True, "parameters": _STRICT}
        self.refuses("chat", {**_CHAT, "tools": [{"type": "function", "function": function}]})
        self.refuses("responses", {**_RESPONSES, "tools": [{"type": "function", **function}]})
        strict = {**_STRICT, "additionalProperties": False, "required": ["a"]}
        function["parameters"] = strict
        checked("chat", {**_CHAT, "tools": [{"type": "function", "function": function}]})
        self.refuses("chat", {**_CHAT, "tools": []})
        self.refuses("chat", {**_CHAT, "messages": [{"role": "user", "content": None}]})
        self.refuses("responses", {**_RESPONSES, "max_output_tokens": 8})
        self.refuses("responses", {"model": "m", "input": []})

    def test_gemini(self) -> None:
        """Gemini: roles, parts, as many responses as calls."""
        checked("gemini", _GEMINI)
        self.refuses("gemini", {"contents": []})
        self.refuses("gemini", {"contents": [{"role": "user", "parts": []}]})
        call = {"functionCall": {"name": "f", "args": {}}}
        answer = {"functionResponse": {"name": "f", "response": {}}}
        for answers, is_good in (([answer] * 2, True), ([answer], False)):
            contents = [
                *_GEMINI["contents"],
                {"role": "model", "parts": [call, call]},
                {"role": "user", "parts": answers},
            ]
            if is_good:
                checked("gemini", {"contents": contents})
            else:
                self.refuses("gemini", {"contents": contents})

    def test_tools(self) -> None:
        """Names are legal and unique, a choice names a tool."""
        tool = {"name": "f", "input_schema": {"type": "object"}}
        checked("anthropic", {**_ANTHROPIC, "tools": [tool]})
        self.refuses("anthropic", {**_ANTHROPIC, "tools": [tool, tool]})
        self.refuses("anthropic", {**_ANTHROPIC, "tools": [{**tool, "name": "a.b"}]})
        choice = {"type": "tool", "name": "g"}
        self.refuses("anthropic", {**_ANTHROPIC, "tools": [tool], "tool_choice": choice})
        self.refuses("anthropic", {**_ANTHROPIC, "tool_choice": {"type": "any"}})

    def test_proofs(self) -> None:
        """Only proofs that a simulated model of this vendor made are taken."""
        for signature in ("made up", "aip1.gemini.xyz"):
            block = {"type": "thinking", "thinking": "hm", "signature": signature}
            said = {"role": "assistant", "content": [block, {"type": "text", "text": "yes"}]}
            self.refuses("anthropic", {**_ANTHROPIC, "messages": [_USER, said, _USER]})

    def test_pictures(self) -> None:
        """Pictures are valid base64."""
        for data, is_good in (("aGk=", True), ("a!?", False)):
            source = {"type": "base64", "media_type": "image/png", "data": data}
            message = {"role": "user", "content": [{"type": "image", "source": source}]}
            if is_good:
                checked("anthropic", {**_ANTHROPIC, "messages": [message]})
            else:
                self.refuses("anthropic", {**_ANTHROPIC, "messages": [message]})


class KeyTests(SynchronousTestCase):
    """refused_key()"""

    def test_places(self) -> None:
        """A key counts where the vendor looks for it."""
        bearer, key, google = (
            (("authorization", "Bearer k"),),
            (("X-Api-Key", "k"),),
            (("x-goog-api-key", "k"),),
        )
        for wire, good, wrong in (
            ("anthropic", (bearer, key), (google,)),
            ("chat", (bearer,), (key, google)),
            ("responses", (bearer,), (key, google)),
            ("gemini", (google,), (bearer, key)),
        ):
            for headers in good:
                self.assertIsNone(refused_key(wire, headers, "/"))
            for headers in wrong:
                self.assertIsNotNone(refused_key(wire, headers, "/"))
        self.assertIsNone(refused_key("gemini", (), "/v1beta/models/m:x?alt=sse&key=k"))

    def test_refused(self) -> None:
        """Keys that begin with bad, broke or busy are refused as their names say."""
        for key, status in (("bad", 401), ("broke-2", 429), ("busy", 429)):
            error = refused_key("chat", (("authorization", f"Bearer {key}"),), "/")
            assert error is not None
            self.assertEqual(error.status, status)
