"""
The conversation API of Kiro (Amazon Q Developer), spoken by upstreams only.

Request     POST /generateAssistantResponse {conversationState: {conversationId, history,
            currentMessage}, additionalModelRequestFields}; user and assistant alternate, both ends
            are the user's; the system's text is a prefix of the first user turn; tools stand in
            the current message, results in the turn behind their calls; no parameters
Reply       always a stream: frames of an AWS event stream, one small JSON object each
Stream      assistantResponseEvent, reasoningContentEvent, toolUseEvent, metadataEvent; others say
            nothing; an exception frame ends it; the end of the stream is the good end
Errors      {"message", "reason"?, "__type"?}
Usage       uncached input, cache reads and writes, and output, apart
"""

from __future__ import annotations

from collections.abc import Callable

from aiproxy.framing import eventstream
from aiproxy.wire import contract
from aiproxy.wire.kiro import stream
from aiproxy.wire.kiro.errors import error_of
from aiproxy.wire.kiro.reply import decode_reply
from aiproxy.wire.kiro.request import TOOL_NAMES, encode_request, with_origin
from aiproxy.wire.kiro.shapes import FAMILY, NAME
from aiproxy.wire.kiro.turns import ORIGIN

TAKES_STOP = False

StreamDecoder: Callable[[], contract.StreamDecoder[eventstream.Message]] = stream.StreamDecoder

__all__ = [
    "FAMILY",
    "NAME",
    "ORIGIN",
    "TAKES_STOP",
    "TOOL_NAMES",
    "StreamDecoder",
    "decode_reply",
    "encode_request",
    "error_of",
    "with_origin",
]
