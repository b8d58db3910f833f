"""
The simulator as a process of its own: `python -m aiproxy.simulator --port 9000`.

Says where it listens in one line on standard output; port 0 is any free one.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import react

from aiproxy.simulator.service import Simulator


def main(reactor: Any, *arguments: str) -> Deferred[None]:
    """Listens until the process is stopped."""
    parser = argparse.ArgumentParser(prog="aiproxy.simulator", description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    port = parser.parse_args(arguments).port
    listening = reactor.listenTCP(port, Simulator(reactor).site(), interface="127.0.0.1")
    print(f"http://127.0.0.1:{listening.getHost().port}", flush=True)
    return Deferred()


react(main, sys.argv[1:])
