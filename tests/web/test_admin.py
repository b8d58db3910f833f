"""Lists of models, breakers, and signs of life, over real sockets."""

from __future__ import annotations

from dataclasses import replace

from aiproxy.routing.faults import UPSTREAM
from tests.upstream.cases import asynchronous
from tests.web.cases import KEY, WebCase, message_of


class AdminTests(WebCase):
    """Paths that are no protocol's."""

    def open_breaker(self) -> None:
        for _ in range(3):
            pick = self.balancer.pick("m")
            assert pick is not None
            self.balancer.failed(pick, UPSTREAM)

    @asynchronous
    async def test_signs_of_life(self) -> None:
        """/ and /healthz answer without a key, to GET and HEAD."""
        self.require(KEY)
        for path in ("/", "/healthz", "/readyz"):
            answer = await self.get(path)
            self.assertEqual(answer.status, 200)
            self.assertTrue(answer.json())
            head = await self.get(path, method="HEAD")
            self.assertEqual((head.status, head.body), (200, b""))
            self.assertEqual(head.header("content-length"), answer.header("content-length"))
        self.assertEqual(self.records, [])

    @asynchronous
    async def test_readiness(self) -> None:
        """Without an upstream, or while stopping, calls are better sent elsewhere."""
        settings = self.settings
        self.settings = replace(settings, upstreams=())
        self.assertEqual((await self.get("/readyz")).status, 503)
        self.settings = settings
        self.drain.stop(1)
        self.assertEqual((await self.get("/readyz")).status, 503)
        self.assertEqual((await self.get("/healthz")).status, 200)

    @asynchronous
    async def test_key(self) -> None:
        """What tells of models and breakers needs the key."""
        self.require(KEY)
        for path in ("/models", "/unavailable-models", "/v1/models", "/v1/models/m"):
            answer = await self.get(path)
            self.assertEqual(answer.status, 401)
            message_of("chat", answer)
            self.assertEqual((await self.get(path, f"x-api-key: {KEY}")).status, 200)
        self.assertEqual((await self.post("/reset-model", b"{}")).status, 401)

    @asynchronous
    async def test_models(self) -> None:
        """/models is a bare list of what can be answered now."""
        self.assertEqual((await self.get("/models")).json(), ["m", "n/1"])
        self.open_breaker()
        self.assertEqual((await self.get("/models")).json(), ["n/1"])

    @asynchronous
    async def test_breakers(self) -> None:
        """Open breakers are listed with their seconds, and closed by hand."""
        self.assertEqual((await self.get("/unavailable-models")).json(), [])
        self.open_breaker()
        [pair] = (await self.get("/unavailable-models")).json()
        self.assertEqual((pair["upstream_name"], pair["model_name"]), ("one", "m"))
        self.assertEqual(pair["time_to_reset"], 1800.0)
        body = b'{"upstream_name":"one","model_name":"m"}'
        answer = await self.post("/reset-model", body)
        self.assertEqual((answer.status, answer.json()), (200, {"status": "ok"}))
        self.assertEqual((await self.get("/unavailable-models")).json(), [])
        answer = await self.post("/reset-model", body)
        self.assertEqual((answer.status, answer.json()["error"]), (404, "model is not unavailable"))

    @asynchronous
    async def test_bad_reset(self) -> None:
        """What names no pair is a 400 in JSON."""
        for body, reason in (
            (b"", "invalid request body"),
            (b"[]", "invalid request body"),
            (b'{"upstream_name":1}', "invalid request body"),
            (b"[" * 100_000, "invalid request body"),
            (b"{}", "upstream_name and model_name are required"),
            (
                b'{"upstream_name":"one","model_name":""}',
                "upstream_name and model_name are required",
            ),
        ):
            answer = await self.post("/reset-model", body)
            self.assertEqual((answer.status, answer.json()), (400, {"error": reason}))
            self.assertEqual(answer.header("content-type"), "application/json")

    @asynchronous
    async def test_lists(self) -> None:
        """/v1/models speaks to each SDK in its own dialect, /v1beta/models is Gemini's."""
        listed = (await self.get("/v1/models")).json()
        self.assertEqual([model["id"] for model in listed["data"]], ["m", "n/1"])
        self.assertEqual(listed["object"], "list")
        listed = (await self.get("/v1/models?limit=1", "anthropic-version: 2023-06-01")).json()
        self.assertEqual((listed["last_id"], listed["has_more"]), ("m", True))
        for path, header in (
            ("/v1beta/models", "accept: */*"),
            ("/v1/models", "x-goog-api-client: google-genai-sdk/3.4.0"),
        ):
            listed = (await self.get(path, header)).json()
            self.assertEqual(listed["models"][0]["name"], "models/m")
        answer = await self.get("/v1/models?limit=x", "anthropic-version: 2023-06-01")
        self.assertEqual(answer.status, 400)
        message_of("anthropic", answer)

    @asynchronous
    async def test_single(self) -> None:
        """One model, its name percent-encoded or not; an unknown one is a 404."""
        for path in ("/v1/models/n/1", "/v1/models/n%2F1"):
            self.assertEqual((await self.get(path)).json()["id"], "n/1")
        self.assertEqual((await self.get("/v1beta/models/m")).json()["name"], "models/m")
        for dialect, path in (("chat", "/v1/models/x"), ("gemini", "/v1beta/models/x")):
            answer = await self.get(path)
            self.assertEqual(answer.status, 404)
            message_of(dialect, answer)
        self.settings = replace(self.settings, model_fallback={"x": "m"})
        self.assertEqual((await self.get("/v1/models/x")).status, 200)
