"""Whole Chat answers, both ways."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from aiproxy import ir
from aiproxy.errors import ErrorReply, UpstreamProtocolError
from aiproxy.wire import jsontext
from aiproxy.wire import logprobs as openai_logprobs
from aiproxy.wire.answers import numbered, wanted
from aiproxy.wire.chat import beside, counting, message_parts, shapes
from aiproxy.wire.chat.errors import NAME, decode_error, error_body
from aiproxy.wire.chat.message_in import arguments_text
from aiproxy.wire.chat.message_out import google_content
from aiproxy.wire.closed import assert_never
from aiproxy.wire.contract import EncodedReply
from aiproxy.wire.leftovers import Leftovers
from aiproxy.wire.losses import Losses, feature_name
from aiproxy.wire.names import derived_id

# ── from an upstream ──


def decode_reply(status: int, body: bytes) -> ir.Reply:
    """
    One whole answer.

    Shape: {"id", "created", "model", "choices": [{"message", "finish_reason"}], "usage"}
    Units: tokens as the upstream counts them; never estimated.
    Raises: UpstreamProtocolError when a 2xx body is not that.
    Source: OpenAI API reference, The chat completion object.
    """
    if not 200 <= status < 300:
        return decode_error(status, body)
    seen = jsontext.read_reply(body, shapes.Completion)
    if beside.is_error(seen.error) or seen.object == "error":
        return decode_error(status, body)
    choices = dict(numbered(seen.choices or ()))
    if 0 not in choices:
        raise UpstreamProtocolError("the upstream's answer has no choices")
    if beside.is_error(choices[0].error):
        return decode_error(status, jsontext.write({"error": choices[0].error}))
    leftovers = Leftovers(NAME)
    beside.note_rest(leftovers, body)
    reply_id = str(seen.id or "")
    first, *others = (
        _answer(number, choices[number], f"{reply_id}.{number}" if number else reply_id, leftovers)
        for number in sorted(choices)
    )
    return ir.Response(
        id=reply_id,
        model=seen.model or "",
        parts=first.parts,
        stop=first.stop,
        usage=counting.decode_usage(seen.usage, seen.x_groq),
        created=int(seen.created or 0),
        others=tuple(others),
        extras=leftovers.extras(),
    )


def _answer(number: int, choice: shapes.Choice, seed: str, leftovers: Leftovers) -> ir.Answer:
    """seed: what the ids of calls are derived from where the upstream gives none."""
    message = choice.message or choice.delta
    if number:
        beside.note_failure(leftovers, choice)
    if message is None and beside.is_error(choice.error):
        message = shapes.Delta()
    if message is None:
        raise UpstreamProtocolError("the upstream's answer has no message")
    beside.note_proofs(leftovers, message)
    beside.note_content(leftovers, message)
    parts = tuple(_parts(choice, message, seed, leftovers))
    has_calls = any(isinstance(part, ir.ToolCall) for part in parts)
    return ir.Answer(number, parts, counting.stop_of(choice.finish_reason, has_calls))


def _parts(
    choice: shapes.Choice, message: shapes.Delta, seed: str, leftovers: Leftovers
) -> Iterator[ir.Part]:
    of_text, of_refusal = beside.logprobs_of(leftovers, choice)
    pieces = list(message_parts.content(message))
    thoughts = message_parts.thoughts(message) + "".join(
        t for is_thought, t in pieces if is_thought
    )
    if thoughts:
        yield ir.Reasoning(thoughts)
    calls = list(_calls(message, seed, leftovers))
    text = "".join(t for is_thought, t in pieces if not is_thought)
    proof = beside.proof_of(leftovers, message.extra_content)
    cited = beside.citations(leftovers, message.annotations)
    if cited and not (text or of_text):
        leftovers.add("citations", message.annotations)
    if text or of_text:
        yield ir.Text(text, cited, proof, logprobs=of_text)
    elif calls and calls[0].proof is None and proof is not None:
        first = calls[0]
        calls[0] = ir.ToolCall(first.id, first.name, first.arguments, first.kind, "", proof)
    elif not calls or proof != calls[0].proof:
        beside.note_lost_proof(leftovers, proof)
    if message.refusal:
        yield ir.Refusal(message.refusal, of_refusal)
    yield from beside.images(leftovers, message.images)
    speech = beside.Speech(leftovers)
    speech.hear(message.audio)
    yield from speech.parts()
    yield from calls


def _calls(message: shapes.Delta, seed: str, leftovers: Leftovers) -> Iterator[ir.ToolCall]:
    for at, call in enumerate(message.tool_calls or ()):
        call_id = call.id or derived_id("call_", seed, at)
        proof = beside.proof_of(leftovers, call.extra_content)
        if call.custom is not None and call.custom.name:
            text = call.custom.input or ""
            yield ir.ToolCall(call_id, call.custom.name, text, "custom", "", proof)
        elif call.function is not None and call.function.name:
            text = arguments_text(call.function.arguments)
            yield ir.ToolCall(call_id, call.function.name, text, "function", "", proof)
        else:
            raise UpstreamProtocolError("the upstream's answer calls a tool without a name")
    legacy = message.function_call
    if legacy is not None and legacy.arguments and not legacy.name:
        raise UpstreamProtocolError("the upstream's answer calls a tool without a name")
    if legacy is not None and legacy.name:
        call_id = derived_id("call_", seed, "function_call")
        yield ir.ToolCall(call_id, legacy.name, arguments_text(legacy.arguments))


# ── to a client ──


def encode_reply(reply: ir.Reply, request: ir.Request | None) -> EncodedReply:
    """One whole answer or error for a client, with the status this dialect has for it."""
    if isinstance(reply, ErrorReply):
        return EncodedReply(*error_body(reply))
    losses = Losses()
    losses.extras(NAME, reply.extras)
    first = ir.Answer(0, reply.parts, reply.stop)
    body = {
        "id": reply.id,
        "object": "chat.completion",
        "created": reply.created,
        "model": reply.model,
        "choices": [_choice(answer, losses) for answer in (first, *wanted(reply, request, losses))],
        "usage": counting.encode_usage(reply.usage),
    }
    return EncodedReply(200, jsontext.write(body), losses.seen())


def _choice(answer: ir.Answer, losses: Losses) -> dict[str, Any]:
    message = _Message(losses)
    for part in answer.parts:
        message.add(part)
    return {
        "index": answer.number,
        "message": message.written(),
        "logprobs": message.logprobs(),
        "finish_reason": counting.finish_of(answer.stop, bool(message.calls)),
    }


class _Message:
    """A reply's parts, sorted into the fields of one message."""

    def __init__(self, losses: Losses) -> None:
        self.calls: list[dict[str, Any]] = []
        self._losses = losses
        self._texts: list[str] = []
        self._thoughts: list[str] = []
        self._refusals: list[str] = []
        self._images: list[dict[str, Any]] = []
        self._annotations: list[dict[str, Any]] = []
        self._details: list[dict[str, Any]] = []
        self._extra: dict[str, Any] = {}
        self._of_text: list[ir.Logprob] = []
        self._of_refusal: list[ir.Logprob] = []

    def add(self, part: ir.Part) -> None:
        if isinstance(part, ir.Text | ir.Reasoning | ir.ToolCall):
            self._losses.extras(NAME, part.extras)
        match part:
            case ir.Text():
                self._text(part)
            case ir.Reasoning():
                self._thoughts.append(part.text)
                if part.proof is not None:
                    at = len(self._details)
                    self._details.append(message_parts.detail_entry(part.text, part.proof, at))
            case ir.Refusal():
                self._refusals.append(part.text)
                self._of_refusal += part.logprobs
            case ir.ToolCall():
                arguments = part.arguments
                if part.kind == "function":
                    arguments = arguments or "{}"
                entry = message_parts.call_entry(part, arguments)
                extra = google_content(part.proof) if part.proof is not None else {}
                self.calls.append({**entry, **extra})
            case ir.Media():
                image = message_parts.image_entry(part)
                if image is None:
                    self._losses.dropped(f"{part.kind}-output")
                else:
                    self._images.append(image)
            case ir.Opaque():
                self._opaque(part)
            case ir.ToolResult():
                self._losses.dropped("tool-result")
            case _:
                assert_never(part)

    def _text(self, text: ir.Text) -> None:
        offset = sum(len(before) for before in self._texts)
        for citation in text.citations:
            length = len(text.text)
            entry = message_parts.citation_entry(citation, offset, length, self._losses)
            self._annotations += [] if entry is None else [entry]
        self._texts.append(text.text)
        self._of_text += text.logprobs
        if text.proof is not None and self._extra:
            self._losses.dropped("reasoning-proof")
        elif text.proof is not None:
            self._extra = google_content(text.proof)

    def _opaque(self, part: ir.Opaque) -> None:
        if part.wire == NAME and part.kind == "audio":
            self._extra["audio"] = part.raw
        elif part.fallback:
            self._losses.approximated(feature_name(part.kind))
            self._texts.append(part.fallback)
        else:
            self._losses.dropped(feature_name(part.kind))

    def logprobs(self) -> dict[str, Any] | None:
        return logprobs_member(self._of_text, self._of_refusal)

    def written(self) -> dict[str, Any]:
        text = "".join(self._texts)
        fields: dict[str, Any] = {
            "role": "assistant",
            "content": text if text or not (self.calls or self._refusals) else None,
            "refusal": "".join(self._refusals) or None,
        }
        optional: dict[str, Any] = {
            "reasoning_content": "".join(self._thoughts),
            "reasoning_details": self._details,
            "annotations": self._annotations,
            "images": self._images,
            "tool_calls": self.calls,
        }
        return {**fields, **{k: v for k, v in optional.items() if v}, **self._extra}


def logprobs_member(
    of_text: list[ir.Logprob], of_refusal: list[ir.Logprob]
) -> dict[str, Any] | None:
    """A choice's `logprobs`, None when there are none."""
    if not of_text and not of_refusal:
        return None
    return {
        "content": openai_logprobs.written(of_text) if of_text else None,
        "refusal": openai_logprobs.written(of_refusal) if of_refusal else None,
    }
