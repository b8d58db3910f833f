"""What the benchmarks send is what the wires mean by it."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from aiproxy import ir
from aiproxy.framing.sse import SSEDecoder
from aiproxy.providers import API_TYPES
from aiproxy.settings import Source, parse
from aiproxy.wire import INBOUND, OUTBOUND
from benchmarks import bodies
from benchmarks.subjects import KINDS, configuration
from benchmarks.upstream import encoded


class BodiesTests(SynchronousTestCase):
    """Requests, answers and the configuration that joins them."""

    def test_requests(self) -> None:
        """Every request can be read, and names a model that the configuration has."""
        source = Source("config.yaml", {}, lambda path: "", API_TYPES)
        settings = parse(configuration(8000, 9000), source)
        for kind in (*KINDS, "plain-1m"):
            for client in bodies.PATHS:
                body = bodies.request(kind, client, "chat")
                request = INBOUND[client].decode_request(body, bodies.PATHS[client])
                self.assertTrue(any(one.serves(request.model) for one in settings.upstreams))

    def test_agent_turn(self) -> None:
        """About 64 KB with 16 tools; its answer has its deltas, and a call in its pieces."""
        size = len(bodies.request("agent", "anthropic", "chat"))
        self.assertLess(abs(size - 65536), 8192)
        for wire, path in bodies.PATHS.items():
            events = self.events(wire, bodies.answers()[f"/agent{path}"])
            texts = [event for event in events if isinstance(event, ir.TextDelta)]
            pieces = [event for event in events if isinstance(event, ir.ArgumentsDelta)]
            self.assertEqual(len([one for one in texts if one.text]), bodies.AGENT_DELTAS)
            self.assertEqual(len([one for one in pieces if one.text]), bodies.AGENT_PIECES)
            self.assertIsInstance(events[-1], ir.Finished)

    def test_whole(self) -> None:
        """A plain answer is one."""
        for wire, path in bodies.PATHS.items():
            body = b"".join(bodies.answers()[f"/plain{path}"].pieces)
            self.assertIsInstance(OUTBOUND[wire].decode_reply(200, body), ir.Response)

    def test_encoded(self) -> None:
        """A paced stream is written event by event, another one at once, an endless one open."""
        answers = bodies.answers()
        self.assertEqual(len(encoded(answers["/stream/v1/messages"])), 1)
        paced = encoded(answers["/paced/v1/messages"])
        self.assertEqual(len(paced), len(answers["/paced/v1/messages"].pieces))
        self.assertTrue(paced[-1].endswith(b"0\r\n\r\n"))
        self.assertFalse(encoded(answers["/held/v1/messages"])[0].endswith(b"0\r\n\r\n"))

    def events(self, wire: str, answer: bodies.Answer) -> list[ir.Event]:
        decoder = OUTBOUND[wire].StreamDecoder()
        messages = SSEDecoder().feed(b"".join(answer.pieces))
        return [event for message in messages for event in decoder.feed(message)]
