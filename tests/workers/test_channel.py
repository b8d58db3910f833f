"""Messages and log lines over pipes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from aiproxy.routing.news import News
from aiproxy.workers.channel import MAX_LINE_BYTES, Lines, Message, messages, written
from tests.strategies import cuts, split

NEWS = st.builds(
    News,
    st.sampled_from(["opened", "closed", "paused"]),
    st.text(),
    st.text(),
    st.text(),
    st.floats(0, 1e6),
    st.text(),
)
TEXTS = st.binary(max_size=20).map(lambda data: data.replace(b"\n", b""))
MESSAGES = st.builds(Message, st.sampled_from(["reload", "stop", "hear"]), st.none() | NEWS)


class LinesTests(SynchronousTestCase):
    """Bytes to whole lines."""

    def lines(self, *pieces: bytes) -> list[bytes]:
        found: list[bytes] = []
        lines = Lines(found.append)
        for piece in pieces:
            lines.feed(piece)
        lines.end()
        return found

    @given(
        st.lists(st.binary(max_size=20).map(lambda b: b.replace(b"\n", b"")), max_size=9), cuts()
    )
    def test_chunking(self, texts: list[bytes], at: list[int]) -> None:
        """However the bytes are cut, each delivery holds whole lines, and all arrive in order."""
        data = b"".join(text + b"\n" for text in texts)
        found = self.lines(*split(data, at))
        self.assertEqual(b"".join(found), data)
        self.assertTrue(all(piece.endswith(b"\n") for piece in found))

    def test_end(self) -> None:
        """What a dead process has left unfinished is a line as well."""
        self.assertEqual(self.lines(b"a\nb"), [b"a\n", b"b\n"])

    def test_too_long(self) -> None:
        """A line without end takes no memory without end."""
        found = self.lines(b"x" * (MAX_LINE_BYTES + 1), b"y\n")
        self.assertEqual(found, [b"x" * (MAX_LINE_BYTES + 1) + b"\n", b"y\n"])


class MessageTests(SynchronousTestCase):
    @given(st.lists(MESSAGES, max_size=5))
    def test_round_trip(self, sent: list[Message]) -> None:
        """What one side writes the other reads."""
        self.assertEqual(messages(b"".join(map(written, sent))), sent)

    @given(st.binary())
    def test_junk(self, data: bytes) -> None:
        """What is no message is passed over, and the next one is still read."""
        last = Message("hear", News("closed", "a", "m"))
        self.assertEqual(messages(data + b"\n" + written(last))[-1], last)
