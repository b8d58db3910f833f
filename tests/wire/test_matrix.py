"""
Recorded answers of every wire, relayed to clients of every other: nothing is lost undeclared.

Each test goes through all streams and whole answers of the corpus and all ordered pairs of wires,
and reports everything that fails at once. What an answer becomes on a client's wire is written down
in `views`, the grammar of the streams in `grammars`. Cases that cannot pass are listed here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import chain, islice
from typing import TypeAlias

from twisted.trial.unittest import SynchronousTestCase

from aiproxy import ir
from aiproxy.errors import UpstreamProtocolError
from tests import corpus
from tests.wire import comparing, exchanges, grammars, views
from tests.wire.exchanges import PAIRS, WIRES, Relayed
from tests.wire.sdk_readers import read_by_sdk

KINDS = ("stream", "unary")

Exemptions: TypeAlias = Mapping[tuple[str, str], str]
"""(case, client's wire) to the reason why it cannot pass."""

NO_ANSWER: Mapping[str, str] = {
    "pydantic-ai-invalid-response-u-e4da": "recorded for having no choices",
    "vertexai-sdk-test-data-unary-failure-invalid-response-u-4631": "recorded for being no answer",
}
CUT_IMAGE: Exemptions = {
    (case, client): "its source cut the image's base64 short"
    for case in ("agentgateway-stream-image-s-b455", "ai-openai-image-generation-tool-1-s-419a")
    for client in ("chat", "gemini")
}
SDK_FAILS: Exemptions = {
    ("agentgateway-stream-image-s-b455", "gemini"): "its source cut the image's base64 short",
    ("ai-openai-image-generation-tool-1-s-419a", "gemini"): "the same",
}


class MatrixCase(SynchronousTestCase):
    """Runs a check over the corpus and reports all complaints together."""

    def each(
        self, check: Callable[[Relayed, corpus.Case, str, str], None], exempt: Exemptions
    ) -> None:
        """`check(relayed, case, upstream's wire, client's wire)` for all pairs and answers."""
        complaints: list[str] = []
        for upstream, client in PAIRS:
            for case in chain.from_iterable(exchanges.answers(upstream, kind) for kind in KINDS):
                complaint = self._complaint(check, case, upstream, client)
                is_exempt = case.id in NO_ANSWER or (case.id, client) in exempt
                if complaint and not is_exempt:
                    complaints.append(f"{upstream} to {client}: {case.id}: {complaint}")
                if is_exempt and not complaint:
                    complaints.append(f"{upstream} to {client}: {case.id} passes, though exempt")
        if complaints:
            self.fail(f"{len(complaints)} cases fail\n" + "\n".join(complaints))

    def _complaint(
        self,
        check: Callable[[Relayed, corpus.Case, str, str], None],
        case: corpus.Case,
        upstream: str,
        client: str,
    ) -> str:
        try:
            relayed = exchanges.relayed(case, upstream, client)
        except UpstreamProtocolError as error:
            return "" if "truncated" in case.features else str(error)
        try:
            check(relayed, case, upstream, client)
        except Exception as error:
            return f"{type(error).__name__}: {str(error)[:700]}"
        return ""

    def assertSame(self, wire: str, first: ir.Reply, second: ir.Reply) -> None:
        """Both say the same; only what differs is shown."""
        assert isinstance(first, ir.Response), first
        assert isinstance(second, ir.Response), second
        one, other = comparing.comparable(wire, first), comparing.comparable(wire, second)
        for at, pair in enumerate(zip(one.parts, other.parts, strict=False)):
            self.assertEqual(*pair, f"part {at}")
        self.assertEqual(len(one.parts), len(other.parts))
        self.assertEqual(ir.replace(one, parts=()), ir.replace(other, parts=()))


def read(wire: str, kind: str, data: bytes) -> ir.Reply:
    """What the client's own decoder finds."""
    if kind == "stream":
        return exchanges.read_stream(wire, data)
    return WIRES[wire].decode_reply(200, data)


class AnswerTests(MatrixCase):
    """Answers as clients of other wires read them."""

    def test_nothing_is_lost(self) -> None:
        """The client's own decoder finds the answer, minus what was declared as lost."""

        def check(got: Relayed, case: corpus.Case, upstream: str, client: str) -> None:
            if not isinstance(got.original, ir.Response):
                self.assertError(got, case, client)
                return
            expected = views.seen_by(client, got.original, got.losses)
            self.assertSame(client, read(client, case.kind, got.data), expected)

        self.each(check, CUT_IMAGE)

    def assertError(self, got: Relayed, case: corpus.Case, client: str) -> None:
        """An error keeps its words, and its kind where the dialect has one for it."""
        assert isinstance(got.original, ir.ErrorReply)
        if case.kind == "stream":
            again = read(client, case.kind, got.data)
        else:
            again = WIRES[client].decode_reply(got.original.status, got.data)
        assert isinstance(again, ir.ErrorReply), again
        self.assertIn(got.original.message, again.message)

    def test_sdks_read_the_same(self) -> None:
        """The client's official SDK finds exactly what our decoder of its wire finds."""

        def check(got: Relayed, case: corpus.Case, upstream: str, client: str) -> None:
            if not isinstance(got.original, ir.Response):
                return
            own = read(client, case.kind, got.data)
            assert isinstance(own, ir.Response)
            by_sdk = WIRES[client].decode_reply(200, read_by_sdk(client, case.kind, got.data))
            assert isinstance(by_sdk, ir.Response)
            if client == "gemini":
                # Google's SDK drops the time and writes base64 in the alphabet for URLs.
                own = ir.replace(own, created=0, parts=tuple(map(url_safe, own.parts)))
                by_sdk = ir.replace(by_sdk, parts=tuple(map(url_safe, by_sdk.parts)))
            self.assertSame(client, own, by_sdk)

        self.each(check, SDK_FAILS)

    def test_streams_say_what_whole_answers_say(self) -> None:
        """The same answer, as a stream and whole, is the same to the client."""

        def check(got: Relayed, case: corpus.Case, upstream: str, client: str) -> None:
            if not isinstance(got.original, ir.Response):
                return
            request = exchanges.asked(case, upstream, client)
            whole = WIRES[client].encode_reply(got.original, request).body
            stream = got.data
            if case.kind != "stream":
                stream = exchanges.encoded_stream(got.original, client, request)
            one, other = read(client, "stream", stream), read(client, "unary", whole)
            if client == "anthropic":
                # Arguments that were cut stream as they came; whole, they must be an object.
                one = comparing.with_objects(one)
            self.assertSame(client, one, other)

        self.each(check, {})

    def test_gemini_arrays(self) -> None:
        """A Gemini client that did not ask for events gets the same as one JSON array."""
        for case in exchanges.answers("anthropic", "stream"):
            try:
                events = exchanges.events_of(case, "anthropic")
            except UpstreamProtocolError:
                continue
            if isinstance(events[-1], ir.Broken):
                continue
            request = ir.replace(exchanges.asked(case, "anthropic", "gemini"), array=True)
            encoder = WIRES["gemini"].StreamEncoder(request)
            data = b"".join(encoder.encode(event) for event in events)
            grammars.check("gemini", data)
            plain = WIRES["gemini"].StreamEncoder(ir.replace(request, array=False))
            stream = b"".join(plain.encode(event) for event in events)
            self.assertEqual(
                WIRES["gemini"].decode_reply(200, data), exchanges.read_stream("gemini", stream)
            )


class GrammarTests(MatrixCase):
    """Every stream that is written keeps its dialect's grammar."""

    def test_streams(self) -> None:
        """Recorded streams relayed, and recorded whole answers told as streams."""

        def check(got: Relayed, case: corpus.Case, upstream: str, client: str) -> None:
            if case.kind == "stream":
                grammars.check(client, got.data)
            elif isinstance(got.original, ir.Response):
                request = exchanges.asked(case, upstream, client)
                grammars.check(client, exchanges.encoded_stream(got.original, client, request))

        self.each(check, {})

    def test_broken_streams(self) -> None:
        """Recorded streams that end in the middle become the client's error event, in order."""
        for upstream, client in PAIRS:
            for case in islice(exchanges.answers(upstream, "stream"), 0, None, 4):
                messages = exchanges.messages_of(case)
                for most in (len(messages) // 2, 1):
                    request = exchanges.asked(case, upstream, client)
                    data = exchanges.broken_off(upstream, client, request, messages[:most])
                    # Nothing reaches the client before there is something to miss.
                    if data is not None:
                        grammars.check(client, data)

    def test_breaking_the_grammar_is_noticed(self) -> None:
        """A stream without any one of its events, or with one twice, breaks the grammar."""
        parts = (
            ir.Reasoning("hm", ir.Proof("other", "sig")),
            ir.Text("hello"),
            ir.ToolCall("c1", "f", '{"a":1}'),
        )
        reply = ir.Response("id", "m", parts, "tool_use", usage=ir.Usage(1, 2, 3, 4, 5), created=7)
        for wire in WIRES:
            request = ir.Request(wire, "m", True, (), include_usage=True)
            data = exchanges.encoded_stream(reply, wire, request)
            grammars.check(wire, data)
            events = data[:-2].split(b"\n\n")
            noticed = 0
            for at in range(len(events)):
                for changed in (events[:at] + events[at + 1 :], [*events[: at + 1], *events[at:]]):
                    try:
                        grammars.check(wire, b"\n\n".join(changed) + b"\n\n")
                    except grammars.Ungrammatical:
                        noticed += 1
            # Deltas may be missing or come twice: Chat and Gemini say nowhere what their sum is.
            least = {"anthropic": 18, "chat": 8, "responses": 38, "gemini": 2}[wire]
            self.assertGreaterEqual(noticed, least, f"{wire}: {noticed} of {2 * len(events)}")


def url_safe(part: ir.Part) -> ir.Part:
    """Google's own proofs in the alphabet of its SDK."""
    if isinstance(part, ir.Text | ir.Reasoning | ir.ToolCall) and part.proof is not None:
        data = part.proof.data.replace("+", "-").replace("/", "_")
        return ir.replace(part, proof=ir.replace(part.proof, data=data))
    return part
