"""Tests of aiproxy.framing.sse."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from aiproxy.errors import UpstreamProtocolError
from aiproxy.framing.sse import Message, SSEDecoder, encode
from tests import corpus
from tests.fakes import cut, slices

_LINE_ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])
_LINES = st.sampled_from(
    [
        b"data: {}",
        b"data:x",
        b"data:  two",
        b"data",
        b"data:",
        b": comment",
        b":",
        b"event: ping",
        b"event:a:b",
        b"event",
        b"id: 7",
        b"retry: 10",
        b"database: no",
        "data: h\u00e9\U0001f600".encode(),
        b"",
        b"",
        b"",
    ]
)
_CUTS = st.lists(st.integers(min_value=0), max_size=8)


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """Streams of every legal shape, mostly with one kind of line end."""
    one_kind = draw(st.booleans())
    usual = draw(_LINE_ENDS)
    text = draw(st.sampled_from([b"", b"\xef\xbb\xbf"]))
    for line in draw(st.lists(_LINES, max_size=24)):
        text += line + (usual if one_kind else draw(_LINE_ENDS))
    return text + draw(st.sampled_from([b"", b"data: [DONE]", b'data: {"a', b"\r", b"\xef\xbb"]))


def decode(pieces: list[bytes], max_event_bytes: int = 1 << 20) -> list[Message]:
    """All messages of a stream that comes in these pieces."""
    decoder = SSEDecoder(max_event_bytes)
    return [m for piece in pieces for m in decoder.feed(piece)] + decoder.close()


def reference(stream: bytes) -> list[tuple[str, bytes]]:
    """Event and data of each message by the letter of the standard, one character at a time."""
    text = stream.removeprefix(b"\xef\xbb\xbf")
    lines = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    found: list[tuple[str, bytes]] = []
    event = ""
    data: list[bytes] = []
    for line in lines[:-1]:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if not line:
            if data:
                found.append((event, b"\n".join(data)))
            event, data = "", []
        elif name == b"data":
            data.append(value)
        elif name == b"event":
            event = value.decode()
    return found


class DecoderTests(SynchronousTestCase):
    """The shapes that the standard allows, one by one."""

    def test_data_alone(self) -> None:
        """A `data:` line and a blank line make a message without event name."""
        self.assertEqual(decode([b"data: 1\n\n"]), [Message("", b"1", b"data: 1\n\n")])

    def test_what_was_good_comes_first(self) -> None:
        """Events that came in one read with one that is too large are not lost with it."""
        decoder = SSEDecoder(max_event_bytes=50)
        [message] = decoder.feed(b"data: 1\n\ndata: " + b"x" * 50)
        self.assertEqual(message.data, b"1")
        self.assertRaises(UpstreamProtocolError, decoder.feed, b"x")
        self.assertRaises(UpstreamProtocolError, decoder.close)

    @given(streams())
    def test_usual_shape_is_no_exception(self, stream: bytes) -> None:
        """A comment behind them changes nothing about messages, though each is read another way."""
        whole = stream.replace(b"\r", b"") + b"\n\n"
        self.assertEqual(SSEDecoder().feed(whole), SSEDecoder().feed(whole + b": x\n\n"))

    def test_long_names(self) -> None:
        """The name of an event may have any length, among usual ones too."""
        name = "n" * 5000
        stream = encode(b"{}", "a") + encode(b"{}", name) + encode(b"{}", "b")
        found = [message.event for message in SSEDecoder().feed(stream)]
        self.assertEqual(found, ["a", name, "b"])

    def test_event_and_data(self) -> None:
        """The event name comes from the `event:` line."""
        raw = b'event: ping\ndata: {"type":"ping"}\n\n'
        self.assertEqual(decode([raw]), [Message("ping", b'{"type":"ping"}', raw)])

    def test_line_ends(self) -> None:
        """LF, CRLF and CR all end lines, and `raw` keeps them."""
        for end in (b"\n", b"\r\n", b"\r"):
            raw = end.join([b"event: a", b"data: 1", b"", b""])
            self.assertEqual(decode([raw]), [Message("a", b"1", raw)])

    def test_carriage_return_waits(self) -> None:
        """A CR at the end of a read is not judged before the next byte."""
        decoder = SSEDecoder()
        self.assertEqual(decoder.feed(b"data: 1\r\n\r"), [])
        self.assertEqual(decoder.feed(b"\n"), [Message("", b"1", b"data: 1\r\n\r\n")])
        self.assertEqual(decoder.feed(b"data: 2\r\r"), [])
        self.assertEqual(decoder.feed(b"data"), [Message("", b"2", b"data: 2\r\r")])

    def test_several_data_lines(self) -> None:
        """Data lines are joined by LF, each without one leading space."""
        self.assertEqual(decode([b"data: a\ndata:b\ndata:  c\ndata\n\n"])[0].data, b"a\nb\n c\n")

    def test_comments_are_dropped(self) -> None:
        """Comments give no message and stay out of `raw`; other fields stay in."""
        stream = b": hello\n\n: ping\nid: 3\ndata: 1\n: more\n\n"
        self.assertEqual(decode([stream]), [Message("", b"1", b"id: 3\ndata: 1\n\n")])

    def test_event_without_data(self) -> None:
        """An event name alone says nothing, and does not name the event after it."""
        self.assertEqual(decode([b"event: a\n\ndata: 1\n\n"]), [Message("", b"1", b"data: 1\n\n")])

    def test_byte_order_mark(self) -> None:
        """A byte order mark is skipped at the start, even in pieces, and only there."""
        bom = b"\xef\xbb\xbf"
        self.assertEqual(decode(slices(bom + b"data: 1\n\n", 1))[0].raw, b"data: 1\n\n")
        self.assertEqual(decode([b"data: 1\n\n" + bom + b"data: 2\n\n"])[1:], [])

    def test_end_without_blank_line(self) -> None:
        """At the end an unfinished event counts if its data is whole, and is then made whole."""
        self.assertEqual(decode([b"data: [DONE]"]), [Message("", b"[DONE]", b"data: [DONE]\n\n")])
        self.assertEqual(
            decode([b'event: e\r\ndata: {"a":1}\r\n']),
            [Message("e", b'{"a":1}', b'event: e\r\ndata: {"a":1}\r\n\n')],
        )
        for broken in (
            b'data: {"a":1',
            b"data: 1",
            b"data: [DON",
            b"event: x",
            b"data: " + b"[" * 99999,
        ):
            self.assertEqual(decode([broken]), [])

    def test_event_size_limit(self) -> None:
        """An event over the limit is an error, be it finished or not, however it is cut."""
        event = b"data: 123\n\n"
        self.assertEqual(len(decode([event], len(event))), 1)
        for size in (1, 4, 100):
            for stream in (event, event[:-1], event + event):
                with self.assertRaises(UpstreamProtocolError):
                    decode(slices(stream, size), len(event) - 2)

    def test_comments_do_not_fill_the_limit(self) -> None:
        """Any number of heartbeats passes under a small limit."""
        self.assertEqual(decode([b": ping\n\n"] * 1000 + [b"data: 1\n\n"], 20)[0].data, b"1")

    @given(streams(), _CUTS)
    @example(b"data: 1\r\n\r\ndata: 2\r\n\r\n", [8])
    @example(b"\n\r\ndata: 1\n\r\n", [1])
    def test_chunking(self, stream: bytes, places: list[int]) -> None:
        """However the bytes are cut, the same messages come out."""
        self.assertEqual(decode(cut(stream, places)), decode([stream]))
        self.assertEqual(decode(slices(stream, 1)), decode([stream]))

    @given(streams())
    def test_standard(self, stream: bytes) -> None:
        """Events that are complete are those of the standard."""
        decoder = SSEDecoder()
        # The byte behind a last CR is needed to know that the CR is a line end.
        messages = decoder.feed(stream) + (decoder.feed(b":") if stream.endswith(b"\r") else [])
        self.assertEqual([(m.event, m.data) for m in messages], reference(stream))

    @given(streams(), _CUTS, st.integers(min_value=5, max_value=60))
    def test_chunking_under_a_limit(self, stream: bytes, places: list[int], limit: int) -> None:
        """However the bytes are cut, the size limit strikes or does not."""

        def outcome(pieces: list[bytes]) -> object:
            try:
                return decode(pieces, limit)
            except UpstreamProtocolError:
                return UpstreamProtocolError

        self.assertEqual(outcome(cut(stream, places)), outcome([stream]))

    @given(streams())
    @example(b"data: {}\r: comment\n\n")
    def test_raw_is_the_message(self, stream: bytes) -> None:
        """Decoding `raw` gives the same message again."""
        for message in decode([stream]):
            self.assertEqual(decode([message.raw]), [message])

    def test_many_events_and_long_lines(self) -> None:
        """Many tiny events in one read, and one long line in tiny pieces, all come out."""
        self.assertEqual(len(decode([b"data: x\n\n" * 400_000])), 400_000)
        line = b"x" * 1_000_000
        (message,) = decode(slices(b"data: " + line + b"\n\n", 1), 2_000_000)
        self.assertEqual(message.data, line)
        self.assertEqual(decode(slices(b"a\r" * 200_000, 1), 2_000_000), [])


class EncodeTests(SynchronousTestCase):
    """Writing events."""

    def test_shapes(self) -> None:
        """With and without event name."""
        self.assertEqual(encode(b"{}"), b"data: {}\n\n")
        self.assertEqual(encode(b"{}", "ping"), b"event: ping\ndata: {}\n\n")

    @given(st.binary(), st.sampled_from(["", "message_stop"]))
    def test_round_trip(self, data: bytes, event: str) -> None:
        """What is encoded is decoded again, line ends normalised."""
        normal = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        (message,) = decode([encode(data, event)])
        self.assertEqual((message.event, message.data), (event, normal))


class CorpusTests(SynchronousTestCase):
    """Recorded streams."""

    def test_chunk_sizes(self) -> None:
        """Every recorded stream gives the same messages in any chunk size, and loses none."""
        for format in ("anthropic", "openai-chat", "openai-responses", "gemini"):
            for case in corpus.cases(format):
                stream = case.stream
                if stream is None:
                    continue
                whole = decode([stream])
                self.assertTrue(whole, case.id)
                for size in (1, 7, 1000):
                    self.assertEqual(decode(slices(stream, size)), whole, case.id)
                self.assertEqual(
                    [(m.event, m.data) for m in whole][: len(reference(stream))],
                    reference(stream),
                    case.id,
                )
