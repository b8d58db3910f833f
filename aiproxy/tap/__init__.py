"""
`twistd -n aiproxy`: the one place where all parts are put together, and that knows the reactor.

`command` is the command line and what twistd calls, `daemon` one complete aiproxy, `team` the
first of several processes.
"""

from aiproxy.tap.command import Options, log_observer, makeService

__all__ = ["Options", "log_observer", "makeService"]
