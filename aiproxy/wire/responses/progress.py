"""How far a stream's items have come."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from aiproxy import ir


class Block:
    """
    An open block.

    length: characters of it that were passed on. annotations, logprobs: how many of these were.
    """

    __slots__ = ("annotations", "index", "is_open", "length", "logprobs", "make")

    def __init__(self, index: int, make: Callable[[int, str], ir.Event]) -> None:
        self.index = index
        self.make = make
        self.length = 0
        self.annotations = 0
        self.logprobs = 0
        self.is_open = True


class Item:
    """
    An output item.

    texts: blocks by content index. thought_from: which of its two texts a reasoning item shows.
    thought_part: that text's part in progress, thought_length: what came of the part.
    """

    __slots__ = (
        "call",
        "done",
        "texts",
        "thought",
        "thought_from",
        "thought_length",
        "thought_part",
    )

    def __init__(self) -> None:
        self.done = False
        self.texts: dict[int, Block] = {}
        self.call: Block | None = None
        self.thought: Block | None = None
        self.thought_from = ""
        self.thought_part = 0
        self.thought_length = 0

    def blocks(self) -> Iterator[Block]:
        yield from self.texts.values()
        for block in (self.thought, self.call):
            if block is not None:
                yield block
