"""From samples to lines: what a target is compared with."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from benchmarks import measures
from benchmarks.report import Row, Sample, summed, table

PLAIN = Row("plain", "µs", most_floors=0.25)
OTHER = Row("other", "µs", floor="plain", most_floors=0.3)
MEMORY = Row("memory", "MiB", most=60)


class SummedTests(SynchronousTestCase):
    """Medians, ratios and verdicts."""

    def test_ratio(self) -> None:
        """Our median stands against the floor's, and the range is ours."""
        samples = [Sample("plain", "bare", value) for value in (900.0, 800.0, 5000.0)]
        samples += [Sample("plain", "aiproxy", value) for value in (180.0, 9999.0, 170.0)]
        [line] = summed([PLAIN], samples)
        self.assertEqual(line.medians, (None, 900.0, None, 180.0))
        self.assertEqual((line.lowest, line.highest), (170.0, 9999.0))
        self.assertAlmostEqual(line.ratio or 0, 0.2)
        self.assertIs(line.is_met, True)

    def test_floor_of_another_row(self) -> None:
        """A row that the floor cannot run is compared with the one that it names."""
        samples = [Sample("plain", "bare", 100.0), Sample("other", "aiproxy", 31.0)]
        [_, line] = summed([PLAIN, OTHER], samples)
        self.assertAlmostEqual(line.ratio or 0, 0.31)
        self.assertIs(line.is_met, False)

    def test_absolute_target(self) -> None:
        """A target in the row's own unit needs no floor."""
        [line] = summed([MEMORY], [Sample("memory", "aiproxy", 60.0)])
        self.assertIsNone(line.ratio)
        self.assertIs(line.is_met, True)

    def test_nothing_to_judge(self) -> None:
        """Without a floor there is no verdict, and a row that nobody ran is left out."""
        [line] = summed([PLAIN, OTHER], [Sample("plain", "aiproxy", 1.0)])
        self.assertIsNone(line.is_met)


class TableTests(SynchronousTestCase):
    """What people read."""

    def test_table(self) -> None:
        """Columns are aligned; what is not known is empty, what is missed stands out."""
        samples = [Sample("plain", "bare", 812.4), Sample("plain", "aiproxy", 406.2)]
        head, rule, line = table(summed([PLAIN], samples)).splitlines()
        self.assertEqual(len({len(head), len(rule), len(line)}), 1)
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        self.assertEqual(
            cells,
            ["plain", "µs", "", "812", "", "406", "406–406", "0.50", "≤ 0.25 F", "MISSED"],
        )

    def test_rows(self) -> None:
        """No two rows have one name, and every floor that a row names exists."""
        rows = measures.rows()
        names = [row.name for row in rows]
        self.assertEqual(len(set(names)), len(names))
        self.assertLessEqual({row.floor for row in rows if row.floor}, set(names))
