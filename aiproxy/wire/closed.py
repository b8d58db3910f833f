"""`typing.assert_never`, which Python 3.10 has not got: the end of a match on a closed union."""

from __future__ import annotations

from typing import NoReturn


def assert_never(value: NoReturn) -> NoReturn:
    """The type checker refuses a call that can be reached."""
    raise AssertionError(f"{value!r} belongs to no case")
