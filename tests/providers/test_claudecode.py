"""Claude Code: headers, betas, the system prompt's first sentence, and what errors mean."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from aiproxy.errors import ErrorReply
from aiproxy.messages import Headers, HttpReply
from aiproxy.providers.claudecode import METADATA
from aiproxy.providers.contract import Prepared
from aiproxy.routing.faults import classify_reply
from aiproxy.wire import INBOUND, OUTBOUND
from tests.corpus import cases
from tests.provider_contract import CANARY, ProviderContract
from tests.providers.samples import BODIES, call, json_reply, prepared, provider, value, values

NOW = 1_800_000_000.0
PREAMBLE = METADATA["preamble"]
ALWAYS = ["claude-code-20250219", "oauth-2025-04-20", "interleaved-thinking-2025-05-14"]
COUNT = "/v1/messages/count_tokens"
GENUINE: Headers = (
    ("User-Agent", "claude-cli/2.1.197 (external, sdk-cli)"),
    ("accept", "application/json"),
    ("x-app", "cli"),
    ("X-Claude-Code-Session-Id", "s-1"),
    ("x-client-request-id", "r-1"),
    ("x-stainless-lang", "js"),
    ("anthropic-version", "2023-06-01"),
    ("anthropic-dangerous-direct-browser-access", "true"),
    ("anthropic-beta", "claude-code-20250219, b-1"),
    ("cookie", "canary"),
)


def sent(headers: Headers = (), path: str = "", model: str = "mapped", **members: Any) -> Prepared:
    """What an Anthropic client's call becomes."""
    body = json.dumps({**BODIES["anthropic"], **members}).encode()
    return prepared("claudecode", call("anthropic", body, path, headers), model=model)


def body_of(of: Prepared) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(of.http.body)
    return found


def betas(of: Prepared) -> list[str]:
    (header,) = values(of, "anthropic-beta")
    return header.split(",")


class ContractTests(ProviderContract, SynchronousTestCase):
    api_type = "claudecode"
    document: ClassVar = {"claudeAiOauth": {"accessToken": CANARY, "refreshToken": CANARY}}


class PlaceTests(SynchronousTestCase):
    def test_operations(self) -> None:
        """Answers and counts for everybody, compacting for nobody."""
        for wire in INBOUND:
            self.assertTrue(provider("claudecode").serves(call(wire)))
        self.assertTrue(provider("claudecode").serves(call("anthropic", path=COUNT)))
        compact = call("responses", path="/v1/responses/compact")
        self.assertFalse(provider("claudecode").serves(compact))

    def test_addresses(self) -> None:
        """The vendor's own, or the operator's, with its parameter once."""
        vendor = "https://api.anthropic.com"
        for path, expected in (
            ("/v1/messages", "/v1/messages?beta=true"),
            ("/v1/messages?beta=true&a=b", "/v1/messages?beta=true&a=b"),
            (COUNT, f"{COUNT}?beta=true"),
        ):
            asked = call("anthropic", path=path)
            self.assertEqual(prepared("claudecode", asked).http.url, vendor + expected)
            for base in ("https://h.test", "https://h.test/v1/"):
                found = prepared("claudecode", asked, lines=f"base_url: {base}").http.url
                self.assertEqual(found, "https://h.test" + expected)
        url = prepared("claudecode", call("chat", path="/v1/chat/completions?a=b")).http.url
        self.assertEqual(url, f"{vendor}/v1/messages?beta=true")

    def test_modes(self) -> None:
        """The upstream streams when the client does."""
        for stream, accept in ((True, "text/event-stream"), (False, "application/json")):
            found = sent(stream=stream)
            self.assertEqual((found.stream, value(found, "accept")), (stream, accept))


class GenuineTests(SynchronousTestCase):
    def test_headers(self) -> None:
        """Claude Code passes with all that it says of itself, and nothing else."""
        found = sent(GENUINE)
        for name, text in GENUINE[:-2]:
            self.assertEqual(values(found, name), [text])
        self.assertEqual(values(found, "authorization"), ["Bearer t-canary"])
        for name in ("x-api-key", "cookie"):
            self.assertEqual(values(found, name), [])

    def test_betas(self) -> None:
        """Its own betas stay in their order; the one for logins is there once."""
        self.assertEqual(betas(sent(GENUINE)), ["claude-code-20250219", "b-1", "oauth-2025-04-20"])
        own: Headers = (GENUINE[0], ("anthropic-beta", "oauth-2025-04-20,b-1"))
        self.assertEqual(betas(sent(own)), ["oauth-2025-04-20", "b-1"])

    def test_body(self) -> None:
        """Its body passes to the blank, but for the model and lifted betas."""
        exact = b'{ "model":"m", "max_tokens" : 1.0, "messages": [], "system":"mine" }'
        asked = call("anthropic", exact, headers=GENUINE)
        found = prepared("claudecode", asked).http.body
        self.assertEqual(found, exact.replace(b'"m"', b'"mapped"'))
        lifted = sent(GENUINE, betas=["b-2"])
        self.assertNotIn("betas", body_of(lifted))
        self.assertIn("b-2", betas(lifted))

    def test_only_with_its_own_protocol(self) -> None:
        """The name alone does not make a Claude Code of another protocol's client."""
        found = prepared("claudecode", call("chat", headers=GENUINE))
        self.assertEqual(values(found, "user-agent"), [METADATA["user_agent"]])
        self.assertEqual(values(found, "x-claude-code-session-id"), [])
        self.assertEqual(body_of(found)["system"][0]["text"], PREAMBLE)


class OtherTests(SynchronousTestCase):
    def test_headers(self) -> None:
        """Other clients get what the vendor demands; nothing is made up besides."""
        for wire in INBOUND:
            found = prepared("claudecode", call(wire, headers=(("User-Agent", "SDK/1"),)))
            self.assertEqual(
                {name.lower(): text for name, text in found.http.headers},
                {
                    "content-type": "application/json",
                    "accept": "application/json",
                    "anthropic-version": "2023-06-01",
                    "user-agent": "claude-cli/2.1.197 (external, cli)",
                    "x-app": "cli",
                    "anthropic-beta": ",".join(ALWAYS),
                    "authorization": "Bearer t-canary",
                },
            )

    def test_own_headers(self) -> None:
        """A client of the protocol keeps its version, its betas and its SDK's marks."""
        own: Headers = (
            ("anthropic-version", "2026-10-21"),
            ("anthropic-beta", "b-1"),
            ("x-stainless-lang", "python"),
            ("x-codex-a", "b"),
        )
        found = sent(own)
        self.assertEqual(values(found, "anthropic-version"), ["2026-10-21"])
        self.assertEqual(values(found, "x-stainless-lang"), ["python"])
        self.assertEqual(values(found, "x-codex-a"), [])
        self.assertEqual(betas(found), ["b-1", *ALWAYS])

    def test_features(self) -> None:
        """Each feature of a body brings its beta."""
        mark = {"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": "1h"}}
        cases: tuple[tuple[dict[str, Any], str], ...] = (
            ({"thinking": {"type": "adaptive"}}, "effort-2025-11-24"),
            ({"output_config": {"effort": "low"}}, "effort-2025-11-24"),
            ({"output_config": {"format": {}}}, "structured-outputs-2025-12-15"),
            ({"context_management": {"edits": []}}, "context-management-2025-06-27"),
            ({"system": [mark]}, "extended-cache-ttl-2025-04-11"),
            ({"tools": [{"name": "a", "defer_loading": True}]}, "advanced-tool-use-2025-11-20"),
            ({"tools": [{"name": "a", "input_examples": [1]}]}, "advanced-tool-use-2025-11-20"),
            ({"tools": [{"type": "tool_search_x"}]}, "advanced-tool-use-2025-11-20"),
            ({"speed": "fast"}, "fast-mode-2026-02-01"),
            (
                {"messages": [{"role": "system", "content": "s"}]},
                "mid-conversation-system-2026-04-07",
            ),
            ({"diagnostics": {}}, "cache-diagnosis-2026-04-07"),
            (
                {"thinking": {"type": "enabled", "display": "omitted"}},
                "redact-thinking-2026-02-12",
            ),
        )
        for members, beta in cases:
            self.assertEqual(betas(sent(**members)), [*ALWAYS, beta], members)
        plain: dict[str, Any] = {
            "tools": [{"name": "a"}],
            "messages": [{"role": "user", "content": '"ttl":"1h"'}],
        }
        self.assertEqual(betas(sent(**plain)), ALWAYS)

    def test_long_context(self) -> None:
        """A model named for a million tokens is asked by its own name, with the beta."""
        found = sent(model="claude-sonnet-4-5[1m]")
        self.assertEqual(body_of(found)["model"], "claude-sonnet-4-5")
        self.assertIn("context-1m-2025-08-07", betas(found))

    def test_metadata(self) -> None:
        """Betas, name and sentence are the operator's to change."""
        lines = (
            "metadata: {betas: 'x, y', beta_login: y, user_agent: me, preamble: Hi., "
            "anthropic_version: '2030'}"
        )
        found = prepared("claudecode", call("chat"), lines=lines)
        self.assertEqual(betas(found), ["x", "y"])
        self.assertEqual(values(found, "user-agent"), ["me"])
        self.assertEqual(values(found, "anthropic-version"), ["2030"])
        self.assertEqual(body_of(found)["system"][0]["text"], "Hi.")


class PreambleTests(SynchronousTestCase):
    def texts(self, of: Prepared) -> list[str]:
        return [block["text"] for block in body_of(of)["system"]]

    def test_inserted(self) -> None:
        """The sentence comes first, what the client said follows in blocks of its own."""
        block = {"type": "text", "text": "S", "cache_control": {"type": "ephemeral"}}
        for system, expected in (
            ("S", [PREAMBLE, "S"]),
            ([block], [PREAMBLE, "S"]),
            ("", [PREAMBLE]),
            ([], [PREAMBLE]),
            (None, [PREAMBLE]),
        ):
            self.assertEqual(self.texts(sent(system=system)), expected)
        self.assertEqual(self.texts(sent()), [PREAMBLE])
        self.assertEqual(body_of(sent(system=[block]))["system"][1], block)

    def test_translated(self) -> None:
        """Another protocol's instructions follow the sentence, too."""
        messages = [{"role": "system", "content": "S"}, {"role": "user", "content": "hi"}]
        asked = call("chat", json.dumps({**BODIES["chat"], "messages": messages}).encode())
        self.assertEqual(self.texts(prepared("claudecode", asked)), [PREAMBLE, "S"])

    def test_there_already(self) -> None:
        """A prompt that begins so stays as it is, also behind Claude Code's book-keeping."""
        books = {"type": "text", "text": "x-anthropic-billing-header: cc_version=2"}
        block = {"type": "text", "text": PREAMBLE}
        for system in (PREAMBLE, f"{PREAMBLE} More.", [block], [books, block]):
            self.assertEqual(body_of(sent(system=system))["system"], system)

    def test_haiku(self) -> None:
        """The small models do not need it."""
        self.assertEqual(body_of(sent(model="claude-haiku-4-5", system="S"))["system"], "S")

    def test_counting(self) -> None:
        """A counting request is sent as it is, with the betas for counting."""
        asked = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "system": "S"}
        for headers, always in ((GENUINE, GENUINE[8][1].split(", ")), ((), ALWAYS)):
            place = call("anthropic", json.dumps(asked).encode(), COUNT, headers)
            found = prepared("claudecode", place)
            self.assertEqual(body_of(found), {**asked, "model": "mapped"})
            expected = dict.fromkeys([*always, "oauth-2025-04-20", "token-counting-2024-11-01"])
            self.assertEqual(betas(found), list(expected))

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(st.sampled_from(["type", "text", "role"]), inner, max_size=3)
            ),
            max_leaves=8,
        )
    )
    def test_anything(self, system: Any) -> None:
        """Whatever stands there, the sentence is first."""
        found = sent(system=system, messages=system, tools=system, thinking=system)
        self.assertEqual(body_of(found)["system"][0]["text"], PREAMBLE)


class ErrorTests(SynchronousTestCase):
    def judged(
        self, status: int, type_: str = "", message: str = "m", headers: Headers = ()
    ) -> ErrorReply:
        body = {"type": "error", "error": {"type": type_, "message": message}}
        reply = json_reply(status, body, headers)
        said = OUTBOUND["anthropic"].decode_reply(status, reply.body)
        assert isinstance(said, ErrorReply)
        return provider("claudecode").judge(reply, said, NOW)

    def test_account_limit(self) -> None:
        """A limit of the account is known by its headers; it rests until that is lifted."""
        limit = "anthropic-ratelimit-unified-"
        for headers, pause in (
            (((f"{limit}reset", str(int(NOW) + 3600)),), 3600.0),
            (((f"{limit}status", "rejected"), (f"{limit}5h-reset", str(int(NOW) + 60))), 60.0),
            (((f"{limit}status", "rejected"), (f"{limit}7d-reset", "2027-01-15T08:01:00Z")), 60.0),
            (((f"{limit}status", "rejected"),), 3600.0),
        ):
            found = self.judged(429, "rate_limit_error", headers=headers)
            self.assertEqual((found.kind, found.retry_after), ("rate_limit", pause))
            self.assertFalse(found.model_only)

    def test_model_limit(self) -> None:
        """Any other limit is about the model; the account may answer for others."""
        allowed: Headers = (
            ("anthropic-ratelimit-unified-status", "allowed"),
            ("anthropic-ratelimit-unified-reset", str(int(NOW) + 3600)),
        )
        for headers in ((), allowed):
            found = self.judged(429, "rate_limit_error", headers=headers)
            self.assertEqual((found.retry_after, found.model_only), (30.0, True))

    def test_fast_mode(self) -> None:
        """What fails for lack of fast mode's credit is told at once, and counts for nothing."""
        found = self.judged(429, "rate_limit_error", "Out of credits for fast mode")
        fault = classify_reply(found)
        self.assertEqual((found.status, found.retry_after), (429, None))
        self.assertFalse(fault.other_credential or fault.next_upstream)
        self.assertEqual(fault.counts, "never")

    def test_revoked(self) -> None:
        """An account that may not is left alone for an hour."""
        found = self.judged(403, "permission_error", "OAuth is not allowed")
        self.assertEqual((found.kind, found.retry_after), ("permission", 3600.0))

    def test_others(self) -> None:
        """The rest is what the protocol says it is."""
        third_party = "Third-party apps now draw from your extra usage, not your plan limits."
        for status, type_, message, kind in (
            (400, "invalid_request_error", third_party, "invalid_request"),
            (400, "invalid_request_error", "prompt is too long", "context_length"),
            (401, "authentication_error", "m", "authentication"),
            (404, "not_found_error", "model", "not_found"),
            (529, "overloaded_error", "m", "overloaded"),
            (500, "api_error", "m", "upstream"),
        ):
            found = self.judged(status, type_, message)
            self.assertEqual((found.kind, found.message), (kind, message))
            self.assertEqual(found.retry_after, None)
        found = self.judged(400, "invalid_request_error", third_party)
        self.assertFalse(classify_reply(found).other_credential)
        self.assertEqual(classify_reply(found).counts, "never")


class CorpusTests(SynchronousTestCase):
    """Recorded requests of the protocol, as clients of a subscription would send them."""

    def test_requests(self) -> None:
        """Claude Code's pass to the byte; others gain the sentence and keep all that they had."""
        for case in cases("anthropic"):
            if case.request is None or b'"model"' not in case.request:
                continue
            model = json.loads(case.request)["model"]
            own = prepared(
                "claudecode", call("anthropic", case.request, headers=GENUINE), model=model
            )
            if "betas" not in json.loads(case.request):
                self.assertEqual(own.http.body, case.request, case.id)
            other = prepared("claudecode", call("anthropic", case.request), model=model)
            found, asked = body_of(other), json.loads(case.request)
            system = found.pop("system", None)
            before = asked.pop("system", None) or []
            asked.pop("betas", None)
            self.assertEqual(found, asked, case.id)
            if "haiku" not in model:
                self.assertEqual(system[0]["text"], PREAMBLE, case.id)
                kept = [{"type": "text", "text": before}] if isinstance(before, str) else before
                self.assertIn(system, ([{"type": "text", "text": PREAMBLE}, *kept], kept), case.id)

    def test_errors(self) -> None:
        """The vendor's words for a run-out token and for overload, as users reported them."""
        for case in cases("anthropic", "errors"):
            status = case.meta["http"]["status"]
            if case.response is None or status not in (401, 529):
                continue
            said = OUTBOUND["anthropic"].decode_reply(status, case.response)
            assert isinstance(said, ErrorReply)
            judged = provider("claudecode").judge(HttpReply(status, (), case.response), said, NOW)
            expected = {401: "authentication", 529: "overloaded"}[status]
            self.assertEqual((judged.kind, judged.retry_after), (expected, None), case.id)
