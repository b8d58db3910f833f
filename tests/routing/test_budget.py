"""Second chances run out when everything fails, and come back."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from aiproxy.routing.budget import BURST, PER_SECOND, RetryBudget


class RetryBudgetTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.budget = RetryBudget()

    def spent(self, name: str, now: float) -> int:
        """How many chances there are at that moment, all of them taken."""
        count = 0
        while self.budget.spend(name, now):
            count += 1
        return count

    def test_storm(self) -> None:
        """However many calls fail at once, the upstream is asked a bounded number of times more."""
        self.assertEqual(self.spent("a", 100.0), BURST)
        self.assertEqual(self.spent("a", 100.0), 0)

    def test_pace(self) -> None:
        """Chances come back steadily, and never pile up."""
        self.spent("a", 100.0)
        self.assertEqual(self.spent("a", 101.0), PER_SECOND)
        self.assertEqual(self.spent("a", 10_000.0), BURST)

    def test_names(self) -> None:
        """Upstreams do not share chances; one that is gone is forgotten."""
        self.spent("a", 100.0)
        self.assertTrue(self.budget.spend("b", 100.0))
        self.budget.keep({"b"})
        self.assertEqual(self.spent("a", 100.0), BURST)
