"""The model and the form of the answer are in the path."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from aiproxy.errors import BadRequest
from aiproxy.wire import gemini
from aiproxy.wire.gemini.paths import target_of


class PathTests(SynchronousTestCase):
    """Reading and writing paths."""

    def test_actions(self) -> None:
        """Three actions; a stream without alt=sse is an array."""
        for path, wanted in (
            ("/v1beta/models/m:generateContent", ("m", "generate", False, False)),
            ("/v1/models/m:streamGenerateContent?alt=sse", ("m", "generate", True, False)),
            ("/v1/models/m:streamGenerateContent?key=k", ("m", "generate", True, True)),
            ("/v1beta/models/m:countTokens", ("m", "count", False, False)),
            (
                "/v1beta/models/tunedModels%2Fa%3Ab:generateContent",
                ("tunedModels/a:b", "generate", False, False),
            ),
            (
                "/v1beta/models/tunedModels/a:generateContent",
                ("tunedModels/a", "generate", False, False),
            ),
        ):
            self.assertEqual(tuple(target_of(path)), wanted, path)

    def test_what_is_not_there(self) -> None:
        """Unknown actions are not found, a missing model is a bad request."""
        for path, status in (
            ("/v1beta/models/m:embedContent", 404),
            ("/v1beta/models/m", 404),
            ("/v1beta/models/:generateContent", 400),
        ):
            error = self.assertRaises(BadRequest, gemini.head, b"{}", path)
            self.assertEqual(error.reply.status, status, path)

    def test_bodies(self) -> None:
        """The routing view refuses what is no JSON object."""
        for body in (b"[]", b"", b"{", b"5"):
            self.assertRaises(BadRequest, gemini.head, body, "/v1/models/m:countTokens")

    def test_way_back(self) -> None:
        """What is asked of an upstream is what would be read."""

        @given(st.text(min_size=1), st.booleans())
        def check(model: str, stream: bool) -> None:
            path = gemini.path_for("x" + model, "generate", stream)
            self.assertEqual(tuple(target_of(path)), ("x" + model, "generate", stream, False))

        check()

    def test_tuned_models(self) -> None:
        """A tuned model is a collection of its own."""
        self.assertEqual(
            gemini.path_for("tunedModels/a b", "count", False),
            "/v1beta/tunedModels/a%20b:countTokens",
        )
