"""
Which behaviour a model's name asks for.

A name holds words between anything that is no letter or digit, in any order ("demo-slow-50ms-echo"
is a slow echo). One word says what is answered:

echo             the user's last words; also for every name without a word of ours
long             5 kB of many scripts and emoji
thinking         reasoning with a proof, then text; later turns tell whether the proof came back
tool, tools      one call of the first tool, or parallel calls; after the results, their text
thinking-tool    both; thinking-tools calls several at once
image            type, size and SHA-256 of the pictures received
json             an answer that fits the requested schema
max-tokens       a text cut off at the client's limit
stop-sequence    a text that ends at the client's first stop sequence
refusal, empty   the model refuses; the model says nothing
error-429        that status with an error in the dialect's shape; also context-too-long,
                 content-policy and quota
error-json       an error as the JSON body of a 200
html, html-502   a web page
notice[-502]     a line of plain text (200)

Whoever asks for several answers gets the same several times, with their numbers.

Others say how it is sent; PLACE is head (before anything), start (before content) or mid:

cut[-PLACE]      the connection breaks (mid)
reset            the connection is reset before anything is said
torn             the connection breaks in the middle of a character
stall[-PLACE]    nothing more comes (head)
pings[-PLACE]    nothing more comes but signs of life (mid)
comments[-PLACE] the same, as comments in every dialect
broken[-PLACE]   an error in the answer itself (mid)
junk[-PLACE]     an event that is not JSON (mid)
oversized[-PLACE] an event of 33 MiB, compressed (mid); a whole answer is just no JSON
unfinished       the stream ends without its terminal event
unmarked         the stream ends with a reason, but without its last mark
slow[-50ms]      a pause before every piece of content but the first (100ms)
slow-start[-2s]  headers at once, nothing else until then (2s)
late[-2s]        nothing, not even headers, until then (2s)
gzip, zstd       a compressed body
gzip-lie         a plain body that is said to be compressed
untyped          a stream that is said to be application/octet-stream
whole            a whole answer even if a stream was asked for
fail-2[-429]     the first two calls for this name fail (503), the others do not
flap[-429]       every other call fails (503), the first one too
no-wait          errors do not say how long to wait
wait-50ms        errors say that
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import chain, zip_longest
from typing import TypeAlias

from aiproxy import ir
from aiproxy.errors import ErrorKind, ErrorReply
from aiproxy.simulator import answers
from aiproxy.simulator.script import (
    Cut,
    Junk,
    Opened,
    Page,
    Pause,
    Pings,
    Question,
    Refuse,
    Reset,
    Script,
    Stall,
    Step,
    Torn,
    Unmarked,
)
from aiproxy.wire.errortext import kind_of, standard_status

_Behaviour: TypeAlias = Callable[[Question, re.Match[str]], tuple[Step, ...]]
_Manner: TypeAlias = Callable[[Script, re.Match[str], Question], Script]

_RETRY_AFTER_SECONDS = 5.0
_PING_SECONDS = 0.1
_OVERSIZED_BYTES = 33 * 1024 * 1024

# Pieces of at most this many characters, so that even short texts come in several events.
_TEXT_PIECE = re.compile(r"\s*\S{1,12}|\s+")
_ARGUMENTS_PIECE = re.compile(r".{1,7}", re.DOTALL)

# What a dialect writes with that very status.
_KINDS_OF_500: Mapping[str, ErrorKind] = {"gemini": "internal"}

_MESSAGES: Mapping[ErrorKind, str] = {
    "context_length": "prompt is too long: 250000 tokens > 200000 maximum",
    "content_policy": "the prompt was rejected by our content policy",
    "quota": "you have used up your credit, check your plan and billing",
}


def script_for(question: Question) -> Script:
    """The answer to `question`, as its model's name demands."""
    name = question.request.model.lower()
    script = Script(_steps(question, name))
    for pattern, manner in _MANNERS:
        found = pattern.search(name)
        if found is not None:
            script = manner(script, found, question)
    return script


def error_of(status: int, kind: ErrorKind | None = None) -> ErrorReply:
    """A simulated error. kind: None for what the status usually means."""
    kind = kind or kind_of(status)
    wait = _RETRY_AFTER_SECONDS if kind in ("rate_limit", "overloaded") else None
    message = _MESSAGES.get(kind, f"simulated error {status}")
    return ErrorReply(status, kind, message, retry_after=wait)


def events_of(response: ir.Response) -> tuple[ir.Event, ...]:
    """A whole answer as a stream of small pieces; several answers come in turns."""
    start, *inside, end = ir.unfold(response)
    if isinstance(start, ir.Started) and start.usage is not None:
        start = ir.replace(start, usage=ir.replace(start.usage, output=0, reasoning=0))
    answers: dict[int, list[ir.Event]] = {}
    for event in inside:
        if isinstance(event, ir.Other):
            pieces = [ir.Other(event.number, piece) for piece in _pieces(event.event)]
            answers.setdefault(event.number, []).extend(pieces)
        elif not isinstance(event, ir.Started | ir.Broken):
            answers.setdefault(0, []).extend(_pieces(event))
    turns = chain.from_iterable(zip_longest(*answers.values()))
    return (start, *(event for event in turns if event is not None), end)


def _pieces(event: ir.AnswerEvent) -> list[ir.AnswerEvent]:
    match event:
        case ir.TextDelta() | ir.RefusalDelta() | ir.ReasoningDelta():
            return [ir.replace(event, text=piece) for piece in _TEXT_PIECE.findall(event.text)]
        case ir.ArgumentsDelta():
            return [ir.replace(event, text=piece) for piece in _ARGUMENTS_PIECE.findall(event.text)]
        case _:
            return [event]


# ── what is answered ──


def _steps(question: Question, name: str) -> tuple[Step, ...]:
    for pattern, behaviour in _BEHAVIOURS:
        found = pattern.search(name)
        if found is not None:
            return behaviour(question, found)
    return _said(question, answers.echo)


def _says(answer: Callable[[Question], ir.Response]) -> _Behaviour:
    return lambda question, found: _said(question, answer)


def _said(question: Question, answer: Callable[[Question], ir.Response]) -> tuple[ir.Event, ...]:
    return events_of(answers.several(question, answer(question)))


def _fails(kind: ErrorKind) -> _Behaviour:
    status = 429 if kind == "quota" else standard_status(kind)
    return lambda question, found: (Refuse(error_of(status, kind), status),)


def _status(question: Question, found: re.Match[str]) -> tuple[Step, ...]:
    status = int(found[1])
    kind = _KINDS_OF_500.get(question.wire) if status == 500 else None
    return (Refuse(error_of(status, kind), status),)


def _error_json(question: Question, found: re.Match[str]) -> tuple[Step, ...]:
    return (Refuse(error_of(503), 200),)


def _page(question: Question, found: re.Match[str]) -> tuple[Step, ...]:
    status = int(found[1] or 200)
    return (Page(status, f"<html><head><title>{status} simulated page</title></head></html>"),)


def _notice(question: Question, found: re.Match[str]) -> tuple[Step, ...]:
    text = "upstream connect error or disconnect/reset before headers"
    return (Page(int(found[1] or 200), text, "text/plain"),)


# ── how it is sent ──


def _interruption(fault: tuple[Step, ...], usual_place: str) -> _Manner:
    def manner(script: Script, found: re.Match[str], question: Question) -> Script:
        at = _index(script.steps, found[1] or usual_place)
        return replace(script, steps=script.steps[:at] + fault)

    return manner


def _oversized(script: Script, found: re.Match[str], question: Question) -> Script:
    at = _index(script.steps, found[1] or "mid")
    size = _OVERSIZED_BYTES if question.request.stream else 0
    event = Junk(b'data: {"x": "' + b" " * size)
    return replace(script, steps=(*script.steps[:at], event), coding="zstd")


def _torn(script: Script, found: re.Match[str], question: Question) -> Script:
    at = _index(script.steps, "mid")
    block = next((step.index for step in script.steps if isinstance(step, ir.TextDelta)), 0)
    return replace(script, steps=(*script.steps[:at], Torn(ir.TextDelta(block, "na\u00efve"))))


def _unmarked(script: Script, found: re.Match[str], question: Question) -> Script:
    steps = (Unmarked(step) if isinstance(step, ir.Finished) else step for step in script.steps)
    return replace(script, steps=tuple(steps))


def _index(steps: Sequence[Step], place: str) -> int:
    """How many steps there are before that place; all of them when it is not there."""
    content = [at for at, step in enumerate(steps) if _is_content(step)]
    match place:
        case "head":
            return 0
        case "start":
            return content[0] if content else len(steps)
        case _:
            # Between two pieces of one block, where that is possible.
            return content[len(content) // 2] if len(content) > 1 else len(steps) - 1


def _is_content(step: Step) -> bool:
    deltas = (ir.TextDelta, ir.RefusalDelta, ir.ReasoningDelta, ir.ArgumentsDelta)
    return isinstance(step, deltas) and ir.is_content(step)


def _unfinished(script: Script, found: re.Match[str], question: Question) -> Script:
    return replace(
        script, steps=tuple(step for step in script.steps if not isinstance(step, ir.Finished))
    )


def _slow(script: Script, found: re.Match[str], question: Question) -> Script:
    pause = Pause(_seconds(found, 0.1))
    steps: list[Step] = []
    begun = False
    for step in script.steps:
        if _is_content(step):
            steps += [pause] if begun else []
            begun = True
        steps.append(step)
    return replace(script, steps=tuple(steps))


def _slow_start(script: Script, found: re.Match[str], question: Question) -> Script:
    return replace(script, steps=(Opened(), Pause(_seconds(found, 2.0)), *script.steps))


def _late(script: Script, found: re.Match[str], question: Question) -> Script:
    return replace(script, steps=(Pause(_seconds(found, 2.0)), *script.steps))


def _fail_first(script: Script, found: re.Match[str], question: Question) -> Script:
    if question.count >= int(found[1]):
        return script
    status = int(found[2] or 503)
    return Script((Refuse(error_of(status), status),))


def _flap(script: Script, found: re.Match[str], question: Question) -> Script:
    if question.count % 2:
        return script
    status = int(found[1] or 503)
    return Script((Refuse(error_of(status), status),))


def _waiting(script: Script, found: re.Match[str], question: Question) -> Script:
    seconds = None if found[0] == "no-wait" else _seconds(found, _RETRY_AFTER_SECONDS)
    return replace(script, steps=tuple(_with_wait(step, seconds) for step in script.steps))


def _with_wait(step: Step, seconds: float | None) -> Step:
    match step:
        case Refuse():
            return replace(step, error=replace(step.error, retry_after=seconds))
        case ir.Broken():
            return ir.Broken(replace(step.error, retry_after=seconds))
        case _:
            return step


def _lie(script: Script, found: re.Match[str], question: Question) -> Script:
    return replace(script, claimed="gzip")


def _untyped(script: Script, found: re.Match[str], question: Question) -> Script:
    return replace(script, content_type="application/octet-stream")


def _compressed(script: Script, found: re.Match[str], question: Question) -> Script:
    return replace(script, coding=found[0])


def _whole(script: Script, found: re.Match[str], question: Question) -> Script:
    return replace(script, whole=True)


def _seconds(found: re.Match[str], default: float) -> float:
    if found[1] is None:
        return default
    return int(found[1]) / (1000 if found[2] == "ms" else 1)


# ── words ──


def _word(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![a-z0-9])(?:{pattern})(?![a-z0-9])")


_TIME = r"(?:-(\d{1,5})(ms|s))?"
_PLACE = r"(?:-(head|start|mid))?"

_BEHAVIOURS: Sequence[tuple[re.Pattern[str], _Behaviour]] = (
    (_word(r"error-([45]\d\d)"), _status),
    (_word(r"error-json"), _error_json),
    (_word(r"context-too-long"), _fails("context_length")),
    (_word(r"content-policy"), _fails("content_policy")),
    (_word(r"quota"), _fails("quota")),
    (_word(r"html(?:-([2-5]\d\d))?"), _page),
    (_word(r"thinking-tools"), _says(answers.thinking_tools)),
    (_word(r"notice(?:-([2-5]\d\d))?"), _notice),
    (_word(r"thinking-tool"), _says(answers.thinking_tool)),
    (_word(r"thinking"), _says(answers.thinking)),
    (_word(r"tools"), _says(answers.tools)),
    (_word(r"tool"), _says(answers.tool)),
    (_word(r"images?"), _says(answers.images)),
    (_word(r"json"), _says(answers.structured)),
    (_word(r"max-tokens"), _says(answers.max_tokens)),
    (_word(r"stop-sequence"), _says(answers.stop_sequence)),
    (_word(r"refusal"), _says(answers.refusal)),
    (_word(r"empty"), _says(answers.empty)),
    (_word(r"long"), _says(answers.long)),
)
_BROKEN = ir.Broken(error_of(529))
_MANNERS: Sequence[tuple[re.Pattern[str], _Manner]] = (
    (_word(rf"cut{_PLACE}"), _interruption((Cut(),), "mid")),
    (_word(rf"stall{_PLACE}"), _interruption((Stall(),), "head")),
    (_word(rf"broken{_PLACE}"), _interruption((_BROKEN,), "mid")),
    (_word(rf"junk{_PLACE}"), _interruption((Junk(b'data: {"type": "message\n\n'),), "mid")),
    (_word(r"reset()"), _interruption((Reset(),), "head")),
    (_word(rf"pings{_PLACE}"), _interruption((Pings(_PING_SECONDS),), "mid")),
    (
        _word(rf"comments{_PLACE}"),
        _interruption((Pings(_PING_SECONDS, b": alive\n\n"),), "mid"),
    ),
    (_word(rf"oversized{_PLACE}"), _oversized),
    (_word(r"torn"), _torn),
    (_word(r"unfinished"), _unfinished),
    (_word(r"unmarked"), _unmarked),
    (_word(rf"slow{_TIME}(?!-start)"), _slow),
    (_word(rf"slow-start{_TIME}"), _slow_start),
    (_word(rf"late{_TIME}"), _late),
    (_word(r"gzip-lie"), _lie),
    (_word(r"(?:gzip|zstd)(?!-lie)"), _compressed),
    (_word(r"untyped"), _untyped),
    (_word(r"whole"), _whole),
    (_word(r"fail-(\d{1,3})(?:-([45]\d\d))?(?:-then-ok)?"), _fail_first),
    (_word(r"flap(?:-([45]\d\d))?"), _flap),
    (_word(r"no-wait|wait-(\d{1,5})(ms|s)"), _waiting),
)
