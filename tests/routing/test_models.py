"""Who serves a model, what stands in for it, what is listed."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from aiproxy.routing import models
from aiproxy.settings import Upstream
from tests.routing.samples import upstream


class ServingTests(SynchronousTestCase):
    def test_serving(self) -> None:
        """Enabled upstreams that list the model, or list nothing, in order."""
        a, b, c = upstream("a", "m"), upstream("b"), upstream("c", "k")
        off = upstream("d", "m", enabled=False)
        self.assertEqual(models.serving((a, b, c, off), "m"), (a, b))
        self.assertEqual(models.serving((c, off), "m"), ())


class FallbackChainTests(SynchronousTestCase):
    def test_chain(self) -> None:
        """A chain goes on to its end; without an entry it is the model alone."""
        chain = {"m1": "m2", "m2": "m3"}
        self.assertEqual(models.fallback_chain("m1", chain), ("m1", "m2", "m3"))
        self.assertEqual(models.fallback_chain("m3", chain), ("m3",))

    def test_cycle(self) -> None:
        """A cycle that got past the settings ends where it would repeat."""
        cycle = {"m1": "m2", "m2": "m3", "m3": "m2"}
        self.assertEqual(models.fallback_chain("m1", cycle), ("m1", "m2", "m3"))
        self.assertEqual(models.fallback_chain("m", {"m": "m"}), ("m",))


class ListingTests(SynchronousTestCase):
    def available(self, *upstreams: Upstream, opened: str = "") -> tuple[str, ...]:
        return models.available(upstreams, lambda name, model: f"{name}/{model}" != opened)

    def test_union(self) -> None:
        """Every listed model once, sorted; mapped names never."""
        a = upstream("a", "m2", "m1", mappings={"m1": "vendor-name"})
        self.assertEqual(self.available(a, upstream("b", "m3", "m2")), ("m1", "m2", "m3"))
        self.assertEqual(self.available(), ())

    def test_without_a_list(self) -> None:
        """An upstream without a list, or a disabled one, adds nothing."""
        off = upstream("b", "m", enabled=False)
        self.assertEqual(self.available(upstream("a", mappings={"k": "v"}), off), ())

    def test_open_pair(self) -> None:
        """An open pair hides the model unless another upstream has it closed."""
        a, b = upstream("a", "m", "k"), upstream("b", "m")
        self.assertEqual(self.available(a, b, opened="a/k"), ("m",))
        self.assertEqual(self.available(a, b, opened="a/m"), ("k", "m"))

    def test_advertised(self) -> None:
        """Client names of mappings count where there is no list."""
        a = upstream("a", "m1", mappings={"other": "v"})
        b = upstream("b", mappings={"k": "v"})
        self.assertEqual(models.advertised((a, b, upstream("c"))), ("k", "m1"))
