"""
Hypothesis strategies for the values that the wires translate.

`responses` and `event_streams` stay within what every wire can say: plain texts, reasoning with the
wire's own proofs, calls of functions. `any_responses` and `requests` go through everything that the
hub can hold; codecs must survive them, with losses.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from itertools import chain
from typing import Any, TypeVar

from hypothesis import strategies as st

from aiproxy import ir

Strategy = st.SearchStrategy
E = TypeVar("E")

FAMILIES = ("anthropic", "openai", "gemini", "kiro")
MODELS = ("m", "claude-opus-4-7", "claude-sonnet-4-5", "claude-3-haiku", "gpt-5", "gemini-3-pro")

_characters = st.one_of(
    st.sampled_from('abc {}[]":,\\/\n\r\t\x00é漢字😀\u2028ﬁ<&'),
    st.characters(codec="utf-8"),
)


def texts(min_size: int = 0, max_size: int = 24) -> Strategy[str]:
    """Texts of code points that UTF-8 can hold, rich in those that JSON and SSE must escape."""
    return st.text(_characters, min_size=min_size, max_size=max_size)


def identifiers() -> Strategy[str]:
    """Names and ids that every vendor takes."""
    return st.from_regex(r"[a-z][A-Za-z0-9_-]{0,15}", fullmatch=True)


def json_values(max_leaves: int = 8) -> Strategy[Any]:
    """Any JSON value that Python can hold to the digit."""
    leaves = st.one_of(
        st.none(), st.booleans(), st.integers(-(2**53), 2**53), texts(), st.floats(-1e6, 1e6)
    )
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts(), inner, max_size=3),
        max_leaves=max_leaves,
    )


def json_objects() -> Strategy[str]:
    """Compact JSON text of an object, as vendors write a call's arguments."""
    return st.dictionaries(texts(), json_values(4), max_size=3).map(
        lambda value: json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    )


def raw_json(values: Strategy[Any] | None = None) -> Strategy[ir.JSON]:
    """JSON that nobody parses."""
    return (json_values() if values is None else values).map(
        lambda value: ir.JSON(json.dumps(value).encode())
    )


def schemas() -> Strategy[ir.JSON]:
    """JSON Schemas of a tool's arguments, some with a root that vendors refuse."""
    leaf = st.sampled_from(
        (
            {"type": "string"},
            {"type": ["integer", "null"]},
            {"enum": ["a", "b"]},
            {"$ref": "#/$defs/node"},
            {"type": "array", "items": {"type": "number"}},
        )
    )
    properties = st.dictionaries(identifiers(), leaf, max_size=3)
    whole = properties.map(
        lambda members: {"type": "object", "properties": members, "required": sorted(members)}
    )
    odd = st.sampled_from(
        (
            {},
            {"anyOf": [{"type": "object", "properties": {"a": {"type": "string"}}}, {}]},
            {"type": "object", "$defs": {"node": {"$ref": "#/$defs/node"}}},
            {"type": "object", "additionalProperties": True},
        )
    )
    return raw_json(st.one_of(whole, odd))


def proofs(*families: str) -> Strategy[ir.Proof]:
    """Proofs of these families (default: all), the redacted kind only where there is one."""
    return st.builds(
        ir.Proof,
        st.sampled_from(families or FAMILIES),
        st.binary(min_size=1, max_size=12).map(lambda data: base64.b64encode(data).decode()),
    )


def logprobs() -> Strategy[tuple[ir.Logprob, ...]]:
    """Of a few tokens; their bytes are not told, as on the one wire that has no place for them."""
    chance = st.floats(-100, 0)
    other = st.builds(ir.Logprob, texts(), chance)
    likely = st.builds(
        ir.Logprob, texts(), chance, st.none(), st.lists(other, max_size=2).map(tuple)
    )
    return st.lists(likely, max_size=3).map(tuple)


def citations() -> Strategy[ir.Citation]:
    return st.builds(
        ir.Citation,
        identifiers().map(lambda name: f"https://example.org/{name}"),
        texts(min_size=1),
    )


def images() -> Strategy[ir.Media]:
    """Inline images of a kind that every vendor takes."""
    return st.builds(
        ir.Media,
        st.just("image"),
        st.builds(
            ir.Inline,
            st.sampled_from(("image/png", "image/jpeg")),
            st.binary(min_size=1, max_size=8).map(lambda data: base64.b64encode(data).decode()),
        ),
    )


def media() -> Strategy[ir.Media]:
    """Any medium from any source, also those that a vendor must refuse."""
    mime = st.sampled_from(
        ("", "image/png", "image/bmp", "application/pdf", "text/plain", "audio/wav", "video/mp4")
    )
    source: Strategy[ir.Source] = st.one_of(
        st.builds(ir.Inline, mime, st.just("aGk=")),
        st.builds(ir.Remote, st.just("https://example.org/f"), mime),
        st.builds(ir.Uploaded, st.sampled_from(FAMILIES), identifiers(), mime),
        st.builds(ir.PlainText, texts()),
    )
    return st.builds(
        ir.Media,
        st.sampled_from(("image", "document", "audio", "video")),
        source,
        texts(),
        st.sampled_from(("", "low", "high", "auto")),
    )


def usages() -> Strategy[ir.Usage]:
    count = st.integers(0, 10**6)
    return st.builds(ir.Usage, count, count, count, count, count)


# ── replies ──


def _calls() -> Strategy[ir.ToolCall]:
    return st.builds(ir.ToolCall, identifiers(), identifiers(), json_objects())


@st.composite
def responses(draw: st.DrawFn, family: str) -> ir.Response:
    """
    Answers that every wire can carry whole: reasoning first, then texts and calls.

    family: whose proofs the reasoning bears. Adjacent parts of the same kind may occur.
    """
    reasoning = st.builds(ir.Reasoning, texts(min_size=1), st.none() | proofs(family))
    thoughts = draw(st.lists(reasoning, max_size=1))
    rest = draw(st.lists(st.builds(ir.Text, texts(min_size=1)) | _calls(), max_size=4))
    parts: tuple[ir.Part, ...] = _unique_ids((*thoughts, *rest))
    return _ended(draw, parts)


@st.composite
def any_responses(draw: st.DrawFn) -> ir.Response:
    """Answers of any parts at all, with foreign proofs, custom tools, media and opaque parts."""
    proof = st.none() | proofs()
    extras = st.none() | st.builds(
        ir.Extras,
        st.sampled_from(("anthropic", "chat", "responses", "gemini")),
        st.tuples(st.tuples(identifiers(), raw_json())),
    )
    part: Strategy[ir.Part] = st.one_of(
        st.builds(
            ir.Text,
            texts(),
            st.lists(citations(), max_size=2).map(tuple),
            proof,
            extras,
            logprobs(),
        ),
        st.builds(ir.Reasoning, texts(), proof, st.booleans(), extras),
        st.builds(ir.Refusal, texts(), logprobs()),
        st.builds(
            ir.ToolCall,
            texts(),
            identifiers(),
            st.one_of(json_objects(), texts()),
            st.sampled_from(("function", "custom")),
            st.just("") | identifiers(),
            proof,
            extras,
        ),
        media(),
        opaques(),
    )
    response = _ended(draw, _unique_ids(draw(st.lists(part, max_size=5))))
    others = _others(draw, st.lists(part, max_size=2)) if draw(st.booleans()) else ()
    return ir.replace(response, extras=draw(extras), others=others)


@st.composite
def several(draw: st.DrawFn, family: str) -> ir.Response:
    """Answers of the same kind as `responses`, one or more to one request."""
    first = draw(responses(family))
    part = st.builds(ir.Text, texts(min_size=1)) | _calls()
    return ir.replace(first, others=_others(draw, st.lists(part, max_size=3)))


def _others(draw: st.DrawFn, parts: Strategy[list[Any]]) -> tuple[ir.Answer, ...]:
    """Further answers; there may be gaps between their numbers."""
    numbers = sorted(draw(st.sets(st.integers(1, 4), max_size=2)))
    return tuple(_other(draw, number, draw(parts)) for number in numbers)


def _other(draw: st.DrawFn, number: int, parts: Sequence[ir.Part]) -> ir.Answer:
    ended = _ended(draw, _unique_ids(parts, f"call_{number}_"))
    return ir.Answer(number, ended.parts, ended.stop, ended.stop_sequence)


def opaques() -> Strategy[ir.Opaque]:
    """Parts of all wires, also of the one under test, whose inside may be anything."""
    return st.builds(
        ir.Opaque,
        st.sampled_from(("anthropic", "chat", "responses", "gemini", "kiro")),
        identifiers(),
        raw_json(st.dictionaries(identifiers(), json_values(3), max_size=2)),
        texts(),
    )


def _unique_ids(parts: Sequence[ir.Part], prefix: str = "call_") -> tuple[ir.Part, ...]:
    seen = enumerate(parts)
    return tuple(
        ir.replace(part, id=f"{prefix}{at}{part.id}") if isinstance(part, ir.ToolCall) else part
        for at, part in seen
    )


def _ended(draw: st.DrawFn, parts: tuple[ir.Part, ...]) -> ir.Response:
    if any(isinstance(part, ir.ToolCall) for part in parts):
        stop: ir.StopReason = draw(st.sampled_from(("tool_use", "max_tokens", "filtered")))
    else:
        stop = draw(st.sampled_from(("end", "stop_sequence", "max_tokens", "filtered", "pause")))
    return ir.Response(
        id=draw(identifiers()),
        model=draw(st.sampled_from(MODELS)),
        parts=parts,
        stop=stop,
        stop_sequence=draw(texts(min_size=1)) if stop == "stop_sequence" else "",
        usage=draw(st.none() | usages()),
        created=draw(st.integers(1, 2**31)),
    )


# ── streams ──


@st.composite
def event_streams(draw: st.DrawFn, response: ir.Response) -> tuple[ir.Event, ...]:
    """
    A legal stream that folds to `response`, in any deltas.

    Several blocks may be open at once, and several answers come in turns.
    """
    start, *_, end = ir.unfold(response)
    answers: list[Sequence[ir.Event]] = [_answer_stream(draw, response.parts)]
    for other in response.others:
        events = (*_answer_stream(draw, other.parts), ir.Finished(other.stop, other.stop_sequence))
        answers.append([ir.Other(other.number, event) for event in events])
    return (start, *_interleaved(draw, answers), end)


def _answer_stream(draw: st.DrawFn, parts: Sequence[ir.Part]) -> list[ir.BlockEvent]:
    blocks: list[list[ir.BlockEvent]] = [[] for _ in parts]
    for event in ir.unfold_parts(parts):
        blocks[event.index] += _fragments(draw, event)
    return _interleaved(draw, blocks) if draw(st.booleans()) else list(chain(*blocks))


def _fragments(draw: st.DrawFn, event: ir.BlockEvent) -> list[ir.BlockEvent]:
    match event:
        case ir.TextDelta() | ir.RefusalDelta() | ir.ReasoningDelta() | ir.ArgumentsDelta():
            pieces = split(event.text, draw(cuts()))
            return [ir.replace(event, text=piece) for piece in pieces]
        case ir.LogprobsAdded():
            pieces = split(event.logprobs, draw(cuts()))
            return [ir.replace(event, logprobs=piece) for piece in pieces if piece]
        case _:
            return [event]


def _interleaved(draw: st.DrawFn, blocks: Sequence[Sequence[E]]) -> list[E]:
    """Blocks begin in order; what follows a block's beginning may come at any later time."""
    random = draw(st.randoms(use_true_random=False))
    waiting = [list(block) for block in blocks if block]
    begun: list[list[E]] = []
    out: list[E] = []
    while waiting or begun:
        if waiting and (not begun or random.random() < 0.4):
            begun.append(waiting.pop(0))
            block = begun[-1]
        else:
            block = random.choice(begun)
        out.append(block.pop(0))
        begun = [open_block for open_block in begun if open_block]
    return out


def cuts() -> Strategy[list[int]]:
    """Where to cut something, as distances; see `split`."""
    return st.lists(st.integers(0, 40), max_size=12)


def split(whole: Any, distances: Sequence[int]) -> list[Any]:
    """`whole` (bytes or text) in pieces of these lengths, then the rest."""
    pieces = []
    start = 0
    for distance in distances:
        pieces.append(whole[start : start + distance])
        start += distance
    pieces.append(whole[start:])
    return pieces


# ── requests ──


@st.composite
def requests(draw: st.DrawFn, wire: str) -> ir.Request:
    """
    Requests with everything in them that some client can say.

    wire: the client's. Some cannot be served by some targets: those must say so with BadRequest.
    """
    tools = tuple(draw(st.lists(_tools(), max_size=3, unique_by=lambda tool: tool.name)))
    names = tuple(tool.name for tool in tools)
    turns = draw(st.lists(_turns(names), min_size=1, max_size=5))
    return ir.Request(
        wire=wire,
        model=draw(st.sampled_from(MODELS)),
        stream=draw(st.booleans()),
        turns=tuple(turns),
        instructions=tuple(draw(st.lists(st.builds(ir.Text, texts(min_size=1)), max_size=2))),
        tools=tools,
        tool_choice=draw(st.none() | _choices(names)) if tools else None,
        parallel_tool_calls=draw(st.none() | st.booleans()),
        max_output_tokens=draw(st.none() | st.integers(1, 200_000)),
        sampling=draw(_samplings()),
        stop=tuple(draw(st.lists(texts(min_size=1), max_size=3))),
        thinking=draw(st.none() | _thinkings()),
        output_format=draw(st.none() | _formats()),
        verbosity=draw(st.sampled_from(("", "low", "high"))),
        user=draw(st.just("") | identifiers()),
        metadata=draw(st.none() | st.just(ir.JSON(b'{"a":"b"}'))),
        service_tier=draw(st.sampled_from(("", "auto", "default", "priority"))),
        cache_key=draw(st.just("") | identifiers()),
    )


def _turns(names: Sequence[str]) -> Strategy[ir.Turn]:
    name = st.sampled_from(names) if names else identifiers()
    call_id = st.sampled_from(("c1", "c2", "c3", "bad id/é"))
    text = st.builds(ir.Text, texts(min_size=1))
    call = st.builds(ir.ToolCall, call_id, name, st.one_of(json_objects(), texts()))
    result = st.builds(
        ir.ToolResult,
        call_id,
        st.lists(text | images(), max_size=2).map(tuple),
        st.booleans(),
    )
    thought = st.builds(ir.Reasoning, texts(), st.none() | proofs())
    said: Strategy[Any] = st.lists(st.one_of(text, images(), result), min_size=1, max_size=4)
    answered: Strategy[Any] = st.lists(
        st.one_of(text, call, thought, st.builds(ir.Refusal, texts(min_size=1)), opaques()),
        min_size=1,
        max_size=4,
    )
    instructed: Strategy[Any] = st.lists(text, min_size=1, max_size=2)
    return st.one_of(
        said.map(lambda parts: ir.Turn("user", tuple(parts))),
        answered.map(lambda parts: ir.Turn("assistant", _unique_ids(parts))),
        answered.map(lambda parts: ir.Turn("assistant", tuple(parts))),
        instructed.map(lambda parts: ir.Turn("system", tuple(parts))),
        instructed.map(lambda parts: ir.Turn("developer", tuple(parts))),
    )


def _tools() -> Strategy[ir.Tool]:
    return st.builds(
        ir.Tool,
        identifiers(),
        texts(),
        st.none() | schemas(),
        st.sampled_from(("function", "function", "custom")),
        st.none() | st.booleans(),
        st.just("") | identifiers(),
    )


def _choices(names: Sequence[str]) -> Strategy[ir.ToolChoice]:
    return st.builds(
        ir.ToolChoice,
        st.sampled_from(("auto", "any", "none", "validated")),
        st.lists(st.sampled_from(names), max_size=2, unique=True).map(tuple),
    )


def _samplings() -> Strategy[ir.Sampling]:
    return st.builds(
        ir.Sampling,
        st.none() | st.sampled_from((0.0, 0.5, 1.0, 1.7)),
        st.none() | st.sampled_from((0.1, 0.97)),
        st.none() | st.integers(1, 100),
        st.none() | st.integers(0, 10**9),
        st.none() | st.just(0.5),
        st.none() | st.just(0.5),
        st.none() | st.booleans(),
        st.none() | st.integers(0, 5),
        st.none() | st.integers(1, 2),
    )


def _thinkings() -> Strategy[ir.Thinking]:
    return st.builds(
        ir.Thinking,
        st.none() | st.sampled_from(("none", "minimal", "low", "medium", "high", "xhigh", "max")),
        st.none() | st.sampled_from((0, 512, 1024, 5000, 100_000)),
        st.booleans(),
        st.sampled_from(("", "auto", "detailed", "none")),
    )


def _formats() -> Strategy[ir.OutputFormat]:
    return st.builds(
        ir.OutputFormat,
        st.sampled_from(("text", "json_object", "json_schema")),
        schemas(),
        st.just("") | identifiers(),
        texts(),
        st.none() | st.booleans(),
    )
