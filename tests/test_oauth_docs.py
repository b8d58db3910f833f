"""docs/oauth-upstreams.md says of each login's api_type what the code has."""

from __future__ import annotations

import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from aiproxy.providers import API_TYPES, PROVIDERS

TEXT = (Path(__file__).resolve().parents[1] / "docs" / "oauth-upstreams.md").read_text("utf-8")
ROW = re.compile(r"^\| `([a-z_0-9]+)` \| (?:`([^`]+)` )?\|", re.MULTILINE)
BY_LOGIN = [name for name in PROVIDERS if API_TYPES[name].credentials == "auth_files"]


def section(api_type: str) -> str:
    """What stands under the heading of its name."""
    return TEXT.partition(f"\n## {api_type}\n")[2].partition("\n## ")[0]


class DocumentTests(SynchronousTestCase):
    def test_metadata(self) -> None:
        """The table of each section is the provider's own, entry by entry."""
        for name in BY_LOGIN:
            self.assertEqual(dict(ROW.findall(section(name))), dict(API_TYPES[name].metadata), name)

    def test_client_secrets(self) -> None:
        """No table holds a client secret."""
        for name in BY_LOGIN:
            for key, value in API_TYPES[name].metadata.items():
                self.assertNotIn("secret", key)
                self.assertNotIn("GOCSPX", value)
