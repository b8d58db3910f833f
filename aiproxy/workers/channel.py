"""The messages between the first process and a worker: one JSON object a line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

from aiproxy.routing.news import News

MAX_LINE_BYTES = 1 << 20


class Message(msgspec.Struct, frozen=True):
    """do: "reload", "stop" (both only downwards) or "hear", which comes with `news`."""

    do: Literal["reload", "stop", "hear"]
    news: News | None = None


_decoder = msgspec.json.Decoder(Message)


def written(message: Message) -> bytes:
    return msgspec.json.encode(message) + b"\n"


class Lines:
    """
    Bytes to whole lines, however they are cut.

    deliver: called with one or more lines, each with its newline.
    """

    def __init__(self, deliver: Callable[[bytes], None]) -> None:
        self._deliver = deliver
        self._rest = b""

    def feed(self, data: bytes) -> None:
        whole, newline, rest = data.rpartition(b"\n")
        if newline:
            self._deliver(self._rest + whole + newline)
            self._rest = rest
        else:
            self._rest += rest
            if len(self._rest) > MAX_LINE_BYTES:
                self.end()

    def end(self) -> None:
        """What is left is a line too."""
        rest, self._rest = self._rest, b""
        if rest:
            self._deliver(rest + b"\n")


def messages(data: bytes) -> list[Message]:
    """The messages of whole lines; what is none of ours is passed over."""
    found = []
    for line in data.splitlines():
        try:
            found.append(_decoder.decode(line))
        except msgspec.MsgspecError:
            continue
    return found
