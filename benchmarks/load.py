"""Closed-loop load, made by wrk, which costs a small part of what any subject costs."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

from benchmarks.processes import cpu_seconds
from benchmarks.subjects import Subject

_SCRIPT = """\
local file = io.open("{body}", "rb")
wrk.method = "POST"
wrk.body = file:read("*a")
wrk.headers["Content-Type"] = "application/json"
wrk.headers["anthropic-version"] = "2023-06-01"
wrk.headers["x-api-key"] = "a-key-of-the-usual-length-0123456789"
wrk.headers["User-Agent"] = "benchmark/1.0"
file:close()
function done(summary, latency, requests)
    local e = summary.errors
    io.write(string.format(
        'RESULT {{"requests": %d, "errors": %d}}\\n',
        summary.requests, e.connect + e.read + e.write + e.status + e.timeout))
end
"""


def check_installed() -> None:
    """Raises: SystemExit that says how to get wrk."""
    if shutil.which("wrk") is None:
        raise SystemExit("benchmarks need wrk: apt-get install wrk (and nginx-light for its rows)")


def closed_loop(
    subject: Subject,
    path: str,
    body: bytes,
    *,
    connections: int,
    seconds: int,
    folder: Path,
) -> float:
    """
    Every connection asks again as soon as it has its answer; gives CPU seconds for each call.

    Raises: RuntimeError when an answer was wrong or none came.
    """
    (folder / "body.json").write_bytes(body)
    script = folder / "wrk.lua"
    script.write_text(_SCRIPT.format(body=folder / "body.json"))
    before = cpu_seconds(subject.pid)
    ran = subprocess.run(
        [
            *("wrk", "--threads", "1", "--connections", str(connections)),
            *("--duration", f"{seconds}s", "--timeout", "30s"),
            *("--script", str(script), f"http://127.0.0.1:{subject.port}{path}"),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    spent = cpu_seconds(subject.pid) - before
    result = json.loads(ran.stdout.rpartition("RESULT ")[2])
    if result["errors"] or not result["requests"]:
        raise RuntimeError(f"{subject.name} {path}: {ran.stdout}")
    return float(spent / result["requests"])
