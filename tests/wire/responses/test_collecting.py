"""The whole answer that a Responses stream holds."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from aiproxy.errors import UpstreamProtocolError
from aiproxy.framing import sse
from aiproxy.wire.responses.collecting import Collector


def message(event: dict[str, Any]) -> sse.Message:
    [made] = sse.SSEDecoder().feed(sse.encode(json.dumps(event).encode(), event["type"]))
    return made


def done(index: int, **item: Any) -> sse.Message:
    """A finished item."""
    return message({"type": "response.output_item.done", "output_index": index, "item": item})


class CollectorTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.collector = Collector()

    def body(self, response: dict[str, Any], kind: str = "response.completed") -> bytes:
        """The answer after a last event with this response."""
        self.collector.feed(message({"type": kind, "response": response}))
        return self.collector.body()

    def test_the_vendors_own(self) -> None:
        """A response that is complete passes as it is, unknown fields included."""
        self.collector.feed(done(0, type="message", id="other"))
        response = {"id": "r", "output": [{"type": "message", "id": "m"}], "quirk": {"a": [1]}}
        self.assertEqual(json.loads(self.body(response)), response)

    def test_rebuilt(self) -> None:
        """An empty output is made up of the finished items, in their order."""
        for index in (2, 0, 1):
            self.collector.feed(done(index, type="quirk", id=index))
        for kind in ("response.completed", "response.incomplete"):
            outputs: tuple[dict[str, Any], ...] = ({"output": []}, {}, {"output": None})
            for output in outputs:
                said = json.loads(self.body({"id": "r", **output}, kind))
                self.assertEqual([item["id"] for item in said["output"]], [0, 1, 2])
                self.assertEqual(said["id"], "r")

    def test_nothing_said(self) -> None:
        """Without items an empty output stays empty."""
        self.assertEqual(json.loads(self.body({"output": []})), {"output": []})

    def test_no_end(self) -> None:
        """A stream that never says its response is no answer."""
        self.collector.feed(done(0, type="message"))
        self.collector.feed(message({"type": "response.created", "response": {"id": "r"}}))
        self.assertRaises(UpstreamProtocolError, self.collector.body)
