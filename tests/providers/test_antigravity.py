"""antigravity: its files, its envelope, its two hosts, and what Claude models need there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from aiproxy import ir
from aiproxy.errors import BadRequest, CredentialError
from aiproxy.framing import sse
from aiproxy.messages import Headers
from aiproxy.providers.codeassist.older import PLACEHOLDER
from aiproxy.providers.contract import Call, Prepared
from aiproxy.wire import INBOUND, OUTBOUND
from aiproxy.wire.gemini.contents_out import OPENING
from tests import corpus
from tests.provider_contract import CANARY, ProviderContract
from tests.providers.codeassist.samples import FLAT, NESTED, VENDOR
from tests.providers.samples import PATHS, call, configured, provider, read_login, value
from tests.providers.samples import prepared as prepared_for
from tests.strategies import json_values

DAILY = "https://daily-cloudcode-pa.googleapis.com/v1internal"
PRODUCTION = "https://cloudcode-pa.googleapis.com/v1internal"
CLAUDE = "claude-sonnet-4-5"
HI = {"role": "user", "parts": [{"text": "hi"}]}
TOOL = {"functionDeclarations": [{"name": "f", "parametersJsonSchema": {"type": "object"}}]}


def prepared(of: Call, lines: str = "", **more: Any) -> Prepared:
    login = read_login("antigravity", FLAT)
    return prepared_for("antigravity", of, lines=lines, login=login, **more)


def gemini(more: Mapping[str, Any], headers: Headers = (), id: str = "id-1") -> Call:
    return call("gemini", json.dumps({"contents": [HI], **more}).encode(), "", headers, id)


def sent(of: Prepared) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(of.http.body)
    return body


def lost(of: Prepared) -> set[str]:
    return {loss.feature for loss in of.losses}


class ContractTests(ProviderContract, SynchronousTestCase):
    api_type = "antigravity"
    document: ClassVar = {**FLAT, "access_token": CANARY, "refresh_token": CANARY}

    def test_the_vendors_file(self) -> None:
        """There is none: what is read has a place for a flag, and is never printed."""
        self.assertTrue(self.login().is_ours)
        self.assertNotIn(CANARY, repr(self.login()))


class FileTests(SynchronousTestCase):
    def test_wrong_files(self) -> None:
        """A file that is no login of Antigravity is refused with what it is instead."""
        for document, word in (
            (VENDOR, "geminicli"),
            (NESTED, "geminicli"),
            ({"type": "codex", "access_token": "a", "refresh_token": "r"}, "codex"),
            ({"api_key": "AIza-canary"}, "API key"),
            ({"type": "antigravity"}, "Antigravity"),
            ({}, "Antigravity"),
        ):
            error = self.assertRaises(CredentialError, read_login, "antigravity", document)
            self.assertIn(word, str(error), document)
            self.assertNotIn("canary", str(error))


class EnvelopeTests(SynchronousTestCase):
    def test_shape(self) -> None:
        """The vendor's names stand around the request, and nothing else."""
        whole = sent(prepared(gemini({})))
        request = whole.pop("request")
        self.assertTrue(whole.pop("requestId").startswith("agent-"))
        self.assertEqual(
            whole,
            {
                "model": "mapped",
                "project": "project-2",
                "userAgent": "antigravity",
                "requestType": "agent",
            },
        )
        self.assertRegex(request.pop("sessionId"), r"^-\d{1,19}$")
        self.assertEqual(request, {"contents": [HI]})

    def test_headers(self) -> None:
        """The program names itself, in the version that newer models are given to."""
        of = prepared(gemini({}))
        self.assertEqual(value(of, "user-agent"), "antigravity/hub/2.9.1 darwin/arm64")
        self.assertEqual(value(of, "authorization"), "Bearer t-canary")
        newer = prepared(gemini({}), "metadata: {version: 3.0.0}")
        self.assertEqual(value(newer, "user-agent"), "antigravity/hub/3.0.0 darwin/arm64")
        own = (("User-Agent", "antigravity/9 linux/amd64"),)
        self.assertEqual(value(prepared(gemini({}, own)), "user-agent"), own[0][1])

    def test_ids(self) -> None:
        """A conversation keeps its session, each of its requests has its own id."""
        first, again = (sent(prepared(gemini({}, id=id))) for id in ("1", "2"))
        other = sent(prepared(gemini({"contents": [{**HI, "parts": [{"text": "other"}]}]})))
        self.assertEqual(first["request"]["sessionId"], again["request"]["sessionId"])
        self.assertNotEqual(first["requestId"], again["requestId"])
        self.assertNotEqual(first["request"]["sessionId"], other["request"]["sessionId"])

    def test_kinds(self) -> None:
        """Drawing models and mere searches are asked as the vendor's program asks them."""
        self.assertEqual(
            sent(prepared(gemini({}), model="gemini-3-image"))["requestType"], "image_gen"
        )
        search = gemini({"tools": [{"googleSearch": {}}]})
        self.assertEqual(sent(prepared(search))["requestType"], "web_search")
        both = gemini({"tools": [{"googleSearch": {}}, TOOL]})
        self.assertEqual(sent(prepared(both))["requestType"], "agent")

    def test_always_streams(self) -> None:
        """Whole answers are asked for as streams, too."""
        for path in ("m:generateContent", "m:streamGenerateContent?alt=sse"):
            of = prepared(call("gemini", path=f"/v1beta/models/{path}"))
            self.assertTrue(of.stream)
            self.assertEqual(of.http.url, f"{DAILY}:streamGenerateContent?alt=sse")

    def test_first_role(self) -> None:
        """A conversation that begins with the model gets a user's turn in front."""
        contents = [{"role": "model", "parts": [{"text": "hi"}]}]
        request = sent(prepared(gemini({"contents": contents})))["request"]
        self.assertEqual(
            request["contents"], [{"role": "user", "parts": [{"text": OPENING}]}, *contents]
        )

    def test_instructions_are_the_clients(self) -> None:
        """Nothing is added to what the client's system text says."""
        instruction = {"parts": [{"text": "be brief"}]}
        request = sent(prepared(gemini({"systemInstruction": instruction})))["request"]
        self.assertEqual(request["systemInstruction"], instruction)
        body = {"model": "m", "input": "hi", "instructions": "be brief"}
        of = prepared(call("responses", json.dumps(body).encode()), model=CLAUDE)
        self.assertEqual(sent(of)["request"]["systemInstruction"], instruction)
        self.assertNotIn("systemInstruction", sent(prepared(gemini({}), model=CLAUDE))["request"])

    def test_count(self) -> None:
        """Counting names neither model nor project."""
        of = prepared(call("gemini", path="/v1beta/models/m:countTokens"))
        self.assertEqual(of.http.url, f"{DAILY}:countTokens")
        self.assertEqual(sent(of), {"request": {"contents": [HI]}})
        self.assertFalse(of.stream)

    def test_every_client(self) -> None:
        """Every client's question arrives as Gemini's."""
        for wire in INBOUND:
            for model in ("gemini-3-pro", CLAUDE):
                request = sent(prepared(call(wire, path=PATHS[wire]), model=model))["request"]
                self.assertEqual(request["contents"], [HI])


class HostTests(SynchronousTestCase):
    def elsewhere(self, lines: str = "") -> list[str]:
        of = prepared(gemini({}), lines)
        others = provider("antigravity").elsewhere(of, configured("antigravity", lines))
        self.assertTrue(all(other.http.body == of.http.body for other in others))
        self.assertTrue(all(other.envelope == of.envelope for other in others))
        return [other.http.url for other in others]

    def test_second_host(self) -> None:
        """What the daily host does not answer the other one may."""
        self.assertEqual(self.elsewhere(), [f"{PRODUCTION}:streamGenerateContent?alt=sse"])

    def test_configured(self) -> None:
        """A configured address is the only one; the list of the vendor's can be another."""
        self.assertEqual(self.elsewhere("base_url: http://127.0.0.1:1"), [])
        lines = 'metadata: {base_urls: "http://a.test http://b.test http://c.test"}'
        self.assertEqual(
            self.elsewhere(lines),
            [f"http://{host}.test/v1internal:streamGenerateContent?alt=sse" for host in "bc"],
        )


class GeminiModelTests(SynchronousTestCase):
    def test_what_goes(self) -> None:
        """Output limit, safety settings and labels are left out, and reported."""
        config = {"maxOutputTokens": 9, "seed": 1}
        more = {
            "generationConfig": config,
            "safetySettings": [],
            "labels": {},
            "cachedContent": "c",
        }
        of = prepared(gemini(more))
        self.assertEqual(sent(of)["request"]["generationConfig"], {"seed": 1})
        self.assertEqual(
            lost(of), {"max-output-tokens", "safety-settings", "labels", "cached-content"}
        )

    def test_tools(self) -> None:
        """Functions have the older parameters, and modes stay as they are."""
        config = {"functionCallingConfig": {"mode": "ANY"}}
        request = sent(prepared(gemini({"tools": [TOOL], "toolConfig": config})))["request"]
        (function,) = request["tools"][0]["functionDeclarations"]
        self.assertEqual(function, {"name": "f", "parameters": {"type": "object"}})
        self.assertEqual(request["toolConfig"], config)

    def test_bytes_stay(self) -> None:
        """What needs no change goes on to the digit."""
        config = b'{"temperature": 1.10 }'
        body = b'{"contents":[ {"role":"user","parts":[]} ],"generationConfig":%b}' % config
        of = prepared(call("gemini", body))
        self.assertIn(config, of.http.body)
        self.assertIn(b'[ {"role":"user","parts":[]} ]', of.http.body)


class ClaudeTests(SynchronousTestCase):
    def test_limit(self) -> None:
        """The output limit stays, up to the model's own."""
        for asked, kept in ((9, 9), (100_000, 64_000)):
            body = gemini({"generationConfig": {"maxOutputTokens": asked}})
            of = prepared(body, model=CLAUDE)
            config = sent(of)["request"]["generationConfig"]
            self.assertEqual(config, {"maxOutputTokens": kept})
        self.assertEqual(lost(of), {"max-output-tokens"})
        more = prepared(body, "metadata: {claude_max_output_tokens: '128000'}", model=CLAUDE)
        self.assertEqual(lost(more), set())

    def test_tools(self) -> None:
        """Calls are validated against schemas in which every object requires something."""
        request = sent(prepared(gemini({"tools": [TOOL]}), model=CLAUDE))["request"]
        (function,) = request["tools"][0]["functionDeclarations"]
        self.assertEqual(function["parameters"]["required"], [PLACEHOLDER])
        self.assertEqual(request["toolConfig"]["functionCallingConfig"]["mode"], "VALIDATED")
        without = sent(prepared(gemini({}), model=CLAUDE))["request"]
        self.assertNotIn("toolConfig", without)

    def test_call_ids_stay(self) -> None:
        """The ids of calls and results reach the model."""
        body = {
            "model": "m",
            "max_tokens": 9,
            "messages": [
                {"role": "user", "content": "hi"},
                {
                    "role": "assistant",
                    "content": [{"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}],
                },
                {
                    "role": "user",
                    "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "ok"}],
                },
            ],
            "tools": [{"name": "f", "input_schema": {"type": "object"}}],
        }
        of = prepared(call("anthropic", json.dumps(body).encode()), model=CLAUDE)
        _, asked, answered = sent(of)["request"]["contents"]
        self.assertEqual(asked["parts"][0]["functionCall"]["id"], "toolu_1")
        self.assertEqual(answered["parts"][0]["functionResponse"]["id"], "toolu_1")

    def test_answers(self) -> None:
        """A call comes back without the placeholder, from Claude models only."""
        args = {PLACEHOLDER: True, "a": 1}
        part = {"functionCall": {"name": "f", "id": "toolu_1", "args": args}}
        chunk = {"response": {"candidates": [{"content": {"parts": [part]}}]}, "traceId": "t"}
        data = json.dumps(chunk).encode()
        for model, expected in ((CLAUDE, {"a": 1}), ("gemini-3-pro", args)):
            envelope = prepared(gemini({"tools": [TOOL]}), model=model).envelope
            assert envelope is not None
            for got in (
                envelope.message(sse.Message("", data, sse.encode(data))).data,
                envelope.whole(data),
            ):
                (candidate,) = json.loads(got)["candidates"]
                call_ = candidate["content"]["parts"][0]["functionCall"]
                self.assertEqual(call_, {"name": "f", "id": "toolu_1", "args": expected})


class TotalityTests(SynchronousTestCase):
    # The machine may be busy: how long examples take to make is no fault of theirs.
    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        st.dictionaries(
            st.sampled_from(("contents", "tools", "toolConfig", "generationConfig", "model")),
            json_values(3),
        ),
        st.sampled_from((CLAUDE, "gemini-3-pro")),
    )
    def test_any_members(self, members: dict[str, Any], model: str) -> None:
        """Whatever a Gemini client's members are, the envelope is JSON, or the call is refused."""
        tool = {"functionDeclarations": [members.get("tools"), {"parameters": members}]}
        for body in (members, {**members, "tools": [tool]}):
            try:
                of = prepared(call("gemini", json.dumps(body).encode()), model=model)
            except BadRequest:
                continue
            self.assertIn("request", sent(of))

    def test_depth(self) -> None:
        """Nor does any depth of nesting break it, in requests or in answers."""
        deep: Any = {PLACEHOLDER: 1}
        for _ in range(150):
            deep = [{"a": deep}]
        for name in ("tools", "toolConfig", "generationConfig", "contents"):
            sent(prepared(call("gemini", json.dumps({name: deep}).encode()), model=CLAUDE))
        part = {"functionCall": {"args": {"a": deep, PLACEHOLDER: 1}}}
        envelope = prepared(gemini({}), model=CLAUDE).envelope
        assert envelope is not None
        for answer in ({"candidates": [{"content": {"parts": [part]}}]}, {"candidates": deep}):
            got = envelope.whole(json.dumps({"response": answer}).encode())
            self.assertEqual(json.loads(got).keys(), {"candidates"})


class CorpusTests(SynchronousTestCase):
    def test_recorded_calls(self) -> None:
        """Recorded tool calls, wrapped as the vendor wraps them, give what they say."""
        envelope = prepared(gemini({}), model=CLAUDE).envelope
        assert envelope is not None
        for case in corpus.cases("gemini", "cloudcode", "antigravity"):
            assert case.stream is not None
            assert case.digest is not None
            decoder = OUTBOUND["gemini"].StreamDecoder()
            events: list[ir.Event] = []
            for message in sse.SSEDecoder().feed(case.stream):
                events += decoder.feed(envelope.message(message))
            reply = ir.fold([*events, *decoder.close()])
            assert isinstance(reply, ir.Response)
            calls = [part for part in reply.parts if isinstance(part, ir.ToolCall)]
            expected = [called["name"] for called in case.digest["tool_calls"]]
            self.assertEqual([part.name for part in calls], expected, case.id)

    def test_recorded_requests(self) -> None:
        """What recorded requests hold is sent on, as far as the vendor has a place for it."""
        for case in corpus.cases("gemini", "cloudcode", "antigravity"):
            assert case.request is not None
            inner = json.loads(case.request)["request"]
            inner.pop("sessionId", None)
            request = sent(prepared(gemini(inner)))["request"]
            self.assertEqual(request["contents"], inner["contents"], case.id)
            self.assertEqual(request.keys() - {"sessionId"}, inner.keys(), case.id)
