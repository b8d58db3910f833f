"""Paths and the dialects of their errors."""

from __future__ import annotations

from urllib.parse import unquote

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase
from werkzeug.routing import Map, Rule

from aiproxy.errors import BadRequest
from aiproxy.web.routes import Route, Routes, WrongMethod
from aiproxy.wire import INBOUND

ROUTES = (
    *(Route(path, "POST", path, wire.NAME) for wire in INBOUND.values() for path in wire.ROUTES),
    Route("/v1/models", "GET", "list"),
    Route("/v1/models/<path:name>", "GET", "one"),
)

VERSION = (("anthropic-version", "2023-06-01"),)


def routes() -> Routes:
    rules = Map(
        [Rule(route.path, methods=[route.method], endpoint=route.name) for route in ROUTES],
        merge_slashes=False,
    )
    return Routes(rules, ROUTES, INBOUND.values())


class FindTests(SynchronousTestCase):
    """From a path to a route."""

    def setUp(self) -> None:
        self.routes = routes()

    def test_protocols(self) -> None:
        """Each route of each wire is found under its own path."""
        for wire in INBOUND.values():
            for path in wire.ROUTES:
                sent = path.partition("<")[0] + ("m:generateContent" if "<" in path else "")
                self.assertEqual(self.routes.find("POST", sent).wire, wire.NAME)

    def test_methods(self) -> None:
        """One path may mean different things to different methods."""
        self.assertEqual(self.routes.find("GET", "/v1/models/a/b").name, "one")
        self.assertEqual(self.routes.find("HEAD", "/v1/models").name, "list")
        self.assertEqual(self.routes.find("POST", "/v1/models/a:countTokens").wire, "gemini")
        error = self.assertRaises(WrongMethod, self.routes.find, "DELETE", "/v1/models")
        self.assertEqual((error.allowed, error.reply.status), ("GET, HEAD", 405))

    def test_missing(self) -> None:
        """Other spellings of a path are other paths."""
        for path in (
            "",
            "*",
            "/",
            "/v1/messages/",
            "//v1/messages",
            "/v1//messages",
            "/V1/messages",
            "/v1%2Fmessages",
            "/v1/messages%20",
            "/v1/./messages",
            "http://x/v1/messages",
        ):
            error = self.assertRaises(BadRequest, self.routes.find, "POST", path)
            self.assertEqual(error.reply.status, 404, path)

    def test_what_klein_would_not_find(self) -> None:
        """A path whose decoded form is no route is none either; other escapes are a name's."""
        for name in ("%2Fx", "a%0Ab", "%0d%0aX: y"):
            for method, path in (
                ("POST", f"/v1beta/models/{name}:countTokens"),
                ("GET", f"/v1/models/{name}"),
            ):
                error = self.assertRaises(BadRequest, self.routes.find, method, path)
                self.assertEqual(error.reply.status, 404, path)
        for name in ("a%2Fb", "%E6%A8%A1", "a%3Ab", "..%2F..", "a%2F%2Fb"):
            path = f"/v1/models/{name}"
            self.assertEqual(self.routes.find("GET", path).name, "one")
            self.assertEqual(self.routes.parts("GET", path), {"name": unquote(name)})

    @given(st.text(max_size=40), st.sampled_from(["GET", "POST", "\xff"]))
    def test_total(self, path: str, method: str) -> None:
        """Any path gives a route or a BadRequest, and has a dialect."""
        self.assertIn(self.routes.dialect(path, ()), INBOUND)
        try:
            self.routes.find(method, path)
        except BadRequest as error:
            self.assertIn(error.reply.status, (400, 404, 405))


class DialectTests(SynchronousTestCase):
    """Whose error it is."""

    def test_dialects(self) -> None:
        """The protocol that alone has paths beginning so; Chat's for others."""
        for path, dialect in (
            ("/v1/messages", "anthropic"),
            ("/v1/messages/x/y", "anthropic"),
            ("/v1/responses/compact", "responses"),
            ("/v1/responses/resp_1", "responses"),
            ("/v1/chat/completions", "chat"),
            ("/v1beta", "gemini"),
            ("/v1beta/files", "gemini"),
            ("/v1/models/x:generateContent", "gemini"),
            ("/v1/models", "chat"),
            ("/v1/models/x", "chat"),
            ("/v1/embeddings", "chat"),
            ("/", "chat"),
        ):
            self.assertEqual(routes().dialect(path, ()), dialect, path)

    def test_who_asks(self) -> None:
        """Where a path is nobody's alone, Anthropic's SDKs say who they are, and Google's."""
        for path in ("/v1/models", "/v1/models/x", "/v1/files"):
            self.assertEqual(routes().dialect(path, VERSION), "anthropic")
        self.assertEqual(routes().dialect("/v1/models", (("x-goog-api-key", "k"),)), "gemini")
        self.assertEqual(routes().dialect("/v1/chat/completions", VERSION), "chat")
