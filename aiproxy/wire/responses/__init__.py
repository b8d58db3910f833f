"""
OpenAI Responses.

A request has `instructions`, an `input` (a text, or items: messages, function calls and their
outputs, reasoning, hosted tools' calls) and flat `tools`; names may stand in name spaces, and
custom tools take free text. The vendor can keep conversations; a proxy cannot, so what refers to
them (`previous_response_id`, `conversation`, `prompt`, items of type `item_reference`) stays among
the extras and opaque parts, and only an upstream of this wire can serve it.

A reply is one object with an `output` of items. Reasoning is shown as a summary; its proof is
`encrypted_content`, which other vendors' proofs share under a tag. A stream builds the same object
item by item and ends with the whole of it.

Clients: the official SDKs, which build on `response.created` and the final object, and Codex CLI,
which lives on `response.output_item.done`, waits 300 s between two events whatever comments come,
and tells errors by their code.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from aiproxy import ir
from aiproxy.framing import sse
from aiproxy.wire import contract
from aiproxy.wire.responses import collecting, decoder, request_in, stream
from aiproxy.wire.responses.reply import decode_reply, encode_reply
from aiproxy.wire.responses.request_in import decode_request, head
from aiproxy.wire.responses.request_out import TOOL_NAMES, encode_request
from aiproxy.wire.responses.shapes import FAMILY, NAME
from aiproxy.wire.responses.tokens import decode_count, encode_count, encode_count_request

ROUTES: Sequence[str] = request_in.ROUTES
HEARTBEAT = sse.encode(b'{"type":"keepalive"}', "keepalive")
"""As OpenAI sends it. Codex counts only events; the SDKs take none before `response.created`."""
FIRST_HEARTBEAT = b": keepalive\n\n"
ERROR_IS_END = True
"""Codex shows the reason in `response.failed` only when the connection ends cleanly behind it."""
TAKES_STOP = False

StreamDecoder: Callable[[], contract.StreamDecoder[sse.Message]] = decoder.StreamDecoder
Collector: Callable[[], contract.Collector[sse.Message]] = collecting.Collector
StreamEncoder: Callable[[ir.Request], contract.StreamEncoder] = stream.StreamEncoder
RawStream: Callable[[str], contract.RawStream] = contract.EventStreamAsIs

__all__ = [
    "ERROR_IS_END",
    "FAMILY",
    "FIRST_HEARTBEAT",
    "HEARTBEAT",
    "NAME",
    "ROUTES",
    "TAKES_STOP",
    "TOOL_NAMES",
    "Collector",
    "RawStream",
    "StreamDecoder",
    "StreamEncoder",
    "decode_count",
    "decode_reply",
    "decode_request",
    "encode_count",
    "encode_count_request",
    "encode_reply",
    "encode_request",
    "head",
]
