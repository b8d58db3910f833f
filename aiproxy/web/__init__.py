"""
The HTTP side of clients.

A request is judged when its head is there (`guard`, called by `site` and `channel`), collected in
memory, and answered through the Klein tree (`root`). Only `stream.ClientStream` writes answers.
"""

from aiproxy.web.listener import Listener, bound, shown
from aiproxy.web.records import Record, Records
from aiproxy.web.room import Room, connections_within, raised_limit
from aiproxy.web.root import Web

__all__ = [
    "Listener",
    "Record",
    "Records",
    "Room",
    "Web",
    "bound",
    "connections_within",
    "raised_limit",
    "shown",
]
