"""
The corpus's share of the contract that every wire keeps: recorded exchanges of real APIs.

`CorpusContract` is a mixin, inherited through `tests.wire_contract.WireContract`. Each test goes
through all cases of the wire's format and reports all that fail. A case that cannot pass is listed
in `exempt_requests` or `exempt_answers` with the reason; one that passes after all is reported too.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from twisted.trial.unittest import SynchronousTestCase

from aiproxy import ir
from aiproxy.errors import BadRequest, ErrorKind, ErrorReply, UpstreamProtocolError
from aiproxy.framing import sse
from aiproxy.wire.contract import Inbound, Outbound
from tests import corpus

if TYPE_CHECKING:
    _Base = SynchronousTestCase
else:
    _Base = object


class Wire(Inbound, Outbound, Protocol):
    """A wire that clients and upstreams speak."""


class CorpusContract(_Base):
    """
    wire: the module under test. corpus_format: the corpus's name for its cases.
    exempt_requests, exempt_answers: case id to the reason why it cannot be read.
    exempt_again: case id to the reason why it can be read but not written anew.
    """

    wire: Wire
    corpus_format: str
    exempt_requests: Mapping[str, str] = {}
    exempt_answers: Mapping[str, str] = {}
    exempt_again: Mapping[str, str] = {}

    # ── what a wire says of itself ──

    def comparable_request(self, body: Any) -> Any:
        """A parsed body as far as encoding must keep it: the listed normalisations, done."""
        raise NotImplementedError

    def stop_of(self, digest: Mapping[str, Any]) -> ir.StopReason:
        """The stop reason that a digest's native `finish` stands for."""
        raise NotImplementedError

    def usage_of(self, usage: Mapping[str, Any]) -> ir.Usage:
        """A digest's native usage."""
        raise NotImplementedError

    def error_of(self, case: corpus.Case) -> ErrorKind | None:
        """The kind that an error case must have, None when any will do."""
        return None

    def thinking_of(self, response: ir.Response) -> str:
        """All reasoning as the digest has it."""
        return "".join(part.text for part in response.parts if isinstance(part, ir.Reasoning))

    def is_generation(self, case: corpus.Case) -> bool:
        """Whether a case is about generating rather than counting and the like."""
        return not {"count-tokens", "compact-endpoint"} & case.features

    # ── reading ──

    def decoded(self, pieces: Iterable[bytes]) -> list[ir.Event]:
        """The events of a stream that arrives in these pieces."""
        frames, decoder = sse.SSEDecoder(), self.wire.StreamDecoder()
        events: list[ir.Event] = []
        for piece in pieces:
            for message in frames.feed(piece):
                events += decoder.feed(message)
        for message in frames.close():
            events += decoder.feed(message)
        events += decoder.close()
        return events

    def _cases(self, *kinds: str) -> Iterator[corpus.Case]:
        for case in corpus.cases(self.corpus_format):
            if case.kind in kinds and self.is_generation(case):
                yield case

    def _check(
        self,
        cases: Iterable[corpus.Case],
        exempt: Mapping[str, str],
        check: Callable[[corpus.Case], None],
    ) -> None:
        """Run `check` on each case, then fail with all complaints at once."""
        complaints: list[str] = []
        for case in cases:
            try:
                check(case)
            except (AssertionError, BadRequest, UpstreamProtocolError, ValueError) as error:
                if case.id not in exempt:
                    complaints.append(f"{case.id}: {type(error).__name__}: {str(error)[:600]}")
            else:
                if case.id in exempt:
                    complaints.append(f"{case.id}: passes, though exempt: {exempt[case.id]}")
        if complaints:
            self.fail(f"{len(complaints)} cases fail\n" + "\n".join(complaints))

    def _check_again(
        self, cases: Iterable[corpus.Case], check: Callable[[corpus.Case], None]
    ) -> None:
        readable = (case for case in cases if case.id not in self.exempt_answers)
        self._check(readable, self.exempt_again, check)

    # ── the tests ──

    def test_corpus_requests(self) -> None:
        """Recorded requests come out of decoding and encoding as they went in."""

        def check(case: corpus.Case) -> None:
            body = case.request or b""
            request = self.wire.decode_request(body, case.meta["http"]["path"])
            again = self.wire.encode_request(request).body
            self.assertEqual(
                self.comparable_request(json.loads(again)),
                self.comparable_request(json.loads(body)),
            )

        found = (c for c in self._cases("stream", "unary", "request-only") if c.request)
        self._check(found, self.exempt_requests, check)

    def test_corpus_replies(self) -> None:
        """Recorded whole answers say what their digests say."""

        def check(case: corpus.Case) -> None:
            reply = self.wire.decode_reply(case.meta["http"]["status"], case.response or b"")
            self._same_as_digest(reply, case.digest or {})

        self._check((c for c in self._cases("unary") if c.digest), self.exempt_answers, check)

    def test_corpus_replies_again(self) -> None:
        """A recorded whole answer, encoded for a client of its own wire, says the same."""

        def check(case: corpus.Case) -> None:
            first = self.wire.decode_reply(200, case.response or b"")
            encoded = self.wire.encode_reply(first, None)
            second = self.wire.decode_reply(encoded.status, encoded.body)
            self._same_as_digest(second, case.digest or {})

        self._check_again((c for c in self._cases("unary") if c.digest), check)

    def test_corpus_streams(self) -> None:
        """Recorded streams give the same events in any chunking, and say what their digests say."""

        def check(case: corpus.Case) -> None:
            data = case.stream or b""
            complete = "truncated" not in case.features
            try:
                events = self.decoded([data])
            except UpstreamProtocolError:
                self.assertFalse(complete, "taken for a broken stream")
                return
            self.assertIsNone(complaint(events))
            for size in (1, 7):
                pieces = [data[at : at + size] for at in range(0, len(data), size)]
                self.assertEqual(self.decoded(pieces), events, f"chunks of {size} bytes")
            if case.digest is not None:
                self._same_as_digest(ir.fold(events), case.digest)

        self._check(self._cases("stream"), self.exempt_answers, check)

    def test_corpus_streams_again(self) -> None:
        """A recorded stream, encoded for a client of its own wire, says the same."""

        def check(case: corpus.Case) -> None:
            try:
                events = self.decoded([case.stream or b""])
            except UpstreamProtocolError:
                return
            several = ir.Sampling(candidates=(case.digest or {}).get("choices"))
            asked = ir.Request(self.wire.NAME, "m", True, (), sampling=several, include_usage=True)
            encoder = self.wire.StreamEncoder(asked)
            data = [encoder.encode(event) for event in events]
            if case.digest is not None:
                self._same_as_digest(ir.fold(self.decoded(data)), case.digest)

        self._check_again(self._cases("stream"), check)

    def test_corpus_errors(self) -> None:
        """Recorded errors keep their status, have a message and the kind that follows from them."""

        def check(case: corpus.Case) -> None:
            status = case.meta["http"]["status"]
            reply = self.wire.decode_reply(status, case.response or b"")
            assert isinstance(reply, ErrorReply), reply
            self.assertEqual(reply.status, status)
            self.assertTrue(reply.message)
            assert reply.native is not None
            self.assertEqual(reply.native.body, case.response)
            wanted = self.error_of(case)
            if wanted is not None:
                self.assertEqual(reply.kind, wanted)

        self._check(self._cases("error"), self.exempt_answers, check)

    # ── comparing ──

    def _same_as_digest(self, reply: ir.Reply, digest: Mapping[str, Any]) -> None:
        if digest.get("error"):
            assert isinstance(reply, ErrorReply), "not taken for an error"
            self.assertTrue(reply.message)
            return
        if digest.get("blocked") and isinstance(reply, ErrorReply):
            self.assertEqual(reply.kind, "content_policy")
            return
        assert isinstance(reply, ir.Response), reply
        self.assertEqual(len(reply.others), digest.get("choices", 1) - 1)
        texts = [part.text for part in reply.parts if isinstance(part, ir.Text)]
        self.assertEqual("".join(texts), digest["text"])
        self.assertEqual(self.thinking_of(reply), digest["thinking"])
        refusals = [part.text for part in reply.parts if isinstance(part, ir.Refusal)]
        if digest.get("refusal"):
            self.assertEqual("".join(refusals), digest["refusal"])
        calls = [part for part in reply.parts if isinstance(part, ir.ToolCall)]
        self.assertEqual([call.name for call in calls], [c["name"] for c in digest["tool_calls"]])
        for call, expected in zip(calls, digest["tool_calls"], strict=True):
            self._same_call(call, expected)
        self.assertEqual(reply.stop, self.stop_of(digest))
        if digest.get("usage"):
            self.assertEqual(reply.usage, self.usage_of(digest["usage"]))

    def _same_call(self, call: ir.ToolCall, expected: Mapping[str, Any]) -> None:
        if expected.get("arguments_valid_json") is False or call.kind == "custom":
            self.assertEqual(call.arguments, expected["arguments"])
        else:
            self.assertEqual(json.loads(call.arguments or "{}"), expected["arguments"] or {})
        if expected.get("id"):
            self.assertEqual(call.id, expected["id"])


_KINDS: Mapping[type, type | tuple[type, ...]] = {
    ir.TextDelta: ir.Text,
    ir.RefusalDelta: ir.Refusal,
    ir.ReasoningDelta: ir.Reasoning,
    ir.ArgumentsDelta: ir.ToolCall,
    ir.ProofAdded: (ir.Text, ir.Reasoning, ir.ToolCall),
    ir.CitationAdded: ir.Text,
    ir.LogprobsAdded: (ir.Text, ir.Refusal),
}


def complaint(events: Sequence[ir.Event]) -> str | None:
    """What is illegal in a stream of events, None when it is a good one (maybe not yet ended)."""
    answers: dict[int, list[ir.AnswerEvent]] = {0: []}
    for at, event in enumerate(events):
        if isinstance(event, ir.Finished | ir.Broken) and at != len(events) - 1:
            return f"{event} is not the last"
        if isinstance(event, ir.Broken):
            continue
        if isinstance(event, ir.Started) != (at == 0):
            return f"{event} is event {at}"
        if isinstance(event, ir.Other):
            answers.setdefault(event.number, []).append(event.event)
        elif not isinstance(event, ir.Started):
            answers[0].append(event)
    is_finished = bool(events) and isinstance(events[-1], ir.Finished)
    for number, answer in answers.items():
        wrong = _wrong_in(answer)
        if wrong is not None:
            return f"answer {number}: {wrong}"
        end = answer[-1] if answer else None
        if is_finished and not isinstance(end, ir.Finished):
            return f"answer {number} is not finished"
        if number and isinstance(end, ir.Finished) and (end.usage or end.extras):
            return f"answer {number} counts for itself"
    return None


def _wrong_in(answer: Sequence[ir.AnswerEvent]) -> str | None:
    """The same in one answer."""
    blocks: dict[int, ir.Part] = {}
    stopped: set[int] = set()
    for at, event in enumerate(answer):
        if isinstance(event, ir.Finished):
            if at != len(answer) - 1:
                return f"{event} is not the last"
            if set(blocks) != stopped:
                return f"blocks {set(blocks) - stopped} are not stopped"
        elif isinstance(event, ir.BlockStarted):
            if event.index != len(blocks):
                return f"block {event.index} begins as number {len(blocks)}"
            blocks[event.index] = event.block
        elif event.index not in blocks or event.index in stopped:
            return f"{event} is outside its block"
        elif isinstance(event, ir.BlockStopped):
            stopped.add(event.index)
        elif not isinstance(blocks[event.index], _KINDS[type(event)]):
            return f"{event} does not fit {blocks[event.index]}"
    return None
