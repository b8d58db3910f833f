"""What /proc says, added up."""

from __future__ import annotations

import os

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.processes import cpu_seconds, peak_rss_bytes, pss_bytes, ticks_of


class ProcessesTests(SynchronousTestCase):
    """Figures of a line, and of the process that asks."""

    def test_ticks(self) -> None:
        """User and system time, own and dead children's, whatever the program is called."""
        fields = " ".join(str(number) for number in range(3, 53))
        self.assertEqual(ticks_of(f"7 (a) b) 1 (c) {fields}\n"), 14 + 15 + 16 + 17)

    def test_self(self) -> None:
        """A living process has used memory and time."""
        pid = os.getpid()
        self.assertGreater(cpu_seconds(pid), 0)
        self.assertGreaterEqual(peak_rss_bytes(pid), pss_bytes(pid) // 2)
