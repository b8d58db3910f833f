"""
A few bytes in a large text: whether they are there, and where a part of it stands.

Python's own search takes several times as long as the C library's, which skips more at each step.
"""

from __future__ import annotations

import ctypes
from typing import Any

from msgspec import Raw

LARGE_BYTES = 16 * 1024
"""From here on the call of the C library costs less than it saves."""


def holds(text: bytes, needle: bytes) -> bool:
    """`needle in text`."""
    if _MEMMEM is None or len(text) < LARGE_BYTES:
        return needle in text
    return _MEMMEM(text, len(text), needle, len(needle)) is not None


def place(part: Raw, text: bytes) -> int | None:
    """
    Where `part` begins in `text`; None when it is not a part of it, but has bytes of its own.

    What msgspec reads as `Raw` are the bytes of the text themselves. That is not promised, so that
    it is looked at what stands there.
    """
    start: int = _address_of_raw(part) - _address_of_bytes(text)
    return start if start >= 0 and text.startswith(bytes(part), start) else None


class _Buffer(ctypes.Structure):
    """Py_buffer of Python's C interface; what else is in it is left to Python."""

    _fields_ = (("address", ctypes.c_void_p), ("others", ctypes.c_void_p * 10))


_PYTHON = ctypes.pythonapi
_get_buffer = ctypes.PYFUNCTYPE(
    ctypes.c_int, ctypes.py_object, ctypes.POINTER(_Buffer), ctypes.c_int
)(("PyObject_GetBuffer", _PYTHON))
_release_buffer = ctypes.PYFUNCTYPE(None, ctypes.POINTER(_Buffer))(("PyBuffer_Release", _PYTHON))
_address_of_bytes = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object)(
    ("PyBytes_AsString", _PYTHON)
)


def _address_of_raw(part: Raw) -> int:
    """Where its bytes are; they stay there as long as it is somebody's."""
    buffer = _Buffer()
    _get_buffer(part, buffer, 0)
    _release_buffer(buffer)
    return buffer.address or 0


def _memmem() -> Any:
    """The C library's function; None where there is no such thing."""
    function = getattr(ctypes.CDLL(None), "memmem", None)
    if function is not None:
        function.restype = ctypes.c_void_p
        function.argtypes = (ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t)
    return function


_MEMMEM = _memmem()
