"""What is fuzzed: a reader, bytes to begin with, and what must hold whatever the bytes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from aiproxy import codings
from aiproxy.errors import (
    SettingsError,
    UpstreamProtocolError,
)
from aiproxy.framing import eventstream, sse
from aiproxy.providers import PROVIDERS
from aiproxy.providers.contract import LoginProvider
from aiproxy.upstream.encoding import ReplyDecoder
from aiproxy.wire import INBOUND, OUTBOUND
from tests import corpus
from tests.fuzz import vendors, wires
from tests.settings.samples import load

INPUTS = Path(__file__).with_name("inputs")

_FORMATS = {
    "anthropic": "anthropic",
    "chat": "openai-chat",
    "responses": "openai-responses",
    "gemini": "gemini",
    "kiro": "aws-eventstream",
}
_MAX_SEED_BYTES = 6000
_MAX_SEEDS = 30


@dataclass(frozen=True)
class Target:
    """
    run: reads; raises nothing, or AssertionError when something does not hold.
    seeds: gives bytes that are read with success. is_text: whether these are lines.
    """

    run: Callable[[bytes], None]
    seeds: Callable[[], Iterable[bytes]]
    is_text: bool = True


# ── framings and codings ──


def _pieces(data: bytes) -> list[bytes]:
    """The data cut by its own first byte: one, two, three ... bytes at a time."""
    size = 1 + (data[0] if data else 0) % 64
    return [data[at : at + size] for at in range(0, len(data), size)]


def _sse(data: bytes) -> None:
    def read(pieces: Iterable[bytes]) -> list[sse.Message] | None:
        decoder = sse.SSEDecoder(max_event_bytes=4096)
        try:
            found = [message for piece in pieces for message in decoder.feed(piece)]
            return found + decoder.close()
        except UpstreamProtocolError:
            return None

    whole = read([data])
    if whole is not None and len(data) <= 4096:
        assert read(_pieces(data)) == whole, "the chunking shows"


def _event_stream(data: bytes) -> None:
    def read(pieces: Iterable[bytes]) -> tuple[list[eventstream.Message], str]:
        decoder = eventstream.EventStreamDecoder(max_message_bytes=4096)
        found: list[eventstream.Message] = []
        try:
            for piece in pieces:
                found += decoder.feed(piece)
            found += decoder.close()
        except UpstreamProtocolError as error:
            return found, str(error)
        return found, ""

    whole, problem = read([data])
    cut, cut_problem = read(_pieces(data))
    assert whole == cut, "the chunking shows"
    assert bool(problem) == bool(cut_problem), "the chunking decides"


def _coding(name: str, data: bytes) -> None:
    for pieces in ([data], _pieces(data)):
        try:
            decoder = ReplyDecoder(name)
            for piece in pieces:
                decoder.feed(piece)
            decoder.finish()
        except UpstreamProtocolError:
            continue


# ── wires ──


def _recorded(format: str, which: Callable[[corpus.Case], bytes | None]) -> Iterable[bytes]:
    if corpus.root() is None:
        return
    found = (which(case) for case in corpus.cases(format))
    small = (data for data in found if data and len(data) <= _MAX_SEED_BYTES)
    yield from list(small)[:_MAX_SEEDS]


def _request_seeds(wire: str) -> Iterable[bytes]:
    yield json.dumps(wires.BODIES[wire]).encode()
    yield from _recorded(_FORMATS[wire], lambda case: case.request)


def _reply_seeds(wire: str) -> Iterable[bytes]:
    yield b'{"error": {"message": "m", "type": "t", "code": 1}}'
    if wire != "kiro":
        yield from _recorded(_FORMATS[wire], lambda case: case.response)


def _stream_seeds(wire: str) -> Iterable[bytes]:
    if wire == "kiro":
        yield from map(_lines, _recorded(_FORMATS[wire], lambda case: case.stream))
    else:
        yield from _recorded(_FORMATS[wire], lambda case: case.stream)


def _lines(frames: bytes) -> bytes:
    decoder = eventstream.EventStreamDecoder()
    try:
        messages = decoder.feed(frames)
    except UpstreamProtocolError:
        return b""
    return b"\n".join(
        m.text(":event-type").encode() + b" " + m.payload.replace(b"\n", b" ") for m in messages
    )


# ── files ──


def _settings(data: bytes) -> None:
    try:
        load(data.decode("utf-8", "replace"))
    except SettingsError:
        return


def _settings_seeds() -> Iterable[bytes]:
    yield b"api-key: [a, sha256:0]\nupstreams: [{name: a, base_url: 'http://h', token: t}]"
    yield Path(__file__).parents[2].joinpath("etc/aiproxy/config.yaml").read_bytes()


def _wrapped_seeds() -> Iterable[bytes]:
    for stream in _recorded("gemini", lambda case: case.stream):
        yield stream.replace(b"data: {", b'data: {"traceId": "t", "response": {').replace(
            b"}\n\n", b"}}\n\n"
        )
        yield stream


def _framing_seeds(format: str) -> Callable[[], Iterable[bytes]]:
    def seeds() -> Iterable[bytes]:
        yield b"event: a\r\ndata: b\r\n\r\n: c\ndata: d\n\n"
        yield from _recorded(format, lambda case: case.stream)

    return seeds


def _coded_seeds(name: str) -> Iterable[bytes]:
    yield codings.encode(b'{"a": 1}' * 20, name)


TARGETS: Mapping[str, Target] = {
    "sse": Target(_sse, _framing_seeds("anthropic")),
    "eventstream": Target(_event_stream, _framing_seeds("aws-eventstream"), is_text=False),
    **{
        f"coding-{name}": Target(partial(_coding, name), partial(_coded_seeds, name), is_text=False)
        for name in ("gzip", "zstd", "br")
    },
    **{
        f"request-{name}": Target(partial(wires.request, name), partial(_request_seeds, name))
        for name in INBOUND
    },
    **{
        f"stream-{name}": Target(partial(wires.stream, name), partial(_stream_seeds, name))
        for name in OUTBOUND
    },
    **{
        f"reply-{name}": Target(partial(wires.reply, name), partial(_reply_seeds, name))
        for name in OUTBOUND
    },
    "settings": Target(_settings, _settings_seeds),
    **{
        f"authfile-{name}": Target(partial(vendors.auth_file, provider), vendors.auth_files)
        for name, provider in PROVIDERS.items()
        if isinstance(provider, LoginProvider)
    },
    **{
        f"dialogue-{name}": Target(partial(vendors.dialogue, provider), vendors.dialogues)
        for name, provider in PROVIDERS.items()
        if isinstance(provider, LoginProvider)
    },
    "envelope-codeassist": Target(partial(vendors.envelope, "codeassist"), _wrapped_seeds),
    "envelope-codex": Target(
        partial(vendors.envelope, "codex"), partial(_stream_seeds, "responses")
    ),
}


def inputs(name: str) -> list[bytes]:
    """What was found once, oldest name first."""
    return [file.read_bytes() for file in sorted(INPUTS.joinpath(name).glob("*"))]
