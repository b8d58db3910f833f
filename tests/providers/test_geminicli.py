"""geminicli: which files it takes, and what Gemini requests and answers are wrapped in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar

from twisted.trial.unittest import SynchronousTestCase

from aiproxy import ir
from aiproxy.errors import BadRequest, CredentialError
from aiproxy.framing import sse
from aiproxy.messages import Headers
from aiproxy.providers.contract import Call, Prepared
from aiproxy.wire import INBOUND, OUTBOUND
from aiproxy.wire.gemini.contents_out import OPENING
from tests import corpus
from tests.provider_contract import CANARY, ProviderContract
from tests.providers.codeassist.samples import FLAT, NESTED, VENDOR
from tests.providers.samples import call, read_login, value
from tests.providers.samples import prepared as prepared_for

BASE = "https://cloudcode-pa.googleapis.com/v1internal"
STREAM = "/v1beta/models/m:streamGenerateContent?alt=sse"
COUNT = "/v1beta/models/m:countTokens"


def prepared(of: Call, lines: str = "", file: Mapping[str, Any] = NESTED, **more: Any) -> Prepared:
    login = read_login("geminicli", file)
    return prepared_for("geminicli", of, lines=lines, login=login, **more)


def gemini(body: Any, path: str = "", headers: Headers = (), id: str = "id-1") -> Call:
    return call("gemini", json.dumps(body).encode(), path, headers, id)


def sent(of: Prepared) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(of.http.body)
    return body


class ContractTests(ProviderContract, SynchronousTestCase):
    api_type = "geminicli"
    document: ClassVar = {**VENDOR, "access_token": CANARY, "refresh_token": CANARY}


class FileTests(SynchronousTestCase):
    def test_wrong_files(self) -> None:
        """A file that is no login of Gemini CLI is refused with what it is instead."""
        for document, word in (
            (FLAT, "antigravity"),
            ({"type": "codex", "access_token": "a", "refresh_token": "r"}, "codex"),
            ({"type": "claude", "access_token": "a", "refresh_token": "r"}, "claudecode"),
            ({"claudeAiOauth": {"accessToken": "a"}}, "claudecode"),
            ({"accessToken": "a", "refreshToken": "r"}, "kiro"),
            ({"GEMINI_API_KEY": "AIza-canary"}, "API key"),
            ({"type": "service_account", "private_key": "k", "client_email": "e"}, "service"),
            ({"installed": {"client_id": "c", "client_secret": "s"}}, "OAuth client"),
            ({"active": "ada@example.com", "old": []}, "list of"),
            ({"gemini-cli-oauth": "encrypted"}, "cannot read"),
            (
                {"type": "authorized_user", "client_id": "c", "refresh_token": "r"},
                "gcloud",
            ),
            ({}, "oauth_creds.json"),
            ({"token": "text"}, "oauth_creds.json"),
            ({"access_token": "bare"}, "oauth_creds.json"),
        ):
            error = self.assertRaises(CredentialError, read_login, "geminicli", document)
            self.assertIn(word, str(error), document)
            self.assertNotIn("canary", str(error))


class EnvelopeTests(SynchronousTestCase):
    def test_shape(self) -> None:
        """Model, project and request stand side by side; the request names no model itself."""
        body = {"model": "models/m", "contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
        of = prepared(gemini(body))
        whole = sent(of)
        self.assertEqual(whole.keys(), {"model", "project", "user_prompt_id", "request"})
        self.assertEqual((whole["model"], whole["project"]), ("mapped", "project-1"))
        self.assertEqual(whole["request"]["contents"], body["contents"])
        self.assertEqual(whole["request"].keys(), {"contents", "session_id"})
        self.assertEqual(of.losses, ())

    def test_place(self) -> None:
        """Streams and whole answers have each their method; base_url may end in the version."""
        self.assertEqual(prepared(call("gemini")).http.url, f"{BASE}:generateContent")
        streamed = prepared(call("gemini", path=STREAM + "&z=1"))
        self.assertEqual(streamed.http.url, f"{BASE}:streamGenerateContent?alt=sse")
        self.assertTrue(streamed.stream)
        for base in ("https://h.test", "https://h.test/v1internal"):
            of = prepared(call("gemini"), f"base_url: {base}")
            self.assertEqual(of.http.url, "https://h.test/v1internal:generateContent")

    def test_headers(self) -> None:
        """The token pays; the program names itself unless the client is Gemini CLI."""
        of = prepared(call("gemini", headers=(("User-Agent", "curl/8"), ("x-other", "1"))))
        self.assertEqual(value(of, "authorization"), "Bearer t-canary")
        self.assertEqual(value(of, "user-agent"), "GeminiCLI/0.61.0/mapped (linux; x64; terminal)")
        self.assertEqual(value(of, "content-type"), "application/json")
        self.assertIsNone(value(of, "x-other"))
        own = (("User-Agent", "GeminiCLI-tui/0.99.0/m (linux; x64; terminal)"),)
        self.assertEqual(value(prepared(call("gemini", headers=own)), "user-agent"), own[0][1])
        newer = prepared(call("chat"), "metadata: {version: 1.2.3}")
        self.assertIn("GeminiCLI/1.2.3/mapped", value(newer, "user-agent") or "")
        override = prepared(call("chat"), "http_headers: {User-Agent: mine, Accept: ''}")
        self.assertEqual(value(override, "user-agent"), "mine")
        self.assertIsNone(value(override, "accept"))

    def test_project(self) -> None:
        """The file's project goes before the configured one; without any none is named."""
        lines = "metadata: {project_id: configured}"
        self.assertEqual(sent(prepared(call("gemini"), lines))["project"], "project-1")
        self.assertEqual(sent(prepared(call("gemini"), lines, VENDOR))["project"], "configured")
        self.assertNotIn("project", sent(prepared(call("gemini"), file=VENDOR)))

    def test_ids(self) -> None:
        """A prompt's id is the call's, a session's id the conversation's."""
        first, second = (
            sent(
                prepared(
                    gemini(
                        {"contents": [{"role": "user", "parts": [{"text": "hi"}]}, *more]}, id=id
                    )
                )
            )
            for id, more in (
                ("1", []),
                (
                    "2",
                    [
                        {"role": "model", "parts": [{"text": "yes"}]},
                        {"role": "user", "parts": [{"text": "and?"}]},
                    ],
                ),
            )
        )
        self.assertNotEqual(first["user_prompt_id"], second["user_prompt_id"])
        self.assertEqual(first["request"]["session_id"], second["request"]["session_id"])

    def test_what_is_not_taken(self) -> None:
        """Members that Code Assist would refuse are left out, and reported."""
        body = {
            "contents": [{"role": "user", "parts": [{"text": "hi"}]}],
            "safetySettings": [],
            "labels": {"a": "b"},
            "serviceTier": "flex",
            "store": True,
        }
        of = prepared(gemini(body))
        self.assertEqual(
            sent(of)["request"].keys(), {"contents", "safetySettings", "labels", "session_id"}
        )
        self.assertEqual({loss.feature for loss in of.losses}, {"service-tier", "store"})
        translated = prepared(
            call(
                "chat",
                json.dumps(
                    {
                        "model": "m",
                        "messages": [{"role": "user", "content": "hi"}],
                        "service_tier": "flex",
                        "user": "ada",
                    }
                ).encode(),
            )
        )
        self.assertEqual({loss.feature for loss in translated.losses}, {"service-tier", "user"})

    def test_bytes_stay(self) -> None:
        """Each member goes on as the client wrote it, to the digit and the blank."""
        contents = b'[ {"role":"user", "parts":[{"text":"\\u00e9"}]} ]'
        config = b'{"temperature": 1.10,  "seed":12345678901234567890}'
        body = b'{"contents":%b,"generationConfig":%b}' % (contents, config)
        of = prepared(call("gemini", body))
        self.assertIn(contents, of.http.body)
        self.assertIn(config, of.http.body)

    def test_snake_case(self) -> None:
        """Both spellings of Google's names are taken."""
        body = {
            "contents": [{"role": "user", "parts": [{"text": "hi"}]}],
            "system_instruction": {"parts": [{"text": "s"}]},
        }
        of = prepared(gemini(body))
        self.assertEqual(sent(of)["request"]["systemInstruction"], body["system_instruction"])
        self.assertEqual(of.losses, ())

    def test_roles(self) -> None:
        """A conversation begins with the user; contents without a role are the user's."""
        body = {
            "contents": [{"role": "model", "parts": [{"text": "a"}]}, {"parts": [{"text": "b"}]}]
        }
        contents = sent(prepared(gemini(body)))["request"]["contents"]
        self.assertEqual([content["role"] for content in contents], ["user", "model", "user"])
        self.assertEqual(contents[0]["parts"], [{"text": OPENING}])

    def test_every_client(self) -> None:
        """Every client's question arrives as Gemini's, in both modes."""
        for wire in INBOUND:
            inner = sent(prepared(call(wire)))["request"]
            self.assertEqual(inner["contents"], [{"role": "user", "parts": [{"text": "hi"}]}])

    def test_tagged_proofs(self) -> None:
        """A body that brings back another vendor's proof is read, and the proof left out."""
        part = {"text": "t", "thoughtSignature": "aip1.anthropic.x"}
        body = {
            "contents": [
                {"role": "user", "parts": [{"text": "a"}]},
                {"role": "model", "parts": [part]},
                {"role": "user", "parts": [{"text": "b"}]},
            ]
        }
        self.assertNotIn(b"aip1", prepared(gemini(body)).http.body)

    def test_refused(self) -> None:
        """What no Gemini upstream could serve is refused here, too."""
        body = {"model": "m", "messages": []}
        with self.assertRaises(BadRequest):
            prepared(call("chat", json.dumps(body).encode()))


class CountTests(SynchronousTestCase):
    def test_contents(self) -> None:
        """Counting has no project, and the model in the request."""
        body = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
        for asked in (body, {"generateContentRequest": {"model": "models/m", **body}}):
            of = prepared(gemini(asked, COUNT))
            self.assertEqual(of.http.url, f"{BASE}:countTokens")
            self.assertEqual(sent(of), {"request": {"model": "models/mapped", **body}})
            self.assertIsNone(of.envelope)
            self.assertFalse(of.stream)

    def test_all_that_has_tokens(self) -> None:
        """Instructions and tools, which Code Assist does not count, are counted as contents."""
        body = {
            "model": "m",
            "system": "be brief",
            "max_tokens": 9,
            "messages": [{"role": "user", "content": "hi"}],
            "tools": [{"name": "t", "description": "d", "input_schema": {"type": "object"}}],
        }
        of = prepared(call("anthropic", json.dumps(body).encode(), "/v1/messages/count_tokens"))
        first, second = sent(of)["request"]["contents"]
        self.assertEqual(first["parts"][0], {"text": "be brief"})
        self.assertIn('"description":"d"', first["parts"][1]["text"])
        self.assertEqual(second["parts"], [{"text": "hi"}])


class CorpusTests(SynchronousTestCase):
    def test_recorded_streams(self) -> None:
        """Recorded streams, wrapped as Code Assist wraps them, give what they say."""
        for case in corpus.cases("gemini", "cloudcode", "text"):
            assert case.stream is not None
            assert case.digest is not None
            envelope = prepared(call("gemini")).envelope
            assert envelope is not None
            decoder = OUTBOUND["gemini"].StreamDecoder()
            events: list[ir.Event] = []
            for message in sse.SSEDecoder().feed(case.stream):
                unwrapped = envelope.message(message)
                self.assertEqual(unwrapped.raw.count(b"\n"), 2)
                self.assertIn("responseId", json.loads(unwrapped.data), case.id)
                events += decoder.feed(unwrapped)
            events += decoder.close()
            reply = ir.fold(events)
            assert isinstance(reply, ir.Response)
            text = "".join(part.text for part in reply.parts if isinstance(part, ir.Text))
            self.assertEqual(text, case.digest["text"], case.id)
