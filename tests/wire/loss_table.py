"""
The loss table of `docs/translation.md`, made by asking the code.

Every probe is decoded by the wire it is written in, encoded for each other one, and decoded again
there. `python -m tests.wire.loss_table > docs/translation.md` writes the page.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from aiproxy import ir
from aiproxy.errors import BadRequest
from aiproxy.framing.eventstream import Message
from aiproxy.wire import INBOUND, OUTBOUND, relay
from tests.wire import loss_answers, loss_requests
from tests.wire.exchanges import read_stream
from tests.wire.kiro import reading
from tests.wire.kiro.samples import event, events
from tests.wire.loss_probes import MODELS, PLAIN, Feature, Object, answer, message, told
from tests.wire.loss_words import INSTEAD, MEANINGS

TITLES: Mapping[str, str] = {
    "anthropic": "Anthropic",
    "chat": "Chat",
    "responses": "Responses",
    "gemini": "Gemini",
}
WIRES = tuple(TITLES)
UPSTREAMS: Mapping[str, str] = {**TITLES, "kiro": "Kiro"}
"""Kiro is an upstream only, and no client's wire."""

UNKNOWN = "(not described)"
"""For an approximation that `loss_words` does not describe; the page must have none."""
ORIGIN = relay.Origin("m", "call_1", 1_700_000_000)

INTRO = """\
# What translation carries

<!-- Written by `make docs` from the code; a test fails when it is not up to date. -->

A client may speak one protocol and the upstream another. Whatever the upstream's protocol has a
place for is carried over; what it has none for is a *loss*, and never a silent one. The reply names
all losses of the call in the header `x-aiproxy-losses` (`top-k, cache-control`) and the access line
in its field `losses`; what is lost of an answer while it streams comes too late for the header and
is in the access line only. What a vendor's books say (fingerprints, times, costs, how token counts
divide) and what an answer repeats of the request is left out without a word. When client and
upstream speak the same protocol, the bytes pass as they are, nothing is lost, and nothing below
applies. That some upstreams take less than their protocol has is their own affair: their error goes
to the client. Only for an upstream of api_type `codex`, which takes less than its protocol by
design, are fields left out, and reported all the same
([Upstreams that are paid by a login](oauth-upstreams.md)).

| cell | |
|---|---|
| carried | the upstream (or the client) is told the same, if need be in the form that is named |
| ≈ | something near it is sent instead, and `the word` reported |
| lost | it is left out, and `the word` reported |
| 400 | such a request cannot be served by this upstream; the next one is tried |
| – | the same protocol, or not to be had there |

Models decide too. Where a row names no model of an upstream's, it is
{models}.
"""

FINISH = """\
### How an answer ends

These words are what clients get for each reason; they are not reported as losses, though some
protocols have fewer of them. Only Anthropic's names the stop sequence that was met.
"""

WORDS = """\
## The words

What the words of `x-aiproxy-losses` stand for. Any other word is the name of a field, or of a kind
of part, that only the client's (or, in answers, the upstream's) vendor knows, with hyphens:
`cache-control` is `cache_control`, `safety-settings` is `safetySettings`.
"""


@dataclass(frozen=True)
class Outcome:
    """
    One probe written for one other wire.

    refused: the target cannot serve it. same: what was read again is what was asked.
    """

    feature: Feature
    source: str
    target: str
    refused: bool = False
    same: bool = False
    losses: tuple[ir.Loss, ...] = ()

    @property
    def vanished(self) -> bool:
        """Neither carried nor reported: what must not be."""
        return not (self.refused or self.same or self.losses)


# ── asking the code ──


def decoded(wire: str, body: Object, model: str = "m") -> ir.Request:
    """A request as the client of `wire` sends it. Raises: BadRequest."""
    path = str(INBOUND[wire].ROUTES[0])
    if wire == "gemini":
        path = f"/v1beta/models/{model}:generateContent"
    else:
        body = {"model": model, **body}
    return INBOUND[wire].decode_request(_written(body), path)


def answered(wire: str, body: Object) -> ir.Response:
    """What an upstream's answer says."""
    if wire == "kiro":
        said = ir.fold(events(messages_of(body)))
        assert isinstance(said, ir.Response), (wire, said)
        return said
    reply = OUTBOUND[wire].decode_reply(200, _written(body))
    assert isinstance(reply, ir.Response), (wire, reply)
    return reply


def messages_of(body: Object) -> list[Message]:
    """Those of Kiro's stream, see `loss_probes.told`."""
    return [event(kind, payload) for kind, payload in body["events"]]


def _written(body: Object) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode()


def asked_elsewhere(feature: Feature, source: str, target: str) -> Outcome:
    """A request's probe for an upstream of another wire."""
    model = {**MODELS, **feature.models}[target]
    asked = ir.replace(decoded(source, feature.bodies[source]), model=model)
    if target == "kiro" and asked.max_output_tokens == PLAIN["anthropic"]["max_tokens"]:
        # Anthropic's clients must name a limit, which is not what the probe is about.
        asked = ir.replace(asked, max_output_tokens=None)
    try:
        encoded = relay.encode_for(OUTBOUND[target], asked)
    except BadRequest:
        return Outcome(feature, source, target, refused=True)
    same = feature.aspect(_read(target, encoded.body, model)) == feature.aspect(asked)
    return Outcome(feature, source, target, same=same, losses=encoded.losses)


def _read(target: str, body: bytes, model: str) -> ir.Request:
    if target == "kiro":
        return reading.read(body)
    members: Object = json.loads(body)
    members.pop("model", None)
    return decoded(target, members, model)


def answered_elsewhere(feature: Feature, source: str, target: str) -> Outcome:
    """An upstream's probe for a client of another wire."""
    request = asking(target)
    if source == "kiro":
        return _streamed_elsewhere(feature, source, target, request)
    body = _written(feature.bodies[source])
    encoded, reply = relay.convert(
        OUTBOUND[source], INBOUND[target], lambda: request, ORIGIN, 200, body
    )
    same = feature.aspect(answered(target, json.loads(encoded.body))) == feature.aspect(reply)
    same = same or (feature.needle != "" and feature.needle.encode() in encoded.body)
    return Outcome(feature, source, target, same=same, losses=encoded.losses)


def asking(wire: str) -> ir.Request:
    """What every probe of an answer answers; where there can be two answers, both are wanted."""
    return ir.replace(decoded(wire, PLAIN[wire]), sampling=ir.Sampling(candidates=2))


def _streamed_elsewhere(feature: Feature, source: str, target: str, request: ir.Request) -> Outcome:
    """From an upstream that only streams."""
    said = feature.bodies[source]
    request = ir.replace(request, stream=True, include_usage=True)
    way = relay.connect(OUTBOUND[source], INBOUND[target], lambda: request, "", ORIGIN)
    data = way.feed(messages_of(said)) + way.close()
    same = feature.aspect(read_stream(target, data)) == feature.aspect(answered(source, said))
    same = same or (feature.needle != "" and feature.needle.encode() in data)
    return Outcome(feature, source, target, same=same, losses=way.losses())


def outcomes(
    features: Iterable[Feature],
    ask: Callable[[Feature, str, str], Outcome],
    targets: Iterable[str] = WIRES,
) -> Iterator[Outcome]:
    for feature in features:
        for source in feature.bodies:
            for target in targets:
                if target != source:
                    yield ask(feature, source, target)


def request_outcomes() -> Mapping[str, Sequence[Outcome]]:
    """By group."""
    groups = loss_requests.GROUPS.items()
    return {
        name: tuple(outcomes(features, asked_elsewhere, UPSTREAMS)) for name, features in groups
    }


def answer_outcomes() -> Sequence[Outcome]:
    return tuple(outcomes(loss_answers.ANSWERS, answered_elsewhere))


# ── writing ──


def cell(outcome: Outcome) -> str:
    if outcome.refused:
        return "400"
    near = [loss.feature for loss in outcome.losses if loss.how == "approximated"]
    lost = [loss.feature for loss in outcome.losses if loss.how == "dropped"]
    said = [f"≈ {instead(name, outcome.target)} (`{name}`)" for name in near]
    form = outcome.feature.forms.get(outcome.target)
    if outcome.same and not near:
        said.append(f"carried, {form}" if form else "carried")
    if lost:
        words = ", ".join(f"`{name}`" for name in lost)
        said.append(f"in part lost: {words}" if outcome.same else f"lost: {words}")
    return "; ".join(said) or "vanished"


def instead(loss: str, target: str) -> str:
    """What is sent in place of what was asked."""
    found = INSTEAD.get(loss, UNKNOWN)
    return found if isinstance(found, str) else found.get(target, UNKNOWN)


def table(
    found: Iterable[Outcome],
    title: str,
    sources: Mapping[str, str] = TITLES,
    targets: Mapping[str, str] = TITLES,
) -> Iterator[str]:
    """
    One row for each feature, or more where it matters from which wire it comes.

    title: what the `sources` are here.
    """
    yield row(["", title, *(f"→ {name}" for name in targets.values())])
    yield row(["---"] * (2 + len(targets)))
    features: dict[str, dict[str, dict[str, str]]] = {}
    for outcome in found:
        cells = features.setdefault(named(outcome.feature), {}).setdefault(outcome.source, {})
        cells[outcome.target] = cell(outcome)
    for name, by_source in features.items():
        for whose, cells in merged(by_source):
            titles = [title for wire, title in sources.items() if wire in whose]
            who = "all" if len(whose) == len(sources) else ", ".join(titles)
            yield row([name, who, *(cells.get(wire, "–") for wire in targets)])


def named(feature: Feature) -> str:
    """The row's name, with the models that it is about."""
    models = dict.fromkeys(f"`{model}`" for model in feature.models.values())
    return f"{feature.name}: {', '.join(models)}" if models else feature.name


def merged(
    by_source: Mapping[str, Mapping[str, str]],
) -> Sequence[tuple[list[str], dict[str, str]]]:
    """Sources that fare the same with each target are one row."""
    rows: list[tuple[list[str], dict[str, str]]] = []
    for source, cells in by_source.items():
        for whose, common in rows:
            if all(common.get(target, text) == text for target, text in cells.items()):
                whose.append(source)
                common.update(cells)
                break
        else:
            rows.append(([source], dict(cells)))
    return rows


def row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def finishes() -> Iterator[str]:
    """For each stop reason the words of each wire."""
    reasons = {
        "end": "done",
        "stop_sequence": "a stop sequence was met",
        "tool_use": "tools are to be called",
        "max_tokens": "the limit of output tokens",
        "context_full": "the context window is full",
        "filtered": "refused or filtered",
        "pause": "the vendor pauses; ask on",
        "other": "anything else",
    }
    assert reasons.keys() == set(get_args(ir.StopReason))
    yield row(["", *(f"{title} clients" for title in TITLES.values())])
    yield row(["---"] * (1 + len(WIRES)))
    for reason, words in reasons.items():
        yield row([words, *(f"`{finish(wire, reason)}`" for wire in WIRES)])


def finish(wire: str, reason: Any) -> str:
    """What a client of `wire` is told."""
    said: ir.Part = ir.Text("Seen.")
    if reason == "tool_use":
        said = ir.ToolCall("call_1", "look", "{}")
    response = ir.Response("r", "m", (said,), reason)
    body = json.loads(INBOUND[wire].encode_reply(response, decoded(wire, PLAIN[wire])).body)
    match wire:
        case "anthropic":
            return str(body["stop_reason"])
        case "chat":
            return str(body["choices"][0]["finish_reason"])
        case "responses":
            details = body["incomplete_details"]
            return f"{body['status']}: {details['reason']}" if details else str(body["status"])
    return str(body["candidates"][0]["finishReason"])


def page() -> str:
    """The whole of `docs/translation.md`."""
    models = ", ".join(f"`{model}` ({UPSTREAMS[wire]})" for wire, model in MODELS.items())
    lines = [INTRO.format(models=models)]
    lines.append("## Requests\n")
    for name, found in request_outcomes().items():
        lines += [f"### {name}\n", *table(found, "clients", targets=UPSTREAMS), ""]
    lines += [
        "## Answers\n",
        *table(answer_outcomes(), "upstreams", UPSTREAMS),
        "",
        FINISH,
        *finishes(),
        "",
    ]
    lines += [WORDS, row(["word", "what is lost, or only near"]), row(["---", "---"])]
    lines += [row([f"`{word}`", meaning]) for word, meaning in sorted(MEANINGS.items())]
    return "\n".join(lines) + "\n"


def plain_answer(wire: str) -> Object:
    """The answer that every probe of an answer adds its feature to."""
    if wire == "kiro":
        return told()
    if wire == "responses":
        return answer(wire, message({"type": "output_text", "text": "Seen.", "annotations": []}))
    return answer(wire, {} if wire == "chat" else [{"type": "text", "text": "Seen."}])


if __name__ == "__main__":
    sys.stdout.write(page())
