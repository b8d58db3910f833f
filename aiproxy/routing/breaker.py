"""
Circuit breaker, one record per (upstream, client model).

A pair is closed until `failures` counted failures come in a row. Then it is open: it is not
picked, except that from `probe_after_seconds` on, then at twice that distance, one live call at a
time may probe it. A success closes it, and so does the end of `cooldown_seconds`, which count from
the moment it opened, whatever fails later.

Rules: a closed pair without failures has no record; names that the configuration does not know
never get one; model names that it does not list share a bounded, least recently used store.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from aiproxy.routing.roundrobin import MAX_MODEL_CHARACTERS
from aiproxy.settings import BreakerSettings, Upstream

MAX_UNLISTED = 1024
"""An upstream without `available_models` serves any name that a client makes up."""

_LONGEST_DISTANCE = 2
"""
Times `probe_after_seconds` between two probes: an upstream that is well again right after a probe
must not go unnoticed for long, and the others answer the call that found it still failing.
"""

_Key: TypeAlias = tuple[str, str]


@dataclass(frozen=True, slots=True, eq=False)
class Probe:
    """One call's leave to try an open pair; report its end to the breaker that gave it."""

    upstream: str
    model: str


class OpenPair(NamedTuple):
    """seconds_left: until it is closed in any case."""

    upstream: str
    model: str
    seconds_left: float


@dataclass(slots=True)
class _Record:
    """
    failures: counted ones in a row. opened_at: None while closed.
    probe_at: when the next probe may start. distance: seconds between the last two chances.
    reason: the name of the fault that opened it, or that the last probe met.
    """

    failures: int = 0
    opened_at: float | None = None
    probe_at: float = 0.0
    distance: float = 0.0
    probe: Probe | None = None
    reason: str = ""


def identity(upstream: Upstream) -> Hashable:
    """What makes an upstream another one although its name is the same."""
    return (
        upstream.api_type,
        upstream.base_url,
        upstream.token_url,
        upstream.tokens,
        upstream.auth_files,
    )


class Breaker:
    """
    The state of every pair.

    now: seconds, the same clock in every call.
    """

    def __init__(
        self,
        limits: BreakerSettings,
        upstreams: Iterable[Upstream],
        *,
        max_unlisted: int = MAX_UNLISTED,
    ) -> None:
        self._limits = limits
        self._max_unlisted = max_unlisted
        self._known: Mapping[str, Upstream] = {}
        self._listed: dict[_Key, _Record] = {}
        self._unlisted: OrderedDict[_Key, _Record] = OrderedDict()
        self.adopt(limits, upstreams)

    def __len__(self) -> int:
        return len(self._listed) + len(self._unlisted)

    def adopt(self, limits: BreakerSettings, upstreams: Iterable[Upstream]) -> None:
        """
        Follow a new configuration.

        Forgets what is said of upstreams that are gone, disabled or other machines now, and of
        models that they serve no longer.
        """
        self._limits = limits
        before, self._known = self._known, {u.name: u for u in upstreams if u.enabled}
        kept = {
            key: record
            for key, record in (*self._listed.items(), *self._unlisted.items())
            if self._is_same(before[key[0]]) and self._known[key[0]].serves(key[1])
        }
        self._listed = {key: record for key, record in kept.items() if self._lists(key)}
        self._unlisted = OrderedDict(item for item in kept.items() if not self._lists(item[0]))

    def allows(self, upstream: str, model: str, now: float) -> bool:
        """Whether a call may go there: the pair is closed, or a probe may start."""
        record = self._find(upstream, model, now)
        if record is None or record.opened_at is None:
            return True
        return record.probe is None and now >= record.probe_at

    def is_closed(self, upstream: str, model: str, now: float) -> bool:
        record = self._find(upstream, model, now)
        return record is None or record.opened_at is None

    def begin(self, upstream: str, model: str, now: float) -> Probe | None:
        """
        A call that the breaker allows is on its way.

        Returns its probe when the pair is open, which keeps others away until the probe ends.
        """
        record = self._find(upstream, model, now)
        if record is None or record.opened_at is None:
            return None
        record.probe = Probe(upstream, model)
        return record.probe

    def succeeded(self, upstream: str, model: str) -> bool:
        """The pair works: whatever was counted is forgotten. True when it was open."""
        record = self._drop((upstream, model))
        return record is not None and record.opened_at is not None

    def failed(
        self,
        upstream: str,
        model: str,
        now: float,
        probe: Probe | None = None,
        reason: str = "",
    ) -> bool:
        """
        One counted failure, the fault's name being its reason; True when it opened the pair.

        While the pair is open, failures of other calls than its probe change nothing.
        """
        if upstream not in self._known or len(model) > MAX_MODEL_CHARACTERS:
            return False
        record = self._find(upstream, model, now) or self._add((upstream, model))
        if (upstream, model) in self._unlisted:
            self._unlisted.move_to_end((upstream, model))
        if record.opened_at is not None:
            if probe is not None and record.probe is probe:
                record.probe = None
                record.reason = reason
                longest = _LONGEST_DISTANCE * self._limits.probe_after_seconds
                record.distance = min(2 * record.distance, longest)
                record.probe_at = now + record.distance
            return False
        record.failures += 1
        if record.failures < self._limits.failures:
            return False
        self._open(record, now, reason)
        return True

    def open(self, upstream: str, model: str, now: float, reason: str) -> None:
        """Open the pair because another process has found it failing."""
        if upstream not in self._known or len(model) > MAX_MODEL_CHARACTERS:
            return
        record = self._find(upstream, model, now) or self._add((upstream, model))
        if record.opened_at is None:
            self._open(record, now, reason)

    def released(self, probe: Probe) -> None:
        """The probe ended without showing anything: the next call may probe."""
        key = (probe.upstream, probe.model)
        record = self._listed.get(key) or self._unlisted.get(key)
        if record is not None and record.probe is probe:
            record.probe = None

    def reset(self, upstream: str, model: str) -> bool:
        """Close the pair by hand; False when it was not open."""
        key = (upstream, model)
        record = self._listed.get(key) or self._unlisted.get(key)
        if record is None or record.opened_at is None:
            return False
        self._drop(key)
        return True

    def open_pairs(self, now: float) -> tuple[OpenPair, ...]:
        """Every open pair, sorted by upstream, then model."""
        pairs = []
        for upstream, model in sorted((*self._listed, *self._unlisted)):
            record = self._find(upstream, model, now)
            if record is not None and record.opened_at is not None:
                left = record.opened_at + self._limits.cooldown_seconds - now
                pairs.append(OpenPair(upstream, model, left))
        return tuple(pairs)

    def reason(self, upstream: str, model: str, now: float) -> str:
        """Why the pair is open; "" when it is not."""
        record = self._find(upstream, model, now)
        return "" if record is None or record.opened_at is None else record.reason

    def wait(self, upstream: str, model: str, now: float) -> float:
        """Seconds until the pair may be asked; a guess while a probe is under way."""
        record = self._find(upstream, model, now)
        if record is None or record.opened_at is None:
            return 0.0
        until_closed = record.opened_at + self._limits.cooldown_seconds - now
        until_probe = record.distance if record.probe is not None else record.probe_at - now
        return min(max(until_probe, 0.0), until_closed)

    def _open(self, record: _Record, now: float, reason: str) -> None:
        record.opened_at = now
        record.reason = reason
        record.distance = self._limits.probe_after_seconds
        record.probe_at = now + record.distance

    def _find(self, upstream: str, model: str, now: float) -> _Record | None:
        key = (upstream, model)
        record = self._listed.get(key) or self._unlisted.get(key)
        if record is None or record.opened_at is None:
            return record
        if now - record.opened_at >= self._limits.cooldown_seconds:
            self._drop(key)
            return None
        return record

    def _add(self, key: _Key) -> _Record:
        record = _Record()
        if self._lists(key):
            self._listed[key] = record
            return record
        self._unlisted[key] = record
        if len(self._unlisted) > self._max_unlisted:
            self._unlisted.popitem(last=False)
        return record

    def _drop(self, key: _Key) -> _Record | None:
        return self._listed.pop(key, None) or self._unlisted.pop(key, None)

    def _is_same(self, before: Upstream) -> bool:
        now = self._known.get(before.name)
        return now is not None and identity(now) == identity(before)

    def _lists(self, key: _Key) -> bool:
        upstream, model = key
        known = self._known[upstream]
        return model in known.available_models or model in known.model_mappings
