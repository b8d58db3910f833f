"""
Tool names and call ids that a target accepts, and the way back.

Every function here is a pure function of the request, so the reply side can undo it with no state
but the request itself.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from aiproxy.ir import HostedTool, Tool

_SEPARATOR = "__"
_LEGAL_ID = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class NameRule:
    """
    What a target takes as a tool's name.

    illegal: characters to be replaced. limit: characters. letter_first: it starts with a letter or
    an underscore. custom, namespaces: the target has free-form tools, or tools in name spaces, of
    its own; otherwise they are sent as functions with one text `input`, or with joined names.
    """

    illegal: re.Pattern[str] = re.compile(r"[^A-Za-z0-9_-]")
    limit: int = 64
    letter_first: bool = False
    custom: bool = False
    namespaces: bool = False


class ToolNames:
    """The names of one request's tools as one target takes them."""

    def __init__(self, tools: Iterable[Tool | HostedTool], rule: NameRule) -> None:
        self._rule = rule
        self._sent: dict[tuple[str, str], str] = {}
        self._original: dict[str, tuple[str, str]] = {}
        for tool in tools:
            if isinstance(tool, Tool):
                self.sent(tool.name, tool.namespace)

    def sent(self, name: str, namespace: str = "") -> str:
        """The name to send for a tool, whether it is among the tools or only in the history."""
        key = (namespace, name)
        known = self._sent.get(key)
        if known is not None:
            return known
        flat = name if self._rule.namespaces or not namespace else namespace + _SEPARATOR + name
        sent = self._legal(flat)
        if sent in self._original:
            sent = self._shortened(sent, namespace + "\0" + name)
        self._sent[key] = sent
        self._original[sent] = key
        return sent

    def original(self, sent: str) -> tuple[str, str]:
        """(namespace, name) of a tool that the upstream calls `sent`."""
        return self._original.get(sent, ("", sent))

    def _legal(self, name: str) -> str:
        legal = self._rule.illegal.sub("_", name) or "_"
        if self._rule.letter_first and not (legal[0].isalpha() or legal[0] == "_"):
            legal = "_" + legal
        changed = legal != name or len(legal) > self._rule.limit
        return self._shortened(legal, name) if changed else legal

    def _shortened(self, legal: str, source: str) -> str:
        """The end of `legal`, which tells most, and a digest that makes it unique."""
        digest = hashlib.sha256(source.encode("utf-8", "replace")).hexdigest()[:8]
        room = self._rule.limit - len(digest) - 1
        kept = legal[-room:]
        if self._rule.letter_first and not (kept[0].isalpha() or kept[0] == "_"):
            kept = "_" + kept[1:]
        return f"{kept}_{digest}"


def legal_id(call_id: str, limit: int = 64) -> str:
    """`call_id` when every target takes it, else a digest that call and result share."""
    if len(call_id) <= limit and _LEGAL_ID.fullmatch(call_id):
        return call_id
    return derived_id("call_", call_id)


def derived_id(prefix: str, *sources: object) -> str:
    """An id that is the same for the same sources: `prefix` and 24 hex digits."""
    text = "\0".join(str(source) for source in sources)
    return prefix + hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:24]
