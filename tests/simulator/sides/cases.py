"""What tests of a vendor's side have in common."""

from __future__ import annotations

from typing import Any, ClassVar

from twisted.internet import reactor as _reactor
from twisted.internet.defer import maybeDeferred
from twisted.trial.unittest import TestCase

from aiproxy.simulator import Simulator
from aiproxy.simulator.sides.oauth import TokenService

reactor: Any = _reactor


class SideCase(TestCase):
    """A simulator, of which one side is looked at."""

    timeout = 30
    side: ClassVar[str]

    def setUp(self) -> None:
        self.simulator = Simulator(reactor)
        port = reactor.listenTCP(0, self.simulator.site(), interface="127.0.0.1")
        self.addCleanup(maybeDeferred, port.stopListening)
        self.url = f"http://127.0.0.1:{port.getHost().port}/{self.side}"
        self.logins: TokenService = self.simulator.sides[self.side].logins
