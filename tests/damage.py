"""Valid JSON and valid streams, spoilt a little: closer to trouble than noise is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from aiproxy.framing import sse
from tests import strategies


def mutations(value: Any) -> st.SearchStrategy[bytes]:
    """`value` as JSON with one or two of its inner values replaced or removed."""

    @st.composite
    def mutated(draw: st.DrawFn) -> bytes:
        changed = value
        for _ in range(draw(st.integers(1, 2))):
            changed = _mutated(draw, changed, 0)
        return json.dumps(changed).encode()

    return mutated()


def _mutated(draw: st.DrawFn, value: Any, depth: int) -> Any:
    go_on = isinstance(value, dict | list) and value and draw(st.integers(0, 5)) < 5
    if not go_on:
        other = {"type": draw(st.sampled_from(("text", "x"))), "content": []}
        return draw(strategies.json_values(3) | st.sampled_from((None, {}, [], 1, "", other)))
    if isinstance(value, dict):
        key = draw(st.sampled_from(sorted(value)))
        return {**value, key: _mutated(draw, value[key], depth + 1)}
    at = draw(st.integers(0, len(value) - 1))
    return [*value[:at], _mutated(draw, value[at], depth + 1), *value[at + 1 :]]


_FAULTS = ("lost", "doubled", "swapped", "junk", "mutated", "merged", "emptied", "new")
"""merged: with another's members put in, usage for instance. emptied: all its texts are ""."""


def damaged(data: st.DataObject, messages: Sequence[sse.Message]) -> list[sse.Message]:
    """`messages` with up to three faults."""
    out = list(messages)
    for _ in range(data.draw(st.integers(1, 3))):
        if not out:
            break
        at = data.draw(st.integers(0, len(out) - 1))
        match data.draw(st.sampled_from(_FAULTS)):
            case "lost":
                del out[at]
            case "doubled":
                out.insert(at, out[at])
            case "swapped":
                other = data.draw(st.integers(0, len(out) - 1))
                out[at], out[other] = out[other], out[at]
            case "junk":
                out[at] = out[at]._replace(data=data.draw(st.binary(max_size=20)))
            case "mutated":
                out[at] = out[at]._replace(data=_mutated_data(data, out[at].data))
            case "merged":
                other = data.draw(st.integers(0, len(out) - 1))
                out[at] = out[at]._replace(data=_merged(out[at].data, out[other].data))
            case "emptied":
                out[at] = out[at]._replace(data=_emptied(out[at].data))
            case _:
                new = b'{"type":"surprise","object":"surprise","index":0}'
                out.insert(at, sse.Message("surprise", new, b""))
    return out


def _mutated_data(data: st.DataObject, text: bytes) -> bytes:
    try:
        value = json.loads(text)
    except ValueError:
        return b"{"
    return data.draw(mutations(value))


def _merged(first: bytes, second: bytes) -> bytes:
    try:
        one, other = json.loads(first), json.loads(second)
    except ValueError:
        return first
    if not isinstance(one, dict) or not isinstance(other, dict):
        return first
    return json.dumps({**other, **one}).encode()


def _emptied(text: bytes) -> bytes:
    try:
        value = json.loads(text)
    except ValueError:
        return text
    kind = value.get("type") if isinstance(value, dict) else None
    emptied = _without_texts(value)
    if kind is not None:
        emptied["type"] = kind
    return json.dumps(emptied).encode()


def _without_texts(value: Any) -> Any:
    match value:
        case dict():
            return {key: _without_texts(inner) for key, inner in value.items()}
        case list():
            return [_without_texts(inner) for inner in value]
        case str():
            return ""
    return value
