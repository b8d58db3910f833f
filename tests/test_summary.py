"""The closing line of a test run."""

from twisted.trial.unittest import SynchronousTestCase

from tests.summary import counts, summary


class CountsTests(SynchronousTestCase):
    """What is read from trial's output."""

    def test_verdicts(self) -> None:
        """Both verdicts are read, with all their numbers."""
        self.assertEqual(counts("PASSED (skips=1, successes=10)\n"), {"skips": 1, "successes": 10})
        self.assertEqual(counts("FAILED (failures=2, errors=1)\n"), {"failures": 2, "errors": 1})

    def test_nothing_counted(self) -> None:
        """Trial's bare verdict, of a run without tests, counts nothing."""
        self.assertEqual(counts("PASSED\n"), {})

    def test_other_lines(self) -> None:
        """A test's own words are not a verdict."""
        self.assertIsNone(counts("Ran 12 tests in 1.0s\n"))
        self.assertIsNone(counts("the upstream FAILED (failures=3)\n"))


class SummaryTests(SynchronousTestCase):
    """What is made of it."""

    def test_passed(self) -> None:
        """A clean run says so; skipped tests show only when there are some."""
        self.assertEqual(summary({"successes": 10}, 0), ("10 passed, 0 failed", 0))
        self.assertEqual(
            summary({"successes": 8, "expectedFailures": 1, "skips": 2}, 0),
            ("9 passed, 0 failed, 2 skipped", 0),
        )

    def test_failed(self) -> None:
        """Failures, errors and unexpected successes all count, and trial's status is kept."""
        verdict = {"successes": 5, "failures": 1, "errors": 2, "unexpectedSuccesses": 1}
        self.assertEqual(summary(verdict, 3), ("5 passed, 4 failed", 3))

    def test_no_tests(self) -> None:
        """A run that tested nothing, or only skipped, is a failure."""
        self.assertEqual(summary({}, 0), ("0 passed, 1 failed", 1))
        self.assertEqual(summary({"skips": 4}, 0), ("0 passed, 1 failed, 4 skipped", 1))

    def test_died(self) -> None:
        """A run that ended without a verdict is a failure, whatever its status."""
        self.assertEqual(summary(None, 0), ("0 passed, 1 failed", 1))
        self.assertEqual(summary(None, -9), ("0 passed, 1 failed", -9))
