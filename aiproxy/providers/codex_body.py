"""
What Codex's backend takes of a Responses request, and what it needs besides.

The same for a native call and a translated one. Sources: Codex CLI 0.169, `core/src/client.rs`;
the backend's own refusals ("Unsupported parameter: ...").
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from aiproxy import ir
from aiproxy.errors import BadRequest
from aiproxy.ir import JSON
from aiproxy.wire.jsontext import given, raw, read_member, read_request, try_read, write
from aiproxy.wire.losses import Losses, feature_name
from aiproxy.wire.names import ToolNames, legal_id
from aiproxy.wire.responses import TOOL_NAMES

_LONGEST = 64
"""Of a tool's name and of a call's id."""

_PROOFS = "reasoning.encrypted_content"
_BREAKPOINT = "prompt_cache_breakpoint"

# With the values that ask for nothing, so that nothing is lost with them.
_DELETED: Mapping[str, frozenset[bytes]] = {
    "max_output_tokens": frozenset(),
    "max_completion_tokens": frozenset(),
    "temperature": frozenset(),
    "top_p": frozenset(),
    "truncation": frozenset({b'"disabled"'}),
    "context_management": frozenset(),
    "user": frozenset(),
    "metadata": frozenset({b"{}"}),
    "background": frozenset({b"false"}),
    "prompt_cache_retention": frozenset(),
    "prompt_cache_options": frozenset(),
    "safety_identifier": frozenset(),
    "generate": frozenset({b"true"}),
}

_KEPT_TIER = "priority"
_NO_TIERS = frozenset({"auto", "default"})
_KEPT_STREAM_OPTION = "reasoning_summary_delivery"

_SERVER_STATE = ("previous_response_id", "conversation", "background")
"""The backend keeps no conversation, and to go on without one would be a wrong one."""


_Rewriting: TypeAlias = Callable[[JSON], JSON]
"""One entry of a list, the same object when nothing was to be done."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """
    A body as the backend takes it.

    key: of its prompt cache. renamed: tools by the names that they have there, with the client's.
    """

    body: bytes
    key: str
    losses: tuple[ir.Loss, ...] = ()
    renamed: Mapping[str, str] = field(default_factory=dict)


def fitted(body: bytes, key: str, *, parallel: bool) -> Fitted:
    """
    A request that generates.

    key: for the prompt cache when the client named none. parallel: calls of tools, when the client
    says nothing of it.
    Raises: BadRequest when it needs what only the vendor's public API has.
    """
    fitting = _Fitting(body)
    members = fitting.members
    fitting.deleted()
    fitting.written()
    if fitting.has_tools:
        members.setdefault("parallel_tool_calls", raw(parallel))
    else:
        members.pop("parallel_tool_calls", None)
    members.setdefault("tool_choice", raw("auto"))
    include = read_member(members, "include", list[str]) or []
    members["include"] = raw(list(dict.fromkeys((*include, _PROOFS))))
    members["stream"], members["store"] = raw(True), raw(False)
    named = read_member(members, "prompt_cache_key", str)
    members["prompt_cache_key"] = raw(named or key)
    return Fitted(write(members), named or key, fitting.losses.seen(), fitting.renamed)


def fitted_compact(body: bytes) -> Fitted:
    """A request that has a conversation compacted. Raises: BadRequest as `fitted`."""
    fitting = _Fitting(body)
    fitting.deleted()
    fitting.written()
    fitting.members.pop("stream", None)
    named = read_member(fitting.members, "prompt_cache_key", str)
    return Fitted(write(fitting.members), named or "", fitting.losses.seen(), fitting.renamed)


class _Fitting:
    """One request's top-level members on their way; null is the same as absent."""

    def __init__(self, body: bytes) -> None:
        members = read_request(body, dict[str, JSON])
        self.members = {name: value for name, value in members.items() if given(value)}
        self.losses = Losses()
        self.renamed: dict[str, str] = {}
        self.has_tools = False
        self._names = ToolNames((), TOOL_NAMES)
        self._has_breakpoints = _BREAKPOINT.encode() in body

    def deleted(self) -> None:
        """Without what the backend refuses."""
        members = self.members
        for name in _SERVER_STATE:
            if name in members and bytes(members[name]) != b"false":
                raise BadRequest(f"{name} is not supported by this upstream", param=name)
        for name, harmless in _DELETED.items():
            value = members.pop(name, None)
            if value is not None and bytes(value) not in harmless:
                self.losses.dropped(feature_name(name))
        if read_member(members, "service_tier", str) in _NO_TIERS:
            del members["service_tier"]
        elif "service_tier" in members and read_member(members, "service_tier", str) != _KEPT_TIER:
            del members["service_tier"]
            self.losses.dropped("service-tier")
        options = read_member(members, "stream_options", dict[str, JSON]) or {}
        members.pop("stream_options", None)
        if _KEPT_STREAM_OPTION in options:
            kept = {_KEPT_STREAM_OPTION: options[_KEPT_STREAM_OPTION]}
            members["stream_options"] = raw(kept)

    def written(self) -> None:
        """With what must be there, in the backend's spelling."""
        members = self.members
        members.setdefault("instructions", raw(""))
        text = read_member(members, "input", str)
        if text is not None:
            part = {"type": "input_text", "text": text}
            members["input"] = raw([{"type": "message", "role": "user", "content": [part]}])
        else:
            self._rewrite(members, "input", self._item)
        self._rewrite_tools(members)
        if "tool_choice" in members:
            members["tool_choice"] = self._tool(members["tool_choice"])

    def _rewrite(self, members: dict[str, JSON], name: str, each: _Rewriting) -> bool:
        """Every entry of the list `name`; whether that changed any of them."""
        entries = read_member(members, name, list[JSON])
        if entries is None:
            return False
        rewritten = [each(entry) for entry in entries]
        if all(new is old for new, old in zip(rewritten, entries, strict=True)):
            return False
        members[name] = raw(rewritten)
        return True

    def _rewrite_tools(self, members: dict[str, JSON]) -> bool:
        self.has_tools = self.has_tools or bool(read_member(members, "tools", list[JSON]))
        return self._rewrite(members, "tools", self._tool)

    def _item(self, item: JSON) -> JSON:
        """An item of `input`."""
        members = try_read(item, dict[str, JSON])
        if members is None:
            return item
        changed = self._shorten_name(members)
        # Codex's light mode declares its tools here.
        changed = self._rewrite_tools(members) or changed
        if read_member(members, "role", str) == "system":
            members["role"] = raw("developer")
            changed = True
        call_id = read_member(members, "call_id", str)
        if call_id is not None and len(call_id) > _LONGEST:
            members["call_id"] = raw(legal_id(call_id))
            changed = True
        if self._has_breakpoints:
            for name in ("content", "output"):
                changed = self._rewrite(members, name, self._part) or changed
        return raw(members) if changed else item

    def _part(self, part: JSON) -> JSON:
        """A part of a message, which cannot mark where the cache ends."""
        members = try_read(part, dict[str, JSON])
        if members is None or members.pop(_BREAKPOINT, None) is None:
            return part
        self.losses.dropped(feature_name(_BREAKPOINT))
        return raw(members)

    def _tool(self, tool: JSON) -> JSON:
        """A tool, a name space of tools, or a choice of them."""
        members = try_read(tool, dict[str, JSON])
        if members is None:
            return tool
        changed = self._shorten_name(members)
        changed = self._rewrite(members, "tools", self._tool) or changed
        kind = read_member(members, "type", str) or ""
        if kind.startswith("web_search_preview"):
            members["type"] = raw("web_search")
            changed = True
        return raw(members) if changed else tool

    def _shorten_name(self, members: dict[str, JSON]) -> bool:
        name = read_member(members, "name", str)
        if name is None or len(name) <= _LONGEST:
            return False
        short = self._names.sent(name)
        self.renamed[short] = name
        members["name"] = raw(short)
        return True
