"""Answers cut at a stop sequence."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from aiproxy import ir
from aiproxy.wire.stopping import StopCutter
from tests import strategies

USAGE = ir.Usage(input=3, output=9)


def cut(stop: list[str], *pieces: str) -> tuple[str, str, str]:
    """Text, stop reason and sequence of a streamed answer in these pieces."""
    cutter = StopCutter(stop)
    events: list[ir.Event] = [ir.Started("i", "m"), ir.BlockStarted(0, ir.Text(""))]
    events += [ir.TextDelta(0, piece) for piece in pieces]
    events += [ir.BlockStopped(0), ir.Finished("end", usage=USAGE)]
    reply = ir.fold([seen for event in events for seen in cutter.events(event)])
    assert isinstance(reply, ir.Response)
    (text,) = reply.parts
    assert isinstance(text, ir.Text)
    assert reply.usage == USAGE
    return text.text, reply.stop, reply.stop_sequence


class StopCutterTests(SynchronousTestCase):
    def test_across_deltas(self) -> None:
        """The sequence and all behind it are gone, however it was cut; usage is whole."""
        self.assertEqual(cut(["END"], "abE", "NDcd"), ("ab", "stop_sequence", "END"))
        self.assertEqual(cut(["END"], "abE", "Nope"), ("abENope", "end", ""))
        self.assertEqual(cut([], "abEND"), ("abEND", "end", ""))

    def test_held_back_text_comes_at_the_end(self) -> None:
        """What looked like a beginning is text after all."""
        self.assertEqual(cut(["\n\n"], "ab\n"), ("ab\n", "end", ""))

    @given(
        st.lists(st.text("ab", min_size=1, max_size=3), max_size=3),
        st.text("abc", max_size=12),
        strategies.cuts(),
    )
    def test_equal_to_cutting_the_whole(self, stop: list[str], text: str, cuts: list[int]) -> None:
        """For any text, sequences and deltas."""
        ends = [text.find(sequence) for sequence in stop if sequence in text]
        wanted = text[: min(ends)] if ends else text
        said, reason, sequence = cut(stop, *strategies.split(text, cuts))
        self.assertEqual(said, wanted)
        self.assertEqual(reason, "stop_sequence" if ends else "end")
        self.assertEqual(bool(sequence), bool(ends))

    def test_each_answer_by_itself(self) -> None:
        """Where one answer is cut, another goes on."""
        cutter = StopCutter(["END"])
        other = ir.Answer(1, (ir.Text("cdENDef"),), "max_tokens")
        response = ir.Response("i", "m", (ir.Text("abE"),), "end", others=(other,))
        cut_at = ir.Answer(1, (ir.Text("cd"),), "stop_sequence", "END")
        self.assertEqual(cutter.response(response), ir.replace(response, others=(cut_at,)))

    @given(st.data(), strategies.any_responses(), st.lists(strategies.texts(1, 2), max_size=3))
    def test_streamed_equals_whole(
        self, data: st.DataObject, response: ir.Response, stop: list[str]
    ) -> None:
        """Also beside calls and other blocks, as long as they come one after the other."""
        whole = StopCutter(stop).response(response)
        cutter = StopCutter(stop)
        events = [seen for event in ir.unfold(response) for seen in cutter.events(event)]
        streamed = ir.fold(events)
        assert isinstance(streamed, ir.Response)
        self.assertEqual((streamed.parts, streamed.others), (whole.parts, whole.others))
        self.assertEqual((streamed.stop, streamed.usage), (whole.stop, whole.usage))
