"""
Several processes that share one port.

The first process binds the socket, starts the workers and never takes a connection itself. Each
worker is a complete aiproxy on the same socket. A pipe in each direction joins it to the first
process: orders come down (reload, stop), findings about upstreams go up and to the others, log
lines go up so that one process writes and rotates the file. When a pipe ends, the other side is
gone: a worker then lets its calls finish and stops.

descriptors of a worker: 0 orders, 1 log lines, 2 stderr, 3 the listening socket, 4 reports,
5 the configuration to begin with.
"""

from aiproxy.workers.member import LISTENING, Member, configuration, lines
from aiproxy.workers.supervisor import Supervisor

__all__ = ["LISTENING", "Member", "Supervisor", "configuration", "lines"]
