"""The breaker: opens, probes, closes; and equals a simple model of itself."""

from __future__ import annotations

from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from twisted.trial.unittest import SynchronousTestCase

from aiproxy.routing.breaker import Breaker, OpenPair, Probe
from aiproxy.routing.roundrobin import MAX_MODEL_CHARACTERS
from aiproxy.settings import BreakerSettings, Upstream
from tests.routing.samples import BREAKER, upstream

MINUTES = 60.0


class BreakerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.breaker = self.make(upstream("a", "m", "k"), upstream("b", "m"))

    def make(self, *upstreams: Upstream) -> Breaker:
        return Breaker(BREAKER, upstreams, max_unlisted=3)

    def open(self, name: str = "a", model: str = "m", now: float = 0) -> None:
        """Three failures in a row."""
        outcomes = [self.breaker.failed(name, model, now) for _ in range(3)]
        self.assertEqual(outcomes, [False, False, True])

    def closed(self, name: str = "a", model: str = "m", now: float = 0) -> bool:
        return self.breaker.is_closed(name, model, now)

    def test_opens_at_the_third_failure(self) -> None:
        """Two failures change nothing, the third opens and is told once."""
        self.breaker.failed("a", "m", 0)
        self.breaker.failed("a", "m", 0)
        self.assertTrue(self.closed())
        self.assertTrue(self.breaker.failed("a", "m", 0))
        self.assertFalse(self.closed())
        self.assertFalse(self.breaker.failed("a", "m", 0))

    def test_only_failures_in_a_row(self) -> None:
        """A success between failures starts the count again and leaves no record."""
        self.breaker.failed("a", "m", 0)
        self.breaker.failed("a", "m", 0)
        self.breaker.succeeded("a", "m")
        self.assertEqual(len(self.breaker), 0)
        self.open()

    def test_closed_again_after_the_cooldown(self) -> None:
        """One second before its end it is open, at its end closed with a fresh count."""
        self.open()
        self.assertFalse(self.closed(now=30 * MINUTES - 1))
        self.assertTrue(self.closed(now=30 * MINUTES))
        self.assertFalse(self.breaker.failed("a", "m", 30 * MINUTES))
        self.assertTrue(self.closed(now=30 * MINUTES))

    def test_late_failures_do_not_prolong(self) -> None:
        """A call under way that fails later does not move the end."""
        self.open()
        self.breaker.failed("a", "m", 10 * MINUTES)
        self.assertTrue(self.closed(now=30 * MINUTES))

    def test_success_closes(self) -> None:
        """A late success of a call under way closes the pair."""
        self.open()
        self.breaker.succeeded("a", "m")
        self.assertTrue(self.closed())

    def test_pairs_are_apart(self) -> None:
        """Another model there and the same model elsewhere stay closed."""
        self.open()
        self.assertEqual(
            [self.closed("a", "k"), self.closed("b", "m"), self.closed("a", "m")],
            [True, True, False],
        )

    def test_one_probe_at_a_time(self) -> None:
        """From probe_after on one call may try; others wait until it has ended."""
        self.open()
        self.assertFalse(self.breaker.allows("a", "m", 14.9))
        self.assertTrue(self.breaker.allows("a", "m", 15))
        probe = self.breaker.begin("a", "m", 15)
        self.assertIsNotNone(probe)
        self.assertFalse(self.breaker.allows("a", "m", 20))
        self.breaker.succeeded("a", "m")
        self.assertTrue(self.closed(now=20))

    def test_distances(self) -> None:
        """The next probes come at twice the distance of the first; the cool-down's end stays."""
        self.open()
        now = 0.0
        for distance in (15, 30, 30, 30):
            self.assertFalse(self.breaker.allows("a", "m", now + distance - 0.1))
            now += distance
            self.assertTrue(self.breaker.allows("a", "m", now))
            self.breaker.failed("a", "m", now, self.breaker.begin("a", "m", now))
        self.assertEqual(self.breaker.open_pairs(now), (OpenPair("a", "m", 1800 - now),))

    def test_recovery(self) -> None:
        """Whenever an upstream is well again, calls that come each second find it within 30."""
        for well_at in range(16, 200, 7):
            self.breaker.reset("a", "m")
            self.open()
            now = 0.0
            while not self.closed(now=now):
                now += 1
                if not self.breaker.allows("a", "m", now):
                    continue
                probe = self.breaker.begin("a", "m", now)
                if now < well_at:
                    self.breaker.failed("a", "m", now, probe)
                else:
                    self.breaker.succeeded("a", "m")
            self.assertLessEqual(now - well_at, 30)

    def test_released_probe(self) -> None:
        """A probe whose client left counts for nothing and frees its place."""
        self.open()
        probe = self.breaker.begin("a", "m", 15)
        assert probe is not None
        self.breaker.released(probe)
        self.assertTrue(self.breaker.allows("a", "m", 15))

    def test_stale_probe(self) -> None:
        """A probe from before a reset neither frees nor doubles a later one."""
        self.open()
        stale = self.breaker.begin("a", "m", 15)
        assert stale is not None
        self.breaker.reset("a", "m")
        self.open(now=20)
        self.breaker.begin("a", "m", 35)
        self.breaker.released(stale)
        self.breaker.failed("a", "m", 36, stale)
        self.assertFalse(self.breaker.allows("a", "m", 37))

    def test_lost_probe(self) -> None:
        """A probe that is never reported blocks until the cool-down ends at most."""
        self.open()
        self.breaker.begin("a", "m", 15)
        self.assertFalse(self.breaker.allows("a", "m", 1799))
        self.assertTrue(self.breaker.allows("a", "m", 1800))

    def test_wait(self) -> None:
        """Seconds until a call may go there: the next probe or the end of the cool-down."""
        self.assertEqual(self.breaker.wait("a", "m", 0), 0)
        self.open()
        self.assertEqual(self.breaker.wait("a", "m", 5), 10)
        self.assertEqual(self.breaker.wait("a", "m", 15), 0)
        probe = self.breaker.begin("a", "m", 15)
        self.assertEqual(self.breaker.wait("a", "m", 15), 15)
        self.assertEqual(self.breaker.wait("a", "m", 1795), 5)
        self.breaker.failed("a", "m", 16, probe)
        self.assertEqual(self.breaker.wait("a", "m", 16), 30)

    def test_reset(self) -> None:
        """Only an open pair is reset, also one whose cool-down has lapsed unseen."""
        self.assertFalse(self.breaker.reset("a", "m"))
        self.assertFalse(self.breaker.reset("nobody", "m"))
        self.breaker.failed("a", "m", 0)
        self.assertFalse(self.breaker.reset("a", "m"))
        self.breaker.succeeded("a", "m")
        self.open()
        self.assertTrue(self.breaker.reset("a", "m"))
        self.assertTrue(self.closed())

    def test_open_pairs(self) -> None:
        """Sorted, with the time left; those that have closed by themselves are gone."""
        self.open("b", "m", 5)
        self.open("a", "m", 10)
        self.open("a", "k", 10)
        self.assertEqual(
            self.breaker.open_pairs(20),
            (OpenPair("a", "k", 1790), OpenPair("a", "m", 1790), OpenPair("b", "m", 1785)),
        )
        self.assertEqual(len(self.breaker.open_pairs(1806)), 2)

    def test_unknown_names(self) -> None:
        """An upstream that is not configured never gets a record, nor an absurd model name."""
        for _ in range(3):
            self.breaker.failed("nobody", "m", 0)
        anything = self.make(upstream("any"))
        anything.failed("any", "x" * (MAX_MODEL_CHARACTERS + 1), 0)
        self.assertEqual((len(self.breaker), len(anything)), (0, 0))

    def test_made_up_models_are_bounded(self) -> None:
        """Names that clients make up push each other out, never a listed one."""
        mapped = upstream("any", mappings={"m": "vendor"})
        self.breaker = self.make(mapped)
        self.open("any", "m")
        for number in range(10):
            self.breaker.failed("any", f"made-up-{number}", 0)
        self.assertEqual(len(self.breaker), 4)
        self.assertFalse(self.closed("any", "m"))

    def test_reload(self) -> None:
        """State stays for what is the same, and goes with what is gone or another machine."""
        self.open("a", "m")
        self.open("a", "k")
        self.open("b", "m")
        self.breaker.adopt(BREAKER, [upstream("a", "m", "k", weight=5), upstream("b", "m")])
        self.assertEqual(len(self.breaker.open_pairs(0)), 3)
        self.breaker.adopt(BREAKER, [upstream("a", "m"), upstream("b", "m", tokens=("new",))])
        self.assertEqual(self.breaker.open_pairs(0), (OpenPair("a", "m", 1800),))
        self.breaker.adopt(BREAKER, [upstream("a", "m", enabled=False)])
        self.breaker.adopt(BREAKER, [upstream("a", "m")])
        self.assertEqual(len(self.breaker), 0)

    def test_reload_of_limits(self) -> None:
        """A shorter cool-down holds at once."""
        self.open()
        shorter = BreakerSettings(failures=3, cooldown_seconds=60, probe_after_seconds=15)
        self.breaker.adopt(shorter, [upstream("a", "m")])
        self.assertTrue(self.closed(now=60))


class BreakerMachine(RuleBasedStateMachine):
    """
    The breaker of one pair beside its plainest description.

    The model keeps the failures in a row, when it opened, when the next probe may start, and
    which probe is under way.
    """

    probes: Bundle[Probe] = Bundle("probes")

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.breaker = Breaker(BREAKER, [upstream("a", "m")])
        self.row = 0
        self.opened: float | None = None
        self.next_probe = 0.0
        self.distance = 0.0
        self.under_way: Probe | None = None

    def forget(self) -> None:
        self.row, self.opened, self.under_way = 0, None, None

    @rule(seconds=st.sampled_from([0.0, 1.0, 15.0, 16.0, 100.0, 1800.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        if self.opened is not None and self.now - self.opened >= 1800:
            self.forget()

    @rule(target=probes)
    def call(self) -> Probe | MultipleResults[Probe]:
        if not self.breaker.allows("a", "m", self.now):
            return multiple()
        probe = self.breaker.begin("a", "m", self.now)
        assert (probe is None) == (self.opened is None)
        if probe is None:
            return multiple()
        self.under_way = probe
        return probe

    @rule()
    def ordinary_failure(self) -> None:
        opened = self.breaker.failed("a", "m", self.now)
        assert opened == self.count()

    @rule(probe=consumes(probes))
    def failing_probe(self, probe: Probe) -> None:
        opened = self.breaker.failed("a", "m", self.now, probe)
        if probe is self.under_way:
            self.under_way = None
            self.distance = 30.0
            self.next_probe = self.now + self.distance
            assert not opened
        else:
            assert opened == self.count()

    @rule(probe=consumes(probes))
    def released_probe(self, probe: Probe) -> None:
        self.breaker.released(probe)
        if probe is self.under_way:
            self.under_way = None

    @rule()
    def success(self) -> None:
        self.breaker.succeeded("a", "m")
        self.forget()

    @rule()
    def reset(self) -> None:
        assert self.breaker.reset("a", "m") == (self.opened is not None)
        if self.opened is not None:
            self.forget()

    def count(self) -> bool:
        """One failure for the model; whether it opened."""
        if self.opened is not None:
            return False
        self.row += 1
        if self.row < 3:
            return False
        self.opened = self.now
        self.distance = 15.0
        self.next_probe = self.now + 15
        return True

    @invariant()
    def same(self) -> None:
        closed = self.opened is None
        free = self.under_way is None and self.now >= self.next_probe
        assert self.breaker.is_closed("a", "m", self.now) == closed
        assert self.breaker.allows("a", "m", self.now) == (closed or free)
        left = [] if self.opened is None else [self.opened + 1800 - self.now]
        assert [pair.seconds_left for pair in self.breaker.open_pairs(self.now)] == left
        assert 0 <= self.breaker.wait("a", "m", self.now) <= 1800
        assert (self.breaker.wait("a", "m", self.now) == 0) == (closed or free)


class BreakerMachineTests(SynchronousTestCase):
    def test_machine(self) -> None:
        """Whatever happens in whatever order, breaker and model agree."""
        run_state_machine_as_test(
            BreakerMachine, settings=hypothesis_settings(max_examples=50, deadline=None)
        )
