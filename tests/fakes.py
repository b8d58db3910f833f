"""
Fakes that more than one test module uses.
"""

from __future__ import annotations

from collections.abc import Sequence


def cut(data: bytes, places: Sequence[int]) -> list[bytes]:
    """
    `data` in pieces, cut at `places` (any integers, taken modulo the length).

    Pieces may be empty; joined they are `data`.
    """
    borders = sorted(place % (len(data) + 1) for place in places)
    return [data[a:b] for a, b in zip([0, *borders], [*borders, len(data)], strict=True)]


def slices(data: bytes, size: int) -> list[bytes]:
    """`data` in pieces of `size` bytes, the last one perhaps shorter."""
    return [data[start : start + size] for start in range(0, len(data), size)]
