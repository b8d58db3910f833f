"""
Runs trial and ends with one line that counts: `12 passed, 0 failed, 1 skipped`.

    python -m tests.summary tests

Arguments are trial's. The exit status is trial's too, but a run without a single passed test
fails: it shows that nothing was found, not that all is well.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence

_VERDICT = re.compile(r"(?:PASSED|FAILED)(?: \((?P<counts>[a-zA-Z0-9=, ]+)\))?\s*")
_PASSED = ("successes", "expectedFailures")
_FAILED = ("failures", "errors", "unexpectedSuccesses")


def counts(line: str) -> dict[str, int] | None:
    """
    The numbers of trial's last line, None when this is another line.

    Shape: "FAILED (skips=1, failures=2, successes=30)"; a bare "PASSED" counts nothing.
    """
    verdict = _VERDICT.fullmatch(line)
    if verdict is None:
        return None
    return {name: int(n) for name, n in re.findall(r"(\w+)=(\d+)", verdict["counts"] or "")}


def summary(verdict: dict[str, int] | None, status: int) -> tuple[str, int]:
    """
    The closing line and the exit status.

    verdict: what trial counted, None when it ended without saying.
    status: trial's own exit status, which only ever gets worse here.
    """
    counted = verdict or {}
    passed = sum(counted.get(name, 0) for name in _PASSED)
    failed = sum(counted.get(name, 0) for name in _FAILED)
    if status == 0 and (failed or not passed):
        status = 1
    if status != 0:
        failed = max(failed, 1)
    skipped = counted.get("skips", 0)
    return f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""), status


def main(arguments: Sequence[str]) -> int:
    """Trial's output as it comes, then the closing line."""
    command = [sys.executable, "-m", "twisted.trial", *arguments]
    verdict = None
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    ) as trial:
        for line in trial.stdout or ():
            print(line, end="", flush=True)
            verdict = counts(line) or verdict
    line, status = summary(verdict, trial.returncode)
    print(line, flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
