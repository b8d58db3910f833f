"""aiproxy: one address for AI clients, many AI upstreams behind it."""

__version__ = "0.1.0"
