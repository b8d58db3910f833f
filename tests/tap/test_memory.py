"""Memory that is used again."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from pathlib import Path
from unittest import skipUnless

from twisted.trial.unittest import SynchronousTestCase

_ROOT = Path(__file__).resolve().parents[2]

_PROGRAM = """\
import resource, sys
from aiproxy.tap.memory import keep_memory

if sys.argv[1] == "kept":
    keep_memory()
def body(size_bytes):
    pieces = [bytes(65_536) for _ in range(size_bytes // 65_536)]
    return b"".join(pieces)
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
body(8 << 20)
before = faults()
for _ in range(10):
    body(8 << 20)
print(faults() - before)
"""


class MemoryTests(SynchronousTestCase):
    """In a process of its own."""

    @skipUnless(hasattr(ctypes.CDLL(None), "mallopt"), "the C library has no such settings")
    def test_large_bodies(self) -> None:
        """The memory of a large body serves for the next one, without being asked for anew."""
        self.assertLess(_faults("kept"), _faults("not kept") / 4)


def _faults(how: str) -> int:
    """Pages that a process asked for, making ten large bodies after the first."""
    command = [sys.executable, "-c", _PROGRAM, how]
    return int(subprocess.check_output(command, cwd=_ROOT, text=True))
