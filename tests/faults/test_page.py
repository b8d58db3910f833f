"""The page that operators read is what the code does."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.faults import page

PAGE = Path(__file__).resolve().parents[2] / "docs" / "faults.md"


class PageTests(SynchronousTestCase):
    def test_is_current(self) -> None:
        """The page is what its generator writes now: `make docs` brings it up to date."""
        is_current = PAGE.read_text("utf-8") == page.page()
        self.assertTrue(is_current, "docs/faults.md is out of date: run `make docs`")
