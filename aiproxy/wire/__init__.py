"""
What bytes mean, one module per wire protocol.

`INBOUND` lists the wires that clients speak, `OUTBOUND` those that upstreams speak; of these,
`COUNTING` has those whose upstreams can count tokens, and `COLLECTING` those whose streams can be
put together to the vendor's own whole answer.
"""

from __future__ import annotations

from collections.abc import Mapping

from aiproxy.wire import anthropic, chat, gemini, kiro, responses
from aiproxy.wire.contract import Collecting, Counting, Inbound, Outbound

INBOUND: Mapping[str, Inbound] = {wire.NAME: wire for wire in (anthropic, chat, responses, gemini)}

OUTBOUND: Mapping[str, Outbound] = {
    wire.NAME: wire for wire in (anthropic, chat, responses, gemini, kiro)
}

COUNTING: Mapping[str, Counting] = {wire.NAME: wire for wire in (anthropic, responses, gemini)}

COLLECTING: Mapping[str, Collecting] = {wire.NAME: wire for wire in (responses,)}
