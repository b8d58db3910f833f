"""
Proofs in the `thoughtSignature` field.

Google declares the field as bytes, and its SDKs refuse anything but base64 in it. So the tag of a
foreign proof (see `wire.proofs`) goes in as base64; Google's own signatures stay as they are.
"""

from __future__ import annotations

import base64
import binascii

from aiproxy.ir import Proof
from aiproxy.wire import proofs

FAMILY = "gemini"

BYPASS = "skip_thought_signature_validator"
"""Google's documented stand-in for the signature of a call that no Gemini model made."""


def signature_for(proof: Proof) -> str:
    """What a client gets in `thoughtSignature`."""
    text = proofs.tagged(proof, FAMILY)
    if text.startswith(proofs.MARK):
        return base64.b64encode(text.encode("utf-8", "replace")).decode()
    return text


def proof_of(signature: str) -> Proof:
    """The proof in a `thoughtSignature`; SDKs send the URL-safe alphabet back."""
    if signature.startswith(proofs.BASE64_MARK):
        plain = signature.translate(_STANDARD).rstrip("=")
        try:
            text = base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True).decode()
        except (binascii.Error, UnicodeError):
            return Proof(FAMILY, signature)
        return proofs.untagged(text, FAMILY)
    return proofs.untagged(signature, FAMILY)


_STANDARD = str.maketrans("-_", "+/")
