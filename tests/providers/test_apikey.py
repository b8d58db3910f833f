"""The four api_types that are paid by key: where requests go, and with which headers."""

from __future__ import annotations

import base64
import json

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from aiproxy.errors import BadRequest
from aiproxy.messages import Headers
from aiproxy.providers import API_TYPES
from aiproxy.providers.apikey import ROWS
from aiproxy.wire import INBOUND
from aiproxy.wire.proofs import MARK
from tests.providers.samples import BODIES, PATHS, call, prepared, value, values

NATIVE = {"anthropic": "anthropic", "openai": "chat", "responses": "responses", "gemini": "gemini"}

EXACT = (
    b'{ "zeta" : [1.10, 12345678901234567890, "\\u00e9\\ud83d\\ude00"],'
    b' "model":"m", "messages": [{"role":"user","content":"hi <&>"}],\n "max_tokens" : 10,'
    b' "metadata": {"b":1, "a":null} }'
)


class RegistryTests(SynchronousTestCase):
    def test_every_api_type_has_a_credential(self) -> None:
        """The configuration knows all nine api_types, those of keys and those of files."""
        self.assertEqual(
            {name for name, kind in API_TYPES.items() if kind.credentials == "tokens"}, set(NATIVE)
        )
        self.assertEqual(
            {name for name, kind in API_TYPES.items() if kind.credentials == "auth_files"},
            {"codex", "claudecode", "geminicli", "antigravity", "kiro"},
        )

    def test_wires(self) -> None:
        """Each api_type speaks its own protocol."""
        by_key = {row.api_type: row.wire for row in ROWS}
        self.assertEqual(by_key, NATIVE)


class PlaceTests(SynchronousTestCase):
    def test_paths(self) -> None:
        """Each operation has its path behind the base URL."""
        for api_type, path, expected in (
            ("anthropic", "/v1/messages", "/v1/messages"),
            ("anthropic", "/v1/messages/count_tokens", "/v1/messages/count_tokens"),
            ("openai", "/v1/chat/completions", "/v1/chat/completions"),
            ("responses", "/v1/responses", "/v1/responses"),
            ("responses", "/v1/responses/compact", "/v1/responses/compact"),
            ("responses", "/v1/responses/input_tokens", "/v1/responses/input_tokens"),
            ("gemini", "/v1beta/models/m:countTokens", "/v1beta/models/mapped:countTokens"),
            ("gemini", "/v1/models/m:generateContent", "/v1beta/models/mapped:generateContent"),
        ):
            sent = prepared(api_type, call(NATIVE[api_type], path=path))
            self.assertEqual(sent.http.url, "https://host.test" + expected, path)
            self.assertEqual(sent.http.method, "POST")

    def test_version_is_not_doubled(self) -> None:
        """A base URL may or may not end in the version, and may have a path of its own."""
        for api_type, base, expected in (
            ("openai", "https://h.test", "https://h.test/v1/chat/completions"),
            ("openai", "https://h.test/", "https://h.test/v1/chat/completions"),
            ("openai", "https://h.test/v1", "https://h.test/v1/chat/completions"),
            ("openai", "https://h.test/v1/", "https://h.test/v1/chat/completions"),
            ("openai", "https://h.test/api/v1", "https://h.test/api/v1/chat/completions"),
            ("openai", "https://h.test/api", "https://h.test/api/v1/chat/completions"),
            ("openai", "https://h.test/xv1", "https://h.test/xv1/v1/chat/completions"),
            ("anthropic", "https://h.test/v1", "https://h.test/v1/messages"),
            ("responses", "https://h.test/v1", "https://h.test/v1/responses"),
            (
                "gemini",
                "https://h.test/v1beta",
                "https://h.test/v1beta/models/mapped:generateContent",
            ),
        ):
            sent = prepared(api_type, call(NATIVE[api_type]), lines=f"base_url: {base}")
            self.assertEqual(sent.http.url, expected, base)

    def test_gemini_streams_as_events(self) -> None:
        """A stream is always asked for as server-sent events, whatever form the client wants."""
        for query in ("", "?alt=sse", "?$alt=sse"):
            path = "/v1beta/models/m:streamGenerateContent" + query
            sent = prepared("gemini", call("gemini", path=path))
            self.assertTrue(sent.http.url.count("alt=sse"), sent.http.url)
            self.assertTrue(sent.stream)

    def test_model_in_a_path_is_escaped(self) -> None:
        """No model name can lead to another place."""
        sent = prepared("gemini", call("chat"), model="a/../b?key=1#c d")
        self.assertEqual(
            sent.http.url,
            "https://host.test/v1beta/models/a%2F..%2Fb%3Fkey%3D1%23c%20d:generateContent",
        )

    def test_query_goes_on_to_the_own_protocol(self) -> None:
        """The client's query reaches an upstream of the same wire, and no other one."""
        path = "/v1/messages?beta=true"
        self.assertEqual(
            prepared("anthropic", call("anthropic", path=path)).http.url,
            "https://host.test/v1/messages?beta=true",
        )
        self.assertEqual(
            prepared("openai", call("anthropic", path=path)).http.url,
            "https://host.test/v1/chat/completions",
        )
        path = "/v1beta/models/m:streamGenerateContent?alt=sse&z=1&a=2"
        self.assertEqual(
            prepared("gemini", call("gemini", path=path)).http.url,
            "https://host.test/v1beta/models/mapped:streamGenerateContent?alt=sse&z=1&a=2",
        )

    def test_query_that_changes_the_form_of_the_answer(self) -> None:
        """What no wire could read, and would pass for the upstream's fault, is not asked for."""
        for query in ("alt=proto", "$alt=media", "%61lt=sse", "fields=x&callback=f", "%24alt=json"):
            for action, rest in (("generateContent", ""), ("streamGenerateContent", "?alt=sse")):
                path = f"/v1beta/models/m:{action}?{query}"
                self.assertEqual(
                    prepared("gemini", call("gemini", path=path)).http.url,
                    f"https://host.test/v1beta/models/mapped:{action}{rest}",
                )

    def test_operations(self) -> None:
        """Besides answers, an upstream counts tokens for every client, if it can count at all."""
        count = {
            "anthropic": "/v1/messages/count_tokens",
            "responses": "/v1/responses/input_tokens",
            "gemini": "/v1beta/models/m:countTokens",
        }
        for client in ("anthropic", "chat", "responses", "gemini"):
            for provider in ROWS:
                api_type = provider.api_type
                self.assertTrue(provider.serves(call(client)))
                if client in count:
                    self.assertEqual(
                        provider.serves(call(client, path=count[client])), api_type != "openai"
                    )
                if client == "responses":
                    self.assertEqual(
                        provider.serves(call(client, path="/v1/responses/compact")),
                        api_type == "responses",
                    )


class BodyTests(SynchronousTestCase):
    def test_only_the_model_changes(self) -> None:
        """Bytes of the own protocol pass to the digit and the blank, but for the model's name."""
        sent = prepared("openai", call("chat", EXACT))
        self.assertEqual(sent.http.body, EXACT.replace(b'"model":"m"', b'"model":"mapped"'))
        self.assertEqual(sent.losses, ())

    def test_same_model_same_bytes(self) -> None:
        """Where the model keeps its name nothing changes at all."""
        for api_type in ("openai", "anthropic"):
            sent = prepared(api_type, call(NATIVE[api_type], EXACT), model="m")
            self.assertEqual(sent.http.body, EXACT)

    def test_gemini_body_is_untouched(self) -> None:
        """The model stands in the path, so that the body passes as it is."""
        body = b'{ "contents":[ {"parts":[{"text":"hi"}]} ] ,"x": 1.10}'
        self.assertEqual(prepared("gemini", call("gemini", body)).http.body, body)

    def test_model_is_spliced_where_it_is(self) -> None:
        """A nested member of the same name, or text that looks like it, is left alone."""
        body = (
            b'{"metadata":{"model":"m"},"messages":[{"role":"user","content":"\\"model\\":\\"m\\""}],'
            b'"model":"m"}'
        )
        read = json.loads(prepared("openai", call("chat", body)).http.body)
        self.assertEqual(read["model"], "mapped")
        self.assertEqual(read["metadata"], {"model": "m"})
        self.assertEqual(read["messages"], json.loads(body)["messages"])

    @given(st.text(min_size=1).filter(lambda name: name.isprintable()))
    def test_any_model_name(self, name: str) -> None:
        """Whatever the names are, the upstream reads the mapped one and the rest as it was."""
        body = json.dumps({"seed": 1, "model": name, "messages": []}).encode()
        sent = json.loads(prepared("openai", call("chat", body), model=name + "\n'").http.body)
        self.assertEqual(sent, {"seed": 1, "model": name + "\n'", "messages": []})

    def test_translation(self) -> None:
        """Another protocol's call is written anew in the upstream's, for the mapped model."""
        for api_type in ("anthropic", "openai", "responses"):
            for client in ("anthropic", "chat", "responses", "gemini"):
                if NATIVE[api_type] != client:
                    sent = prepared(api_type, call(client))
                    self.assertEqual(json.loads(sent.http.body)["model"], "mapped")
                    self.assertIn(b'"hi"', sent.http.body)

    def test_losses(self) -> None:
        """What the upstream's protocol cannot carry is reported with the request."""
        body = json.dumps({**BODIES["anthropic"], "top_k": 3}).encode()
        losses = prepared("openai", call("anthropic", body)).losses
        self.assertIn("top-k", [loss.feature for loss in losses])

    def test_proofs_of_other_vendors_never_leave(self) -> None:
        """A body of the own protocol that holds another vendor's tagged proof is cleaned of it."""
        thinking = {"type": "thinking", "thinking": "hm", "signature": f"{MARK}gemini.canary"}
        body = {
            **BODIES["anthropic"],
            "messages": [
                {"role": "user", "content": "hi"},
                {"role": "assistant", "content": [thinking, {"type": "text", "text": "yes"}]},
                {"role": "user", "content": "go on"},
            ],
        }
        sent = prepared("anthropic", call("anthropic", json.dumps(body).encode()))
        self.assertNotIn(b"canary", sent.http.body)
        self.assertEqual(json.loads(sent.http.body)["model"], "mapped")
        self.assertIn(b"go on", sent.http.body)

    def test_proofs_in_base64(self) -> None:
        """Gemini's own bodies hold such proofs as base64; they never leave either."""
        signature = base64.b64encode(f"{MARK}anthropic.canary".encode()).decode()
        thought = {"text": "hm", "thought": True, "thoughtSignature": signature}
        parts = [thought, {"text": "yes"}]
        body = {"contents": [*BODIES["gemini"]["contents"], {"role": "model", "parts": parts}]}
        sent = prepared("gemini", call("gemini", json.dumps(body).encode()))
        self.assertNotIn(signature.encode(), sent.http.body)
        self.assertIn(b"yes", sent.http.body)

    def test_counting_with_proofs(self) -> None:
        """A counting request loses another vendor's proofs, and stays one."""
        thinking = {"type": "thinking", "thinking": "hm", "signature": f"{MARK}gemini.canary"}
        text = {"type": "text", "text": "yes"}
        body = {
            "model": "m",
            "messages": [
                {"role": "user", "content": "hi"},
                {"role": "assistant", "content": [thinking, text]},
                {"role": "user", "content": "go on"},
            ],
        }
        asked = call("anthropic", json.dumps(body).encode(), "/v1/messages/count_tokens")
        sent = json.loads(prepared("anthropic", asked).http.body)
        self.assertEqual(sorted(sent), ["messages", "model"])
        self.assertEqual(sent["messages"][1]["content"], [text])

    def test_counting_for_other_protocols(self) -> None:
        """A count is asked of any vendor that can, complete with tools, in its own shape."""
        tools = [{"name": "f", "input_schema": {"type": "object"}}]
        body = json.dumps({**BODIES["anthropic"], "tools": tools}).encode()
        asked = call("anthropic", body, "/v1/messages/count_tokens")
        responses = prepared("responses", asked).http
        self.assertTrue(responses.url.endswith("/v1/responses/input_tokens"))
        self.assertEqual(sorted(json.loads(responses.body)), ["input", "model", "tools"])
        gemini = prepared("gemini", asked).http
        self.assertTrue(gemini.url.endswith("/v1beta/models/mapped:countTokens"))
        inner = json.loads(gemini.body)["generateContentRequest"]
        self.assertEqual(inner["model"], "models/mapped")
        self.assertIn("tools", inner)

    def test_server_state_stays_at_home(self) -> None:
        """A conversation that one vendor keeps cannot be had from another."""
        body = json.dumps({**BODIES["responses"], "previous_response_id": "resp_1"}).encode()
        asked = call("responses", body)
        with self.assertRaises(BadRequest) as caught:
            prepared("anthropic", asked)
        self.assertEqual(caught.exception.reply.param, "previous_response_id")
        self.assertIn(b"resp_1", prepared("responses", asked).http.body)

    def test_betas_of_a_body(self) -> None:
        """`betas` in an Anthropic body become a header, next to those that are there."""
        body = json.dumps({**BODIES["anthropic"], "betas": ["b-1", "b-2"]}).encode()
        asked = call("anthropic", body, headers=(("anthropic-beta", "b-2, b-0"),))
        sent = prepared("anthropic", asked)
        self.assertEqual(values(sent, "anthropic-beta"), ["b-2,b-0,b-1"])
        self.assertNotIn("betas", json.loads(sent.http.body))

    def test_betas_that_are_none(self) -> None:
        """What is no list of texts stays where it is, for the upstream to judge."""
        for betas in ("b-1", [1], {"a": 1}):
            body = json.dumps({**BODIES["anthropic"], "betas": betas}).encode()
            sent = prepared("anthropic", call("anthropic", body))
            self.assertEqual(json.loads(sent.http.body)["betas"], betas)
            self.assertEqual(values(sent, "anthropic-beta"), [])


class HeaderTests(SynchronousTestCase):
    def test_keys(self) -> None:
        """Each vendor gets the key where it looks for it, and only there."""
        for api_type, name, expected in (
            ("anthropic", "x-api-key", "t-canary"),
            ("openai", "Authorization", "Bearer t-canary"),
            ("responses", "Authorization", "Bearer t-canary"),
            ("gemini", "x-goog-api-key", "t-canary"),
        ):
            for client in INBOUND:
                sent = prepared(api_type, call(client))
                self.assertEqual(values(sent, name), [expected])
                told = [value for _, value in sent.http.headers if "t-canary" in value]
                self.assertEqual(len(told), 1)
                self.assertNotIn("t-canary", sent.http.url)
                self.assertNotIn(b"t-canary", sent.http.body)

    def test_oauth_token_of_anthropic(self) -> None:
        """A login's token is a bearer and needs its beta, beside the client's own."""
        asked = call("anthropic", headers=(("anthropic-beta", "b-1"),))
        sent = prepared("anthropic", asked, token="sk-ant-oat01-canary")
        self.assertEqual(value(sent, "Authorization"), "Bearer sk-ant-oat01-canary")
        self.assertIsNone(value(sent, "x-api-key"))
        self.assertEqual(values(sent, "anthropic-beta"), ["b-1,oauth-2025-04-20"])

    def test_anthropic_version(self) -> None:
        """The client's own version stays; a body that we write is of the version we know."""
        native = call("anthropic", headers=(("anthropic-version", "2026-10-21"),))
        self.assertEqual(values(prepared("anthropic", native), "anthropic-version"), ["2026-10-21"])
        self.assertEqual(
            values(prepared("anthropic", call("anthropic")), "anthropic-version"), ["2023-06-01"]
        )
        foreign = call("chat", headers=(("anthropic-version", "2026-10-21"),))
        self.assertEqual(
            values(prepared("anthropic", foreign), "anthropic-version"), ["2023-06-01"]
        )

    def test_allow_list(self) -> None:
        """Of the client's headers only those of its own protocol go on, its account never does."""
        headers: Headers = (
            ("User-Agent", "agent/1"),
            ("Anthropic-Beta", "b-1"),
            ("X-Stainless-Lang", "python"),
            ("x-app", "cli"),
            ("OpenAI-Beta", "responses=v1"),
            ("openai-organization", "org"),
            ("openai-project", "proj"),
            ("x-goog-user-project", "proj"),
            ("x-goog-api-client", "genai"),
            ("x-codex-turn-metadata", "{}"),
            ("originator", "codex"),
            ("cookie", "canary"),
            ("x-forwarded-for", "10.0.0.1"),
            ("forwarded", "for=10.0.0.1"),
            ("x-api-key", "canary"),
            ("authorization", "Bearer canary"),
            ("x-goog-api-key", "canary"),
        )
        expected = {
            "anthropic": {"anthropic-beta", "x-stainless-lang", "x-app"},
            "openai": {"openai-beta", "x-stainless-lang"},
            "responses": {
                "openai-beta",
                "x-stainless-lang",
                "x-codex-turn-metadata",
                "originator",
            },
            "gemini": {"x-goog-api-client"},
        }
        sent_names = {name.lower() for name, _ in headers}
        own = {"user-agent", "x-api-key", "authorization", "x-goog-api-key"}
        for api_type, names in expected.items():
            for client in INBOUND:
                sent = prepared(api_type, call(client, headers=headers))
                passed = {name.lower() for name, _ in sent.http.headers} & sent_names - own
                self.assertEqual(passed, names if client == NATIVE[api_type] else set())
                self.assertEqual(values(sent, "user-agent"), ["agent/1"])
                told = " ".join(value for _, value in sent.http.headers)
                self.assertNotIn("canary", told.replace("t-canary", ""))

    def test_accept(self) -> None:
        """An upstream is asked for events where a stream is wanted, else for JSON."""
        body = json.dumps({**BODIES["chat"], "stream": True}).encode()
        self.assertEqual(
            value(prepared("openai", call("chat", body)), "accept"), "text/event-stream"
        )
        self.assertEqual(value(prepared("openai", call("chat")), "accept"), "application/json")

    def test_http_headers(self) -> None:
        """The operator's headers win over the client's, over ours and over the key."""
        lines = (
            "http_headers:\n  User-Agent: mine/1\n  authorization: Bearer other\n"
            '  X-New: n\n  accept: ""'
        )
        asked = call("chat", headers=(("user-agent", "theirs/1"),))
        sent = prepared("openai", asked, lines=lines)
        self.assertEqual(values(sent, "user-agent"), ["mine/1"])
        self.assertEqual(values(sent, "authorization"), ["Bearer other"])
        self.assertEqual(values(sent, "x-new"), ["n"])
        self.assertEqual(values(sent, "accept"), [])
        self.assertNotIn("t-canary", str(sent.http.headers))


class ShapeTests(SynchronousTestCase):
    def test_every_pair(self) -> None:
        """Each of the sixteen pairs gives a JSON body and a request without the client's path."""
        for client in INBOUND:
            for api_type in NATIVE:
                sent = prepared(api_type, call(client, path=PATHS[client]))
                self.assertIsInstance(json.loads(sent.http.body), dict)
                self.assertEqual(value(sent, "content-type"), "application/json")
                self.assertFalse(sent.stream)
