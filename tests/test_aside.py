"""What goes to another thread, and what does not."""

from __future__ import annotations

from threading import get_ident

from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from aiproxy.aside import AT_ONCE, LARGE_BYTES, Aside
from tests.upstream.cases import asynchronous


class AsideTests(TestCase):
    """Where work is done."""

    @asynchronous
    async def test_threads(self) -> None:
        """Work on much is done elsewhere, work on little at once, and all of it where told so."""
        aside = Aside(deferToThread)
        self.assertNotEqual(await aside.run(LARGE_BYTES, get_ident), get_ident())
        self.assertEqual(await aside.run(LARGE_BYTES - 1, get_ident), get_ident())
        self.assertEqual(await AT_ONCE.run(LARGE_BYTES, get_ident), get_ident())

    @asynchronous
    async def test_errors(self) -> None:
        """What the work raises comes out, wherever it was done."""
        for size in (0, LARGE_BYTES):
            with self.assertRaises(ZeroDivisionError):
                await Aside(deferToThread).run(size, lambda: 1 // 0)
