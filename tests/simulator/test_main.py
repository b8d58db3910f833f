"""The simulator as a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

_ROOT = Path(__file__).resolve().parents[2]


class MainTests(SynchronousTestCase):
    """python -m aiproxy.simulator"""

    def test_answers(self) -> None:
        """It says where it listens, and answers there."""
        command = [sys.executable, "-m", "aiproxy.simulator", "--port", "0"]
        with subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True) as child:
            try:
                assert child.stdout is not None
                url = child.stdout.readline().strip()
                with urllib.request.urlopen(url + "/_simulator/requests", timeout=10) as answer:
                    self.assertEqual(json.load(answer)["requests"], [])
            finally:
                child.terminate()
