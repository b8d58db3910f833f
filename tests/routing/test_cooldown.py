"""Pauses: each with its own end, never too many."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from aiproxy.routing.cooldown import Cooldowns


class CooldownsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.pauses: Cooldowns[str] = Cooldowns(max_entries=2)

    def test_until_its_end(self) -> None:
        """A pause ends at its time, and then takes no memory."""
        self.pauses.start("a", 10, now=100)
        self.assertEqual([self.pauses.left("a", now) for now in (100, 104, 110)], [10, 6, 0])
        self.assertEqual(len(self.pauses), 0)

    def test_never_shortened(self) -> None:
        """A later, shorter wish does not end a pause sooner; a longer one prolongs it."""
        self.pauses.start("a", 10, now=100)
        self.pauses.start("a", 2, now=101)
        self.assertEqual(self.pauses.left("a", 101), 9)
        self.pauses.start("a", 20, now=101)
        self.assertEqual(self.pauses.left("a", 101), 20)

    def test_no_pause(self) -> None:
        """Nothing asked for, nothing kept."""
        self.pauses.start("a", 0, now=100)
        self.pauses.start("b", -3, now=100)
        self.assertEqual((len(self.pauses), self.pauses.left("a", 100)), (0, 0))

    def test_bounded(self) -> None:
        """The oldest pause goes when there are too many."""
        for key in "abc":
            self.pauses.start(key, 10, now=100)
        self.assertEqual([self.pauses.left(key, 100) for key in "abc"], [0, 10, 10])

    def test_clear_and_keep(self) -> None:
        """Pauses end by hand, one or all that are not wanted."""
        self.pauses.start("a", 10, now=100)
        self.pauses.start("b", 10, now=100)
        self.assertTrue(self.pauses.clear("a"))
        self.assertFalse(self.pauses.clear("a"))
        self.pauses.keep(lambda key: key != "b")
        self.assertEqual(len(self.pauses), 0)
