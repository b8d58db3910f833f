"""Tests of aiproxy.framing.eventstream."""

from __future__ import annotations

import base64
import json
import re
import struct
import uuid
import zlib
from pathlib import Path
from typing import Any

from botocore import eventstream as reference  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from aiproxy.errors import UpstreamProtocolError
from aiproxy.framing import eventstream
from aiproxy.framing.eventstream import EventStreamDecoder, Message, Value
from tests import corpus
from tests.fakes import cut, slices

VECTORS: dict[str, list[dict[str, Any]]] = json.loads(
    Path(__file__).with_name("eventstream_vectors.json").read_text(encoding="utf-8")
)
VALID = b"".join(bytes.fromhex(vector["hex"]) for vector in VECTORS["valid"])
HELLO = bytes.fromhex(next(v["hex"] for v in VECTORS["valid"] if v["id"] == "E5"))

_CUTS = st.lists(st.integers(min_value=0), max_size=8)
_NAMES = st.text(min_size=1, max_size=12)
_VALUES: st.SearchStrategy[Value] = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.binary(max_size=20),
    st.text(max_size=20),
)
_MESSAGES = st.builds(Message, st.dictionaries(_NAMES, _VALUES, max_size=4), st.binary(max_size=60))


def decode(pieces: list[bytes]) -> tuple[list[Message], str]:
    """All messages of a stream in these pieces, and the fault that ended it ("" for none)."""
    decoder = EventStreamDecoder()
    messages: list[Message] = []
    try:
        for piece in pieces:
            messages += decoder.feed(piece)
        messages += decoder.close()
    except UpstreamProtocolError as error:
        found = re.search(r"\((\w+)\)", str(error))
        assert found is not None, error
        return messages, found[1]
    return messages, ""


def by_botocore(stream: bytes) -> list[Message]:
    """The same by another's decoder; raises whatever it raises."""
    buffer = reference.EventStreamBuffer()
    buffer.add_data(stream)
    return [Message(message.headers, message.payload) for message in buffer]


def frame(headers: bytes, payload: bytes = b"", total: int | None = None) -> bytes:
    """A frame with these very header bytes, and checksums that are right."""
    size = 16 + len(headers) + len(payload) if total is None else total
    lengths = struct.pack(">II", size, len(headers))
    body = lengths + struct.pack(">I", zlib.crc32(lengths)) + headers + payload
    return body + struct.pack(">I", zlib.crc32(body))


class VectorTests(SynchronousTestCase):
    def test_valid(self) -> None:
        """Valid frames of every header type decode as listed, as botocore decodes them."""
        for vector in VECTORS["valid"]:
            data = bytes.fromhex(vector["hex"])
            ((message,), fault) = decode([data])
            self.assertEqual(fault, "")
            headers = {
                name: value.hex() if isinstance(value, bytes) else value
                for name, value in message.headers.items()
            }
            self.assertEqual(headers, vector["headers"], vector["id"])
            self.assertEqual(message.payload.hex(), vector["payload_hex"], vector["id"])
            self.assertEqual([message], by_botocore(data))

    def test_pieces(self) -> None:
        """The frames of all vectors in one stream decode the same in pieces of any size."""
        whole, fault = decode([VALID])
        self.assertEqual((len(whole), fault), (len(VECTORS["valid"]), ""))
        self.assertEqual(whole, by_botocore(VALID))
        for size in (1, 2, 3, 7, 12, 13, 64, 1000):
            self.assertEqual(decode(slices(VALID, size)), (whole, ""), size)

    def test_malformed(self) -> None:
        """Malformed frames fail with the listed fault in any chunking, and end the stream."""
        for vector in VECTORS["malformed"]:
            data = bytes.fromhex(vector["hex"])
            for pieces in ([data], slices(data, 1)):
                self.assertEqual(decode(pieces), ([], vector["error"]), vector["id"])
            if vector["error"] != "truncated":
                decoder = EventStreamDecoder()
                self.assertRaises(UpstreamProtocolError, decoder.feed, data + HELLO)
                self.assertRaises(UpstreamProtocolError, decoder.feed, HELLO)
                self.assertRaises(UpstreamProtocolError, decoder.close)

    def test_good_then_broken(self) -> None:
        """What came whole before a fault in the same read is delivered, then the fault."""
        decoder = EventStreamDecoder()
        broken = HELLO[:-1] + b"\x00"
        self.assertEqual(len(decoder.feed(HELLO + broken + HELLO)), 1)
        self.assertIn("message_crc", str(decoder.failure))
        self.assertRaises(UpstreamProtocolError, decoder.feed, HELLO)
        for pieces in ([HELLO + broken], slices(HELLO + broken, 1)):
            messages, fault = decode(pieces)
            self.assertEqual((len(messages), fault), (1, "message_crc"))

    def test_ends(self) -> None:
        """A stream ends well only between two frames; nothing at all is a good end, too."""
        self.assertEqual(decode([]), ([], ""))
        messages, fault = decode([HELLO + b"\x00"])
        self.assertEqual((len(messages), fault), (1, "truncated"))
        self.assertEqual(decode([HELLO[:-1]]), ([], "truncated"))

    def test_corpus(self) -> None:
        """Recorded streams give the recorded frames and faults."""
        faults = {
            "message-crc-mismatch": "message_crc",
            "prelude-crc-mismatch": "prelude_crc",
            "incomplete": "truncated",
            "bad-length": "length",
            None: "",
        }
        for case in corpus.cases("aws-eventstream"):
            if case.stream is None:
                continue
            expected = json.loads((case.path / "expected.json").read_text(encoding="utf-8"))
            messages, fault = decode([case.stream])
            for size in (1, 7):
                self.assertEqual(decode(slices(case.stream, size)), (messages, fault), case.id)
            if expected["botocore"]["result"] == "DuplicateHeader":
                self.assertEqual((messages, fault), ([], "header"))
                continue
            self.assertEqual(fault, faults[expected["error"]], case.id)
            self.assertEqual(len(messages), len(expected["frames"]), case.id)
            for message, recorded in zip(messages, expected["frames"], strict=True):
                self._same(message, recorded)
            if not fault:
                self.assertEqual(messages, by_botocore(case.stream), case.id)

    def _same(self, message: Message, recorded: dict[str, Any]) -> None:
        headers = {header["name"]: _plain(header) for header in recorded["headers"]}
        self.assertEqual(dict(message.headers), headers)
        if "payload_json" in recorded:
            self.assertEqual(json.loads(message.payload), recorded["payload_json"])
        else:
            self.assertEqual(message.payload, base64.b64decode(recorded["payload_b64"]))


def _plain(header: dict[str, Any]) -> Value:
    """A recorded header's value as the decoder gives it."""
    value: Value = header["value"]
    if header["type"] == "bytes_b64":
        return base64.b64decode(str(value))
    if header["type"] == "uuid":
        return uuid.UUID(str(value)).bytes
    return value


class DecoderTests(SynchronousTestCase):
    @given(st.lists(_MESSAGES, max_size=4), _CUTS)
    def test_round_trip(self, messages: list[Message], cuts: list[int]) -> None:
        """What is encoded decodes to the same, however it is cut, also by botocore."""
        stream = b"".join(eventstream.encode(*message) for message in messages)
        self.assertEqual(decode(cut(stream, cuts)), (messages, ""))
        self.assertEqual(by_botocore(stream), messages)

    @given(st.binary(max_size=60), _CUTS)
    def test_junk(self, data: bytes, cuts: list[int]) -> None:
        """Whatever the bytes, there are messages or the documented error, in any chunking."""
        self.assertEqual(decode(cut(data, cuts)), decode([data]))

    @given(st.binary(max_size=40), st.binary(max_size=8), _CUTS)
    def test_junk_headers(self, headers: bytes, payload: bytes, cuts: list[int]) -> None:
        """The same behind good checksums, where botocore is the laxer one."""
        data = frame(headers, payload)
        messages, fault = decode([data])
        self.assertEqual(decode(cut(data, cuts)), (messages, fault))
        self.assertIn(fault, ("", "header"))
        if not fault:
            self.assertEqual(messages, by_botocore(data))

    def test_limits(self) -> None:
        """Lengths beyond the limits are refused before anything is waited for."""
        small = EventStreamDecoder(max_message_bytes=len(HELLO))
        self.assertEqual(len(small.feed(HELLO)), 1)
        smaller = EventStreamDecoder(max_message_bytes=len(HELLO) - 1)
        self.assertRaises(UpstreamProtocolError, smaller.feed, HELLO[:12])
        most = frame(b"\x01a\x06\xff\xff" + bytes(0xFFFF), bytes(100))
        self.assertEqual(decode([most])[1], "")
        self.assertEqual(decode([frame(b"", b"", total=15)])[1], "length")

    def test_large_frame(self) -> None:
        """A frame of the largest size arrives in small reads."""
        payload = bytes(eventstream.MAX_MESSAGE_BYTES - 16)
        ((message,), fault) = decode(slices(eventstream.encode({}, payload), 65536))
        self.assertEqual((message.payload, fault), (payload, ""))
        self.assertRaises(ValueError, eventstream.encode, {}, payload + b"x")

    def test_many_frames_and_small_pieces(self) -> None:
        """Ten thousand frames in one read, and a long one byte by byte, all come out."""
        self.assertEqual(len(EventStreamDecoder().feed(HELLO * 10_000)), 10_000)
        decoder = EventStreamDecoder()
        large = eventstream.encode({}, bytes(400_000))
        found = [message for piece in slices(large, 1) for message in decoder.feed(piece)]
        self.assertEqual([message.payload for message in found], [bytes(400_000)])

    def test_text(self) -> None:
        """Only strings count as text; a header of another type is as good as absent."""
        message = Message({"a": "x", "b": b"x", "c": True}, b"")
        self.assertEqual([message.text(name) for name in "abcd"], ["x", "", "", ""])


class EncodeTests(SynchronousTestCase):
    def test_vectors(self) -> None:
        """Frames with texts alone come out byte for byte."""
        for vector in VECTORS["valid"]:
            if all(isinstance(value, str) for value in vector["headers"].values()):
                payload = bytes.fromhex(vector["payload_hex"])
                self.assertEqual(
                    eventstream.encode(vector["headers"], payload).hex(), vector["hex"]
                )

    def test_refusals(self) -> None:
        """What no frame can hold is refused."""
        bad: tuple[tuple[str, Value], ...] = (
            ("", "x"),
            ("n" * 256, "x"),
            ("n", "x" * 65536),
            ("n", 2**63),
        )
        for name, value in bad:
            self.assertRaises(ValueError, eventstream.encode, {name: value}, b"")
        many: dict[str, Value] = {str(n): "x" * 65000 for n in range(3)}
        self.assertRaises(ValueError, eventstream.encode, many, b"")
