"""
Real servers on 127.0.0.1 that a test scripts by hand, byte for byte.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from twisted.internet import protocol, ssl
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from aiproxy.settings import Timeouts


def timeouts(**changed: float) -> Timeouts:
    """Limits that no test reaches, but for those in `changed`."""
    seconds = dict.fromkeys(
        (
            "connect",
            "headers",
            "whole_answer",
            "first_event",
            "idle",
            "client_header",
            "client_body",
        ),
        30.0,
    )
    return Timeouts(**{**seconds, **changed})


class Connection(protocol.Protocol):
    """
    The server's end of one connection.

    requests: each request that has come whole, head and body as bytes.
    lost: fires when the connection is gone.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._received = bytearray()
        self._needed = 0
        self.requests: list[tuple[bytes, bytes]] = []
        self.lost: Deferred[None] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        self._received += data
        while len(self._received) >= self._needed and b"\r\n\r\n" in self._received:
            head, _, rest = bytes(self._received).partition(b"\r\n\r\n")
            length = 0
            for line in head.lower().split(b"\r\n"):
                if line.startswith(b"content-length:"):
                    length = int(line.partition(b":")[2])
            if len(rest) < length:
                self._needed = len(self._received) - len(rest) + length
                return
            self._received, self._needed = bytearray(rest[length:]), 0
            self.requests.append((head, rest[:length]))
            self._server.arrived(self)

    def write(self, data: bytes) -> None:
        """Sends these bytes as they are."""
        assert self.transport is not None
        self.transport.write(data)

    def answer(self, body: bytes, *headers: bytes) -> None:
        """Sends a whole answer with status 200."""
        head = b"\r\n".join([b"HTTP/1.1 200 OK", b"Content-Length: %d" % len(body), *headers])
        self.write(head + b"\r\n\r\n" + body)

    def begin(self, *headers: bytes) -> None:
        """Sends the head of a chunked event stream."""
        kind = (b"Content-Type: text/event-stream", b"Transfer-Encoding: chunked")
        self.write(b"\r\n".join([b"HTTP/1.1 200 OK", *kind, *headers]) + b"\r\n\r\n")

    def chunk(self, data: bytes) -> None:
        """Sends one chunk; an empty one is the end."""
        self.write(b"%x\r\n%b\r\n" % (len(data), data))

    def close(self) -> None:
        """Closes the connection in the ordinary way."""
        assert self.transport is not None
        self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost.callback(None)


class Server(protocol.Factory):
    """
    Listens, and hands out requests as they come.

    connections: all that were ever made.
    """

    noisy = False

    def __init__(self) -> None:
        self.connections: list[Connection] = []
        self._arrived: list[Connection] = []
        self._waiting: list[Deferred[Connection]] = []
        self._port: Any = None

    def listen(self, reactor: Any, context: Any = None) -> str:
        """The URL of the server, which speaks TLS when there is a context."""
        if context is None:
            self._port = reactor.listenTCP(0, self, interface="127.0.0.1")
            return f"http://127.0.0.1:{self._port.getHost().port}"
        self._port = reactor.listenSSL(0, self, context, interface="127.0.0.1")
        return f"https://127.0.0.1:{self._port.getHost().port}"

    def buildProtocol(self, addr: object) -> Connection:
        connection = Connection(self)
        self.connections.append(connection)
        return connection

    def arrived(self, connection: Connection) -> None:
        """A connection has received a whole request."""
        if self._waiting:
            self._waiting.pop(0).callback(connection)
        else:
            self._arrived.append(connection)

    def request(self) -> Deferred[Connection]:
        """Fires with the connection on which the next request comes."""
        wanted: Deferred[Connection] = Deferred()
        if self._arrived:
            wanted.callback(self._arrived.pop(0))
        else:
            self._waiting.append(wanted)
        return wanted

    async def stop(self) -> None:
        """Stops listening and cuts all connections."""
        await maybeDeferred(self._port.stopListening)
        for connection in self.connections:
            if not connection.lost.called:
                connection.transport.abortConnection()  # type: ignore[union-attr]
                await connection.lost


def certificate(host: x509.GeneralName) -> ssl.PrivateCertificate:
    """A new self-signed certificate for `host`, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(timezone.utc)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([host]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = signed.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return ssl.PrivateCertificate.loadPEM(pem)
