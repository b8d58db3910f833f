"""Turns: fair, smooth, per model, and undisturbed by picks that find nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from aiproxy.routing.roundrobin import MAX_CURSORS, MAX_MODEL_CHARACTERS, SmoothRoundRobin


def turns(robin: Robin, count: int, allowed: str = "abcdefgh", model: str = "m") -> str:
    """The next `count` picks among `allowed`, a dot where there is none."""
    return "".join(robin.pick(model, robin.among(allowed)) or "." for _ in range(count))


class Robin(SmoothRoundRobin):
    """Names a, b, c ... with these weights."""

    def __init__(self, *weights: int, max_cursors: int = MAX_CURSORS) -> None:
        self.names = "abcdefgh"[: len(weights)]
        super().__init__(dict(zip(self.names, weights, strict=True)), max_cursors=max_cursors)

    def replace(self, weights: Mapping[str, int]) -> None:
        self.names = "".join(weights)
        super().replace(weights)

    def among(self, allowed: Iterable[str]) -> list[str]:
        """The names that are allowed, in order."""
        return [name for name in self.names if name in set(allowed)]


def call(robin: Robin, failing: str, model: str = "m") -> str:
    """The upstreams one call asks until one answers; "!" when all failed."""
    tried = ""
    while True:
        name = robin.pick(model, robin.names, tried)
        if name is None:
            return tried + "!"
        tried += name
        if name not in failing:
            return tried


lists = st.lists(st.integers(1, 9), min_size=1, max_size=5)
names = st.sets(st.sampled_from("abcde"))


class Model:
    """The definition, written the slow way: one dict of credits, one sort."""

    def __init__(self, weights: list[int]) -> None:
        self.weights = dict(zip("abcdefgh", weights, strict=False))
        self.credit = dict.fromkeys(self.weights, 0)

    def pick(self, allowed: set[str], tried: set[str]) -> str | None:
        names = [name for name in self.weights if name in allowed]
        if not set(names) - tried:
            return None
        most = 2 * sum(self.weights.values())
        for name in names:
            self.credit[name] = min(most, self.credit[name] + self.weights[name])
        winner = min(set(names) - tried, key=lambda name: (-self.credit[name], name))
        self.credit[winner] -= sum(self.weights[name] for name in names)
        self.credit[winner] = max(-most, self.credit[winner])
        return winner


class SmoothRoundRobinTests(SynchronousTestCase):
    def test_equal_weights(self) -> None:
        """Equal weights take turns in the configured order."""
        self.assertEqual(turns(Robin(1, 1, 1), 6), "abcabc")

    def test_smooth(self) -> None:
        """A heavy upstream's turns are spread out, not taken in a row."""
        self.assertEqual(turns(Robin(5, 1, 1), 7), "aabacaa")
        self.assertEqual(turns(Robin(3, 2), 5), "ababa")
        self.assertEqual(turns(Robin(2, 3), 5), "babab")

    def test_counts_over_one_round(self) -> None:
        """Over one round each has exactly as many turns as its weight."""
        for weights in ((6, 4, 2), (10, 5, 1, 1), (1, 1, 5), (4, 2), (7,)):
            picks = turns(Robin(*weights), sum(weights))
            counts = [picks.count(name) for name in "abcd"[: len(weights)]]
            self.assertEqual(counts, list(weights))

    def test_single(self) -> None:
        """One upstream has every turn."""
        self.assertEqual(turns(Robin(3), 4), "aaaa")

    def test_none(self) -> None:
        """Without upstreams there is no turn."""
        self.assertIsNone(Robin().pick("m", ()))

    def test_only_some_eligible(self) -> None:
        """Picks stay among the eligible, in proportion to their weights."""
        self.assertEqual(turns(Robin(1, 1, 1), 6, "ac"), "acacac")
        self.assertEqual(turns(Robin(10, 1, 1), 4, "bc"), "bcbc")
        picks = turns(Robin(2, 1, 1), 30, "ac")
        self.assertEqual((picks.count("a"), picks.count("c")), (20, 10))

    def test_weight_below_one(self) -> None:
        """Zero and negative weights count as one, also after a replacement."""
        self.assertEqual(turns(Robin(0, -3, 2), 4).count("a"), 1)
        turning = Robin(1, 1)
        turning.replace({"a": 0})
        self.assertEqual(turns(turning, 2), "aa")

    def test_fruitless_pick_changes_nothing(self) -> None:
        """A hundred picks that find nothing do not disturb the shares of the others."""
        turning = Robin(10, 1, 1)
        picks = ""
        for _ in range(100):
            self.assertIsNone(turning.pick("m", ()))
            picks += turns(turning, 1, "bc")
        self.assertEqual((picks.count("b"), picks.count("c")), (50, 50))

    def test_models_do_not_share_a_cursor(self) -> None:
        """Alternating models starve nobody: b serves only m and gets its share of it."""
        turning = Robin(1, 1, 1)
        seen: Counter[str] = Counter()
        for _ in range(6):
            seen[turns(turning, 1, "abc", "m")] += 1
            turns(turning, 1, "ac", "k")
        self.assertEqual(seen, {"a": 2, "b": 2, "c": 2})

    def test_failover(self) -> None:
        """A call goes through the upstreams once each; those that failed have had their turn."""
        turning = Robin(1, 1, 1, 1, 1)
        self.assertEqual(call(turning, "ab"), "abc")
        self.assertEqual([call(turning, "") for _ in range(4)], ["d", "e", "a", "b"])
        self.assertEqual(call(Robin(5, 1, 1), "abc"), "abc!")

    def test_all_failed_then_fine(self) -> None:
        """After a call that failed everywhere the turns go on from the start."""
        turning = Robin(1, 1, 1)
        self.assertEqual(
            [call(turning, "abc"), *(call(turning, "") for _ in range(3))], ["abc!", "a", "b", "c"]
        )

    def test_reload_of_the_same_list(self) -> None:
        """An equal list keeps the cursors; another list starts anew."""
        turning = Robin(1, 1, 1)
        self.assertEqual(turns(turning, 2), "ab")
        turning.replace({"a": 1, "b": 1, "c": 1})
        self.assertEqual(turns(turning, 1), "c")
        turning.replace({"a": 1, "c": 1})
        self.assertEqual(turns(turning, 2), "ac")

    def test_huge_weights(self) -> None:
        """A pick costs the same whatever the weights are."""
        turning = Robin(1_000_000, 1)
        self.assertEqual(turns(turning, 1000, "b"), "b" * 1000)

    def test_cursors_are_bounded(self) -> None:
        """The model asked least recently loses its place first."""
        turning = Robin(1, 1, max_cursors=2)
        picks = [turns(turning, 1, model=model) for model in ("m", "k", "m", "x", "m", "k")]
        self.assertEqual(picks, ["a", "a", "b", "a", "a", "a"])

    def test_endless_model_names_share_a_cursor(self) -> None:
        """A client's absurdly long names take no memory each."""
        turning = Robin(1, 1)
        names = ["x" * (MAX_MODEL_CHARACTERS + i) for i in (1, 2)]
        self.assertEqual([turns(turning, 1, model=name) for name in names], ["a", "b"])

    def test_failing_calls_do_not_pile_up(self) -> None:
        """However many calls failed everywhere, the light ones wait for few turns only."""
        turning = Robin(5, 1, 1)
        for _ in range(1000):
            self.assertEqual(len(call(turning, "abc")), len("abc!"))
        picks = turns(turning, 42)
        self.assertTrue(picks.count("b") and picks.count("c"), picks)

    @given(lists, st.lists(st.tuples(names, names), max_size=60))
    def test_model(self, weights: list[int], filters: list[tuple[set[str], set[str]]]) -> None:
        """It picks what its definition says, whoever is eligible or was tried when."""
        turning, model = Robin(*weights), Model(weights)
        for allowed, tried in filters:
            picked = turning.pick("m", turning.among(allowed), tried)
            self.assertEqual(picked, model.pick(allowed, tried))

    @given(lists, st.integers(0, 3))
    def test_spread(self, weights: list[int], rounds: int) -> None:
        """Nobody is ever two turns away from its share, and a whole round is exact."""
        turning = Robin(*weights)
        total = sum(weights)
        seen: Counter[str] = Counter()
        for count in range(1, (rounds + 1) * total + 1):
            seen[turns(turning, 1)] += 1
            for name, weight in zip("abcdefgh", weights, strict=False):
                ahead = seen[name] - count * weight / total
                self.assertTrue(-2 < ahead < 1, (name, count, ahead))
                if count % total == 0:
                    self.assertEqual(seen[name], weight * count // total)
