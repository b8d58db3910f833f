"""Memory that is used again."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from pathlib import Path
from unittest import skipUnless

from twisted.trial.unittest import SynchronousTestCase

_ROOT = Path(__file__).resolve().parents[2]

_COMMON = """\
import re, resource, sys
from twisted.internet.task import Clock
from aiproxy.tap.memory import KEPT_SECONDS, Memory

calls, clock = [], Clock()
memory = Memory(lambda: len(calls), clock)

def body(size_bytes):
    pieces = [bytes(65_536) for _ in range(size_bytes // 65_536)]
    return b"".join(pieces)
"""

_FAULTS = """\
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

if sys.argv[1] == "kept":
    memory.startService()
body(8 << 20)
before = faults()
for _ in range(10):
    body(8 << 20)
print(faults() - before)
"""
"""Pages that the process asked for, making ten large bodies after the first."""

_RESIDENT = """\
def resident():
    with open("/proc/self/status") as status:
        print(re.search(r"VmRSS:\\s+(\\d+) kB", status.read())[1])

memory.startService()
bodies = [body(1 << 20) for _ in range(64)]
resident()
del bodies[:-1]
calls.append("one")
clock.advance(KEPT_SECONDS)
resident()
calls.clear()
clock.advance(KEPT_SECONDS)
resident()
memory.stopService()
assert not clock.getDelayedCalls()
"""
"""KiB with many large bodies, without them while a call runs, and a minute later without any."""


@skipUnless(hasattr(ctypes.CDLL(None), "mallopt"), "the C library has no such settings")
class MemoryTests(SynchronousTestCase):
    """In a process of its own."""

    def test_large_bodies(self) -> None:
        """The memory of a large body serves for the next one, without being asked for anew."""
        [kept], [as_ever] = (_printed(_FAULTS, how) for how in ("kept", "as ever"))
        self.assertLess(kept, as_ever / 4)

    def test_given_back(self) -> None:
        """When no call runs, what is not used goes back."""
        held, busy, quiet = _printed(_RESIDENT, "kept")
        self.assertGreater(busy, held - 1024)
        self.assertLess(quiet, held - 50 * 1024)


def _printed(program: str, how: str) -> list[int]:
    """The numbers that it prints."""
    command = [sys.executable, "-c", _COMMON + program, how]
    return [int(word) for word in subprocess.check_output(command, cwd=_ROOT, text=True).split()]
