"""How far a stream's items have come."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from aiproxy import ir
from aiproxy.wire import logprobs
from aiproxy.wire.jsontext import given, raw, try_read
from aiproxy.wire.leftovers import Leftovers
from aiproxy.wire.responses import items, shapes


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


class Blocks:
    """
    The blocks of an answer as events, which are added to `out`.

    leftovers: where is noted what comes for a block that has been told as over.
    """

    def __init__(self, leftovers: Leftovers) -> None:
        self.out: list[ir.Event] = []
        self._count = 0
        self._leftovers = leftovers

    def start(self, part: ir.Part, make: Callable[[int, str], ir.Event]) -> Block:
        block = Block(self._count, make)
        self._count += 1
        self.out.append(ir.BlockStarted(block.index, part))
        return block

    def more(self, block: Block | None, text: str | None) -> None:
        if not text or block is None:
            return
        if block.is_open:
            block.length += len(text)
            self.out.append(block.make(block.index, text))
        else:
            self._leftovers.add("text", raw(text))

    def rest(self, block: Block | None, whole: str | None) -> None:
        """What is missing of a block whose whole text is now known."""
        if whole and block is not None:
            self.more(block, whole[block.length :])

    def likely(self, block: Block | None, found: tuple[ir.Logprob, ...]) -> None:
        """Log probabilities of the next tokens."""
        if not found or block is None:
            return
        if block.is_open:
            block.logprobs += len(found)
            self.out.append(ir.LogprobsAdded(block.index, found))
        else:
            self._leftovers.add("logprobs", raw(len(found)))

    def likely_rest(self, block: Block | None, whole: ir.JSON) -> None:
        if block is not None and given(whole):
            self.likely(block, logprobs.read(whole)[block.logprobs :])

    def annotate(self, block: Block, annotation: ir.JSON) -> None:
        block.annotations += 1
        citation = items.citation(annotation)
        if citation is not None and block.is_open and block.make is ir.TextDelta:
            self.out.append(ir.CitationAdded(block.index, citation))
        else:
            self._leftovers.add("citations", annotation)

    def stop(self, block: Block) -> None:
        if block.is_open:
            block.is_open = False
            self.out.append(ir.BlockStopped(block.index))


class Item:
    """
    An output item.

    kind: its type, "" until it is announced. announced: the item as it was announced, unless it is
    a thought, whose proof is not valid yet. is_unnamed: a call that cannot start without its name.
    texts: blocks by content index and whether they are refusals. thought_from: which of its two
    texts a reasoning item shows. thought_part: that text's part in progress, thought_length: what
    came of the part.
    """

    __slots__ = (
        "announced",
        "call",
        "done",
        "is_unnamed",
        "kind",
        "texts",
        "thought",
        "thought_from",
        "thought_length",
        "thought_part",
    )

    def __init__(self) -> None:
        self.kind = ""
        self.announced: ir.JSON | None = None
        self.is_unnamed = False
        self.done = False
        self.texts: dict[tuple[int, bool], Block] = {}
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


class Items:
    """
    The items of a stream by their places in the output.

    An item's ids tell which one it is when it comes again.
    """

    def __init__(self) -> None:
        self._items: dict[int, Item] = {}
        self._places: dict[str, int] = {}

    def __contains__(self, index: int) -> bool:
        return index in self._items

    def all(self) -> Iterable[tuple[int, Item]]:
        return self._items.items()

    def at(self, index: int) -> Item:
        """The item at this place, a new one if need be."""
        item = self._items.get(index)
        if item is None:
            item = self._items[index] = Item()
        return item

    def note(self, index: int, value: ir.JSON) -> None:
        """What the item at this place is, which has been announced or has come whole."""
        self._items[index].kind = items.kind_of(value)
        for name in _ids_of(value):
            self._places.setdefault(name, index)

    def place(self, index: int, value: ir.JSON) -> int:
        """
        Where an item of the final response stands in the stream, which may count otherwise.

        Some vendors change ids, so an item of the same kind at its own place is it, too.
        """
        kind = items.kind_of(value)
        for name in _ids_of(value):
            known = self._places.get(name)
            if known is not None and self._items[known].kind == kind:
                return known
        item = self._items.get(index)
        return index if item is None or item.kind in ("", kind) else self._free()

    def place_of_done(self, index: int, value: ir.JSON) -> int:
        """Where an item stands that came whole: a vendor may number all of them 0."""
        item = self._items.get(index)
        names = list(_ids_of(value))
        if item is None or not item.done or not names or self._places.keys() & names:
            return index
        return self._free()

    def _free(self) -> int:
        return max(self._items) + 1


def _ids_of(value: ir.JSON) -> Iterator[str]:
    ids = try_read(value, shapes.Ids) or shapes.Ids()
    yield from (name for name in (ids.id, ids.call_id) if name)
