"""Each target for moments: what was found once, seeds, and seeds that are spoilt a little."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.fuzz import spoiling
from tests.fuzz.targets import TARGETS, inputs

_TOKENS = (b"{}", b"[]", b"null", b'""', b"-1", b"1e999", b"\\ud800", b"\n\n", b"data: ", b"\x00")


@st.composite
def spoilt(draw: st.DrawFn, seeds: list[bytes]) -> bytes:
    """A seed with a few bytes changed, cut out, doubled or put in, or with spoilt messages."""
    data = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        size = draw(st.integers(0, 40))
        match draw(st.integers(0, 6)):
            case 0:
                data = data[:at] + data[at + size :]
            case 1:
                data = data[:at] + data[at : at + size] + data[at:]
            case 2:
                data = data[:at] + draw(st.binary(max_size=4)) + data[at + size :]
            case 3:
                data = data[:at] + draw(st.sampled_from(_TOKENS)) + data[at + size :]
            case 4:
                other = draw(st.sampled_from(seeds))
                data = data[:at] + other[draw(st.integers(0, len(other))) :]
            case _:
                data = spoiling.spoilt(data, seeds, draw(st.randoms(use_true_random=False)))
    return data


def _test_of(name: str) -> Callable[[SynchronousTestCase], None]:
    def test(self: SynchronousTestCase) -> None:
        target = TARGETS[name]
        for found in inputs(name):
            target.run(found)
        seeds = [b"", *target.seeds()]
        for seed in seeds:
            target.run(seed)

        @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
        @given(spoilt(seeds))
        def holds(data: bytes) -> None:
            target.run(data)

        holds()

    test.__doc__ = f"{name} takes any bytes."
    return test


class TargetTests(SynchronousTestCase):
    """A test for each target, made from the table."""


for _name in TARGETS:
    setattr(TargetTests, f"test_{_name.replace('-', '_')}", _test_of(_name))
