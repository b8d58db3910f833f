"""What the grammars of all dialects' streams have in common (see `grammars`)."""

from __future__ import annotations

from typing import Any


class Ungrammatical(AssertionError):
    """The stream breaks its dialect's grammar."""


def must(condition: object, reason: str) -> None:
    if not condition:
        raise Ungrammatical(reason)


class Machine:
    ended = False

    def read(self, name: str, value: Any) -> None:
        raise NotImplementedError
