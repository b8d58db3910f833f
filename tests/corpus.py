"""
The wire corpus: recorded exchanges of real APIs, kept beside this checkout.

It lives in `../shared/corpus` seen from the project's root, or where AIPROXY_CORPUS points.
A clone without it skips the tests that need it; under continuous integration (CI=true)
its absence is a failure, so that those tests can never go missing unnoticed.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any
from unittest import SkipTest

_BESIDE_THE_CHECKOUT = Path(__file__).resolve().parents[2] / "shared" / "corpus"


@dataclass(frozen=True)
class Case:
    """
    One HTTP exchange.

    id: unique; also the name of its folder.
    format: "anthropic", "openai-chat", "openai-responses", "gemini" or "aws-eventstream".
    kind: "stream", "unary", "error" or "request-only".
    features: the corpus's own tags, such as "parallel-tools".
    path: its folder.
    """

    id: str
    format: str
    kind: str
    features: frozenset[str]
    path: Path

    @cached_property
    def request(self) -> bytes | None:
        """The client's body, None when the source kept only the answer."""
        return self._read("request.json")

    @cached_property
    def response(self) -> bytes | None:
        """The body of an answer that is no stream: JSON, or plain text in some errors."""
        return self._read("response.json", "response.txt")

    @cached_property
    def stream(self) -> bytes | None:
        """The bytes of a streamed answer: SSE, or AWS event-stream frames."""
        return self._read("stream.sse", "stream.bin")

    @cached_property
    def digest(self) -> dict[str, Any] | None:
        """What the answer says, in no dialect; None where the corpus has no digest."""
        return self._parse("digest.json")

    @cached_property
    def meta(self) -> dict[str, Any]:
        """Source, licence, HTTP method, host, path, status and headers."""
        return self._parse("meta.json") or {}

    def _read(self, *names: str) -> bytes | None:
        """The first of these files that exists."""
        for name in names:
            file = self.path / name
            if file.exists():
                return file.read_bytes()
        return None

    def _parse(self, name: str) -> dict[str, Any] | None:
        text = self._read(name)
        if text is None:
            return None
        parsed: dict[str, Any] = json.loads(text)
        return parsed


def root() -> Path | None:
    """The corpus's folder, None when this machine has none."""
    folder = Path(os.environ.get("AIPROXY_CORPUS") or _BESIDE_THE_CHECKOUT)
    return folder if (folder / "index.jsonl").is_file() else None


def require() -> Path:
    """
    The corpus's folder, for a test that cannot do without.

    Raises: SkipTest when there is none, AssertionError when there is none and CI=true.
    """
    folder = root()
    if folder is not None:
        return folder
    missing = f"no wire corpus in {_BESIDE_THE_CHECKOUT}; AIPROXY_CORPUS may name another place"
    if os.environ.get("CI") == "true":
        raise AssertionError(missing)
    raise SkipTest(missing)


def cases(format: str, *features: str) -> list[Case]:
    """
    All cases of one format that have all these features, in the corpus's order.

    Raises: as `require`; LookupError when nothing matches, lest a test pass by testing nothing.
    """
    wanted = frozenset(features)
    found = [c for c in _index(require()) if c.format == format and wanted <= c.features]
    if not found:
        raise LookupError(f"the corpus has no {format} case with {sorted(wanted)}")
    return found


@cache
def _index(folder: Path) -> tuple[Case, ...]:
    with (folder / "index.jsonl").open(encoding="utf-8") as lines:
        return tuple(_case(folder, json.loads(line)) for line in lines)


def _case(folder: Path, entry: dict[str, Any]) -> Case:
    return Case(
        id=entry["id"],
        format=entry["format"],
        kind=entry["kind"],
        features=frozenset(entry["features"]),
        path=folder / entry["format"] / entry["id"],
    )
