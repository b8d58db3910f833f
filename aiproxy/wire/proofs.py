"""
Reasoning proofs travel only to the vendor that made them.

A client of another dialect gets a foreign proof wrapped in a tag, in its own proof field, and sends
it back with the next turn; here the tag is taken off again. An untagged proof is genuine for the
client's own family.

Shape of a tag: `aip1.<family>.<data>`, family with suffix "-redacted" when there is no text.
"""

from __future__ import annotations

from aiproxy.ir import Proof
from aiproxy.wire.needles import holds

MARK = "aip1."
BASE64_MARK = "YWlwMS5"
"""How a tag begins in base64, for clients that take nothing else."""

BASE64_WIRE = "gemini"
"""Theirs."""

_REDACTED = "-redacted"


def may_hold_tags(body: bytes, wire: str) -> bool:
    """Whether a request of `wire` may bring back foreign proofs, and so must be read to be sent."""
    if holds(body, MARK.encode()):
        return True
    return wire == BASE64_WIRE and holds(body, BASE64_MARK.encode())


def tagged(proof: Proof, home: str) -> str:
    """What a client of family `home` gets in its proof field."""
    if proof.family == home and not proof.data.startswith(MARK):
        return proof.data
    return f"{MARK}{proof.family}{_REDACTED if proof.redacted else ''}.{proof.data}"


def untagged(text: str, home: str, *, redacted: bool = False) -> Proof:
    """The proof that a client of family `home` sent back as `text`."""
    if text.startswith(MARK):
        family, dot, data = text[len(MARK) :].partition(".")
        if dot and family:
            plain = family.removesuffix(_REDACTED)
            return Proof(plain, data, redacted=plain != family)
    return Proof(home, text, redacted=redacted)
