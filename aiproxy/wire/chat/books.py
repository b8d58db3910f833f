"""What an answer says that a client need not be told of: it is read, or it is the vendor's own."""

from __future__ import annotations

from msgspec import Struct

from aiproxy.wire.chat.shapes import Choice, Completion, Delta
from aiproxy.wire.jsontext import closed_over


def _known(*structs: type[Struct]) -> frozenset[str]:
    return frozenset(name for struct in structs for name in struct.__struct_encode_fields__)


OF_COMPLETION = _known(Completion) | {
    "system_fingerprint",
    "service_tier",
    "provider",
    "obfuscation",
    "p",
    "nonce",
    "request_id",
    "metadata",
    "latency_checkpoint",
    "sla_metrics",
    "time_info",
    "prompt_token_ids",
}
"""
Members of an answer that are read, or tell a client nothing: how a vendor served it.

Nor does the rest of `usage` beside the counts: how they divide, their cost, their speed.
"""

OF_CHOICE = _known(Choice) | {"native_finish_reason", "stop_reason", "seed", "token_ids", "text"}
"""The same of a choice. stop_reason and text: once more, as another vendor has them."""

OF_MESSAGE = _known(Delta) | {
    "role",
    "name",
    "channel",
    "token_id",
    "thought_signature",
    "function_call",
}
"""The same of a message. thought_signature: once more what `extra_content` holds."""

_MESSAGE = closed_over(OF_MESSAGE) | None
_CHOICE = closed_over(OF_CHOICE, message=_MESSAGE, delta=_MESSAGE)
PLAIN = closed_over(OF_COMPLETION, choices=list[_CHOICE] | None)  # type: ignore[valid-type]
"""An answer that says nothing besides."""
