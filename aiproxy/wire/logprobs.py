"""
Log probabilities as OpenAI's two protocols have them.

Shape: [{"token", "logprob", "bytes": [..] or null, "top_logprobs": [the same without top ones]}]
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from aiproxy.ir import JSON, Logprob
from aiproxy.wire.jsontext import given, try_read


class _Entry(msgspec.Struct, gc=False):
    token: str = ""
    logprob: float = 0.0
    bytes: list[int] | None = None
    top_logprobs: list[_Entry] | None = None


def read(value: JSON) -> tuple[Logprob, ...]:
    """None of them when `value` is no such list: no answer is worth losing for it."""
    if not given(value):
        return ()
    return tuple(map(_read, try_read(value, list[_Entry]) or ()))


def _read(entry: _Entry) -> Logprob:
    others = (Logprob(o.token, o.logprob, _data(o)) for o in entry.top_logprobs or ())
    return Logprob(entry.token, entry.logprob, _data(entry), tuple(others))


def _data(entry: _Entry) -> bytes | None:
    try:
        return None if entry.bytes is None else bytes(entry.bytes)
    except ValueError:
        return None


def written(logprobs: Iterable[Logprob]) -> list[dict[str, Any]]:
    return [
        {**_entry(one), "top_logprobs": [_entry(other) for other in one.others]} for one in logprobs
    ]


def _entry(one: Logprob) -> dict[str, Any]:
    data = None if one.data is None else list(one.data)
    return {"token": one.token, "logprob": one.logprob, "bytes": data}
