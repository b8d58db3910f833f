"""Names to scripts, without a socket."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from aiproxy import ir
from aiproxy.simulator import answers
from aiproxy.simulator.behaviour import events_of, script_for
from aiproxy.simulator.script import Cut, Opened, Page, Pause, Question, Refuse, Script, Stall
from tests.simulator.cases import question


def script(model: str, count: int = 0) -> Script:
    """The script for a model of this name."""
    return script_for(Question(question(model), "anthropic", "anthropic", count))


def content(steps: Script) -> list[ir.Event]:
    """The steps that a client would miss."""
    return [
        step
        for step in steps.steps
        if isinstance(step, ir.TextDelta | ir.ReasoningDelta | ir.ArgumentsDelta)
    ]


class NameTests(SynchronousTestCase):
    """How a name is read."""

    def test_words(self) -> None:
        """A word counts wherever it stands, but only as a whole word and in any case."""
        long = script("long").steps
        for name in ("demo-long", "demo/Long", "x.long:free", "LONG"):
            said = [step.text for step in script(name).steps if isinstance(step, ir.TextDelta)]
            self.assertEqual(said, [step.text for step in long if isinstance(step, ir.TextDelta)])
        self.assertLess(len(script("belong").steps), len(long))

    def test_unknown(self) -> None:
        """Any other name is echo."""
        echo = [step.text for step in script("echo").steps if isinstance(step, ir.TextDelta)]
        self.assertEqual("".join(echo), "Hello, 漢字 and 😀!")
        for name in ("", "gpt-5.2", "claude-opus-4-7", "models/gemini-3-pro"):
            said = [step.text for step in script(name).steps if isinstance(step, ir.TextDelta)]
            self.assertEqual(said, echo)

    @settings(max_examples=100, deadline=None)
    @given(st.text(st.sampled_from("-echoltdngskifuj50 2mhacr"), max_size=30))
    def test_any_name(self, name: str) -> None:
        """Whatever the name, there is something to play."""
        self.assertTrue(script(name).steps)

    def test_combined(self) -> None:
        """How it is sent is independent of what is answered."""
        steps = script("slow-50ms-cut-thinking").steps
        self.assertIsInstance(steps[-1], Cut)
        self.assertEqual({step.seconds for step in steps if isinstance(step, Pause)}, {0.05})
        self.assertTrue(any(isinstance(step, ir.ReasoningDelta) for step in steps))


class MannerTests(SynchronousTestCase):
    """How an answer is sent."""

    def test_slow(self) -> None:
        """There is a pause before every piece of content but the first."""
        for name, seconds in (("slow", 0.1), ("slow-50ms", 0.05), ("slow-3s-long", 3.0)):
            slow = script(name)
            pauses = [step.seconds for step in slow.steps if isinstance(step, Pause)]
            self.assertEqual(pauses, [seconds] * (len(content(slow)) - 1))

    def test_starts(self) -> None:
        """late waits before the headers, slow-start behind them."""
        self.assertEqual(script("late-300ms").steps[0], Pause(0.3))
        self.assertEqual(script("slow-start").steps[:2], (Opened(), Pause(2.0)))
        self.assertEqual(script("slow-start-50ms").steps[:2], (Opened(), Pause(0.05)))
        self.assertEqual(sum(isinstance(step, Pause) for step in script("slow-start").steps), 1)

    def test_places(self) -> None:
        """An interruption comes before anything, before the content, or amid it."""
        whole = len(content(script("echo")))
        self.assertEqual(script("stall").steps, (Stall(),))
        self.assertEqual(script("cut-head").steps, (Cut(),))
        self.assertEqual(content(script("cut-start")), [])
        self.assertIsInstance(script("cut-start").steps[0], ir.Started)
        for name in ("cut", "cut-mid", "stall-mid", "broken", "junk"):
            self.assertTrue(0 < len(content(script(name))) < whole, name)
        self.assertEqual(script("cut-error-429").steps[-1], Cut())

    def test_unfinished(self) -> None:
        """All is said, and the end is missing."""
        steps = script("unfinished").steps
        self.assertFalse(any(isinstance(step, ir.Finished) for step in steps))
        self.assertEqual(len(content(script("unfinished"))), len(content(script("echo"))))

    def test_fail_first(self) -> None:
        """As many calls fail as the name says, with the status that it says."""
        for name, status in (("fail-2", 503), ("fail-2-429-long", 429), ("fail-2-then-ok", 503)):
            for count in range(4):
                [*_, last] = script(name, count).steps
                if count < 2:
                    assert isinstance(last, Refuse)
                    self.assertEqual((last.status, last.error.status), (status, status))
                else:
                    self.assertIsInstance(last, ir.Finished)

    def test_flags(self) -> None:
        """Codings and whole answers are marked; pages have their status."""
        self.assertEqual(script("echo-gzip").coding, "gzip")
        self.assertEqual(script("zstd-long").coding, "zstd")
        self.assertTrue(script("whole").whole)
        [page] = script("html-504").steps
        assert isinstance(page, Page)
        self.assertEqual(page.status, 504)


class EventTests(SynchronousTestCase):
    """Whole answers as small events."""

    def test_pieces(self) -> None:
        """The events fold to the answer again, in pieces that are small but not empty."""
        for answer in (answers.long, answers.thinking, answers.tools, answers.refusal):
            asked = Question(
                question("m", tools=(ir.Tool("f", schema=ir.JSON(b'{"properties":{"a":{}}}')),)),
                "gemini",
                "gemini",
            )
            response = answer(asked)
            events = events_of(response)
            self.assertEqual(ir.fold(events), response)
            for event in events:
                if isinstance(event, ir.TextDelta | ir.ArgumentsDelta | ir.ReasoningDelta):
                    self.assertTrue(0 < len(event.text) < 40)

    def test_several(self) -> None:
        """As many answers as were asked for come in turns, differ, and are all paid for."""
        asked = question("m", "a b c", sampling=ir.Sampling(candidates=3))
        single = answers.echo(Question(asked, "chat", "openai"))
        several = answers.several(Question(asked, "chat", "openai"), single)
        texts = [part for answer in several.others for part in answer.parts]
        self.assertEqual(texts, [ir.Text("a b c (1)"), ir.Text("a b c (2)")])
        assert several.usage is not None
        self.assertEqual(several.usage.output, 2 + 3 + 3)
        events = events_of(several)
        self.assertEqual(ir.fold(events), several)
        turns = [event.number if isinstance(event, ir.Other) else 0 for event in events]
        self.assertEqual(turns[1:7], [0, 1, 2] * 2)

    def test_start_knows_no_output(self) -> None:
        """The first event tells the input's tokens only."""
        start = events_of(answers.thinking(Question(question("m"), "anthropic", "anthropic")))[0]
        assert isinstance(start, ir.Started)
        assert start.usage is not None
        self.assertGreater(start.usage.input, 0)
        self.assertEqual((start.usage.output, start.usage.reasoning), (0, 0))
