"""
A few bytes in a large text.

Python's own search takes several times as long as the C library's, which skips more at each step.
"""

from __future__ import annotations

import ctypes
from typing import Any

LARGE_BYTES = 16 * 1024
"""From here on the call of the C library costs less than it saves."""


def holds(text: bytes, needle: bytes) -> bool:
    """`needle in text`."""
    return position(text, needle) >= 0


def position(text: bytes, needle: bytes, start: int = 0) -> int:
    """`text.find(needle, start)`, for a `start` that is not negative."""
    if _MEMMEM is None or len(text) - start < LARGE_BYTES:
        return text.find(needle, start)
    # Where the bytes are; they stay there as long as `text` is somebody's.
    address = ctypes.cast(ctypes.c_char_p(text), ctypes.c_void_p).value or 0
    found: int | None = _MEMMEM(address + start, len(text) - start, needle, len(needle))
    return -1 if found is None else found - address


def _memmem() -> Any:
    """The C library's function; None where there is no such thing."""
    function = getattr(ctypes.CDLL(None), "memmem", None)
    if function is not None:
        function.restype = ctypes.c_void_p
        function.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t)
    return function


_MEMMEM = _memmem()
