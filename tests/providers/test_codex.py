"""Codex: where calls go, with which headers, and what its errors and answers mean."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from twisted.trial.unittest import SynchronousTestCase

from aiproxy.errors import BadRequest, ErrorReply
from aiproxy.framing import sse
from aiproxy.messages import Credential, Headers, HttpReply, Login
from aiproxy.providers.codex import Restoring
from aiproxy.redaction import Secret
from aiproxy.routing.faults import classify_reply
from aiproxy.wire import INBOUND, OUTBOUND
from tests.corpus import cases
from tests.provider_contract import CANARY, ProviderContract
from tests.providers.samples import (
    BODIES,
    call,
    json_reply,
    jwt,
    prepared,
    provider,
    read_login,
    value,
    values,
)

NOW = 1_800_000_000.0
CODEX: Headers = (
    ("User-Agent", "codex_exec/0.171.0 (Debian 12.0.0; x86_64) xterm"),
    ("originator", "codex_exec"),
    ("version", "0.171.0"),
    ("session-id", "s-1"),
    ("thread-id", "t-1"),
    ("x-client-request-id", "r-1"),
    ("x-codex-turn-metadata", "{}"),
    ("x-openai-subagent", "review"),
    ("x-stainless-lang", "js"),
    ("cookie", "canary"),
)


def login(**tokens: Any) -> Login:
    return read_login("codex", {"tokens": {"access_token": "a", "account_id": "acc-1", **tokens}})


def names(of: Headers) -> set[str]:
    return {name.lower() for name, _ in of}


class ContractTests(ProviderContract, SynchronousTestCase):
    api_type = "codex"
    document: ClassVar = {
        "OPENAI_API_KEY": None,
        "tokens": {"access_token": CANARY, "refresh_token": CANARY, "account_id": "acc-1"},
        "last_refresh": "2027-01-01T00:00:00Z",
    }


class PlaceTests(SynchronousTestCase):
    def test_operations(self) -> None:
        """Answers for everybody, compacting for its own protocol, counting for nobody."""
        codex = provider("codex")
        for wire in INBOUND:
            self.assertTrue(codex.serves(call(wire)))
        self.assertTrue(codex.serves(call("responses", path="/v1/responses/compact")))
        self.assertFalse(codex.serves(call("responses", path="/v1/responses/input_tokens")))
        self.assertFalse(codex.serves(call("anthropic", path="/v1/messages/count_tokens")))

    def test_addresses(self) -> None:
        """The vendor's own, or the operator's; the client's query goes on."""
        base = "https://chatgpt.com/backend-api/codex"
        self.assertEqual(prepared("codex", call("chat")).http.url, f"{base}/responses")
        for path, rest in (
            ("/v1/responses?a=b", "/responses?a=b"),
            ("/v1/responses/compact", "/responses/compact"),
        ):
            asked = call("responses", path=path)
            self.assertEqual(prepared("codex", asked).http.url, base + rest)
            for lines in ("base_url: https://h.test/x", "metadata: {base_url: 'https://h.test/x'}"):
                sent = prepared("codex", asked, lines=lines)
                self.assertEqual(sent.http.url, "https://h.test/x" + rest)

    def test_streams(self) -> None:
        """Answers always come as a stream, compacted conversations never do."""
        for wire in INBOUND:
            sent = prepared("codex", call(wire))
            self.assertTrue(sent.stream)
            self.assertEqual(value(sent, "accept"), "text/event-stream")
        compact = prepared("codex", call("responses", path="/v1/responses/compact"))
        self.assertFalse(compact.stream)
        self.assertEqual(value(compact, "accept"), "application/json")
        self.assertNotIn("stream", json.loads(compact.http.body))


class BodyTests(SynchronousTestCase):
    def test_every_client(self) -> None:
        """Any protocol's question becomes what the backend takes, for the mapped model."""
        for wire in INBOUND:
            body = json.loads(prepared("codex", call(wire)).http.body)
            self.assertEqual(body["model"], "mapped")
            self.assertEqual((body["stream"], body["store"]), (True, False))
            self.assertEqual(body["input"][0]["content"][0]["text"], "hi")
            self.assertNotIn("max_output_tokens", body)

    def test_losses(self) -> None:
        """What the backend lacks is reported like what the protocol lacks."""
        body = {**BODIES["anthropic"], "top_k": 3, "temperature": 0.5}
        sent = prepared("codex", call("anthropic", json.dumps(body).encode()))
        features = [loss.feature for loss in sent.losses]
        self.assertEqual(sorted(features), ["max-output-tokens", "temperature", "top-k"])

    def test_server_state(self) -> None:
        """A conversation that is kept elsewhere is refused, not cut."""
        body = {**BODIES["responses"], "previous_response_id": "resp_1"}
        with self.assertRaises(BadRequest):
            prepared("codex", call("responses", json.dumps(body).encode()))

    def test_one_conversation_one_key(self) -> None:
        """The turns of a conversation share one key: of the prompt cache, and of the session."""
        keys = set()
        for more in ([], [{"role": "assistant", "content": "a"}, {"role": "user", "content": "b"}]):
            messages = [{"role": "user", "content": "hi"}, *more]
            body = {**BODIES["chat"], "messages": messages}
            sent = prepared("codex", call("chat", json.dumps(body).encode()))
            keys.add(json.loads(sent.http.body)["prompt_cache_key"])
            keys.update(values(sent, "session-id"))
        self.assertEqual(len(keys), 1)

    def test_lite(self) -> None:
        """Codex's light mode makes one call at a time unless it says otherwise."""
        body = {**BODIES["responses"], "tools": [{"type": "function", "name": "f"}]}
        asked = call(
            "responses",
            json.dumps(body).encode(),
            headers=(("x-openai-internal-codex-responses-lite", "1"),),
        )
        self.assertIs(json.loads(prepared("codex", asked).http.body)["parallel_tool_calls"], False)


class HeaderTests(SynchronousTestCase):
    def test_account(self) -> None:
        """The login's token and account pay."""
        sent = prepared("codex", call("chat"), login=login())
        self.assertEqual(values(sent, "authorization"), ["Bearer t-canary"])
        self.assertEqual(values(sent, "chatgpt-account-id"), ["acc-1"])
        self.assertEqual(values(sent, "x-openai-fedramp"), [])
        self.assertNotIn(b"canary", sent.http.body)

    def test_no_account(self) -> None:
        """An account that nothing tells of is not named."""
        self.assertEqual(values(prepared("codex", call("chat")), "chatgpt-account-id"), [])

    def test_government(self) -> None:
        """Accounts of the government's cloud are marked."""
        token = jwt({"https://api.openai.com/auth": {"chatgpt_account_is_fedramp": True}})
        sent = prepared("codex", call("chat"), login=login(id_token=token))
        self.assertEqual(values(sent, "x-openai-fedramp"), ["true"])

    def test_codex_passes(self) -> None:
        """Codex's own headers go on as they are, and nothing else does."""
        sent = prepared("codex", call("responses", headers=CODEX))
        for name, text in CODEX[:-2]:
            self.assertEqual(values(sent, name), [text])
        self.assertFalse(names(sent.http.headers) & {"x-stainless-lang", "cookie"})
        self.assertEqual(values(sent, "session_id"), [])

    def test_older_codex(self) -> None:
        """Older names of the session are left as they are, and not doubled."""
        sent = prepared("codex", call("responses", headers=(("session_id", "s-0"),)))
        self.assertEqual((values(sent, "session_id"), values(sent, "session-id")), (["s-0"], []))

    def test_others(self) -> None:
        """Any other client is sent on under the configured name, with nothing made up besides."""
        for asked in (
            call("responses", headers=(("User-Agent", "OpenAI/Python 3"), ("x-app", "a"))),
            call("anthropic", headers=(("User-Agent", "claude-cli/2"), ("session_id", "b"))),
        ):
            sent = prepared("codex", asked)
            self.assertEqual(
                values(sent, "user-agent"),
                ["codex_cli_rs/0.169.0 (Debian 13.0.0; x86_64) unknown"],
            )
            self.assertEqual(
                names(sent.http.headers),
                {
                    "content-type",
                    "accept",
                    "originator",
                    "user-agent",
                    "version",
                    "session-id",
                    "authorization",
                },
            )

    def test_turn_state(self) -> None:
        """The state of a turn comes back from the client to its own account, and to no other."""
        mine = prepared("codex", call("responses"), login=login())
        told = provider("codex").returned(mine, (("X-Codex-Turn-State", "ts-1"), ("a", "b")))
        self.assertEqual(told[1], ("a", "b"))
        asked = call("responses", headers=told)
        self.assertEqual(
            values(prepared("codex", asked, login=login()), "x-codex-turn-state"), ["ts-1"]
        )
        other = login(account_id="acc-2")
        self.assertEqual(values(prepared("codex", asked, login=other), "x-codex-turn-state"), [])
        foreign = call("responses", headers=(("x-codex-turn-state", "ts-0"),))
        self.assertEqual(
            values(prepared("codex", foreign, login=other), "x-codex-turn-state"), ["ts-0"]
        )

    def test_overrides(self) -> None:
        """The table yields to the configuration, and everything to http_headers."""
        lines = "metadata: {originator: mine, version: 9.9, user_agent: '{originator}/{version}'}"
        sent = prepared("codex", call("chat"), lines=lines)
        self.assertEqual(values(sent, "user-agent"), ["mine/9.9"])
        self.assertEqual(values(sent, "version"), ["9.9"])
        lines = 'http_headers: {originator: "", User-Agent: theirs}'
        sent = prepared("codex", call("chat"), lines=lines)
        self.assertEqual((values(sent, "originator"), values(sent, "user-agent")), ([], ["theirs"]))


class ErrorTests(SynchronousTestCase):
    def judged(self, status: int, body: Any, headers: Headers = ()) -> ErrorReply:
        reply = json_reply(status, body, headers)
        said = OUTBOUND["responses"].decode_reply(status, reply.body)
        assert isinstance(said, ErrorReply)
        return provider("codex").judge(reply, said, NOW)

    def test_usage_limit(self) -> None:
        """An account at its limit rests until that is lifted; another one is asked."""
        cases: tuple[tuple[dict[str, Any], float], ...] = (
            ({"resets_at": NOW + 7200, "resets_in_seconds": 5}, 7200.0),
            ({"resets_in_seconds": 90}, 90.0),
            ({"resets_at": NOW - 5}, 20.0),
            ({"resets_at": 10**400, "resets_in_seconds": -(10**400)}, 20.0),
            ({}, 20.0),
        )
        for reset, pause in cases:
            error = {"type": "usage_limit_reached", "message": "limit", **reset}
            found = self.judged(429, {"error": error})
            self.assertEqual((found.kind, found.retry_after), ("rate_limit", pause))
            self.assertTrue(classify_reply(found).other_credential)

    def test_pauses(self) -> None:
        """Other limits name their time in the message, or 20 seconds will do."""
        for message, pause in (
            ("Rate limit reached. Please try again in 1.5s.", 1.5),
            ("try again in 250ms", 0.25),
            ("Try again in 2 m", 120.0),
            ("try again later", 20.0),
        ):
            found = self.judged(429, {"error": {"code": "rate_limit_exceeded", "message": message}})
            self.assertEqual((found.kind, found.retry_after), ("rate_limit", pause))

    def test_overload(self) -> None:
        """The backend's own trouble is its trouble, whatever the status."""
        for status, body in (
            (503, {"error": {"code": "server_is_overloaded", "message": "m"}}),
            (429, {"error": {"code": "slow_down", "message": "m"}}),
            (500, {"error": {"type": "service_unavailable_error", "message": "m"}}),
            (400, {"detail": "The selected model is at capacity."}),
        ):
            found = self.judged(status, body)
            self.assertEqual((found.kind, found.retry_after), ("overloaded", None))

    def test_account(self) -> None:
        """An account that may not is left alone for an hour."""
        for status, body, kind in (
            (403, {"error": {"code": "usage_not_included", "message": "m"}}, "permission"),
            (403, {"detail": "Your account is deactivated"}, "permission"),
            (429, {"error": {"code": "insufficient_quota", "message": "m"}}, "quota"),
        ):
            found = self.judged(status, body)
            self.assertEqual((found.kind, found.retry_after), (kind, 3600.0))
        self.assertIsNone(self.judged(403, {"detail": "Forbidden"}).retry_after)

    def test_requests(self) -> None:
        """A request's own faults are the client's to hear; no other account is tried."""
        for status, body, kind in (
            (400, {"detail": "Invalid input"}, "invalid_request"),
            (400, {"error": {"code": "context_length_exceeded", "message": "m"}}, "context_length"),
            (400, {"error": {"code": "invalid_prompt", "message": "m"}}, "content_policy"),
            (404, {"error": {"code": "model_not_found", "message": "m"}}, "model_not_found"),
        ):
            found = self.judged(status, body)
            self.assertEqual(found.kind, kind)
            self.assertFalse(classify_reply(found).other_credential)
        self.assertEqual(self.judged(401, {}).kind, "authentication")

    def test_mended(self) -> None:
        """A field that is refused by name is taken out, and reported."""
        sent = prepared("codex", call("responses", b'{"model":"m","input":"hi","novelty":1}'))
        refused = self.judged(400, {"detail": "Unsupported parameter: novelty"})
        mended = provider("codex").mended(sent, refused)
        assert mended is not None
        self.assertNotIn("novelty", json.loads(mended.http.body))
        self.assertEqual([loss.feature for loss in mended.losses], ["novelty"])
        self.assertEqual(mended.http.headers, sent.http.headers)
        for detail in ("Unsupported parameter: input", "Unsupported parameter: absent", "Bad"):
            error = self.judged(400, {"detail": detail})
            self.assertIsNone(provider("codex").mended(sent, error))


def event(kind: str, **members: Any) -> sse.Message:
    data = json.dumps({"type": kind, **members}).encode()
    return sse.Message(kind, data, sse.encode(data, kind))


class RestoringTests(SynchronousTestCase):
    def test_names(self) -> None:
        """A shortened name is the client's own again, in events and in whole answers."""
        long = "x" * 70 + 'é"'
        restoring = Restoring({"short_12345678": long})
        item = {
            "type": "function_call",
            "name": "short_12345678",
            "arguments": '{"a":"short_12345678"}',
        }
        message = restoring.message(event("response.output_item.added", output_index=0, item=item))
        found = json.loads(message.data)["item"]
        self.assertEqual((found["name"], found["arguments"]), (long, item["arguments"]))
        self.assertIn(message.data, message.raw)
        self.assertEqual(json.loads(restoring.whole(json.dumps(item).encode()))["name"], long)

    def test_output(self) -> None:
        """A final response without its items gets them, in their order."""
        restoring = Restoring({})
        for index in (1, 0):
            item = {"type": "message", "id": f"m{index}"}
            done = event("response.output_item.done", output_index=index, item=item)
            self.assertIs(restoring.message(done), done)
        last = event("response.completed", response={"id": "r", "output": [], "usage": {}})
        response = json.loads(restoring.message(last).data)["response"]
        self.assertEqual([item["id"] for item in response["output"]], ["m0", "m1"])
        self.assertEqual((response["id"], response["usage"]), ("r", {}))

    def test_whole_output(self) -> None:
        """A final response that has its items stays as it is; so does what cannot be read."""
        restoring = Restoring({})
        restoring.message(event("response.output_item.done", output_index=0, item={"id": "a"}))
        junk = sse.Message("", b'{"type":"response.completed"', b"")
        for message in (
            event("response.completed", response={"output": [{"id": "b"}]}),
            event("codex.rate_limits", primary={}),
            junk,
        ):
            self.assertIs(restoring.message(message), message)

    def test_real_streams(self) -> None:
        """Nothing of a stream changes that is complete and has no shortened names."""
        restoring = Restoring({})
        for kind in ("response.created", "response.output_text.delta", "error"):
            message = event(kind, delta="x")
            self.assertIs(restoring.message(message), message)


class SecretTests(SynchronousTestCase):
    def test_secret(self) -> None:
        """What is prepared never prints the token."""
        sent = prepared("codex", call("chat"), token="tok-canary", login=login())
        self.assertNotIn("canary", repr(sent))
        self.assertNotIn("canary", repr(Credential("a", Secret("canary"), login())))


class CorpusTests(SynchronousTestCase):
    """Recorded traffic of the protocol, as what clients send and what the backend answers."""

    def test_requests(self) -> None:
        """Every recorded request becomes one that the backend takes, or is refused by name."""
        refused = 0
        for case in cases("openai-responses"):
            if case.request is None:
                continue
            try:
                sent = prepared("codex", call("responses", case.request))
            except BadRequest as error:
                refused += 1
                self.assertIn(error.reply.param, KEPT_BY_THE_VENDOR, case.id)
                continue
            body = json.loads(sent.http.body)
            asked = json.loads(case.request)
            self.assertEqual((body["stream"], body["store"]), (True, False))
            self.assertFalse(DELETED & body.keys(), case.id)
            if isinstance(asked["input"], list):
                self.assertEqual(len(body["input"]), len(asked["input"]), case.id)
            again = prepared("codex", call("responses", sent.http.body))
            self.assertEqual(json.loads(again.http.body), body, case.id)
        self.assertLess(refused, 20)

    def test_light_codex(self) -> None:
        """A recorded turn of Codex's light mode goes on as it is, but for what it leaves unsaid."""
        for case in cases("openai-responses", "codex"):
            if case.kind == "request-only" and case.request is not None:
                sent = json.loads(prepared("codex", call("responses", case.request)).http.body)
                asked = json.loads(case.request)
                self.assertEqual(sent["input"], asked["input"])

    def test_usage_limit(self) -> None:
        """The backend's own words for a used-up subscription."""
        (case,) = (case for case in cases("openai-responses", "codex") if case.kind == "error")
        assert case.response is not None
        said = OUTBOUND["responses"].decode_reply(429, case.response)
        assert isinstance(said, ErrorReply)
        reply = HttpReply(429, (), case.response)
        judged = provider("codex").judge(reply, said, 1772180859 - 60.0)
        self.assertEqual((judged.kind, judged.retry_after), ("rate_limit", 60.0))

    def test_streams(self) -> None:
        """A recorded stream passes to the byte; without its final output that is made up for."""
        for case in cases("openai-responses"):
            if case.stream is None:
                continue
            decoder = sse.SSEDecoder()
            messages = [*decoder.feed(case.stream), *decoder.close()]
            as_it_is = Restoring({})
            emptied = Restoring({})
            for message in messages:
                bare, items = without_output(message)
                passed = as_it_is.message(message)
                if bare is message or items:
                    self.assertIs(passed, message, case.id)
                found = emptied.message(bare)
                if items:
                    response = json.loads(found.data)["response"]
                    # Some gateways give their items other ids at the end.
                    self.assertEqual(kinds(response["output"]), kinds(items), case.id)


DELETED = {"max_output_tokens", "temperature", "top_p", "truncation", "user", "metadata"}
KEPT_BY_THE_VENDOR = ("previous_response_id", "conversation", "background")


def kinds(items: list[Any]) -> list[str]:
    return [item["type"] for item in items]


def without_output(message: sse.Message) -> tuple[sse.Message, list[Any]]:
    """A final response as the backend sends it, and the items that it lacks now."""
    if b'"response.completed"' not in message.data:
        return message, []
    event = json.loads(message.data)
    items = event["response"].get("output") or []
    event["response"]["output"] = []
    return sse.Message(message.event, json.dumps(event).encode(), b""), items
