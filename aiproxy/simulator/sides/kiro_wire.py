"""
The conversation API of Kiro as its clients speak it: `contract.Inbound`, for the simulator alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from aiproxy import ir
from aiproxy.errors import BadRequest
from aiproxy.simulator.sides import kiro_answer, kiro_request
from aiproxy.simulator.sides.kiro_answer import encode_reply
from aiproxy.wire import contract
from aiproxy.wire.kiro.shapes import FAMILY, NAME

ROUTES: Sequence[str] = ("/generateAssistantResponse",)
HEARTBEAT: Final = b""
FIRST_HEARTBEAT: Final = b""
ERROR_IS_END: Final = False

StreamEncoder: Callable[[ir.Request], contract.StreamEncoder] = kiro_answer.StreamEncoder
RawStream: Callable[[str], contract.RawStream] = contract.EventStreamAsIs

__all__ = [
    "ERROR_IS_END",
    "FAMILY",
    "FIRST_HEARTBEAT",
    "HEARTBEAT",
    "NAME",
    "ROUTES",
    "RawStream",
    "StreamEncoder",
    "decode_request",
    "encode_count",
    "encode_reply",
    "head",
]


def head(body: bytes, path: str) -> contract.Head:
    """See `contract.Inbound`."""
    return contract.Head(kiro_request.read(body).current.model_id, stream=True)


def decode_request(body: bytes, path: str) -> ir.Request:
    """See `contract.Inbound`. Raises: BadRequest for all that the service refuses."""
    kiro_request.check(body)
    return kiro_request.decode_request(body)


def encode_count(input_tokens: int) -> bytes:
    """The service does not count tokens."""
    raise BadRequest("there is no such operation")
