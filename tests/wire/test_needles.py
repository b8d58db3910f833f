"""Searching in large texts."""

from __future__ import annotations

import json

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from aiproxy.wire.needles import LARGE_BYTES, holds, place
from tests import strategies

_PIECES = st.binary(max_size=6) | st.text("ab\0", max_size=6).map(str.encode)


class HoldsTests(SynchronousTestCase):
    @given(_PIECES, st.lists(_PIECES, max_size=6), _PIECES)
    def test_equal_to_in(self, filling: bytes, pieces: list[bytes], needle: bytes) -> None:
        """Whatever the text repeats, and whether it is found or not."""
        text = filling.join((b"", *pieces)) + (filling or b"a") * (2 * LARGE_BYTES)
        for body in (text, text + needle, text + needle[:-1], b"".join(pieces)):
            self.assertEqual(holds(body, needle), needle in body)


class PlaceTests(SynchronousTestCase):
    @given(strategies.json_values(), strategies.json_values(), st.booleans())
    def test_read_from_it(self, before: object, value: object, is_twice: bool) -> None:
        """What was read from a text stands where it was read, also where it could stand twice."""
        head = b'{"a":%b,"b":' % json.dumps(value if is_twice else before).encode()
        text = head + json.dumps(value).encode() + b"}"
        part = msgspec.json.decode(text, type=dict[str, msgspec.Raw])["b"]
        self.assertEqual(place(part, text), len(head))

    def test_not_read_from_it(self) -> None:
        """What has bytes of its own stands nowhere."""
        text = b'{"a":1}'
        for other in (b'{"a":1}'[:], b'{"a":17}', b'{"aa":1} '):
            read = msgspec.json.decode(bytes(bytearray(other)), type=dict[str, msgspec.Raw])
            (part,) = read.values()
            self.assertIsNone(place(part, text))
        self.assertIsNone(place(msgspec.Raw(b"1"), text))
        self.assertIsNone(place(msgspec.Raw(), text))
