"""What the program takes from clients, and what it lets through to upstreams."""

from __future__ import annotations

import gzip
import json
import zlib
from pathlib import Path
from typing import Any

import brotli  # type: ignore[import-untyped]
import zstandard
from twisted.internet.defer import ensureDeferred

from tests.integration import logins
from tests.integration.cases import API_TYPES, WIRES, ProgramCase, body, outside, path, upstream
from tests.integration.http import answered, get, post

KEY = "client-canary"
SECOND = "client-canary-2"
UNKNOWN_KEY: dict[str, dict[str, Any]] = {
    "anthropic": {"type": "authentication_error"},
    "chat": {"code": "invalid_api_key"},
    "responses": {"code": "invalid_api_key"},
    "gemini": {"status": "UNAUTHENTICATED", "code": 401},
}


class ClientKeyTests(ProgramCase):
    @outside
    async def test_carriers(self) -> None:
        """Each carrier of a key opens each protocol, and no key of a client goes any further."""
        simulator, url = self.simulator()
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        lines = [f"api-key: [{KEY}, {SECOND}]", "upstreams:"]
        for name in API_TYPES:
            lines += [f"  - name: {name}", f"    available_models: [{name}-echo]"]
            lines += [f"    {line}" for line in logins.place(name, url, folder)]
        program = await self.start("\n".join(lines) + "\n")
        for wire in WIRES:
            for api_type in API_TYPES:
                model = f"{api_type}-echo"
                place = program.url + path(wire, model)
                for headers, query in (
                    ({"authorization": f"Bearer {KEY}"}, ""),
                    ({"x-api-key": SECOND}, ""),
                    ({"x-goog-api-key": KEY}, ""),
                    ({}, f"?key={KEY}&a=1"),
                    ({"x-api-key": "wrong-canary", "authorization": f"bearer {KEY}"}, ""),
                ):
                    answer = await post(place + query, body(wire, model), headers)
                    self.assertEqual(answer.status, 200, f"{wire} {headers} {query}")
                    seen = simulator.record.requests[-1]
                    told = f"{seen.path} {seen.headers} {seen.body!r}"
                    self.assertNotIn("client-canary", told)
                    self.assertNotIn("wrong-canary", told)
                    if api_type not in logins.API_TYPES:
                        self.assertIn("upstream-key-canary", told)

    @outside
    async def test_refused(self) -> None:
        """Without a key that is known: 401 in the route's dialect, and no upstream hears of it."""
        simulator, url = self.simulator()
        program = await self.start(f"api-key: {KEY}\nupstreams:\n" + upstream("a", url))
        for wire in WIRES:
            for headers, query in (
                ({}, ""),
                ({"authorization": f"Basic {KEY}"}, ""),
                ({"x-api-key": KEY + "x"}, ""),
                ({}, "?key="),
            ):
                answer = await post(
                    program.url + path(wire, "echo") + query, body(wire, "echo"), headers
                )
                self.assertEqual(answer.status, 401)
                self.assertEqual(answer.headers["www-authenticate"], "Bearer")
                error = answer.json["error"]
                self.assertTrue(error["message"])
                expected = UNKNOWN_KEY[wire]
                self.assertEqual({name: error[name] for name in expected}, expected)
        for place in ("/models", "/v1/models", "/unavailable-models"):
            self.assertEqual((await get(program.url + place)).status, 401)
        for place in ("/healthz", "/readyz", "/"):
            self.assertEqual((await get(program.url + place)).status, 200)
        self.assertEqual(len(simulator.record.requests), 0)


class BodyTests(ProgramCase):
    @outside
    async def test_codings(self) -> None:
        """Bodies come in every coding; upstreams get them plain, or in the one they like."""
        simulator, url = self.simulator()
        program = await self.start(
            "upstreams:\n" + upstream("a", url, more="request_compression: zstd")
        )
        plain = json.dumps(body("anthropic", "echo", "漢字 " * 200)).encode()
        for coding, sent in (
            ("", plain),
            ("gzip", gzip.compress(plain)),
            ("zstd", zstandard.compress(plain)),
            ("br", brotli.compress(plain)),
            ("deflate", zlib.compress(plain)),
            ("gzip, br", brotli.compress(gzip.compress(plain))),
        ):
            headers = {"content-encoding": coding} if coding else {}
            answer = await post(program.url + "/v1/messages", sent, headers)
            self.assertEqual(answer.status, 200, coding)
            self.assertEqual(answer.json["content"][0]["text"], "漢字 " * 200)
            seen = simulator.record.requests[-1]
            self.assertEqual(seen.body, plain)
            self.assertEqual(
                [value for name, value in seen.headers if name.lower() == "content-encoding"],
                ["zstd"],
            )

    @outside
    async def test_limits(self) -> None:
        """Bodies beyond the limit, sent or inflated, are 413 in the route's dialect."""
        simulator, url = self.simulator()
        program = await self.start("max_request_bytes: 20000\nupstreams:\n" + upstream("a", url))
        for wire in WIRES:
            huge = json.dumps(body(wire, "echo", "x" * 30000)).encode()
            for sent, headers in ((huge, {}), (gzip.compress(huge), {"content-encoding": "gzip"})):
                answer = await post(program.url + path(wire, "echo"), sent, headers)
                self.assertEqual(answer.status, 413, wire)
                self.assertIn("20000", answer.json["error"]["message"])
        self.assertEqual(len(simulator.record.requests), 0)

    @outside
    async def test_nonsense(self) -> None:
        """What is no question is 400 in the route's dialect; nobody upstream is blamed for it."""
        simulator, url = self.simulator()
        program = await self.start(
            "circuit_breaker: {failures: 1}\nupstreams:\n" + upstream("a", url, "openai")
        )
        for wire in ("anthropic", "chat", "responses"):
            for sent in (b"", b"null", b"[]", b"{", b'"x"', b'{"model": 7}', b"\xff\xfe"):
                answer = await post(program.url + path(wire, "echo"), sent)
                self.assertEqual(answer.status, 400, f"{wire} {sent!r}: {answer.data!r}")
                self.assertIn("error", answer.json)
        for place in ("/v1beta/models/m:unknownMethod", "/v1beta/models/m"):
            answer = await post(program.url + place, b"{}")
            self.assertIn(answer.status, (404, 405))
            self.assertEqual(answer.json["error"]["code"], answer.status)
        wrong = {**body("anthropic", "echo"), "messages": [{"role": "user", "content": 7}]}
        answer = await post(program.url + "/v1/messages", wrong)
        self.assertEqual(answer.status, 400)
        self.assertIn("messages", answer.json["error"]["message"])
        self.assertEqual((await get(program.url + "/unavailable-models")).json, [])
        self.assertEqual(len(simulator.record.requests), 0)

    @outside
    async def test_too_many_calls(self) -> None:
        """More calls than allowed at a time: 503 with Retry-After, in the route's dialect."""
        simulator, url = self.simulator()
        program = await self.start("max_concurrent_requests: 1\nupstreams:\n" + upstream("a", url))
        first = ensureDeferred(post(program.url + "/v1/messages", body("anthropic", "late-1s")))
        await simulator.record.until(lambda: len(simulator.record.requests) == 1)
        for wire in WIRES:
            answer = await post(program.url + path(wire, "echo"), body(wire, "echo"))
            self.assertEqual(answer.status, 503)
            self.assertEqual(answer.headers["retry-after"], "1")
            self.assertIn("error", answer.json)
        self.assertEqual((await get(program.url + "/healthz")).status, 200)
        self.assertEqual((await first).status, 200)
        answer = await post(program.url + "/v1/messages", body("anthropic", "echo"))
        self.assertEqual(answer.status, 200)


class HeaderTests(ProgramCase):
    @outside
    async def test_allow_list(self) -> None:
        """Headers of the client's protocol go to an upstream that speaks it; nothing else does."""
        simulator, url = self.simulator()
        program = await self.start(
            "upstreams:\n"
            + upstream("a", url, "anthropic", "available_models: [a-echo]")
            + upstream(
                "b",
                url,
                "openai",
                "available_models: [b-echo]\nhttp_headers: {X-Team: research, User-Agent: mine}",
            )
        )
        headers = {
            "user-agent": "claude-cli/2.1.197 (external, cli)",
            "anthropic-beta": "context-management-2025-06-27",
            "anthropic-version": "2023-06-01",
            "x-app": "cli",
            "cookie": "session=canary",
            "x-forwarded-for": "10.1.2.3",
            "x-hop": "canary",
            "connection": "x-hop",
            "te": "trailers",
            "x-unknown": "canary",
        }
        for model in ("a-echo", "b-echo"):
            answer = await post(program.url + "/v1/messages", body("anthropic", model), headers)
            self.assertEqual(answer.status, 200)
        native, foreign = (
            {name.lower(): value for name, value in seen.headers}
            for seen in simulator.record.requests
        )
        for name in ("user-agent", "anthropic-beta", "anthropic-version", "x-app"):
            self.assertEqual(native[name], headers[name])
        self.assertEqual(
            foreign.keys()
            - {"host", "content-type", "content-length", "accept", "accept-encoding"},
            {"user-agent", "authorization", "x-team", "connection"} & foreign.keys(),
        )
        self.assertEqual((foreign["user-agent"], foreign["x-team"]), ("mine", "research"))
        for seen in (native, foreign):
            self.assertNotIn("session", str(seen))
            self.assertNotIn("10.1.2.3", str(seen))
            self.assertNotIn("x-hop", str(seen))
            self.assertNotIn("x-unknown", str(seen))

    @outside
    async def test_losses(self) -> None:
        """What an upstream's protocol cannot carry is named in a header, streamed or not."""
        _, url = self.simulator()
        program = await self.start("upstreams:\n" + upstream("a", url, "openai"))
        for stream in (False, True):
            question = {**body("anthropic", "echo", stream=stream), "top_k": 5}
            answer = await post(program.url + "/v1/messages", question)
            self.assertEqual(answer.status, 200)
            self.assertIn("top-k", answer.headers["x-aiproxy-losses"])

    @outside
    async def test_head_and_options(self) -> None:
        """What clients try first is answered without a key, or refused as they expect it."""
        _, url = self.simulator()
        program = await self.start(f"api-key: {KEY}\nupstreams:\n" + upstream("a", url))
        head = await answered("HEAD", program.url + "/")
        self.assertEqual((head.status, head.data), (200, b""))
        upgrade = await get(
            program.url + "/v1/responses",
            {"upgrade": "websocket", "connection": "upgrade", "authorization": f"Bearer {KEY}"},
        )
        self.assertEqual(upgrade.status, 426)
        wrong = await get(program.url + "/v1/messages", {"x-api-key": KEY})
        self.assertEqual((wrong.status, wrong.headers["allow"]), (405, "POST"))
        self.assertEqual(wrong.json["type"], "error")
        for place in ("/v1/messages/", "//v1/messages", "/v2/nothing"):
            answer = await post(program.url + place, b"{}", {"x-api-key": KEY})
            self.assertEqual(answer.status, 404, place)
            self.assertIn("error", answer.json)
