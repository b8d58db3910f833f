"""What `--check` says of auth files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from aiproxy.services.logincheck import described
from tests.services.samples import ACME, acme, auth_file

NOW = 1_800_000_000.0


class DescribedTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()

    def said(self, *files: Path, **changed: Any) -> str:
        upstreams = [replace(acme("one", *files), **changed)]
        return "\n".join(described(upstreams, NOW, {"acme": ACME}))

    def test_logins(self) -> None:
        """Which file, whose format, until when, and whether it can be renewed."""
        path = auth_file(self.folder / "a.json", "access-canary", "r-canary", expires=NOW + 60)
        self.assertEqual(
            self.said(path),
            f"one: {path}: written by the vendor's program, is good until 2027-01-15 08:01 UTC, "
            "can be renewed",
        )
        cases: tuple[tuple[dict[str, Any], tuple[str, ...]], ...] = (
            ({"expires": NOW - 60}, ("was good until 2027-01-15 07:59 UTC",)),
            ({"expires": 1e300}, ("good for ever",)),
            ({"refresh": "", "kind": "acme"}, ("written by a proxy", "cannot be renewed")),
            ({"access": ""}, ("has no token yet",)),
            ({"disabled": True}, ("disabled", "does not say how long")),
        )
        for more, words in cases:
            said = self.said(auth_file(path, **{"access": "canary", **more}))
            for word in words:
                self.assertIn(word, said)
            self.assertNotIn("canary", said)

    def test_problems(self) -> None:
        """A file that is no login is named with what it is instead."""
        path = self.folder / "a.json"
        self.assertIn(f"{path}: there is no such file", self.said(path))
        path.write_text("sk-canary-0123456789", "utf-8")
        self.assertIn("API key", self.said(path))
        self.assertNotIn("canary", self.said(path))

    def test_disabled_upstream(self) -> None:
        """Files of an upstream that is switched off are nobody's business."""
        self.assertEqual(self.said(self.folder / "a.json", enabled=False), "")
