"""Heads read in one pass, with twisted.web's own state machine as the oracle."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from werkzeug.routing import Map, Rule

from aiproxy.messages import Headers
from aiproxy.web.channel import Channel
from aiproxy.web.fasthead import read_head
from aiproxy.web.guard import Guard
from aiproxy.web.records import Records
from aiproxy.web.routes import Route, Routes
from aiproxy.web.site import ApiSite, ClientRequest
from aiproxy.web.stream import ClientStream
from tests.settings.samples import load
from tests.strategies import cuts, split

ROUTES = (Route("/r", "POST", "post"), Route("/r", "GET", "get"))

USUAL = (
    b"POST /r HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    b"Connection: keep-alive\r\nContent-Length: 5\r\n\r\nhello"
)

# Each is read as one thing by some parsers and as another by others.
SMUGGLING = (
    b"POST /r HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    b"POST /r HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 0\r\n\r\nhello",
    b"POST /r HTTP/1.1\r\nContent-Length: 5, 5\r\n\r\nhello",
    b"POST /r HTTP/1.1\r\nContent-Length: +5\r\n\r\nhello",
    b"POST /r HTTP/1.1\r\nContent-Length: 0x5\r\n\r\nhello",
    b"POST /r HTTP/1.1\r\nContent-Length: 5 5\r\n\r\nhello",
    b"POST /r HTTP/1.1\r\nContent-Length: \xb25\r\n\r\nhello",
    b"POST /r HTTP/1.1\r\nContent-Length:\r\n\r\nhello",
    b"POST /r HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\nhello",
    b"POST /r HTTP/1.1\r\nContent-Length : 5\r\n\r\nhello",
    b"POST /r HTTP/1.1\r\n Content-Length: 5\r\n\r\nhello",
    b"POST /r HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST /r HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    b"POST /r HTTP/1.1\r\nTransfer-Encoding: identity\r\nContent-Length: 5\r\n\r\nhello",
    b"POST /r HTTP/1.1\r\nTransfer-Encoding: xchunked\r\nContent-Length: 5\r\n\r\nhello",
    b"POST /r HTTP/1.1\r\nTransfer-Encoding:\x0bchunked\r\nContent-Length: 5\r\n\r\nhello",
    b"POST /r HTTP/1.1\r\nX: a\r\n Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\nhello",
    b"POST /r HTTP/1.1\r\nX: a\r\n\tb\r\nContent-Length: 5\r\n\r\nhello",
    b"POST /r HTTP/1.1\nHost: x\nContent-Length: 5\n\nhello\r\n\r\n",
    b"POST /r HTTP/1.1\r\nX: a\nContent-Length: 5\r\n\r\nhello",
    b"POST /r HTTP/1.1\r\nX: a\rContent-Length: 5\r\n\r\nhello",
    b"POST /r HTTP/1.1\r\nX: a\x00b\r\nContent-Length: 5\r\n\r\nhello",
    b"POST /r HTTP/1.1\r\nX-\xe9: a\r\nContent-Length: 5\r\n\r\nhello",
    b"POST /r HTTP/1.1\r\nX: \xe9\r\nContent-Length: 5\r\n\r\nhello",
    b"POST /r HTTP/1.1\r\nno colon\r\nContent-Length: 5\r\n\r\nhello",
    b"POST /r HTTP/1.1\r\n: a\r\nContent-Length: 5\r\n\r\nhello",
    b"POST /r HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello",
    b"POST /r HTTP/1.1 \r\nContent-Length: 5\r\n\r\nhello",
    b"POST  /r HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello",
    b"POST /r\tHTTP/1.1\r\nContent-Length: 5\r\n\r\nhello",
    b"POST /r x HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello",
    b"POST /r\xe9 HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello",
    b"POST /r#f HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello",
    b"POST http://x/r HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello",
    b"POST /r HTTP/1.1\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello",
    b"POST /r HTTP/1.1\r\nConnection: keep-alive, upgrade\r\nContent-Length: 5\r\n\r\nhello",
    b"POST /r HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello",
    b"\r\nPOST /r HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello",
    b"\r\n\r\nPOST /r HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello",
    b"post /r HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello",
    b"DELETE /r HTTP/1.1\r\n\r\n",
    b"GET /none HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc",
    b"GET /r HTTP/1.1\r\n\r\n",
    b"HEAD /r HTTP/1.1\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
)

_LINES = st.sampled_from(
    [
        b"Host: x",
        b"content-length: 5",
        b"Content-Length: 0",
        b"CONTENT-LENGTH:5 ",
        b"Content-Length: 05",
        b"Content-Length: 5,5",
        b"Transfer-Encoding: chunked",
        b"transfer-encoding: identity",
        b"Connection: close",
        b"Connection: Keep-Alive",
        b"Accept:",
        b"X-A: \t b c \t",
        b"X-A: d",
        b"X-\x01: e",
        b" folded",
        b"\tContent-Length: 5",
        b"Expect: 100-continue",
        b"Upgrade: websocket",
        b"Cookie: a=b; a=c",
    ]
)


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """Some requests on one connection, good and bad."""
    sent = b""
    for _ in range(draw(st.integers(1, 3))):
        if draw(st.booleans()):
            sent += draw(st.sampled_from((USUAL, *SMUGGLING)))
            continue
        start = draw(st.sampled_from([b"POST /r", b"GET /r?a=%20", b"POST /other", b"PUT /r"]))
        lines = draw(st.lists(_LINES, max_size=5))
        end = draw(st.sampled_from([b"\r\n", b"\r\n", b"\r\n", b"\n"]))
        sent += end.join((start + b" HTTP/1.1", *lines, b"", b"hello"))
    return sent


class Seen(NamedTuple):
    """What became of a connection. requests: head, sorted headers and body of each."""

    requests: list[tuple[str, str, Headers, int | None, bytes]]
    answers: bytes
    is_closed: bool


class _Stock(Channel):
    """Everything through twisted.web's state machine."""

    def _take(self, data: bytes) -> bool:
        return False


def seen(protocol: type[Channel], pieces: list[bytes]) -> Seen:
    """What a channel makes of these reads."""
    found: list[tuple[str, str, Headers, int | None, bytes]] = []

    def answer(request: ClientRequest) -> None:
        head = request.head
        headers = tuple(sorted(head.headers))
        found.append((head.method, head.target, headers, head.length, request.body()))
        ClientStream(request).reply(200, (), b"{}")

    rules = Map([Rule(one.path, methods=[one.method], endpoint=one.name) for one in ROUTES])
    settings = load("upstreams: [{name: u, base_url: 'http://u', token: t}]")
    clock = Clock()
    site: Any = ApiSite(
        answer,
        Guard(Routes(rules, ROUTES, ()), lambda: settings),
        lambda: settings,
        Records(lambda record: None, clock),
        clock,
    )
    site.protocol = protocol
    channel = site.buildProtocol(None)
    transport = StringTransport()
    channel.makeConnection(transport)
    for piece in pieces:
        if not transport.disconnecting:
            channel.dataReceived(piece)
    answers = re.sub(rb"(?i)(date|x-request-id): [^\r]*", rb"\1", transport.value())
    return Seen(found, answers, bool(transport.disconnecting))


class AgreementTests(SynchronousTestCase):
    """Whatever clients send, and however it is cut, both ways see the same."""

    def test_smuggling(self) -> None:
        """Of what parsers read differently, nothing is read differently here."""
        for sent in (USUAL, *SMUGGLING):
            with self.subTest(sent=sent):
                self.assertEqual(seen(Channel, [sent + USUAL]), seen(_Stock, [sent + USUAL]))

    @given(requests(), cuts())
    def test_any(self, sent: bytes, distances: list[int]) -> None:
        """Requests one after the other, in any pieces."""
        pieces = split(sent, distances)
        self.assertEqual(seen(Channel, pieces), seen(_Stock, pieces))


class HeadTests(SynchronousTestCase):
    """What is of the common shape."""

    def test_usual(self) -> None:
        """It is read whole, with names in lower case and where the body begins."""
        head = read_head(USUAL)
        assert head is not None
        self.assertEqual((head.method, head.target, head.length), (b"POST", b"/r", 5))
        self.assertEqual(head.headers[1], ("content-type", "application/json"))
        self.assertEqual(USUAL[head.end :], b"hello")

    def test_left_alone(self) -> None:
        """An unfinished head, a large one, and what needs more than an answer."""
        self.assertIsNone(read_head(USUAL[: USUAL.index(b"\r\n\r\n") + 3]))
        large = b"".join(b"X-%d: %b\r\n" % (n, b"x" * 1000) for n in range(20))
        self.assertIsNone(read_head(USUAL.replace(b"Host: x\r\n", large)))
        many = b"".join(b"X-%d: x\r\n" % n for n in range(101))
        self.assertIsNone(read_head(USUAL.replace(b"Host: x\r\n", many)))
        for line in (b"Transfer-Encoding: identity", b"Expect: 100-continue", b"Upgrade: x"):
            self.assertIsNone(read_head(USUAL.replace(b"Host: x", line)), line)
