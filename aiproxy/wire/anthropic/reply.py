"""Whole answers, both ways."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from aiproxy import ir
from aiproxy.errors import ErrorReply, UpstreamProtocolError
from aiproxy.wire import proofs
from aiproxy.wire.anthropic.blocks_in import MARKED_CITATION, NO_PROOF, parts_of
from aiproxy.wire.anthropic.errors import error_body, error_of, is_error, is_said
from aiproxy.wire.anthropic.shapes import FAMILY, NAME, SAID_IN_MESSAGE, ReplyShape
from aiproxy.wire.anthropic.usage import read_usage, stop_of, stop_word, usage_of, usage_shape
from aiproxy.wire.closed import assert_never
from aiproxy.wire.contract import EncodedReply
from aiproxy.wire.jsontext import arguments_object, raw, read_reply, write
from aiproxy.wire.leftovers import Leftovers
from aiproxy.wire.losses import Losses, feature_name
from aiproxy.wire.names import derived_id, legal_id

Block = dict[str, Any]


def decode_reply(status: int, body: bytes) -> ir.Reply:
    """
    One whole answer.

    Shape: {"id", "model", "content": [...], "stop_reason", "stop_sequence", "usage": {...}}
    Raises: UpstreamProtocolError when status is 2xx and it is not that, nor an error.
    """
    if not 200 <= status < 300:
        return error_of(status, body)
    try:
        shape = read_reply(body, ReplyShape)
    except UpstreamProtocolError:
        if is_error(body):
            return error_of(None, body)
        raise
    if is_said(shape.type, shape.error):
        return error_of(None, body)
    if shape.type not in (None, "message"):
        raise UpstreamProtocolError("the upstream's answer is not a message")
    parts = parts_of(shape.content, read_reply)
    has_calls = any(isinstance(part, ir.ToolCall) for part in parts)
    leftovers = Leftovers(NAME)
    leftovers.note(body, SAID_IN_MESSAGE)
    return ir.Response(
        id=shape.id or "",
        model=shape.model or "",
        parts=parts,
        stop=ir.settled_stop(stop_of(shape.stop_reason), has_calls),
        stop_sequence=shape.stop_sequence or "",
        usage=usage_of(read_usage(shape.usage)),
        extras=leftovers.extras(),
    )


def encode_reply(reply: ir.Reply, request: ir.Request | None) -> EncodedReply:
    """A whole answer for a client; an error that this vendor wrote goes out unchanged."""
    if isinstance(reply, ErrorReply):
        if reply.native is not None and reply.native.wire == NAME:
            return EncodedReply(reply.status, reply.native.body)
        return EncodedReply(reply.status, error_body(reply))
    losses = Losses()
    own = losses.extras(NAME, reply.extras)
    if reply.others:
        losses.dropped("candidates")
    content = [
        block
        for at, part in enumerate(reply.parts)
        for block in reply_blocks(part, f"{reply.id}.{at}", losses)
    ]
    body = message_shape(reply.id, reply.model, content, reply.usage)
    body["stop_reason"] = stop_word(reply.stop)
    body["stop_sequence"] = stop_text(reply.stop, reply.stop_sequence)
    return EncodedReply(200, write({**own, **body}), losses.seen())


def message_shape(id: str, model: str, content: list[Any], usage: ir.Usage | None) -> Block:
    """A message that has not ended; the SDKs insist on `content` and `usage`."""
    return {
        "id": message_id(id),
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content,
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage_shape(usage),
    }


def message_id(id: str) -> str:
    return id if id.startswith("msg_") else f"msg_{id}" if id else derived_id("msg_", id)


def stop_text(stop: ir.StopReason, sequence: str) -> str | None:
    return sequence if stop == "stop_sequence" and sequence else None


def reply_blocks(part: ir.Part, seed: str, losses: Losses) -> Iterable[Any]:
    """
    The blocks that show `part` to a client: none when there is nothing to show.

    seed: what an id that the upstream did not give is derived from.
    """
    match part:
        case ir.Text():
            _note_logprobs(part, losses)
            return [_text(part, losses)] if part.text else []
        case ir.Refusal():
            _note_logprobs(part, losses)
            return [{"type": "text", "text": part.text}] if part.text else []
        case ir.Reasoning():
            return _thoughts(part, losses)
        case ir.ToolCall():
            before = [] if part.proof is None else [call_proof_block(part.proof)]
            return [*before, _call(part, seed, losses)]
        case ir.Media():
            losses.dropped(f"{part.kind}-output")
            return [{"type": "text", "text": media_note(part)}]
        case ir.ToolResult():
            losses.dropped("tool-result")
            return []
        case ir.Opaque():
            return opaque_blocks(part, losses)
        case _:
            raise assert_never(part)


def _note_logprobs(part: ir.Text | ir.Refusal, losses: Losses) -> None:
    if part.logprobs:
        losses.dropped("logprobs")


def _text(part: ir.Text, losses: Losses) -> Block:
    block: Block = {"type": "text", "text": part.text, **losses.extras(NAME, part.extras)}
    if part.proof is not None:
        losses.dropped("thought-signature")
    if part.citations and "citations" not in block:
        found = (citation_shape(citation, losses) for citation in part.citations)
        block["citations"] = [shape for shape in found if shape is not None]
    return block


def _thoughts(part: ir.Reasoning, losses: Losses) -> list[Block]:
    losses.extras(NAME, part.extras)
    if not part.text and part.proof is None:
        return []
    if part.proof is not None and is_redacted(part):
        return [redacted_block(part.proof)]
    return [{"type": "thinking", "thinking": part.text, "signature": signature(part.proof)}]


def _call(part: ir.ToolCall, seed: str, losses: Losses) -> Block:
    return {
        **call_shape(part, seed),
        "input": (
            raw({"input": part.arguments})
            if part.kind == "custom"
            else arguments_object(part.arguments)
        ),
        **losses.extras(NAME, part.extras),
    }


# ── what whole answers and streams share ──


def call_shape(part: ir.ToolCall, seed: str) -> Block:
    """A tool_use block without its input."""
    name = f"{part.namespace}__{part.name}" if part.namespace else part.name
    call_id = legal_id(part.id) if part.id else derived_id("toolu_", seed)
    return {"type": "tool_use", "id": call_id, "name": name}


def signature(proof: ir.Proof | None) -> str:
    return NO_PROOF if proof is None else proofs.tagged(proof, FAMILY)


def is_redacted(part: ir.Reasoning) -> bool:
    return part.proof is not None and part.proof.redacted and not part.text


def redacted_block(proof: ir.Proof) -> Block:
    return {"type": "redacted_thinking", "data": proofs.tagged(proof, FAMILY)}


def call_proof_block(proof: ir.Proof, late: bool = False) -> Block:
    """
    The proof of a tool call, in the only place where clients keep proofs.

    late: the block stands behind its call instead of before it. That proofs of calls are never
    redacted leaves this mark free to say so.
    """
    data = proofs.tagged(ir.replace(proof, redacted=late), FAMILY)
    return {"type": "thinking", "thinking": "", "signature": data}


def citation_shape(citation: ir.Citation, losses: Losses) -> Block | None:
    """A source on the web for the whole text: the dialect has no places within one."""
    if not citation.url:
        losses.dropped("citations")
        return None
    if citation.start is not None or citation.end is not None:
        losses.approximated("citations")
    return {
        "type": "web_search_result_location",
        "cited_text": citation.quote,
        "url": citation.url,
        "title": citation.title,
        "encrypted_index": MARKED_CITATION,
    }


def opaque_blocks(part: ir.Opaque, losses: Losses) -> list[Any]:
    """A part of this wire as it is, one of another as text if it has some."""
    if part.wire == NAME:
        return [part.raw]
    if part.fallback:
        losses.approximated(feature_name(part.kind))
        return [{"type": "text", "text": part.fallback}]
    losses.dropped(feature_name(part.kind))
    return []


def media_note(part: ir.Media) -> str:
    """The dialect's answers hold no media, so the client is told that there was one."""
    return f"[{part.kind} output is not available in this API]"
