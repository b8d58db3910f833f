"""The whole program from outside: `twistd` as a child, real sockets, real clients."""
