"""
Content codings on the way to and from an upstream; the coding itself is in `aiproxy.codings`.
"""

from __future__ import annotations

from aiproxy import codings
from aiproxy.errors import UpstreamProtocolError

ACCEPT_ENCODING = "gzip, zstd, br, deflate"
"""All that `ReplyDecoder` undoes, and nothing else."""

# One read of a stream holds at most 64 KiB of compressed bytes; events that take more than this
# from one read are no answer of a language model.
_MAX_BYTES_PER_READ = 64 * 1024 * 1024


def compressed(body: bytes, compression: str) -> tuple[bytes, str]:
    """
    The body to send, and its Content-Encoding, "" for none.

    compression: "", "gzip", "zstd" or "br"; a body that would not shrink stays plain.
    """
    if not compression:
        return body, ""
    packed = codings.encode(body, compression)
    return (packed, compression) if len(packed) < len(body) else (body, "")


class ReplyDecoder:
    """
    Undoes the content codings of one answer while it arrives.

    content_encoding: the header's value, "" when there was none.
    Raises: UpstreamProtocolError, here and from its methods.
    """

    def __init__(self, content_encoding: str) -> None:
        self._decoder = None
        if not content_encoding:
            return
        try:
            applied = codings.parse(content_encoding)
        except codings.CodingError as error:
            raise _protocol_error(error) from None
        if applied:
            self._decoder = codings.Decoder(applied)

    def feed(self, data: bytes) -> bytes:
        """What can be decoded so far."""
        if self._decoder is None:
            return data
        try:
            return self._decoder.feed(data, _MAX_BYTES_PER_READ)
        except codings.CodingError as error:
            raise _protocol_error(error) from None

    def finish(self) -> None:
        """The answer has ended."""
        if self._decoder is None:
            return
        try:
            self._decoder.finish()
        except codings.CodingError as error:
            raise _protocol_error(error) from None


def _protocol_error(error: codings.CodingError) -> UpstreamProtocolError:
    return UpstreamProtocolError(f"the answer cannot be decoded: {error}")
