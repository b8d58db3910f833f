"""How far a stream's items have come."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from aiproxy import ir
from aiproxy.wire.jsontext import try_read
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


class Item:
    """
    An output item.

    kind: its type, "" until it is announced. announced: the item as it was announced, unless it is
    a thought, whose proof is not valid yet. is_unnamed: a call that cannot start without its name.
    texts: blocks by content index. thought_from: which of its two texts a reasoning item shows.
    thought_part: that text's part in progress, thought_length: what came of the part.
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
