"""
Fuzzes targets with atheris, one after the other, each in a process of its own.

    python -m tests.fuzz [--seconds 60] [TARGET ...]

What a target fails on lies in `build/fuzz/TARGET/found/` afterwards; once it is mended, its file
belongs into `tests/fuzz/inputs/TARGET/`. The inputs that reach new code are kept beside it, and the
next run goes on from them.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from random import Random
from types import FunctionType

from tests.fuzz.spoiling import spoilt
from tests.fuzz.targets import INPUTS, TARGETS

WORK = Path("build/fuzz")
_MAX_INPUT_BYTES = 8192

# None takes a tenth of one, but a machine with other guests may stand still for a minute.
_ONE_INPUT_SECONDS = 120

# Of so many inputs one is changed by atheris's own mutator, which knows what the code compares.
_BYTES_ONCE_IN = 3


def main(arguments: Sequence[str]) -> int:
    """The exit status: 1 when a target failed."""
    parser = argparse.ArgumentParser(prog="tests.fuzz", description="Fuzz what reads bytes.")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--only", help=argparse.SUPPRESS)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    options = parser.parse_args(arguments)
    if options.only:
        return _fuzz(options.only, options.seconds)
    unknown = sorted(set(options.targets) - set(TARGETS))
    if unknown:
        parser.error(f"no such target: {', '.join(unknown)}")
    failed = [name for name in options.targets or TARGETS if not _passes(name, options.seconds)]
    print(f"{len(failed)} targets failed: {', '.join(failed)}" if failed else "nothing found")
    return 1 if failed else 0


def _passes(name: str, seconds: int) -> bool:
    print(f"== {name}, {seconds} s", flush=True)
    command = [sys.executable, "-m", "tests.fuzz", "--only", name, "--seconds", str(seconds)]
    return subprocess.run(command, check=False).returncode == 0


def _fuzz(name: str, seconds: int) -> int:
    try:
        import atheris
    except ImportError:
        sys.exit("tests.fuzz: needs atheris: use `make fuzz`")
    target = TARGETS[name]
    reached, found = WORK / name / "reached", WORK / name / "found"
    for folder in (reached, found):
        folder.mkdir(parents=True, exist_ok=True)
    seeds = list(target.seeds())
    for seed in seeds:
        (reached / hashlib.sha256(seed).hexdigest()).write_bytes(seed)
    for function in _own_functions():
        atheris.instrument_func(function)
    options = [
        "aiproxy",
        f"-max_total_time={seconds}",
        f"-max_len={_MAX_INPUT_BYTES}",
        f"-timeout={_ONE_INPUT_SECONDS}",
        f"-artifact_prefix={found}/",
        "-print_final_stats=1",
        "-verbosity=0",
        str(reached),
    ]
    known = INPUTS / name
    if known.is_dir():
        options.append(str(known))

    def mutated(data: bytes, most: int, seed: int) -> bytes:
        random = Random(seed)
        if not random.randrange(_BYTES_ONCE_IN):
            return bytes(atheris.Mutate(data, most))
        return spoilt(data, seeds, random)[:most]

    atheris.Setup(options, target.run, custom_mutator=mutated if target.is_text else None)
    atheris.Fuzz()
    return 0


def _own_functions() -> list[FunctionType]:
    """Those of the program; how far libraries and tests come says little of an input."""
    return [
        found
        for found in gc.get_objects()
        if isinstance(found, FunctionType) and str(found.__module__).partition(".")[0] == "aiproxy"
    ]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
