"""Several answers in one message."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from aiproxy import ir
from aiproxy.wire.answers import MOST, numbered, wanted
from aiproxy.wire.losses import Losses


@dataclass(frozen=True)
class Told:
    """An answer as some wire has it."""

    index: int | None


def numbers(*told: int | None) -> list[int]:
    return [number for number, _ in numbered([Told(index) for index in told])]


class NumberTests(SynchronousTestCase):
    def test_told(self) -> None:
        """An answer has the number that it tells, whatever the order."""
        self.assertEqual(numbers(0), [0])
        self.assertEqual(numbers(2), [2])
        self.assertEqual(numbers(1, 0, 3), [1, 0, 3])
        self.assertEqual(numbers(), [])

    def test_untold(self) -> None:
        """One that tells none has the first that is free."""
        self.assertEqual(numbers(None), [0])
        self.assertEqual(numbers(None, 1), [0, 1])
        self.assertEqual(numbers(1, None), [1, 0])
        self.assertEqual(numbers(None, None, None), [0, 1, 2])

    def test_nonsense(self) -> None:
        """A number that came before or cannot be is passed over."""
        self.assertEqual(numbers(0, 0), [0])
        self.assertEqual(numbers(-1, MOST, 1 << 70, 1), [1])
        self.assertEqual(len(numbers(*[None] * (MOST + 9))), MOST)

    @given(st.lists(st.none() | st.integers(-2, MOST + 2), max_size=9))
    def test_each_once(self, told: list[int | None]) -> None:
        """No number is given twice, and none beyond the most."""
        found = numbers(*told)
        self.assertEqual(len(set(found)), len(found))
        self.assertTrue(all(0 <= number < MOST for number in found))


class WantedTests(SynchronousTestCase):
    OTHERS = tuple(ir.Answer(number, (), "end") for number in (1, 3))
    RESPONSE = ir.Response("i", "m", (), "end", others=OTHERS)

    def kept(self, asked: ir.Request | None) -> tuple[list[int], tuple[ir.Loss, ...]]:
        losses = Losses()
        return [answer.number for answer in wanted(self.RESPONSE, asked, losses)], losses.seen()

    def test_as_many_as_were_asked_for(self) -> None:
        """More would be taken for more of the first; they are reported as lost."""
        lost = (ir.Loss("candidates"),)
        for candidates, kept, losses in (
            (None, [], lost),
            (0, [], lost),
            (1, [], lost),
            (2, [1], lost),
            (4, [1, 3], ()),
        ):
            asked = ir.Request("chat", "m", True, (), sampling=ir.Sampling(candidates=candidates))
            self.assertEqual(self.kept(asked), (kept, losses))

    def test_unknown(self) -> None:
        """Where nobody knows what was asked, all are kept."""
        self.assertEqual(self.kept(None), ([1, 3], ()))
