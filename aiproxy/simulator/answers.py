"""
What the model says: one function for each behaviour, from a question to a whole answer.

No protocol is known here, but for who has proofs of reasoning, and on what.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterator
from typing import Any

from aiproxy import ir
from aiproxy.simulator.schema import sample
from aiproxy.simulator.script import Question
from aiproxy.wire import jsontext
from aiproxy.wire.answers import MOST
from aiproxy.wire.estimate import estimated_tokens
from aiproxy.wire.names import derived_id

# A fixed date: the same question gives the same answer.
_CREATED = 1_767_225_600

_BYTES_PER_TOKEN = 4
_MOST_PARALLEL_CALLS = 3

# OpenAI's Chat has no field for them.
_WITHOUT_PROOFS = frozenset({"chat"})
# Anthropic refuses thoughts that are not word for word those of their proof.
_CHECKS_THOUGHTS = frozenset({"anthropic"})
# Gemini's models also sign the calls themselves.
_SIGNS_CALLS = frozenset({"gemini"})

_LONG = (
    "Streams carry more than ASCII. 漢字とかなが混ざった文章、여러 언어의 글자, и кириллица, "
    "עברית, ελληνικά, naïve façade, combining e\u0301, zero\u200bwidth, a line\u2028separator.\n"
    '\tTabs, "quotes", back\\slashes, <tags> & entities; data: [DONE]\n\n'
    "Emoji: 😀 👩‍👩‍👧‍👦 🇩🇪 👍🏽 ❤️.\n"
)
_THOUGHT = "The user wants an answer. 考える: I repeat the question, then I answer it. 🤔"
_REFUSAL = "I'm sorry, but I cannot help with that."


# ── what the user said ──


def last_words(request: ir.Request) -> str:
    """The texts of the last turn by the user, the results of tools included."""
    for turn in reversed(request.turns):
        if turn.role == "user":
            return "\n".join(_texts(turn.parts))
    return ""


def _texts(parts: tuple[ir.Part, ...]) -> Iterator[str]:
    for part in parts:
        if isinstance(part, ir.Text):
            yield part.text
        elif isinstance(part, ir.ToolResult):
            yield from _texts(part.content)


def _last_results(request: ir.Request) -> list[ir.ToolResult]:
    """Results of tools that came since the model spoke last."""
    results: list[ir.ToolResult] = []
    for turn in request.turns:
        if turn.role == "assistant":
            results.clear()
        results += [part for part in turn.parts if isinstance(part, ir.ToolResult)]
    return results


# ── answers ──


def echo(question: Question) -> ir.Response:
    """Repeats what the user said last."""
    return said(question, last_words(question.request) or "(no text)")


def long(question: Question) -> ir.Response:
    """About 5 kB of many scripts, emoji and characters that JSON and SSE must escape."""
    return said(question, _LONG * 12)


def refusal(question: Question) -> ir.Response:
    """The model itself refuses."""
    return _response(question, (ir.Refusal(_REFUSAL),), "filtered")


def empty(question: Question) -> ir.Response:
    """No content and no tokens: not an answer at all."""
    return _response(question, (), "end")


def max_tokens(question: Question) -> ir.Response:
    """A long text that ends where the client's limit is."""
    limit = question.request.max_output_tokens or question.request.default_max_output_tokens
    text = (_LONG * 12)[: limit * _BYTES_PER_TOKEN]
    return _response(question, (ir.Text(text),), "max_tokens")


def stop_sequence(question: Question) -> ir.Response:
    """Ends at the first of the client's stop sequences, at "END" when it gave none."""
    stop = next(iter(question.request.stop), "END")
    return _response(question, (ir.Text("Up to here. "),), "stop_sequence", stop)


def images(question: Question) -> ir.Response:
    """Type, size and SHA-256 of every picture or file received, one a line."""
    lines = [line for turn in question.request.turns for line in _described(turn.parts)]
    return said(question, "\n".join(lines) or "no images")


def structured(question: Question) -> ir.Response:
    """JSON that fits the schema asked for."""
    wanted = question.request.output_format
    schema = None if wanted is None or wanted.schema is None else _parsed(wanted.schema)
    value = {"answer": "42 漢字"} if schema is None else sample(schema)
    return said(question, jsontext.write(value).decode())


def thinking(question: Question) -> ir.Response:
    """Thinks first; after its own earlier turn it tells whether the proof of that came back."""
    text = f"{_proof_report(question)}{last_words(question.request)}"
    return _response(question, (_thought(question), ir.Text(text)), "end")


def tool(question: Question) -> ir.Response:
    """Calls the first tool; after its result, quotes that."""
    return _calling(question, 1)


def tools(question: Question) -> ir.Response:
    """Calls up to three tools at once, the only one twice; after their results, quotes those."""
    return _calling(question, _MOST_PARALLEL_CALLS)


def thinking_tool(question: Question) -> ir.Response:
    """Thinks, then calls the first tool; after its result, tells whether the proof came back."""
    return _thinking_before(question, _calling(question, 1))


def thinking_tools(question: Question) -> ir.Response:
    """The same with up to three tools at once."""
    return _thinking_before(question, _calling(question, _MOST_PARALLEL_CALLS))


def _thinking_before(question: Question, answer: ir.Response) -> ir.Response:
    parts: tuple[ir.Part, ...] = (_thought(question), *answer.parts)
    if answer.stop != "tool_use":
        parts = (ir.Text(_proof_report(question)), *answer.parts)
    return _response(question, parts, answer.stop)


# ── tools ──


def _calling(question: Question, most: int) -> ir.Response:
    results = _last_results(question.request)
    if results:
        return said(question, "\n".join(_quoted(result) for result in results))
    chosen = _chosen(question.request, most)
    if not chosen:
        return said(question, "no tools were offered")
    calls = tuple(_call(question, tool, number) for number, tool in enumerate(chosen))
    return _response(question, calls, "tool_use")


def _chosen(request: ir.Request, most: int) -> list[ir.Tool]:
    choice = request.tool_choice
    if choice is not None and choice.mode == "none":
        return []
    names = choice.names if choice is not None else ()
    offered = [tool for tool in request.tools if isinstance(tool, ir.Tool)]
    allowed = [tool for tool in offered if not names or tool.name in names]
    if request.parallel_tool_calls is False:
        most = 1
    return allowed * 2 if len(allowed) == 1 and most > 1 else allowed[:most]


def _call(question: Question, tool: ir.Tool, number: int) -> ir.ToolCall:
    asked = len(question.request.turns)
    call_id = derived_id("call_", question.request.model, tool.namespace, tool.name, number, asked)
    proof = _proof(question, tool.name) if question.wire in _SIGNS_CALLS else None
    arguments = "free text 漢字\n{}" if tool.kind == "custom" else _arguments(tool, number)
    return ir.ToolCall(call_id, tool.name, arguments, tool.kind, tool.namespace, proof)


def _arguments(tool: ir.Tool, number: int) -> str:
    """An object for the tool's schema; the second call of one tool differs in its texts."""
    schema = _parsed(tool.schema) if tool.schema is not None else {"type": "object"}
    value = sample(schema, tool.name)
    if not isinstance(value, dict):
        value = {}
    if number:
        value = {
            key: f"{inner} {number + 1}" if _is_free(schema, key, inner) else inner
            for key, inner in value.items()
        }
    return jsontext.write(value).decode()


def _is_free(schema: Any, key: str, value: Any) -> bool:
    """Whether any text fits there."""
    properties = schema.get("properties", {}) if isinstance(schema, dict) else {}
    limits = properties.get(key) if isinstance(properties, dict) else None
    only_typed = isinstance(limits, dict) and limits.keys() <= {"type", "description", "title"}
    return isinstance(value, str) and only_typed


def _quoted(result: ir.ToolResult) -> str:
    lines = [*_texts(result.content), *_described(result.content)]
    kind = "Error" if result.is_error else "Result"
    return f"{kind} of {result.name or result.call_id}: " + " / ".join(lines)


# ── media ──


def _described(parts: tuple[ir.Part, ...]) -> Iterator[str]:
    for part in parts:
        if isinstance(part, ir.ToolResult):
            yield from _described(part.content)
        elif isinstance(part, ir.Media):
            yield _digest(part)


def _digest(media: ir.Media) -> str:
    match media.source:
        case ir.Inline(mime, data):
            plain = _decoded(data)
            digest = hashlib.sha256(plain).hexdigest()
            return f"{media.kind} {mime} {len(plain)} bytes sha256:{digest}"
        case ir.Remote(url):
            return f"{media.kind} at {url}"
        case ir.Uploaded(id=file_id):
            return f"{media.kind} file {file_id}"
        case ir.PlainText(text):
            return f"{media.kind} of {len(text)} characters"


def _decoded(data: str) -> bytes:
    try:
        return base64.b64decode(data)
    except binascii.Error:
        return b""


# ── reasoning ──


def is_genuine(proof: ir.Proof, family: str) -> bool:
    """Whether a simulated model of that family made this proof."""
    return proof.family == family and _decoded(proof.data).startswith(_proof_start(family))


def _proof(question: Question, *about: object) -> ir.Proof | None:
    if question.wire in _WITHOUT_PROOFS:
        return None
    digest = derived_id("", question.family, question.request.model, *about).encode()
    data = base64.b64encode(_proof_start(question.family) + digest).decode()
    return ir.Proof(question.family, data)


def _proof_start(family: str) -> bytes:
    return b"simulated proof, " + family.encode() + b": "


def _thought(question: Question) -> ir.Reasoning:
    return ir.Reasoning(_THOUGHT, _proof(question, _THOUGHT))


def proofs_in(request: ir.Request) -> Iterator[ir.Proof]:
    for turn in request.turns:
        for part in turn.parts:
            if isinstance(part, ir.Reasoning | ir.ToolCall | ir.Text) and part.proof is not None:
                yield part.proof


def _proof_report(question: Question) -> str:
    if not any(turn.role == "assistant" for turn in question.request.turns):
        return ""
    if question.wire in _CHECKS_THOUGHTS and any(_changed_thoughts(question)):
        return "My thoughts were changed. "
    if any(is_genuine(proof, question.family) for proof in proofs_in(question.request)):
        return "My proof came back. "
    return "My proof is missing. "


def _changed_thoughts(question: Question) -> Iterator[bool]:
    for turn in question.request.turns:
        for part in turn.parts:
            if isinstance(part, ir.Reasoning) and part.proof is not None:
                yield is_genuine(part.proof, question.family) and part.text != _THOUGHT


# ── the answer as a whole ──


def several(question: Question, first: ir.Response) -> ir.Response:
    """As many answers as were asked for: the same again, with their number."""
    most = min(question.request.answers, MOST)
    if most == 1:
        return first
    others = tuple(_again(first, number) for number in range(1, most))
    said = (*first.parts, *(part for answer in others for part in answer.parts))
    return ir.replace(first, others=others, usage=_usage(question.request, said))


def _again(first: ir.Response, number: int) -> ir.Answer:
    parts = tuple(_numbered(part, number) for part in first.parts)
    return ir.Answer(number, parts, first.stop, first.stop_sequence)


def _numbered(part: ir.Part, number: int) -> ir.Part:
    match part:
        case ir.Text() | ir.Refusal():
            return ir.replace(part, text=f"{part.text} ({number})")
        case ir.ToolCall():
            return ir.replace(part, id=f"{part.id}-{number}")
        case _:
            return part


def said(question: Question, text: str) -> ir.Response:
    return _response(question, (ir.Text(text),), "end")


def _response(
    question: Question, parts: tuple[ir.Part, ...], stop: ir.StopReason, stop_sequence: str = ""
) -> ir.Response:
    request = question.request
    return ir.Response(
        derived_id("sim-", request.model, *_seeds(request)),
        request.model,
        parts,
        stop,
        stop_sequence,
        _usage(request, parts),
        _CREATED,
    )


def _seeds(request: ir.Request) -> tuple[object, ...]:
    return (len(request.turns), last_words(request))


def _usage(request: ir.Request, parts: tuple[ir.Part, ...]) -> ir.Usage:
    """All turns but the last come from the cache."""
    total = estimated_tokens(request)
    cached = 0
    if len(request.turns) > 1:
        cached = min(estimated_tokens(ir.replace(request, turns=request.turns[:-1])), total - 1)
    thoughts = sum(_tokens(part.text) for part in parts if isinstance(part, ir.Reasoning))
    return ir.Usage(
        input=total - cached,
        cache_read=cached,
        output=sum(_tokens(_written(part)) for part in parts),
        reasoning=thoughts,
    )


def _written(part: ir.Part) -> str:
    match part:
        case ir.Text() | ir.Refusal():
            return part.text
        case ir.ToolCall():
            return part.name + part.arguments
        case _:
            return ""


def _tokens(text: str) -> int:
    """Bytes by four, rounded up."""
    return -(-len(text.encode("utf-8", "replace")) // _BYTES_PER_TOKEN)


def _parsed(schema: ir.JSON) -> Any:
    return jsontext.try_read(schema, object)
