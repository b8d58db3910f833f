"""
Log probabilities as Gemini has them.

Shape: {"chosenCandidates": [{"token", "logProbability"}], "topCandidates": [{"candidates": [..]}]}
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aiproxy.ir import JSON, Logprob
from aiproxy.wire.gemini import shapes
from aiproxy.wire.jsontext import given, try_read


def read(value: JSON) -> tuple[Logprob, ...]:
    """None of them when `value` is no such object: no answer is worth losing for it."""
    if not given(value):
        return ()
    found = try_read(value, shapes.LogprobsResult) or shapes.LogprobsResult()
    chosen, tops = found.chosen_candidates or (), found.top_candidates or ()
    return tuple(
        _read(token, (tops[at].candidates or ()) if at < len(tops) else ())
        for at, token in enumerate(chosen)
    )


def _read(token: shapes.Likely, others: Sequence[shapes.Likely]) -> Logprob:
    return Logprob(
        token.token or "", token.log_probability or 0.0, None, tuple(_read(o, ()) for o in others)
    )


def written(logprobs: Sequence[Logprob]) -> dict[str, Any]:
    """The members of a candidate that tell them, none when there are none."""
    if not logprobs:
        return {}
    result: dict[str, Any] = {"chosenCandidates": [_written(one) for one in logprobs]}
    if any(one.others for one in logprobs):
        result["topCandidates"] = [
            {"candidates": [_written(other) for other in one.others]} for one in logprobs
        ]
    mean = sum(one.logprob for one in logprobs) / len(logprobs)
    return {"avgLogprobs": mean, "logprobsResult": result}


def _written(one: Logprob) -> dict[str, Any]:
    return {"token": one.token, "logProbability": one.logprob}
