"""
A fake upstream that speaks the upstream's side of every wire over real sockets.

For the demo, for tests and for benchmarks. What it answers depends on the model's name alone, see
`behaviour`; the same question gets the same answer. It needs a key, any but those that `checks`
refuses, where the vendor wants it. `GET /_simulator/requests` tells other processes what it has
seen, `POST /_simulator/reset` makes it forget.

Reading order: `script` (values), `answers` and `behaviour` (names to scripts), `checks` (what
vendors refuse), `player` (scripts to bytes), `record`, `sides` (what one vendor serves besides its
wire), `service`, `demo`.
"""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime
from twisted.web.server import Site

from aiproxy.simulator.demo import DEMO_CONFIG, DEMO_LOGINS
from aiproxy.simulator.record import Received, Record
from aiproxy.simulator.service import Simulator

__all__ = ["DEMO_CONFIG", "DEMO_LOGINS", "Received", "Record", "Simulator", "site"]


def site(clock: IReactorTime | None = None) -> Site:
    """A simulator ready to listen. clock: None for the reactor."""
    return Simulator(clock).site()
