"""Tests of aiproxy.upstream.body.KiroBody: frames, good and broken, off a connection."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError
from twisted.internet.error import ConnectionLost
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import ResponseDone, ResponseFailed
from twisted.web.http import PotentialDataLoss

from aiproxy.errors import UpstreamProtocolError, UpstreamTimeout, UpstreamUnreachable
from aiproxy.framing.eventstream import Message
from aiproxy.upstream.body import BODIES, KiroBody
from tests import corpus
from tests.fakes import cut, slices
from tests.framing.test_eventstream import HELLO, VALID, VECTORS, by_botocore
from tests.upstream.servers import timeouts

_BROKEN = HELLO[:-1] + b"\x00"
_FAULTS = {
    "message-crc-mismatch": "message_crc",
    "prelude-crc-mismatch": "prelude_crc",
    "incomplete": "truncated",
    "bad-length": "length",
}


class Run:
    """One answer on its way: what was delivered, and what `done` said."""

    def __init__(self, receive: Callable[[list[Message]], None] | None = None) -> None:
        self.messages: list[Message] = []
        self.aborted = 0
        self.clock = Clock()
        self.transport: Any = StringTransport()
        self.body = KiroBody(receive or self.messages.extend)
        self.body.attach("", self.clock, timeouts(first_event=10, idle=5), self._abort)
        self.body.makeConnection(self.transport)
        self.body.delivering()
        self.result: object = "none"
        self.body.done.addBoth(self._ended)

    def feed(self, pieces: Sequence[bytes]) -> Run:
        for piece in pieces:
            self.body.dataReceived(piece)
        return self

    def end(self, reason: Exception | None = None) -> Run:
        self.body.connectionLost(Failure(reason or ResponseDone()))
        return self

    @property
    def fault(self) -> str:
        """Which fault ended it, "" when it ended well."""
        if self.result is None:
            return ""
        assert isinstance(self.result, Failure), self.result
        assert isinstance(self.result.value, UpstreamProtocolError), self.result
        return str(self.result.value).partition("(")[2].partition(")")[0]

    def _abort(self) -> None:
        self.aborted += 1

    def _ended(self, result: object) -> None:
        self.result = result


def read(pieces: Sequence[bytes]) -> Run:
    """A whole answer in these pieces."""
    return Run().feed(pieces).end()


class VectorTests(SynchronousTestCase):
    def test_valid(self) -> None:
        """All frames in one stream come out as botocore reads them, in pieces of any size."""
        expected = by_botocore(VALID)
        for size in (1, 2, 3, 7, 12, 13, 64, 1000, len(VALID)):
            run = read(slices(VALID, size))
            self.assertEqual((run.messages, run.fault), (expected, ""))
            self.assertEqual((run.aborted, run.clock.getDelayedCalls()), (0, []))

    @given(st.lists(st.integers(min_value=0), max_size=8))
    def test_any_cuts(self, cuts: list[int]) -> None:
        """The same however they are cut."""
        run = read(cut(VALID, cuts))
        self.assertEqual((len(run.messages), run.fault), (len(VECTORS["valid"]), ""))

    def test_malformed(self) -> None:
        """Each malformed one fails with its fault; nothing behind it is delivered (M1 to M23)."""
        for vector in VECTORS["malformed"]:
            data = bytes.fromhex(vector["hex"])
            behind = b"" if vector["error"] == "truncated" else HELLO
            for pieces in ([data + behind], slices(data + behind, 1)):
                run = read([HELLO, *pieces])
                self.assertEqual(len(run.messages), 1, vector["id"])
                self.assertEqual(run.fault, vector["error"], vector["id"])

    def test_corpus(self) -> None:
        """Recorded streams give as many messages as recorded, and the recorded fault."""
        for case in corpus.cases("aws-eventstream"):
            if case.stream is None:
                continue
            expected = json.loads((case.path / "expected.json").read_text(encoding="utf-8"))
            is_duplicate = expected["botocore"]["result"] == "DuplicateHeader"
            fault = "header" if is_duplicate else _FAULTS.get(expected["error"] or "", "")
            frames = 0 if is_duplicate else len(expected["frames"])
            for size in (7, 4096):
                run = read(slices(case.stream, size))
                self.assertEqual((len(run.messages), run.fault), (frames, fault), case.id)
            if not fault:
                self.assertEqual(run.messages, by_botocore(case.stream), case.id)


class EndTests(SynchronousTestCase):
    def test_fault_is_told_at_once(self) -> None:
        """A fault behind good frames in one read ends the stream, though the upstream waits."""
        run = Run().feed([HELLO + _BROKEN])
        self.assertEqual((len(run.messages), run.fault), (1, "message_crc"))
        self.assertGreater(run.aborted, 0)
        self.assertEqual(run.clock.getDelayedCalls(), [])
        run.feed([HELLO]).end()
        self.assertEqual(len(run.messages), 1)

    def test_rest_at_the_end(self) -> None:
        """Bytes behind the last frame are a cut, whether the end was declared or not (M24)."""
        for reason in (ResponseDone(), PotentialDataLoss()):
            run = Run().feed([HELLO + b"\x00"]).end(reason)
            self.assertEqual((len(run.messages), run.fault), (1, "truncated"))

    def test_nothing(self) -> None:
        """No bytes at all are no fault of the framing (M25); the wire knows that it is empty."""
        self.assertEqual(read([]).fault, "")

    def test_connection_lost(self) -> None:
        """A connection that breaks between two frames has failed (M26)."""
        run = Run().feed([HELLO]).end(ResponseFailed([Failure(ConnectionLost())]))
        assert isinstance(run.result, Failure)
        self.assertIsInstance(run.result.value, UpstreamUnreachable)

    def test_clocks(self) -> None:
        """Pieces of a first frame do not move the first limit; each read moves the second."""
        run = Run()
        for piece in (HELLO[:20], HELLO[20:40]):
            run.feed([piece]).clock.advance(4)
        run.clock.advance(2)
        assert isinstance(run.result, Failure)
        self.assertIsInstance(run.result.value, UpstreamTimeout)
        run = Run().feed([HELLO])
        for piece in (HELLO[:20], HELLO[20:]):
            run.clock.advance(4)
            run.feed([piece])
        self.assertEqual((len(run.messages), run.result), (2, "none"))

    def test_cancel_in_delivery(self) -> None:
        """A receiver may have had enough in the middle of a read."""
        run = Run(lambda messages: run.body.done.cancel())
        run.feed([HELLO + _BROKEN]).end()
        assert isinstance(run.result, Failure)
        self.assertIsInstance(run.result.value, CancelledError)

    def test_pause(self) -> None:
        """A slow client pauses the connection."""
        run = Run().feed([HELLO])
        run.body.pauseProducing()
        self.assertEqual(run.transport.producerState, "paused")
        run.body.resumeProducing()
        self.assertEqual(run.transport.producerState, "producing")

    def test_registered(self) -> None:
        """It is the body of that framing."""
        self.assertIs(BODIES["eventstream"], KiroBody)
