"""Choices that conversations stay with."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from aiproxy.routing.affinity import Affinity


class AffinityTests(SynchronousTestCase):
    def test_latest_choice(self) -> None:
        """The latest choice counts; what was never chosen is not known."""
        affinity: Affinity[str, str] = Affinity()
        self.assertIsNone(affinity.choice("c"))
        affinity.chosen("c", "x")
        affinity.chosen("c", "y")
        self.assertEqual(affinity.choice("c"), "y")
        self.assertEqual(len(affinity), 1)

    def test_bounded(self) -> None:
        """The key unused for longest makes room."""
        affinity: Affinity[int, str] = Affinity(max_entries=3)
        for key in range(3):
            affinity.chosen(key, "x")
        affinity.choice(0)
        affinity.chosen(3, "x")
        kept = [key for key in range(4) if affinity.choice(key) is not None]
        self.assertEqual(kept, [0, 2, 3])
