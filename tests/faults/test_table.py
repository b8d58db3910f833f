"""The fault table, row by row: each for four clients in front of four kinds of upstream."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from tests.faults.running import outcomes
from tests.faults.table import ROWS, Row
from tests.faults.world import running


class TableTests(TestCase):
    """One test for each row; they share one program."""

    timeout = 120


def _test(row: Row) -> Callable[[TableTests], Deferred[None]]:
    async def holds(case: TableTests) -> None:
        complaints = [
            complaint
            for outcome in await outcomes(running(), row)
            for complaint in outcome.complaints()
        ]
        case.assertEqual(complaints, [], "\n" + "\n".join(complaints))

    def test(case: TableTests) -> Deferred[None]:
        return Deferred.fromCoroutine(holds(case))

    test.__doc__ = f"{row.what[0].upper()}{row.what[1:]}: attempts, answer and breaker are as due."
    return test


def _name(row: Row) -> str:
    return "test_" + row.name.replace("-", "_")


for _row in ROWS:
    setattr(TableTests, _name(_row), _test(_row))


class WorldTests(TestCase):
    def test_names(self) -> None:
        """No two rows share a name, and there are enough of them."""
        self.assertEqual(len({_name(row) for row in ROWS}), len(ROWS))
        self.assertGreaterEqual(len(ROWS), 24)

    def test_secrets(self) -> None:
        """Whatever went wrong above, the program's output holds no key."""
        self.assertNotIn("canary", running().program.output())
