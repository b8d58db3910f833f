"""
Secrets that cannot be printed by accident, and texts cleaned of secrets.

Imports nothing of aiproxy, so that every layer may use it.
"""

from __future__ import annotations

import hmac
import re

_MASK = "[redacted]"

_SHORTEST = 8
"""A secret of fewer characters is a placeholder, and may be a part of any word."""

# Others choose the texts, so no pattern may begin in the middle of what it would run over: that
# takes the square of the length.
_PATTERNS = (
    re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}"),
    re.compile(r"(?i)\b((?:api[-_]?key|key|access_token|refresh_token|token|secret)=)[^&\s\"']+"),
    re.compile(r"\bsk-[A-Za-z0-9_-]{8,}"),
    re.compile(r"\bAIza[0-9A-Za-z_-]{20,}"),
    re.compile(
        r"(?<![A-Za-z0-9_-])(?=[A-Za-z0-9_-]*eyJ)[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*"
    ),
    re.compile(r"(?i)(?<![a-z0-9+.-])[a-z0-9+.-]+://[^\s\"'<>]+"),
)


class Secret:
    """
    A text that only `reveal()` shows.

    str(), repr(), format() and %-formatting all give the same mask; equality takes constant time.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash(self._text)

    def __bool__(self) -> bool:
        return bool(self._text)

    def __repr__(self) -> str:
        return _MASK

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return _MASK

    def __reduce__(self) -> str:
        raise TypeError("a Secret is never pickled")


def without(text: str, secret: Secret) -> str:
    """`text` with the very secret masked, whatever it looks like; also if `text` ends within it."""
    shown = secret.reveal()
    if len(shown) < _SHORTEST:
        return text
    text = text.replace(shown, _MASK)
    # Long messages are cut.
    for length in range(min(len(shown) - 1, len(text)), _SHORTEST - 1, -1):
        if text.endswith(shown[:length]):
            return text[:-length] + _MASK
    return text


def without_bytes(data: bytes, secret: Secret) -> bytes:
    """The same of bytes, whatever they are the encoding of."""
    shown = secret.reveal().encode()
    return data.replace(shown, _MASK.encode()) if len(shown) >= _SHORTEST else data


def redact(text: str) -> str:
    """`text` with everything that looks like a credential or a URL masked."""
    for pattern in _PATTERNS:
        text = pattern.sub(_replacement, text)
    return text


def _replacement(match: re.Match[str]) -> str:
    kept = match.group(1) if match.re.groups and match.group(1).endswith("=") else ""
    return kept + _MASK
