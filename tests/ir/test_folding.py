"""Streams and whole answers become one another without loss."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from aiproxy import ir
from tests import strategies


class FoldingTests(SynchronousTestCase):
    @settings(deadline=None)
    @given(strategies.any_responses())
    def test_unfold_is_undone_by_fold(self, response: ir.Response) -> None:
        """Whatever an answer holds, its stream amounts to it."""
        self.assertEqual(ir.fold(ir.unfold(response)), response)

    @settings(deadline=None)
    @given(st.data(), strategies.any_responses())
    def test_order_of_blocks_in_time_is_nothing(
        self, data: st.DataObject, response: ir.Response
    ) -> None:
        """Blocks that are open at the same time fold as if they had come one by one."""
        events = data.draw(strategies.event_streams(response))
        self.assertEqual(ir.fold(events), ir.fold(ir.unfold(response)))

    def test_an_error_wins(self) -> None:
        """A stream that broke amounts to its error, whatever came before."""
        error = ir.ErrorReply(529, "overloaded", "busy")
        events = (ir.Started("i", "m"), ir.BlockStarted(0, ir.Text("")), ir.Broken(error))
        self.assertEqual(ir.fold(events), error)
        self.assertEqual(tuple(ir.unfold(error)), (ir.Broken(error),))

    def test_no_beginning_or_no_end_is_refused(self) -> None:
        """Half a stream is no answer."""
        self.assertRaises(ValueError, ir.fold, (ir.Finished("end"),))
        self.assertRaises(ValueError, ir.fold, (ir.Started("i", "m"),))

    def test_an_answer_without_its_end_is_none(self) -> None:
        """A further answer that never ended is left out; one that says nothing is there."""
        unended = ir.Other(1, ir.BlockStarted(0, ir.Text("")))
        empty = ir.Other(2, ir.Finished("max_tokens"))
        reply = ir.fold((ir.Started("i", "m"), unended, empty, ir.Finished("end")))
        assert isinstance(reply, ir.Response)
        self.assertEqual(reply.others, (ir.Answer(2, (), "max_tokens"),))

    def test_the_start_stands_in_for_missing_usage(self) -> None:
        """Usage known only at the start is the answer's usage."""
        usage = ir.Usage(input=7)
        reply = ir.fold((ir.Started("i", "m", usage=usage), ir.Finished("end")))
        assert isinstance(reply, ir.Response)
        self.assertEqual(reply.usage, usage)


class ContentTests(SynchronousTestCase):
    def test_what_a_client_would_miss(self) -> None:
        """Text and calls are content; beginnings, empty deltas and ends are not."""
        call = ir.ToolCall("c", "f", "")
        for event in (ir.TextDelta(0, "x"), ir.BlockStarted(0, call)):
            self.assertTrue(ir.is_content(event))
        for other in (
            ir.Started("i", "m"),
            ir.BlockStarted(0, ir.Text("")),
            ir.TextDelta(0, ""),
            ir.Finished("end"),
        ):
            self.assertFalse(ir.is_content(other))

    def test_of_a_further_answer(self) -> None:
        """What a client would miss of one answer it would miss of another."""
        self.assertTrue(ir.is_content(ir.Other(1, ir.TextDelta(0, "x"))))
        self.assertFalse(ir.is_content(ir.Other(1, ir.TextDelta(0, ""))))
        self.assertFalse(ir.is_content(ir.Other(1, ir.Finished("end"))))

    def test_an_empty_answer_that_counted_tokens_was_meant(self) -> None:
        """A model may say nothing; an upstream that counts nothing has failed."""
        self.assertTrue(ir.is_empty("end", None))
        self.assertTrue(ir.is_empty("other", ir.Usage(input=9)))
        self.assertFalse(ir.is_empty("end", ir.Usage(output=2)))
        self.assertFalse(ir.is_empty("filtered", None))

    def test_calls_beat_a_plain_end_only(self) -> None:
        """Beside tool calls a plain end is "tool_use"; a cut answer stays cut."""
        self.assertEqual(ir.settled_stop("end", True), "tool_use")
        self.assertEqual(ir.settled_stop("max_tokens", True), "max_tokens")
        self.assertEqual(ir.settled_stop("end", False), "end")
        self.assertEqual(ir.settled_stop("tool_use", False), "end")
