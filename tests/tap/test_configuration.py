"""The configuration as this program can use it."""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from aiproxy.tap.configuration import usable
from tests.routing.samples import settings, upstream


class UsableTests(SynchronousTestCase):
    """Upstreams that this version cannot speak to."""

    def test_left_out(self) -> None:
        """They are left out, each with a warning; disabled ones are not worth one."""
        good = upstream("good")
        strange = replace(good, name="strange", api_type="strange")
        off = replace(strange, name="off", enabled=False)
        kept = usable(settings(good, strange, off))
        self.assertEqual(kept.upstreams, (good, off))
        self.assertEqual(len(kept.warnings), 1)
        self.assertIn("strange", kept.warnings[0])

    def test_unchanged(self) -> None:
        """Where there are none, nothing changes."""
        self.assertEqual(usable(settings(upstream("a"))), settings(upstream("a")))
