"""One try: its clocks, its refusals, and answers that are no JSON."""

from __future__ import annotations

import json

from aiproxy.settings import BreakerSettings
from tests.translate.stage import (
    ANSWER,
    BLOCK,
    DELTA,
    END,
    START,
    Stage,
    error_body,
    event,
    upstream,
)


class ClockTests(Stage):
    def test_whole_answers_have_their_own_limit(self) -> None:
        """The head of a whole answer may come when the model has finished, not before."""
        self.start()
        running = self.ask()
        self.clock.advance(599)
        self.assertFalse(running.done.called)
        self.latest.answer(200, ANSWER)
        self.assertEqual(self.ended(running).outcome, "ok")

    def test_head_of_a_stream(self) -> None:
        """A stream has to begin within the limit for heads."""
        self.start(keepalive=0)
        running = self.ask(stream=True)
        self.clock.advance(60)
        self.ended(running)
        self.assertEqual(running.client.status, 504)
        self.assertEqual(json.loads(running.client.data)["error"]["type"], "timeout_error")

    def test_slow_error_body(self) -> None:
        """An error whose body never ends is still its status."""
        self.start(upstream("a"), upstream("b"))
        running = self.ask()
        self.latest.begin(400, content_type="application/json")
        self.latest.write(b'{"type":"error"')
        self.clock.advance(5)
        self.assertEqual(self.asked, "ab")
        self.latest.answer(200, ANSWER)
        self.assertEqual([reply.status for reply in self.ended(running).errors], [400])

    def test_first_event_time(self) -> None:
        """The time of the first content is noted on the translator's clock."""
        self.start()
        running = self.ask(stream=True)
        self.clock.advance(3)
        self.latest.begin()
        self.latest.write(START)
        self.clock.advance(2)
        self.latest.write(BLOCK, DELTA)
        self.clock.advance(1)
        self.latest.write(END)
        self.assertEqual(self.ended(running).first_event, 5)


class VendorWordsTests(Stage):
    def test_quoted_key(self) -> None:
        """A key that an upstream quotes in its error reaches neither client nor log."""
        self.start(upstream("a", tokens=["odd canary"]))
        for wire in ("anthropic", "chat"):
            running = self.ask(wire)
            message = "not to be had with odd canary"
            self.latest.answer(400, error_body("invalid_request_error", message))
            self.assertIn("not to be had", running.client.data.decode())
            said = [
                *running.client.data.decode().splitlines(),
                *map(repr, self.ended(running).errors),
            ]
            self.assertNotIn("canary", "".join(said))

    def test_quoted_key_in_a_good_status(self) -> None:
        """An error inside a 200 is cleaned as well."""
        self.start(upstream("a", tokens=["odd canary"]))
        running = self.ask(stream=True)
        self.latest.begin()
        self.latest.write(event(error_body("invalid_request_error", "is odd canary a key?")))
        self.assertIn(b"a key?", running.client.data)
        self.assertNotIn(b"canary", running.client.data)

    def test_page_of_a_gateway(self) -> None:
        """A client of the same wire gets its own dialect, not what some server in between says."""
        self.start()
        for body in (b"<html><title>413 Too Large</title></html>", b"", b"{}", b"[1", b'"error"'):
            running = self.ask()
            self.latest.answer(413, body)
            self.assertEqual(running.client.status, 413)
            said = json.loads(running.client.data)
            self.assertEqual((said["type"], said["error"]["type"]), ("error", "request_too_large"))


class LossTests(Stage):
    """What of an answer the client's dialect has no place for."""

    answer = json.dumps({**json.loads(ANSWER), "container": {"id": "c"}}).encode()

    def test_of_a_whole_answer(self) -> None:
        """It is named in the header, also when the answer is told as a stream."""
        for stream in (False, True):
            self.start()
            running = self.ask("chat", stream=stream)
            self.latest.answer(200, self.answer)
            trail = self.ended(running)
            self.assertEqual(running.client.header("x-aiproxy-losses"), "container")
            self.assertEqual([loss.feature for loss in trail.losses], ["container"])

    def test_of_an_own_answer(self) -> None:
        """Nothing is, when the bytes go on as they are."""
        for stream in (False, True):
            self.start()
            running = self.ask("anthropic", stream=stream)
            self.latest.answer(200, self.answer)
            self.assertEqual(self.ended(running).losses, ())

    def test_of_a_stream(self) -> None:
        """Too late for the header; the access line has it, also when the stream breaks."""
        search = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}
        block = {"type": "content_block_start", "index": 1, "content_block": search}
        stop = {"type": "content_block_stop", "index": 1}
        searched = b"".join(event(json.dumps(said).encode()) for said in (block, stop))
        for is_cut in (False, True):
            self.start(upstream("a"), keepalive=0)
            running = self.ask("chat", stream=True)
            self.latest.begin()
            self.latest.write(START, BLOCK, DELTA, searched)
            if is_cut:
                self.latest.cut()
            else:
                self.latest.write(END)
            trail = self.ended(running)
            self.assertEqual(trail.outcome, "broken" if is_cut else "ok")
            self.assertIsNone(running.client.header("x-aiproxy-losses"))
            self.assertEqual([loss.feature for loss in trail.losses], ["server-tool-use"])


class StaleProofTests(Stage):
    thinking = {"type": "thinking", "thinking": "hm", "signature": "EqQBstale"}
    call = {"type": "tool_use", "id": "c1", "name": "f", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "c1", "content": "42"}
    messages = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": [thinking, call]},
        {"role": "user", "content": [result]},
    ]
    refusal = error_body(
        "invalid_request_error", "messages.1.content.0: Invalid `signature` in `thinking` block"
    )

    def test_asked_again_without(self) -> None:
        """A proof that the upstream does not know is left out, everything else said again."""
        self.start()
        running = self.ask(messages=self.messages)
        self.assertIn(b"EqQBstale", self.latest.body)
        self.latest.answer(400, self.refusal)
        again = json.loads(self.latest.body)
        self.assertEqual(again["messages"][1]["content"], [self.call])
        self.assertEqual(again["messages"][2]["content"], [self.result])
        self.latest.answer(200, ANSWER)
        trail = self.ended(running)
        self.assertEqual((self.asked, running.client.status), ("aa", 200))
        self.assertEqual([loss.feature for loss in trail.losses], ["reasoning"])

    def test_once(self) -> None:
        """A second refusal is the client's to see."""
        self.start()
        running = self.ask(messages=self.messages)
        self.latest.answer(400, self.refusal)
        self.latest.answer(400, self.refusal)
        self.ended(running)
        self.assertEqual((self.asked, running.client.status), ("aa", 400))


class RefusalTests(Stage):
    def test_huge_error_body(self) -> None:
        """An endless error body is not read to its end."""
        self.start(upstream("a"), upstream("b"))
        self.ask()
        self.latest.begin(500, content_type="text/plain")
        self.latest.write(b"x" * 100_000)
        self.agent.flush()
        self.assertEqual(self.asked, "ab")

    def test_forms_of_retry_after(self) -> None:
        """Milliseconds, seconds and dates are understood; nonsense and eternity are not obeyed."""
        for headers, expected in (
            ({"retry_after_ms": "4500", "retry_after": "60"}, 4.5),
            ({"retry_after": "7"}, 7),
            ({"x_ratelimit_remaining_tokens": "0", "x_ratelimit_reset_tokens": "1m7s"}, 67),
            ({"retry_after": "99999999"}, 1800),
            ({"retry_after": "soon"}, None),
            ({}, None),
        ):
            self.start()
            running = self.ask()
            self.refuse(429, "rate_limit_error", **headers)
            (reply,) = self.ended(running).errors
            self.assertEqual(reply.retry_after, expected, headers)

    def test_dialects(self) -> None:
        """The same refusal in each client's dialect."""
        for wire, place in (
            ("anthropic", ("error", "message")),
            ("chat", ("error", "message")),
            ("responses", ("error", "message")),
            ("gemini", ("error", "message")),
        ):
            self.start()
            running = self.ask(wire)
            self.latest.answer(404, error_body("not_found_error", "no such model"))
            self.ended(running)
            self.assertEqual(running.client.status, 404, wire)
            said = json.loads(running.client.data)
            self.assertIn("no such model", said[place[0]][place[1]])

    def test_web_page(self) -> None:
        """Of a gateway's error page the client sees at most its title."""
        self.start(breaker=BreakerSettings(9, 9, 9))
        running = self.ask("chat")
        page = b"<html><head><title>502 Bad Gateway</title></head>canary</html>"
        while not running.done.called:
            self.latest.answer(502, page, content_type="text/html")
        self.ended(running)
        self.assertEqual(running.client.status, 502)
        self.assertNotIn(b"canary", running.client.data)
        self.assertIn(b"502 Bad Gateway", running.client.data)
