"""Token counts of many vendors, and stop reasons."""

from __future__ import annotations

import json
from typing import Any, get_args

from hypothesis import given
from twisted.trial.unittest import SynchronousTestCase

from aiproxy import ir
from aiproxy.wire.chat import counting
from tests import strategies


def read(usage: Any) -> ir.Usage | None:
    return counting.decode_usage(ir.JSON(json.dumps(usage).encode()), ir.JSON())


class UsageTests(SynchronousTestCase):
    def test_vendors(self) -> None:
        """Each vendor's cache and reasoning counts are taken out of the sums they are part of."""
        base = {"prompt_tokens": 105, "completion_tokens": 7, "total_tokens": 112}
        inside = {"cached_tokens": 90, "cache_write_tokens": 5}
        for more, expected in (
            ({}, ir.Usage(105, output=7)),
            ({"prompt_tokens_details": inside}, ir.Usage(10, 90, 5, 7)),
            ({"cached_tokens": 90}, ir.Usage(15, 90, 0, 7)),
            ({"prompt_cache_hit_tokens": 90}, ir.Usage(15, 90, 0, 7)),
            ({"cache_read_input_tokens": 200}, ir.Usage(0, 200, 0, 7)),
            ({"completion_tokens_details": {"reasoning_tokens": 4}}, ir.Usage(105, 0, 0, 3, 4)),
            (
                {"completion_tokens_details": {"reasoning_tokens": 4}, "total_tokens": 116},
                ir.Usage(105, 0, 0, 7, 4),
            ),
            ({"prompt_tokens": 105.0, "prompt_tokens_details": None}, ir.Usage(105, output=7)),
        ):
            self.assertEqual(read({**base, **more}), expected, more)

    def test_unknown(self) -> None:
        """No usage, or one of a strange shape, is an unknown one."""
        strange: tuple[Any, ...] = (None, [], "x", {"prompt_tokens": "many"})
        for usage in strange:
            self.assertIsNone(read(usage))

    @given(strategies.usages())
    def test_round_trip(self, usage: ir.Usage) -> None:
        """What is written for a client is read as the same counts."""
        self.assertEqual(read(counting.encode_usage(usage)), usage)


class StopTests(SynchronousTestCase):
    def test_calls_beat_a_plain_stop(self) -> None:
        """Calls make the stop reason, unless the answer was cut."""
        self.assertEqual(counting.stop_of("stop", True), "tool_use")
        self.assertEqual(counting.stop_of("length", True), "max_tokens")
        self.assertEqual(counting.stop_of("content_filter", True), "filtered")
        self.assertEqual(counting.stop_of(None, False), "other")
        self.assertEqual(counting.finish_of("end", True), "tool_calls")
        self.assertEqual(counting.finish_of("stop_sequence", True), "tool_calls")

    def test_no_calls(self) -> None:
        """No client is told of calls that are not there."""
        self.assertEqual(counting.finish_of("tool_use", False), "stop")

    def test_all(self) -> None:
        """Each stop reason has a word that OpenAI's clients know."""
        known = {"stop", "length", "tool_calls", "content_filter"}
        for stop in get_args(ir.StopReason):
            self.assertIn(counting.finish_of(stop, True), known)
