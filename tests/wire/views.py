"""
What a client of each wire can see of an answer: the listed normalisations of replies.

`seen_by(wire, response, losses)` is what is left of an answer on that wire, with everything taken
away that the encoder declared as lost, and nothing else but what the functions below say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from aiproxy import ir
from aiproxy.wire.jsontext import arguments_object, raw, text_of
from aiproxy.wire.losses import Losses, feature_name
from aiproxy.wire.names import derived_id, legal_id

Declared = frozenset[str]


def seen_by(wire: str, response: ir.Response, losses: Iterable[ir.Loss]) -> ir.Response:
    """`response` as a client of `wire` has it."""
    declared = frozenset(loss.feature for loss in losses)
    if "candidates" in declared:
        response = ir.replace(response, others=())
    return each_answer(
        response, lambda one: _VIEWS[wire](without_extras(wire, one, declared), declared)
    )


def each_answer(response: ir.Response, change: Callable[[ir.Response], ir.Response]) -> ir.Response:
    """`response` with each of its answers changed as if it were the only one."""
    changed = change(ir.replace(response, others=()))
    others = []
    for answer in response.others:
        said, stop, sequence = answer.parts, answer.stop, answer.stop_sequence
        alone = ir.replace(response, parts=said, stop=stop, stop_sequence=sequence, others=())
        own = change(alone)
        others.append(ir.Answer(answer.number, own.parts, own.stop, own.stop_sequence))
    return ir.replace(changed, others=tuple(others))


def without_extras(wire: str, response: ir.Response, declared: Declared) -> ir.Response:
    """Fields of another wire go, and sources that only a vendor can open, if declared."""
    parts = tuple(_plain(wire, part, declared) for part in response.parts)
    return ir.replace(response, parts=parts, extras=None)


def _plain(wire: str, part: ir.Part, declared: Declared) -> ir.Part:
    if isinstance(part, ir.Text) and "citations" in declared:
        cited = (each for each in part.citations if each.url)
        if wire != "anthropic":
            cited = (ir.replace(each, quote="") for each in cited)
        part = ir.replace(part, citations=tuple(cited))
    if not isinstance(part, ir.Text | ir.Reasoning | ir.ToolCall | ir.Media):
        return part
    if part.extras is None or part.extras.wire == wire:
        return part
    noted = Losses()
    noted.extras(wire, part.extras)
    harmless = {feature_name(name) for name, _ in part.extras.fields} - {
        loss.feature for loss in noted.seen()
    }
    kept = tuple(
        field for field in part.extras.fields if feature_name(field[0]) not in declared | harmless
    )
    return ir.replace(part, extras=ir.Extras(part.extras.wire, kept) if kept else None)


# ── steps that several wires share ──


def _shown(parts: Sequence[ir.Part], declared: Declared) -> list[ir.Part]:
    """Hosted tools' parts as their fallback text, or gone, if that was declared."""
    out: list[ir.Part] = []
    for part in parts:
        if not isinstance(part, ir.Opaque) or feature_name(part.kind) not in declared:
            out.append(part)
        elif part.fallback:
            out.append(ir.Text(part.fallback))
    return out


def _without_media(
    parts: Sequence[ir.Part], declared: Declared, note: Callable[[ir.Media], ir.Part | None]
) -> list[ir.Part]:
    out: list[ir.Part] = []
    for part in parts:
        if not isinstance(part, ir.Media) or f"{part.kind}-output" not in declared:
            out.append(part)
        elif (instead := note(part)) is not None:
            out.append(instead)
    return out


def object_arguments(call: ir.ToolCall) -> ir.ToolCall:
    """Arguments that must be an object: free text and broken JSON are wrapped."""
    text = (
        text_of(raw({"input": call.arguments}))
        if call.kind == "custom"
        else text_of(arguments_object(call.arguments))
    )
    name = f"{call.namespace}__{call.name}" if call.namespace else call.name
    return ir.replace(call, kind="function", name=name, namespace="", arguments=text)


def _unproven(part: ir.Part, feature: str, declared: Declared) -> ir.Part:
    if isinstance(part, ir.Text) and part.proof is not None and feature in declared:
        return ir.replace(part, proof=None)
    return part


def unlikely(part: ir.Part) -> ir.Part:
    """Without log probabilities."""
    return ir.replace(part, logprobs=()) if isinstance(part, ir.Text | ir.Refusal) else part


def _unplaced(part: ir.Part, declared: Declared) -> ir.Part:
    if not isinstance(part, ir.Text) or "citations" not in declared:
        return part
    return ir.replace(
        part, citations=tuple(ir.replace(cited, start=None, end=None) for cited in part.citations)
    )


# ── Anthropic ──


def _anthropic(response: ir.Response, declared: Declared) -> ir.Response:
    """
    No time of creation; usage is always given; an unknown stop is a plain end. Empty texts and
    thoughts are not shown, a refusal is text, and thoughts do not say whether they are a summary.
    """
    parts = _shown(response.parts, declared)
    parts = _without_media(
        parts, declared, lambda m: ir.Text(f"[{m.kind} output is not available in this API]")
    )
    if "logprobs" in declared:
        parts = list(map(unlikely, parts))
    seen: list[ir.Part] = []
    for part in parts:
        match part:
            case ir.Text(text="") | ir.Refusal(text="") | ir.Reasoning(text="", proof=None):
                continue
            case ir.Refusal():
                seen.append(ir.Text(part.text))
            case ir.Text():
                seen.append(_unplaced(_unproven(part, "thought-signature", declared), declared))
            case ir.Reasoning():
                seen.append(ir.replace(part, summary=False))
            case ir.ToolCall():
                call = object_arguments(part)
                at = response.parts.index(part)
                made = legal_id(part.id) if part.id else derived_id("toolu_", f"{response.id}.{at}")
                seen.append(ir.replace(call, id=made))
            case _:
                seen.append(part)
    name = response.id if response.id.startswith("msg_") else f"msg_{response.id}"
    stop = "end" if response.stop == "other" else response.stop
    return ir.replace(
        response,
        id=name,
        created=0,
        parts=tuple(seen),
        stop=stop,
        usage=response.usage or ir.Usage(),
    )


# ── Chat ──


def one_message(response: ir.Response, declared: Declared) -> ir.Response:
    """
    One message has one field for all its thoughts, texts, refusals and calls each; which of them
    came first is not told. Thoughts' proofs travel in fields that only a request brings back.
    """
    parts = _shown(response.parts, declared)
    parts = _without_media(parts, declared, lambda _: None)
    thoughts = "".join(part.text for part in parts if isinstance(part, ir.Reasoning))
    texts = [part for part in parts if isinstance(part, ir.Text)]
    refusals = [part for part in parts if isinstance(part, ir.Refusal)]
    refusal = "".join(part.text for part in refusals)
    seen: list[ir.Part] = [ir.Reasoning(thoughts)] if thoughts else []
    text = "".join(part.text for part in texts)
    of_text = tuple(one for part in texts for one in part.logprobs)
    if text or of_text:
        proofs = [part.proof for part in texts if part.proof is not None]
        proof = (
            proofs[0] if proofs and (len(proofs) == 1 or "reasoning-proof" in declared) else None
        )
        seen.append(ir.Text(text, _moved(texts), proof, logprobs=of_text))
    if refusal:
        of_refusal = tuple(one for part in refusals for one in part.logprobs)
        seen.append(ir.Refusal(refusal, of_refusal))
    seen += [ir.replace(p, name="", detail="") for p in parts if isinstance(p, ir.Media)]
    calls = [part for part in parts if isinstance(part, ir.ToolCall)]
    for call in calls:
        function = call.kind == "function"
        arguments = call.arguments or ("{}" if function else "")
        name = f"{call.namespace}__{call.name}" if call.namespace else call.name
        seen.append(ir.replace(call, arguments=arguments, name=name, namespace=""))
    return ir.replace(
        response,
        parts=tuple(seen),
        stop=_CHAT_STOPS.get(response.stop, response.stop),
        stop_sequence="",
        usage=response.usage or ir.Usage(),
    )


def _moved(texts: Sequence[ir.Text]) -> tuple[ir.Citation, ...]:
    """Citations count from the beginning of all the text; one without a place is for its text."""
    out: list[ir.Citation] = []
    before = 0
    for text in texts:
        for citation in _placed(text):
            assert citation.start is not None
            assert citation.end is not None
            out.append(
                ir.replace(citation, start=citation.start + before, end=citation.end + before)
            )
        before += len(text.text)
    return tuple(out)


_CHAT_STOPS: Mapping[ir.StopReason, ir.StopReason] = {
    "stop_sequence": "end",
    "pause": "end",
    "context_full": "max_tokens",
    "other": "end",
}


# ── Responses ──


def _responses(response: ir.Response, declared: Declared) -> ir.Response:
    """
    Thoughts are shown as summaries, the proof of a call as a thought before it; a citation without
    a place is one for the whole text. Empty texts are not shown.
    """
    parts = _shown(response.parts, declared)
    parts = _without_media(parts, declared, lambda _: None)
    seen: list[ir.Part] = []
    for part in parts:
        match part:
            case ir.Text(text="", citations=(), logprobs=()) | ir.Refusal(text=""):
                continue
            case ir.Reasoning(text="", proof=None):
                continue
            case ir.Refusal() if "logprobs" in declared:
                seen.append(unlikely(part))
            case ir.Text():
                text = _unproven(part, "thought-signature", declared)
                assert isinstance(text, ir.Text)
                seen.append(ir.replace(text, citations=_placed(text)))
            case ir.Reasoning():
                seen.append(ir.replace(part, summary=bool(part.text)))
            case ir.ToolCall():
                if part.proof is not None:
                    seen.append(ir.Reasoning("", part.proof))
                function = part.kind == "function"
                arguments = part.arguments or ("{}" if function else "")
                seen.append(ir.replace(part, proof=None, arguments=arguments))
            case ir.Media():
                seen.append(ir.replace(part, name="", detail=""))
            case _:
                seen.append(part)
    stop = _RESPONSES_STOPS.get(response.stop, response.stop)
    if stop == "end" and any(isinstance(part, ir.Refusal) for part in seen):
        stop = "filtered"
    return ir.replace(
        response,
        id="resp_" + response.id.removeprefix("resp_"),
        parts=tuple(seen),
        stop=stop,
        stop_sequence="",
        usage=response.usage or ir.Usage(),
    )


def _placed(text: ir.Text) -> tuple[ir.Citation, ...]:
    return tuple(
        ir.replace(
            citation,
            start=citation.start or 0,
            end=len(text.text) if citation.end is None else citation.end,
        )
        for citation in text.citations
    )


_RESPONSES_STOPS: Mapping[ir.StopReason, ir.StopReason] = {
    "stop_sequence": "end",
    "pause": "end",
    "context_full": "max_tokens",
    "other": "end",
}


# ── Gemini ──


def _gemini(response: ir.Response, declared: Declared) -> ir.Response:
    """
    Neighbouring texts are one, and so are neighbouring thoughts; thoughts are summaries, and their
    foreign proofs ride on the calls behind them; the prompt includes what was written to a cache.
    No source is named twice for one place. Log probabilities are those of the last text, and tell
    no bytes.
    """
    parts = list(map(unlikely, _shown(response.parts, declared)))
    seen: list[ir.Part] = []
    for part in parts:
        match part:
            case ir.Text(text="", proof=None) | ir.Refusal(text=""):
                continue
            case ir.Reasoning(text="", proof=None):
                continue
            case ir.Refusal() if "refusal" in declared:
                _add(seen, ir.Text(part.text))
            case ir.Reasoning():
                _add(seen, ir.replace(part, summary=True))
            case ir.Text():
                _add(seen, part)
            case ir.ToolCall():
                _add(seen, object_arguments(part))
            case _:
                seen.append(part)
    usage = response.usage
    if usage is not None:
        usage = ir.replace(usage, input=usage.input + usage.cache_write, cache_write=0)
    seen = [
        ir.replace(part, citations=tuple(dict.fromkeys(_placed(part))))
        if isinstance(part, ir.Text)
        else part
        for part in seen
    ]
    likely = tuple(
        _without_bytes(one)
        for part in response.parts
        if isinstance(part, ir.Text | ir.Refusal)
        for one in part.logprobs
    )
    if seen and isinstance(seen[-1], ir.Text):
        seen[-1] = ir.replace(seen[-1], logprobs=likely)
    stop: ir.StopReason = _GEMINI_STOPS.get(response.stop, response.stop)
    if any(isinstance(part, ir.Refusal) for part in parts) and stop in ("end", "other"):
        stop = "filtered"
    return ir.replace(response, parts=_ridden(seen), stop=stop, stop_sequence="", usage=usage)


def _without_bytes(one: ir.Logprob) -> ir.Logprob:
    return ir.replace(one, data=None, others=tuple(map(_without_bytes, one.others)))


def _ridden(parts: Sequence[ir.Part]) -> tuple[ir.Part, ...]:
    """A foreign thought's proof rides on the call that follows."""
    out: list[ir.Part] = []
    for part in parts:
        last = out[-1] if out else None
        if (
            isinstance(part, ir.ToolCall)
            and part.proof is None
            and isinstance(last, ir.Reasoning)
            and last.proof is not None
            and last.proof.family != "gemini"
        ):
            part = ir.replace(part, proof=last.proof)
            out[-1] = ir.replace(last, proof=None)
            if not last.text:
                del out[-1]
        out.append(part)
    return tuple(out)


def _add(seen: list[ir.Part], part: ir.Part) -> None:
    last = seen[-1] if seen else None
    if isinstance(part, ir.Text) and isinstance(last, ir.Text) and last.proof is None:
        seen[-1] = ir.replace(
            last, text=last.text + part.text, citations=_moved([last, part]), proof=part.proof
        )
    elif isinstance(part, ir.Reasoning) and isinstance(last, ir.Reasoning) and last.proof is None:
        seen[-1] = ir.replace(last, text=last.text + part.text, proof=part.proof)
    else:
        seen.append(part)


_GEMINI_STOPS: Mapping[ir.StopReason, ir.StopReason] = {
    "stop_sequence": "end",
    "pause": "end",
    "context_full": "max_tokens",
}


_VIEWS: Mapping[str, Callable[[ir.Response, Declared], ir.Response]] = {
    "anthropic": _anthropic,
    "chat": one_message,
    "responses": _responses,
    "gemini": _gemini,
}
