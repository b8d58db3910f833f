"""The envelope around answers, taken off."""

from __future__ import annotations

import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from aiproxy.errors import UpstreamProtocolError
from aiproxy.framing import sse
from aiproxy.providers.codeassist.answers import Unwrapping

CHUNK = {"candidates": [{"content": {"parts": [{"text": "Grüße\u2028"}], "role": "model"}}]}


def message(data: bytes) -> sse.Message:
    (one,) = sse.SSEDecoder().feed(sse.encode(data))
    return one


class StreamTests(SynchronousTestCase):
    def unwrapped(self, data: bytes) -> sse.Message:
        return Unwrapping().message(message(data))

    def test_unwraps(self) -> None:
        """An event holds the response alone, with the trace as its id."""
        got = self.unwrapped(json.dumps({"response": CHUNK, "traceId": "t1"}).encode())
        self.assertEqual(json.loads(got.data), {"responseId": "t1", **CHUNK})
        self.assertEqual(got.raw, b"data: " + got.data + b"\n\n")

    def test_own_id(self) -> None:
        """A response that has an id keeps it."""
        for extra in ({"responseId": "r1"}, {"x": "responseId", "responseId": "r1"}):
            wrapped = {"response": {**CHUNK, **extra}, "traceId": "t1"}
            got = json.loads(self.unwrapped(json.dumps(wrapped).encode()).data)
            self.assertEqual(got, wrapped["response"])
        quoting = {"response": {"modelVersion": "responseId"}, "traceId": "t1"}
        got = json.loads(self.unwrapped(json.dumps(quoting).encode()).data)
        self.assertEqual(got["responseId"], "t1")

    def test_one_line(self) -> None:
        """An event of several data lines comes out as one, as Google's SDKs need it."""
        pretty = json.dumps({"response": CHUNK, "traceId": "t1"}, indent=1).encode()
        lines = b"".join(b"data: %b\n" % line for line in pretty.split(b"\n")) + b"\n"
        (several,) = sse.SSEDecoder().feed(lines)
        got = Unwrapping().message(several)
        self.assertEqual(len(got.raw.decode().splitlines()), 2)
        self.assertEqual(json.loads(got.data), {"responseId": "t1", **CHUNK})

    def test_bytes_stay(self) -> None:
        """Numbers and texts inside are those that came."""
        inner = b'{"candidates":[{"x":1.10,"y":12345678901234567890,"z":"\\u00e9"}]}'
        self.assertEqual(self.unwrapped(b'{"response":' + inner + b"}").data, inner)

    def test_empty_response(self) -> None:
        """An event about credits alone is an empty chunk; an empty response has at least an id."""
        self.assertEqual(self.unwrapped(b'{"remainingCredits":[]}').data, b"{}")
        self.assertEqual(
            self.unwrapped(b'{"response":{},"traceId":"t"}').data, b'{"responseId":"t"}'
        )

    def test_what_is_not_wrapped(self) -> None:
        """Errors, plain responses and what is no JSON go on as they came."""
        for data in (b'{"error":{"code":429}}', json.dumps(CHUNK).encode(), b"[DONE]", b"{", b"[]"):
            self.assertEqual(self.unwrapped(data), message(data))


class WholeTests(SynchronousTestCase):
    def test_unwraps(self) -> None:
        """A whole answer is the response alone."""
        body = json.dumps({"response": CHUNK, "traceId": "t1"}, indent=2).encode()
        got = json.loads(Unwrapping().whole(body))
        self.assertEqual(got, {"responseId": "t1", **CHUNK})

    def test_what_is_not_wrapped(self) -> None:
        """A plain response passes; what is no JSON object is an error of the upstream's."""
        plain = json.dumps(CHUNK).encode()
        self.assertEqual(Unwrapping().whole(plain), plain)
        for body in (b"", b"[]", b"<html>", b"\xff"):
            with self.assertRaises(UpstreamProtocolError):
                Unwrapping().whole(body)

    @settings(deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists))
    def test_any_trace(self, trace: object) -> None:
        """Whatever stands for the trace, the answer stays JSON."""
        body = json.dumps({"response": CHUNK, "traceId": trace}).encode()
        got = json.loads(Unwrapping().whole(body))
        self.assertEqual(got.pop("responseId", trace), trace)
        self.assertEqual(got, CHUNK)
