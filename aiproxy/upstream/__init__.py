"""The Twisted side of talking to upstreams: one client, its bodies, its pool."""
