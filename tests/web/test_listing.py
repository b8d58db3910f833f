"""Model lists in each dialect, page by page."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from aiproxy.errors import BadRequest
from aiproxy.web.listing import LISTINGS

NAMES = sorted(["a", "b/1", "c", "d", "é"])


def page(dialect: str, **query: str) -> Any:
    return json.loads(LISTINGS[dialect].page(NAMES, query))


class AnthropicTests(SynchronousTestCase):
    """Lists with after_id, before_id and limit."""

    def test_whole(self) -> None:
        """Without a query all models come, up to the vendor's default of 20."""
        listed = page("anthropic")
        self.assertEqual([model["id"] for model in listed["data"]], NAMES)
        self.assertEqual((listed["first_id"], listed["last_id"]), (NAMES[0], NAMES[-1]))
        self.assertFalse(listed["has_more"])
        self.assertEqual(listed["data"][0]["type"], "model")

    def test_empty(self) -> None:
        """No models are an empty list."""
        listed = json.loads(LISTINGS["anthropic"].page([], {}))
        self.assertEqual(listed, {"data": [], "first_id": None, "last_id": None, "has_more": False})

    @given(st.integers(1, 7))
    def test_paging(self, limit: int) -> None:
        """Pages forwards, and backwards, give each model once."""
        seen: list[str] = []
        query = {"limit": str(limit)}
        while True:
            listed = page("anthropic", **query)
            seen += [model["id"] for model in listed["data"]]
            if not listed["has_more"]:
                break
            query["after_id"] = listed["last_id"]
        self.assertEqual(seen, NAMES)
        seen, query = [], {"limit": str(limit), "before_id": "\U0010ffff"}
        while True:
            listed = page("anthropic", **query)
            seen[:0] = [model["id"] for model in listed["data"]]
            if not listed["has_more"]:
                break
            query["before_id"] = listed["first_id"]
        self.assertEqual(seen, NAMES)

    def test_wrong_limit(self) -> None:
        """What is no positive number is refused."""
        for limit in ("0", "-1", "x", "1e3", "²", "9" * 5000):
            error = self.assertRaises(BadRequest, page, "anthropic", limit=limit)
            self.assertEqual(error.reply.param, "limit")


class OtherTests(SynchronousTestCase):
    """Chat's list and Gemini's."""

    def test_chat(self) -> None:
        """OpenAI's list has no pages."""
        listed = page("chat", limit="1")
        self.assertEqual(listed["object"], "list")
        self.assertEqual([model["id"] for model in listed["data"]], NAMES)
        self.assertEqual(listed["data"][0]["object"], "model")

    @given(st.integers(1, 7))
    def test_gemini(self, size: int) -> None:
        """Pages by token give each model once, as a resource name."""
        seen: list[str] = []
        token = ""
        while True:
            listed = page("gemini", pageSize=str(size), pageToken=token)
            seen += [model["name"] for model in listed["models"]]
            token = listed.get("nextPageToken", "")
            if not token:
                break
        self.assertEqual(seen, [f"models/{name}" for name in NAMES])

    def test_single(self) -> None:
        """One model has the shape that it has in the list."""
        for dialect, key in (("anthropic", "data"), ("chat", "data"), ("gemini", "models")):
            self.assertEqual(json.loads(LISTINGS[dialect].single("a")), page(dialect)[key][0])
