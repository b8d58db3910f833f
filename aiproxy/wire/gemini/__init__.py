"""
Gemini generateContent, on one page.

Path      /v1beta/models/{model}:generateContent, :streamGenerateContent[?alt=sse], :countTokens
Request   {contents: [{role: user|model, parts}], systemInstruction, tools, toolConfig,
          generationConfig}; keys also in snake_case
Parts     text, thought (+ text), inlineData, fileData, functionCall {id?, name, args},
          functionResponse {id?, name, response}, and others that are only carried;
          thoughtSignature beside any of them
Reply     {candidates: [{content, finishReason}], usageMetadata, modelVersion, responseId}
Stream    the same object again and again, each with the next parts; the end is the end of the
          stream. `data:` lines only, or a JSON array without alt=sse
Error     {error: {code, message, status, details}}

Function calls have no fragments and need no ids. Modules: `paths`, `spelling` (snake_case),
`shapes`, `schema`, `thinking`, `signatures`, `partial`, `media`, `citations`, `errors`;
`request_in` and `contents_in` read requests, `request_out` and `contents_out` write them;
`stream_in` and `parts_in` read answers, `stream_out` and `parts_out` write them, `reply` joins them
to whole ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from aiproxy import ir
from aiproxy.framing import sse
from aiproxy.wire import contract
from aiproxy.wire.gemini import paths, stream_in, stream_out
from aiproxy.wire.gemini.contents_in import NAME
from aiproxy.wire.gemini.paths import path_for
from aiproxy.wire.gemini.reply import decode_reply, encode_reply
from aiproxy.wire.gemini.request_in import decode_request, head
from aiproxy.wire.gemini.request_out import TOOL_NAMES, encode_request
from aiproxy.wire.gemini.signatures import FAMILY
from aiproxy.wire.gemini.tokens import decode_count, encode_count, encode_count_request

ROUTES: Sequence[str] = paths.ROUTES
HEARTBEAT = b""
FIRST_HEARTBEAT = HEARTBEAT
ERROR_IS_END = False
TAKES_STOP = True

StreamDecoder: Callable[[], contract.StreamDecoder[sse.Message]] = stream_in.StreamDecoder
StreamEncoder: Callable[[ir.Request], contract.StreamEncoder] = stream_out.StreamEncoder
RawStream: Callable[[str], contract.RawStream] = stream_out.RawStream

__all__ = [
    "ERROR_IS_END",
    "FAMILY",
    "FIRST_HEARTBEAT",
    "HEARTBEAT",
    "NAME",
    "ROUTES",
    "TAKES_STOP",
    "TOOL_NAMES",
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
    "path_for",
]
