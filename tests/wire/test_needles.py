"""Searching in large texts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from aiproxy.wire.needles import LARGE_BYTES, holds, position

_PIECES = st.binary(max_size=6) | st.text("ab\0", max_size=6).map(str.encode)


class PositionTests(SynchronousTestCase):
    @given(_PIECES, st.lists(_PIECES, max_size=6), _PIECES, st.integers(0, 3 * LARGE_BYTES))
    def test_equal_to_find(
        self, filling: bytes, pieces: list[bytes], needle: bytes, start: int
    ) -> None:
        """Whatever the text repeats, wherever the search begins, and whether it is found or not."""
        text = filling.join((b"", *pieces)) + (filling or b"a") * (2 * LARGE_BYTES)
        for body in (text, text + needle, text + needle[:-1], b"".join(pieces)):
            for begin in (0, start, max(len(body) - len(needle), 0)):
                self.assertEqual(position(body, needle, begin), body.find(needle, begin))
            self.assertEqual(holds(body, needle), needle in body)
