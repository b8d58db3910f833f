"""One stream: the commit gate, heartbeats, broken ends, and who is paced by whom."""

from __future__ import annotations

import json

from twisted.internet.defer import CancelledError

from aiproxy.framing import sse
from aiproxy.settings import BreakerSettings
from aiproxy.translate import pairing
from tests.translate.stage import (
    ANSWER,
    BLOCK,
    DELTA,
    END,
    START,
    Running,
    Stage,
    error_body,
    event,
    upstream,
)

PING = event(b'{"type": "ping"}')
ERROR = event(error_body("overloaded_error"))
ONE_FAILURE = BreakerSettings(1, 100, 15)


class GateTests(Stage):
    def test_byte_for_byte(self) -> None:
        """Between equal wires the stream passes as it is, event by event."""
        self.start()
        running = self.ask(stream=True)
        self.latest.begin()
        self.latest.write(START)
        self.assertFalse(running.client.started)
        self.latest.write(BLOCK, DELTA)
        self.assertEqual(running.client.data, START + BLOCK + DELTA)
        self.assertEqual(running.client.header("x-aiproxy-upstream"), "a")
        self.latest.write(DELTA)
        self.assertEqual(running.client.data, START + BLOCK + DELTA + DELTA)
        self.latest.write(END)
        self.assertEqual(running.client.data, START + BLOCK + DELTA + DELTA + END)
        self.assertEqual(running.client.ending, "finished")
        self.latest.end()
        trail = self.ended(running)
        self.assertEqual(trail.outcome, "ok")
        self.assertEqual((trail.usage.input, trail.usage.output), (3, 2))  # type: ignore[union-attr]
        self.assert_no_clock_runs()

    def test_nothing_but_preliminaries(self) -> None:
        """An upstream that never comes to the point fails before it fills the memory."""
        self.patch(pairing, "MAX_HELD_BYTES", 1000)
        self.start(upstream("a"), upstream("b"))
        running = self.ask(stream=True)
        self.latest.begin()
        self.latest.write(PING * 100)
        self.assertEqual(self.asked, "ab")
        self.latest.begin()
        self.latest.write(START, BLOCK, DELTA * 100, END)
        self.assertEqual(self.ended(running).outcome, "ok")

    def test_failures_before_content(self) -> None:
        """Whatever goes wrong before the first content happens unseen: another one answers."""

        def cut(stage: Stage) -> None:
            stage.latest.cut()

        def end(stage: Stage) -> None:
            stage.latest.end()

        def error(stage: Stage) -> None:
            stage.latest.write(ERROR)

        def junk(stage: Stage) -> None:
            stage.latest.write(event(b'{"type":"content_block_delta","index":"x"}'))

        def empty(stage: Stage) -> None:
            stage.latest.write(END.replace(b'"output_tokens":2', b'"output_tokens":0'))

        def silence(stage: Stage) -> None:
            stage.clock.advance(120)

        for trouble in (cut, end, error, junk, empty, silence):
            self.start(upstream("a"), upstream("b"), keepalive=0, breaker=ONE_FAILURE)
            running = self.ask(stream=True)
            self.latest.begin()
            self.latest.write(START, PING)
            trouble(self)
            self.agent.flush()
            self.assertEqual(self.asked, "ab", trouble.__name__)
            self.assertFalse(running.client.started)
            self.latest.begin()
            self.latest.write(START, BLOCK, DELTA, END)
            self.latest.end()
            self.assertEqual(self.ended(running).outcome, "ok")
            self.assertEqual(running.client.data, START + BLOCK + DELTA + END)
            self.assertEqual(running.client.header("x-aiproxy-attempts"), "2")

    def test_trouble_after_content(self) -> None:
        """After content nobody takes over: an error event, and a cut unless that is an end."""

        def cut(stage: Stage) -> None:
            stage.latest.cut()

        def end(stage: Stage) -> None:
            stage.latest.end()

        def junk(stage: Stage) -> None:
            stage.latest.write(event(b'{"type":"content_block_delta","index":"x"}'))

        def silence(stage: Stage) -> None:
            stage.clock.advance(120)

        for trouble in (cut, end, junk, silence):
            for wire in ("anthropic", "chat", "responses", "gemini"):
                self.start(upstream("a"), upstream("b"), keepalive=0, breaker=ONE_FAILURE)
                running = self.ask(wire, stream=True)
                self.latest.begin()
                self.latest.write(START, BLOCK, DELTA)
                self.assertIn(b"hello", running.client.data)
                trouble(self)
                self.agent.flush()
                label = f"{trouble.__name__} {wire}"
                self.assertEqual(self.ended(running).outcome, "broken", label)
                ending = "finished" if wire == "responses" else "aborted"
                self.assertEqual(running.client.ending, ending, label)
                self.assertIn(b'"error"', running.client.data.partition(b"hello")[2], label)
                self.assertEqual(self.asked, "a", label)
                self.assertEqual(len(self.balancer.unavailable()), 1, label)

    def test_junk_behind_content_in_one_read(self) -> None:
        """The client gets the content, unless it has nothing yet and another can take over."""
        junk = event(b'{"type":"content_block_delta","index":"x"}')
        for wire in ("anthropic", "chat", "responses", "gemini"):
            self.start(upstream("a"), upstream("b"), keepalive=0)
            running = self.ask(wire, stream=True)
            self.latest.begin()
            self.latest.write(START + BLOCK + DELTA + junk)
            self.assertEqual(self.asked, "ab", wire)
            self.assertFalse(running.client.started)
            self.latest.begin()
            self.latest.write(START + BLOCK + DELTA)
            self.latest.write(DELTA + junk)
            self.assertEqual(self.ended(running).outcome, "broken", wire)
            self.assertEqual(running.client.data.count(b"hello"), 2, wire)

    def test_error_event_passes_once(self) -> None:
        """An upstream's own late error event is the client's error event, not doubled."""
        self.start()
        running = self.ask(stream=True)
        self.latest.begin()
        self.latest.write(START, BLOCK, DELTA)
        self.latest.write(ERROR)
        self.assertEqual(running.client.data, START + BLOCK + DELTA + ERROR)
        self.assertEqual(running.client.ending, "aborted")
        self.assertEqual(self.ended(running).outcome, "broken")

    def test_an_error_event_that_is_an_end(self) -> None:
        """The one dialect whose error event is an end of its own ends cleanly behind it."""
        self.start(upstream("a", api_type="responses"))
        running = self.ask("responses", stream=True)
        self.latest.begin()
        delta = b'{"type":"response.output_text.delta","output_index":0,"delta":"hello"}'
        failed = (
            b'{"type":"response.failed","response":'
            b'{"status":"failed","error":{"code":"rate_limit_exceeded","message":"slow down"}}}'
        )
        self.latest.write(event(delta), event(failed))
        self.assertTrue(running.client.data.endswith(event(failed)))
        self.assertEqual(running.client.ending, "finished")
        self.assertEqual(self.ended(running).outcome, "broken")

    def test_error_event_without_our_key(self) -> None:
        """A late error that quotes our key reaches no client with it, whatever its dialect."""
        quoting = event(
            b'{"type":"error","error":{"type":"api_error","message":"bad key canary-4711"}}'
        )
        for wire in ("anthropic", "chat", "responses", "gemini"):
            self.start(upstream("a", tokens=("canary-4711",)))
            running = self.ask(wire, stream=True)
            self.latest.begin()
            self.latest.write(START, BLOCK, DELTA, quoting)
            self.assertEqual(self.ended(running).outcome, "broken")
            self.assertIn(b"bad key [redacted]", running.client.data, wire)
            self.assertNotIn(b"canary", running.client.data, wire)

    def test_signs_of_life(self) -> None:
        """Pings neither are a first content nor keep a begun stream alive for ever."""
        self.start(keepalive=0, breaker=ONE_FAILURE)
        running = self.ask(stream=True)
        self.latest.begin()
        self.latest.write(START, BLOCK)
        for _ in range(4):
            self.clock.advance(30)
            self.latest.write(PING)
        self.agent.flush()
        self.ended(running)
        self.assertEqual((running.client.status, self.asked), (504, "a"))
        self.start(keepalive=0, breaker=ONE_FAILURE)
        running = self.ask(stream=True)
        self.latest.begin()
        self.latest.write(START, BLOCK, DELTA)
        # For as long as a whole answer may take, and for one silence more.
        for _ in range(20 + 3):
            self.assertNoResult(running.done)
            self.clock.advance(30)
            self.latest.write(PING)
        self.clock.advance(30)
        self.agent.flush()
        self.assertEqual(self.ended(running).outcome, "broken")
        self.assertEqual(running.client.ending, "aborted")

    def test_hidden_thoughts(self) -> None:
        """A model that has begun to think may do so unseen, as long as its upstream pings."""
        thinking = event(
            b'{"type":"content_block_start","index":0,'
            b'"content_block":{"type":"thinking","thinking":"","signature":""}}'
        )
        for pings, is_alive in ((PING, True), (b": ping\n\n", False)):
            self.start(keepalive=0)
            running = self.ask(stream=True)
            self.latest.begin()
            self.latest.write(START, thinking)
            for _ in range(10):
                self.clock.advance(30)
                self.latest.write(pings)
            self.agent.flush()
            self.assertEqual(not running.done.called, is_alive)
            if is_alive:
                running.done.cancel()
                self.failureResultOf(running.done, CancelledError)

    def test_a_forgotten_end(self) -> None:
        """What an upstream forgets to say after its reason to stop is said for it."""
        last = b"event: message_stop\ndata: "
        unmarked = END.removesuffix(event(b'{"type":"message_stop"}'))
        for wire, mark in (("anthropic", last), ("chat", b"data: [DONE]")):
            self.start()
            running = self.ask(wire, stream=True)
            self.latest.begin()
            self.latest.write(START, BLOCK, DELTA, unmarked)
            self.latest.end()
            self.assertEqual(self.ended(running).outcome, "ok")
            self.assertIn(mark, running.client.data)

    def test_what_follows_the_end(self) -> None:
        """After its terminal event an upstream may linger a moment, then it is cut."""
        self.start()
        running = self.ask(stream=True)
        self.latest.begin()
        self.latest.write(START, BLOCK, DELTA, END)
        self.assertEqual(self.ended(running).outcome, "ok")
        self.assertFalse(self.latest.gone)
        self.clock.advance(1)
        self.agent.flush()
        self.assertTrue(self.latest.gone)
        self.assert_no_clock_runs()

    def test_a_cut_after_the_end(self) -> None:
        """What happens after the terminal event takes nothing from the answer."""
        self.start(breaker=ONE_FAILURE)
        running = self.ask(stream=True)
        self.latest.begin()
        self.latest.write(START, BLOCK, DELTA, END)
        self.latest.cut()
        self.assertEqual(self.ended(running).outcome, "ok")
        self.assertEqual(self.balancer.unavailable(), ())

    def test_whole_answer_to_a_stream(self) -> None:
        """An upstream that ignores `stream` is understood; the client still gets a stream."""
        for wire in ("anthropic", "chat", "responses", "gemini"):
            self.start()
            running = self.ask(wire, stream=True)
            self.latest.answer(200, ANSWER)
            self.assertEqual(self.ended(running).outcome, "ok")
            self.assertEqual(running.client.content_type, "text/event-stream")
            self.assertEqual(running.client.ending, "finished")
            self.assertIn(b"hello", running.client.data)
            self.assertEqual(running.client.header("x-aiproxy-upstream"), "a")

    def test_web_page(self) -> None:
        """A page instead of a stream fails over at once, its body unread."""
        self.start(upstream("a"), upstream("b"))
        self.ask(stream=True)
        self.latest.begin(content_type="text/html; charset=utf-8")
        self.assertEqual(self.asked, "ab")
        self.agent.flush()
        self.assertTrue(self.exchanges[0].gone)


class PaceTests(Stage):
    def test_producer(self) -> None:
        """While a stream runs the client can pause it; afterwards there is nobody to pause."""
        self.start()
        running = self.ask(stream=True)
        self.assertIsNone(running.client.producer)
        self.latest.begin()
        producer = running.client.producer
        assert producer is not None
        self.latest.write(START, BLOCK, DELTA)
        producer.pauseProducing()
        # Our own slowness is not the upstream's silence.
        self.clock.advance(1000)
        self.assertFalse(running.done.called)
        producer.resumeProducing()
        self.latest.write(END)
        self.ended(running)
        self.assertIsNone(running.client.producer)


class HeartbeatTests(Stage):
    def test_before_the_answer(self) -> None:
        """After `keepalive` seconds of silence the stream is opened with a heartbeat."""
        self.start(keepalive=10)
        for wire, beat in (
            ("anthropic", b"event: ping"),
            ("chat", b": keepalive"),
            ("responses", b": keepalive"),
        ):
            running = self.ask(wire, stream=True)
            self.clock.advance(9.9)
            self.assertFalse(running.client.started)
            self.clock.advance(0.1)
            self.assertTrue(running.client.data.startswith(beat))
            self.assertEqual(running.client.content_type, "text/event-stream")
            self.clock.advance(10)
            self.assertEqual(running.client.data.count(beat), 2)
            self.leave(running)

    def test_none_for_gemini(self) -> None:
        """Nothing is ever sent to a Gemini client but data."""
        self.start(keepalive=1)
        running = self.ask("gemini", stream=True)
        self.clock.pump([1] * 30)
        self.assertFalse(running.client.started)
        self.leave(running)

    def test_none_for_whole_answers(self) -> None:
        """A client that waits for a whole answer waits."""
        self.start(keepalive=1)
        running = self.ask()
        self.clock.pump([1] * 30)
        self.assertFalse(running.client.started)
        self.leave(running)

    def test_off(self) -> None:
        """keepalive 0 is none."""
        self.start(keepalive=0)
        running = self.ask(stream=True)
        self.clock.pump([1] * 30)
        self.assertFalse(running.client.started)
        self.leave(running)

    def test_failover_behind_a_heartbeat(self) -> None:
        """An opened stream still takes its answer from whoever gives one."""
        self.start(upstream("a"), upstream("b"), keepalive=5)
        running = self.ask(stream=True)
        self.clock.advance(5)
        beat = running.client.data
        self.assertIn(b"ping", beat)
        self.refuse(500)
        self.assertEqual(self.asked, "ab")
        self.latest.begin()
        self.latest.write(START, BLOCK, DELTA, END)
        self.ended(running)
        self.assertEqual(running.client.data, beat + START + BLOCK + DELTA + END)
        self.assertEqual(running.client.ending, "finished")

    def test_final_failure_behind_a_heartbeat(self) -> None:
        """An opened stream that nobody answers ends in an error event, and a cut where due."""
        for wire in ("anthropic", "chat", "responses"):
            self.start(keepalive=5)
            running = self.ask(wire, stream=True)
            self.clock.advance(5)
            beat = running.client.data
            self.refuse(400, "invalid_request_error")
            self.assertEqual(self.ended(running).outcome, "failed")
            ending = "finished" if wire == "responses" else "aborted"
            self.assertEqual(running.client.ending, ending)
            said = running.client.data.removeprefix(beat)
            self.assertIn(b"as the vendor says", said)
            events = [json.loads(message.data) for message in sse.SSEDecoder().feed(said)]
            self.assertEqual("error" in events[-1], wire != "responses")
            if wire == "responses":
                # Complete, for clients that know a call by its id.
                self.assertEqual(events[-1]["type"], "response.failed")
                self.assertIn("id-1", events[-1]["response"]["id"])

    def test_in_the_middle(self) -> None:
        """Once there is content, a pause is filled with what each dialect's clients count."""
        for wire, beat in (
            ("anthropic", b"event: ping"),
            ("chat", b": keepalive"),
            ("responses", b"event: keepalive\ndata: "),
        ):
            self.start(keepalive=10)
            running = self.ask(wire, stream=True)
            self.latest.begin()
            self.latest.write(START, BLOCK, DELTA)
            self.assertNotIn(beat, running.client.data)
            self.clock.pump([10, 10])
            self.assertIn(beat, running.client.data.partition(b"hello")[2])
            self.latest.write(END)
            self.latest.end()
            self.assertEqual(self.ended(running).outcome, "ok")

    def test_only_while_idle(self) -> None:
        """Where events flow there are no heartbeats; a pause in the middle gets some."""
        self.start(keepalive=10)
        running = self.ask(stream=True)
        self.latest.begin()
        self.latest.write(START, BLOCK)
        for _ in range(5):
            self.clock.advance(6)
            self.latest.write(DELTA)
        self.assertNotIn(b"ping", running.client.data)
        self.clock.pump([10, 10])
        self.assertIn(b"ping", running.client.data)
        self.latest.write(END)
        self.ended(running)
        self.clock.advance(100)
        self.assertEqual(running.client.ending, "finished")

    def test_an_unreadable_request_is_not_opened(self) -> None:
        """What cannot be understood is refused with its status, not inside a stream."""
        self.start(keepalive=1)
        running = self.ask(stream=True, messages=7)
        self.clock.advance(5)
        self.assertFalse(running.client.started)
        self.refuse(400, "invalid_request_error")
        self.ended(running)
        self.assertEqual(running.client.status, 400)

    def leave(self, running: Running) -> None:
        running.done.cancel()
        self.failureResultOf(running.done, CancelledError)
