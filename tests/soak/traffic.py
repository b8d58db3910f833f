"""What clients ask in a soak run, and what no answer may ever look like."""

from __future__ import annotations

import random
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from twisted.web.client import ResponseFailed, ResponseNeverReceived

from tests.integration.cases import WIRES, body, path
from tests.integration.http import Arriving, begun

GOOD = ("echo", "long", "thinking", "slow-5ms-echo", "whole-echo", "gzip-echo", "fail-1-echo")
"""Behaviours of the simulator that end well, if need be at another upstream."""

# Not "cut-head": a request lost on a kept connection is sent again, and counted once only here.
BAD = (
    "cut-start-echo",
    "cut-mid-long",
    "broken-mid-long",
    "unfinished-echo",
    "junk-mid-long",
    "error-429",
    "error-500",
    "error-529",
    "context-too-long",
    "empty",
    "html-502",
)
_ENDS = {
    "anthropic": rb"message_stop",
    "chat": rb"\[DONE\]",
    "responses": rb"response\.(completed|incomplete|failed)",
    "gemini": rb'"finishReason"',
}
_ERROR = re.compile(rb'"error": ?\{|event: error|response\.failed')


@dataclass
class Tally:
    """outcomes: how many calls ended how. wrong: what should never have been seen."""

    outcomes: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


class Client:
    """One client that asks one thing after the other, some of it only to leave."""

    def __init__(self, url: str, seed: int, tally: Tally) -> None:
        self._url = url
        self._random = random.Random(seed)
        self._tally = tally
        self._asked = 0

    async def call(self) -> None:
        """One question, and what becomes of it."""
        choose = self._random
        self._asked += 1
        is_good = choose.random() < 0.7
        model = choose.choice(GOOD if is_good else BAD)
        # A name of its own, so that one call's breaker is not another one's.
        model = f"{model}-n{choose.randrange(200)}"
        wire, stream, leaves = choose.choice(WIRES), choose.random() < 0.7, choose.random() < 0.1
        words = f"call {self._asked}"
        question = body(wire, model, words, stream=stream)
        place = self._url + path(wire, model, stream=stream)
        try:
            arriving = await begun("POST", place, question)
        except (ResponseNeverReceived, ResponseFailed) as error:
            self._tally.wrong.append(f"{wire} {model}: {error!r}")
            return
        if leaves:
            await arriving.contains(b"data:")
            arriving.leave()
            self._tally.outcomes["left"] += 1
            return
        await arriving.end()
        self._judge(arriving, wire, model, words, stream=stream, is_good=is_good)

    def _judge(self, arriving: Arriving, wire: str, model: str, words: str, **what: Any) -> None:
        ended = arriving.is_complete and arriving.status == 200
        if ended and what["stream"]:
            has_end = re.search(_ENDS[wire], arriving.data) is not None
        else:
            has_end = bool(ended)
        if not has_end or _ERROR.search(arriving.data):
            self._tally.outcomes["failed" if what["is_good"] else "failed as asked"] += 1
            if arriving.status == 200 and arriving.is_complete and not has_end:
                self._tally.wrong.append(f"{wire} {model}: a cut answer ends like a complete one")
        else:
            self._tally.outcomes["answered"] += 1
            if "echo" in model and words.encode() not in _letters(arriving.data):
                self._tally.wrong.append(f"{wire} {model}: somebody else's answer")


def _letters(stream: bytes) -> bytes:
    """The texts of an answer, joined as a reader would."""
    pieces = re.findall(rb'"(?:text|content|delta)":"((?:[^"\\]|\\.)*)"', stream)
    return b"".join(pieces)
