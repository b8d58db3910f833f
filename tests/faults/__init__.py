"""Everything that upstreams, clients and the system can do to the program, over real sockets."""
