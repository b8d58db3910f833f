"""Kiro's streams as events."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from aiproxy import ir
from aiproxy.errors import UpstreamProtocolError
from aiproxy.framing.eventstream import Message
from aiproxy.wire import kiro
from tests.wire.kiro.samples import event, events, text, thought, use, vectors
from tests.wire_corpus import complaint


class DecoderTestCase(SynchronousTestCase):
    def response(self, *messages: Message) -> ir.Response:
        found = events(messages)
        self.assertIsNone(complaint(found))
        reply = ir.fold(found)
        assert isinstance(reply, ir.Response), reply
        return reply

    def error(self, *messages: Message) -> ir.ErrorReply:
        found = events([*messages, text("late")])
        self.assertIsNone(complaint(found))
        assert isinstance(found[-1], ir.Broken), found
        return found[-1].error

    def refuses(self, *messages: Message) -> None:
        self.assertRaises(UpstreamProtocolError, events, messages)


class ProseTests(DecoderTestCase):
    def test_deltas(self) -> None:
        """Each text is a true delta, also one that repeats or extends the last, also blanks."""
        for pieces in (("ha", "ha"), ("a", "ab", "abc"), ("\n", "\n"), ("é😀", "", "x")):
            reply = self.response(*map(text, pieces))
            self.assertEqual(reply.parts, (ir.Text("".join(pieces)),))
            self.assertEqual((reply.stop, reply.usage), ("end", None))
        code = event("codeEvent", {"content": "b"})
        self.assertEqual(self.response(text("a"), code).parts, (ir.Text("ab"),))

    def test_live(self) -> None:
        """Each delta is an event at once, and nothing before the first says that it began."""
        decoder = kiro.StreamDecoder()
        self.assertEqual(decoder.feed(text("")), ())
        named = event("messageMetadataEvent", {"utteranceId": "u1", "conversationId": "c"})
        self.assertEqual(decoder.feed(named), ())
        first = event("assistantResponseEvent", {"content": "a", "modelId": "m"})
        self.assertEqual(
            decoder.feed(first),
            [ir.Started("u1", "m"), ir.BlockStarted(0, ir.Text("")), ir.TextDelta(0, "a")],
        )
        self.assertEqual(decoder.feed(text("a")), [ir.TextDelta(0, "a")])
        self.assertEqual(decoder.close(), [ir.BlockStopped(0), ir.Finished("end")])
        self.assertEqual(decoder.close(), ())
        self.assertEqual(decoder.feed(text("a")), ())

    def test_reasoning(self) -> None:
        """A signature ends its thought, whether text came before it or not."""
        proof = ir.Proof("kiro", "c2ln")
        self.assertEqual(
            self.response(*vectors("E11", "E12"), text("a")).parts,
            (ir.Reasoning("hm", proof), ir.Text("a")),
        )
        self.assertEqual(
            self.response(thought(signature="c2ln"), thought(text="b", signature="c2ln")).parts,
            (ir.Reasoning("", proof), ir.Reasoning("b", proof)),
        )
        only = self.response(thought(text="hm"))
        self.assertEqual((only.parts, only.stop), ((ir.Reasoning("hm"),), "end"))

    def test_redacted_reasoning(self) -> None:
        """Thoughts that nobody may read are a block of their own."""
        self.assertEqual(
            self.response(thought(text="a"), thought(redactedContent="Zg=="), text("b")).parts,
            (
                ir.Reasoning("a"),
                ir.Reasoning("", ir.Proof("kiro", "Zg==", redacted=True)),
                ir.Text("b"),
            ),
        )


class CallTests(DecoderTestCase):
    def test_fragments(self) -> None:
        """A call's pieces go on as they come."""
        found = events(vectors("E7", "E8", "E9", "E10"))
        self.assertEqual(
            found[1:],
            [
                ir.BlockStarted(0, ir.ToolCall("tooluse_1", "Read", "")),
                ir.ArgumentsDelta(0, '{"p":'),
                ir.ArgumentsDelta(0, '"a"}'),
                ir.BlockStopped(0),
                ir.Finished("tool_use"),
            ],
        )

    def test_interleaved(self) -> None:
        """Pieces of several calls find their own, with text between them, too."""
        reply = self.response(
            text("x"),
            use("a", '{"n":'),
            use("b", '{"m":'),
            text("y"),
            use("a", "1}", name=None),
            use("b", "2}", stop=True),
            text("z"),
            use("a", stop=True),
            use("a", "again"),
        )
        self.assertEqual(
            reply.parts,
            (
                ir.Text("x"),
                ir.ToolCall("a", "f", '{"n":1}'),
                ir.ToolCall("b", "f", '{"m":2}'),
                ir.Text("yz"),
            ),
        )
        self.assertEqual(reply.stop, "tool_use")

    def test_missing_stop(self) -> None:
        """A complete call ends when the next begins, or with the stream."""
        found = events([use("a", "{}"), use("b", '{"x":1}')])
        self.assertLess(
            found.index(ir.BlockStopped(0)), found.index(ir.ArgumentsDelta(1, '{"x":1}'))
        )
        self.assertEqual(found[-1], ir.Finished("tool_use"))

    def test_no_arguments(self) -> None:
        """A call without input has an empty object."""
        for messages in ([use("a"), use("a", stop=True)], [use("a", "")], [use("a", {})]):
            self.assertEqual(self.response(*messages).parts, (ir.ToolCall("a", "f", "{}"),))

    def test_cut_arguments(self) -> None:
        """Arguments that end too early are kept as they are, and nobody is told to run them."""
        for messages in ([use("a", '{"p":')], [use("a", '{"p":', stop=True)], [use("a", "[1]")]):
            reply = self.response(*messages)
            self.assertEqual(reply.stop, "max_tokens")
            (call,) = reply.parts
            assert isinstance(call, ir.ToolCall)
            self.assertNotEqual(call.arguments, "{}")

    def test_object_input(self) -> None:
        """Input that is an object is written once; a later one replaces it."""
        whole = {"p": {"q": [1, None]}}
        reply = self.response(
            use("a", {}), use("a", {"p": 1}), use("a", whole), use("a", stop=True)
        )
        (call,) = reply.parts
        assert isinstance(call, ir.ToolCall)
        self.assertEqual(json.loads(call.arguments), whole)
        self.assertEqual(reply.stop, "tool_use")

    def test_input_that_does_not_fit(self) -> None:
        """It is reported, unless it repeats what is known; what is no input at all is refused."""
        whole = {"p": 1}
        for messages, names in (
            ([use("a", "{}", stop=True), use("a", "again")], ["toolUse"]),
            ([use("a", whole), use("a", '{"q":2}')], ["toolUse"]),
            ([use("a", '{"p":'), use("a", whole), use("a", "1}")], ["toolUse"]),
            ([use("a", '{"p": 1}', stop=True), use("a", whole), use("a", " ")], []),
            ([use("a", whole), use("a", '{"p": 1}'), use("a", {}), use("a", "")], []),
        ):
            reply = self.response(*messages)
            found = () if reply.extras is None else reply.extras.fields
            self.assertEqual([name for name, _ in found], names, messages)
        self.refuses(use("a", [1]))

    def test_nameless(self) -> None:
        """A call that nobody could make is an error; a piece without an id belongs to the last."""
        self.refuses(use("a", name=None))
        self.refuses(event("toolUseEvent", {"name": "f"}))
        parts = self.response(use("a", '{"p"'), event("toolUseEvent", {"input": ":1}"})).parts
        self.assertEqual(parts, (ir.ToolCall("a", "f", '{"p":1}'),))


class EndTests(DecoderTestCase):
    def test_usage(self) -> None:
        """Counts are disjoint, and found under the names of former times."""
        usage = self.response(text("a"), *vectors("E13")).usage
        self.assertEqual(usage, ir.Usage(input=10, cache_read=100, output=2))
        counts = {"inputTokens": 3, "outputTokens": 4}
        totals = {"totalInputTokens": 3, "totalOutputTokens": 4.0}
        for payload in (counts, totals, {"usage": counts}, {"tokenUsage": totals}):
            found = self.response(text("a"), event("metadataEvent", payload)).usage
            self.assertEqual(found, ir.Usage(input=3, output=4))
        for strange in ({"tokenUsage": {"outputTokens": "x"}}, {"usage": 0.5}, {"tokenUsage": 1}):
            self.assertIsNone(self.response(text("a"), event("metadataEvent", strange)).usage)
        for none in (-1, 10**400, 1e300):
            below = {"tokenUsage": {"uncachedInputTokens": none, "outputTokens": 2}}
            found = self.response(text("a"), event("metadataEvent", below)).usage
            self.assertEqual(found, ir.Usage(input=0, output=2))

    def test_stop_reasons(self) -> None:
        """A reason counts when there is one, in any case of letters; calls beat a plain end."""
        for word, stop in (
            ("END_TURN", "end"),
            ("end_turn", "end"),
            ("MAX_TOKENS", "max_tokens"),
            ("TOOL_USE", "end"),
            ("CONTENT_FILTERED", "filtered"),
            ("SOMETHING", "other"),
            (None, "end"),
            (3, "end"),
        ):
            said = event("metadataEvent", {"stopReason": word})
            self.assertEqual(self.response(text("a"), said).stop, stop, word)
            called = self.response(use("a", "{}"), said).stop
            self.assertEqual(called, stop if stop in ("max_tokens", "filtered") else "tool_use")

    def test_empty(self) -> None:
        """A stream that says nothing is a failure, unless it tells what the silence has cost."""
        self.refuses()
        self.refuses(*vectors("E14", "E15", "E19"), text(""))
        reply = self.response(*vectors("E13"))
        self.assertEqual((reply.parts, reply.stop), ((), "end"))

    def test_bookkeeping(self) -> None:
        """Events that carry no answer, known or not, give nothing."""
        decoder = kiro.StreamDecoder()
        for message in (
            *vectors("E1", "E2", "E3", "E4", "E14", "E15", "E19"),
            event("initial-response", {"conversationId": ""}),
            event("toolResultEvent", {"toolResult": {"toolUseId": "a"}}),
            event("someFutureEvent", {"content": "no"}),
            Message({":message-type": "ping"}, b'{"content":"no"}'),
        ):
            self.assertEqual(list(decoder.feed(message)), [], message)

    def test_what_clients_cannot_be_shown(self) -> None:
        """Sources of code, links and what the future brings are kept, to be reported as lost."""
        reply = self.response(
            text("a"),
            event("codeReferenceEvent", {"references": [{"repository": "r"}]}),
            event("codeReferenceEvent", {"references": []}),
            event("meteringEvent", {"usage": 0.1}),
            event("noveltyEvent", {"x": 1}),
        )
        assert reply.extras is not None
        self.assertEqual([name for name, _ in reply.extras.fields], ["codeReference", "novelty"])

    def test_odd_payloads(self) -> None:
        """A payload that is no object is skipped; one that loses a part of the answer is not."""
        for payload in (b"", b"{", b"[]", b"3", b"\xff"):
            for kind in ("assistantResponseEvent", "toolUseEvent", "reasoningContentEvent"):
                found = self.response(text("a"), event(kind, payload), text("b"))
                self.assertEqual(found.parts, (ir.Text("ab"),))
        self.refuses(event("assistantResponseEvent", {"content": 5}))

    def test_missing_headers(self) -> None:
        """Without a type a message is an event; without a name its only member may be that."""
        plain = Message({":event-type": "assistantResponseEvent"}, b'{"content":"a"}')
        wrapped = Message({}, b'{"assistantResponseEvent":{"content":"b"}}')
        binary = Message({":event-type": b"assistantResponseEvent"}, b'{"content":"no"}')
        self.assertEqual(self.response(plain, wrapped, binary).parts, (ir.Text("ab"),))


class ErrorTests(DecoderTestCase):
    def test_exceptions(self) -> None:
        """An exception ends the stream, first or late; its reason tells more than its name."""
        for before in ((), (text("a"),)):
            error = self.error(*before, *vectors("E16"))
            self.assertEqual((error.status, error.kind), (429, "overloaded"))
            self.assertEqual((error.message, error.code), ("slow", "INSUFFICIENT_MODEL_CAPACITY"))
            assert error.native is not None
            self.assertEqual(error.native.wire, "kiro")
        for name, status, kind in (
            ("ThrottlingException", 429, "rate_limit"),
            ("ValidationException", 400, "invalid_request"),
            ("AccessDeniedException", 403, "permission"),
            ("ServiceQuotaExceededException", 402, "quota"),
            ("ServiceUnavailableException", 503, "overloaded"),
            ("com.amazon.x#InternalServerException:", 500, "upstream"),
            ("Surprise", 500, "upstream"),
        ):
            headers = {":message-type": "exception", ":exception-type": name}
            error = self.error(Message(headers, b'{"message":"sk-secret1234567"}'))
            self.assertEqual((error.status, error.kind), (status, kind), name)
            self.assertNotIn("secret", error.message)

    def test_error_frames(self) -> None:
        """A frame of type error has everything in its headers."""
        error = self.error(*vectors("E17"))
        self.assertEqual((error.status, error.kind, error.message), (500, "upstream", "boom"))
        self.assertEqual(error.code, "InternalServerError")

    def test_invalid_state(self) -> None:
        """An invalid state fails the turn with its words."""
        error = self.error(text("a"), *vectors("E18"))
        self.assertEqual((error.message, error.code), ("x", "INVALID_TASK_ASSIST_PLAN"))
        self.assertEqual(error.kind, "upstream")
