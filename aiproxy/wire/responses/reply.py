"""Whole answers, in both directions."""

from __future__ import annotations

from collections.abc import Iterator

from aiproxy import ir
from aiproxy.errors import ErrorReply, UpstreamProtocolError
from aiproxy.wire.contract import EncodedReply
from aiproxy.wire.jsontext import read_reply, write
from aiproxy.wire.leftovers import Leftovers
from aiproxy.wire.responses import errors, items, outcome, shapes
from aiproxy.wire.responses.stream import StreamEncoder


def decode_reply(status: int, body: bytes) -> ir.Reply:
    """
    One whole answer.

    Shape: {"id", "model", "status", "output": [items], "usage": {...}, "error": null or {...}}
    Raises: UpstreamProtocolError when the body of a good status is not that.
    Source: OpenAI API reference, the response object.
    """
    if not 200 <= status < 300:
        return errors.decode_error(status, body)
    response = read_reply(body, shapes.ResponseObject)
    failed = outcome.failure_of(response)
    if failed is not None:
        return failed
    if response.output is None:
        raise UpstreamProtocolError("the upstream's answer has no output")
    seed = response.id or ""
    parts = tuple(
        part
        for index, item in enumerate(response.output)
        for part in items.parts_of(item, seed, index)
    )
    leftovers = Leftovers(shapes.NAME)
    leftovers.note(body, shapes.RESPONSE_BOOKS)
    for item in response.output:
        items.note_rest(leftovers, item)
    stop = outcome.stop_of(
        response,
        has_calls=any(isinstance(part, ir.ToolCall) for part in parts),
        has_refusal=any(isinstance(part, ir.Refusal) and part.text for part in parts),
    )
    return ir.Response(
        response.id or "",
        response.model or "",
        parts,
        stop,
        usage=outcome.usage_of(response.usage),
        created=int(response.created_at or 0),
        extras=leftovers.extras(),
    )


def encode_reply(reply: ir.Reply, request: ir.Request | None) -> EncodedReply:
    """
    The answer for a client: the very object that ends the stream of the same answer.

    request: what the client asked, repeated in the object.
    """
    if isinstance(reply, ErrorReply):
        return EncodedReply(*errors.encode_error(reply))
    encoder = StreamEncoder(request)
    for event in _with_early_proofs(reply):
        encoder.encode(event)
    return EncodedReply(200, write(encoder.response), tuple(encoder.losses))


def _with_early_proofs(reply: ir.Response) -> Iterator[ir.Event]:
    """The reply's events, the proof of a call in its beginning, so that it is placed before."""
    early = {
        index: part.proof for index, part in enumerate(reply.parts) if isinstance(part, ir.ToolCall)
    }
    for event in ir.unfold(reply):
        match event:
            case ir.BlockStarted(index=index, block=ir.ToolCall() as call):
                yield ir.replace(event, block=ir.replace(call, proof=early[index]))
            case ir.ProofAdded(index=index) if index in early:
                pass
            case _:
                yield event
