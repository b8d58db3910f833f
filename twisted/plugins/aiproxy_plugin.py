"""Tells twistd of its subcommand `aiproxy`. This folder must stay without an __init__.py."""

from twisted.application.service import ServiceMaker

aiproxy = ServiceMaker(
    "aiproxy", "aiproxy.tap", "One address for AI clients, many AI upstreams behind it.", "aiproxy"
)
