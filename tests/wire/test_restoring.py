"""Tool calls come back in the client's own terms."""

from __future__ import annotations

import json
from itertools import chain

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from aiproxy import ir
from aiproxy.wire.names import NameRule, ToolNames
from aiproxy.wire.restoring import ToolRestorer
from tests import strategies

RULE = NameRule()
TOOLS = (
    ir.Tool("apply patch!", kind="custom"),
    ir.Tool("open", namespace="files"),
    ir.Tool("n" * 80),
)


def sent(at: int) -> str:
    return ToolNames(TOOLS, RULE).sent(TOOLS[at].name, TOOLS[at].namespace)


class ToolRestorerTests(SynchronousTestCase):
    @given(strategies.texts(), strategies.cuts())
    def test_a_custom_tool_gets_its_text_back(self, text: str, cuts: list[int]) -> None:
        """However its stand-in's JSON was cut, streamed and whole alike."""
        arguments = json.dumps({"input": text})
        call = ir.ToolCall("c", sent(0), arguments)
        response = ir.Response("i", "m", (call,), "tool_use")
        restorer = ToolRestorer(TOOLS, RULE)
        events: list[ir.Event] = [
            ir.Started("i", "m"),
            ir.BlockStarted(0, ir.ToolCall("c", sent(0), "")),
        ]
        events += [ir.ArgumentsDelta(0, piece) for piece in strategies.split(arguments, cuts)]
        events += [ir.BlockStopped(0), ir.Finished("tool_use")]
        streamed = ir.fold([seen for event in events for seen in restorer.events(event)])
        whole = ToolRestorer(TOOLS, RULE).response(response)
        self.assertEqual(streamed, whole)
        self.assertEqual(whole.parts, (ir.ToolCall("c", "apply patch!", text, kind="custom"),))

    def test_each_answer_by_itself(self) -> None:
        """Calls in the same place of several answers are not mixed up, streamed and whole alike."""
        parts = [(ir.ToolCall(str(at), sent(0), f'{{"input":"{at}"}}'),) for at in range(2)]
        other = ir.Answer(1, parts[1], "tool_use")
        response = ir.Response("i", "m", parts[0], "tool_use", others=(other,))
        events = list(ir.unfold(response))
        half = len(events) // 2
        in_turns = [
            events[0],
            *chain.from_iterable(zip(events[1:half], events[half:-2], strict=True)),
            *events[-2:],
        ]
        restorer = ToolRestorer(TOOLS, RULE)
        streamed = ir.fold([seen for event in in_turns for seen in restorer.events(event)])
        whole = ToolRestorer(TOOLS, RULE).response(response)
        self.assertEqual(streamed, whole)
        self.assertEqual(whole.parts, (ir.ToolCall("0", "apply patch!", "0", kind="custom"),))
        restored = (ir.ToolCall("1", "apply patch!", "1", kind="custom"),)
        self.assertEqual(whole.others[0].parts, restored)

    @given(st.sampled_from((1, 2)), strategies.json_objects())
    def test_names_come_back_and_arguments_stream(self, at: int, arguments: str) -> None:
        """A renamed function keeps its deltas live."""
        restorer = ToolRestorer(TOOLS, RULE)
        (start,) = restorer.events(ir.BlockStarted(0, ir.ToolCall("c", sent(at), "")))
        tool = TOOLS[at]
        self.assertEqual(
            start, ir.BlockStarted(0, ir.ToolCall("c", tool.name, "", namespace=tool.namespace))
        )
        delta = ir.ArgumentsDelta(0, arguments)
        self.assertEqual(tuple(restorer.events(delta)), (delta,))

    def test_a_stand_in_called_wrongly_keeps_what_it_said(self) -> None:
        """Text that is not the wrapper is passed on as the tool's text."""
        call = ir.ToolCall("c", sent(0), "*** Begin Patch")
        whole = ToolRestorer(TOOLS, RULE).response(ir.Response("i", "m", (call,), "tool_use"))
        self.assertEqual(
            whole.parts, (ir.ToolCall("c", "apply patch!", "*** Begin Patch", kind="custom"),)
        )

    def test_targets_with_custom_tools_need_none_of_this(self) -> None:
        """Their calls pass as they are."""
        rule = NameRule(custom=True)
        name = ToolNames(TOOLS, rule).sent("apply patch!")
        call = ir.ToolCall("c", name, "raw", kind="custom")
        whole = ToolRestorer(TOOLS, rule).response(ir.Response("i", "m", (call,), "tool_use"))
        self.assertEqual(whole.parts, (ir.ToolCall("c", "apply patch!", "raw", kind="custom"),))
