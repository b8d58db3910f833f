"""
What bytes mean, one module per wire protocol.

`INBOUND` lists the wires that clients speak, `OUTBOUND` those that upstreams speak, `COUNTING`
those of them whose upstreams can count tokens.
"""

from __future__ import annotations

from collections.abc import Mapping

from aiproxy.wire import anthropic, chat, gemini, kiro, responses
from aiproxy.wire.contract import Counting, Inbound, Outbound

INBOUND: Mapping[str, Inbound] = {wire.NAME: wire for wire in (anthropic, chat, responses, gemini)}

OUTBOUND: Mapping[str, Outbound] = {
    wire.NAME: wire for wire in (anthropic, chat, responses, gemini, kiro)
}

COUNTING: Mapping[str, Counting] = {wire.NAME: wire for wire in (anthropic, responses, gemini)}
